//! What can go wrong with a session: [`BusError`], worded for whoever has to put it right.

use thiserror::Error;

/// Why the bus did not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BusError {
    /// Nobody listens at the broker's address.
    #[error("no broker answers at {address}: is RabbitMQ running, and are host and port right?")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The broker took the connection but did not finish the handshake in time.
    #[error(
        "the broker at {address} did not answer in time: is it overloaded, or is something else listening there?"
    )]
    NoAnswer {
        /// Host and port.
        address: String,
    },
    /// Wrong user name or password (AMQP 403).
    #[error("the broker at {address} refused the login of `{user}`: check user name and password")]
    Login {
        /// Host and port.
        address: String,
        /// Login name.
        user: String,
    },
    /// The virtual host is unknown or closed to the user (AMQP 530).
    #[error(
        "the broker at {address} has no virtual host `{vhost}` that `{user}` may use; SimCES uses `/`, written %2f in a URL"
    )]
    VirtualHost {
        /// Host and port.
        address: String,
        /// Virtual host asked for.
        vhost: String,
        /// Login name.
        user: String,
    },
    /// The exchange is there with other flags (AMQP 406).
    #[error(
        "exchange `{exchange}` exists with other flags than SimCES uses for a run (topic, durable=false, auto_delete=true): {said}; delete it or let its other users declare it so"
    )]
    Exchange {
        /// Name of the exchange.
        exchange: String,
        /// The broker's words.
        said: String,
    },
    /// The user may not do this on the broker (AMQP 403 on a channel).
    #[error("the broker does not permit it: {said}")]
    Permission {
        /// The broker's words.
        said: String,
    },
    /// The connection or its protocol failed in another way.
    #[error("the session with the broker at {address} failed")]
    Broker {
        /// Host and port.
        address: String,
        /// What the AMQP client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A routing key or exchange name does not fit AMQP's 255 bytes.
    #[error("a name of {bytes} bytes is too long for the bus, which allows 255")]
    NameTooLong {
        /// Its length in UTF-8.
        bytes: usize,
    },
    /// A body is larger than any SimCES message; a broker would end the session over it.
    #[error("a body of {bytes} bytes is too large for the bus, which allows 16 MiB")]
    BodyTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The outbox stayed full: the broker has been away or stopped for too long.
    #[error("the outbox is full and the broker has taken nothing for too long")]
    OutboxFull,
    /// Not everything was confirmed in time.
    #[error("the broker did not confirm everything in time")]
    Unconfirmed,
    /// The subscription was not in place in time; it is given up.
    #[error("the broker did not set up the subscription in time")]
    NotSubscribed,
    /// The session has been closed.
    #[error("the session is closed")]
    Closed,
}
