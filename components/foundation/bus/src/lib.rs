//! The SimCES message bus, in memory or over RabbitMQ.
//!
//! A [`Bus`] is one session: [`Bus::publish`] hands a body to a bounded outbox that keeps the order, and each
//! [`Subscription`] gives what arrives on its topic patterns. The session survives its broker: the supervisor behind it
//! reconnects, declares the topology again and re-sends what was not confirmed. What a broker may have forgotten
//! although it had confirmed it is for the SimCES state machines to repeat; they learn of it through
//! [`Event::Restored`].

use bytes::Bytes;
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
