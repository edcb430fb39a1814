//! Starting and ending all devices of a run: [`Gateway`].

use crate::bridge::{Bridge, BridgeSettings, Equipment, Share, SharedGuard, Twin, description_of, watch};
use crate::control::Controlled;
use crate::convert;
use crate::drivers::OpenError;
use crate::fallback::{Fallback, SourceSwitch};
use crate::follows::doubts::NetworkDoubts;
use crate::follows::{FollowBy, Following};
use crate::journal::{DeviceReport, Facts, Journal};
use crate::measures::Measures;
use crate::safety::audit::Audit;
use crate::safety::guard::Guard;
use crate::safety::lock::{DeviceLock, LockError};
use crate::safety::total::{Total, TotalLimits};
use crate::settings::{Address, DeviceSettings};
use crate::told::Told;
use gridloop_clock::SharedClock;
use gridloop_component::{Fault, Poke};
use gridloop_device::{
    Ageing, Command, Description, DeviceHandle, DeviceTask, Left, Mode, SafeState, Source, TaskSettings,
    point,
};
use gridloop_metrics::Metrics;
use gridloop_plant::{GridTerminals, LivePlant, Plant};
use gridloop_simulated::SimulatedDevice;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the epochs of the run lie in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Wall-clock length of an epoch; `None` when the run is not paced.
    pub period: Option<Duration>,
}

impl Timing {
    /// How epochs are used that do not say how long they are.
    fn share(self, request_timeout: Duration) -> Share {
        let unpaced = Share { read_after: Duration::ZERO, publish_after: request_timeout };
        self.period.map_or(unpaced, Share::of)
    }

    /// How long a setpoint holds where the configuration does not say.
    fn dead_man(self) -> Duration {
        let three = self.period.map_or(Duration::ZERO, |period| period * 3);
        three.max(Duration::from_secs(3))
    }
}

/// What the devices of a run have in common.
#[derive(Clone)]
pub struct Surroundings {
    /// How the epochs of the run lie in time.
    pub timing: Timing,
    /// Time.
    pub clock: SharedClock,
    /// Where measurements of the devices are shown.
    pub metrics: Metrics,
    /// Where it is written down what is done to them.
    pub audit: Audit,
    /// What they may have together.
    pub total: TotalLimits,
}

impl Surroundings {
    /// Of a run that shows no measurements, keeps no audit log and limits no sums.
    #[must_use]
    pub fn new(timing: Timing, clock: &SharedClock) -> Self {
        let audit = Audit::none(clock.clone());
        Self {
            timing,
            clock: clock.clone(),
            metrics: Metrics::default(),
            audit,
            total: TotalLimits::default(),
        }
    }
}

/// The devices of a run.
pub struct Gateway {
    devices: Vec<Running>,
}

struct Running {
    name: String,
    protocol: String,
    address: String,
    source: Source,
    mode: Mode,
    safe_state: SafeState,
    /// What the device held when it was first connected.
    standing: Option<Command>,
    journal: Journal,
    measures: Measures,
    switch: SourceSwitch,
    lock: DeviceLocker,
    task: DeviceTask,
    twin: Option<RunningTwin>,
    /// Where the simulated device hangs on the grid.
    terminals: Option<GridTerminals>,
    simulator: Option<Box<dyn Any + Send + Sync>>,
}

struct RunningTwin {
    task: DeviceTask,
    plant: LivePlant<Plant>,
}

/// A device that is ready for a run: the component to run on the bus, and where it was found.
pub struct StartedDevice {
    /// Name of the component.
    pub name: String,
    /// The component; a fault when nobody can speak for the resource.
    pub component: Result<Bridge, Fault>,
    /// Pokes the component.
    pub poke: Poke,
    /// One line for people: driver, address, identity, mode.
    pub headline: String,
    /// What an operator should know before the run.
    pub remarks: Vec<String>,
}

/// A device could not be made, or must not be driven from here.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It could not be made.
    #[error("device {device}: {source}")]
    Open {
        /// The device.
        device: String,
        /// Why.
        source: OpenError,
    },
    /// Somebody else drives it.
    #[error("device {device}: {source}")]
    Locked {
        /// The device.
        device: String,
        /// Who.
        source: LockError,
    },
}

impl Gateway {
    /// Opens every device and waits, at most as long as each allows, until it has been read once. Nothing is written.
    ///
    /// # Errors
    /// When a simulated device cannot be made, or a device that may be written to is driven by another process. A device
    /// that does not answer is no error: its component's fault says so on the bus, or its twin stands in.
    pub async fn start(
        settings: Vec<DeviceSettings>,
        surroundings: Surroundings,
    ) -> Result<(Self, Vec<StartedDevice>), StartError> {
        let total = Total::new(surroundings.total);
        let doubts = NetworkDoubts::default();
        let mut devices = Vec::new();
        let mut opened = Vec::new();
        for device in settings {
            devices.push(open(&device, &surroundings).await?);
            opened.push(device);
        }
        let mut started = Vec::new();
        for (running, device) in devices.iter_mut().zip(&opened) {
            started.push(running.join(device, &surroundings, &total, &doubts).await);
            running.standing = running.task.handle().image().description.as_ref().and_then(|it| it.standing);
        }
        Ok((Self { devices }, started))
    }

    /// The devices as somebody beside the bus may control them.
    #[must_use]
    pub fn controls(&self) -> Vec<Controlled> {
        let control = |device: &Running| Controlled {
            name: device.name.clone(),
            source: device.source,
            device: device.task.handle(),
            switch: device.switch.clone(),
            has_twin: device.twin.is_some(),
            lock: device.lock.clone(),
        };
        self.devices.iter().map(control).collect()
    }

    /// Puts every device into its safe state, all at once, and tells what became of each.
    pub async fn end(self) -> Vec<DeviceReport> {
        let end = |device: Running| (device.name.clone(), tokio::spawn(device.end()));
        let ends: Vec<_> = self.devices.into_iter().map(end).collect();
        let mut reports = Vec::new();
        for (name, end) in ends {
            match end.await {
                Ok(report) => reports.push(report),
                Err(error) => {
                    tracing::error!(device = %name, %error, "no report: it may still hold a command")
                }
            }
        }
        reports
    }
}

async fn open(settings: &DeviceSettings, surroundings: &Surroundings) -> Result<Running, StartError> {
    let Surroundings { clock, metrics, audit, .. } = surroundings;
    let failed = |source| StartError::Open { device: settings.name.clone(), source };
    let lock = DeviceLocker::new(settings);
    if settings.mode != Mode::ReadOnly {
        lock.take().map_err(|source| StartError::Locked { device: settings.name.clone(), source })?;
    }
    let opened = settings
        .opener
        .open(&settings.address, settings.twin.as_ref(), settings.request_timeout, clock)
        .await
        .map_err(failed)?;
    let journal = Journal::default();
    let measures = Measures::new(&settings.name, metrics);
    let observer = Told {
        name: settings.name.clone(),
        journal: journal.clone(),
        measures: measures.clone(),
        audit: audit.clone(),
        clock: clock.clone(),
    };
    let task = DeviceTask::start(opened.device, task_settings(settings), clock.clone(), observer.observer());
    // There whenever there is a plant for it: an operator may ask for it, whatever the policy.
    let twin = match &settings.twin {
        Some(twin) => {
            let plant = twin.plant().map_err(|error| failed(error.into()))?;
            Some(start_twin(LivePlant::new(plant, clock.clone()), settings, clock))
        }
        None => None,
    };
    Ok(Running {
        name: settings.name.clone(),
        protocol: settings.driver.to_owned(),
        address: opened.address,
        source: settings.address.source(),
        mode: settings.mode,
        safe_state: settings.safe_state,
        standing: None,
        journal,
        measures,
        switch: SourceSwitch::default(),
        lock,
        task,
        twin,
        terminals: opened.terminals,
        simulator: opened.simulator,
    })
}

/// Takes the right to drive a device from beside a gateway; `None` for a device that nobody else can reach.
///
/// # Errors
/// When another process drives it.
pub fn lock_device(settings: &DeviceSettings) -> Result<Option<DeviceLock>, LockError> {
    DeviceLocker::new(settings).endpoint.as_deref().map(DeviceLock::take).transpose()
}

/// The right to drive a device, which is taken when it is first to be driven.
#[derive(Clone)]
pub(crate) struct DeviceLocker {
    /// Absent for devices that nobody else can reach.
    endpoint: Option<String>,
    lock: Arc<Mutex<Option<DeviceLock>>>,
}

impl DeviceLocker {
    fn new(settings: &DeviceSettings) -> Self {
        let endpoint = match &settings.address {
            Address::Simulated => None,
            Address::At(address) => Some(settings.opener.endpoint(address)),
        };
        Self { endpoint, lock: Arc::default() }
    }

    pub(crate) fn take(&self) -> Result<(), LockError> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(endpoint), None) = (&self.endpoint, &*lock) {
            *lock = Some(DeviceLock::take(endpoint)?);
        }
        Ok(())
    }
}

fn task_settings(settings: &DeviceSettings) -> TaskSettings {
    TaskSettings {
        mode: settings.mode,
        armed_for: settings.armed_for,
        write_interval: settings.write_interval,
        poll_interval: settings.poll_interval,
        job_timeout: settings.request_timeout * 4,
        write_timeout: write_timeout(settings),
        connect_timeout: settings.request_timeout * 40,
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(5),
        safe_state: settings.safe_state,
        // Beyond the time that a write of unknown outcome may still take effect.
        release_within: Duration::from_secs(2) + write_timeout(settings),
    }
}

/// A SunSpec inverter is told by up to 16 requests, most of which take much less than the longest time; an IED may take
/// 5 s to end a command with enhanced security (IEC 61850-7-2).
fn write_timeout(settings: &DeviceSettings) -> Duration {
    settings.request_timeout * 8 + Duration::from_secs(6)
}

/// The twin follows every setpoint from the start, so that it is where the device would be.
fn start_twin(plant: LivePlant<Plant>, settings: &DeviceSettings, clock: &SharedClock) -> RunningTwin {
    let settings = TaskSettings {
        mode: Mode::Armed,
        armed_for: None,
        write_interval: Duration::ZERO,
        safe_state: SafeState::Hold,
        ..task_settings(settings)
    };
    let device = Box::new(SimulatedDevice::new(plant.clone(), clock.clone()));
    RunningTwin { task: DeviceTask::start(device, settings, clock.clone(), Box::new(|_| {})), plant }
}

/// What is left of a command that is held, given the device's own fail-safe in words.
fn hold(fail_safe: &str) -> String {
    if fail_safe.starts_with("none") {
        return "holding its last command, as configured".into();
    }
    format!("holding its last command, as configured, until its own timer acts: {fail_safe}")
}

/// What does not fit between what a device is to follow and what it is.
fn remark_of_following(settings: &DeviceSettings, description: &Description) -> Option<String> {
    let follows = settings.follows.as_ref()?;
    let takes_voltage = description.capabilities.voltage.is_some();
    match follows.by {
        FollowBy::Setpoint if !takes_voltage => Some(format!(
            "follows bus {} by its voltage setpoint, and takes none: nothing will be followed",
            follows.bus
        )),
        FollowBy::Terminals if settings.address != Address::Simulated => Some(format!(
            "its twin alone follows bus {}; the device has the voltage that it has",
            follows.bus
        )),
        FollowBy::Setpoint | FollowBy::Terminals => None,
    }
}

impl Running {
    async fn join(
        &self,
        settings: &DeviceSettings,
        surroundings: &Surroundings,
        total: &Total,
        doubts: &NetworkDoubts,
    ) -> StartedDevice {
        let Surroundings { timing, clock, audit, .. } = surroundings;
        let handle = self.task.handle();
        let answers = handle.first_reading(settings.start_within).await;
        let bridge = self.bridge_settings(settings, *timing);
        let mut guard = Guard::new(
            &self.name,
            settings.safety,
            bridge.ageing,
            bridge.dead_man,
            total.clone(),
            audit.clone(),
        );
        // What is known already counts before the first setpoint.
        for notice in guard.observe(&handle.image(), clock.now()) {
            self.journal.noticed(notice);
        }
        let guard = SharedGuard::new(guard);
        let poke = Poke::new();
        let (journal, measures) = (self.journal.clone(), self.measures.clone());
        let watching = watch(handle.clone(), guard.clone(), journal.clone(), clock.clone(), poke.clone());
        tokio::spawn(watching);
        let component = match Fallback::start(settings.fallback, settings.back_after, answers) {
            Some(fallback) => {
                let twin = self.twin.as_ref();
                let twin = twin.map(|it| Twin { device: it.task.handle(), plant: it.plant.clone() });
                let (device, switch, audit) = (handle.clone(), self.switch.clone(), audit.clone());
                let following = settings.follows.clone();
                let following = following.map(|it| Following::new(it, settings.node, doubts.clone()));
                let of_twin = self.twin.as_ref().map(|it| it.plant.terminals());
                let terminals = self.terminals.iter().cloned().chain(of_twin).collect();
                let equipment = Equipment {
                    device,
                    guard,
                    journal,
                    measures,
                    switch,
                    audit,
                    twin,
                    fallback,
                    following,
                    terminals,
                };
                Ok(Bridge::new(bridge, clock.clone(), equipment))
            }
            None => Err(Fault::new(format!(
                "{}: {} at {} did not answer within {} s ({}), and fallback is `never`",
                self.name,
                self.protocol,
                self.address,
                settings.start_within.as_secs_f64(),
                handle.image().last_error.as_deref().unwrap_or("no error")
            ))),
        };
        StartedDevice {
            name: self.name.clone(),
            component,
            poke,
            headline: self.headline(&handle),
            remarks: self.remarks(settings, *timing, &handle, answers),
        }
    }

    fn bridge_settings(&self, settings: &DeviceSettings, timing: Timing) -> BridgeSettings {
        // A value of the epoch before is not this epoch's.
        let usual = settings.poll_interval * 2 + settings.request_timeout;
        let stale_after = timing.period.map_or(usual, |period| usual.min(period));
        BridgeSettings {
            name: self.name.clone(),
            category: settings.category.clone(),
            customer_id: settings.customer_id.clone(),
            node: settings.node,
            source: self.source,
            ageing: Ageing { stale_after, lost_after: stale_after * 3 },
            dead_man: settings.dead_man.unwrap_or_else(|| timing.dead_man()),
            unsaid: timing.share(settings.request_timeout),
            request_timeout: settings.request_timeout,
        }
    }

    fn headline(&self, handle: &DeviceHandle) -> String {
        let (identity, profile, _) = description_of(&handle.image());
        let source = if self.source == Source::Simulated { " (simulated)" } else { "" };
        let found =
            [identity, profile].iter().filter(|it| !it.is_empty()).cloned().collect::<Vec<_>>().join(", ");
        format!("{} {}{source} {} {found}", self.protocol, self.address, self.mode.as_str())
    }

    fn remarks(
        &self,
        settings: &DeviceSettings,
        timing: Timing,
        handle: &DeviceHandle,
        answers: bool,
    ) -> Vec<String> {
        let image = handle.image();
        let mut remarks = Vec::new();
        if !answers {
            remarks.push(format!("does not answer: {}", image.last_error.as_deref().unwrap_or("no error")));
        }
        if let Some(standing) = image.description.as_ref().and_then(|it| it.standing) {
            remarks.push(format!("holds {} from an earlier controller", convert::describe(&standing)));
        }
        if let (Some(dead_man), Some(period)) = (settings.dead_man, timing.period)
            && dead_man <= period
        {
            let (hold, length) = (dead_man.as_secs_f64(), period.as_secs_f64());
            remarks.push(format!(
                "setpoints hold for {hold} s, epochs last {length} s: it will be released in every epoch; raise dead_man_s"
            ));
        }
        if settings.category.is_some()
            && image.readings > 0
            && !image.points.contains_key(point::REACTIVE_POWER)
        {
            remarks.push("measures no reactive power: its results have 0 in its place".to_owned());
        }
        if let Some(description) = &image.description {
            remarks.extend(remark_of_following(settings, description));
        }
        if self.mode == Mode::Armed && self.source == Source::Field && image.description.is_some() {
            let (_, _, fail_safe) = description_of(&image);
            remarks.push(format!("if gridloop is killed, the device's own fail-safe counts: {fail_safe}"));
        }
        if let (Mode::Armed, Some(time)) = (self.mode, settings.armed_for) {
            let hours = time.as_secs_f64() / 3600.0;
            remarks.push(format!("armed for {hours:.1} h; `gridloop device arm {}` renews it", self.name));
        }
        remarks
    }

    async fn end(self) -> DeviceReport {
        let handle = self.task.handle();
        let standing = self.standing;
        let left = self.task.end().await;
        if let Some(twin) = self.twin {
            twin.task.end().await;
        }
        let (identity, profile, fail_safe) = description_of(&handle.image());
        let left = match left {
            Left::Untouched => "untouched".into(),
            Left::Released if self.safe_state == SafeState::Hold => hold(&fail_safe),
            Left::Released => "released".into(),
            Left::Unknown(why) => format!("unknown: {why}"),
        };
        let facts = Facts {
            id: self.name,
            protocol: self.protocol,
            address: self.address,
            source: if self.source == Source::Simulated { "simulated" } else { "field" }.into(),
            mode: self.mode.as_str().into(),
            identity,
            profile,
            fail_safe,
            standing: standing.as_ref().map(convert::describe),
            left,
        };
        drop(self.simulator);
        self.journal.report(facts, &handle.statistics(), &self.measures)
    }
}
