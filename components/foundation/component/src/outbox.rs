//! What a component has said in its latest epoch: the [`Outbox`] numbers, writes and keeps it, so that it can be said
//! again word for word.

use crate::{Action, Fault, Identity, Output, iteration_topic};
use bytes::Bytes;
use gridloop_messages::{
    Body, EpochFields, Header, IterationStatus, Message, Status, StatusValue, Timestamp, topic,
};
use std::sync::Arc;

/// Bound of `TriggeringMessageIds`, so that a flood of inputs does not make an answer that nobody accepts. What goes
/// beyond it is left out.
const MAX_TRIGGER_BYTES: usize = 256 * 1024;

/// A message as it went, or is to go, to the bus.
#[derive(Debug, Clone)]
struct Sent {
    topic: Arc<str>,
    body: Bytes,
}

/// What belongs to one message alone; epoch and triggers are the outbox's.
type About = EpochFields;

#[derive(Debug)]
pub(crate) struct Outbox {
    identity: Identity,
    ready: Arc<str>,
    error: Arc<str>,
    last_number: u64,
    epoch: u64,
    /// First what opened the epoch, then the inputs; empty before the first SimState.
    triggers: Vec<String>,
    trigger_bytes: usize,
    /// Results that were published before the epoch is completed.
    ahead: Vec<Sent>,
    /// The results of the epoch or, as long as it is iterated, of its latest round.
    outputs: Vec<Sent>,
    status: Option<(String, Sent)>,
}

impl Outbox {
    pub(crate) fn new(identity: Identity) -> Self {
        let last_number = identity.numbered_from;
        Self {
            identity,
            ready: topic::STATUS_READY.into(),
            error: topic::STATUS_ERROR.into(),
            last_number,
            epoch: 0,
            triggers: Vec::new(),
            trigger_bytes: 0,
            ahead: Vec::new(),
            outputs: Vec::new(),
            status: None,
        }
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether anything has asked for an answer yet.
    pub(crate) const fn is_asked(&self) -> bool {
        !self.triggers.is_empty()
    }

    /// An epoch begins, because of the message `trigger`. What was said before is over.
    pub(crate) fn begin(&mut self, epoch: u64, trigger: &str) {
        self.epoch = epoch;
        self.ahead.clear();
        self.outputs.clear();
        self.status = None;
        self.triggers.clear();
        self.triggers.push(trigger.to_owned());
        self.trigger_bytes = trigger.len();
    }

    /// The epoch is asked for again, by the message `trigger`; the inputs stay.
    pub(crate) fn begin_again(&mut self, trigger: &str) {
        if let Some(first) = self.triggers.first_mut() {
            trigger.clone_into(first);
        }
    }

    /// An input takes part in the results of the epoch.
    pub(crate) fn record(&mut self, input_id: &str) {
        if self.trigger_bytes + input_id.len() <= MAX_TRIGGER_BYTES {
            self.trigger_bytes += input_id.len();
            self.triggers.push(input_id.to_owned());
        }
    }

    /// The id of the last Status of this epoch, if there has been one.
    pub(crate) fn status_id(&self) -> Option<&str> {
        self.status.as_ref().map(|(id, _)| id.as_str())
    }

    /// Says all results of the epoch or of a round of it, as `status` tells, or none if one of them cannot be written.
    /// Gives their MessageIds.
    pub(crate) fn results(
        &mut self,
        outputs: Vec<Output>,
        status: Option<IterationStatus>,
        utc: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Result<Vec<String>, Fault> {
        self.outputs.clear();
        let (message_ids, sent) = self.written(outputs, status, utc)?;
        actions.extend(sent.iter().map(Sent::publish));
        self.outputs = sent;
        Ok(message_ids)
    }

    /// Says results of the epoch that is not completed by them, or none if one of them cannot be written.
    pub(crate) fn ahead(
        &mut self,
        outputs: Vec<Output>,
        status: Option<IterationStatus>,
        utc: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let (_, sent) = self.written(outputs, status, utc)?;
        actions.extend(sent.iter().map(Sent::publish));
        self.ahead.extend(sent);
        Ok(())
    }

    /// The results with their MessageIds, in their order.
    fn written(
        &mut self,
        outputs: Vec<Output>,
        status: Option<IterationStatus>,
        utc: Timestamp,
    ) -> Result<(Vec<String>, Vec<Sent>), Fault> {
        let mut message_ids = Vec::with_capacity(outputs.len());
        let mut sent = Vec::with_capacity(outputs.len());
        for Output { topic, body, warnings, last_updated_in_epoch } in outputs {
            let intermediate = status == Some(IterationStatus::Intermediate);
            let topic = if intermediate { iteration_topic(&topic) } else { topic };
            let about =
                About { warnings, last_updated_in_epoch, iteration_status: status, ..About::default() };
            match self.write(body, about, utc) {
                Ok((id, body)) => {
                    message_ids.push(id);
                    sent.push(Sent { topic: topic.into(), body });
                }
                Err(fault) => {
                    return Err(Fault::new(format!("the result for {topic} cannot be sent: {fault}")));
                }
            }
        }
        Ok((message_ids, sent))
    }

    /// Says how the epoch ended, or again how it ended, with a new id; and how much time was left, where that is known.
    pub(crate) fn status(
        &mut self,
        fault: Option<&Fault>,
        slack_nanos: Option<i64>,
        utc: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let (value, topic) = match fault {
            None => (StatusValue::Ready, Arc::clone(&self.ready)),
            Some(_) => (StatusValue::Error, Arc::clone(&self.error)),
        };
        let description = fault.map(|fault| fault.description().to_owned());
        let slack_s = slack_nanos.map(seconds);
        match self.write(Body::Status(Status { value, description, slack_s }), About::default(), utc) {
            Ok((id, body)) => {
                let sent = Sent { topic, body };
                actions.push(sent.publish());
                self.status = Some((id, sent));
            }
            // Name, id and triggers come from decoded messages and the configuration; the manager's own timer has to
            // cover what they should not have let through.
            Err(fault) => tracing::error!(component = %self.identity.name, "no status can be sent: {fault}"),
        }
    }

    /// Everything said in the latest epoch, once more as it was.
    pub(crate) fn repeat(&self, actions: &mut Vec<Action>) {
        actions.extend(self.ahead.iter().chain(&self.outputs).map(Sent::publish));
        actions.extend(self.status.iter().map(|(_, sent)| sent.publish()));
    }

    fn write(&mut self, body: Body, about: About, utc: Timestamp) -> Result<(String, Bytes), Fault> {
        self.last_number += 1;
        let fields = EpochFields {
            epoch_number: self.epoch,
            triggering_message_ids: std::mem::take(&mut self.triggers),
            ..about
        };
        let mut message = Message {
            header: Header {
                simulation_id: self.identity.simulation_id.clone(),
                timestamp: utc,
                source_process_id: self.identity.name.clone(),
                message_id: format!("{}-{}", self.identity.name, self.last_number),
                epoch: Some(fields),
            },
            body,
        };
        let written = message.encode();
        // All messages of an epoch have the same triggers; they are lent to each, not copied.
        if let Some(fields) = message.header.epoch.take() {
            self.triggers = fields.triggering_message_ids;
        }
        match written {
            Ok(bytes) => Ok((message.header.message_id, bytes.into())),
            Err(error) => Err(Fault::caused_by(&error)),
        }
    }
}

/// To the microsecond.
fn seconds(nanos: i64) -> f64 {
    let micros = nanos / 1000;
    let of = |part: i64| f64::from(i32::try_from(part).unwrap_or(if part < 0 { i32::MIN } else { i32::MAX }));
    of(micros / 1_000_000) + of(micros % 1_000_000) / 1e6
}

impl Sent {
    fn publish(&self) -> Action {
        Action::Publish { topic: Arc::clone(&self.topic), body: self.body.clone() }
    }
}
