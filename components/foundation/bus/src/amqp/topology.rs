//! The exchange, queues and bindings of a run (wire contract, sections 1.1 and 1.2).

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
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
}

/// A consumer on a channel of its own, so that everything up to a delivery can be acknowledged at once.
#[derive(Clone)]
pub(super) struct Feed {
    pub(super) consumer: Consumer,
    pub(super) channel: Channel,
}

/// Opens the channel for publishing: the exchange declared, every publication confirmed.
pub(super) async fn publisher(connection: &Connection, exchange: &ShortString) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    let run = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    channel.exchange_declare(exchange.clone(), ExchangeKind::Topic, run, FieldTable::default()).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Opens a channel, declares a new queue on it, binds it and starts to consume.
///
/// The queue has a new name each time: the old one may still belong to a connection that the broker has not missed.
pub(super) async fn subscribe(
    connection: &Connection,
    exchange: &ShortString,
    binding: &Binding,
    random: &mut fastrand::Rng,
) -> lapin::Result<Feed> {
    let channel = connection.create_channel().await?;
    let queue = ShortString::from(queue_name(&binding.name, random));
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    channel.queue_declare(queue.clone(), own, FieldTable::default()).await?;
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

/// `gridloop-<name>-<26 random characters>`. Names that begin with `amq.` belong to the broker.
fn queue_name(name: &str, random: &mut fastrand::Rng) -> String {
    const NAME_MAX: usize = 64;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().take(NAME_MAX).map(plain).collect();
    let unique: String =
        (0..26).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[random.usize(..32)])).collect();
    format!("gridloop-{name}-{unique}")
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
}
