//! The receiving end of a subscription over AMQP.
//!
//! A [`Direct`] inbox reads the client library's consumer itself, so that a message wakes its subscriber and nobody in
//! between; the broker's prefetch is its bound. When a session is back, the supervisor hands it a new [`Feed`]. A
//! [`Pumped`] inbox, for subscribers that may lose messages, has a task that always reads and drops what does not
//! fit.

use super::supervisor::Request;
use super::topology::Feed;
use crate::kept::Position;
use crate::queue::Queue;
use crate::{BusError, Delivery, Event};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use gridloop_clock::{SharedClock, Sleep, sleep, until};
use lapin::options::{BasicAckOptions, QueueDeleteOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Messages are acknowledged together: when a quarter of what the broker sends ahead has come in, or after this time.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(200);

/// A queue is deleted within this time.
const DELETE_DEADLINE: Duration = Duration::from_secs(5);

/// When messages are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acknowledge {
    /// When the next event is asked for, or soon after.
    Received,
    /// When the subscriber says so.
    ByHand,
}

/// What arrives on one subscription.
pub(crate) enum Inbox {
    /// Nothing is dropped: the broker keeps what does not fit.
    Direct(Box<Direct>),
    /// What does not fit is dropped.
    Pumped(Pumped),
}

impl Inbox {
    pub(crate) fn shed(&self) -> u64 {
        match self {
            Self::Direct(_) => 0,
            Self::Pumped(pumped) => pumped.queue.shed(),
        }
    }

    pub(crate) async fn recv(&mut self) -> Option<Event> {
        match self {
            Self::Direct(direct) => direct.recv().await,
            Self::Pumped(pumped) => pumped.queue.next().await,
        }
    }
}

/// Reads its consumer itself.
pub(crate) struct Direct {
    feeds: watch::Receiver<Option<Feed>>,
    current: Option<Feed>,
    /// Which feed the current one is: delivery tags count anew in each.
    feed_number: u64,
    acknowledge: Acknowledge,
    /// Up to where the current feed has been acknowledged by hand.
    acknowledged_tag: u64,
    received: Received,
    clock: SharedClock,
    supervisor: mpsc::WeakUnboundedSender<Request>,
}

/// Deliveries of the current feed that are not acknowledged.
struct Received {
    together: u32,
    count: u32,
    last_tag: u64,
    alarm: Option<Sleep>,
}

impl Direct {
    pub(super) fn new(
        feeds: watch::Receiver<Option<Feed>>,
        prefetch: u16,
        acknowledge: Acknowledge,
        clock: SharedClock,
        supervisor: mpsc::WeakUnboundedSender<Request>,
    ) -> Self {
        let together = u32::from(prefetch).div_ceil(4);
        let received = Received { together, count: 0, last_tag: 0, alarm: None };
        Self {
            feeds,
            current: None,
            feed_number: 0,
            acknowledge,
            acknowledged_tag: 0,
            received,
            clock,
            supervisor,
        }
    }

    /// Takes the first feed, once the supervisor has bound the subscription.
    pub(super) fn start(&mut self) {
        self.current = self.feeds.borrow_and_update().clone();
    }

    pub(crate) async fn recv(&mut self) -> Option<Event> {
        if self.received.count >= self.received.together {
            self.acknowledge();
        }
        loop {
            // Messages first, so that everything of the old session is given before the news that there is a new one.
            // Acknowledging is last: it only matters while nothing arrives.
            tokio::select! {
                biased;
                delivery = next(&mut self.current) => match delivery {
                    Some(delivery) => return Some(self.take(delivery)),
                    None => self.ended(),
                },
                changed = self.feeds.changed() => {
                    changed.ok()?;
                    self.current = self.feeds.borrow_and_update().clone();
                    self.feed_number += 1;
                    self.received.last_tag = 0;
                    self.acknowledged_tag = 0;
                    self.received.clear();
                    return Some(Event::Restored);
                }
                () = alarm(&mut self.received.alarm) => self.acknowledge(),
            }
        }
    }

    fn take(&mut self, delivery: lapin::message::Delivery) -> Event {
        self.received.last_tag = delivery.delivery_tag;
        if self.acknowledge == Acknowledge::Received {
            self.received.count += 1;
            if self.received.alarm.is_none() {
                self.received.alarm = Some(sleep(&*self.clock, ACKNOWLEDGE_AFTER));
            }
        }
        let topic = Arc::from(delivery.routing_key.as_str());
        Event::Message(Delivery { topic, body: Bytes::from(delivery.data) })
    }

    /// Acknowledges everything received.
    fn acknowledge(&mut self) {
        self.acknowledge_tag(self.received.last_tag);
        self.received.clear();
    }

    /// Acknowledges everything up to a delivery. The frame is queued at once; waiting until it is written would gain
    /// nothing.
    fn acknowledge_tag(&self, tag: u64) {
        if let Some(feed) = &self.current {
            let everything = BasicAckOptions { multiple: true };
            // On a lost session there is nobody to acknowledge to.
            let _ = feed.channel.basic_ack(tag, everything).now_or_never();
        }
    }

    /// Up to where it has been read.
    pub(crate) fn position(&self) -> Position {
        Position { feed: self.feed_number, tag: self.received.last_tag }
    }

    /// Acknowledges what was read up to a position of the present session.
    pub(crate) fn acknowledge_to(&mut self, position: Position) {
        // A tag that was acknowledged before would end the channel.
        if position.feed == self.feed_number && position.tag > self.acknowledged_tag {
            self.acknowledge_tag(position.tag);
            self.acknowledged_tag = position.tag;
        }
    }

    /// Deletes the queue and ends the subscription.
    pub(crate) async fn delete(mut self) -> Result<(), BusError> {
        let Some(feed) = self.current.take() else { return Err(BusError::NotSubscribed) };
        let clock = Arc::clone(&self.clock);
        // The supervisor must not take the end of the queue for a loss of the session.
        drop(self);
        let deleting = feed.channel.queue_delete(feed.consumer.queue(), QueueDeleteOptions::default());
        match until(&*clock, clock.now() + DELETE_DEADLINE, deleting).await {
            Some(Ok(_)) => Ok(()),
            _ => Err(BusError::NotSubscribed),
        }
    }

    /// The consumer gives nothing more. When the session is up nevertheless, the supervisor has to renew it.
    fn ended(&mut self) {
        self.received.clear();
        let Some(feed) = self.current.take() else { return };
        if let Some(supervisor) = self.supervisor.upgrade() {
            // A supervisor that is gone ends this subscription by itself.
            let _ = supervisor.send(Request::Ended(feed.consumer.queue()));
        }
    }
}

impl Received {
    fn clear(&mut self) {
        self.count = 0;
        self.alarm = None;
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor.upgrade() {
            // The supervisor forgets subscriptions whose end of this channel is gone; it must be gone first.
            self.feeds = watch::channel(None).1;
            let _ = supervisor.send(Request::Left);
        }
    }
}

/// The next delivery; `None` when there are no more. Waits for ever without a feed.
async fn next(feed: &mut Option<Feed>) -> Option<lapin::message::Delivery> {
    match feed {
        Some(feed) => feed.consumer.next().await?.ok(),
        None => std::future::pending().await,
    }
}

async fn alarm(alarm: &mut Option<Sleep>) {
    match alarm {
        Some(alarm) => alarm.await,
        None => std::future::pending().await,
    }
}

/// Has a task that reads without ever waiting for the subscriber.
pub(crate) struct Pumped {
    queue: Arc<Queue>,
    pump: JoinHandle<()>,
}

impl Pumped {
    pub(super) fn start(mut direct: Direct, capacity: usize) -> Self {
        let queue = Arc::new(Queue::new(capacity, None));
        let filled = Arc::clone(&queue);
        let pump = tokio::spawn(async move {
            while let Some(event) = direct.recv().await {
                match event {
                    Event::Restored => filled.insist(0, &event),
                    Event::Message(_) if filled.offer(0, &event) => {}
                    Event::Message(_) => filled.count_shed(),
                }
            }
            filled.close();
        });
        Self { queue, pump }
    }
}

impl Drop for Pumped {
    fn drop(&mut self) {
        self.pump.abort();
    }
}
