//! The parts of a run besides its manager: [`Parts`], the components at work, and [`Strays`], the setpoints for nobody.

use crate::configuration::{ComponentKind, ComponentSettings, Configuration};
use anyhow::Context as _;
use gridloop_bus::{Bus, Event, Exchange, Subscribe, WhenFull, run_exchange};
use gridloop_clock::{SharedClock, until};
use gridloop_component::{Component, Fault, Identity, Poke, join};
use gridloop_dummies::iteration::{DroopGenerator, VoltageDependentLoad};
use gridloop_dummies::{Dummy, SimpleComponent};
use gridloop_gateway::StartedDevice;
use gridloop_messages::SimulationId;
use gridloop_resources::{SetpointSeries, StaticTimeSeries};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Opens the bus of a run.
///
/// # Errors
/// When the broker cannot be used; the text says why.
pub async fn bus_for(
    configuration: &Configuration,
    id: &SimulationId,
    name: &str,
    clock: &SharedClock,
) -> anyhow::Result<Bus> {
    let exchange = run_exchange(&configuration.bus.exchange_prefix, &id.compact());
    let connect = configuration.bus.connect(Exchange::run(exchange), name);
    Bus::connect(&connect, clock.clone()).await.with_context(|| format!("bus {}", connect.url))
}

/// How long components may take to end once they are told to.
const END_WITHIN: Duration = Duration::from_secs(5);

/// What a component needs to take part in a run.
#[derive(Clone)]
pub struct Membership {
    /// The run.
    pub id: SimulationId,
    /// The manager that is obeyed; where its name is not known, whoever speaks as one.
    pub manager: Option<String>,
    /// The bus of the run.
    pub bus: Bus,
    /// Time.
    pub clock: SharedClock,
    /// Waits for the instants of epochs whose messages come before them.
    pub openings: SharedClock,
    /// Messages are numbered from one more than this.
    pub numbered_from: u64,
}

impl Membership {
    /// Of a process that knows no more of the run than its id.
    #[must_use]
    pub fn new(id: &SimulationId, bus: &Bus, clock: &SharedClock) -> Self {
        Self {
            id: id.clone(),
            manager: None,
            bus: bus.clone(),
            clock: clock.clone(),
            openings: clock.clone(),
            numbered_from: 0,
        }
    }
}

/// The components of a run, at work.
pub struct Parts {
    membership: Membership,
    tasks: TaskTracker,
    cancel: CancellationToken,
    broken_off: Arc<AtomicBool>,
    findings: Arc<Mutex<Findings>>,
}

/// What components have found out in the course of a run, by their names.
pub type Findings = BTreeMap<String, serde_json::Value>;

impl Parts {
    /// Joins every component to the bus. When this returns, all of them listen.
    ///
    /// # Errors
    /// When the bus cannot be listened to.
    pub async fn join(
        components: Vec<ComponentSettings>,
        devices: Vec<StartedDevice>,
        membership: Membership,
    ) -> anyhow::Result<Self> {
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let parts = Self { membership, tasks, cancel, broken_off: Arc::default(), findings: Arc::default() };
        for component in components {
            let made = make(&component);
            parts.add(component.name, made, Poke::new()).await?;
        }
        for device in devices {
            let made = device.component.map(|bridge| Box::new(bridge) as Box<dyn Component>);
            parts.add(device.name, made, device.poke).await?;
        }
        Ok(parts)
    }

    async fn add(
        &self,
        name: String,
        component: Result<Box<dyn Component>, Fault>,
        poke: Poke,
    ) -> anyhow::Result<()> {
        let Membership { id, manager, bus, clock, openings, numbered_from } = self.membership.clone();
        let findings = Arc::clone(&self.findings);
        let note = {
            let name = name.clone();
            move |found| {
                findings.lock().unwrap_or_else(PoisonError::into_inner).insert(name, found);
            }
        };
        let identity = Identity { name, simulation_id: id, manager, numbered_from };
        let joined =
            join(component, identity, bus.session(), clock).await?.opening_by(openings).telling(note);
        let (cancel, broken_off) = (self.cancel.clone(), Arc::clone(&self.broken_off));
        self.tasks.spawn(async move {
            if let Err(error) = joined.run(poke, cancel).await {
                tracing::error!("{error:#}");
                broken_off.store(true, Ordering::Release);
            }
        });
        Ok(())
    }

    /// Waits until all have ended by the manager's word, and ends those that have not. What they found out.
    pub async fn end(self, clock: &SharedClock, within: Duration) -> Findings {
        self.tasks.close();
        if until(clock.as_ref(), clock.now() + within, self.tasks.wait()).await.is_none() {
            self.cancel.cancel();
            until(clock.as_ref(), clock.now() + within, self.tasks.wait()).await;
        }
        std::mem::take(&mut self.findings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until all have ended, or `stop` is cancelled; then ends them. Whether none of them broke off.
    pub async fn serve(self, stop: &CancellationToken) -> bool {
        self.tasks.close();
        // The signal first: it must not wait for components that never end.
        tokio::select! {
            biased;
            () = stop.cancelled() => self.cancel.cancel(),
            () = self.tasks.wait() => {}
        }
        // Who hangs on a broker that is gone must not keep devices from being released.
        let clock = &self.membership.clock;
        let ended = until(clock.as_ref(), clock.now() + END_WITHIN, self.tasks.wait()).await;
        ended.is_some() && !self.broken_off.load(Ordering::Acquire)
    }
}

fn make(component: &ComponentSettings) -> Result<Box<dyn Component>, Fault> {
    let fault = |error: gridloop_resources::SeriesError| Fault::caused_by(&error);
    Ok(match &component.kind {
        ComponentKind::StaticTimeSeries(settings) => {
            Box::new(StaticTimeSeries::new(&component.name, settings).map_err(fault)?)
        }
        ComponentKind::SetpointSeries(settings) => Box::new(SetpointSeries::new(settings).map_err(fault)?),
        ComponentKind::Resource(kind) => kind.make(&component.name)?,
        ComponentKind::Grid(kind) => kind.make(&component.name)?,
        ComponentKind::Market(kind) => kind.make(&component.name)?,
        ComponentKind::Congestion(kind) => kind.make(&component.name)?,
        ComponentKind::Dummy(settings) => {
            Box::new(Dummy::new(&component.name, settings.clone()).map_err(|error| Fault::caused_by(&error))?)
        }
        ComponentKind::Simple(settings) => {
            let made = SimpleComponent::new(&component.name, settings.clone());
            Box::new(made.map_err(|error| Fault::caused_by(&error))?)
        }
        ComponentKind::DroopGenerator(settings) => {
            Box::new(DroopGenerator::new(&component.name, settings.clone()))
        }
        ComponentKind::VoltageDependentLoad(settings) => {
            Box::new(VoltageDependentLoad::new(&component.name, settings.clone()))
        }
    })
}

/// Setpoints for resources that nobody in this process has. They are no error on the bus, where others may have them,
/// but an operator who mistyped a name wants to know.
pub struct Strays {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    task: JoinHandle<()>,
}

/// Topics that are told apart; beyond it they are counted together.
const MOST_TOPICS: usize = 100;

impl Strays {
    /// Watches all control messages, on the runtime `tasks`; `known` are the names of resources that have somebody here.
    ///
    /// # Errors
    /// When the bus cannot be listened to.
    pub async fn watch(bus: &Bus, known: Vec<String>, tasks: &Handle) -> anyhow::Result<Self> {
        let subscribe = Subscribe {
            name: "strays".into(),
            patterns: vec!["ControlState.#".into()],
            capacity: 1024,
            when_full: WhenFull::Shed,
        };
        let mut subscription = bus.subscribe(subscribe).await?;
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let noted = Arc::clone(&counts);
        let task = tasks.spawn(async move {
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

    /// Ends the watch; topics and how many setpoints each had.
    #[must_use]
    pub fn end(self) -> BTreeMap<String, u64> {
        self.task.abort();
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
