//! The SimCES message bus, in memory or over RabbitMQ.
//!
//! A [`Bus`] is one session: [`Bus::publish`] hands a body to a bounded outbox that keeps the order, and each
//! [`Subscription`] gives what arrives on its topic patterns. The session survives its broker: the supervisor behind it
//! reconnects, declares the topology again and re-sends what was not confirmed. What a broker may have forgotten
//! although it had confirmed it is for the SimCES state machines to repeat; they learn of it through
//! [`Event::Restored`].

mod amqp;
#[cfg(feature = "bare")]
#[doc(hidden)]
pub mod bare;
mod connect;
mod counters;
mod error;
mod kept;
mod lease;
mod memory;
mod pattern;
mod queue;
mod url;

pub use connect::{Access, Authentication, Connect, Exchange, Identity, Password, Tls};
pub use counters::Statistics;
pub use error::BusError;
pub use kept::{Keep, KeptSubscription, Position};
pub use lease::Lease;
#[cfg(feature = "weather")]
#[doc(hidden)]
pub use memory::Weather;
pub use pattern::matches;
pub use url::{AmqpUrl, BusUrl, BusUrlError};

use bytes::Bytes;
use counters::Counters;
use gridloop_clock::SharedClock;
use std::sync::Arc;

/// What a subscription gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message. It counts as received when the subscription is asked for the next event.
    Message(Delivery),
    /// The session was lost and is back. Messages may have been lost in between, or may arrive twice.
    Restored,
}

/// A message from the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its routing key.
    pub topic: Arc<str>,
    /// The body as published.
    pub body: Bytes,
}

/// What happens to a message for a subscription whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Publishers wait. For whatever must not lose a message.
    Wait,
    /// The message is dropped for this subscription and counted. For logs and displays beside a paced run.
    Shed,
}

/// A subscription asked for.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// A word for people: it appears in the name of the broker's queue.
    pub name: String,
    /// Topic patterns; a message that matches several arrives once. See [`matches()`].
    pub patterns: Vec<String>,
    /// Messages that may wait for the subscriber in this process; at least 1.
    pub capacity: usize,
    /// What happens to the next one.
    pub when_full: WhenFull,
}

/// One session on the bus. Clones are the same session.
///
/// Over RabbitMQ the session ends, and its subscriptions with it, when the last clone is dropped or on
/// [`Bus::close`]. In memory a session is who published what: order is kept within one.
#[derive(Clone)]
pub struct Bus(Transport);

#[derive(Clone)]
enum Transport {
    Memory(memory::Publisher),
    Amqp(amqp::Session),
}

impl Bus {
    /// A bus inside this process. With a seed, messages of different sessions reach a subscriber that has several
    /// waiting in a random order; messages of one session always in the order in which it published them.
    #[must_use]
    pub fn memory(shuffle_seed: Option<u64>) -> Self {
        Self(Transport::Memory(memory::Publisher::new(shuffle_seed)))
    }

    /// A bus inside this process with bad weather on it. It needs a runtime.
    #[cfg(feature = "weather")]
    #[doc(hidden)]
    #[must_use]
    pub fn in_weather(weather: Weather, clock: SharedClock) -> Self {
        Self(Transport::Memory(memory::Publisher::in_weather(weather, clock)))
    }

    /// Another session on a bus with bad weather, to which nothing of it happens: for whoever only listens.
    #[cfg(feature = "weather")]
    #[doc(hidden)]
    #[must_use]
    pub fn sheltered(&self) -> Self {
        let session = self.session();
        if let Transport::Memory(publisher) = &session.0 {
            publisher.shelter();
        }
        session
    }

    /// For another publisher: in memory a new session on the same bus, over RabbitMQ this session.
    #[must_use]
    pub fn session(&self) -> Self {
        match &self.0 {
            Transport::Memory(publisher) => Self(Transport::Memory(publisher.session())),
            Transport::Amqp(session) => Self(Transport::Amqp(session.clone())),
        }
    }

    /// Opens a session. A `memory:` URL gives a new bus inside this process.
    ///
    /// # Errors
    /// When the broker cannot be reached, does not answer within some seconds, is not the one that its certificate has
    /// to prove, refuses the login or the virtual host, or has the exchange with other flags.
    pub async fn connect(connect: &Connect, clock: SharedClock) -> Result<Self, BusError> {
        match &connect.url {
            BusUrl::Memory => Ok(Self::memory(None)),
            BusUrl::Amqp(url) => {
                amqp::Session::connect(url, connect, clock).await.map(|s| Self(Transport::Amqp(s)))
            }
        }
    }

    /// Publishes `body` on `topic`. It has then been taken over, in order, and will be repeated until the broker
    /// confirms it; see [`Bus::flush`]. Waits while the outbox or, in memory, a receiver's queue is full.
    ///
    /// # Errors
    /// When the session is closed, topic or body are larger than the bus allows, or the outbox has been full for long.
    pub async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        check(topic, &body)?;
        match &self.0 {
            Transport::Memory(publisher) => publisher.publish(topic, body).await,
            Transport::Amqp(session) => session.publish(topic, body).await,
        }
    }

    /// Makes a message ready that is to be published at an instant to come: everything that may wait or fail is done now.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn prepare(&self, topic: &str, body: Bytes) -> Result<Prepared, BusError> {
        check(topic, &body)?;
        Ok(Prepared(match &self.0 {
            Transport::Memory(publisher) => {
                publisher.check_open()?;
                Ready::Memory(publisher.clone(), topic.into(), body)
            }
            Transport::Amqp(session) => Ready::Amqp(session.prepare(topic, body).await?),
        }))
    }

    /// Subscribes. When it returns, everything published from now on will arrive.
    ///
    /// # Errors
    /// When the session is closed, or the broker does not set the subscription up in time.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<Subscription, BusError> {
        match &self.0 {
            Transport::Memory(publisher) => {
                publisher.subscribe(subscribe).map(|inbox| Subscription(Source::Memory(inbox)))
            }
            Transport::Amqp(session) => {
                session.subscribe(subscribe).await.map(|inbox| Subscription(Source::Amqp(inbox)))
            }
        }
    }

    /// Takes the right to be the only `name` on this exchange; see [`Lease`].
    ///
    /// # Errors
    /// When another session has it, the session is closed, or the broker does not answer in time.
    pub async fn lease(&self, name: &str) -> Result<Lease, BusError> {
        match &self.0 {
            Transport::Memory(publisher) => publisher.lease(name),
            Transport::Amqp(session) => session.lease(name).await,
        }
    }

    /// Waits until the broker has answered for everything that this session published before.
    ///
    /// # Errors
    /// When that takes too long, or the session is closed.
    pub async fn flush(&self) -> Result<(), BusError> {
        match &self.0 {
            Transport::Memory(_) => Ok(()),
            Transport::Amqp(session) => session.flush().await,
        }
    }

    /// Whether messages go through a broker, and are on their way for a while.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self.0, Transport::Amqp(_))
    }

    /// What this session has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        match &self.0 {
            Transport::Memory(publisher) => publisher.statistics(),
            Transport::Amqp(session) => session.statistics(),
        }
    }

    /// Ends the session: sends what waits, for a bounded time, and ends its subscriptions.
    pub async fn close(&self) {
        match &self.0 {
            Transport::Memory(publisher) => publisher.close(),
            Transport::Amqp(session) => session.close().await,
        }
    }
}

/// A message that is ready to be published; see [`Bus::prepare`]. Dropped, it is not.
pub struct Prepared(Ready);

enum Ready {
    Memory(memory::Publisher, Box<str>, Bytes),
    Amqp(amqp::Reserved),
}

impl Prepared {
    /// Publishes it, after everything that the session has published before. Never waits, and may be called on any thread,
    /// also on one outside every runtime: in memory it goes over the bound of a queue that is full.
    ///
    /// # Errors
    /// When the session has been closed.
    pub fn send(self) -> Result<(), BusError> {
        match self.0 {
            Ready::Memory(publisher, topic, body) => publisher.publish_now(&topic, body),
            Ready::Amqp(reserved) => reserved.send(),
        }
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prepared")
    }
}

/// What arrives on some topics. Dropping it unsubscribes.
pub struct Subscription(Source);

enum Source {
    Memory(memory::Inbox),
    Amqp(amqp::Inbox),
}

impl Subscription {
    /// Messages that this subscription missed because its queue was full; always 0 with [`WhenFull::Wait`].
    #[must_use]
    pub fn shed(&self) -> u64 {
        match &self.0 {
            Source::Memory(inbox) => inbox.shed(),
            Source::Amqp(inbox) => inbox.shed(),
        }
    }

    /// The next event; `None` when the session is closed and everything received has been given. Nothing is lost when
    /// the wait is cancelled.
    pub async fn recv(&mut self) -> Option<Event> {
        match &mut self.0 {
            Source::Memory(inbox) => inbox.recv().await,
            Source::Amqp(inbox) => inbox.recv().await,
        }
    }
}

/// The name of a run's exchange: the prefix (`procem.` unless configured otherwise) and the compact form of the
/// simulation id (wire contract, section 1.1).
#[must_use]
pub fn run_exchange(prefix: &str, compact_id: &str) -> String {
    format!("{prefix}{compact_id}")
}

/// AMQP's short strings hold this much.
const NAME_BYTES_MAX: usize = 255;
/// Larger bodies are refused; brokers have such a limit too and end the session over it.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Refuses what does not fit AMQP, whatever the transport: a run that works in memory works over a broker.
fn check(topic: &str, body: &Bytes) -> Result<(), BusError> {
    if topic.len() > NAME_BYTES_MAX {
        return Err(BusError::NameTooLong { bytes: topic.len() });
    }
    if body.len() > BODY_BYTES_MAX {
        return Err(BusError::BodyTooLarge { bytes: body.len() });
    }
    Ok(())
}
