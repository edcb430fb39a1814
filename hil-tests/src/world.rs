//! A world in simulated time: a single-threaded runtime whose clock jumps whenever there is nothing left to do.
//!
//! [`simulated`] is that runtime. [`World`] holds what a run needs in it, and [`World::run`] gives a [`Run`]: the report
//! and every message in the order in which a listener [`Heard`] it. A [`FaultyDevice`] stands between the gateway and a
//! plant; its [`Ledger`] says what really reached the plant, which is what the tests compare everything else with.

mod faulty;
mod messages;
mod run;
mod spoil;
mod stall;

pub use faulty::{Call, FaultyDevice, Ledger, Mishap, Plan, What, cut, honest, mischief};
pub use messages::{Author, at_epochs};
pub use run::{Heard, Listener, Run, World};
pub use spoil::spoil;
pub use stall::StallingClock;

use gridloop_clock::{MonoTime, SimulatedClock};
use std::future::Future;

/// 2026-01-01T00:00:00Z, the UTC time at which every simulated world begins.
pub const BEGINNING: i64 = 1_767_225_600;

/// Runs `work` in simulated time. The same work with the same seeds takes the same steps: one thread, no sockets, and
/// time moves only when every task waits.
///
/// # Panics
/// When the runtime cannot be made, when `work` panics, and when every task waits for something that is not time: then
/// nothing could ever happen again.
pub fn simulated<F: Future>(work: impl FnOnce(SimulatedClock) -> F) -> F::Output {
    simulated_from(MonoTime::default(), work)
}

/// The same for a world whose clock is at `now`: what goes on after a process was killed.
///
/// # Panics
/// As [`simulated`].
pub fn simulated_from<F: Future>(now: MonoTime, work: impl FnOnce(SimulatedClock) -> F) -> F::Output {
    let utc = chrono::DateTime::from_timestamp(BEGINNING, 0).unwrap_or_default();
    let clock = SimulatedClock::at(utc, now);
    let idle = clock.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || assert!(idle.advance(), "every task waits, and none of them for an instant"))
        .build()
        .expect("a runtime without I/O");
    runtime.block_on(work(clock))
}
