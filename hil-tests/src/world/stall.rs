//! A clock whose sleepers sometimes oversleep: [`StallingClock`].

use gridloop_clock::{Clock, MonoTime, SharedClock, Sleep, Utc};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Another clock; of its waits some take longer than asked for, as on a computer that is overloaded or whose processor is
/// taken away.
pub struct StallingClock {
    clock: SharedClock,
    random: Mutex<fastrand::Rng>,
    percent: u8,
    longest: Duration,
}

impl StallingClock {
    /// Of a hundred waits on `clock`, so many take up to `longest` more.
    #[must_use]
    pub fn new(clock: SharedClock, seed: u64, percent: u8, longest: Duration) -> Self {
        Self { clock, random: Mutex::new(fastrand::Rng::with_seed(seed)), percent, longest }
    }
}

impl Clock for StallingClock {
    fn now(&self) -> MonoTime {
        self.clock.now()
    }

    fn utc(&self) -> Utc {
        self.clock.utc()
    }

    fn sleep_until(&self, instant: MonoTime) -> Sleep {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let stalls = random.u8(..100) < self.percent;
        let micros = u64::try_from(self.longest.as_micros()).unwrap_or(u64::MAX);
        let by = if stalls { Duration::from_micros(random.u64(..=micros)) } else { Duration::ZERO };
        self.clock.sleep_until(instant + by)
    }
}
