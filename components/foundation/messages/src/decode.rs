//! Bytes from the bus to messages: [`decode`] gives a [`Decoded`], which is a [`Message`] of a known type or a
//! [`General`] of any other, or says with a [`DecodeError`] what is wrong with the bytes.
//!
//! Liberal by wire contract 7.4: what SimCES processes are known to send is accepted, unknown fields are ignored. What
//! is left over is refused as a whole; a message is never half understood.

use crate::field::{self, FieldError, Read};
use crate::json::{self, Json, Object};
use crate::quantity::{self, unit};
use crate::{
    Body, DeviceState, Epoch, EpochFields, Header, IterationStatus, Message, PointQuality, PointSource,
    PointState, PowerSetpoint, ResourceState, SimState, SimulationId, SimulationState, Status, StatusValue,
    TapPosition, Timestamp, VoltageSetpoint, Warning, WarningKind,
};

/// The largest body that is looked at: 16 MiB, some 40,000 times a usual one.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// A message as received.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// Of a type that gridloop knows, and valid.
    Message(Message),
    /// Of any other type.
    General(General),
}

/// A message of a type that is not known here (wire contract 2.3, "General").
#[derive(Debug, Clone, PartialEq)]
pub struct General {
    /// `Type`; not empty.
    pub type_name: String,
    /// The run it belongs to.
    pub simulation_id: SimulationId,
    /// When it was made, or received if it does not say.
    pub timestamp: Timestamp,
    /// `SourceProcessId`, if it is a string.
    pub source_process_id: Option<String>,
    /// `MessageId`, if it is a string.
    pub message_id: Option<String>,
    /// `EpochNumber`, if it is an integer of 0 or more.
    pub epoch_number: Option<u64>,
    /// Every field but Type, SimulationId and Timestamp, as received. NaN and infinities are strings here, integers
    /// beyond 64 bits the nearest float; of a repeated key the last value counts.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_BODY_BYTES`]; not looked into.
    #[error("the body has {bytes} bytes, more than {MAX_BODY_BYTES}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("the body is not UTF-8: {0}")]
    NotUtf8(std::str::Utf8Error),
    /// Not JSON, or nested deeper than 127 levels, or with a number that no double can hold.
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// JSON, but not an object.
    #[error("expected an object, found {found}")]
    NotAnObject {
        /// What it is.
        found: String,
    },
    /// No usable `Type`.
    #[error("Type: expected a non-empty string, found {found}")]
    NoType {
        /// What stands there.
        found: String,
    },
    /// A field is missing or not what this type needs.
    #[error("{type_name}: {field}: expected {expected}, found {found}")]
    Field {
        /// The message's type, shortened.
        type_name: String,
        /// The field, as names from the top joined by points, such as `RealPower.Value`, shortened.
        field: String,
        /// What it must be.
        expected: String,
        /// What it is, shortened.
        found: String,
    },
    /// A control message that has a key twice could mean two things. In other types the last value counts, as in
    /// SimCES.
    #[error("{type_name}: the key `{key}` is there twice")]
    RepeatedKey {
        /// The message's type.
        type_name: String,
        /// The key.
        key: String,
    },
}

impl Decoded {
    /// The `Type` on the wire.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Message(message) => message.type_name(),
            Self::General(general) => &general.type_name,
        }
    }

    /// The run it belongs to.
    #[must_use]
    pub fn simulation_id(&self) -> &SimulationId {
        match self {
            Self::Message(message) => &message.header.simulation_id,
            Self::General(general) => &general.simulation_id,
        }
    }
}

/// The message in `body`; `now` is when it was made if it does not say so itself.
///
/// # Errors
/// The bytes are not an object of JSON, or a field breaks a rule of its type. The error tells the type, the field, what
/// was expected and what was found.
pub fn decode(body: &[u8], now: Timestamp) -> Result<Decoded, DecodeError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(DecodeError::TooLarge { bytes: body.len() });
    }
    let text = std::str::from_utf8(body).map_err(DecodeError::NotUtf8)?;
    json::parse(text, |json| match json {
        Json::Object(object) => from_object(object, now),
        other => Err(DecodeError::NotAnObject { found: other.describe() }),
    })
    .map_err(DecodeError::NotJson)?
}

fn from_object(object: Object<'_>, now: Timestamp) -> Result<Decoded, DecodeError> {
    let type_name = object
        .require("Type", field::non_empty_text)
        .map_err(|error| DecodeError::NoType { found: error.found })?;
    if type_name.starts_with("ControlState.")
        && let Some(key) = object.repeated_key()
    {
        return Err(DecodeError::RepeatedKey { type_name: shortened(&type_name), key: shortened(key) });
    }
    match body_reader(&type_name) {
        Some(read_body) => message(&object, read_body, now).map(Decoded::Message),
        None => general(object, &type_name, now).map(Decoded::General),
    }
    .map_err(|error| DecodeError::Field {
        type_name: shortened(&type_name),
        field: shortened(&error.path),
        expected: error.expected.into_owned(),
        found: error.found,
    })
}

/// A name as errors show it: no sender can fill a log with one message.
fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

type BodyReader = fn(&Object<'_>) -> Read<Body>;

fn body_reader(type_name: &str) -> Option<BodyReader> {
    Some(match type_name {
        "SimState" => sim_state,
        "Epoch" => epoch,
        "Status" => status,
        "ResourceState" => resource_state,
        "ControlState.PowerSetpoint" => power_setpoint,
        "ControlState.TapPosition" => tap_position,
        "ControlState.VoltageSetpoint" => voltage_setpoint,
        "DeviceState" => device_state,
        _ => return None,
    })
}

fn general(object: Object<'_>, type_name: &str, now: Timestamp) -> Read<General> {
    let simulation_id = object.require("SimulationId", simulation_id)?;
    let timestamp = object.optional("Timestamp", field::timestamp)?.unwrap_or(now);
    let source_process_id = object.require("SourceProcessId", field::text).ok();
    let message_id = object.require("MessageId", field::text).ok();
    let epoch_number = object.require("EpochNumber", field::epoch_number).ok();
    let mut fields = object.into_map();
    for lifted in ["Type", "SimulationId", "Timestamp"] {
        fields.remove(lifted);
    }
    let type_name = type_name.to_owned();
    Ok(General { type_name, simulation_id, timestamp, source_process_id, message_id, epoch_number, fields })
}

fn message(object: &Object<'_>, read_body: BodyReader, now: Timestamp) -> Read<Message> {
    let simulation_id = object.require("SimulationId", simulation_id)?;
    let timestamp = object.optional("Timestamp", field::timestamp)?.unwrap_or(now);
    let source_process_id = object.require("SourceProcessId", field::non_empty_text)?;
    let message_id = object.require("MessageId", field::non_empty_text)?;
    let body = read_body(object)?;
    let epoch = match body {
        Body::SimState(_) => None,
        _ => Some(epoch_fields(object)?),
    };
    Ok(Message { header: Header { simulation_id, timestamp, source_process_id, message_id, epoch }, body })
}

fn simulation_id(json: &Json<'_>) -> Read<SimulationId> {
    let parsed = match json {
        Json::Text(text) => SimulationId::parse(text).ok(),
        _ => None,
    };
    parsed.ok_or_else(|| FieldError::new("a timestamp such as 2024-03-01T08:00:00.000Z", json))
}

fn epoch_fields(object: &Object<'_>) -> Read<EpochFields> {
    Ok(EpochFields {
        epoch_number: object.require("EpochNumber", field::epoch_number)?,
        triggering_message_ids: object.require("TriggeringMessageIds", triggering_message_ids)?,
        last_updated_in_epoch: object.optional("LastUpdatedInEpoch", field::epoch_number)?,
        warnings: object.optional("Warnings", |json| field::array(json, warning))?.unwrap_or_default(),
        iteration_status: object.optional("IterationStatus", |json| {
            field::choice(json, &IterationStatus::ALL, IterationStatus::as_str)
        })?,
    })
}

fn triggering_message_ids(json: &Json<'_>) -> Read<Vec<String>> {
    let ids = field::array(json, field::non_empty_text)?;
    if ids.is_empty() { Err(FieldError::new("at least one message id", json)) } else { Ok(ids) }
}

fn warning(json: &Json<'_>) -> Read<Warning> {
    let parsed = match json {
        Json::Text(text) => Warning::parse(text),
        _ => None,
    };
    parsed.ok_or_else(|| {
        let kinds: Vec<_> = WarningKind::ALL.iter().map(|kind| format!("`{}`", kind.as_str())).collect();
        FieldError::new(format!("a string that begins with {}", kinds.join(" or ")), json)
    })
}

fn sim_state(object: &Object<'_>) -> Read<Body> {
    Ok(Body::SimState(SimState {
        simulation_state: object.require("SimulationState", |json| {
            field::choice(json, &SimulationState::ALL, SimulationState::as_str)
        })?,
        name: object.optional("Name", field::text)?,
        description: object.optional("Description", field::text)?,
    }))
}

fn epoch(object: &Object<'_>) -> Read<Body> {
    let start_time = object.require("StartTime", field::timestamp)?;
    let end_time = object.require("EndTime", |json| {
        let end_time = field::timestamp(json)?;
        if end_time > start_time {
            return Ok(end_time);
        }
        Err(FieldError::new(format!("a timestamp after StartTime, which is {start_time}"), json))
    })?;
    Ok(Body::Epoch(Epoch { start_time, end_time }))
}

fn status(object: &Object<'_>) -> Read<Body> {
    Ok(Body::Status(Status {
        value: object.require("Value", |json| field::choice(json, &StatusValue::ALL, StatusValue::as_str))?,
        description: object.optional("Description", field::text)?,
    }))
}

fn resource_state(object: &Object<'_>) -> Read<Body> {
    Ok(Body::ResourceState(ResourceState {
        customer_id: object.require("CustomerId", field::text)?,
        real_power_kw: object.require("RealPower", real_power)?,
        reactive_power_kvar: object.require("ReactivePower", reactive_power)?,
        node: object.optional("Node", quantity::node)?,
        state_of_charge_percent: object.optional("StateOfCharge", quantity::state_of_charge)?,
    }))
}

fn power_setpoint(object: &Object<'_>) -> Read<Body> {
    Ok(Body::PowerSetpoint(PowerSetpoint {
        real_power_kw: object.require("RealPower", real_power)?,
        reactive_power_kvar: object.require("ReactivePower", reactive_power)?,
    }))
}

fn real_power(json: &Json<'_>) -> Read<f64> {
    quantity::quantity(json, unit::REAL_POWER)
}

fn reactive_power(json: &Json<'_>) -> Read<f64> {
    quantity::quantity(json, unit::REACTIVE_POWER)
}

fn tap_position(object: &Object<'_>) -> Read<Body> {
    let tap_position = object.require("TapPosition", field::integer)?;
    Ok(Body::TapPosition(TapPosition { tap_position }))
}

fn voltage_setpoint(object: &Object<'_>) -> Read<Body> {
    let voltage_kv = object.require("Voltage", |json| quantity::quantity(json, unit::VOLTAGE))?;
    Ok(Body::VoltageSetpoint(VoltageSetpoint { voltage_kv }))
}

fn device_state(object: &Object<'_>) -> Read<Body> {
    Ok(Body::DeviceState(DeviceState {
        device_id: object.require("DeviceId", field::non_empty_text)?,
        points: object.require("Points", points)?,
    }))
}

/// Points in the order of their names; of a repeated name the last one counts.
fn points(json: &Json<'_>) -> Read<Vec<PointState>> {
    let mut members: Vec<_> = field::object(json)?.iter().collect();
    members.reverse();
    members.sort_by_key(|(name, _)| *name);
    members.dedup_by_key(|(name, _)| *name);
    members.into_iter().map(|(name, value)| point(name, value).map_err(|error| error.inside(name))).collect()
}

fn point(name: &str, json: &Json<'_>) -> Read<PointState> {
    if name.is_empty() {
        return Err(FieldError {
            path: String::new(),
            expected: "points with names".into(),
            found: "an empty name".into(),
        });
    }
    let point = field::object(json)?;
    Ok(PointState {
        name: name.to_owned(),
        value: point.require("Value", quantity::number)?,
        unit: point.require("UnitOfMeasure", field::non_empty_text)?,
        quality: point
            .require("Quality", |json| field::choice(json, &PointQuality::ALL, PointQuality::as_str))?,
        source: point
            .require("Source", |json| field::choice(json, &PointSource::ALL, PointSource::as_str))?,
        age_s: point.require("Age", quantity::age)?,
    })
}
