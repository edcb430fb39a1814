//! The way to the broker, from the handshake to its end: [`Link`], two connections that live and die together.
//!
//! One publishes, the other consumes. A broker that is short of memory or disk stops reading from whoever publishes;
//! acknowledgements must reach it nevertheless, or it never gets rid of what it holds. A [`Link`] is used until the
//! first error and then thrown away with everything on it. Dropping it closes the sockets at once, whatever state the
//! peer is in, so that no thread of the client library outlives it.

use super::stream::{Kit, Stream};
use super::target::{Target, code};
use super::tls;
use super::topology::{self, Binding, Feed};
use crate::BusError;
use crate::connect::Authentication;
use futures_util::{StreamExt, future};
use gridloop_clock::{Clock, SharedClock, until};
use lapin::tcp::AsyncTcpStream;
use lapin::types::ShortString;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism};
use lapin::{Channel, Connection, ConnectionProperties};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;
use tracing::warn;

/// The handshakes, with exchange and all, take no longer.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);
/// A farewell takes no longer.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// Largest frame: SimCES messages fit in one, and the client library allocates 64 of them for each connection.
const FRAME_MAX_BYTES: u32 = 8 * 1024;

/// Connections that are up.
pub(super) struct Link {
    pub(super) publisher: Channel,
    publishing: Line,
    consuming: Line,
}

/// What the broker says unasked.
pub(super) enum News {
    /// A connection or its publishing channel is lost.
    Lost(lapin::Error),
    /// The connection has ended without a word.
    Ended,
    /// It takes no messages for now, with the reason.
    Blocked(String),
    /// It takes messages again.
    Unblocked,
}

impl Link {
    /// Connects, logs in and opens the channel for publishing.
    pub(super) async fn open(target: &Target, clock: &SharedClock) -> Result<Self, BusError> {
        let deadline = clock.now() + OPEN_DEADLINE;
        let opened = until(&**clock, deadline, Self::handshake(target, clock)).await;
        opened.unwrap_or_else(|| Err(target.no_answer()))
    }

    async fn handshake(target: &Target, clock: &SharedClock) -> Result<Self, BusError> {
        let publishing = Line::open(target, Duty::Publishing, clock);
        let consuming = Line::open(target, Duty::Consuming, clock);
        let (publishing, consuming) = future::try_join(publishing, consuming).await?;
        let opened =
            topology::publisher(&publishing.connection, &target.exchange, &target.exchange_name).await;
        let publisher = opened.map_err(|error| target.channel_error(&error))?;
        Ok(Self { publisher, publishing, consuming })
    }

    /// Sets a subscription up at the broker.
    pub(super) async fn subscribe(
        &mut self,
        target: &Target,
        binding: &Binding,
        random: &mut fastrand::Rng,
        clock: &dyn Clock,
    ) -> Result<Feed, BusError> {
        let opening = topology::subscribe(&self.consuming.connection, &target.exchange_name, binding, random);
        match until(clock, clock.now() + OPEN_DEADLINE, opening).await {
            Some(opened) => opened.map_err(|error| target.channel_error(&error)),
            None => Err(target.no_answer()),
        }
    }

    /// Declares the queue that stands for a lease.
    pub(super) async fn lease(
        &mut self,
        target: &Target,
        name: &str,
        queue: &ShortString,
        clock: &dyn Clock,
    ) -> Result<(), BusError> {
        let taking = topology::lease(&self.consuming.connection, queue);
        match until(clock, clock.now() + OPEN_DEADLINE, taking).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) if code(&error) == Some(405) => {
                Err(BusError::LeaseTaken { name: name.to_owned() })
            }
            Some(Err(error)) => Err(target.channel_error(&error)),
            None => Err(target.no_answer()),
        }
    }

    /// Deletes the queue of a lease. If that fails, it goes with the connection.
    pub(super) async fn give_back(&mut self, queue: &ShortString, clock: &dyn Clock) {
        let giving = topology::give_back(&self.consuming.connection, queue);
        if !matches!(until(clock, clock.now() + OPEN_DEADLINE, giving).await, Some(Ok(()))) {
            warn!(%queue, "a lease could not be given back; it ends with this session");
        }
    }

    /// What the broker says unasked.
    pub(super) async fn news(&mut self) -> News {
        // Losses show on both; blocking only where something is published.
        tokio::select! {
            biased;
            news = self.publishing.news() => news,
            news = self.consuming.news() => news,
        }
    }

    /// Whether both connections and the publishing channel are up, as far as known.
    pub(super) fn is_up(&self) -> bool {
        let connected = |line: &Line| line.connection.status().connected();
        connected(&self.publishing) && connected(&self.consuming) && self.publisher.status().connected()
    }

    /// Says farewell, for a bounded time.
    pub(super) async fn close(self, clock: &dyn Clock) {
        let farewell = future::join(
            self.publishing.connection.close(200, "OK".into()),
            self.consuming.connection.close(200, "OK".into()),
        );
        if until(clock, clock.now() + CLOSE_DEADLINE, farewell).await.is_none() {
            warn!("the broker did not answer the farewell");
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duty {
    Publishing,
    Consuming,
}

/// One connection. The socket is shut down when it is dropped.
struct Line {
    connection: Connection,
    events: Pin<Box<dyn futures_util::Stream<Item = lapin::Event> + Send>>,
    _socket: Socket,
}

impl Line {
    async fn open(target: &Target, duty: Duty, clock: &SharedClock) -> Result<Self, BusError> {
        let login = target.login()?;
        let (stream, socket, asked) = dial(target, duty, clock).await?;
        let name = match duty {
            Duty::Publishing => target.name.clone(),
            Duty::Consuming => format!("{} (listening)", target.name),
        };
        let connection = handshake(target, &name, login, stream).await;
        let connection = connection.map_err(|error| target.handshake_error(&error, asked, &**clock))?;
        let events = connection.events_listener().boxed();
        Ok(Self { connection, events, _socket: socket })
    }

    async fn news(&mut self) -> News {
        while let Some(event) = self.events.next().await {
            match event {
                // The end of a channel is told to whoever uses it.
                lapin::Event::Error(error) if error.is_amqp_soft_error() => {}
                lapin::Event::Error(error) => return News::Lost(error),
                lapin::Event::ConnectionBlocked(why) => return News::Blocked(why),
                lapin::Event::ConnectionUnblocked => return News::Unblocked,
                _ => {}
            }
        }
        News::Ended
    }
}

/// Opens the bytes to the broker, encrypted if the URL says so; also whether it asked for a certificate of ours.
async fn dial(target: &Target, duty: Duty, clock: &SharedClock) -> Result<(Stream, Socket, bool), BusError> {
    let url = &target.url;
    let unreachable = |source| BusError::Unreachable { address: url.address(), source };
    let tcp = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let socket = Socket(tcp.as_fd().try_clone_to_owned().map_err(unreachable)?.into());
    if !url.tls {
        return Ok((Stream::Plain(tcp), socket, false));
    }
    // One warning for both connections is enough.
    let warns = duty == Duty::Publishing;
    let (tls, asked) = tls::wrap(tcp, url, &target.access.tls, warns, clock).await?;
    Ok((Stream::Tls(Box::new(tls)), socket, asked))
}

/// The AMQP handshake over a stream.
async fn handshake(
    target: &Target,
    name: &str,
    (username, password): (String, String),
    stream: Stream,
) -> lapin::Result<Connection> {
    let url = &target.url;
    let uri = AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username, password },
            host: url.host.clone(),
            port: url.port,
        },
        vhost: url.vhost.clone(),
        query: AMQPQueryString {
            frame_max: Some(FRAME_MAX_BYTES),
            heartbeat: u16::try_from(target.access.heartbeat.as_secs()).ok(),
            auth_mechanism: match target.access.authentication {
                Authentication::Plain => None,
                Authentication::External => Some(SASLMechanism::External),
            },
            ..Default::default()
        },
    };
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let ready = Mutex::new(Some(stream));
    let hand_over = async move |_, _| {
        // A second attempt would need a stream of its own; there is none, for the supervisor makes the attempts.
        let stream = ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = stream.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted))?;
        Ok(AsyncTcpStream::Plain(stream.compat()))
    };
    Connection::connector(uri, Kit::current().into(), hand_over, properties).await
}

/// A second handle on a connection's socket, which ends the connection whatever the client library does.
struct Socket(std::net::TcpStream);

impl Drop for Socket {
    fn drop(&mut self) {
        // An error means that it is closed already, which is what is wanted.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
