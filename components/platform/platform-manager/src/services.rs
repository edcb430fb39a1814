//! The parts of a run: started together by `gridloop run`, or one by one over a broker by `gridloop manager`,
//! `gridloop gateway` and `gridloop component`.

use crate::check::refuse;
use crate::cli::ServiceArgs;
use crate::configuration::{ComponentKind, ComponentSettings, Configuration};
use crate::context::{Context, FAILED, runtime};
use crate::run::bounded;
use anyhow::{Context as _, bail};
use gridloop_bus::{Bus, BusUrl, Event, Subscribe, WhenFull, run_exchange};
use gridloop_clock::SharedClock;
use gridloop_component::{Component, Fault, Identity, Poke, join};
use gridloop_gateway::{Gateway, StartedDevice, Timing};
use gridloop_messages::SimulationId;
use gridloop_realtime_manager::{Outcome, Pace, PacerThread};
use gridloop_resources::{SetpointSeries, StaticTimeSeries};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Opens the bus of a run.
pub(crate) async fn bus_for(
    configuration: &Configuration,
    id: &SimulationId,
    name: &str,
    clock: &SharedClock,
) -> anyhow::Result<Bus> {
    let exchange = run_exchange(&configuration.bus.exchange_prefix, &id.compact());
    let url = &configuration.bus.url;
    Bus::connect(url, &exchange, name, clock.clone()).await.with_context(|| format!("bus {url}"))
}

/// The components of a run, at work.
pub(crate) struct Parts {
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Parts {
    /// Joins every component to the bus. When this returns, all of them listen.
    pub(crate) async fn join(
        components: Vec<ComponentSettings>,
        devices: Vec<StartedDevice>,
        id: &SimulationId,
        bus: &Bus,
        clock: &SharedClock,
    ) -> anyhow::Result<Self> {
        let parts = Self { tasks: TaskTracker::new(), cancel: CancellationToken::new() };
        for component in components {
            let made = make(&component);
            parts.add(component.name, made, Poke::new(), id, bus, clock).await?;
        }
        for device in devices {
            let made = device.component.map(|bridge| Box::new(bridge) as Box<dyn Component>);
            parts.add(device.name, made, device.poke, id, bus, clock).await?;
        }
        Ok(parts)
    }

    async fn add(
        &self,
        name: String,
        component: Result<Box<dyn Component>, Fault>,
        poke: Poke,
        id: &SimulationId,
        bus: &Bus,
        clock: &SharedClock,
    ) -> anyhow::Result<()> {
        let identity = Identity { name, simulation_id: id.clone() };
        let joined = join(component, identity, bus.session(), clock.clone()).await?;
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            if let Err(error) = joined.run(poke, cancel).await {
                tracing::error!("{error:#}");
            }
        });
        Ok(())
    }

    /// Waits until all have ended by the manager's word, and ends those that have not.
    pub(crate) async fn end(self, clock: &SharedClock, within: Duration) {
        self.tasks.close();
        if !bounded(clock, within, self.tasks.wait()).await {
            self.cancel.cancel();
            bounded(clock, within, self.tasks.wait()).await;
        }
    }

    /// Waits until all have ended, or `stop` is cancelled; then ends them.
    async fn serve(self, stop: &CancellationToken) {
        self.tasks.close();
        // The signal first: it must not wait for components that never end.
        tokio::select! {
            biased;
            () = stop.cancelled() => self.cancel.cancel(),
            () = self.tasks.wait() => {}
        }
        self.tasks.wait().await;
    }
}

fn make(component: &ComponentSettings) -> Result<Box<dyn Component>, Fault> {
    let fault = |error: gridloop_resources::SeriesError| Fault::caused_by(&error);
    Ok(match &component.kind {
        ComponentKind::StaticTimeSeries(settings) => {
            Box::new(StaticTimeSeries::new(&component.name, settings).map_err(fault)?)
        }
        ComponentKind::SetpointSeries(settings) => Box::new(SetpointSeries::new(settings).map_err(fault)?),
    })
}

/// Setpoints for resources that nobody in this process has. They are no error on the bus, where others may have them,
/// but an operator who mistyped a name wants to know.
pub(crate) struct Strays {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    task: JoinHandle<()>,
}

/// Topics that are told apart; beyond it they are counted together.
const MOST_TOPICS: usize = 100;

impl Strays {
    pub(crate) async fn watch(bus: &Bus, known: Vec<String>) -> anyhow::Result<Self> {
        let subscribe = Subscribe {
            name: "strays".into(),
            patterns: vec!["ControlState.#".into()],
            capacity: 1024,
            when_full: WhenFull::Shed,
        };
        let mut subscription = bus.subscribe(subscribe).await?;
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let noted = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            while let Some(event) = subscription.recv().await {
                let Event::Message(delivery) = event else { continue };
                let resource = delivery.topic.rsplit('.').next().unwrap_or_default();
                if known.iter().any(|name| name == resource) {
                    continue;
                }
                let mut counts = noted.lock().unwrap_or_else(PoisonError::into_inner);
                let topic = if counts.len() < MOST_TOPICS { &*delivery.topic } else { "other topics" };
                let count = counts.entry(topic.to_owned()).or_insert(0);
                *count += 1;
                if *count == 1 {
                    tracing::warn!(topic, "a setpoint for a resource that nobody here has");
                }
            }
        });
        Ok(Self { counts, task })
    }

    pub(crate) fn end(self) -> BTreeMap<String, u64> {
        self.task.abort();
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Loads the configuration of a service and runs `work` with it over its broker.
fn serve(
    args: &ServiceArgs,
    work: impl AsyncFnOnce(Configuration, SimulationId, Bus, &Context) -> anyhow::Result<ExitCode>,
    name: &str,
) -> anyhow::Result<ExitCode> {
    let configuration = match Configuration::load(&args.configuration) {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(refuse(&diagnostics, args.configuration.json)),
    };
    if matches!(configuration.bus.url, BusUrl::Memory) {
        bail!("a service of its own needs a broker that it shares with the others: --bus amqp://...");
    }
    let context = Context::new()?;
    let id = context.simulation_id(Some(&args.simulation_id))?;
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        context.watch_signals()?;
        let bus = bus_for(&configuration, &id, name, &context.clock).await?;
        let code = work(configuration, id, bus.clone(), &context).await;
        let _ = bus.flush().await;
        bus.close().await;
        code
    })?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(code)
}

/// `gridloop manager`
pub(crate) fn manager(args: &ServiceArgs) -> anyhow::Result<ExitCode> {
    let work = async |configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        let settings = configuration.manager_settings(&id, true);
        let pace = Pace::Thread(PacerThread::start(context.wall.clone())?);
        let cancel = context.cancel.clone();
        let clock = context.clock.clone();
        let told = |progress| tracing::info!(?progress);
        let report = gridloop_realtime_manager::run(settings, bus, clock, pace, cancel, told).await?;
        println!("{}", serde_json::to_string_pretty(&report)?);
        Ok(if report.outcome == Outcome::Failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    };
    serve(args, work, "manager")
}

/// `gridloop gateway`
pub(crate) fn gateway(args: &ServiceArgs) -> anyhow::Result<ExitCode> {
    let work = async |configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        let period = configuration.manager_settings(&id, true).period();
        let (gateway, started) =
            Gateway::start(configuration.devices, Timing { period }, &context.clock).await?;
        for device in &started {
            println!("{:<8} {}", device.name, device.headline);
        }
        let joined = Parts::join(Vec::new(), started, &id, &bus, &context.clock).await;
        let served = match joined {
            Ok(parts) => {
                parts.serve(&context.cancel).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        let devices = gateway.end().await;
        println!("{}", serde_json::to_string_pretty(&devices)?);
        served?;
        let unknown = devices.iter().any(|device| device.left.starts_with("unknown"));
        Ok(if unknown { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    };
    serve(args, work, "gateway")
}

/// `gridloop component NAME`
pub(crate) fn component(name: &str, args: &ServiceArgs) -> anyhow::Result<ExitCode> {
    let work = async |configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        let names: Vec<String> = configuration.components.iter().map(|it| it.name.clone()).collect();
        let mut components = configuration.components;
        components.retain(|component| component.name == name);
        if components.is_empty() {
            bail!("no component `{name}` in this configuration; it has {}", names.join(", "));
        }
        Parts::join(components, Vec::new(), &id, &bus, &context.clock).await?.serve(&context.cancel).await;
        Ok(ExitCode::SUCCESS)
    };
    serve(args, work, name)
}
