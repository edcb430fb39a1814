//! The receiving end of a subscription over AMQP.
//!
//! A [`Direct`] inbox reads the client library's consumer itself, so that a message wakes its subscriber and nobody in
//! between; the broker's prefetch is its bound. When a session is back, the supervisor hands it a new [`Feed`]. A
//! [`Pumped`] inbox, for subscribers that may lose messages, has a task that always reads and drops what does not
//! fit.

use super::supervisor::Request;
use super::topology::Feed;
use crate::queue::Queue;
use crate::{Delivery, Event};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use gridloop_clock::{SharedClock, Sleep, sleep};
use lapin::options::BasicAckOptions;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Messages are acknowledged together: when a quarter of what the broker sends ahead has come in, or after this time.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(200);

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
        clock: SharedClock,
        supervisor: mpsc::WeakUnboundedSender<Request>,
    ) -> Self {
        let together = u32::from(prefetch).div_ceil(4);
        let received = Received { together, count: 0, last_tag: 0, alarm: None };
        Self { feeds, current: None, received, clock, supervisor }
    }

    /// Takes the first feed, once the supervisor has bound the subscription.
    pub(super) fn start(&mut self) {
        self.current = self.feeds.borrow_and_update().clone();
    }

    pub(super) async fn recv(&mut self) -> Option<Event> {
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
                    self.received.clear();
                    return Some(Event::Restored);
                }
                () = alarm(&mut self.received.alarm) => self.acknowledge(),
            }
        }
    }

    fn take(&mut self, delivery: lapin::message::Delivery) -> Event {
        self.received.count += 1;
        self.received.last_tag = delivery.delivery_tag;
        if self.received.alarm.is_none() {
            self.received.alarm = Some(sleep(&*self.clock, ACKNOWLEDGE_AFTER));
        }
        let topic = Arc::from(delivery.routing_key.as_str());
        Event::Message(Delivery { topic, body: Bytes::from(delivery.data) })
    }

    /// Acknowledges everything received. The frame is queued at once; waiting until it is written would gain nothing.
    fn acknowledge(&mut self) {
        if let Some(feed) = &self.current {
            let everything = BasicAckOptions { multiple: true };
            // On a lost session there is nobody to acknowledge to.
            let _ = feed.channel.basic_ack(self.received.last_tag, everything).now_or_never();
        }
        self.received.clear();
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
