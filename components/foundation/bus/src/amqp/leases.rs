//! The leases of a session, each an exclusive queue at the broker.
//!
//! A queue that is exclusive to a connection goes with it, so a lease never outlives its session. When a session is
//! restored, the broker may not have missed the old connection yet: then the queue is our own, and [`Leases::retake`]
//! waits until the broker's heartbeats have found out. If somebody still has it after that, it is somebody else.

use super::link::Link;
use super::target::{Target, short};
use crate::BusError;
use crate::lease::State;
use gridloop_clock::{Clock, sleep};
use lapin::types::ShortString;
use std::time::Duration;
use tokio::sync::watch;

/// Between two attempts to take a lease that somebody has.
pub(super) const RETRY: Duration = Duration::from_millis(200);

/// What a session holds.
#[derive(Default)]
pub(super) struct Leases(Vec<Held>);

struct Held {
    name: String,
    queue: ShortString,
    state: watch::Sender<State>,
}

impl Leases {
    /// Takes a lease.
    pub(super) async fn take(
        &mut self,
        name: &str,
        link: &mut Link,
        target: &Target,
        clock: &dyn Clock,
    ) -> Result<watch::Receiver<State>, BusError> {
        // The broker would give it to this connection again.
        if self.0.iter().any(|held| held.name == name && !held.state.is_closed()) {
            return Err(BusError::LeaseTaken { name: name.to_owned() });
        }
        let queue = short(&format!("gridloop.lease.{}.{name}", target.exchange.name))?;
        link.lease(target, name, &queue, clock).await?;
        let (state, held) = watch::channel(State::Held);
        self.0.retain(|held| held.name != name);
        self.0.push(Held { name: name.to_owned(), queue, state });
        Ok(held)
    }

    /// Gives back what nobody holds any more.
    pub(super) async fn give_back(&mut self, link: &mut Link, clock: &dyn Clock) {
        for dropped in self.0.extract_if(.., |held| held.state.is_closed()) {
            link.give_back(&dropped.queue, clock).await;
        }
    }

    /// Takes everything again on a new link.
    pub(super) async fn retake(
        &mut self,
        link: &mut Link,
        target: &Target,
        clock: &dyn Clock,
    ) -> Result<(), BusError> {
        self.0.retain(|held| !held.state.is_closed());
        // Two missed heartbeats, the half one until the broker looks, and some time to clear up.
        let patience = target.access.heartbeat * 3 + Duration::from_secs(2);
        let give_up = clock.now() + patience;
        for held in &self.0 {
            loop {
                match link.lease(target, &held.name, &held.queue, clock).await {
                    Err(BusError::LeaseTaken { .. }) if clock.now() < give_up && link.is_up() => {
                        sleep(clock, RETRY).await;
                    }
                    Err(BusError::LeaseTaken { name }) if link.is_up() => {
                        // Whoever holds it may have let go of it meanwhile.
                        let _ = held.state.send(State::Taken);
                        return Err(BusError::LeaseTaken { name });
                    }
                    Err(BusError::LeaseTaken { .. }) => return Err(target.no_answer()),
                    other => break other?,
                }
            }
        }
        Ok(())
    }
}
