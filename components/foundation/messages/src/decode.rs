//! Bytes from the bus to messages: [`decode`] gives a [`Decoded`], which is a [`Message`] of a known type or a
//! [`General`] of any other, or says with a [`DecodeError`] what is wrong with the bytes.
//!
//! Liberal by wire contract 7.4: what SimCES processes are known to send is accepted, unknown fields are ignored. What
//! is left over is refused as a whole; a message is never half understood.

use crate::codec::{Codec, Natural, Text};
use crate::field::{FieldError, Read};
use crate::json::{self, Json, MAX_VALUES, Object, ParseError};
use crate::{Body, Header, Message, SimulationId, Timestamp, header};

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
    /// More than half a million array items and object members. No sender of SimCES comes near; the bound keeps the
    /// memory that a body takes in proportion to what it is worth.
    #[error("the body has more than {} values", MAX_VALUES - 1)]
    TooManyValues,
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
    /// Asked for Start, found another type.
    #[error("Type: expected `Start`, found {type_name:?}")]
    NotStart {
        /// The message's type, shortened.
        type_name: String,
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
    parse_object(body, |object| from_object(object, now))
}

/// Hands the object in `body` to `then`.
pub(crate) fn parse_object<T>(
    body: &[u8],
    then: impl FnOnce(Object<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(DecodeError::TooLarge { bytes: body.len() });
    }
    let text = std::str::from_utf8(body).map_err(DecodeError::NotUtf8)?;
    let parsed = json::parse(text, |json| match json {
        Json::Object(object) => then(object),
        other => Err(DecodeError::NotAnObject { found: other.describe() }),
    });
    parsed.map_err(|error| match error {
        ParseError::NotJson(error) => DecodeError::NotJson(error),
        ParseError::TooManyValues => DecodeError::TooManyValues,
    })?
}

/// `Type` of the message.
pub(crate) fn type_of<'o>(object: &'o Object<'_>) -> Result<&'o str, DecodeError> {
    match object.get("Type") {
        Some(Json::Text(type_name)) if !type_name.is_empty() => Ok(type_name),
        Some(other) => Err(DecodeError::NoType { found: other.describe() }),
        None => Err(DecodeError::NoType { found: "nothing".to_owned() }),
    }
}

fn from_object(object: Object<'_>, now: Timestamp) -> Result<Decoded, DecodeError> {
    let type_name = type_of(&object)?;
    if type_name.starts_with("ControlState.")
        && let Some(key) = object.repeated_key()
    {
        return Err(DecodeError::RepeatedKey { type_name: shortened(type_name), key: shortened(key) });
    }
    if let Some(read_body) = Body::reader(type_name) {
        let header = Header::read(&object, type_name != "SimState", now);
        let message = header.and_then(|header| Ok(Message { header, body: read_body(&object)? }));
        return message.map(Decoded::Message).map_err(|error| field_error(type_name, error));
    }
    let type_name = type_name.to_owned();
    general(object, &type_name, now).map(Decoded::General).map_err(|error| field_error(&type_name, error))
}

/// The error of a field, with names short enough for a log.
pub(crate) fn field_error(type_name: &str, error: FieldError) -> DecodeError {
    DecodeError::Field {
        type_name: shortened(type_name),
        field: shortened(&error.path),
        expected: error.expected.into_owned(),
        found: error.found,
    }
}

/// A name as errors show it: no sender can fill a log with one message.
pub(crate) fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

fn general(object: Object<'_>, type_name: &str, now: Timestamp) -> Read<General> {
    let (simulation_id, timestamp) = header::read_base(&object, now)?;
    let source_process_id = object.require("SourceProcessId", |json| Text.read(json)).ok();
    let message_id = object.require("MessageId", |json| Text.read(json)).ok();
    let epoch_number = object.require("EpochNumber", |json| Natural.read(json)).ok();
    let mut fields = object.into_map();
    for lifted in ["Type", "SimulationId", "Timestamp"] {
        fields.remove(lifted);
    }
    let type_name = type_name.to_owned();
    Ok(General { type_name, simulation_id, timestamp, source_process_id, message_id, epoch_number, fields })
}
