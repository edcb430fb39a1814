//! What can go wrong with a session: [`BusError`], worded for whoever has to put it right.

use crate::Exchange;
use std::path::{Path, PathBuf};
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
    /// Something took the connection, and then did not speak AMQP.
    #[error(
        "what answers at {address} does not speak AMQP: is the port right? If it is the broker's port for TLS (5671 by custom), write amqps://"
    )]
    NoAmqp {
        /// Host and port.
        address: String,
        /// What the AMQP client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
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
        "exchange `{}` exists with other flags than it is declared with here (topic, durable={}, auto_delete={}): {said}; delete it or let its other users declare it so",
        exchange.name, exchange.durable, exchange.auto_delete
    )]
    Exchange {
        /// The exchange as it is declared here.
        exchange: Exchange,
        /// The broker's words.
        said: String,
    },
    /// The user may not do this on the broker (AMQP 403 on a channel).
    #[error(
        "the broker does not permit it: {said}; docs/how-to/rabbitmq.md lists the permissions of each role"
    )]
    Permission {
        /// The broker's words.
        said: String,
    },
    /// Another session has the lease (AMQP 405).
    #[error("`{name}` is already at work on this exchange: only one may be; stop the other one first")]
    LeaseTaken {
        /// The lease asked for.
        name: String,
    },
    /// TLS was refused by one side.
    #[error("no TLS session with the broker at {address}: {why}")]
    Tls {
        /// Host and port.
        address: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A file of the configuration cannot be used.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
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
    /// The outbox stayed full because the broker is short of memory or disk and takes no messages.
    #[error("the broker has been taking no messages for too long and the outbox is full: {why}")]
    Blocked {
        /// The broker's words.
        why: String,
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

impl BusError {
    /// A file that cannot be used.
    pub(crate) fn file(path: &Path, why: impl ToString) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }
}
