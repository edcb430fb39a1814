//! A publish-and-answer barrier and a round trip over plain AMQP: what broker and client library cost without gridloop.
//!
//! They are the floors that the benchmarks of hil-tests measure epochs over RabbitMQ against. They stand in this crate,
//! behind the feature `bare`, because no other crate may name the AMQP library. Nothing of the bus is used: no
//! supervisor, no confirmation, no acknowledgement. Everybody has a channel of its own on one connection, as the
//! queues of a session have.

use crate::AmqpUrl;
use futures_util::StreamExt;
use gridloop_clock::{Clock, sleep};
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::uri::{AMQPAuthority, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use std::io;
use std::time::Duration;
use tokio::task::JoinSet;

const START: &str = "Start";
const ANSWER: &str = "Answer";
const RESULT: &str = "Result";

/// A barrier to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Barrier {
    /// How many answer.
    pub participants: usize,
    /// Bytes of every message.
    pub body_bytes: usize,
    /// Rounds before the measured ones.
    pub warm_up: u32,
    /// Measured rounds.
    pub rounds: u32,
}

/// How long the rounds take: in each, one message goes to everybody, everybody answers with a result, which one more
/// consumer receives, and an answer; the round is over when all answers are in.
///
/// # Errors
/// When the broker cannot be used, or the connection is lost.
pub async fn barrier(
    url: &AmqpUrl,
    exchange: &str,
    barrier: Barrier,
    clock: &dyn Clock,
) -> io::Result<Duration> {
    measure(url, exchange, barrier, clock).await.map_err(io::Error::other)
}

async fn measure(
    url: &AmqpUrl,
    exchange: &str,
    barrier: Barrier,
    clock: &dyn Clock,
) -> lapin::Result<Duration> {
    let connection = Connection::connect_uri(uri(url), ConnectionProperties::default()).await?;
    let exchange = ShortString::from(exchange);
    let run = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    let publisher = connection.create_channel().await?;
    publisher.exchange_declare(exchange.clone(), ExchangeKind::Topic, run, FieldTable::default()).await?;
    let body = vec![b' '; barrier.body_bytes];
    let mut tasks = JoinSet::new();
    let (_, mut results) = listen(&connection, &exchange, RESULT).await?;
    tasks.spawn(async move { while results.next().await.is_some_and(|result| result.is_ok()) {} });
    for _ in 0..barrier.participants {
        let (channel, starts) = listen(&connection, &exchange, START).await?;
        tasks.spawn(participate(channel, starts, exchange.clone(), body.clone()));
    }
    let (_, mut answers) = listen(&connection, &exchange, ANSWER).await?;
    let mut measured_from = clock.now();
    for round in 0..barrier.warm_up + barrier.rounds {
        if round == barrier.warm_up {
            measured_from = clock.now();
        }
        publish(&publisher, &exchange, START, &body).await?;
        for _ in 0..barrier.participants {
            if let Some(answer) = answers.next().await {
                answer?;
            }
        }
    }
    let taken = clock.now().since(measured_from);
    connection.close(200, "OK".into()).await?;
    Ok(taken)
}

/// How long a message takes to the broker and back, once for each round: published and consumed on one connection, one
/// after the other or, with a `pause`, with so much time between two.
///
/// # Errors
/// When the broker cannot be used, or the connection is lost.
pub async fn round_trips(
    url: &AmqpUrl,
    exchange: &str,
    body_bytes: usize,
    rounds: u32,
    pause: Duration,
    clock: &dyn Clock,
) -> io::Result<Vec<Duration>> {
    measure_round_trips(url, exchange, body_bytes, rounds, pause, clock).await.map_err(io::Error::other)
}

async fn measure_round_trips(
    url: &AmqpUrl,
    exchange: &str,
    body_bytes: usize,
    rounds: u32,
    pause: Duration,
    clock: &dyn Clock,
) -> lapin::Result<Vec<Duration>> {
    let connection = Connection::connect_uri(uri(url), ConnectionProperties::default()).await?;
    let exchange = ShortString::from(exchange);
    let run = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    let publisher = connection.create_channel().await?;
    publisher.exchange_declare(exchange.clone(), ExchangeKind::Topic, run, FieldTable::default()).await?;
    let (_channel, mut arrivals) = listen(&connection, &exchange, START).await?;
    let body = vec![b' '; body_bytes];
    let mut taken = Vec::new();
    for _ in 0..rounds {
        if !pause.is_zero() {
            sleep(clock, pause).await;
        }
        let began = clock.now();
        publish(&publisher, &exchange, START, &body).await?;
        if let Some(arrival) = arrivals.next().await {
            arrival?;
        }
        taken.push(clock.now().since(began));
    }
    connection.close(200, "OK".into()).await?;
    Ok(taken)
}

/// Listens on one connection until it ends, without a look at what arrives.
///
/// # Errors
/// When the broker cannot be used, or the connection is lost.
pub async fn listen_only(url: &AmqpUrl, exchange: &str) -> io::Result<()> {
    let listening = async {
        let connection = Connection::connect_uri(uri(url), ConnectionProperties::default()).await?;
        let exchange = ShortString::from(exchange);
        let run = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
        let channel = connection.create_channel().await?;
        channel.exchange_declare(exchange.clone(), ExchangeKind::Topic, run, FieldTable::default()).await?;
        let (_channel, mut arrivals) = listen(&connection, &exchange, START).await?;
        while let Some(arrival) = arrivals.next().await {
            arrival?;
        }
        Ok::<(), lapin::Error>(())
    };
    listening.await.map_err(io::Error::other)
}

/// Answers until the connection ends.
async fn participate(channel: Channel, mut starts: Consumer, exchange: ShortString, body: Vec<u8>) {
    while starts.next().await.is_some_and(|start| start.is_ok()) {
        if publish(&channel, &exchange, RESULT, &body).await.is_err()
            || publish(&channel, &exchange, ANSWER, &body).await.is_err()
        {
            return;
        }
    }
}

async fn listen(
    connection: &Connection,
    exchange: &ShortString,
    topic: &str,
) -> lapin::Result<(Channel, Consumer)> {
    let channel = connection.create_channel().await?;
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let queue = channel.queue_declare(ShortString::default(), own, FieldTable::default()).await?;
    let (queue, options) = (queue.name().clone(), QueueBindOptions::default());
    channel.queue_bind(queue.clone(), exchange.clone(), topic.into(), options, FieldTable::default()).await?;
    let unacknowledged = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consumer =
        channel.basic_consume(queue, ShortString::default(), unacknowledged, FieldTable::default()).await?;
    Ok((channel, consumer))
}

async fn publish(channel: &Channel, exchange: &ShortString, topic: &str, body: &[u8]) -> lapin::Result<()> {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel.basic_publish(exchange.clone(), topic.into(), options, body, properties).await.map(drop)
}

fn uri(url: &AmqpUrl) -> AMQPUri {
    AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: url.user.clone(), password: url.password().to_owned() },
            host: url.host.clone(),
            port: url.port,
        },
        vhost: url.vhost.clone(),
        ..Default::default()
    }
}
