//! Starting and ending all devices of a run: [`Gateway`].

use crate::bridge::{Bridge, BridgeSettings, Share, description_of, poke_on_change};
use crate::convert;
use crate::drivers::OpenError;
use crate::fallback::{Fallback, FallbackPolicy};
use crate::journal::{DeviceReport, Facts, Journal};
use crate::measures::Measures;
use crate::settings::DeviceSettings;
use gridloop_clock::SharedClock;
use gridloop_component::{Fault, Poke};
use gridloop_device::{
    Ageing, Command, Device, DeviceHandle, DeviceTask, Left, Mode, Observer, Occurrence, SafeState, Source,
    TaskSettings,
};
use gridloop_metrics::Metrics;
use gridloop_plant::LivePlant;
use gridloop_simulated::SimulatedDevice;
use std::any::Any;
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
    task: DeviceTask,
    twin: Option<DeviceTask>,
    simulator: Option<Box<dyn Any + Send + Sync>>,
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

/// A device could not be made.
#[derive(Debug, thiserror::Error)]
#[error("device {device}: {source}")]
pub struct StartError {
    device: String,
    source: OpenError,
}

impl Gateway {
    /// Opens every device and waits, at most as long as each allows, until it has been read once. Nothing is written.
    /// What is measured of the devices is shown in `metrics`.
    ///
    /// # Errors
    /// When a simulated device cannot be made. A device that does not answer is no error: its component's fault says
    /// so on the bus, or its twin stands in.
    pub async fn start(
        settings: Vec<DeviceSettings>,
        timing: Timing,
        clock: &SharedClock,
        metrics: &Metrics,
    ) -> Result<(Self, Vec<StartedDevice>), StartError> {
        let mut devices = Vec::new();
        let mut opened = Vec::new();
        for device in settings {
            let running = open(&device, clock, metrics)
                .await
                .map_err(|source| StartError { device: device.name.clone(), source })?;
            devices.push(running);
            opened.push(device);
        }
        let mut started = Vec::new();
        for (running, device) in devices.iter_mut().zip(&opened) {
            started.push(running.join(device, timing, clock).await);
            running.standing = running.task.handle().image().description.as_ref().and_then(|it| it.standing);
        }
        Ok((Self { devices }, started))
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

async fn open(
    settings: &DeviceSettings,
    clock: &SharedClock,
    metrics: &Metrics,
) -> Result<Running, OpenError> {
    let opened = settings
        .opener
        .open(&settings.address, settings.twin.as_ref(), settings.request_timeout, clock)
        .await?;
    let journal = Journal::default();
    let measures = Measures::new(&settings.name, metrics);
    let task = DeviceTask::start(
        opened.device,
        task_settings(settings),
        clock.clone(),
        observer(settings.name.clone(), journal.clone(), measures.clone(), clock.clone()),
    );
    let twin = match (&settings.twin, settings.fallback) {
        (Some(twin), FallbackPolicy::OnStart | FallbackPolicy::OnLoss) => {
            let device = SimulatedDevice::new(LivePlant::new(twin.plant()?, clock.clone()), clock.clone());
            Some(start_twin(Box::new(device), settings, clock))
        }
        _ => None,
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
        task,
        twin,
        simulator: opened.simulator,
    })
}

fn task_settings(settings: &DeviceSettings) -> TaskSettings {
    TaskSettings {
        mode: settings.mode,
        armed_for: settings.armed_for,
        write_interval: settings.write_interval,
        poll_interval: settings.poll_interval,
        job_timeout: settings.request_timeout * 4,
        connect_timeout: settings.request_timeout * 40,
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(5),
        safe_state: settings.safe_state,
        // Beyond the time that a write of unknown outcome may still take effect.
        release_within: Duration::from_secs(5) + settings.request_timeout * 4,
    }
}

/// The twin follows every setpoint from the start, so that it is where the device would be.
fn start_twin(device: Box<dyn Device>, settings: &DeviceSettings, clock: &SharedClock) -> DeviceTask {
    let settings = TaskSettings { mode: Mode::Armed, safe_state: SafeState::Hold, ..task_settings(settings) };
    DeviceTask::start(device, settings, clock.clone(), Box::new(|_| {}))
}

/// Writes down and logs what happens to a device.
fn observer(name: String, journal: Journal, measures: Measures, clock: SharedClock) -> Observer {
    Box::new(move |occurrence| {
        journal.occurred(occurrence, clock.now());
        match occurrence {
            Occurrence::Connected(description) => {
                tracing::info!(device = %name, identity = %description.identity, "connected");
            }
            Occurrence::LinkLost(reason) => tracing::warn!(device = %name, %reason, "link lost"),
            Occurrence::Applied { readback, first: true, setpoint } => {
                measures.setpoint_to_device.add(clock.now().since(setpoint.received_at));
                tracing::debug!(device = %name, ?readback, "applied and read back");
            }
            Occurrence::Applied { .. } => {}
            Occurrence::Restored { .. } => {
                tracing::warn!(device = %name, "it no longer held its command; written again");
            }
            Occurrence::WouldApply(setpoint) => {
                tracing::info!(device = %name, command = ?setpoint.command, "dry run: would apply");
            }
            Occurrence::NotAccepted { reason, .. } => {
                tracing::warn!(device = %name, %reason, "setpoint refused")
            }
            Occurrence::Refused { reason, .. } => tracing::warn!(device = %name, %reason, "setpoint refused"),
            Occurrence::OutcomeUnknown(_) => tracing::warn!(device = %name, "outcome of a write unknown"),
            Occurrence::DeadMan(_) => tracing::warn!(device = %name, "no newer setpoint: releasing"),
            Occurrence::Released => tracing::info!(device = %name, "safe state confirmed"),
            Occurrence::ReleaseFailed(reason) => tracing::error!(device = %name, %reason, "release failed"),
        }
    })
}

/// What is left of a command that is held, given the device's own fail-safe in words.
fn hold(fail_safe: &str) -> String {
    if fail_safe.starts_with("none") {
        return "holding its last command, as configured".into();
    }
    format!("holding its last command, as configured, until its own timer acts: {fail_safe}")
}

impl Running {
    async fn join(&self, settings: &DeviceSettings, timing: Timing, clock: &SharedClock) -> StartedDevice {
        let handle = self.task.handle();
        let answers = handle.first_reading(settings.start_within).await;
        let poke = Poke::new();
        tokio::spawn(poke_on_change(handle.clone(), poke.clone()));
        let component = match Fallback::start(settings.fallback, answers) {
            Some(fallback) => Ok(self.bridge(settings, timing, clock, handle.clone(), fallback)),
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
            remarks: self.remarks(settings, timing, &handle, answers),
        }
    }

    fn bridge(
        &self,
        settings: &DeviceSettings,
        timing: Timing,
        clock: &SharedClock,
        device: DeviceHandle,
        fallback: Fallback,
    ) -> Bridge {
        // A value of the epoch before is not this epoch's.
        let usual = settings.poll_interval * 2 + settings.request_timeout;
        let stale_after = timing.period.map_or(usual, |period| usual.min(period));
        let bridge = BridgeSettings {
            name: self.name.clone(),
            category: settings.category.clone(),
            customer_id: settings.customer_id.clone(),
            node: settings.node,
            source: self.source,
            mode: self.mode,
            limits: settings.limits,
            ageing: Ageing { stale_after, lost_after: stale_after * 3 },
            dead_man: settings.dead_man.unwrap_or_else(|| timing.dead_man()),
            unsaid: timing.share(settings.request_timeout),
            request_timeout: settings.request_timeout,
        };
        let twin = self.twin.as_ref().map(DeviceTask::handle);
        let (journal, measures) = (self.journal.clone(), self.measures.clone());
        Bridge::new(bridge, clock.clone(), device, twin, fallback, journal, measures)
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
        if self.mode == Mode::Armed && self.source == Source::Field && image.description.is_some() {
            let (_, _, fail_safe) = description_of(&image);
            remarks.push(format!("if gridloop is killed, the device's own fail-safe counts: {fail_safe}"));
        }
        remarks
    }

    async fn end(self) -> DeviceReport {
        let handle = self.task.handle();
        let standing = self.standing;
        let left = self.task.end().await;
        if let Some(twin) = self.twin {
            twin.end().await;
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
