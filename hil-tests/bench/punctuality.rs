//! How punctual whole paced runs are: when Epoch messages leave and reach their components, how soon an overrun is told,
//! and what a long run drifts.

use crate::epochs::BODY_BYTES;
use crate::figure::{Figure, percentile_us};
use anyhow::{Context, ensure};
use gridloop_bus::bare::round_trips;
use gridloop_bus::{Bus, BusUrl, Connect, Exchange};
use gridloop_clock::{MonoTime, SharedClock, WallClock};
use gridloop_component::{Component, Fault, Identity, OpenEpoch, Poke, Step, join};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{Message, SimulationId, Timestamp};
use gridloop_realtime_manager::{
    Outcome, Overrun, Pace, PacerSettings, PacerThread, Report, Settings, Speed, StartAt,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const PUBLISH: &str = "epoch_publish_us_p99_memory_20";
pub(crate) const ARRIVAL_MEMORY: &str = "epoch_arrival_us_p50_memory_20";
pub(crate) const PUBLISH_AMQP: &str = "epoch_publish_us_p99_amqp_20";
pub(crate) const ARRIVAL_AMQP: &str = "epoch_arrival_us_p50_amqp_20";
pub(crate) const ARRIVAL_LEAD: &str = "epoch_arrival_us_p50_amqp_20_lead_20ms";
pub(crate) const OVERRUN: &str = "overrun_told_us_p99";
pub(crate) const DRIFT: &str = "drift_us_10min_10ms";
const UNIT: &str = "us, less is better";

const COMPONENTS: usize = 20;
const PERIOD: Duration = Duration::from_millis(50);
/// Epochs of a block, and blocks of each side.
const EPOCHS: u64 = 100;
const BLOCKS: usize = 5;

/// When components were given their epochs, after the instants at which those begin.
type Arrivals = Arc<Mutex<Vec<Arrival>>>;

/// After its instant, or before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) late: Duration,
    pub(crate) early: bool,
}

/// Notes when it is given its epochs, and is done after a while.
struct Witness {
    arrivals: Arrivals,
    takes: Duration,
}

impl Component for Witness {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        let late = epoch.opened_at.since(epoch.nominal_start);
        let early = epoch.opened_at < epoch.nominal_start;
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { late, early });
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let done_at = epoch.opened_at + self.takes;
        Ok(if now < done_at { Step::WakeAt(done_at) } else { Step::Done(Vec::new()) })
    }
}

/// A paced run.
#[derive(Clone, Copy)]
pub(crate) struct Paced {
    pub(crate) components: usize,
    pub(crate) period: Duration,
    pub(crate) epochs: u64,
    pub(crate) lead: Duration,
    pub(crate) takes: Duration,
}

const TWENTY: Paced = Paced {
    components: COMPONENTS,
    period: PERIOD,
    epochs: EPOCHS,
    lead: Duration::ZERO,
    takes: Duration::ZERO,
};

/// What a run reported, and how late its components were given their epochs.
pub(crate) async fn run(bus: &Bus, paced: Paced, wall: &WallClock) -> anyhow::Result<(Report, Vec<Arrival>)> {
    let clock: SharedClock = Arc::new(wall.clone());
    let simulation_id = SimulationId::new(Timestamp::from(clock.utc()));
    let names: Vec<String> = (1..=paced.components).map(|n| format!("witness{n}")).collect();
    let thread = PacerThread::start(wall.clone(), PacerSettings::default())?;
    let arrivals = Arrivals::default();
    let mut components = JoinSet::new();
    for name in &names {
        let (arrivals, takes) = (Arc::clone(&arrivals), paced.takes);
        let identity = Identity {
            name: name.clone(),
            simulation_id: simulation_id.clone(),
            manager: None,
            numbered_from: 0,
        };
        let joined = join(Witness { arrivals, takes }, identity, bus.session(), clock.clone()).await?;
        components.spawn(joined.opening_by(thread.clock()).run(Poke::new(), CancellationToken::new()));
    }
    let settings = Settings {
        name: "manager".into(),
        simulation_id,
        simulation_name: "benchmark".into(),
        description: String::new(),
        components: names,
        initial_start_time: Timestamp::from(chrono::DateTime::UNIX_EPOCH),
        epoch_length: Duration::from_secs(1),
        epochs: paced.epochs,
        speed: Speed::Times(1.0 / paced.period.as_secs_f64()),
        overrun: Overrun::Stretch,
        start_at: StartAt::In(Duration::from_millis(50)),
        start_delay: Duration::ZERO,
        resend_interval: Duration::from_secs(120),
        max_resends: 5,
        late_tolerance: None,
        release_lead: paced.lead,
    };
    let (pace, cancel) = (Pace::Thread(thread), CancellationToken::new());
    let manager = gridloop_realtime_manager::run(settings, bus.session(), clock, pace.into(), cancel, |_| {});
    let report = tokio::spawn(manager).await??;
    ensure!(report.outcome == Outcome::Completed, "the run did not complete: {}", report.reason);
    while let Some(ended) = components.join_next().await {
        ended??;
    }
    let arrivals = std::mem::take(&mut *arrivals.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((report, arrivals))
}

async fn pacer_alone(wall: &WallClock) -> anyhow::Result<Vec<Duration>> {
    let thread = PacerThread::start(wall.clone(), PacerSettings::default())?;
    Ok(thread.lateness(PERIOD, u32::try_from(EPOCHS)?).await)
}

pub(crate) async fn in_memory(name: &str, wall: &WallClock) -> anyhow::Result<Figure> {
    let (mut publish, mut arrivals, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let (report, arrived) = run(&Bus::memory(None), TWENTY, wall).await?;
        publish.push(report.pacing.start_lateness_us.p99.context("a lateness")?);
        arrivals.extend(arrived.iter().map(|arrival| arrival.late));
        floor.extend(pacer_alone(wall).await?);
    }
    Ok(match name {
        PUBLISH => {
            let value = crate::figure::median(publish);
            Figure::new(name, UNIT, value, percentile_us(&floor, 99), BLOCKS)
        }
        _ => Figure::new(name, UNIT, percentile_us(&arrivals, 50), percentile_us(&floor, 50), BLOCKS),
    })
}

pub(crate) async fn over_amqp(name: &str, wall: &WallClock) -> anyhow::Result<Figure> {
    let broker = tokio::task::block_in_place(RabbitMq::start)?;
    let url: BusUrl = broker.url().parse()?;
    let BusUrl::Amqp(plain) = &url else { anyhow::bail!("{url} is no broker") };
    let lead = if name == ARRIVAL_LEAD { Duration::from_millis(20) } else { Duration::ZERO };
    let clock: SharedClock = Arc::new(wall.clone());
    let (mut publish, mut arrivals, mut trips, mut alone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let connect = Connect::new(url.clone(), Exchange::run("procem.punctual"), "bench");
        let bus = Bus::connect(&connect, clock.clone()).await?;
        let (report, arrived) = run(&bus, Paced { lead, ..TWENTY }, wall).await?;
        bus.close().await;
        publish.push(report.pacing.start_lateness_us.p99.context("a lateness")?);
        arrivals.extend(arrived.iter().map(|arrival| arrival.late));
        let rounds = u32::try_from(EPOCHS)?;
        trips.extend(round_trips(plain, "procem.floor", BODY_BYTES, rounds, PERIOD, &*clock).await?);
        alone.extend(pacer_alone(wall).await?);
    }
    Ok(match name {
        PUBLISH_AMQP => {
            let value = crate::figure::median(publish);
            Figure::new(name, UNIT, value, percentile_us(&alone, 99), BLOCKS)
        }
        _ => Figure::new(name, UNIT, percentile_us(&arrivals, 50), percentile_us(&trips, 50), BLOCKS),
    })
}

/// Every epoch is overrun by its only component, which is still busy when that is told.
pub(crate) async fn overrun(name: &str, wall: &WallClock) -> anyhow::Result<Figure> {
    let busy = Paced { components: 1, takes: PERIOD + Duration::from_millis(5), ..TWENTY };
    let (mut told, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let (report, _) = run(&Bus::memory(None), busy, wall).await?;
        ensure!(report.pacing.overran == EPOCHS, "{} of {EPOCHS} epochs overran", report.pacing.overran);
        told.push(report.pacing.overrun_detected_us.p99.context("an overrun")?);
        floor.extend(pacer_alone(wall).await?);
    }
    Ok(Figure::new(name, UNIT, crate::figure::median(told), percentile_us(&floor, 99), BLOCKS))
}

/// Ten minutes at 10 ms. The instants are `start + n * period` in integers, so what could drift is when epochs really
/// begin: how late half of them are at most, an hour's worth of which would show any accumulation.
pub(crate) async fn drift(name: &str, wall: &WallClock) -> anyhow::Result<Figure> {
    let ten_minutes = Paced { components: 1, period: Duration::from_millis(10), epochs: 60_000, ..TWENTY };
    let (report, arrivals) = run(&Bus::memory(None), ten_minutes, wall).await?;
    ensure!(arrivals.len() >= 60_000, "only {} epochs arrived", arrivals.len());
    let typical = |arrivals: &[Arrival]| {
        percentile_us(&arrivals.iter().map(|arrival| arrival.late).collect::<Vec<_>>(), 50)
    };
    let (first, last) = (typical(&arrivals[..6000]), typical(&arrivals[54_000..]));
    println!(
        "  {} of 60000 epochs late; first minute {first:.1} us, last minute {last:.1} us",
        report.epochs.late
    );
    Ok(Figure::new(name, "us, a typical epoch of the last minute against one of the first", last, first, 1))
}
