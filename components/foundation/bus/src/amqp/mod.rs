//! The bus over RabbitMQ (wire contract, section 1).
//!
//! A [`Session`] is a handle on a supervisor task ([`supervisor`]), which owns one connection at a time ([`link`]),
//! what is not yet confirmed ([`outbox`]) and the list of subscriptions; [`topology`] declares them at the broker. An
//! [`Inbox`] is the receiving end of one. The client library's own recovery is not used: after any error the
//! connection is thrown away with everything on it, and a new one is set up from what the supervisor knows.

mod inbox;
mod leases;
mod link;
mod outbox;
mod stream;
mod supervisor;
mod target;
mod tls;
mod topology;

pub(crate) use inbox::{Direct, Inbox};
pub(crate) use tls::check as check_tls;

use crate::kept::Keep;
use crate::lease::{GiveBack, Lease};
use crate::{AmqpUrl, BusError, Connect, Counters, Statistics, Subscribe, WhenFull};
use bytes::Bytes;
use gridloop_clock::{SharedClock, sleep, until};
use inbox::{Acknowledge, Pumped};
use lapin::types::ShortString;
use link::Link;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use supervisor::{Outgoing, Request, Supervisor, Wanted};
use target::{Target, short};
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
/// A lease that somebody has is tried again for so long: a predecessor may be just ending.
const LEASE_PATIENCE: Duration = Duration::from_secs(1);
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
    /// Why the broker takes no messages for now, in its words.
    blocked: Mutex<Option<String>>,
    /// Why the session ended by itself.
    ended: OnceLock<Ended>,
}

/// Why a session ended by itself.
#[derive(Debug)]
enum Ended {
    /// The broker does not let us publish; its words.
    Permission(String),
    /// Somebody else has a lease of ours.
    LeaseTaken(String),
}

impl Shared {
    fn blocked(&self) -> MutexGuard<'_, Option<String>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing can be done in this session any more.
    fn closed(&self) -> BusError {
        match self.ended.get() {
            None => BusError::Closed,
            Some(Ended::Permission(said)) => BusError::Permission { said: said.clone() },
            Some(Ended::LeaseTaken(name)) => BusError::LeaseTaken { name: name.clone() },
        }
    }
}

/// A message that has its place in the outbox.
pub(crate) struct Reserved {
    place: mpsc::OwnedPermit<Outgoing>,
    item: Outgoing,
    shared: Arc<Shared>,
}

impl Reserved {
    pub(crate) fn send(self) -> Result<(), BusError> {
        // A supervisor that has ended takes nothing any more, and the place would not tell.
        if self.shared.ended.get().is_some() {
            return Err(self.shared.closed());
        }
        self.place.send(self.item);
        Counters::add(&self.shared.counters.published, 1);
        Ok(())
    }
}

impl Session {
    pub(crate) async fn connect(
        url: &AmqpUrl,
        connect: &Connect,
        clock: SharedClock,
    ) -> Result<Self, BusError> {
        let target = Target::new(url, connect)?;
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

    pub(crate) async fn prepare(&self, topic: &str, body: Bytes) -> Result<Reserved, BusError> {
        let deadline = self.clock.now() + PUBLISH_DEADLINE;
        let place = match until(&*self.clock, deadline, self.outgoing.clone().reserve_owned()).await {
            Some(place) => place.map_err(|_| self.shared.closed())?,
            None => return Err(self.full()),
        };
        let shared = Arc::clone(&self.shared);
        Ok(Reserved { place, item: Outgoing::Message { topic: topic.into(), body }, shared })
    }

    /// Why there is no room for another message.
    fn full(&self) -> BusError {
        match self.shared.blocked().clone() {
            Some(why) => BusError::Blocked { why },
            None => BusError::OutboxFull,
        }
    }

    async fn hand_over(&self, item: Outgoing) -> Result<(), BusError> {
        let item = match self.outgoing.try_send(item) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(self.shared.closed()),
            Err(mpsc::error::TrySendError::Full(item)) => item,
        };
        let deadline = self.clock.now() + PUBLISH_DEADLINE;
        match until(&*self.clock, deadline, self.outgoing.send(item)).await {
            Some(sent) => sent.map_err(|_| self.shared.closed()),
            None => Err(self.full()),
        }
    }

    pub(crate) async fn subscribe(&self, subscribe: Subscribe) -> Result<Inbox, BusError> {
        let prefetch = match subscribe.when_full {
            WhenFull::Wait => u16::try_from(subscribe.capacity).unwrap_or(u16::MAX).max(1),
            WhenFull::Shed => PUMP_PREFETCH,
        };
        let patterns = all_short(&subscribe.patterns)?;
        let binding = Binding { name: subscribe.name, patterns, prefetch, kept: false };
        let direct = self.bind(binding, Acknowledge::Received).await?;
        Ok(match subscribe.when_full {
            WhenFull::Wait => Inbox::Direct(Box::new(direct)),
            WhenFull::Shed => Inbox::Pumped(Pumped::start(direct, subscribe.capacity)),
        })
    }

    /// Subscribes to a queue that outlives this session; see [`Keep`].
    pub(crate) async fn subscribe_kept(&self, keep: Keep) -> Result<Direct, BusError> {
        let patterns = all_short(&keep.patterns)?;
        let prefetch = keep.unacknowledged_max.max(1);
        let binding = Binding { name: keep.name, patterns, prefetch, kept: true };
        self.bind(binding, Acknowledge::ByHand).await
    }

    /// Has the supervisor set a subscription up and keep it alive.
    async fn bind(&self, binding: Binding, acknowledge: Acknowledge) -> Result<Direct, BusError> {
        let (feed, feeds) = watch::channel(None);
        let (bound, answer) = oneshot::channel();
        let supervisor = self.requests.downgrade();
        let clock = Arc::clone(&self.clock);
        let mut direct = Direct::new(feeds, binding.prefetch, acknowledge, clock, supervisor);
        let wanted = Wanted { binding, feed, bound: Some(bound) };
        self.requests.send(Request::Subscribe(wanted)).map_err(|_| self.shared.closed())?;
        let deadline = self.clock.now() + SUBSCRIBE_DEADLINE;
        let answer = until(&*self.clock, deadline, answer).await.ok_or(BusError::NotSubscribed)?;
        answer.map_err(|_| self.shared.closed())??;
        direct.start();
        Ok(direct)
    }

    pub(crate) async fn lease(&self, name: &str) -> Result<Lease, BusError> {
        let give_up = self.clock.now() + LEASE_PATIENCE;
        loop {
            match self.ask_for_lease(name).await {
                Err(BusError::LeaseTaken { .. }) if self.clock.now() < give_up => {
                    sleep(&*self.clock, leases::RETRY).await;
                }
                answered => return answered,
            }
        }
    }

    async fn ask_for_lease(&self, name: &str) -> Result<Lease, BusError> {
        let (answer, answered) = oneshot::channel();
        let asked = Request::Lease { name: name.to_owned(), answer };
        self.requests.send(asked).map_err(|_| self.shared.closed())?;
        let deadline = self.clock.now() + SUBSCRIBE_DEADLINE;
        let answer = until(&*self.clock, deadline, answered).await.ok_or(BusError::Unconfirmed)?;
        let held = answer.map_err(|_| self.shared.closed())??;
        let supervisor = self.requests.downgrade();
        let give_back = GiveBack::by(move || {
            if let Some(supervisor) = supervisor.upgrade() {
                // A supervisor that is gone has given everything back.
                let _ = supervisor.send(Request::Left);
            }
        });
        Ok(Lease::new(name, held, give_back))
    }

    pub(crate) async fn flush(&self) -> Result<(), BusError> {
        let (answered, answer) = oneshot::channel();
        let deadline = self.clock.now() + FLUSH_DEADLINE;
        let flushed = async {
            self.hand_over(Outgoing::Flush(answered)).await?;
            answer.await.map_err(|_| self.shared.closed())
        };
        until(&*self.clock, deadline, flushed).await.unwrap_or(Err(BusError::Unconfirmed))
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let blocked = self.shared.blocked().is_some();
        Statistics { blocked, ..self.shared.counters.read(self.shared.connected.load(Ordering::Relaxed)) }
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

/// Names that fit AMQP's short strings.
fn all_short(names: &[String]) -> Result<Vec<ShortString>, BusError> {
    names.iter().map(|name| short(name)).collect()
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
