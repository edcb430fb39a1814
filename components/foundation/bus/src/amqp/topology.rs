//! The exchange, queues and bindings of a run (wire contract, sections 1.1 and 1.2).

use crate::Exchange;
use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer, ExchangeKind};

/// What a subscription needs at the broker.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    /// A word for people in the queue's name.
    pub(super) name: String,
    /// Topic patterns.
    pub(super) patterns: Vec<ShortString>,
    /// Most messages that the broker sends ahead.
    pub(super) prefetch: u16,
    /// Whether the queue outlives its consumer. If not, the subscription has a new one of its own each time.
    pub(super) kept: bool,
}

/// A kept queue expires when nobody has read it for this long: a day, in milliseconds.
const KEPT_EXPIRES_MS: i32 = 24 * 60 * 60 * 1000;

/// A consumer on a channel of its own, so that everything up to a delivery can be acknowledged at once.
#[derive(Clone)]
pub(super) struct Feed {
    pub(super) consumer: Consumer,
    pub(super) channel: Channel,
}

/// Opens the channel for publishing: the exchange declared, every publication confirmed.
pub(super) async fn publisher(
    connection: &Connection,
    exchange: &Exchange,
    name: &ShortString,
) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    let flags = ExchangeDeclareOptions {
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        ..Default::default()
    };
    channel.exchange_declare(name.clone(), ExchangeKind::Topic, flags, FieldTable::default()).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Opens a channel, declares a new queue on it, binds it and starts to consume.
///
/// A queue of its own has a new name each time: the old one may still belong to a connection that the broker has not
/// missed. A kept queue has always the same.
pub(super) async fn subscribe(
    connection: &Connection,
    exchange: &ShortString,
    binding: &Binding,
    random: &mut fastrand::Rng,
) -> lapin::Result<Feed> {
    let channel = connection.create_channel().await?;
    let queue = if binding.kept {
        let queue = ShortString::from(kept_queue_name(exchange.as_str(), &binding.name));
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut expires = FieldTable::default();
        expires.insert("x-expires".into(), KEPT_EXPIRES_MS.into());
        channel.queue_declare(queue.clone(), durable, expires).await?;
        queue
    } else {
        let queue = ShortString::from(queue_name(&binding.name, random));
        let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        channel.queue_declare(queue.clone(), own, FieldTable::default()).await?;
        queue
    };
    for pattern in &binding.patterns {
        let options = QueueBindOptions::default();
        channel
            .queue_bind(queue.clone(), exchange.clone(), pattern.clone(), options, FieldTable::default())
            .await?;
    }
    channel.basic_qos(binding.prefetch, BasicQosOptions::default()).await?;
    let acknowledged = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(queue, ShortString::default(), acknowledged, FieldTable::default()).await?;
    Ok(Feed { consumer, channel })
}

/// Declares a queue that only this connection may have; it goes with the connection.
pub(super) async fn lease(connection: &Connection, queue: &ShortString) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    let own = QueueDeclareOptions { exclusive: true, ..Default::default() };
    channel.queue_declare(queue.clone(), own, FieldTable::default()).await?;
    channel.close(200, "OK".into()).await
}

/// Deletes such a queue.
pub(super) async fn give_back(connection: &Connection, queue: &ShortString) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    channel.queue_delete(queue.clone(), QueueDeleteOptions::default()).await?;
    channel.close(200, "OK".into()).await
}

/// `gridloop-<name>-<26 random characters>`. Names that begin with `amq.` belong to the broker.
fn queue_name(name: &str, random: &mut fastrand::Rng) -> String {
    let name = plain(name);
    let unique: String =
        (0..26).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[random.usize(..32)])).collect();
    format!("gridloop-{name}-{unique}")
}

/// `gridloop.kept.<exchange>.<name>`
fn kept_queue_name(exchange: &str, name: &str) -> String {
    const EXCHANGE_MAX: usize = 150;
    let exchange: String = exchange.chars().take(EXCHANGE_MAX).collect();
    format!("gridloop.kept.{exchange}.{}", plain(name)).chars().filter(char::is_ascii).collect()
}

/// A word of people as part of a queue's name.
fn plain(name: &str) -> String {
    const NAME_MAX: usize = 64;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().take(NAME_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_names_are_new_each_time_and_always_short_and_plain() {
        let mut random = fastrand::Rng::with_seed(1);
        let name = queue_name("Säätö #1", &mut random);
        assert!(name.starts_with("gridloop-S__t___1-"), "{name}");
        assert_eq!(name.len(), "gridloop-S__t___1-".len() + 26);
        assert_ne!(name, queue_name("Säätö #1", &mut random));
        assert!(queue_name(&"long".repeat(200), &mut random).len() < 255);
    }

    #[test]
    fn a_kept_queue_has_always_the_same_name() {
        assert_eq!(
            kept_queue_name("procem.20260101", "log writer"),
            "gridloop.kept.procem.20260101.log_writer"
        );
        assert!(kept_queue_name(&"long".repeat(200), &"long".repeat(200)).len() < 255);
    }
}
