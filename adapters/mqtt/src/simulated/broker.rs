//! A broker for demos and tests: [`Broker`], MQTT 3.1.1 on the loopback interface.
//!
//! It has what the simulated devices and their drivers need: QoS 0 and 1, retained messages, last wills, wildcards, the
//! keep-alive rule, one connection for each client id. It keeps no sessions between connections and says so
//! (`session_present` is always false), and it lets everybody in: it is a simulated peer, never a broker for a
//! laboratory. A client that does not read what it subscribed to is disconnected.

use futures_util::{SinkExt, StreamExt};
use gridloop_clock::{SharedClock, until};
use rumqttc::mqttbytes::v4::{
    Codec, ConnAck, Connect, ConnectReturnCode, LastWill, Packet, PubAck, Publish, SubAck, Subscribe,
    SubscribeReasonCode, UnsubAck,
};
use rumqttc::mqttbytes::{QoS, matches, valid_filter, valid_topic};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::codec::Framed;

/// Bounds of a broker that serves a handful of devices.
const MOST_BYTES: usize = 256 * 1024;
const MOST_CLIENTS: usize = 256;
const MOST_RETAINED: usize = 1024;
const MOST_FILTERS: usize = 64;
const MOST_WAITING: usize = 256;

/// How long a new connection may take to introduce itself, and a client to take a packet.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running broker. It ends, and all its connections with it, when it is dropped.
pub struct Broker {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Broker {
    /// Starts a broker on 127.0.0.1; with port 0 on a free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(port: u16, clock: SharedClock) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let hub = Arc::new(Mutex::new(Hub::default()));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    biased;
                    Some(_) = connections.join_next() => {}
                    accepted = listener.accept() => {
                        if let Ok((stream, _)) = accepted && connections.len() < MOST_CLIENTS {
                            connections.spawn(serve(stream, Arc::clone(&hub), Arc::clone(&clock)));
                        }
                    }
                }
            }
        });
        Ok(Self { address, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Who is connected and what is retained.
#[derive(Default)]
struct Hub {
    clients: BTreeMap<u64, Client>,
    retained: BTreeMap<String, Publish>,
    connections: u64,
}

struct Client {
    id: String,
    filters: Vec<(String, QoS)>,
    /// Dropped to disconnect the client.
    outbox: mpsc::Sender<Publish>,
    will: Option<LastWill>,
}

fn lock(hub: &Mutex<Hub>) -> MutexGuard<'_, Hub> {
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Lets a client in. Whoever was there under its name is sent away first, last will and all.
    fn enter(&mut self, connect: Connect, outbox: mpsc::Sender<Publish>) -> u64 {
        let same = |client: &Client| !connect.client_id.is_empty() && client.id == connect.client_id;
        let before: Vec<u64> =
            self.clients.iter().filter(|(_, client)| same(client)).map(|(key, _)| *key).collect();
        for key in before {
            self.leave(key, false);
        }
        self.connections += 1;
        let client = Client { id: connect.client_id, filters: Vec::new(), outbox, will: connect.last_will };
        self.clients.insert(self.connections, client);
        self.connections
    }

    /// A client is gone; unless it said so, its last will is published.
    fn leave(&mut self, key: u64, in_order: bool) {
        let Some(client) = self.clients.remove(&key) else { return };
        if let Some(will) = client.will.filter(|_| !in_order) {
            let mut publish = Publish::from_bytes(will.topic, will.qos, will.message);
            publish.retain = will.retain;
            self.publish(publish);
        }
    }

    fn publish(&mut self, mut message: Publish) {
        if message.retain {
            if message.payload.is_empty() {
                self.retained.remove(&message.topic);
            } else if self.retained.len() < MOST_RETAINED || self.retained.contains_key(&message.topic) {
                self.retained.insert(message.topic.clone(), message.clone());
            }
        }
        message.retain = false;
        message.dup = false;
        let mut slow = Vec::new();
        for (key, client) in &self.clients {
            let granted = client.filters.iter().filter(|(filter, _)| matches(&message.topic, filter));
            let Some(granted) = granted.map(|(_, qos)| *qos as u8).max() else { continue };
            let mut copy = message.clone();
            copy.qos = if granted == 0 { QoS::AtMostOnce } else { message.qos };
            if client.outbox.try_send(copy).is_err() {
                slow.push(*key);
            }
        }
        for key in slow {
            self.leave(key, false);
        }
    }

    /// Subscribes a client; gives the answer, and the retained messages that go with it.
    fn subscribe(&mut self, key: u64, subscribe: Subscribe) -> (SubAck, Vec<Publish>) {
        let mut codes = Vec::new();
        let mut welcome = Vec::new();
        for wanted in subscribe.filters {
            let Some(client) = self.clients.get_mut(&key) else { break };
            client.filters.retain(|(filter, _)| *filter != wanted.path);
            if !valid_filter(&wanted.path) || client.filters.len() >= MOST_FILTERS {
                codes.push(SubscribeReasonCode::Failure);
                continue;
            }
            let qos = if wanted.qos == QoS::AtMostOnce { QoS::AtMostOnce } else { QoS::AtLeastOnce };
            let kept = self.retained.values().filter(|message| matches(&message.topic, &wanted.path));
            welcome.extend(kept.cloned().map(|mut message| {
                message.qos = if qos == QoS::AtMostOnce { qos } else { message.qos };
                message
            }));
            client.filters.push((wanted.path, qos));
            codes.push(SubscribeReasonCode::Success(qos));
        }
        (SubAck::new(subscribe.pkid, codes), welcome)
    }
}

/// A client's connection, from greeting to end.
async fn serve(stream: TcpStream, hub: Arc<Mutex<Hub>>, clock: SharedClock) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let codec = Codec { max_incoming_size: MOST_BYTES, max_outgoing_size: MOST_BYTES };
    let mut framed = Framed::new(stream, codec);
    let greeting = until(&*clock, clock.now() + PATIENCE, framed.next()).await;
    let Some(Some(Ok(Packet::Connect(connect)))) = greeting else { return };
    let silence = match connect.keep_alive {
        0 => Duration::from_hours(24),
        seconds => Duration::from_secs(seconds.into()) * 3 / 2,
    };
    let (outbox, inbox) = mpsc::channel(MOST_WAITING);
    let key = lock(&hub).enter(connect, outbox);
    let guard = Guard { hub: &hub, key };
    let accepted = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
    if framed.send(accepted).await.is_ok() {
        let mut connection = Connection { framed, hub: &hub, key, clock, silence, inbox, last_id: 0 };
        if connection.run().await.is_some() {
            lock(&hub).leave(key, true);
        }
    }
    drop(guard);
}

/// Publishes the last will of a connection that ends in whatever way.
struct Guard<'a> {
    hub: &'a Mutex<Hub>,
    key: u64,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        lock(self.hub).leave(self.key, false);
    }
}

struct Connection<'a> {
    framed: Framed<TcpStream, Codec>,
    hub: &'a Mutex<Hub>,
    key: u64,
    clock: SharedClock,
    silence: Duration,
    inbox: mpsc::Receiver<Publish>,
    last_id: u16,
}

impl Connection<'_> {
    /// Until the end; `Some` when the client said goodbye.
    async fn run(&mut self) -> Option<()> {
        let mut deadline = self.clock.now() + self.silence;
        loop {
            let alarm = self.clock.sleep_until(deadline);
            // What was subscribed to goes out before more comes in, so that the outbox stays short.
            tokio::select! {
                biased;
                message = self.inbox.recv() => {
                    let message = message?;
                    self.deliver(message).await?;
                }
                packet = self.framed.next() => {
                    deadline = self.clock.now() + self.silence;
                    let packet = packet?.ok()?;
                    if packet == Packet::Disconnect {
                        return Some(());
                    }
                    self.take(packet).await?;
                }
                () = alarm => return None,
            }
        }
    }

    /// Takes a packet; `None` ends the connection.
    async fn take(&mut self, packet: Packet) -> Option<()> {
        match packet {
            Packet::Publish(message) => {
                if message.qos == QoS::ExactlyOnce || !valid_topic(&message.topic) {
                    return None;
                }
                let (qos, id) = (message.qos, message.pkid);
                lock(self.hub).publish(message);
                if qos == QoS::AtLeastOnce {
                    self.send(Packet::PubAck(PubAck::new(id))).await?;
                }
            }
            Packet::Subscribe(subscribe) => {
                let (answer, welcome) = lock(self.hub).subscribe(self.key, subscribe);
                self.send(Packet::SubAck(answer)).await?;
                for message in welcome {
                    self.deliver(message).await?;
                }
            }
            Packet::Unsubscribe(unsubscribe) => {
                if let Some(client) = lock(self.hub).clients.get_mut(&self.key) {
                    client.filters.retain(|(filter, _)| !unsubscribe.topics.contains(filter));
                }
                self.send(Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid))).await?;
            }
            Packet::PingReq => self.send(Packet::PingResp).await?,
            // Over one TCP connection nothing is lost that would have to be sent again.
            Packet::PubAck(_) => {}
            _ => return None,
        }
        Some(())
    }

    async fn deliver(&mut self, mut message: Publish) -> Option<()> {
        message.pkid = 0;
        if message.qos != QoS::AtMostOnce {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            message.pkid = self.last_id;
        }
        self.send(Packet::Publish(message)).await
    }

    async fn send(&mut self, packet: Packet) -> Option<()> {
        let clock = Arc::clone(&self.clock);
        until(&*clock, clock.now() + PATIENCE, self.framed.send(packet)).await?.ok()
    }
}
