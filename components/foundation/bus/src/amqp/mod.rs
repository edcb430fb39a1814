//! The bus over RabbitMQ (wire contract, section 1).
//!
//! A [`Session`] is a handle on a supervisor task ([`supervisor`]), which owns one connection at a time ([`link`]),
//! what is not yet confirmed ([`outbox`]) and the list of subscriptions; [`topology`] declares them at the broker. An
//! [`Inbox`] is the receiving end of one. The client library's own recovery is not used: after any error the
//! connection is thrown away with everything on it, and a new one is set up from what the supervisor knows.

mod inbox;
mod link;
mod outbox;
mod supervisor;
mod topology;

pub(crate) use inbox::Inbox;

use crate::{AmqpUrl, BusError, Counters, Statistics, Subscribe, WhenFull};
use bytes::Bytes;
use gridloop_clock::{SharedClock, sleep, until};
use inbox::{Direct, Pumped};
use lapin::types::ShortString;
use link::{Link, Target};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use supervisor::{Outgoing, Request, Supervisor, Wanted};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use topology::Binding;

/// Messages taken over from publishers and not yet sent.
const OUTBOX_CAPACITY: usize = 1024;
/// A broker that is just starting refuses connections for this long at most.
const REFUSED_PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts while it does.
const REFUSED_WAIT: Duration = Duration::from_millis(200);
/// A publisher waits no longer for room in the outbox.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(30);
/// A subscription is in place within this time, a reconnection included, or given up.
const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(15);
/// Everything is confirmed within this time, a reconnection included, or reported.
const FLUSH_DEADLINE: Duration = Duration::from_secs(20);
/// The session is closed within this time.
const CLOSE_DEADLINE: Duration = Duration::from_secs(8);
/// What the broker sends ahead for a subscriber that sheds: the pump empties it at once.
const PUMP_PREFETCH: u16 = 256;

/// One session with a broker. Clones are the same session; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct Session {
    outgoing: mpsc::Sender<Outgoing>,
    requests: mpsc::UnboundedSender<Request>,
    closing: CancellationToken,
    shared: Arc<Shared>,
    clock: SharedClock,
}

/// What the supervisor lets others see.
#[derive(Default)]
struct Shared {
    counters: Counters,
    connected: AtomicBool,
}

impl Session {
    pub(crate) async fn connect(
        url: &AmqpUrl,
        exchange: &str,
        name: &str,
        clock: SharedClock,
    ) -> Result<Self, BusError> {
        let target = Target { url: url.clone(), exchange: short(exchange)?, name: name.to_owned() };
        let link = first_link(&target, &clock).await?;
        let (outgoing, taken_over) = mpsc::channel(OUTBOX_CAPACITY);
        let (requests, requested) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        let shared = Arc::new(Shared { connected: AtomicBool::new(true), ..Default::default() });
        let supervisor = Supervisor::new(
            target,
            taken_over,
            requested,
            closing.clone(),
            Arc::clone(&shared),
            Arc::clone(&clock),
        );
        tokio::spawn(supervisor.run(link));
        Ok(Self { outgoing, requests, closing, shared, clock })
    }

    pub(crate) async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        self.hand_over(Outgoing::Message { topic: topic.into(), body }).await?;
        Counters::add(&self.shared.counters.published, 1);
        Ok(())
    }

    async fn hand_over(&self, item: Outgoing) -> Result<(), BusError> {
        let item = match self.outgoing.try_send(item) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(BusError::Closed),
            Err(mpsc::error::TrySendError::Full(item)) => item,
        };
        let deadline = self.clock.now() + PUBLISH_DEADLINE;
        match until(&*self.clock, deadline, self.outgoing.send(item)).await {
            Some(sent) => sent.map_err(|_| BusError::Closed),
            None => Err(BusError::OutboxFull),
        }
    }

    pub(crate) async fn subscribe(&self, subscribe: Subscribe) -> Result<Inbox, BusError> {
        let prefetch = match subscribe.when_full {
            WhenFull::Wait => u16::try_from(subscribe.capacity).unwrap_or(u16::MAX).max(1),
            WhenFull::Shed => PUMP_PREFETCH,
        };
        let patterns: Result<Vec<_>, _> = subscribe.patterns.iter().map(|pattern| short(pattern)).collect();
        let binding = Binding { name: subscribe.name, patterns: patterns?, prefetch };
        let (feed, feeds) = watch::channel(None);
        let (bound, answer) = oneshot::channel();
        let supervisor = self.requests.downgrade();
        let mut direct = Direct::new(feeds, prefetch, Arc::clone(&self.clock), supervisor);
        let wanted = Wanted { binding, feed, bound: Some(bound) };
        self.requests.send(Request::Subscribe(wanted)).map_err(|_| BusError::Closed)?;
        let deadline = self.clock.now() + SUBSCRIBE_DEADLINE;
        let answer = until(&*self.clock, deadline, answer).await.ok_or(BusError::NotSubscribed)?;
        answer.map_err(|_| BusError::Closed)??;
        direct.start();
        Ok(match subscribe.when_full {
            WhenFull::Wait => Inbox::Direct(Box::new(direct)),
            WhenFull::Shed => Inbox::Pumped(Pumped::start(direct, subscribe.capacity)),
        })
    }

    pub(crate) async fn flush(&self) -> Result<(), BusError> {
        let (answered, answer) = oneshot::channel();
        let deadline = self.clock.now() + FLUSH_DEADLINE;
        let flushed = async {
            self.hand_over(Outgoing::Flush(answered)).await?;
            answer.await.map_err(|_| BusError::Closed)
        };
        until(&*self.clock, deadline, flushed).await.unwrap_or(Err(BusError::Unconfirmed))
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.shared.counters.read(self.shared.connected.load(Ordering::Relaxed))
    }

    pub(crate) async fn close(&self) {
        self.closing.cancel();
        let deadline = self.clock.now() + CLOSE_DEADLINE;
        // The supervisor bounds every step of its own; the deadline is for the case that its runtime is stuck.
        let _ = until(&*self.clock, deadline, self.requests.closed()).await;
    }
}

/// Connects for the first time. A refused connection is tried again for a while: the broker may be starting.
async fn first_link(target: &Target, clock: &SharedClock) -> Result<Link, BusError> {
    let give_up = clock.now() + REFUSED_PATIENCE;
    loop {
        match Link::open(target, clock).await {
            Err(BusError::Unreachable { source, .. })
                if source.kind() == io::ErrorKind::ConnectionRefused && clock.now() < give_up =>
            {
                sleep(&**clock, REFUSED_WAIT).await;
            }
            other => return other,
        }
    }
}

/// A name that fits AMQP's short strings.
fn short(name: &str) -> Result<ShortString, BusError> {
    ShortString::try_new(name).map_err(|_| BusError::NameTooLong { bytes: name.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_clock::SimulatedClock;
    use std::future::Future;

    /// A session whose supervisor does nothing, as if it were stuck with its broker.
    async fn with_stuck_supervisor<F: Future>(clock: SimulatedClock, test: impl FnOnce(Session) -> F) {
        let (outgoing, _taken) = mpsc::channel(OUTBOX_CAPACITY);
        let (requests, _requested) = mpsc::unbounded_channel();
        let (closing, shared) = (CancellationToken::new(), Arc::default());
        test(Session { outgoing, requests, closing, shared, clock: Arc::new(clock) }).await;
    }

    fn simulated<F: Future>(work: impl FnOnce(SimulatedClock) -> F) -> F::Output {
        let clock = SimulatedClock::new(gridloop_clock::Utc::default());
        let idle = clock.clone();
        let park = move || {
            let _ = idle.advance();
        };
        let runtime = tokio::runtime::Builder::new_current_thread().on_thread_park(park).build();
        runtime.unwrap().block_on(work(clock))
    }

    #[test]
    fn nothing_waits_for_ever_for_a_stuck_broker() {
        simulated(|clock| {
            with_stuck_supervisor(clock, async |session| {
                for _ in 0..OUTBOX_CAPACITY {
                    session.publish("Epoch", Bytes::new()).await.unwrap();
                }
                assert_eq!(session.clock.now().as_nanos(), 0);
                let full = session.publish("Epoch", Bytes::new()).await;
                assert!(matches!(full, Err(BusError::OutboxFull)), "{full:?}");
                let flushed = session.flush().await;
                assert!(matches!(flushed, Err(BusError::Unconfirmed)), "{flushed:?}");
                let (name, patterns) = ("test".to_owned(), Vec::new());
                let wanted = Subscribe { name, patterns, capacity: 1, when_full: WhenFull::Wait };
                let subscribed = session.subscribe(wanted).await.err();
                assert!(matches!(subscribed, Some(BusError::NotSubscribed)), "{subscribed:?}");
                session.close().await;
                let statistics = session.statistics();
                assert_eq!(statistics.published, u64::try_from(OUTBOX_CAPACITY).unwrap());
            })
        });
    }

    #[test]
    fn a_session_whose_supervisor_has_ended_is_closed() {
        simulated(|clock| async move {
            let (outgoing, _) = mpsc::channel(1);
            let (requests, _) = mpsc::unbounded_channel();
            let (closing, shared) = (CancellationToken::new(), Arc::default());
            let session = Session { outgoing, requests, closing, shared, clock: Arc::new(clock) };
            assert!(matches!(session.publish("Epoch", Bytes::new()).await, Err(BusError::Closed)));
            assert!(matches!(session.flush().await, Err(BusError::Closed)));
            session.close().await;
        });
    }
}
