//! The device contract as a test: [`check`] holds any [`Device`] to its promises.
//!
//! Every adapter runs it, in its `tests/conformance.rs`, on devices from a factory of its own. A promise that is not
//! kept comes back as a [`Violation`]. The suite waits on the clock it is given, so that it runs in simulated time as
//! well as against sockets; its bounds are counts of attempts, never durations.

mod promises;

use crate::{Command, Device, Setpoint};
use gridloop_clock::{Clock, SharedClock, sleep};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// A promise of the contract that a device did not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {found}")]
pub struct Violation {
    /// The promise.
    pub promise: &'static str,
    /// What the device did instead.
    pub found: String,
}

/// How often something that takes its time (a ramp, a tap movement) is asked for, with [`PATIENCE`] in between.
const ATTEMPTS: u32 = 400;

/// The wait between two attempts.
const PATIENCE: Duration = Duration::from_millis(50);

/// Makes fresh devices, each of which talks to equipment in its initial state.
pub struct Bench<F> {
    clock: SharedClock,
    make: F,
}

/// Holds devices to every promise, a fresh one for each.
///
/// `make` gives a device that has not been connected, before equipment that is there, answers, and takes commands.
///
/// # Errors
/// The promises that were not kept.
pub async fn check<F, D>(clock: SharedClock, make: F) -> Result<(), Vec<Violation>>
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    let bench = Bench { clock, make };
    let outcomes = [
        promises::nothing_works_before_connecting(&bench).await,
        promises::connecting_again_describes_the_same(&bench).await,
        promises::a_reading_is_finite_and_dated(&bench).await,
        promises::a_command_is_read_back(&bench).await,
        promises::a_command_out_of_range_is_refused(&bench).await,
        promises::a_command_without_capability_is_refused(&bench).await,
        promises::releasing_twice_is_releasing(&bench).await,
        promises::an_abandoned_call_leaves_a_working_device(&bench).await,
    ];
    let violations: Vec<Violation> = outcomes.into_iter().filter_map(Result::err).collect();
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

impl<F, D> Bench<F>
where
    F: Fn() -> D,
    D: Future<Output = Box<dyn Device>>,
{
    async fn device(&self) -> Box<dyn Device> {
        (self.make)().await
    }

    async fn wait(&self) {
        sleep(&*self.clock, PATIENCE).await;
    }

    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// A setpoint that is good for a minute.
    fn setpoint(&self, command: Command) -> Setpoint {
        let received_at = self.clock.now();
        Setpoint {
            command,
            epoch: 1,
            received_at,
            expires_at: received_at + Duration::from_mins(1),
            order: 0,
        }
    }
}

/// Polls `work` at most so many times and drops it; `true` when it was over before.
async fn abandon_after<W: Future>(polls: u32, work: W) -> bool {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        work.as_mut().poll(context).map(|_| true)
    })
    .await
}
