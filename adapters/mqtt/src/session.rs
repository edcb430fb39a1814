//! One connection to a broker: [`Session`] owns it, a [`Peer`] is told what comes in and says what goes out.
//!
//! The packets and their rules are rumqttc's ([`MqttState`] and its codec); the connection under them is ours, so that
//! TLS is the workspace's own and nothing is ever kept from one connection to the next. Every session is a clean one
//! that subscribes anew. When anything fails it ends, and with it goes whatever was not sent: there is no queue that
//! could replay a command after an outage. The [`Peer`] is a state machine without I/O; the loop here is dull.

use crate::broker::{BrokerSettings, TlsFiles};
use crate::tls;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gridloop_clock::{MonoTime, SharedClock, until};
use gridloop_device::DeviceError;
use rumqttc::mqttbytes::v4::{
    Codec, ConnectReturnCode, LastWill, Login, Packet, PingReq, Publish, Subscribe, SubscribeFilter,
    SubscribeReasonCode,
};
use rumqttc::{MqttState, QoS, Request};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::codec::Framed;

/// The largest packet that is taken or sent. A telemetry message has a few hundred bytes.
pub(crate) const MOST_BYTES: usize = 256 * 1024;

/// Messages of ours that the broker has not acknowledged yet.
const MOST_UNACKNOWLEDGED: u16 = 64;

/// Longest silence of ours; half of it after a ping, the broker must have answered.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A message to be published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Publication {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retained: bool,
    /// Whether the broker is to acknowledge it (QoS 1).
    pub(crate) assured: bool,
}

/// Who is behind a session.
pub(crate) trait Peer: Send + 'static {
    /// The subscriptions stand.
    fn connected(&mut self, _now: MonoTime) -> Vec<Publication> {
        Vec::new()
    }

    /// A message came in.
    fn heard(&mut self, message: &Publish, now: MonoTime) -> Vec<Publication>;

    /// When to be woken by [`Peer::tick`].
    fn due(&self) -> Option<MonoTime> {
        None
    }

    /// The instant of [`Peer::due`] has come.
    fn tick(&mut self, _now: MonoTime) -> Vec<Publication> {
        Vec::new()
    }
}

/// How a session introduces itself.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) client_id: String,
    pub(crate) will: Option<Publication>,
    /// What it subscribes to, all with QoS 1.
    pub(crate) filters: Vec<String>,
}

/// Why there is no session (any more).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("{0}")]
    Lost(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl LinkError {
    pub(crate) fn during(self, operation: &str) -> DeviceError {
        let operation = operation.to_owned();
        match self {
            Self::Lost(reason) => DeviceError::Disconnected { operation, reason },
            Self::Timeout(waited) => DeviceError::Timeout { operation, waited },
        }
    }
}

fn lost(error: impl std::fmt::Display) -> LinkError {
    LinkError::Lost(error.to_string())
}

/// A running session. Dropping it closes the connection at once.
pub(crate) struct Session {
    requests: mpsc::Sender<Publication>,
    ended: watch::Receiver<Option<LinkError>>,
    task: JoinHandle<()>,
}

impl Session {
    /// Connects, subscribes, and hands the connection to a task of its own.
    pub(crate) async fn open<P: Peer>(
        broker: &BrokerSettings,
        hello: Hello,
        peer: P,
        clock: &SharedClock,
        patience: Duration,
    ) -> Result<Self, LinkError> {
        let opening = open(broker, hello, peer, clock, patience);
        let loop_ =
            until(&**clock, clock.now() + patience, opening).await.ok_or(LinkError::Timeout(patience))??;
        let (requests, incoming) = mpsc::channel(1);
        let (end, ended) = watch::channel(None);
        let task = tokio::spawn(async move {
            let why = loop_.run(incoming).await;
            end.send_replace(Some(why));
        });
        Ok(Self { requests, ended, task })
    }

    /// Hands a message to the connection, which writes it before anything else.
    pub(crate) async fn publish(&self, publication: Publication) -> Result<(), LinkError> {
        match self.requests.send(publication).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.why_ended()),
        }
    }

    /// Waits for the end and says why.
    pub(crate) async fn ended(&self) -> LinkError {
        let mut ended = self.ended.clone();
        let _ = ended.wait_for(Option::is_some).await;
        self.why_ended()
    }

    fn why_ended(&self) -> LinkError {
        self.ended.borrow().clone().unwrap_or_else(|| lost("the session is over"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Any stream of bytes.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct Loop<P> {
    framed: Framed<Box<dyn Stream>, Codec>,
    state: MqttState,
    clock: SharedClock,
    patience: Duration,
    ping_at: MonoTime,
    host: String,
    tls: TlsFiles,
    peer: P,
}

async fn open<P: Peer>(
    broker: &BrokerSettings,
    hello: Hello,
    peer: P,
    clock: &SharedClock,
    patience: Duration,
) -> Result<Loop<P>, LinkError> {
    let stream = connect(broker, clock).await?;
    let codec = Codec { max_incoming_size: MOST_BYTES, max_outgoing_size: MOST_BYTES };
    let mut opened = Loop {
        framed: Framed::new(stream, codec),
        state: MqttState::new(MOST_UNACKNOWLEDGED, false),
        clock: Arc::clone(clock),
        patience,
        ping_at: clock.now() + KEEP_ALIVE / 2,
        host: broker.address.host.clone(),
        tls: broker.tls.clone(),
        peer,
    };
    opened.greet(broker, &hello).await?;
    opened.subscribe(&hello.filters).await?;
    let greeting = opened.peer.connected(clock.now());
    opened.publish_all(greeting).await?;
    Ok(opened)
}

async fn connect(broker: &BrokerSettings, clock: &SharedClock) -> Result<Box<dyn Stream>, LinkError> {
    let address = &broker.address;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    // What the operating system has not sent when a session is dropped would still come, after it was given up.
    stream.set_zero_linger().map_err(lost)?;
    if !address.secure {
        return Ok(Box::new(stream));
    }
    let encrypted = tls::wrap(stream, broker, clock).await.map_err(LinkError::Lost)?;
    Ok(Box::new(encrypted))
}

impl<P: Peer> Loop<P> {
    async fn greet(&mut self, broker: &BrokerSettings, hello: &Hello) -> Result<(), LinkError> {
        let mut connect = rumqttc::mqttbytes::v4::Connect::new(hello.client_id.clone());
        connect.keep_alive = u16::try_from(KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX);
        connect.last_will = hello.will.as_ref().map(|will| LastWill {
            topic: will.topic.clone(),
            message: Bytes::from(will.payload.clone()),
            qos: if will.assured { QoS::AtLeastOnce } else { QoS::AtMostOnce },
            retain: will.retained,
        });
        if let Some(login) = &broker.login {
            let password = login.password.read().map_err(LinkError::Lost)?;
            connect.login = Some(Login::new(login.user.clone(), password));
        }
        self.framed.feed(Packet::Connect(connect)).await.map_err(lost)?;
        self.flush().await?;
        match self.incoming().await? {
            Packet::ConnAck(answer) => match answer.code {
                ConnectReturnCode::Success => Ok(()),
                ConnectReturnCode::BadUserNamePassword => {
                    Err(lost("the broker does not accept the user name or the password"))
                }
                ConnectReturnCode::NotAuthorized => {
                    Err(lost("the broker does not let us in (not authorised): are user and password right?"))
                }
                code => Err(lost(format!("the broker refused the connection: {code:?}"))),
            },
            packet => Err(lost(format!("the broker answered a greeting with {packet:?}"))),
        }
    }

    async fn subscribe(&mut self, filters: &[String]) -> Result<(), LinkError> {
        let all = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        self.send(Request::Subscribe(Subscribe::new_many(all))).await?;
        self.flush().await?;
        loop {
            let packet = self.incoming().await?;
            if let Packet::SubAck(answer) = &packet {
                let mut answers = answer.return_codes.iter().zip(filters);
                let refused = answers.find(|(code, _)| matches!(code, SubscribeReasonCode::Failure));
                if let Some((_, filter)) = refused {
                    return Err(lost(format!("the broker refuses the subscription to {filter}")));
                }
                return Ok(());
            }
            self.take(packet).await?;
        }
    }

    async fn run(mut self, mut requests: mpsc::Receiver<Publication>) -> LinkError {
        loop {
            let error = match self.round(&mut requests).await {
                Ok(true) => continue,
                Ok(false) => lost("closed by us"),
                Err(error) => error,
            };
            return error;
        }
    }

    /// One thing that happens; `false` when nobody wants the session any more. What is due comes before what comes in, so
    /// that a flood of messages stops neither telemetry nor pings; what is to be sent comes before what comes in, so that
    /// a command never waits behind readings.
    async fn round(&mut self, requests: &mut mpsc::Receiver<Publication>) -> Result<bool, LinkError> {
        let now = self.clock.now();
        if self.peer.due().is_some_and(|due| due <= now) {
            let publications = self.peer.tick(now);
            self.publish_all(publications).await?;
            return Ok(true);
        }
        if self.ping_at <= now {
            self.ping().await?;
            return Ok(true);
        }
        let wake = self.peer.due().map_or(self.ping_at, |due| due.min(self.ping_at));
        let alarm = self.clock.sleep_until(wake);
        tokio::select! {
            biased;
            request = requests.recv() => match request {
                None => return Ok(false),
                Some(publication) => self.publish_all(vec![publication]).await?,
            },
            packet = self.framed.next() => {
                let packet = self.understand(packet)?;
                self.take(packet).await?;
            }
            () = alarm => {}
        }
        Ok(true)
    }

    async fn incoming(&mut self) -> Result<Packet, LinkError> {
        let packet = self.framed.next().await;
        self.understand(packet)
    }

    fn understand(
        &self,
        packet: Option<Result<Packet, rumqttc::mqttbytes::Error>>,
    ) -> Result<Packet, LinkError> {
        use rumqttc::mqttbytes::Error;
        match packet {
            Some(Ok(packet)) => Ok(packet),
            None => Err(lost("the broker closed the connection")),
            Some(Err(Error::PayloadSizeLimitExceeded(size))) => {
                Err(lost(format!("the broker sent a packet of {size} bytes; {MOST_BYTES} are taken at most")))
            }
            Some(Err(Error::Io(error))) => Err(LinkError::Lost(
                tls::explain_io(&error, &self.host, &self.tls).unwrap_or_else(|| error.to_string()),
            )),
            Some(Err(error)) => Err(lost(format!("the broker sent what is no MQTT: {error}"))),
        }
    }

    /// Takes a packet in, answers it as the protocol demands, and passes messages on.
    async fn take(&mut self, packet: Packet) -> Result<(), LinkError> {
        let answer = self.state.handle_incoming_packet(packet.clone());
        self.state.events.clear();
        if let Some(answer) =
            answer.map_err(|error| lost(format!("the broker broke the protocol: {error}")))?
        {
            self.framed.feed(answer).await.map_err(lost)?;
            self.flush().await?;
        }
        let Packet::Publish(message) = packet else { return Ok(()) };
        let publications = self.peer.heard(&message, self.clock.now());
        self.publish_all(publications).await
    }

    async fn publish_all(&mut self, publications: Vec<Publication>) -> Result<(), LinkError> {
        if publications.is_empty() {
            return Ok(());
        }
        for publication in publications {
            if self.state.inflight() >= MOST_UNACKNOWLEDGED {
                return Err(lost(format!("the broker left {MOST_UNACKNOWLEDGED} messages unacknowledged")));
            }
            let qos = if publication.assured { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            let mut publish = Publish::new(publication.topic, qos, publication.payload);
            publish.retain = publication.retained;
            self.send(Request::Publish(publish)).await?;
        }
        self.flush().await
    }

    async fn ping(&mut self) -> Result<(), LinkError> {
        self.ping_at = self.clock.now() + KEEP_ALIVE / 2;
        if self.state.await_pingresp {
            return Err(lost(format!("the broker did not answer a ping within {:?}", KEEP_ALIVE / 2)));
        }
        self.send(Request::PingReq(PingReq)).await?;
        self.flush().await
    }

    /// Puts a packet into the buffer of the connection.
    async fn send(&mut self, request: Request) -> Result<(), LinkError> {
        let packet = self.state.handle_outgoing_packet(request).map_err(lost)?;
        self.state.events.clear();
        if self.state.collision.is_some() {
            return Err(lost("the broker acknowledges messages out of order"));
        }
        let Some(packet) = packet else { return Ok(()) };
        let clock = Arc::clone(&self.clock);
        let feeding = self.framed.feed(packet);
        let fed = until(&*clock, clock.now() + self.patience, feeding).await;
        fed.ok_or(LinkError::Timeout(self.patience))?.map_err(lost)
    }

    async fn flush(&mut self) -> Result<(), LinkError> {
        let clock = Arc::clone(&self.clock);
        let flushed = until(&*clock, clock.now() + self.patience, self.framed.flush()).await;
        flushed.ok_or(LinkError::Timeout(self.patience))?.map_err(lost)
    }
}
