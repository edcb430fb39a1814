//! The bus inside one process.
//!
//! A [`Hub`] knows the subscriptions; a [`Publisher`] is one session on it. Which subscriptions a topic reaches is
//! worked out once and remembered until somebody subscribes or leaves, so that publishing costs one look-up and one
//! push for each receiver. Nothing is locked while a publisher waits for a full queue, and a wait that would close a
//! circle of components waiting for one another goes over the bound instead: a full queue slows a publisher down, it
//! never stops a run.

#[cfg(feature = "weather")]
mod weather;

#[cfg(feature = "weather")]
pub use weather::Weather;

use crate::lease::{GiveBack, Lease, State};
use crate::queue::{PublisherId, Queue};
use crate::{BusError, Counters, Delivery, Event, Statistics, Subscribe, WhenFull, matches};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use tokio::sync::watch;

/// Topics whose receivers are remembered. Past this the memory starts afresh.
const ROUTES_MAX: usize = 4096;

/// Everything published and subscribed in one process.
struct Hub {
    shuffle_seed: Option<u64>,
    #[cfg(feature = "weather")]
    sky: Option<weather::Sky>,
    next_session: AtomicU64,
    table: RwLock<Table>,
    waits: Mutex<Waits>,
    leases: Mutex<Vec<Leased>>,
}

/// A lease that somebody has.
struct Leased {
    name: String,
    session: PublisherId,
    /// Gone with the lease; [`Lease::lost`] waits for that.
    _state: watch::Sender<State>,
}

#[derive(Default)]
struct Table {
    next_receiver: u64,
    receivers: Vec<Arc<Receiver>>,
    routes: HashMap<Arc<str>, Route>,
}

type Route = (Arc<str>, Arc<[Arc<Receiver>]>);

/// One subscription as the hub sees it.
struct Receiver {
    number: u64,
    session: PublisherId,
    patterns: Vec<String>,
    when_full: WhenFull,
    queue: Queue,
}

/// One session on the hub: the identity for which order is kept.
#[derive(Clone)]
pub(crate) struct Publisher {
    hub: Arc<Hub>,
    session: Arc<Session>,
}

struct Session {
    id: PublisherId,
    closed: AtomicBool,
    counters: Counters,
}

/// The receiving end of one subscription. It leaves the hub when it is dropped.
pub(crate) struct Inbox {
    hub: Weak<Hub>,
    receiver: Arc<Receiver>,
}

impl Publisher {
    /// The first session of a new hub.
    pub(crate) fn new(shuffle_seed: Option<u64>) -> Self {
        Self::on(Arc::new(Hub::new(shuffle_seed)))
    }

    /// Another session on the same hub.
    pub(crate) fn session(&self) -> Self {
        Self::on(Arc::clone(&self.hub))
    }

    fn on(hub: Arc<Hub>) -> Self {
        let id = hub.next_session.fetch_add(1, Ordering::Relaxed);
        let session = Session { id, closed: AtomicBool::new(false), counters: Counters::default() };
        Self { hub, session: Arc::new(session) }
    }

    /// Refuses work in a session that is closed.
    pub(crate) fn check_open(&self) -> Result<(), BusError> {
        if self.session.closed.load(Ordering::Acquire) { Err(BusError::Closed) } else { Ok(()) }
    }

    pub(crate) async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        self.check_open()?;
        let (topic, receivers) = self.hub.route(topic);
        let event = Event::Message(Delivery { topic, body });
        #[cfg(feature = "weather")]
        if self.leave_to_the_weather(&event, &receivers) {
            return Ok(());
        }
        for receiver in receivers.iter() {
            if receiver.queue.offer(self.session.id, &event) {
                continue;
            }
            match receiver.when_full {
                WhenFull::Shed => receiver.queue.count_shed(),
                WhenFull::Wait => self.wait(receiver, &event).await,
            }
        }
        self.count_published();
        Ok(())
    }

    /// Publishes without ever waiting: a queue that is full takes it all the same.
    pub(crate) fn publish_now(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        self.check_open()?;
        let (topic, receivers) = self.hub.route(topic);
        let event = Event::Message(Delivery { topic, body });
        #[cfg(feature = "weather")]
        if self.leave_to_the_weather(&event, &receivers) {
            return Ok(());
        }
        for receiver in receivers.iter() {
            if receiver.queue.offer(self.session.id, &event) {
                continue;
            }
            match receiver.when_full {
                WhenFull::Shed => receiver.queue.count_shed(),
                WhenFull::Wait => receiver.queue.insist(self.session.id, &event),
            }
        }
        self.count_published();
        Ok(())
    }

    fn count_published(&self) {
        Counters::add(&self.session.counters.published, 1);
        Counters::add(&self.session.counters.confirmed, 1);
    }

    /// Waits for room unless the receiver's own session is, perhaps through others, waiting for this one.
    async fn wait(&self, receiver: &Receiver, event: &Event) {
        match self.hub.begin_wait(self.session.id, receiver.session) {
            Some(_wait) => receiver.queue.room(self.session.id, event).await,
            None => receiver.queue.insist(self.session.id, event),
        }
    }

    pub(crate) fn subscribe(&self, subscribe: Subscribe) -> Result<Inbox, BusError> {
        self.check_open()?;
        let mut table = self.hub.write();
        let number = table.next_receiver;
        table.next_receiver += 1;
        let seed = self.hub.shuffle_seed.map(|seed| seed.wrapping_add(number));
        let receiver = Arc::new(Receiver {
            number,
            session: self.session.id,
            patterns: subscribe.patterns,
            when_full: subscribe.when_full,
            queue: Queue::new(subscribe.capacity, seed),
        });
        table.receivers.push(Arc::clone(&receiver));
        table.routes.clear();
        Ok(Inbox { hub: Arc::downgrade(&self.hub), receiver })
    }

    pub(crate) fn lease(&self, name: &str) -> Result<Lease, BusError> {
        self.check_open()?;
        let mut leases = self.hub.leases();
        if leases.iter().any(|lease| lease.name == name) {
            return Err(BusError::LeaseTaken { name: name.to_owned() });
        }
        let (held, state) = watch::channel(State::Held);
        leases.push(Leased { name: name.to_owned(), session: self.session.id, _state: held });
        let (hub, session, returned) = (Arc::downgrade(&self.hub), self.session.id, name.to_owned());
        let give_back = GiveBack::by(move || {
            if let Some(hub) = hub.upgrade() {
                hub.leases().retain(|lease| (lease.session, &lease.name) != (session, &returned));
            }
        });
        Ok(Lease::new(name, state, give_back))
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.session.counters.read(!self.session.closed.load(Ordering::Acquire))
    }

    /// Ends this session: nothing more is published in it and its subscriptions end. The hub goes on.
    pub(crate) fn close(&self) {
        self.session.closed.store(true, Ordering::Release);
        self.hub.leases().retain(|lease| lease.session != self.session.id);
        for receiver in self.hub.remove(|receiver| receiver.session == self.session.id) {
            receiver.queue.close();
        }
    }
}

impl Inbox {
    pub(crate) async fn recv(&mut self) -> Option<Event> {
        self.receiver.queue.next().await
    }
}

impl Inbox {
    pub(crate) fn shed(&self) -> u64 {
        self.receiver.queue.shed()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.receiver.queue.close();
        if let Some(hub) = self.hub.upgrade() {
            hub.remove(|receiver| receiver.number == self.receiver.number);
        }
    }
}

impl Hub {
    fn new(shuffle_seed: Option<u64>) -> Self {
        Self {
            shuffle_seed,
            #[cfg(feature = "weather")]
            sky: None,
            next_session: AtomicU64::new(0),
            table: RwLock::default(),
            waits: Mutex::default(),
            leases: Mutex::default(),
        }
    }

    /// The topic, and whom it reaches in the order of their subscriptions.
    fn route(&self, topic: &str) -> Route {
        if let Some(route) = self.read().routes.get(topic) {
            return route.clone();
        }
        let mut table = self.write();
        let reached =
            |receiver: &&Arc<Receiver>| receiver.patterns.iter().any(|pattern| matches(pattern, topic));
        let receivers: Arc<[_]> = table.receivers.iter().filter(reached).cloned().collect();
        let topic: Arc<str> = Arc::from(topic);
        if table.routes.len() >= ROUTES_MAX {
            table.routes.clear();
        }
        table.routes.insert(Arc::clone(&topic), (Arc::clone(&topic), Arc::clone(&receivers)));
        (topic, receivers)
    }

    fn remove(&self, leaving: impl Fn(&Receiver) -> bool) -> Vec<Arc<Receiver>> {
        let mut table = self.write();
        table.routes.clear();
        table.receivers.extract_if(.., |receiver| leaving(receiver)).collect()
    }

    /// Notes that a publisher waits for a receiver; `None` when that would close a circle.
    fn begin_wait(&self, publisher: PublisherId, receiver: PublisherId) -> Option<Wait<'_>> {
        let mut waits = self.waits();
        if waits.reaches(receiver, publisher) {
            return None;
        }
        waits.edges.push((publisher, receiver));
        drop(waits);
        Some(Wait { hub: self, edge: (publisher, receiver) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Leased>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for receiver in &self.write().receivers {
            receiver.queue.close();
        }
    }
}

/// Which session waits for which. Only publishers that found a queue full come here.
#[derive(Default)]
struct Waits {
    edges: Vec<(PublisherId, PublisherId)>,
}

impl Waits {
    /// Whether `from` is `to`, or waits for it directly or through others.
    fn reaches(&self, from: PublisherId, to: PublisherId) -> bool {
        let mut seen = vec![from];
        let mut next = 0;
        while let Some(&session) = seen.get(next) {
            if session == to {
                return true;
            }
            for &(_, awaited) in self.edges.iter().filter(|(waiting, _)| *waiting == session) {
                if !seen.contains(&awaited) {
                    seen.push(awaited);
                }
            }
            next += 1;
        }
        false
    }
}

/// A wait in progress; forgotten when it ends, however it ends.
struct Wait<'hub> {
    hub: &'hub Hub,
    edge: (PublisherId, PublisherId),
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waits = self.hub.waits();
        if let Some(at) = waits.edges.iter().position(|edge| *edge == self.edge) {
            waits.edges.swap_remove(at);
        }
    }
}
