//! Turnaround of an epoch over RabbitMQ: from the last `ready` to the next Epoch, as a bystander on the bus sees both
//! arrive.
//!
//! The manager's share of it is deciding; the rest is one way to the broker and back, which is the floor: a message
//! published and consumed over plain AMQP on the same broker.

use crate::epochs::{BODY_BYTES, WARM_UP, epochs_per_s};
use crate::figure::{Figure, alternate, median};
use anyhow::ensure;
use gridloop_bus::bare::round_trips;
use gridloop_bus::{Bus, BusUrl, Connect, Event, Exchange, Subscribe, Subscription, WhenFull};
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use std::time::Duration;

const UNIT: &str = "us, less is better";
/// Epochs of a block, and messages of a block of the floor.
const ROUNDS: u32 = 300;

pub(crate) async fn over_amqp(name: &str, size: usize, clock: &SharedClock) -> anyhow::Result<Figure> {
    let broker = tokio::task::block_in_place(RabbitMq::start)?;
    let url: BusUrl = broker.url().parse()?;
    let BusUrl::Amqp(plain) = &url else { anyhow::bail!("{url} is no broker") };
    let work = async || {
        let bus = Bus::connect(&connect(&url, "bench"), clock.clone()).await?;
        let bystander = Bus::connect(&connect(&url, "bystander"), clock.clone()).await?;
        let watching = Subscribe {
            name: "bystander".into(),
            patterns: vec!["Status.Ready".into(), "Epoch".into()],
            capacity: 1 << 16,
            when_full: WhenFull::Wait,
        };
        let arrivals = bystander.subscribe(watching).await?;
        let watched = tokio::spawn(watch(arrivals, clock.clone()));
        epochs_per_s(&bus, size, ROUNDS, clock).await?;
        bystander.close().await;
        bus.close().await;
        typical(watched.await?)
    };
    let floor = async || {
        let taken =
            round_trips(plain, "procem.floor", BODY_BYTES, WARM_UP + ROUNDS, Duration::ZERO, &**clock)
                .await?;
        typical(taken)
    };
    alternate(name, UNIT, work, floor).await
}

fn connect(url: &BusUrl, name: &str) -> Connect {
    Connect::new(url.clone(), Exchange::run("procem.turnaround"), name)
}

/// The time from each last `ready` to the Epoch behind it, until the session ends.
async fn watch(mut arrivals: Subscription, clock: SharedClock) -> Vec<Duration> {
    let (mut turnarounds, mut last_ready): (_, Option<MonoTime>) = (Vec::new(), None);
    while let Some(event) = arrivals.recv().await {
        let now = clock.now();
        match event {
            Event::Message(delivery) if &*delivery.topic == "Epoch" => {
                turnarounds.extend(last_ready.take().map(|ready| now.since(ready)));
            }
            Event::Message(_) => last_ready = Some(now),
            _ => {}
        }
    }
    turnarounds
}

/// The median after the warm-up, in microseconds.
fn typical(taken: Vec<Duration>) -> anyhow::Result<f64> {
    let warm_up = usize::try_from(WARM_UP)?;
    ensure!(taken.len() > warm_up, "only {} of the epochs were seen", taken.len());
    Ok(median(taken[warm_up..].iter().map(|taken| taken.as_secs_f64() * 1e6).collect()))
}
