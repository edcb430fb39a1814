//! The one loop that talks to devices: [`DeviceTask`] owns a driver and does what [`DeviceCore`] says.
//!
//! Setpoints reach it through a slot that holds the newest, so that no queue can fill up; what is known of the device
//! leaves it as a [`ProcessImage`] that anyone may look at. A driver that hangs is abandoned at the job's deadline, one
//! that panics has merely failed.

use crate::contract::{Device, DeviceError};
use crate::core::{DeviceCore, Done, Job, Left, Next, Occurrence, TaskSettings};
use crate::image::ProcessImage;
use crate::statistics::Statistics;
use crate::value::{SafeState, Setpoint};
use futures_util::FutureExt;
use gridloop_clock::{MonoTime, SharedClock, until};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Told of everything that happens to a device, in order, from the device's own task: it must not wait.
pub type Observer = Box<dyn FnMut(&Occurrence) + Send>;

/// A device at work.
pub struct DeviceTask {
    handle: DeviceHandle,
    task: JoinHandle<Left>,
    release_within: Duration,
}

/// Where the others meet a [`DeviceTask`].
#[derive(Clone)]
pub struct DeviceHandle {
    clock: SharedClock,
    inbox: Arc<Inbox>,
    image: watch::Receiver<Arc<ProcessImage>>,
}

#[derive(Default)]
struct Inbox {
    wishes: Mutex<Wishes>,
    changed: Notify,
    statistics: Mutex<Statistics>,
    /// How the device is left if the task is broken off now; `None` before the first step.
    left: Mutex<Option<Left>>,
}

#[derive(Default)]
struct Wishes {
    setpoint: Option<Setpoint>,
    /// Whether the setpoint in force is to be taken back, before a newer one is taken up.
    take_back: bool,
    /// Whether it is to be disarmed, before it is armed anew.
    disarm: bool,
    /// Until when it is to be armed.
    arm: Option<MonoTime>,
    refresh: bool,
    /// When the end was asked for.
    end: Option<MonoTime>,
}

impl DeviceTask {
    /// Starts the loop on the current runtime.
    #[must_use]
    pub fn start(
        device: Box<dyn Device>,
        settings: TaskSettings,
        clock: SharedClock,
        observer: Observer,
    ) -> Self {
        let core = DeviceCore::new(settings, clock.now());
        let inbox = Arc::new(Inbox::default());
        let (sender, image) = watch::channel(Arc::new(core.image().clone()));
        let handle = DeviceHandle { clock: Arc::clone(&clock), inbox: Arc::clone(&inbox), image };
        let worker = Worker { device, core, clock, observer, inbox, image: sender, settings, connects: 0 };
        Self { handle, task: tokio::spawn(worker.run()), release_within: settings.release_within }
    }

    /// The way to it.
    #[must_use]
    pub fn handle(&self) -> DeviceHandle {
        self.handle.clone()
    }

    /// Ends it: the safe state is written and read back. When the configured bound comes first, whatever the driver is
    /// doing then is broken off.
    pub async fn end(mut self) -> Left {
        let (clock, inbox) = (Arc::clone(&self.handle.clock), Arc::clone(&self.handle.inbox));
        let now = clock.now();
        self.handle.wish(|wishes| wishes.end = Some(now));
        match until(clock.as_ref(), now + self.release_within, &mut self.task).await {
            Some(Ok(left)) => left,
            Some(Err(_)) => Left::Unknown("the device's task broke off".into()),
            None => {
                self.task.abort();
                inbox.left().take().unwrap_or(Left::Untouched)
            }
        }
    }
}

impl DeviceHandle {
    /// Hands over a setpoint. It replaces one that was not taken up yet; whether the device accepted it shows in
    /// [`ProcessImage::asked`], and whether it holds it in [`ProcessImage::held`].
    pub fn command(&self, setpoint: Setpoint) {
        self.wish(|wishes| wishes.setpoint = Some(setpoint));
    }

    /// Takes back what was handed over: the device is put into its safe state if it may hold anything of ours.
    pub fn take_back(&self) {
        self.wish(|wishes| {
            wishes.setpoint = None;
            wishes.take_back = true;
        });
    }

    /// Arms the device for that long, from now on.
    pub fn arm(&self, time: Duration) {
        let until = self.clock.now() + time;
        self.wish(|wishes| wishes.arm = Some(until));
    }

    /// Disarms the device: it is put into its safe state if it may hold anything of ours.
    pub fn disarm(&self) {
        self.wish(|wishes| {
            wishes.setpoint = None;
            (wishes.disarm, wishes.arm) = (true, None);
        });
    }

    /// Asks for a reading as soon as possible.
    pub fn refresh(&self) {
        self.wish(|wishes| wishes.refresh = true);
    }

    /// What is known of the device.
    #[must_use]
    pub fn image(&self) -> Arc<ProcessImage> {
        Arc::clone(&self.image.borrow())
    }

    /// Waits until more is known of the device; `false` when there will never be more.
    pub async fn changed(&mut self) -> bool {
        self.image.changed().await.is_ok()
    }

    /// Waits for the first reading, at most `within`; `true` when there has been one.
    pub async fn first_reading(&self, within: Duration) -> bool {
        let mut image = self.image.clone();
        let reading = image.wait_for(|image| image.readings > 0);
        let deadline = self.clock.now() + within;
        matches!(until(self.clock.as_ref(), deadline, reading).await, Some(Ok(_)))
    }

    /// What was counted so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inbox.statistics().clone()
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.inbox.wishes());
        self.inbox.changed.notify_one();
    }
}

impl Inbox {
    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn statistics(&self) -> MutexGuard<'_, Statistics> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, Option<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker {
    device: Box<dyn Device>,
    core: DeviceCore,
    clock: SharedClock,
    observer: Observer,
    inbox: Arc<Inbox>,
    image: watch::Sender<Arc<ProcessImage>>,
    settings: TaskSettings,
    connects: u64,
}

impl Worker {
    async fn run(mut self) -> Left {
        loop {
            self.take_wishes();
            let next = self.core.next(self.clock.now());
            match next {
                Next::Do(job) => {
                    self.core.begins(&job);
                    self.tell_occurrences();
                    if let Job::Apply(_) = job {
                        *self.inbox.left() = Some(Left::Unknown("a write was broken off".into()));
                    }
                    let begun = self.clock.now();
                    let done = self.perform(job).await;
                    let now = self.clock.now();
                    self.count(&done, begun, now);
                    self.core.done(done, now);
                }
                Next::Until(instant) => {
                    if self.core.has_news() {
                        self.tell();
                    }
                    let changed = self.inbox.changed.notified();
                    until(self.clock.as_ref(), instant, changed).await;
                    continue;
                }
                Next::End => {
                    self.tell();
                    return self.core.left();
                }
            }
            self.tell();
        }
    }

    fn take_wishes(&mut self) {
        let wishes = std::mem::take(&mut *self.inbox.wishes());
        let now = self.clock.now();
        if wishes.disarm {
            self.core.disarm(now);
        }
        if let Some(until) = wishes.arm {
            self.core.arm(until);
        }
        if wishes.take_back {
            self.core.take_back(now);
        }
        if let Some(setpoint) = wishes.setpoint
            && let Err(reason) = self.core.command(setpoint, now)
        {
            (self.observer)(&Occurrence::NotAccepted { setpoint, reason });
        }
        if wishes.refresh {
            self.core.refresh();
        }
        if let Some(asked_at) = wishes.end {
            self.core.end(asked_at);
        }
    }

    async fn perform(&mut self, job: Job) -> Done {
        let (device, clock) = (&mut self.device, self.clock.as_ref());
        let TaskSettings { job_timeout, write_timeout: limit, .. } = self.settings;
        match job {
            Job::Connect => {
                let limit = self.settings.connect_timeout;
                Done::Connected(guard(clock, limit, "connect", device.connect()).await)
            }
            Job::Read => Done::Read(guard(clock, job_timeout, "read", device.read()).await),
            Job::Apply(setpoint) => {
                Done::Applied(guard(clock, limit, "apply", device.apply(&setpoint)).await)
            }
            Job::Release(safe) => Done::Released(guard(clock, limit, "release", device.release(&safe)).await),
        }
    }

    fn count(&mut self, done: &Done, begun: MonoTime, now: MonoTime) {
        let mut statistics = self.inbox.statistics();
        match done {
            Done::Connected(Ok(_)) => {
                self.connects += 1;
                statistics.reconnects = self.connects - 1;
            }
            Done::Read(Ok(_)) => {
                statistics.reads += 1;
                statistics.read.add(now.since(begun));
            }
            Done::Applied(Ok(_)) | Done::Released(Ok(_)) => {}
            Done::Connected(Err(_)) | Done::Read(Err(_)) | Done::Applied(Err(_)) | Done::Released(Err(_)) => {
                statistics.errors += 1;
            }
        }
    }

    /// Passes on what has happened and what is known now.
    fn tell(&mut self) {
        self.tell_occurrences();
        *self.inbox.left() = Some(self.core.left());
        self.image.send_replace(Arc::new(self.core.image().clone()));
    }

    fn tell_occurrences(&mut self) {
        let now = self.clock.now();
        for occurrence in self.core.occurrences() {
            match &occurrence {
                Occurrence::Applied { setpoint, first: true, .. } => {
                    let mut statistics = self.inbox.statistics();
                    statistics.writes += 1;
                    statistics.setpoint_to_device.add(now.since(setpoint.received_at));
                }
                Occurrence::Restored { .. } => self.inbox.statistics().writes += 1,
                Occurrence::Released if self.settings.safe_state != SafeState::Hold => {
                    self.inbox.statistics().writes += 1;
                }
                _ => {}
            }
            (self.observer)(&occurrence);
        }
    }
}

/// Runs one call of a driver under the job's deadline; a panic in it is an answer that makes no sense.
async fn guard<T>(
    clock: &dyn gridloop_clock::Clock,
    limit: Duration,
    operation: &str,
    call: impl Future<Output = Result<T, DeviceError>>,
) -> Result<T, DeviceError> {
    let guarded = AssertUnwindSafe(call).catch_unwind();
    match until(clock, clock.now() + limit, guarded).await {
        None => Err(DeviceError::Timeout { operation: operation.into(), waited: limit }),
        Some(Ok(result)) => result,
        Some(Err(_)) => Err(DeviceError::Malformed {
            operation: operation.into(),
            reason: "the driver panicked; this is a bug in the driver".into(),
        }),
    }
}
