//! The manager's own time: from the last answer to handing the next Epoch to the bus, in unpaced runs in memory. The floor
//! is one message from a task to another and back over the same bus.

use crate::epochs::epochs_per_s;
use crate::figure::{Figure, percentile_us};
use anyhow::Context;
use bytes::Bytes;
use gridloop_bus::{Bus, Event, Subscribe, WhenFull};
use gridloop_clock::SharedClock;

/// Before the number of components.
pub(crate) const HANDLING: &str = "manager_handling_us_p50_";
pub(crate) const SIZES: [usize; 4] = [2, 20, 50, 200];
const UNIT: &str = "us, less is better";
const BLOCKS: usize = 5;
const EPOCHS: u32 = 1000;

pub(crate) async fn handling(name: &str, size: usize, clock: &SharedClock) -> anyhow::Result<Figure> {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let (_, report) = epochs_per_s(&Bus::memory(None), size, EPOCHS, clock).await?;
        ours.push(report.pacing.handling_us.p50.context("no epoch was handled")?);
        floor.push(round_trip_us(clock).await?);
    }
    let (ours, floor) = (crate::figure::median(ours), crate::figure::median(floor));
    Ok(Figure::new(name, UNIT, ours, floor, BLOCKS))
}

/// A message to an echo and back.
pub(crate) async fn round_trip_us(clock: &SharedClock) -> anyhow::Result<f64> {
    let bus = Bus::memory(None);
    let subscribe = |pattern: &str| Subscribe {
        name: pattern.to_owned(),
        patterns: vec![pattern.to_owned()],
        capacity: 4,
        when_full: WhenFull::Wait,
    };
    let (there, back) = (bus.session(), bus.session());
    let mut asked = there.subscribe(subscribe("There")).await?;
    let mut answers = back.subscribe(subscribe("Back")).await?;
    let echo = tokio::spawn(async move {
        while let Some(Event::Message(delivery)) = asked.recv().await {
            if there.publish("Back", delivery.body).await.is_err() {
                return;
            }
        }
    });
    let body = Bytes::from(vec![b' '; crate::epochs::BODY_BYTES]);
    let clock = clock.clone();
    let measuring = tokio::spawn(async move {
        let mut taken = Vec::new();
        for _ in 0..EPOCHS {
            let began = clock.now();
            back.publish("There", body.clone()).await?;
            answers.recv().await.context("no echo")?;
            taken.push(clock.now().since(began));
        }
        anyhow::Ok(taken)
    });
    let taken = measuring.await??;
    echo.abort();
    Ok(percentile_us(&taken, 50))
}
