//! A clock that stands still until it is told to move.

use crate::{Clock, MonoTime, Sleep, Utc};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Virtual time. It jumps to the next instant that somebody waits for when [`SimulatedClock::advance`] is called;
/// waits for the same instant wake in the order in which they began.
#[derive(Clone)]
pub struct SimulatedClock {
    utc_at_zero: Utc,
    state: Arc<Mutex<State>>,
}

struct State {
    now: MonoTime,
    next_wait: u64,
    /// By how much UTC has been set.
    stepped_nanos: i64,
    waits: BTreeMap<(MonoTime, u64), Waker>,
}

impl SimulatedClock {
    /// A clock at instant zero, which carries the label `utc_at_zero`.
    #[must_use]
    pub fn new(utc_at_zero: Utc) -> Self {
        Self::at(utc_at_zero, MonoTime::default())
    }

    /// The same clock at another instant: for the second part of a story.
    #[must_use]
    pub fn at(utc_at_zero: Utc, now: MonoTime) -> Self {
        let state = State { now, next_wait: 0, stepped_nanos: 0, waits: BTreeMap::new() };
        Self { utc_at_zero, state: Arc::new(Mutex::new(state)) }
    }

    /// Sets UTC forward or back by so many nanoseconds, as an operator or a time service does. No wait takes notice.
    pub fn step_utc(&self, nanos: i64) {
        let mut state = self.lock();
        state.stepped_nanos = state.stepped_nanos.saturating_add(nanos);
    }

    /// Moves to the earliest instant waited for and wakes its first waiter; `false` when nobody waits.
    #[must_use]
    pub fn advance(&self) -> bool {
        let mut state = self.lock();
        let Some(((instant, _), waker)) = state.waits.pop_first() else { return false };
        state.now = state.now.max(instant);
        drop(state);
        waker.wake();
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> MonoTime {
        self.lock().now
    }

    fn utc(&self) -> Utc {
        let state = self.lock();
        let nanos = i64::try_from(state.now.as_nanos()).unwrap_or(i64::MAX);
        self.utc_at_zero + chrono::TimeDelta::nanoseconds(nanos.saturating_add(state.stepped_nanos))
    }

    fn sleep_until(&self, instant: MonoTime) -> Sleep {
        let clock = self.clone();
        let number = {
            let mut state = self.lock();
            state.next_wait += 1;
            state.next_wait
        };
        let entry = Entry { clock, key: (instant, number) };
        Box::pin(poll_fn(move |cx| {
            let mut state = entry.clock.lock();
            if state.now >= instant {
                return Poll::Ready(());
            }
            state.waits.insert(entry.key, cx.waker().clone());
            Poll::Pending
        }))
    }
}

/// A wait that is dropped must not move time.
struct Entry {
    clock: SimulatedClock,
    key: (MonoTime, u64),
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.clock.lock().waits.remove(&self.key);
    }
}
