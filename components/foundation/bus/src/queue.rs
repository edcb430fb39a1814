//! The queue in front of one subscription.
//!
//! A [`Queue`] holds a bounded number of events, either first in, first out or, with a seed, in a random order that
//! keeps each publisher's own. [`Queue::offer`] says at once whether there was room; a publisher that must not lose
//! the message then waits for [`Queue::room`]. [`Queue::insist`] goes over the bound, for what may neither wait nor
//! be dropped.

use crate::Event;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Semaphore;

/// Who published: messages of one publisher keep their order.
pub(crate) type PublisherId = u64;

/// The events that wait for one subscriber.
pub(crate) struct Queue {
    room: Semaphore,
    shed: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    waiting: Waiting,
    subscriber: Option<Waker>,
    closed: bool,
}

/// An event, and whether it takes up room.
type Place = (Event, bool);

enum Waiting {
    InOrder(VecDeque<Place>),
    Shuffled { lanes: Vec<(PublisherId, VecDeque<Place>)>, random: fastrand::Rng },
}

impl Queue {
    /// An empty queue with room for `capacity` events (at least one).
    pub(crate) fn new(capacity: usize, shuffle_seed: Option<u64>) -> Self {
        let waiting = match shuffle_seed {
            None => Waiting::InOrder(VecDeque::new()),
            Some(seed) => Waiting::Shuffled { lanes: Vec::new(), random: fastrand::Rng::with_seed(seed) },
        };
        Self {
            room: Semaphore::new(capacity.clamp(1, Semaphore::MAX_PERMITS)),
            shed: AtomicU64::new(0),
            inner: Mutex::new(Inner { waiting, subscriber: None, closed: false }),
        }
    }

    /// Takes the event in if there is room; `false` when there is none. A closed queue takes everything, and keeps
    /// nothing.
    pub(crate) fn offer(&self, publisher: PublisherId, event: &Event) -> bool {
        match self.room.try_acquire() {
            Ok(room) => {
                room.forget();
                self.put(publisher, (event.clone(), true));
                true
            }
            Err(tokio::sync::TryAcquireError::Closed) => true,
            Err(tokio::sync::TryAcquireError::NoPermits) => false,
        }
    }

    /// Waits for room and takes the event in. Waiting publishers are served in the order in which they came.
    pub(crate) async fn room(&self, publisher: PublisherId, event: &Event) {
        if let Ok(room) = self.room.acquire().await {
            room.forget();
            self.put(publisher, (event.clone(), true));
        }
    }

    /// Takes the event in, room or not.
    pub(crate) fn insist(&self, publisher: PublisherId, event: &Event) {
        self.put(publisher, (event.clone(), false));
    }

    /// Counts an event that was dropped because there was no room.
    pub(crate) fn count_shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many events were dropped.
    pub(crate) fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// The next event; `None` when the queue is closed and empty.
    pub(crate) async fn next(&self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Ends the queue: publishers no longer wait for it, and its subscriber gets what is left and then `None`.
    pub(crate) fn close(&self) {
        self.room.close();
        let mut inner = self.lock();
        inner.closed = true;
        let subscriber = inner.subscriber.take();
        drop(inner);
        if let Some(subscriber) = subscriber {
            subscriber.wake();
        }
    }

    fn put(&self, publisher: PublisherId, place: Place) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.waiting.push(publisher, place);
        let subscriber = inner.subscriber.take();
        drop(inner);
        if let Some(subscriber) = subscriber {
            subscriber.wake();
        }
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut inner = self.lock();
        match inner.waiting.pop() {
            Some((event, took_room)) => {
                drop(inner);
                if took_room {
                    self.room.add_permits(1);
                }
                Poll::Ready(Some(event))
            }
            None if inner.closed => Poll::Ready(None),
            None => {
                inner.subscriber = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, publisher: PublisherId, place: Place) {
        match self {
            Self::InOrder(queue) => queue.push_back(place),
            Self::Shuffled { lanes, .. } => match lanes.iter_mut().find(|(id, _)| *id == publisher) {
                Some((_, lane)) => lane.push_back(place),
                None => lanes.push((publisher, VecDeque::from([place]))),
            },
        }
    }

    fn pop(&mut self) -> Option<Place> {
        match self {
            Self::InOrder(queue) => queue.pop_front(),
            Self::Shuffled { lanes, random } => {
                if lanes.is_empty() {
                    return None;
                }
                let chosen = random.usize(..lanes.len());
                let place = lanes[chosen].1.pop_front();
                if lanes[chosen].1.is_empty() {
                    lanes.remove(chosen);
                }
                place
            }
        }
    }
}
