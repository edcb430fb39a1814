//! A subscription that outlives its subscriber: [`Bus::subscribe_kept`].
//!
//! Its queue stays at the broker while nobody reads it, and a message leaves it only when the subscriber says that the
//! message is safe. So nothing is lost when the subscriber is killed and started again; what was delivered but not
//! acknowledged comes once more.

use crate::{Bus, BusError, Event, Subscribe, Transport, WhenFull, amqp, memory};

/// A kept subscription asked for.
#[derive(Debug, Clone)]
pub struct Keep {
    /// What the subscriber is called, always the same: whoever asks for this name on this exchange goes on where the
    /// last one ended.
    pub name: String,
    /// Topic patterns; a message that matches several arrives once. See [`matches()`](crate::matches()).
    pub patterns: Vec<String>,
    /// Messages that may be delivered and not acknowledged; 1 to 65535.
    pub unacknowledged_max: u16,
}

/// Up to where a subscription has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub(crate) feed: u64,
    pub(crate) tag: u64,
}

/// What arrives on some topics, and stays at the broker until it is acknowledged. Dropping it leaves the queue with
/// everything that is not acknowledged for the next subscriber of the name.
pub struct KeptSubscription(Source);

enum Source {
    /// Inside one process nothing outlives the subscriber.
    Memory(memory::Inbox),
    Amqp(Box<amqp::Direct>),
}

impl Bus {
    /// Subscribes for good. When it returns, everything published from now on will arrive, and what arrived for the
    /// last subscriber of this name and was not acknowledged.
    ///
    /// Over RabbitMQ the queue is `gridloop.kept.<exchange>.<name>`: durable, not exclusive, not deleted with its
    /// consumer. Its binding keeps an exchange alive that would else be deleted. It expires when nobody has read it
    /// for a day, and [`KeptSubscription::end`] deletes it. The messages in it are transient, as everybody publishes
    /// them: they survive the subscriber, not the broker.
    ///
    /// # Errors
    /// When the session is closed, the broker does not permit it, or does not answer in time.
    pub async fn subscribe_kept(&self, keep: Keep) -> Result<KeptSubscription, BusError> {
        match &self.0 {
            Transport::Memory(publisher) => {
                let Keep { name, patterns, unacknowledged_max } = keep;
                let capacity = usize::from(unacknowledged_max);
                let subscribe = Subscribe { name, patterns, capacity, when_full: WhenFull::Wait };
                publisher.subscribe(subscribe).map(|inbox| KeptSubscription(Source::Memory(inbox)))
            }
            Transport::Amqp(session) => session
                .subscribe_kept(keep)
                .await
                .map(|inbox| KeptSubscription(Source::Amqp(Box::new(inbox)))),
        }
    }
}

impl KeptSubscription {
    /// The next event; `None` when the session is closed and everything received has been given. Nothing is lost when
    /// the wait is cancelled.
    pub async fn recv(&mut self) -> Option<Event> {
        match &mut self.0 {
            Source::Memory(inbox) => inbox.recv().await,
            Source::Amqp(inbox) => inbox.recv().await,
        }
    }

    /// Up to where it has been read.
    #[must_use]
    pub fn position(&self) -> Position {
        match &self.0 {
            Source::Memory(_) => Position { feed: 0, tag: 0 },
            Source::Amqp(inbox) => inbox.position(),
        }
    }

    /// Everything up to `position` is safe and need not come again. What was read before the session was last lost
    /// comes again all the same.
    pub fn acknowledge(&mut self, position: Position) {
        match &mut self.0 {
            Source::Memory(_) => {}
            Source::Amqp(inbox) => inbox.acknowledge_to(position),
        }
    }

    /// Ends the subscription for good and deletes its queue with what is in it.
    ///
    /// # Errors
    /// When the broker does not say in time that the queue is deleted. It may expire by itself then.
    pub async fn end(self) -> Result<(), BusError> {
        match self.0 {
            Source::Memory(_) => Ok(()),
            Source::Amqp(inbox) => inbox.delete().await,
        }
    }
}
