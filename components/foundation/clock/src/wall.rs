//! The operating system's clocks, and one thread that wakes whoever waits for them.

use crate::{Anchor, Clock, MonoTime, Readings, Sleep, Utc};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

/// `CLOCK_MONOTONIC` for instants, the system's UTC for labels. Clones share one timer thread, which ends with the
/// last of them.
#[derive(Clone)]
pub struct WallClock {
    timer: Arc<Timer>,
}

impl WallClock {
    /// The system's clock.
    ///
    /// # Errors
    /// When the operating system refuses the timer thread.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let waits = Arc::clone(&shared);
        thread::Builder::new().name("timer".into()).spawn(move || waits.run())?;
        Ok(Self { timer: Arc::new(Timer { shared }) })
    }
}

/// The present instant of `CLOCK_MONOTONIC`.
fn monotonic() -> MonoTime {
    let t = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
    MonoTime::from_nanos(seconds * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0))
}

/// All of the system's clocks, read as near to one another as possible: of three attempts the quickest counts.
#[must_use]
pub fn read_clocks() -> Readings {
    let attempt = || {
        let before = nanos(ClockId::Monotonic);
        let (utc, boottime, raw) =
            (nanos(ClockId::Realtime), nanos(ClockId::Boottime), nanos(ClockId::MonotonicRaw));
        let after = nanos(ClockId::Monotonic);
        Readings { monotonic: before + (after - before) / 2, utc, boottime, raw, taken: after - before }
    };
    let attempts = [attempt(), attempt(), attempt()];
    attempts.into_iter().min_by_key(|readings| readings.taken).unwrap_or_default()
}

fn nanos(clock: ClockId) -> i64 {
    let t = clock_gettime(clock);
    t.tv_sec.saturating_mul(1_000_000_000).saturating_add(t.tv_nsec)
}

impl Clock for WallClock {
    fn now(&self) -> MonoTime {
        monotonic()
    }

    fn utc(&self) -> Utc {
        let t = clock_gettime(ClockId::Realtime);
        let nanos = u32::try_from(t.tv_nsec).unwrap_or(0);
        chrono::DateTime::from_timestamp(t.tv_sec, nanos).unwrap_or_default()
    }

    fn anchor(&self) -> Anchor {
        let Readings { monotonic, utc, .. } = read_clocks();
        let at = MonoTime::from_nanos(u64::try_from(monotonic).unwrap_or(0));
        Anchor { at, utc: chrono::DateTime::from_timestamp_nanos(utc) }
    }

    fn sleep_until(&self, instant: MonoTime) -> Sleep {
        let mut wait = Wait { shared: Arc::clone(&self.timer.shared), key: None };
        Box::pin(poll_fn(move |cx| {
            if monotonic() >= instant {
                return Poll::Ready(());
            }
            wait.register(instant, cx.waker());
            Poll::Pending
        }))
    }
}

/// Owned by the clocks; its end is the end of the timer thread.
struct Timer {
    shared: Arc<Shared>,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

#[derive(Default)]
struct Shared {
    waits: Mutex<Waits>,
    changed: Condvar,
}

#[derive(Default)]
struct Waits {
    next: u64,
    closed: bool,
    wakers: BTreeMap<(MonoTime, u64), Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut waits = self.lock();
        while !waits.closed {
            let now = monotonic();
            let Some((&(due, _), _)) = waits.wakers.first_key_value() else {
                waits = self.changed.wait(waits).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if due > now {
                let wait = due.since(now);
                waits = self.changed.wait_timeout(waits, wait).unwrap_or_else(PoisonError::into_inner).0;
            } else if let Some((_, waker)) = waits.wakers.pop_first() {
                drop(waits);
                waker.wake();
                waits = self.lock();
            }
        }
    }
}

/// One sleeper's place in the timer's list.
struct Wait {
    shared: Arc<Shared>,
    key: Option<(MonoTime, u64)>,
}

impl Wait {
    fn register(&mut self, instant: MonoTime, waker: &Waker) {
        let mut waits = self.shared.lock();
        let key = *self.key.get_or_insert_with(|| {
            waits.next += 1;
            (instant, waits.next)
        });
        let first = waits.wakers.first_key_value().is_none_or(|(earliest, _)| key < *earliest);
        waits.wakers.insert(key, waker.clone());
        drop(waits);
        if first {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.lock().wakers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sleep;
    use std::task::{Context, Wake};
    use std::time::Duration;

    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn block_on(mut wait: Sleep) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
        }
    }

    #[test]
    fn a_sleep_never_ends_early_and_sleeps_end_in_order() {
        let clock = WallClock::start().unwrap();
        let begun = clock.now();
        let longer = sleep(&clock, Duration::from_millis(20));
        block_on(sleep(&clock, Duration::from_millis(5)));
        assert!(clock.now().since(begun) >= Duration::from_millis(5));
        block_on(longer);
        assert!(clock.now().since(begun) >= Duration::from_millis(20));
    }

    #[test]
    fn a_dropped_sleep_leaves_nothing_behind() {
        let clock = WallClock::start().unwrap();
        let mut wait = sleep(&clock, Duration::from_secs(3600));
        let waker = Waker::noop();
        assert!(wait.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        drop(wait);
        assert!(clock.timer.shared.lock().wakers.is_empty());
    }
}
