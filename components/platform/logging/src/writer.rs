//! From the bus to the disk: [`RunLog`], a listening task and a writing thread.

use crate::record::Record;
use crate::store::{Filed, Store, StoreError};
use gridloop_bus::{Bus, BusError, Event, Subscribe, Subscription, WhenFull};
use gridloop_clock::{MonoTime, SharedClock, until};
use serde::Serialize;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Messages that may wait for the disk: some seconds of a large run.
const QUEUE: usize = 1 << 16;
/// Messages in one transaction at most.
const BATCH: usize = 4096;

/// A broker that has sent nothing for so long has nothing more for the log of a run that is over.
const QUIET: Duration = Duration::from_millis(500);

/// But whoever goes on publishing does not keep it for longer.
const LINGER_MAX: Duration = Duration::from_secs(30);

/// What the log has done (`log` in `report.json`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogCounts {
    /// Messages heard.
    pub received: u64,
    /// Valid messages stored.
    pub stored: u64,
    /// Messages that were stored already.
    pub duplicates: u64,
    /// Messages that break the wire contract, kept apart.
    pub invalid: u64,
    /// Messages lost because the disk could not keep up with a paced run. Anything but 0: the log is not complete.
    pub shed: u64,
    /// Why storing ended early, if it did.
    pub error: Option<String>,
}

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus.
    #[error("subscribe to all messages: {0}")]
    Bus(#[from] BusError),
    /// The operating system refused the writer thread.
    #[error("start the log's writer thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The log of one run, at work.
pub struct RunLog {
    stop: oneshot::Sender<()>,
    listener: JoinHandle<Heard>,
    writer: thread::JoinHandle<LogCounts>,
}

impl RunLog {
    /// Begins to store everything published from now on.
    ///
    /// In a paced run (`paced`) the log never holds anybody up: what the disk cannot take is dropped and counted. In
    /// an unpaced one the publishers wait.
    ///
    /// # Errors
    /// When the file cannot be made or the bus cannot be listened to.
    pub async fn start(path: &Path, bus: &Bus, clock: SharedClock, paced: bool) -> Result<Self, LogError> {
        Self::start_on(&Handle::current(), path, bus, clock, paced).await
    }

    /// As [`RunLog::start`], with its listening task on the runtime `tasks`.
    ///
    /// # Errors
    /// As [`RunLog::start`].
    pub async fn start_on(
        tasks: &Handle,
        path: &Path,
        bus: &Bus,
        clock: SharedClock,
        paced: bool,
    ) -> Result<Self, LogError> {
        let store = Store::open(path)?;
        let when_full = if paced { WhenFull::Shed } else { WhenFull::Wait };
        let subscribe =
            Subscribe { name: "run-log".into(), patterns: vec!["#".into()], capacity: QUEUE, when_full };
        let subscription = bus.subscribe(subscribe).await?;
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = thread::Builder::new().name("run-log".into()).spawn(move || write(store, &receiver))?;
        let (stop, stopped) = oneshot::channel();
        let listener = tasks.spawn(listen(subscription, sender, clock, stopped, bus.is_remote()));
        Ok(Self { stop, listener, writer })
    }

    /// Stores what has been heard up to now and closes the file.
    pub async fn finish(self) -> LogCounts {
        let _ = self.stop.send(());
        let Heard { received, shed, cut_off } = self.listener.await.unwrap_or_default();
        let counts = tokio::task::spawn_blocking(move || self.writer.join()).await;
        let broke_off =
            || LogCounts { error: Some("the log's writer broke off".into()), ..LogCounts::default() };
        let counts = counts.map_or_else(|_| broke_off(), |joined| joined.unwrap_or_else(|_| broke_off()));
        let error = counts.error.or_else(|| cut_off.then(|| CUT_OFF.to_owned()));
        LogCounts { received, shed, error, ..counts }
    }
}

/// What the listening task has done.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    received: u64,
    shed: u64,
    /// Messages still came when it had to end.
    cut_off: bool,
}

/// Why a log is not known to be complete although nothing failed.
const CUT_OFF: &str =
    "messages still came long after the end of the run; some of the run may have waited behind them";

/// Moves messages from the bus to the writer's queue. `lingers`: after the stop until nothing arrives any more.
async fn listen(
    mut subscription: Subscription,
    queue: SyncSender<Record>,
    clock: SharedClock,
    mut stop: oneshot::Receiver<()>,
    lingers: bool,
) -> Heard {
    let mut heard = Heard::default();
    let mut ends: Option<MonoTime> = None;
    loop {
        let event = match ends {
            Some(ends) if lingers && clock.now() >= ends => {
                heard.cut_off = true;
                None
            }
            // What was published before the stop is still stored; it may wait at the broker, behind others.
            Some(ends) => {
                let patience = if lingers { ends.min(clock.now() + QUIET) } else { clock.now() };
                until(&*clock, patience, subscription.recv()).await.flatten()
            }
            // The stop first, so that no flood of messages can hide it; it loses none.
            None => tokio::select! {
                biased;
                _ = &mut stop => {
                    ends = Some(clock.now() + LINGER_MAX);
                    continue;
                }
                event = subscription.recv() => event,
            },
        };
        let Some(event) = event else {
            heard.shed += subscription.shed();
            return heard;
        };
        let Event::Message(delivery) = event else { continue };
        heard.received += 1;
        let record = Record { topic: delivery.topic, body: delivery.body, heard_at: clock.utc() };
        match queue.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(record)) => {
                // The subscription's own queue takes up the slack, and sheds or holds up the publishers as asked.
                let queue = queue.clone();
                let sent = tokio::task::spawn_blocking(move || queue.send(record).is_ok()).await;
                heard.shed += u64::from(!sent.unwrap_or(false));
            }
            Err(TrySendError::Disconnected(_)) => heard.shed += 1,
        }
    }
}

/// Writes until the queue ends. A failing disk ends the storing, not the run.
fn write(mut store: Store, queue: &Receiver<Record>) -> LogCounts {
    let mut counts = LogCounts::default();
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(record) = queue.recv() {
        batch.push(record);
        while batch.len() < BATCH
            && let Ok(record) = queue.try_recv()
        {
            batch.push(record);
        }
        let filed = store.append(&batch, |filed| match filed {
            Filed::Stored => counts.stored += 1,
            Filed::Duplicate => counts.duplicates += 1,
            Filed::Invalid => counts.invalid += 1,
        });
        if let Err(error) = filed {
            tracing::error!(%error, "the run log ends here");
            counts.error = Some(error.to_string());
            return counts;
        }
        batch.clear();
    }
    if let Err(error) = store.settle() {
        counts.error = Some(error.to_string());
    }
    counts
}
