//! A world in simulated time: a single-threaded runtime whose clock jumps whenever there is nothing left to do.

use gridloop_clock::SimulatedClock;
use std::future::Future;

/// Runs `work` in simulated time. The same work with the same seeds takes the same steps: one thread, no sockets, and
/// time moves only when every task waits.
///
/// # Panics
/// When the runtime cannot be made.
pub fn simulated<F: Future>(work: impl FnOnce(SimulatedClock) -> F) -> F::Output {
    let utc = chrono::DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default();
    let clock = SimulatedClock::new(utc);
    let idle = clock.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || {
            let _ = idle.advance();
        })
        .build()
        .expect("a runtime without I/O");
    runtime.block_on(work(clock))
}
