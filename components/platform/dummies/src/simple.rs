//! Components that talk to each other by one number (wire contract 6.13): [`SimpleComponent`].

use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Message, Simple, Warning, WarningKind};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a [`SimpleComponent`] says and whom it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct SimpleSettings {
    /// Its own number.
    pub value: f64,
    /// Names of the components whose numbers it adds.
    pub inputs: Vec<String>,
    /// From the last input, or the start of the epoch, to its own message.
    pub output_delay: Duration,
    /// Topics of all of them are this, a dot and the name.
    pub topic: String,
}

/// The beginning of the topics, unless they are configured otherwise.
pub const SIMPLE_TOPIC: &str = "SimpleTopic";

/// Settings that no [`SimpleComponent`] can have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SimpleError {
    /// It would wait for ever.
    #[error("`{name}` is among its own inputs and would wait for itself")]
    OwnInput {
        /// The component.
        name: String,
    },
    /// Its inputs would be counted twice or once; nobody knows.
    #[error("the input `{name}` is listed twice")]
    InputTwice {
        /// The input.
        name: String,
    },
    /// The value cannot be sent.
    #[error("the value must be a finite number, not {found}")]
    Value {
        /// What it is.
        found: f64,
    },
}

/// Publishes its own value plus a thousandth of the epoch's number; with inputs, its own value plus theirs of the same
/// epoch, once all are there. Sums are rounded to three decimals.
#[derive(Debug)]
pub struct SimpleComponent {
    name: String,
    settings: SimpleSettings,
    /// The numbers of this epoch, by sender.
    heard: BTreeMap<String, f64>,
    publish_at: Option<MonoTime>,
    warnings: Vec<Warning>,
}

impl SimpleComponent {
    /// The component `name`.
    ///
    /// # Errors
    /// When the settings cannot work.
    pub fn new(name: &str, settings: SimpleSettings) -> Result<Self, SimpleError> {
        if !settings.value.is_finite() {
            return Err(SimpleError::Value { found: settings.value });
        }
        for (n, input) in settings.inputs.iter().enumerate() {
            if input == name {
                return Err(SimpleError::OwnInput { name: name.to_owned() });
            }
            if settings.inputs[..n].contains(input) {
                return Err(SimpleError::InputTwice { name: input.clone() });
            }
        }
        let name = name.to_owned();
        Ok(Self { name, settings, heard: BTreeMap::new(), publish_at: None, warnings: Vec::new() })
    }

    fn topic_of(&self, name: &str) -> String {
        format!("{}.{name}", self.settings.topic)
    }

    /// What it says in this epoch.
    fn sum(&self, epoch: u64) -> f64 {
        // Runs have far less than 2^53 epochs.
        #[allow(clippy::cast_precision_loss)]
        let epoch = epoch as f64;
        let others = if self.settings.inputs.is_empty() { epoch / 1000.0 } else { self.heard.values().sum() };
        rounded(self.settings.value + others)
    }
}

/// To three decimals, halves by the number's binary value: as Python's `round` does it.
fn rounded(value: f64) -> f64 {
    format!("{value:.3}").parse().unwrap_or(value)
}

impl Component for SimpleComponent {
    fn inputs(&self) -> Vec<String> {
        self.settings.inputs.iter().map(|input| self.topic_of(input)).collect()
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.heard.clear();
        self.publish_at = None;
        Ok(())
    }

    /// The sender counts, not the topic. What is no number of an input is left aside with a warning.
    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        let sender = &message.header.source_process_id;
        match &message.body {
            Body::Simple(Simple { simple_value }) if self.settings.inputs.contains(sender) => {
                self.heard.insert(sender.clone(), *simple_value);
            }
            _ if self.warnings.is_empty() => {
                let found = format!("{} of {sender} on {topic} is no input", message.type_name());
                self.warnings.push(Warning::new(WarningKind::Input, &found));
            }
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        if self.heard.len() < self.settings.inputs.len() {
            return Ok(Step::Waiting);
        }
        let publish_at = *self.publish_at.get_or_insert(now + self.settings.output_delay);
        if now < publish_at {
            return Ok(Step::WakeAt(publish_at));
        }
        let body = Body::Simple(Simple { simple_value: self.sum(epoch.number) });
        let mut output = Output::new(self.topic_of(&self.name), body);
        output.warnings = std::mem::take(&mut self.warnings);
        Ok(Step::Done(vec![output]))
    }
}
