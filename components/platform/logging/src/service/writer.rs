//! The loop of the Log Writer: [`run`].

use super::ending::Ending;
use super::sink::Sink;
use super::{Counts, Ended, Summary, WriterError, WriterSettings};
use crate::record::Record;
use futures_util::FutureExt;
use gridloop_bus::{Bus, BusError, Delivery, Event, Keep, KeptSubscription, Lease};
use gridloop_clock::{MonoTime, SharedClock, sleep};
use gridloop_messages::SimulationId;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Messages stored together at most; the broker sends no more ahead.
const BATCH: u16 = 1000;
/// And their size in bytes.
const BATCH_BYTES: usize = 16 << 20;
/// A predecessor that was killed may hold the lease until the broker misses it.
const LEASE_PATIENCE: Duration = Duration::from_secs(10);
const LEASE_RETRY: Duration = Duration::from_millis(250);
/// What this service is called: its lease, and its queue.
const NAME: &str = "log-writer";

/// Stores what is published on the bus until the run has been stopped and everything is stored, or until `stop` is
/// cancelled. `ready` is called when nothing published from then on can be missed.
///
/// # Errors
/// When the store or the bus cannot be used, or another Log Writer is at work on this exchange. What was not stored has
/// not been acknowledged.
pub async fn run(
    settings: WriterSettings,
    bus: Bus,
    clock: SharedClock,
    stop: CancellationToken,
    ready: impl FnOnce(),
) -> Result<Summary, WriterError> {
    let lease = take_lease(&bus, &clock, &stop).await?;
    // Before the store, which may be slow or broken: from now on the broker keeps what is published.
    let keep = Keep { name: NAME.into(), patterns: vec!["#".into()], unacknowledged_max: BATCH };
    let subscription = bus.subscribe_kept(keep).await?;
    let mut sink = Sink::open(&settings, &clock).await?;
    ready();
    let mut ending = Ending::default();
    if sink.was_stopped().await? {
        ending.stopped(clock.now());
    }
    let statistics = Statistics { received: 0, counts: Counts::default() };
    let run = settings.run.clone();
    let writer = Writer { run, subscription, sink, lease, clock, ending, statistics, settings };
    writer.run(stop).await
}

/// Takes the right to be the only writer of the exchange.
async fn take_lease(bus: &Bus, clock: &SharedClock, stop: &CancellationToken) -> Result<Lease, WriterError> {
    let give_up = clock.now() + LEASE_PATIENCE;
    loop {
        match bus.lease(NAME).await {
            Ok(lease) => return Ok(lease),
            Err(BusError::LeaseTaken { .. }) if clock.now() < give_up && !stop.is_cancelled() => {
                sleep(&**clock, LEASE_RETRY).await;
            }
            Err(taken @ BusError::LeaseTaken { .. }) => return Err(WriterError::Lease(taken)),
            Err(other) => return Err(other.into()),
        }
    }
}

struct Writer {
    run: Option<SimulationId>,
    subscription: KeptSubscription,
    sink: Sink,
    lease: Lease,
    clock: SharedClock,
    ending: Ending,
    statistics: Statistics,
    settings: WriterSettings,
}

struct Statistics {
    received: u64,
    counts: Counts,
}

impl Writer {
    async fn run(mut self, stop: CancellationToken) -> Result<Summary, WriterError> {
        let mut tick = sleep(&*self.clock, self.settings.statistics_interval);
        let ended = loop {
            let due = self.ending.due().filter(|_| self.sink.is_drained());
            // What ends the work comes first. Catching up comes before new messages, which it may make room for and
            // whose order depends on it; it is rare. The end comes last: it is there only while nothing else is.
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ended::Asked,
                lost = self.lease.lost() => return Err(match lost {
                    BusError::LeaseTaken { .. } => WriterError::Lease(lost),
                    other => WriterError::Bus(other),
                }),
                () = &mut tick => {
                    self.tell();
                    tick = sleep(&*self.clock, self.settings.statistics_interval);
                }
                () = self.sink.can_catch_up() => {
                    let caught_up = self.sink.catch_up().await?;
                    self.statistics.counts.add(&caught_up);
                }
                event = self.subscription.recv(), if self.sink.takes_more() => match event {
                    Some(Event::Message(delivery)) => self.store(delivery).await?,
                    Some(Event::Restored) => {}
                    None => return Err(BusError::Closed.into()),
                },
                () = at(&self.clock, due) => break Ended::Stopped,
            }
        };
        self.finish(ended).await
    }

    /// Stores a message and those that wait behind it, and acknowledges them.
    async fn store(&mut self, first: Delivery) -> Result<(), WriterError> {
        let batch = self.collect(first);
        let position = self.subscription.position();
        self.statistics.received += batch.len() as u64;
        let stops = batch.iter().any(|record| record.stops(self.run.as_ref()));
        let counts = self.sink.append(batch).await?;
        self.statistics.counts.add(&counts);
        self.subscription.acknowledge(position);
        let now = self.clock.now();
        if stops && self.run.is_some() {
            self.ending.stopped(now);
        }
        self.ending.heard(now);
        Ok(())
    }

    /// What has arrived, up to the bounds of a batch.
    fn collect(&mut self, first: Delivery) -> Vec<Record> {
        let mut bytes = first.body.len();
        let mut batch = vec![self.record(first)];
        while batch.len() < usize::from(BATCH) && bytes < BATCH_BYTES {
            // The runtime's own limit on polls would break batches off early.
            let next = tokio::task::unconstrained(self.subscription.recv()).now_or_never();
            match next {
                Some(Some(Event::Message(delivery))) => {
                    bytes += delivery.body.len();
                    batch.push(self.record(delivery));
                }
                Some(Some(Event::Restored)) => {}
                // The end of the session shows again when the batch is stored.
                Some(None) | None => break,
            }
        }
        batch
    }

    fn record(&self, delivery: Delivery) -> Record {
        Record { topic: delivery.topic, body: delivery.body, heard_at: self.clock.utc() }
    }

    /// One line about what has been done so far; a loud one while something waits.
    fn tell(&self) {
        let Counts { stored, duplicates, invalid } = self.statistics.counts;
        let (received, waiting) = (self.statistics.received, self.sink.spool().waiting);
        if waiting > 0 {
            tracing::warn!(received, stored, duplicates, invalid, waiting, "messages wait in the spool");
        } else {
            tracing::info!(received, stored, duplicates, invalid, "log");
        }
    }

    async fn finish(self, ended: Ended) -> Result<Summary, WriterError> {
        if ended == Ended::Stopped
            && let Err(error) = self.subscription.end().await
        {
            tracing::warn!(%error, "the queue of the run is left to the broker, which deletes it after a day");
        }
        let summary = Summary {
            simulation_id: self.run.map(|run| run.to_string()),
            store: self.settings.store.to_string(),
            ended,
            received: self.statistics.received,
            counts: self.statistics.counts,
            spool: self.sink.spool(),
        };
        self.sink.close().await;
        Ok(summary)
    }
}

/// Completes at an instant, if there is one.
async fn at(clock: &SharedClock, instant: Option<MonoTime>) {
    match instant {
        Some(instant) => clock.sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
