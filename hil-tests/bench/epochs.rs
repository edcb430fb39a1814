//! Whole unpaced runs: the real manager and real components, each of which publishes one ResourceState in every epoch.
//!
//! The floor in memory is a barrier of tasks over channels, without messages; over RabbitMQ it is a barrier over plain
//! AMQP with as many messages as the run has.

use crate::figure::{Figure, alternate, per_second};
use anyhow::{Context, ensure};
use gridloop_bus::bare::{Barrier, barrier};
use gridloop_bus::{Bus, BusUrl, Connect, Exchange, Subscribe, WhenFull};
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_component::{Component, Fault, Identity, OpenEpoch, Output, Poke, Step, join};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{Body, Message, ResourceState, SimulationId, Timestamp, topic};
use gridloop_realtime_manager::{Outcome, Overrun, Pace, Progress, Report, Settings, Speed, StartAt};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const MEMORY: &str = "epochs_per_s_memory_50";
const UNIT: &str = "epochs/s";

/// Components of the run in memory.
const MEMORY_SIZE: usize = 50;
/// Measured epochs of a block in memory.
const MEMORY_EPOCHS: u32 = 4000;
/// Messages of a block over AMQP, about.
const AMQP_MESSAGES: usize = 12_000;
/// Epochs before the measured ones.
pub(crate) const WARM_UP: u32 = 20;
/// Bytes of a message of the floor: what Epoch, ResourceState and Status have on average.
pub(crate) const BODY_BYTES: usize = 500;

pub(crate) async fn in_memory(clock: &SharedClock) -> anyhow::Result<Figure> {
    let work = async || Ok(epochs_per_s(&Bus::memory(None), MEMORY_SIZE, MEMORY_EPOCHS, clock).await?.0);
    let floor = async || rounds_per_s(MEMORY_SIZE, MEMORY_EPOCHS, clock).await;
    alternate(MEMORY, UNIT, work, floor).await
}

pub(crate) async fn over_amqp(name: &str, size: usize, clock: &SharedClock) -> anyhow::Result<Figure> {
    let broker = tokio::task::block_in_place(RabbitMq::start)?;
    let url: BusUrl = broker.url().parse()?;
    let BusUrl::Amqp(plain) = &url else { anyhow::bail!("{url} is no broker") };
    let rounds = u32::try_from(AMQP_MESSAGES / (2 * size + 1))?;
    let work = async || {
        let connect = Connect::new(url.clone(), Exchange::run("procem.bench"), "bench");
        let bus = Bus::connect(&connect, clock.clone()).await?;
        let rate = epochs_per_s(&bus, size, rounds, clock).await;
        bus.close().await;
        Ok(rate?.0)
    };
    let floor = async || {
        let measured = Barrier { participants: size, body_bytes: BODY_BYTES, warm_up: WARM_UP, rounds };
        let taken = barrier(plain, "procem.floor", measured, &**clock).await?;
        Ok(per_second(rounds, taken))
    };
    alternate(name, UNIT, work, floor).await
}

/// A run of `size` components. What they publish has a listener, as it has in every real run.
pub(crate) async fn epochs_per_s(
    bus: &Bus,
    size: usize,
    epochs: u32,
    clock: &SharedClock,
) -> anyhow::Result<(f64, Report)> {
    let simulation_id = SimulationId::new(Timestamp::from(clock.utc()));
    let listening = Subscribe {
        name: "listener".into(),
        patterns: vec!["ResourceState.#".into()],
        capacity: 1 << 16,
        when_full: WhenFull::Wait,
    };
    let mut results = bus.session().subscribe(listening).await?;
    let listener = tokio::spawn(async move { while results.recv().await.is_some() {} });
    let names: Vec<String> = (1..=size).map(|n| format!("load{n}")).collect();
    let mut components = JoinSet::new();
    for name in &names {
        let identity = Identity {
            name: name.clone(),
            simulation_id: simulation_id.clone(),
            manager: None,
            numbered_from: 0,
        };
        let load = Load { topic: topic::resource_state("Load", name) };
        let joined = join(load, identity, bus.session(), clock.clone()).await?;
        components.spawn(joined.run(Poke::new(), CancellationToken::new()));
    }
    let (first, last) = (u64::from(WARM_UP) + 1, u64::from(WARM_UP + epochs));
    let (sender, mut instants) = mpsc::unbounded_channel();
    let now = clock.clone();
    let watch = move |progress: Progress| {
        let instant = match progress {
            Progress::EpochStarted { number, .. } => number == first,
            Progress::EpochCompleted { number, .. } => number == last,
            _ => false,
        };
        if instant {
            // The receiver outlives the run.
            let _ = sender.send(now.now());
        }
    };
    let settings = settings(simulation_id, names, last);
    let pace = Pace::Clock(clock.clone());
    let cancel = CancellationToken::new();
    let manager =
        gridloop_realtime_manager::run(settings, bus.session(), clock.clone(), pace.into(), cancel, watch);
    let report = tokio::spawn(manager).await??;
    ensure!(report.outcome == Outcome::Completed, "the run did not complete: {}", report.reason);
    while let Some(ended) = components.join_next().await {
        ended??;
    }
    listener.abort();
    let began = instants.recv().await.context("the first epoch did not begin")?;
    let ended = instants.recv().await.context("the last epoch did not end")?;
    Ok((per_second(epochs, ended.since(began)), report))
}

fn settings(simulation_id: SimulationId, components: Vec<String>, epochs: u64) -> Settings {
    let initial_start_time = Timestamp::from(chrono::DateTime::UNIX_EPOCH);
    Settings {
        name: "manager".into(),
        simulation_id,
        simulation_name: "benchmark".into(),
        description: String::new(),
        components,
        initial_start_time,
        epoch_length: Duration::from_secs(900),
        epochs,
        speed: Speed::Max,
        overrun: Overrun::Stretch,
        start_at: StartAt::Now,
        start_delay: Duration::ZERO,
        resend_interval: Duration::from_secs(120),
        max_resends: 5,
        late_tolerance: None,
        release_lead: Duration::ZERO,
    }
}

/// The smallest load.
struct Load {
    topic: String,
}

impl Component for Load {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, _: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        let state = ResourceState {
            customer_id: "house".into(),
            real_power_kw: -1.25,
            reactive_power_kvar: -0.25,
            node: None,
            state_of_charge_percent: None,
        };
        Ok(Step::Done(vec![Output::new(self.topic.clone(), Body::ResourceState(state))]))
    }
}

/// A barrier of `size` tasks over channels: a number goes to all of them, each sends it back.
async fn rounds_per_s(size: usize, rounds: u32, clock: &SharedClock) -> anyhow::Result<f64> {
    let (starts, _) = broadcast::channel(4);
    let (answer, mut answers) = mpsc::channel(2 * size);
    for _ in 0..size {
        let (mut starts, answer) = (starts.subscribe(), answer.clone());
        tokio::spawn(async move {
            while let Ok(round) = starts.recv().await {
                if answer.send(round).await.is_err() {
                    return;
                }
            }
        });
    }
    // In a task of its own, as the manager is.
    let clock = clock.clone();
    let publisher = tokio::spawn(async move {
        let mut measured_from = clock.now();
        for round in 0..WARM_UP + rounds {
            if round == WARM_UP {
                measured_from = clock.now();
            }
            starts.send(round).ok().context("nobody listens")?;
            for _ in 0..size {
                ensure!(answers.recv().await == Some(round), "an answer of another round");
            }
        }
        Ok(clock.now().since(measured_from))
    });
    Ok(per_second(rounds, publisher.await??))
}
