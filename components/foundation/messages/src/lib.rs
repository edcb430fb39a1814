//! SimCES messages: strict to send, liberal to accept.
//!
//! A [`Message`] is a [`Header`] (who, which run, which epoch, answering what) and a [`Body`]. [`decode`] takes bytes
//! from the bus and checks every rule of the wire contract; [`Message::encode`] writes them so that every SimCES
//! process accepts them. A type that is not known here survives untouched as [`General`].

mod body;
mod decode;
mod encode;
mod field;
mod header;
mod json;
mod quantity;
mod timestamp;
pub mod topic;

pub use body::{
    Body, DeviceState, Epoch, PointQuality, PointSource, PointState, PowerSetpoint, ResourceState, SimState,
    SimulationState, Status, StatusValue, TapPosition, VoltageSetpoint,
};
pub use decode::{DecodeError, Decoded, General, MAX_BODY_BYTES, decode};
pub use encode::EncodeError;
pub use header::{EpochFields, Header, IterationStatus, Message, SimulationId, Warning, WarningKind};
pub use timestamp::{Timestamp, TimestampError};
