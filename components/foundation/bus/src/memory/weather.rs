//! Bad weather on the bus in memory, for whole runs in simulated time: messages take their time, come twice, and sessions
//! lose the bus for a while. What happens follows from a seed.
//!
//! As over a broker, messages of one publisher keep their order at each subscriber, those of different publishers do not.
//! A session that is away hears nothing, sends what it has to say when it is back, and is told with
//! [`Event::Restored`](crate::Event::Restored) that it may have missed something.

use super::{Hub, Publisher, Receiver};
use crate::Event;
use crate::queue::PublisherId;
use gridloop_clock::{MonoTime, SharedClock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How the weather is to be.
#[derive(Debug, Clone)]
pub struct Weather {
    /// Everything follows from it.
    pub seed: u64,
    /// A message takes up to this long to each subscriber.
    pub delay_max: Duration,
    /// Of a hundred messages so many come twice.
    pub twice_percent: u8,
    /// From when to when some session loses the bus; which one follows from the seed.
    pub outages: Vec<(MonoTime, MonoTime)>,
}

/// The weather over one bus.
pub(super) struct Sky {
    clock: SharedClock,
    state: Mutex<State>,
}

struct State {
    weather: Weather,
    random: fastrand::Rng,
    /// When the newest message of a publisher reaches a subscriber.
    newest: BTreeMap<(PublisherId, u64), MonoTime>,
    away: BTreeMap<PublisherId, MonoTime>,
    /// Sessions to which none of this happens.
    sheltered: BTreeSet<PublisherId>,
}

impl Sky {
    fn new(weather: Weather, clock: SharedClock) -> Self {
        let random = fastrand::Rng::with_seed(weather.seed);
        let (newest, away, sheltered) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { clock, state: Mutex::new(State { weather, random, newest, away, sheltered }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the sessions from 0 to `sessions` loses the bus until then; none if it had to be one that is sheltered.
    fn begin_outage(&self, sessions: u64, until: MonoTime) -> Option<PublisherId> {
        let mut state = self.state();
        let session = state.random.u64(..sessions.max(1));
        let open = !state.sheltered.contains(&session) && !state.away.contains_key(&session);
        open.then(|| {
            state.away.insert(session, until);
            session
        })
    }

    fn is_away(&self, session: PublisherId) -> bool {
        self.state().away.contains_key(&session)
    }

    /// When a message that is published now reaches a subscriber: never, once or twice.
    fn arrivals(&self, publisher: PublisherId, subscriber: PublisherId, number: u64) -> Vec<MonoTime> {
        let now = self.clock.now();
        let mut state = self.state();
        if state.sheltered.contains(&subscriber) {
            return vec![now];
        }
        let leaves = state.away.get(&publisher).copied().unwrap_or(now).max(now);
        let micros = u64::try_from(state.weather.delay_max.as_micros()).unwrap_or(u64::MAX);
        let delay = Duration::from_micros(state.random.u64(..=micros));
        let newest = state.newest.get(&(publisher, number)).copied().unwrap_or_default();
        let arrives = (leaves + delay).max(newest);
        state.newest.insert((publisher, number), arrives);
        let twice = state.random.u8(..100) < state.weather.twice_percent;
        if twice { vec![arrives, arrives] } else { vec![arrives] }
    }
}

impl Publisher {
    /// The first session of a new hub with bad weather.
    pub(crate) fn in_weather(weather: Weather, clock: SharedClock) -> Self {
        let outages = weather.outages.clone();
        let mut hub = Hub::new(Some(weather.seed));
        hub.sky = Some(Sky::new(weather, clock));
        let hub = Arc::new(hub);
        for (from, to) in outages {
            tokio::spawn(outage(Arc::downgrade(&hub), from, to));
        }
        Self::on(hub)
    }

    /// From now on nothing of the weather happens to this session.
    pub(crate) fn shelter(&self) {
        if let Some(sky) = &self.hub.sky {
            sky.state().sheltered.insert(self.session.id);
        }
    }

    /// Whether the weather has the message now.
    pub(super) fn leave_to_the_weather(&self, event: &Event, receivers: &[Arc<Receiver>]) -> bool {
        let Some(sky) = &self.hub.sky else { return false };
        let publisher = self.session.id;
        for receiver in receivers {
            for arrives in sky.arrivals(publisher, receiver.session, receiver.number) {
                let (hub, receiver, event) = (Arc::downgrade(&self.hub), Arc::clone(receiver), event.clone());
                let sleep = sky.clock.sleep_until(arrives);
                tokio::spawn(async move {
                    sleep.await;
                    let hears =
                        |hub: Arc<Hub>| hub.sky.as_ref().is_some_and(|sky| !sky.is_away(receiver.session));
                    if hub.upgrade().is_some_and(hears) {
                        receiver.queue.insist(publisher, &event);
                    }
                });
            }
        }
        self.count_published();
        true
    }
}

/// Some session loses the bus for a while.
async fn outage(hub: Weak<Hub>, from: MonoTime, to: MonoTime) {
    let waiting = |hub: Arc<Hub>| Some(hub.sky.as_ref()?.clock.sleep_until(from));
    let Some(begins) = hub.upgrade().and_then(waiting) else { return };
    begins.await;
    let begin = |hub: Arc<Hub>| {
        let (sessions, sky) = (hub.next_session.load(Ordering::Relaxed), hub.sky.as_ref()?);
        Some((sky.begin_outage(sessions, to)?, sky.clock.sleep_until(to)))
    };
    let Some((session, ends)) = hub.upgrade().and_then(begin) else { return };
    ends.await;
    let Some(hub) = hub.upgrade() else { return };
    if let Some(sky) = &hub.sky {
        sky.state().away.remove(&session);
    }
    for receiver in hub.read().receivers.iter().filter(|receiver| receiver.session == session) {
        receiver.queue.insist(session, &Event::Restored);
    }
}
