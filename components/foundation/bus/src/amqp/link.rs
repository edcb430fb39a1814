//! One connection to the broker, from the handshake to its end.
//!
//! A [`Link`] is used until the first error and then thrown away with everything on it. Dropping it closes the socket
//! at once, whatever state the peer is in, so that no thread of the client library outlives it.

use super::topology::{self, Binding, Feed};
use crate::{AmqpUrl, BusError};
use futures_util::{Stream, StreamExt};
use gridloop_clock::{Clock, SharedClock, until};
use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream};
use lapin::types::ShortString;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::warn;

/// The handshake, with exchange and all, takes no longer.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);
/// A farewell takes no longer.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// Seconds between heartbeats. The client looks every half of it for two of them missing, so that a silent broker is
/// given up within 10 s.
const HEARTBEAT_S: u16 = 4;
/// Largest frame: SimCES messages fit in one, and the client library allocates 64 of them for each connection.
const FRAME_MAX_BYTES: u32 = 16 * 1024;

/// Where a session belongs.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) url: AmqpUrl,
    pub(super) exchange: ShortString,
    /// Shown to people in the broker's list of connections.
    pub(super) name: String,
}

/// A connection that is up.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) publisher: Channel,
    events: Pin<Box<dyn Stream<Item = lapin::Event> + Send>>,
    socket: Socket,
}

impl Link {
    /// Connects, logs in and opens the channel for publishing.
    pub(super) async fn open(target: &Target, clock: &SharedClock) -> Result<Self, BusError> {
        let deadline = clock.now() + OPEN_DEADLINE;
        let opened = until(&**clock, deadline, Self::handshake(target, clock)).await;
        opened.unwrap_or_else(|| Err(BusError::NoAnswer { address: target.url.address() }))
    }

    async fn handshake(target: &Target, clock: &SharedClock) -> Result<Self, BusError> {
        let socket = Socket::default();
        let connection = connect(target, clock, &socket).await.map_err(|e| target.connection_error(&e))?;
        let events = connection.events_listener().boxed();
        let opened = topology::publisher(&connection, &target.exchange).await;
        let publisher = opened.map_err(|e| target.channel_error(&e))?;
        Ok(Self { connection, publisher, events, socket })
    }

    /// Sets a subscription up at the broker.
    pub(super) async fn subscribe(
        &mut self,
        target: &Target,
        binding: &Binding,
        random: &mut fastrand::Rng,
        clock: &dyn Clock,
    ) -> Result<Feed, BusError> {
        let opening = topology::subscribe(&self.connection, &target.exchange, binding, random);
        match until(clock, clock.now() + OPEN_DEADLINE, opening).await {
            Some(opened) => opened.map_err(|e| target.channel_error(&e)),
            None => Err(BusError::NoAnswer { address: target.url.address() }),
        }
    }

    /// Completes when the connection is lost, with the reason.
    pub(super) async fn lost(&mut self) -> String {
        while let Some(event) = self.events.next().await {
            match event {
                lapin::Event::Error(error) => return error.to_string(),
                lapin::Event::ConnectionBlocked(why) => {
                    warn!(%why, "the broker takes no messages for now");
                }
                _ => {}
            }
        }
        "the connection ended".to_owned()
    }

    /// Whether connection and publishing channel are up, as far as known.
    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected() && self.publisher.status().connected()
    }

    /// Whether the broker has said that it takes no messages for now (memory or disk alarm).
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Says farewell, for a bounded time.
    pub(super) async fn close(self, clock: &dyn Clock) {
        let farewell = self.connection.close(200, "OK".into());
        if until(clock, clock.now() + CLOSE_DEADLINE, farewell).await.is_none() {
            warn!("the broker did not answer the farewell");
        }
        drop(self.socket);
    }
}

async fn connect(target: &Target, clock: &SharedClock, socket: &Socket) -> lapin::Result<Connection> {
    let url = &target.url;
    let uri = AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: url.user.clone(), password: url.password().to_owned() },
            host: url.host.clone(),
            port: url.port,
        },
        vhost: url.vhost.clone(),
        query: AMQPQueryString {
            frame_max: Some(FRAME_MAX_BYTES),
            heartbeat: Some(HEARTBEAT_S),
            ..Default::default()
        },
    };
    let properties = ConnectionProperties::default().with_connection_name(target.name.as_str().into());
    let (clock, socket) = (Arc::clone(clock), socket.shared());
    let runtime = lapin::runtime::default_runtime()?;
    let reactor = runtime.clone();
    let dial = async move |uri: AMQPUri, _| {
        let deadline = clock.now() + OPEN_DEADLINE;
        let stream = until(&*clock, deadline, uri.connect_async(&reactor)).await;
        let stream = stream.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
        if let AsyncTcpStream::Plain(plain) = &stream {
            socket.keep(plain.get_ref().as_fd().try_clone_to_owned()?.into())?;
        }
        Ok(stream)
    };
    Connection::connector(uri, runtime, dial, properties).await
}

/// A second handle on a connection's socket. It is shut down when this is dropped, even when it is only opened later.
#[derive(Default)]
struct Socket(SharedSocket);

#[derive(Clone, Default)]
struct SharedSocket(Arc<Mutex<SocketState>>);

#[derive(Default)]
enum SocketState {
    #[default]
    Opening,
    Open(TcpStream),
    Abandoned,
}

impl Socket {
    fn shared(&self) -> SharedSocket {
        self.0.clone()
    }
}

impl SharedSocket {
    fn keep(&self, stream: TcpStream) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, SocketState::Abandoned) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        *state = SocketState::Open(stream);
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let SocketState::Open(stream) = std::mem::replace(&mut *state, SocketState::Abandoned) {
            // An error means that it is closed already, which is what is wanted.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Target {
    fn connection_error(&self, error: &lapin::Error) -> BusError {
        let (address, user) = (self.url.address(), self.url.user.clone());
        match error.kind() {
            ErrorKind::IOError(io) if io.kind() != io::ErrorKind::ConnectionAborted => {
                BusError::Unreachable { address, source: io::Error::new(io.kind(), io.to_string()) }
            }
            ErrorKind::ProtocolError(said) if said.get_id() == 403 => BusError::Login { address, user },
            ErrorKind::ProtocolError(said) if said.get_id() == 530 => {
                BusError::VirtualHost { address, vhost: self.url.vhost.clone(), user }
            }
            _ => BusError::Broker { address, source: Box::new(error.clone()) },
        }
    }

    fn channel_error(&self, error: &lapin::Error) -> BusError {
        match error.kind() {
            ErrorKind::ProtocolError(said) if said.get_id() == 406 => BusError::Exchange {
                exchange: self.exchange.to_string(),
                said: said.get_message().to_string(),
            },
            ErrorKind::ProtocolError(said) if said.get_id() == 403 => {
                BusError::Permission { said: said.get_message().to_string() }
            }
            _ => self.connection_error(error),
        }
    }
}
