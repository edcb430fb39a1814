//! Messages that a test itself sends into a run: [`Author`] writes them, [`at_epochs`] sends them when their epoch
//! begins.

use super::run::World;
use bytes::Bytes;
use gridloop_bus::{Event, Subscribe, WhenFull};
use gridloop_messages::{
    Body, Decoded, EpochFields, Header, Message, PowerSetpoint, SimulationId, Timestamp, decode, topic,
};
use tokio::task::JoinHandle;

/// A component that is on nobody's list.
#[derive(Debug, Clone)]
pub struct Author {
    name: String,
    id: SimulationId,
    last: u64,
}

impl Author {
    /// An author of this name, in the run of `world`.
    #[must_use]
    pub fn new(name: &str, world: &World) -> Self {
        Self { name: name.to_owned(), id: world.id.clone(), last: 0 }
    }

    /// A power setpoint for an epoch, in kW.
    ///
    /// # Panics
    /// When the number is not finite: that cannot be written as a message.
    pub fn power(&mut self, epoch: u64, real_power_kw: f64) -> Bytes {
        let body = Body::PowerSetpoint(PowerSetpoint { real_power_kw, reactive_power_kvar: 0.0 });
        self.write(epoch, body)
    }

    /// A result message of an epoch.
    ///
    /// # Panics
    /// When it breaks a rule of the wire contract.
    pub fn write(&mut self, epoch: u64, body: Body) -> Bytes {
        self.last += 1;
        let fields = EpochFields {
            epoch_number: epoch,
            triggering_message_ids: vec!["manager-1".into()],
            ..EpochFields::default()
        };
        let header = Header {
            simulation_id: self.id.clone(),
            timestamp: Timestamp::from(chrono::DateTime::UNIX_EPOCH),
            source_process_id: self.name.clone(),
            message_id: format!("{}-{}", self.name, self.last),
            epoch: Some(fields),
        };
        Message { header, body }.encode().expect("a sound message").into()
    }
}

/// Sends each of `messages` (epoch, topic, body) when its epoch begins. Ends with the bus.
///
/// # Errors
/// When the bus cannot be listened to.
pub async fn at_epochs(world: &World, messages: Vec<(u64, String, Bytes)>) -> anyhow::Result<JoinHandle<()>> {
    let bus = world.bus.session();
    let subscribe = Subscribe {
        name: "author".into(),
        patterns: vec![topic::EPOCH.to_owned()],
        capacity: 64,
        when_full: WhenFull::Wait,
    };
    let mut epochs = bus.subscribe(subscribe).await?;
    Ok(tokio::spawn(async move {
        while let Some(event) = epochs.recv().await {
            let Event::Message(delivery) = event else { continue };
            let now = Timestamp::from(chrono::DateTime::UNIX_EPOCH);
            let Ok(Decoded::Message(message)) = decode(&delivery.body, now) else { continue };
            let begun = message.epoch_number();
            for (_, topic, body) in messages.iter().filter(|(epoch, ..)| Some(*epoch) == begun) {
                if bus.publish(topic, body.clone()).await.is_err() {
                    return;
                }
            }
        }
    }))
}
