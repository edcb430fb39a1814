//! Who tells a network: [`Information`] publishes what NIS or CIS know, in epoch 1 (wire contract 6.7).

use crate::description::NetworkDescription;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Decoded, Message, Timestamp, Warning, WarningKind, decode, topic};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The largest file of NIS or CIS that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Why a file of NIS or CIS is of no use.
#[derive(Debug, thiserror::Error)]
pub enum InformationError {
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is too large.
    #[error("{} has more than {MAX_FILE_BYTES} bytes", path.display())]
    Large {
        /// The file.
        path: PathBuf,
    },
    /// It is no JSON object.
    #[error("{} is no JSON object: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// Its content makes no message.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: gridloop_messages::DecodeError,
    },
}

/// Publishes messages in epoch 1 and is ready in every epoch. They are never repeated: whoever joins later must read
/// the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Information {
    messages: Vec<Output>,
}

/// How many branches and buses are named of which not all is told.
const UNTOLD_NAMED: usize = 5;

/// What a file of NIS or CIS has to tell; the values are those of the fields of the messages (wire contract 6.7).
const KEYS: &[&str] = &[
    "BusName",
    "BusType",
    "BusVoltageBase",
    "CustomerId",
    "DeviceId",
    "PowerBase",
    "RatedCurrent",
    "Reactance",
    "ReceivingEndBus",
    "Resistance",
    "ResourceId",
    "SendingEndBus",
    "ShuntAdmittance",
    "ShuntConductance",
];

impl Information {
    /// What NIS knows of a network. Of what its messages have no fields for, they carry a warning.
    #[must_use]
    pub fn of_network(description: &NetworkDescription) -> Self {
        let mut information = Self::nis(
            Body::NetworkBusInfo(description.bus_info()),
            Body::NetworkComponentInfo(Box::new(description.component_info())),
        );
        let concerned = description.details.concerned();
        if !concerned.is_empty() {
            let (named, count) = (concerned.iter().take(UNTOLD_NAMED), concerned.len());
            let named = named.copied().collect::<Vec<_>>().join(", ");
            let text = format!(
                "the positive sequence alone: windings, zero sequence, star points and phases of {count} branches and \
                 buses ({named}{}) are not told",
                if count > UNTOLD_NAMED { ", ..." } else { "" }
            );
            let warning = Warning::new(WarningKind::Other, &text);
            information.messages.iter_mut().for_each(|message| message.warnings.push(warning.clone()));
        }
        information
    }

    /// What CIS knows of its customers.
    #[must_use]
    pub fn of_customers(description: &NetworkDescription) -> Self {
        Self::cis(Body::CustomerInfo(description.customer_info()))
    }

    fn nis(buses: Body, branches: Body) -> Self {
        let messages = vec![
            Output::new(topic::NETWORK_BUS_INFO.to_owned(), buses),
            Output::new(topic::NETWORK_COMPONENT_INFO.to_owned(), branches),
        ];
        Self { messages }
    }

    fn cis(customers: Body) -> Self {
        Self { messages: vec![Output::new(topic::CUSTOMER_INFO.to_owned(), customers)] }
    }

    /// The same messages on other topics, one for each.
    pub(crate) fn on_topics(mut self, topics: &[&String]) -> Self {
        for (message, topic) in self.messages.iter_mut().zip(topics) {
            message.topic.clone_from(topic);
        }
        self
    }

    /// What NIS knows, from a JSON file of the public platform: bare arrays or blocks with units.
    ///
    /// # Errors
    /// When the file cannot be read, or its content makes no message.
    pub fn nis_file(path: &Path) -> Result<Self, InformationError> {
        let content = read(path)?;
        let buses = body(path, &content, topic::NETWORK_BUS_INFO)?;
        let branches = body(path, &content, topic::NETWORK_COMPONENT_INFO)?;
        Ok(Self::nis(buses, branches))
    }

    /// What CIS knows, from a JSON file of the public platform.
    ///
    /// # Errors
    /// As [`Information::nis_file`].
    pub fn cis_file(path: &Path) -> Result<Self, InformationError> {
        let content = read(path)?;
        Ok(Self::cis(body(path, &content, topic::CUSTOMER_INFO)?))
    }
}

fn read(path: &Path) -> Result<Map<String, Value>, InformationError> {
    let unreadable = |source| InformationError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(InformationError::Large { path: path.to_owned() });
    }
    let text = std::fs::read(path).map_err(unreadable)?;
    serde_json::from_slice(&text)
        .map_err(|error| InformationError::Json { path: path.to_owned(), reason: error.to_string() })
}

/// The content as it would come over the bus: read by the same rules, but for whole numbers, which are taken too.
fn body(path: &Path, content: &Map<String, Value>, message_type: &str) -> Result<Body, InformationError> {
    let told = content.iter().filter(|(key, _)| KEYS.contains(&key.as_str()));
    let mut object: Map<String, Value> = told.map(|(key, value)| (key.clone(), with_points(value))).collect();
    let header = json!({
        "Type": message_type, "SimulationId": FORM, "Timestamp": FORM, "SourceProcessId": "file",
        "MessageId": "file-1", "EpochNumber": 1, "TriggeringMessageIds": ["file-0"],
    });
    object.extend(header.as_object().cloned().unwrap_or_default());
    let wrong = |source| InformationError::Content { path: path.to_owned(), source };
    let reason = || "it makes no message".to_owned();
    match decode(
        Value::Object(object).to_string().as_bytes(),
        Timestamp::from(gridloop_clock::Utc::default()),
    )
    .map_err(wrong)?
    {
        Decoded::Message(message) => Ok(message.body),
        _ => Err(InformationError::Json { path: path.to_owned(), reason: reason() }),
    }
}

/// A timestamp for form's sake.
const FORM: &str = "2000-01-01T00:00:00.000Z";

/// The same, every whole number with a decimal point: people write both.
fn with_points(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), Value::from),
        Value::Array(items) => items.iter().map(with_points).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.clone(), with_points(value))).collect::<Map<_, _>>().into()
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

impl Component for Information {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        Ok(Step::Done(if epoch.number == 1 { self.messages.clone() } else { Vec::new() }))
    }
}
