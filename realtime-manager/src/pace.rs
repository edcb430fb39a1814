//! Waiting for epoch instants. A [`PacerThread`] is one operating system thread that does nothing else: it sleeps to
//! the absolute instant on the monotonic clock, spins over the last stretch if nobody can take the processor from it,
//! and hands the instant over without allocating. [`Pace::Clock`] waits on any clock instead, so that whole runs work
//! in simulated time.

use crate::rt::{self, Granted, Scheduler};
use gridloop_clock::{Clock, MonoTime, SharedClock, Sleep, WallClock};
use rustix::io::Errno;
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec};
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;

/// Further than this from its instant the thread can still be told otherwise; nearer it sleeps to the end.
const COMMITTED: Duration = Duration::from_millis(20);

/// The stretch that is spun rather than slept: what a wake-up costs at worst on an undisturbed machine. Without
/// `SCHED_FIFO` spinning makes things worse, since the scheduler takes it for a reason to prefer others.
const SPIN: Duration = Duration::from_micros(200);

/// What waits for epoch instants.
pub enum Pace {
    /// A thread of its own, for wall-clock time.
    Thread(PacerThread),
    /// The clock's own waits. In simulated time they are exact.
    Clock(SharedClock),
}

/// The thread, and what it was granted. It ends when this is dropped.
pub struct PacerThread {
    shared: Arc<Shared>,
    granted: Arc<Granted>,
}

#[derive(Default)]
struct Shared {
    order: Mutex<Order>,
    ordered: Condvar,
    /// The newest instant that was reached, in nanoseconds.
    reached: AtomicU64,
    arrived: Notify,
}

#[derive(Default)]
struct Order {
    instant: Option<MonoTime>,
    closed: bool,
}

impl PacerThread {
    /// Starts the thread, which asks the operating system for all it can use.
    ///
    /// # Errors
    /// The operating system refused the thread itself.
    pub fn start(clock: WallClock) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (tell, told) = mpsc::sync_channel(1);
        let work = Arc::clone(&shared);
        thread::Builder::new().name("pacer".into()).spawn(move || {
            let granted = Arc::new(rt::request());
            let spin = match granted.scheduler {
                Scheduler::Fifo(_) => SPIN,
                Scheduler::Other(_) => Duration::ZERO,
            };
            // The starter has gone only if its own thread was torn down; then there is nothing to wait for.
            if tell.send(granted).is_ok() {
                work.run(&clock, spin);
            }
        })?;
        let granted = told.recv().map_err(std::io::Error::other)?;
        Ok(Self { shared, granted })
    }

    /// What the operating system granted.
    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.granted
    }

    fn wait_for(&self, instant: MonoTime) {
        self.shared.lock().instant = Some(instant);
        self.shared.ordered.notify_one();
    }

    /// Completes when `instant`, the one last asked for, is reached. May be dropped and asked for again.
    async fn reached(&self, instant: MonoTime) {
        while self.shared.reached.load(Ordering::Acquire) != instant.as_nanos() {
            self.shared.arrived.notified().await;
        }
    }
}

impl Drop for PacerThread {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.ordered.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, clock: &WallClock, spin: Duration) {
        while let Some(instant) = self.next_instant(clock) {
            sleep_until(clock, earlier(instant, spin));
            while clock.now() < instant {
                std::hint::spin_loop();
            }
            self.reached.store(instant.as_nanos(), Ordering::Release);
            self.arrived.notify_one();
        }
    }

    /// The instant asked for, when it is near; none when the thread is to end.
    fn next_instant(&self, clock: &WallClock) -> Option<MonoTime> {
        let mut order = self.lock();
        while !order.closed {
            let Some(instant) = order.instant else {
                order = self.ordered.wait(order).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let ahead = instant.since(clock.now());
            if ahead <= COMMITTED {
                order.instant = None;
                return Some(instant);
            }
            let woken = self.ordered.wait_timeout(order, ahead - COMMITTED);
            order = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }
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

fn earlier(instant: MonoTime, by: Duration) -> MonoTime {
    let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    MonoTime::from_nanos(instant.as_nanos().saturating_sub(by))
}

/// The one instant that a runner waits for.
pub(crate) struct Instants {
    pace: Pace,
    awaited: Option<MonoTime>,
    sleep: Option<Sleep>,
}

impl Instants {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, awaited: None, sleep: None }
    }

    /// What really waits, in the report's words.
    pub(crate) fn scheduler(&self) -> String {
        match &self.pace {
            Pace::Thread(thread) => thread.granted.scheduler.to_string(),
            Pace::Clock(_) => "none: the clock's own waits".to_owned(),
        }
    }

    /// What else was refused.
    pub(crate) fn refusals(&self) -> &[rt::Refusal] {
        match &self.pace {
            Pace::Thread(thread) => &thread.granted.refusals,
            Pace::Clock(_) => &[],
        }
    }

    /// From now on waits for `instant`.
    pub(crate) fn wait_for(&mut self, instant: MonoTime) {
        self.awaited = Some(instant);
        match &self.pace {
            Pace::Thread(thread) => thread.wait_for(instant),
            Pace::Clock(clock) => self.sleep = Some(clock.sleep_until(instant)),
        }
    }

    /// The instant waited for, when it has come. May be dropped and asked for again.
    pub(crate) async fn reached(&mut self) -> MonoTime {
        let Some(instant) = self.awaited else { return pending().await };
        match &self.pace {
            Pace::Thread(thread) => thread.reached(instant).await,
            Pace::Clock(_) => {
                if let Some(sleep) = &mut self.sleep {
                    sleep.await;
                    self.sleep = None;
                }
            }
        }
        self.awaited = None;
        instant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn instants_come_in_order_and_never_early() {
        let clock = WallClock::start().unwrap();
        let mut instants = Instants::new(Pace::Thread(PacerThread::start(clock.clone()).unwrap()));
        let start = clock.now();
        for n in 1..=20 {
            let instant = start + Duration::from_millis(2) * n;
            instants.wait_for(instant);
            assert_eq!(instants.reached().await, instant);
            assert!(clock.now() >= instant);
        }
    }

    #[tokio::test]
    async fn an_instant_that_has_passed_comes_at_once() {
        let clock = WallClock::start().unwrap();
        let mut instants = Instants::new(Pace::Thread(PacerThread::start(clock).unwrap()));
        let long_ago = MonoTime::from_nanos(1);
        instants.wait_for(long_ago);
        assert_eq!(instants.reached().await, long_ago);
    }

    #[tokio::test]
    async fn a_distant_instant_can_be_replaced_by_a_near_one() {
        let clock = WallClock::start().unwrap();
        let mut instants = Instants::new(Pace::Thread(PacerThread::start(clock.clone()).unwrap()));
        instants.wait_for(clock.now() + Duration::from_secs(3600));
        let near = clock.now() + Duration::from_millis(1);
        instants.wait_for(near);
        assert_eq!(instants.reached().await, near);
    }

    #[tokio::test]
    async fn the_thread_ends_with_its_owner_even_in_the_middle_of_a_long_wait() {
        let clock = WallClock::start().unwrap();
        let thread = PacerThread::start(clock.clone()).unwrap();
        thread.wait_for(clock.now() + Duration::from_secs(3600));
        let shared = Arc::downgrade(&thread.shared);
        drop(thread);
        let limit = clock.now() + Duration::from_secs(10);
        while shared.strong_count() > 0 {
            assert!(clock.now() < limit, "the thread still waits");
            gridloop_clock::sleep(&clock, Duration::from_millis(1)).await;
        }
    }
}
