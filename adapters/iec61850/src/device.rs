//! A device behind IEC 61850: [`IedDevice`], which reads by one association, is told by another, and hears reports by
//! a third.
//!
//! What is connected is [`Links`]: the associations and the [`Plan`]. A call takes them, and gives them back only when
//! they are still in step; a call that is abandoned or fails leaves the device disconnected. What is known of commands
//! whose outcome nobody has confirmed outlives the links.

mod commands;
mod identity;

use crate::address::Address;
use crate::directory::Directory;
use crate::mapping::{Mapping, found};
use crate::plan::{Answers, Plan, TapPlan};
use crate::planner::Planner;
use crate::port::{Check, MmsPort, Network, Stack};
use crate::reports::{ReportLink, ReportSettings, Resume};
use crate::tap::TapChanger;
use async_trait::async_trait;
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_device::{
    Applied, Capabilities, Command, Description, Device, DeviceError, FailSafe, PowerRange, Quality, Renewal,
    SafeState, Setpoint, Snapshot, TapRange, VoltageRange,
};
use std::time::Duration;

/// The most variables that one read request asks for.
const MOST_READ: usize = 64;

/// How to reach an IED, and what its objects mean.
#[derive(Debug, Clone, PartialEq)]
pub struct IedSettings {
    /// Where it is.
    pub address: Address,
    /// How long an association, and each answer, may take.
    pub timeout: Duration,
    /// How long the termination of a command with enhanced security may take after the answer; the stack waits 5 s
    /// at most.
    pub termination_timeout: Duration,
    /// What its objects mean.
    pub mapping: Mapping,
    /// The logical device that is meant, where the IED has several; the name of the IED may be left out.
    pub logical_device: Option<String>,
    /// What commands ask the IED to check.
    pub check: Check,
    /// The identity of the originator in commands, at most 64 characters.
    pub originator: String,
    /// By which reports values come. `None`: they are polled.
    pub reports: Option<ReportSettings>,
}

impl IedSettings {
    /// An IED at this address, whose objects are found by browsing and polled.
    #[must_use]
    pub fn at(address: Address) -> Self {
        Self {
            address,
            timeout: Duration::from_secs(1),
            termination_timeout: Duration::from_secs(5),
            mapping: Mapping::default(),
            logical_device: None,
            check: Check::default(),
            originator: "gridloop".to_owned(),
            reports: None,
        }
    }
}

/// A device behind IEC 61850.
pub struct IedDevice {
    settings: IedSettings,
    network: Box<dyn Network>,
    clock: SharedClock,
    links: Option<Links>,
    /// Values that were written, and whose writing nothing has confirmed yet.
    unsure: [Option<f64>; 3],
    /// Values that the IED took, and does not show yet.
    awaited: [Option<f64>; 3],
    tap: Option<TapChanger>,
    /// When the command that is being given expires. What a release gives does not.
    expires_at: Option<MonoTime>,
    /// Where the reports stopped.
    resume: Resume,
}

/// What a device has while it is connected.
struct Links {
    poll: Box<dyn MmsPort>,
    /// Opened at the first command.
    control: Option<Box<dyn MmsPort>>,
    reports: Option<ReportLink>,
    plan: Plan,
}

impl IedDevice {
    /// A device that is not connected yet.
    #[must_use]
    pub fn new(settings: IedSettings, clock: SharedClock) -> Self {
        let network = Box::new(Stack {
            address: settings.address.clone(),
            timeout: settings.timeout,
            termination: settings.termination_timeout,
            clock: SharedClock::clone(&clock),
        });
        Self {
            settings,
            network,
            clock,
            links: None,
            unsure: [None; 3],
            awaited: [None; 3],
            tap: None,
            expires_at: None,
            resume: Resume::default(),
        }
    }

    async fn open(&mut self) -> Result<(Links, Description), DeviceError> {
        let operation = format!("connect to {}", self.settings.address);
        let mut poll = self.network.associate().await.map_err(|error| error.of(&operation))?;
        let browsed = poll.browse().await.map_err(|error| error.of("browse the server"))?;
        let directory = Directory::new(browsed);
        let device = self.settings.logical_device.as_deref().map(|name| directory.domain(name));
        let device = device.transpose().map_err(|reason| DeviceError::Malformed {
            operation: "find the logical device".to_owned(),
            reason,
        })?;
        let mut mapping = self.settings.mapping.clone();
        if mapping.defaults {
            mapping = mapping.or(found(&directory, device));
        }
        let planner = Planner { port: &mut *poll, directory: &directory, plan: Plan::default() };
        let plan = planner.make(&mapping, &self.settings.mapping).await?;
        let name = identity::nameplate(&mut *poll, &directory, device).await?;
        let profile = identity::profile(&mapping.name, &plan);
        let mut links = Links { poll, control: None, reports: None, plan };
        if let Some(settings) = &self.settings.reports {
            let port = self.network.associate().await.map_err(|error| error.of(&operation))?;
            let opening = ReportLink::open(
                port,
                settings,
                &directory,
                &links.plan,
                &mut self.resume,
                (&*self.clock, self.settings.timeout),
            );
            links.reports = opening.await?;
        }
        match (&mut self.tap, &links.plan.tap) {
            (Some(tap), Some(plan)) => tap.again(plan),
            (tap, plan) => *tap = plan.as_ref().map(TapChanger::new),
        }
        let answers = links.answers().await?;
        let capabilities = capabilities(&links.plan);
        let standing = standing(&links.plan, &capabilities, &answers);
        let description = Description {
            identity: name,
            profile,
            capabilities,
            fail_safe: FailSafe::None,
            renewal: Renewal::No,
            standing,
        };
        Ok((links, description))
    }

    /// Gives a call the links, and takes them back if they are still in step.
    fn take(&mut self, operation: &str) -> Result<Links, DeviceError> {
        self.links.take().ok_or_else(|| DeviceError::Disconnected {
            operation: operation.to_owned(),
            reason: "connect comes first".to_owned(),
        })
    }

    fn settle<T>(&mut self, links: Links, result: Result<T, DeviceError>) -> Result<T, DeviceError> {
        if result.as_ref().err().is_none_or(DeviceError::keeps_link) {
            self.links = Some(links);
        }
        result
    }
}

#[async_trait]
impl Device for IedDevice {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        self.links = None;
        let (links, description) = self.open().await?;
        self.links = Some(links);
        Ok(description)
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        let mut links = self.take("read")?;
        let result = links.read(&mut self.resume, &*self.clock).await;
        self.settle(links, result)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        let mut links = self.take("apply")?;
        self.expires_at = Some(setpoint.expires_at);
        let result = match self.in_time("apply") {
            Ok(()) => self.command(&mut links, setpoint.command).await,
            Err(late) => Err(late),
        };
        self.settle(links, result)
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        let mut links = self.take("release")?;
        self.expires_at = None;
        let result = match safe {
            SafeState::Command(command) => self.command(&mut links, *command).await,
            SafeState::Release => self.free(&mut links).await,
            SafeState::Hold => self.state(&mut links).await,
        };
        self.settle(links, result)
    }
}

impl Links {
    /// Reads every variable of the plan.
    async fn answers(&mut self) -> Result<Answers, DeviceError> {
        let mut answers = Answers::new();
        for variables in self.plan.variables.chunks(MOST_READ) {
            let operation = || format!("read {} and {} more", variables[0], variables.len() - 1);
            let read = self.poll.read(variables).await.map_err(|error| error.of(operation()))?;
            answers.extend(read.into_iter().map(Result::ok));
        }
        self.plan
            .check(&answers)
            .map_err(|reason| DeviceError::Malformed { operation: "read".to_owned(), reason })?;
        Ok(answers)
    }

    async fn read(
        &mut self,
        resume: &mut Resume,
        clock: &dyn gridloop_clock::Clock,
    ) -> Result<Snapshot, DeviceError> {
        let Some(reports) = &mut self.reports else {
            let answers = self.answers().await?;
            let now = clock.now();
            return Ok(self.plan.snapshot(&answers, |_| now, |_| Quality::Good));
        };
        reports.catch_up(resume, clock).await?;
        reports.snapshot(&self.plan, &mut *self.poll, clock).await
    }
}

/// What the IED can be told.
fn capabilities(plan: &Plan) -> Capabilities {
    let max_var = plan.reactive.as_ref().map_or(0.0, |reactive| (-reactive.min).min(reactive.max).max(0.0));
    let tap = plan.tap.as_ref().filter(|tap| tap.drive.is_some());
    Capabilities {
        power: plan.power.as_ref().map(|power| PowerRange { min_w: power.min, max_w: power.max, max_var }),
        tap_position: tap.map(|&TapPlan { lowest, highest, .. }| TapRange { lowest, highest }),
        voltage: plan.voltage.as_ref().map(|voltage| VoltageRange { min_v: voltage.min, max_v: voltage.max }),
    }
}

/// The command that the IED holds, unless it is the one that leaves it free.
fn standing(plan: &Plan, capabilities: &Capabilities, answers: &Answers) -> Option<Command> {
    let command = standing_power(plan, answers)?;
    let Command::Power { real_power_w, reactive_power_var } = command else { return None };
    let (power, range) = (plan.power.as_ref()?, capabilities.power?);
    let most = power.encode(range.max_w).map_or(range.max_w, |(_, told)| told);
    let free = power.may_be(real_power_w, most)
        && plan.reactive.as_ref().is_none_or(|reactive| reactive.may_be(reactive_power_var, 0.0));
    (!free).then_some(command)
}

/// The power that the IED is told at present.
fn standing_power(plan: &Plan, answers: &Answers) -> Option<Command> {
    let power = plan.power.as_ref()?;
    let real_power_w = Plan::number(answers, &power.held)? * power.factor;
    let reactive_power_var = match &plan.reactive {
        None => 0.0,
        Some(reactive) => Plan::number(answers, &reactive.held)? * reactive.factor,
    };
    Some(Command::Power { real_power_w, reactive_power_var })
}
