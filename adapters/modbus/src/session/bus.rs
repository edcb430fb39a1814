//! The task that owns one link: [`Bus`], its handle, and the loop that carries out what its units are asked.
//!
//! A connection that has erred is never used again: after a timeout, a header that does not match, a wrong length or
//! any transport error it is dropped, so that a late answer has nobody to be mistaken by; the next request opens a new
//! one. A line with RTU frames cannot be dropped and goes into quarantine instead. Only an exception, with which the
//! device proves that it is in step, changes nothing.

use super::ask::Ask;
use super::dial::{Wire, dial};
use super::error::LinkError;
use super::queue::{Queue, Unwelcome};
use super::statistics::Tally;
use super::{LinkSettings, Patience};
use async_trait::async_trait;
use gridloop_clock::{MonoTime, SharedClock, until};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};
use tokio::task::AbortHandle;

/// How many requests may be on their way to the link's task. A full queue makes the next caller wait; nothing is shed.
const WAITING: usize = 16;

/// What is to be done on a link.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// See to it that it is open.
    Open,
    Ask(Ask),
}

/// Work for one unit, and where its result goes.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) unit: u8,
    pub(super) work: Work,
    pub(super) patience: Patience,
    pub(super) answer: oneshot::Sender<Result<Vec<u16>, LinkError>>,
}

/// A link at work. Dropping its last handle closes the connection at once, whatever is under way.
#[derive(Debug)]
pub(super) struct Bus {
    pub(super) settings: LinkSettings,
    jobs: mpsc::Sender<Job>,
    task: AbortHandle,
}

/// Opens what the bus owns. Tests have a dialler of their own.
#[async_trait]
pub(super) trait Dial: Send + 'static {
    async fn dial(&mut self, patience: Patience) -> Result<Wire, LinkError>;
}

impl Bus {
    /// Starts the task of a link. The port or connection is opened by the first job, once `turn` is free: by then
    /// whoever had the same port before has closed it.
    pub(super) fn start(
        settings: LinkSettings,
        turn: Option<Arc<Mutex<()>>>,
        clock: SharedClock,
        tally: Tally,
    ) -> Self {
        let dialler = Dialler {
            settings: settings.clone(),
            turn,
            held: None,
            clock: SharedClock::clone(&clock),
            tally: tally.clone(),
        };
        Self::with(settings, dialler, clock, tally)
    }

    pub(super) fn with(settings: LinkSettings, dialler: impl Dial, clock: SharedClock, tally: Tally) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let quiet = settings.patience().quiet;
        let worker =
            Worker { wire: None, dialler, jobs: waiting, queue: Queue::default(), quiet, clock, tally };
        Self { settings, jobs, task: tokio::spawn(worker.run()).abort_handle() }
    }

    /// Hands over a job; `false` when the task is gone.
    pub(super) async fn send(&self, job: Job) -> bool {
        self.jobs.send(job).await.is_ok()
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.jobs.is_closed()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The dialler of real links.
struct Dialler {
    settings: LinkSettings,
    turn: Option<Arc<Mutex<()>>>,
    held: Option<OwnedMutexGuard<()>>,
    clock: SharedClock,
    tally: Tally,
}

#[async_trait]
impl Dial for Dialler {
    async fn dial(&mut self, patience: Patience) -> Result<Wire, LinkError> {
        if let Some(turn) = &self.turn
            && self.held.is_none()
        {
            let deadline = self.clock.now() + patience.timeout;
            self.held = until(&*self.clock, deadline, Arc::clone(turn).lock_owned()).await;
            if self.held.is_none() {
                return Err(LinkError::Timeout(patience.timeout));
            }
        }
        dial(&self.settings, patience, &self.clock, &self.tally).await
    }
}

struct Worker<D> {
    // Dropped first, so that the port is closed before the dialler lets the next one have it.
    wire: Option<Wire>,
    dialler: D,
    jobs: mpsc::Receiver<Job>,
    queue: Queue<Job>,
    /// The longest time that any unit may take to answer: a line that is opened again may have its request on it.
    quiet: Duration,
    clock: SharedClock,
    tally: Tally,
}

impl<D: Dial> Worker<D> {
    async fn run(mut self) {
        loop {
            while let Ok(job) = self.jobs.try_recv() {
                self.admit(job);
            }
            match self.queue.pop() {
                // Abandoned before it was sent: then it is not sent.
                Some((_, job)) if job.answer.is_closed() => {}
                Some((unit, job)) => self.perform(unit, job).await,
                None => match self.jobs.recv().await {
                    Some(job) => self.admit(job),
                    None => return,
                },
            }
        }
    }

    fn admit(&mut self, job: Job) {
        self.quiet = self.quiet.max(job.patience.quiet);
        self.queue.retain(|waiting| !waiting.answer.is_closed());
        let writes = matches!(&job.work, Work::Ask(ask) if ask.writes());
        if let Err((job, why)) = self.queue.push(job.unit, writes, job, self.clock.now()) {
            let error = match why {
                Unwelcome::Resting(time) => resting(job.unit, time),
                Unwelcome::Full => LinkError::Lost("too many requests wait for the link".to_owned()),
            };
            _ = job.answer.send(Err(error));
        }
    }

    async fn perform(&mut self, unit: u8, job: Job) {
        if self.wire.is_none() {
            match self.dialler.dial(Patience { quiet: self.quiet, ..job.patience }).await {
                Ok(wire) => {
                    self.tally.opened();
                    self.wire = Some(wire);
                }
                Err(error) => return self.could_not_open(job, error),
            }
        }
        let Some(wire) = &mut self.wire else { return };
        let begun = self.clock.now();
        let result = match &job.work {
            Work::Open => Ok(Vec::new()),
            Work::Ask(ask) => {
                let result = wire.ask(unit, ask, job.patience, &*self.clock).await;
                self.tally.asked(&result);
                result
            }
        };
        match &result {
            Err(error) => {
                if !wire.survives(error) {
                    self.wire = None;
                }
                if error.is_in_vain() {
                    self.in_vain(unit, job.patience, begun);
                } else if error.keeps_link() {
                    self.queue.answered(unit);
                }
            }
            Ok(_) if matches!(job.work, Work::Open) => {}
            Ok(_) => self.queue.answered(unit),
        }
        _ = job.answer.send(result);
    }

    /// What waits for this unit would have to wait in vain, at the expense of the others.
    fn in_vain(&mut self, unit: u8, patience: Patience, begun: MonoTime) {
        let now = self.clock.now();
        let quiet = if matches!(self.wire, Some(Wire::Rtu(_))) { patience.quiet } else { Duration::ZERO };
        let cost = (now.since(begun) + quiet).max(patience.timeout);
        let given_up = self.queue.in_vain(unit, cost, now);
        let rest = self.queue.rest(unit, now);
        for waiting in given_up {
            _ = waiting.answer.send(Err(resting(unit, rest)));
        }
    }

    /// Everybody who waits, waits for the same connection.
    fn could_not_open(&mut self, job: Job, error: LinkError) {
        for waiting in self.queue.drain() {
            _ = waiting.answer.send(Err(error.clone()));
        }
        _ = job.answer.send(Err(error));
    }
}

fn resting(unit: u8, time: Duration) -> LinkError {
    LinkError::Lost(format!(
        "unit {unit} did not answer; so as not to hold up the others on the link, it is asked again in {:.1} s",
        time.as_secs_f64()
    ))
}
