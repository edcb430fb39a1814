//! One run from its first device to its report: [`Session`].
//!
//! The order is the point. Everything listens before the manager speaks; devices are opened and read before that. At
//! the end, whatever the reason, the devices are put into their safe state first, then the components end, the log is
//! flushed and the report is made.

use crate::bus::BusSettings;
use crate::configuration::{ComponentKind, ComponentSettings, Configuration};
use crate::parts::{Findings, Membership, Parts, Strays};
use crate::report::{BusReport, RunReport};
use crate::verdict::Verdict;
use anyhow::{Context as _, anyhow};
use futures_util::FutureExt;
use gridloop_bus::Bus;
use gridloop_clock::SharedClock;
use gridloop_gateway::{Audit, Control, Gateway, Surroundings, Timing};
use gridloop_logging::{LogCounts, RunLog};
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_metrics::Metrics;
use gridloop_realtime_manager::{Equipment, Journal, NUMBERED_APART, Pace, Past, Progress, Report, Settings};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// How long components may take to end once the manager has.
const COMPONENTS_END_WITHIN: Duration = Duration::from_secs(5);

/// The socket by which a running gateway is told things by hand, in the folder of runs.
pub const CONTROL_SOCKET: &str = "gateway.sock";

/// The folder of the audit log, in the folder of runs.
pub const AUDIT_FOLDER: &str = "audit";

/// Steps of the run that may wait for whoever watches. Beyond that they are not told.
const PROGRESS_MAX: usize = 4096;

/// The surroundings of a run.
pub struct Session {
    /// The run's id.
    pub id: SimulationId,
    /// The bus of the run.
    pub bus: Bus,
    /// Time.
    pub clock: SharedClock,
    /// Ends the run early when cancelled.
    pub cancel: CancellationToken,
    /// Where to store the messages; `None` for nowhere.
    pub messages: Option<PathBuf>,
    /// Where epochs are written down before they begin; `None` for nowhere. One with a run in it is gone on with.
    pub journal: Option<Journal>,
    /// Where the audit log of the devices and the gateway's socket are, beside the runs; `None` for nowhere.
    pub gateway_folder: Option<PathBuf>,
    /// Where measurements are shown.
    pub metrics: Metrics,
    /// Where everything runs that nothing of the run waits for; `None` for the session's own runtime.
    pub background: Option<Handle>,
}

/// What a run tells while it goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A device has been opened: its name, and a line about it.
    Device {
        /// Its name.
        name: String,
        /// Driver, address, mode and identity.
        headline: String,
        /// What an operator should know before the run.
        remarks: Vec<String>,
    },
    /// The manager's progress.
    Progress(Progress),
}

impl Session {
    /// A run that leaves nothing behind but its report.
    #[must_use]
    pub fn new(id: SimulationId, bus: Bus, clock: SharedClock, cancel: CancellationToken) -> Self {
        let metrics = Metrics::default();
        Self {
            id,
            bus,
            clock,
            cancel,
            messages: None,
            journal: None,
            gateway_folder: None,
            metrics,
            background: None,
        }
    }

    /// Runs the configuration to its end, `tell`ing what happens, which must not wait. `pace` waits for the epoch instants.
    ///
    /// # Errors
    /// When the run could not be begun, or its bus or manager broke off. The devices have been released then too.
    pub async fn run(
        mut self,
        pace: Pace,
        configuration: Configuration,
        mut tell: impl FnMut(Told),
    ) -> anyhow::Result<RunReport> {
        let started_at = Timestamp::from(self.clock.utc()).to_string();
        let settings = configuration.manager_settings(&self.id, false);
        let period = settings.period();
        let background = self.background.clone().unwrap_or_else(Handle::current);
        let log = match &self.messages {
            Some(path) => {
                let (bus, clock, paced) = (self.bus.session(), self.clock.clone(), period.is_some());
                Some(RunLog::start_on(&background, path, &bus, clock, paced).await?)
            }
            None => None,
        };
        let Configuration {
            components,
            devices,
            total,
            bus: BusSettings { url, .. },
            simulation,
            overrides,
            ..
        } = configuration;
        if devices.is_empty() {
            self.gateway_folder = None;
        }
        let audit = match &self.gateway_folder {
            Some(folder) => {
                let folder = folder.join(AUDIT_FOLDER);
                Audit::open(&folder, &self.id.to_string(), self.clock.clone())
                    .with_context(|| format!("cannot keep the audit log in {}", folder.display()))?
            }
            None => Audit::none(self.clock.clone()),
        };
        let surroundings = Surroundings {
            timing: Timing { period },
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            audit,
            total,
        };
        let (gateway, started) = Gateway::start(devices, surroundings).await?;
        let _control = self.control(&gateway, &background);
        for device in &started {
            let (name, headline, remarks) =
                (device.name.clone(), device.headline.clone(), device.remarks.clone());
            tell(Told::Device { name, headline, remarks });
        }
        let known =
            settings.components.iter().cloned().chain(components.iter().flat_map(taken_for)).collect();
        let strays = Strays::watch(&self.bus.session(), known, &background).await;
        let journal = self.journal.take();
        let processes = journal.as_ref().and_then(Journal::past).map_or(0, Past::processes);
        let membership = Membership {
            manager: Some(settings.name.clone()),
            openings: pace.sharp_clock(),
            numbered_from: processes.saturating_mul(NUMBERED_APART),
            ..Membership::new(&self.id, &self.bus, &self.clock)
        };
        let equipment = Equipment { pace, journal, metrics: self.metrics.clone() };
        let start_at = settings.start_at;
        let joined = Parts::join(components, started, membership).await;
        let (managed, parts) = match joined {
            Ok(parts) => {
                // Not even a panic keeps the devices from being released.
                let managed =
                    AssertUnwindSafe(self.manage(settings, equipment, &mut tell)).catch_unwind().await;
                (managed.unwrap_or_else(|_| Err(anyhow!("the run broke off: a bug"))), Some(parts))
            }
            Err(error) => (Err(error), None),
        };
        let devices = gateway.end().await;
        let components = match parts {
            Some(parts) => parts.end(&self.clock, COMPONENTS_END_WITHIN).await,
            None => Findings::new(),
        };
        let _ = self.bus.flush().await;
        let log = match log {
            Some(log) => log.finish().await,
            None => LogCounts::default(),
        };
        let statistics = self.bus.statistics();
        self.bus.close().await;
        let manager = managed.with_context(|| {
            let left = devices.iter().map(|device| format!("{} was left {}", device.id, device.left));
            format!("the run broke off; {}", left.collect::<Vec<_>>().join(", "))
        })?;
        let bus = BusReport::new(url.to_string(), &statistics);
        Ok(RunReport {
            verdict: Verdict::on(&manager, start_at, &devices, &components, &log, &bus),
            gridloop: env!("CARGO_PKG_VERSION"),
            simulation_id: self.id.to_string(),
            name: simulation.name,
            overrides,
            started_at,
            ended_at: Timestamp::from(self.clock.utc()).to_string(),
            manager,
            components,
            devices,
            setpoints_for_nobody: strays.map(Strays::end)?,
            log,
            bus,
        })
    }

    /// Lets the gateway be told things by hand. A run that cannot be told anything is a run all the same.
    fn control(&self, gateway: &Gateway, background: &Handle) -> Option<Control> {
        let path = self.gateway_folder.as_ref()?.join(CONTROL_SOCKET);
        let _on_background = background.enter();
        Control::serve(&path, gateway.controls(), self.clock.clone())
            .inspect_err(|error| tracing::warn!("this run cannot be told anything by hand: {error}"))
            .ok()
    }

    /// Runs the manager in a task of its own, so that whoever watches does not slow it down.
    async fn manage(
        &self,
        settings: Settings,
        equipment: Equipment,
        tell: &mut impl FnMut(Told),
    ) -> anyhow::Result<Report> {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(PROGRESS_MAX);
        let manager = gridloop_realtime_manager::run(
            settings,
            self.bus.session(),
            self.clock.clone(),
            equipment,
            self.cancel.clone(),
            move |progress| {
                // Who watches slower than the run goes sees less of it; the report has everything.
                let _ = sender.try_send(progress);
            },
        );
        let manager = tokio::spawn(manager);
        while let Some(progress) = receiver.recv().await {
            tell(Told::Progress(progress));
        }
        manager.await.context("the manager broke off")?.map_err(Into::into)
    }
}

/// What else than itself a component takes setpoints for.
fn taken_for(component: &ComponentSettings) -> Vec<String> {
    match &component.kind {
        ComponentKind::Grid(kind) => kind.takes_setpoints_for(),
        _ => Vec::new(),
    }
}
