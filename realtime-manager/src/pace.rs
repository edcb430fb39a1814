//! Waiting for instants. A [`PacerThread`] is one operating system thread that does nothing else: it sleeps to the
//! absolute instant on the monotonic clock, spins over the last stretch if nobody can take the processor from it, and
//! then does the jobs of that instant: hands a prepared message to the bus, or wakes a task. [`Pace::Clock`] waits on any
//! clock instead, so that whole runs work in simulated time.
//!
//! The manager waits for one instant at a time, through [`Instants`]. Components that get an epoch before its instant
//! wait through [`PacerThread::clock`].

use crate::rt::{self, Granted, Refusal, Scheduler};
use gridloop_bus::Prepared;
use gridloop_clock::{Anchor, Clock, MonoTime, SharedClock, Sleep, Utc, WallClock};
use rustix::io::Errno;
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec};
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;

/// Nearer than this to its next instant the thread hears of no job that comes before it.
const COMMITTED: Duration = Duration::from_millis(2);

/// What waits for epoch instants.
pub enum Pace {
    /// A thread of its own, for wall-clock time.
    Thread(PacerThread),
    /// The clock's own waits. In simulated time they are exact.
    Clock(SharedClock),
}

impl Pace {
    /// A clock whose waits are as sharp as these.
    #[must_use]
    pub fn sharp_clock(&self) -> SharedClock {
        match self {
            Self::Thread(thread) => thread.clock(),
            Self::Clock(clock) => Arc::clone(clock),
        }
    }
}

/// How the pacer's thread waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacerSettings {
    /// The stretch before an instant that is spun rather than slept, where the thread has `SCHED_FIFO`; zero: none. What
    /// a wake-up costs at worst on an undisturbed machine is a good choice. Without `SCHED_FIFO` spinning makes things
    /// worse, since the scheduler takes it for a reason to prefer others.
    pub spin: Duration,
    /// The processor to bind the thread to.
    pub cpu: Option<usize>,
}

impl Default for PacerSettings {
    fn default() -> Self {
        Self { spin: Duration::from_micros(200), cpu: None }
    }
}

/// The thread, and what it was granted. It ends when this is dropped, and what is still to be done then is not done.
pub struct PacerThread {
    shared: Arc<Shared>,
    granted: Arc<Granted>,
    clock: WallClock,
}

struct Shared {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Default)]
struct Jobs {
    numbered: u64,
    closed: bool,
    by_instant: BTreeMap<Place, Job>,
}

/// Instant and number: jobs of one instant are done in the order in which they came.
type Place = (MonoTime, u64);

enum Job {
    HandOver(Arc<Handover>),
    Wake(Waker),
}

/// An instant that the manager waits for, and the message that is to leave at it.
#[derive(Default)]
struct Handover {
    message: Mutex<Option<Prepared>>,
    /// Whether the thread is there. What is heard from then on may be an answer to the message.
    begun: AtomicBool,
    /// When the bus had the message, in nanoseconds; 0 if there was none.
    sent_at: AtomicU64,
    /// When the thread was there, in nanoseconds; 0 before. Set last.
    stamp: AtomicU64,
    arrived: Notify,
}

impl PacerThread {
    /// Starts the thread, which asks the operating system for all it can use.
    ///
    /// # Errors
    /// The operating system refused the thread itself.
    pub fn start(clock: WallClock, settings: PacerSettings) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { jobs: Mutex::default(), changed: Condvar::new() });
        let (tell, told) = mpsc::sync_channel(1);
        let (work, time) = (Arc::clone(&shared), clock.clone());
        thread::Builder::new().name("pacer".into()).spawn(move || {
            let granted = Arc::new(rt::request(settings.cpu));
            let spin = match granted.scheduler {
                Scheduler::Fifo(_) => settings.spin,
                Scheduler::Other(_) => Duration::ZERO,
            };
            // The starter has gone only if its own thread was torn down; then there is nothing to wait for.
            if tell.send(granted).is_ok() {
                work.run(&time, spin);
            }
        })?;
        let granted = told.recv().map_err(std::io::Error::other)?;
        Ok(Self { shared, granted, clock })
    }

    /// What the operating system granted.
    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.granted
    }

    /// The system's clock, whose waits are this thread's: for the few that must begin at an instant, not soon after it.
    #[must_use]
    pub fn clock(&self) -> SharedClock {
        Arc::new(PacerClock { shared: Arc::clone(&self.shared), clock: self.clock.clone() })
    }
}

#[cfg(feature = "bare")]
#[doc(hidden)]
impl PacerThread {
    /// How late the thread was at each of so many instants, `period` apart. It is given all of them beforehand, so that
    /// this is its own lateness, and no task's that would have to be woken between two of them.
    pub async fn lateness(&self, period: Duration, instants: u32) -> Vec<Duration> {
        let start = self.clock.now() + period;
        let job = |n| {
            let (instant, handover) = (start + period * n, Arc::new(Handover::default()));
            self.shared.add(instant, Job::HandOver(Arc::clone(&handover)));
            (instant, handover)
        };
        let jobs: Vec<_> = (0..instants).map(job).collect();
        let mut lateness = Vec::new();
        for (instant, handover) in jobs {
            let stamp = loop {
                match handover.reached() {
                    Some(stamp) => break stamp,
                    None => handover.arrived.notified().await,
                }
            };
            lateness.push(stamp.since(instant));
        }
        lateness
    }
}

impl Drop for PacerThread {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, instant: MonoTime, job: Job) -> Place {
        let mut jobs = self.lock();
        jobs.numbered += 1;
        let place = (instant, jobs.numbered);
        jobs.put(place, job, &self.changed);
        place
    }

    /// Whether the job was still to be done; then it never will be.
    fn remove(&self, place: Place) -> bool {
        self.lock().by_instant.remove(&place).is_some()
    }

    fn run(&self, clock: &WallClock, spin: Duration) {
        while let Some(instant) = self.next_instant(clock) {
            sleep_until(clock, instant.before(spin));
            while clock.now() < instant {
                std::hint::spin_loop();
            }
            let stamp = clock.now();
            while let Some(job) = self.take_due(stamp) {
                match job {
                    Job::HandOver(handover) => handover.carry_out(stamp, clock),
                    Job::Wake(waker) => waker.wake(),
                }
            }
        }
    }

    /// The earliest instant, when it is near; none when the thread is to end.
    fn next_instant(&self, clock: &WallClock) -> Option<MonoTime> {
        let mut jobs = self.lock();
        while !jobs.closed {
            let Some((&(instant, _), _)) = jobs.by_instant.first_key_value() else {
                jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let ahead = instant.since(clock.now());
            if ahead <= COMMITTED {
                return Some(instant);
            }
            let woken = self.changed.wait_timeout(jobs, ahead - COMMITTED);
            jobs = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    fn take_due(&self, now: MonoTime) -> Option<Job> {
        let mut jobs = self.lock();
        let first = jobs.by_instant.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

impl Jobs {
    fn put(&mut self, place: Place, job: Job, changed: &Condvar) {
        let is_first = self.by_instant.first_key_value().is_none_or(|(first, _)| place < *first);
        self.by_instant.insert(place, job);
        if is_first {
            changed.notify_one();
        }
    }
}

impl Handover {
    /// On the pacer's thread, at the instant.
    fn carry_out(&self, stamp: MonoTime, clock: &WallClock) {
        // A session that is closed is heard of by the manager anyway, and there is nothing to be done here.
        let mut loaded = self.message();
        self.begun.store(true, Ordering::Release);
        if loaded.take().is_some_and(|message| message.send().is_ok()) {
            // Not before: whatever the bus took to have it is lateness too.
            self.sent_at.store(clock.now().as_nanos().max(1), Ordering::Relaxed);
        }
        drop(loaded);
        self.stamp.store(stamp.as_nanos().max(1), Ordering::Release);
        self.arrived.notify_one();
    }

    fn message(&self) -> MutexGuard<'_, Option<Prepared>> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self) -> Option<MonoTime> {
        some(self.stamp.load(Ordering::Acquire))
    }

    fn sent_at(&self) -> Option<MonoTime> {
        some(self.sent_at.load(Ordering::Relaxed))
    }
}

fn some(nanos: u64) -> Option<MonoTime> {
    (nanos > 0).then_some(MonoTime::from_nanos(nanos))
}

/// Sleeps to an absolute instant, so that the time spent before the call does not count.
fn sleep_until(clock: &WallClock, instant: MonoTime) {
    const NANOS_PER_S: u64 = 1_000_000_000;
    let nanos = instant.as_nanos();
    let seconds = i64::try_from(nanos / NANOS_PER_S);
    let rest = i64::try_from(nanos % NANOS_PER_S);
    let (Ok(tv_sec), Ok(tv_nsec)) = (seconds, rest) else { return };
    while clock.now() < instant {
        match clock_nanosleep_absolute(ClockId::Monotonic, &Timespec { tv_sec, tv_nsec }) {
            Ok(()) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// The system's clock with the waits of a pacer's thread.
struct PacerClock {
    shared: Arc<Shared>,
    clock: WallClock,
}

impl Clock for PacerClock {
    fn now(&self) -> MonoTime {
        self.clock.now()
    }

    fn utc(&self) -> Utc {
        self.clock.utc()
    }

    fn anchor(&self) -> Anchor {
        self.clock.anchor()
    }

    fn sleep_until(&self, instant: MonoTime) -> Sleep {
        let clock = self.clock.clone();
        let mut wait = Wait { shared: Arc::clone(&self.shared), place: None };
        Box::pin(poll_fn(move |cx| {
            if clock.now() >= instant {
                return Poll::Ready(());
            }
            wait.register(instant, cx.waker());
            Poll::Pending
        }))
    }
}

/// A wait that is dropped leaves nothing behind.
struct Wait {
    shared: Arc<Shared>,
    place: Option<Place>,
}

impl Wait {
    fn register(&mut self, instant: MonoTime, waker: &Waker) {
        let job = Job::Wake(waker.clone());
        match self.place {
            None => self.place = Some(self.shared.add(instant, job)),
            Some(place) => self.shared.lock().put(place, job, &self.shared.changed),
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.remove(place);
        }
    }
}

/// An instant that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) instant: MonoTime,
    /// When the bus had the message that was loaded for it; none if there was none, or if it is still to be published.
    pub(crate) sent_at: Option<MonoTime>,
}

/// The one instant that a runner waits for.
pub(crate) struct Instants {
    pace: Pace,
    awaited: Option<MonoTime>,
    sleep: Option<Sleep>,
    flight: Option<(Place, Arc<Handover>)>,
}

impl Instants {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, awaited: None, sleep: None, flight: None }
    }

    /// What the pacer's thread was granted; none where there is no such thread.
    pub(crate) fn granted(&self) -> Option<&Granted> {
        match &self.pace {
            Pace::Thread(thread) => Some(&thread.granted),
            Pace::Clock(_) => None,
        }
    }

    /// What was refused.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        self.granted().into_iter().flat_map(Granted::all_refusals).cloned().collect()
    }

    /// From now on waits for `instant`, with no message.
    pub(crate) fn wait_for(&mut self, instant: MonoTime) {
        self.forget();
        self.awaited = Some(instant);
        match &self.pace {
            Pace::Thread(thread) => {
                let handover = Arc::new(Handover::default());
                let place = thread.shared.add(instant, Job::HandOver(Arc::clone(&handover)));
                self.flight = Some((place, handover));
            }
            Pace::Clock(clock) => self.sleep = Some(clock.sleep_until(instant)),
        }
    }

    /// Waits for nothing. Whether a message had been handed over all the same.
    pub(crate) fn forget(&mut self) -> bool {
        self.awaited = None;
        self.sleep = None;
        let Some((place, handover)) = self.flight.take() else { return false };
        let Pace::Thread(thread) = &self.pace else { return false };
        if thread.shared.remove(place) {
            return false;
        }
        // The thread has the job: either the message is taken from it here, or it is out by now.
        handover.message().take().is_none() && handover.sent_at().is_some()
    }

    /// This message is to leave at the instant waited for.
    pub(crate) fn load(&mut self, message: Prepared) {
        // Without the thread the runner publishes it.
        if let Some((_, handover)) = &self.flight {
            *handover.message() = Some(message);
        }
    }

    /// Whether the instant waited for has come, as far as can be told without waiting. Then it is reached at once, or as
    /// soon as the thread has handed the message over.
    pub(crate) fn has_come(&self) -> bool {
        self.flight.as_ref().is_some_and(|(_, handover)| handover.begun.load(Ordering::Acquire))
    }

    /// The instant waited for, when it has come. May be dropped and asked for again.
    pub(crate) async fn reached(&mut self) -> Reached {
        let Some(instant) = self.awaited else { return pending().await };
        let mut sent_at = None;
        match &self.pace {
            Pace::Thread(_) => {
                let Some((_, handover)) = &self.flight else { return pending().await };
                while handover.reached().is_none() {
                    handover.arrived.notified().await;
                }
                sent_at = handover.sent_at();
            }
            Pace::Clock(_) => {
                if let Some(sleep) = &mut self.sleep {
                    sleep.await;
                    self.sleep = None;
                }
            }
        }
        // With it goes a message that was loaded a moment too late for the thread.
        self.flight = None;
        self.awaited = None;
        Reached { instant, sent_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use gridloop_bus::{Bus, Event, Subscribe, Subscription, WhenFull};

    fn thread(clock: &WallClock) -> PacerThread {
        PacerThread::start(clock.clone(), PacerSettings::default()).unwrap()
    }

    async fn reached(instants: &mut Instants) -> MonoTime {
        instants.reached().await.instant
    }

    async fn listener(bus: &Bus) -> Subscription {
        let subscribe = Subscribe {
            name: "listener".into(),
            patterns: vec!["Epoch".into()],
            capacity: 4,
            when_full: WhenFull::Wait,
        };
        bus.subscribe(subscribe).await.unwrap()
    }

    #[tokio::test]
    async fn instants_come_in_order_and_never_early() {
        let clock = WallClock::start().unwrap();
        let mut instants = Instants::new(Pace::Thread(thread(&clock)));
        let start = clock.now();
        for n in 1..=20 {
            let instant = start + Duration::from_millis(2) * n;
            instants.wait_for(instant);
            assert_eq!(reached(&mut instants).await, instant);
            assert!(clock.now() >= instant);
        }
    }

    #[tokio::test]
    async fn an_instant_that_has_passed_comes_at_once() {
        let clock = WallClock::start().unwrap();
        let mut instants = Instants::new(Pace::Thread(thread(&clock)));
        let long_ago = MonoTime::from_nanos(1);
        instants.wait_for(long_ago);
        assert_eq!(reached(&mut instants).await, long_ago);
    }

    #[tokio::test]
    async fn a_distant_instant_can_be_replaced_by_a_near_one() {
        let clock = WallClock::start().unwrap();
        let mut instants = Instants::new(Pace::Thread(thread(&clock)));
        instants.wait_for(clock.now() + Duration::from_secs(3600));
        let near = clock.now() + Duration::from_millis(1);
        instants.wait_for(near);
        assert_eq!(reached(&mut instants).await, near);
    }

    #[tokio::test]
    async fn a_loaded_message_leaves_at_its_instant_without_the_runner() {
        let clock = WallClock::start().unwrap();
        let bus = Bus::memory(None);
        let mut subscription = listener(&bus).await;
        let mut instants = Instants::new(Pace::Thread(thread(&clock)));
        let instant = clock.now() + Duration::from_millis(5);
        instants.wait_for(instant);
        instants.load(bus.prepare("Epoch", Bytes::from_static(b"1")).await.unwrap());
        assert!(matches!(subscription.recv().await, Some(Event::Message(_))), "nobody asked for the instant");
        assert!(clock.now() >= instant);
        let Reached { sent_at: Some(sent_at), .. } = instants.reached().await else { panic!("it was sent") };
        assert!(sent_at >= instant && sent_at <= clock.now());
    }

    #[tokio::test]
    async fn a_message_that_comes_too_late_for_the_thread_is_left_to_the_runner() {
        let clock = WallClock::start().unwrap();
        let bus = Bus::memory(None);
        let mut instants = Instants::new(Pace::Thread(thread(&clock)));
        instants.wait_for(MonoTime::from_nanos(1));
        while !instants.has_come() {
            gridloop_clock::sleep(&clock, Duration::from_millis(1)).await;
        }
        instants.load(bus.prepare("Epoch", Bytes::new()).await.unwrap());
        assert_eq!(instants.reached().await.sent_at, None);
        assert_eq!(bus.statistics().published, 0);
    }

    #[tokio::test]
    async fn what_is_forgotten_in_time_never_leaves() {
        let clock = WallClock::start().unwrap();
        let bus = Bus::memory(None);
        let mut instants = Instants::new(Pace::Thread(thread(&clock)));
        let instant = clock.now() + Duration::from_millis(10);
        instants.wait_for(instant);
        instants.load(bus.prepare("Epoch", Bytes::new()).await.unwrap());
        assert!(!instants.forget());
        gridloop_clock::sleep(&clock, Duration::from_millis(20)).await;
        assert_eq!(bus.statistics().published, 0);
    }

    #[tokio::test]
    async fn waits_of_the_pacer_s_clock_end_at_their_instants_and_leave_nothing_behind() {
        let wall = WallClock::start().unwrap();
        let thread = thread(&wall);
        let clock = thread.clock();
        let instant = clock.now() + Duration::from_millis(4);
        let waits = (0..20).map(|_| tokio::spawn(clock.sleep_until(instant)));
        for wait in waits.collect::<Vec<_>>() {
            wait.await.unwrap();
            assert!(clock.now() >= instant);
        }
        drop(clock.sleep_until(instant + Duration::from_secs(3600)));
        assert!(thread.shared.lock().by_instant.is_empty());
    }

    #[tokio::test]
    async fn the_thread_ends_with_its_owner_even_in_the_middle_of_a_long_wait() {
        let clock = WallClock::start().unwrap();
        let mut instants = Instants::new(Pace::Thread(thread(&clock)));
        instants.wait_for(clock.now() + Duration::from_secs(3600));
        let Pace::Thread(thread) = &instants.pace else { panic!("a thread") };
        let shared = Arc::downgrade(&thread.shared);
        drop(instants);
        let limit = clock.now() + Duration::from_secs(10);
        while shared.strong_count() > 0 {
            assert!(clock.now() < limit, "the thread still waits");
            gridloop_clock::sleep(&clock, Duration::from_millis(1)).await;
        }
    }
}
