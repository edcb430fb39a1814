//! Time as an argument.
//!
//! [`MonoTime`] is an instant on the monotonic clock, [`Clock`] tells it (and the UTC label that goes with it) and
//! lets a task wait for one; [`Pacer`] is the grid of epoch instants. [`WallClock`] asks the operating system and is
//! the only code that does; [`SimulatedClock`] is moved by the test that owns it. Pacing never looks at UTC, and no
//! asynchronous runtime is known here.

mod anchor;
mod pacer;
mod simulated;
mod wall;
mod watch;

pub use anchor::Anchor;
pub use pacer::{OnOverrun, Pacer, Tick};
pub use simulated::SimulatedClock;
pub use wall::{WallClock, read_clocks};
pub use watch::{ClockEvent, ClockWatch, Readings};

use std::future::Future;
use std::ops::Add;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// UTC wall-clock time. It labels; it never paces.
pub type Utc = chrono::DateTime<chrono::Utc>;

/// A wait for an instant of some [`Clock`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A clock shared by everything in one process.
pub type SharedClock = Arc<dyn Clock>;

/// An instant on `CLOCK_MONOTONIC`, in nanoseconds since that clock's zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonoTime(u64);

impl MonoTime {
    /// The instant `nanos` nanoseconds after the clock's zero.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's zero.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The instant `by` earlier; the clock's zero where that lies before it.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time from `earlier` until this instant in nanoseconds; negative when `earlier` is in fact later.
    #[must_use]
    pub fn nanos_since(self, earlier: Self) -> i64 {
        let nanos = i128::from(self.0) - i128::from(earlier.0);
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }
}

impl Add<Duration> for MonoTime {
    type Output = Self;

    /// Saturates at the end of time (584 years).
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> MonoTime;
    /// The present UTC time, a label for people and messages.
    fn utc(&self) -> Utc;
    /// Completes at `instant`, or at once when it has passed.
    fn sleep_until(&self, instant: MonoTime) -> Sleep;

    /// The present on both clocks, read as near to each other as possible.
    fn anchor(&self) -> Anchor {
        Anchor { at: self.now(), utc: self.utc() }
    }
}

/// Completes after `wait` on `clock`.
pub fn sleep(clock: &dyn Clock, wait: Duration) -> Sleep {
    clock.sleep_until(clock.now() + wait)
}

/// The output of `work`, or `None` when `instant` comes first.
pub async fn until<F: Future>(clock: &dyn Clock, instant: MonoTime, work: F) -> Option<F::Output> {
    let mut work = std::pin::pin!(work);
    let mut alarm = clock.sleep_until(instant);
    std::future::poll_fn(move |cx| {
        if let std::task::Poll::Ready(output) = work.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(output));
        }
        alarm.as_mut().poll(cx).map(|()| None)
    })
    .await
}
