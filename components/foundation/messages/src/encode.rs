//! Messages to bytes for the bus: [`Message::encode`] checks every rule and writes the one strict form that the oldest
//! SimCES process accepts, or says with an [`EncodeError`] which rule the message breaks.
//!
//! [`check`] holds the rules, the structures below it the form: keys in the order of the wire contract's examples,
//! quantities as objects with a float, what is optional and absent left out.

use serde::{Serialize, Serializer};

use crate::quantity::{QuantityBlock, unit};
use crate::{
    Body, DeviceState, Epoch, EpochFields, Message, PointState, ResourceState, Status, StatusValue, Timestamp,
};

/// A rule of the wire contract that a message to be sent breaks. Always a mistake of the sender.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// NaN or an infinity; JSON has neither.
    #[error("{field} is {value}, which JSON cannot say")]
    NotFinite {
        /// The field on the wire.
        field: String,
        /// What it is.
        value: f64,
    },
    /// A number outside its range.
    #[error("{field} is {value}; expected {expected}")]
    OutOfRange {
        /// The field on the wire.
        field: String,
        /// What it is.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A text or list that must not be empty.
    #[error("{field} is empty")]
    Empty {
        /// The field on the wire.
        field: &'static str,
    },
    /// Only SimState has no epoch (wire contract 2.2).
    #[error("{type_name} needs an epoch number and triggering message ids")]
    EpochMissing {
        /// The message's type.
        type_name: &'static str,
    },
    /// SimState has no epoch (wire contract 2.3).
    #[error("SimState has no epoch number")]
    EpochOnSimState,
    /// SimCES does not stop the run on an error that does not say what it is (wire contract, rule 2).
    #[error("Status error needs a Description")]
    ErrorWithoutDescription,
    /// An epoch ends after it starts.
    #[error("the epoch starts at {start} and ends at {end}, which is not later")]
    EpochWithoutLength {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Timestamp,
    },
    /// A device has two points of one name.
    #[error("the point `{name}` is there twice")]
    RepeatedPoint {
        /// The name.
        name: String,
    },
    /// The JSON writer failed; it has no reason to, once every rule is kept.
    #[error("the message cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

impl Message {
    /// The message as it goes over the bus: UTF-8 JSON.
    ///
    /// # Errors
    /// The message breaks a rule of the wire contract; it must not be sent.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        check(self)?;
        let header = &self.header;
        let message = WireMessage {
            type_name: self.type_name(),
            simulation_id: header.simulation_id.as_str(),
            timestamp: header.timestamp,
            source_process_id: &header.source_process_id,
            message_id: &header.message_id,
            epoch: header.epoch.as_ref().map(wire_epoch_fields),
            body: wire_body(&self.body),
        };
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, &message).map_err(EncodeError::Json)?;
        Ok(bytes)
    }
}

fn check(message: &Message) -> Result<(), EncodeError> {
    not_empty("SourceProcessId", &message.header.source_process_id)?;
    not_empty("MessageId", &message.header.message_id)?;
    match (&message.header.epoch, &message.body) {
        (None, Body::SimState(_)) => {}
        (Some(_), Body::SimState(_)) => return Err(EncodeError::EpochOnSimState),
        (None, body) => return Err(EncodeError::EpochMissing { type_name: body.type_name() }),
        (Some(epoch), _) => check_epoch_fields(epoch)?,
    }
    match &message.body {
        Body::SimState(_) | Body::TapPosition(_) => Ok(()),
        Body::Epoch(epoch) => check_epoch(epoch),
        Body::Status(status) => check_status(status),
        Body::ResourceState(state) => check_resource_state(state),
        Body::PowerSetpoint(setpoint) => {
            finite("RealPower", setpoint.real_power_kw)?;
            finite("ReactivePower", setpoint.reactive_power_kvar)
        }
        Body::VoltageSetpoint(setpoint) => finite("Voltage", setpoint.voltage_kv),
        Body::DeviceState(state) => check_device_state(state),
    }
}

fn check_epoch_fields(epoch: &EpochFields) -> Result<(), EncodeError> {
    let ids = &epoch.triggering_message_ids;
    if ids.is_empty() || ids.iter().any(String::is_empty) {
        return Err(EncodeError::Empty { field: "TriggeringMessageIds" });
    }
    Ok(())
}

fn check_epoch(epoch: &Epoch) -> Result<(), EncodeError> {
    if epoch.end_time > epoch.start_time {
        return Ok(());
    }
    Err(EncodeError::EpochWithoutLength { start: epoch.start_time, end: epoch.end_time })
}

fn check_status(status: &Status) -> Result<(), EncodeError> {
    let described = status.description.as_deref().is_some_and(|text| !text.trim().is_empty());
    if status.value == StatusValue::Error && !described {
        return Err(EncodeError::ErrorWithoutDescription);
    }
    Ok(())
}

fn check_resource_state(state: &ResourceState) -> Result<(), EncodeError> {
    finite("RealPower", state.real_power_kw)?;
    finite("ReactivePower", state.reactive_power_kvar)?;
    if let Some(node) = state.node {
        in_range("Node", f64::from(node), 1.0..=3.0, "1, 2 or 3")?;
    }
    if let Some(percent) = state.state_of_charge_percent {
        in_range("StateOfCharge", percent, 0.0..=100.0, "0 to 100 %")?;
    }
    Ok(())
}

fn check_device_state(state: &DeviceState) -> Result<(), EncodeError> {
    not_empty("DeviceId", &state.device_id)?;
    for point in &state.points {
        not_empty("the name of a point", &point.name)?;
        not_empty("UnitOfMeasure", &point.unit)?;
        finite(&point.name, point.value)?;
        in_range(&point.name, point.age_s, 0.0..=f64::MAX, "an Age of 0 s or more")?;
    }
    match points_by_name(&state.points).windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(EncodeError::RepeatedPoint { name: pair[0].name.clone() }),
        None => Ok(()),
    }
}

fn not_empty(field: &'static str, text: &str) -> Result<(), EncodeError> {
    if text.is_empty() { Err(EncodeError::Empty { field }) } else { Ok(()) }
}

fn finite(field: &str, value: f64) -> Result<(), EncodeError> {
    if value.is_finite() { Ok(()) } else { Err(EncodeError::NotFinite { field: field.to_owned(), value }) }
}

fn in_range(
    field: &str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    expected: &'static str,
) -> Result<(), EncodeError> {
    finite(field, value)?;
    if range.contains(&value) {
        return Ok(());
    }
    Err(EncodeError::OutOfRange { field: field.to_owned(), value, expected })
}

fn points_by_name(points: &[PointState]) -> Vec<&PointState> {
    let mut sorted: Vec<&PointState> = points.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    sorted
}

/// A message with its keys in the order of the wire contract.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireMessage<'a> {
    #[serde(rename = "Type")]
    type_name: &'static str,
    simulation_id: &'a str,
    timestamp: Timestamp,
    source_process_id: &'a str,
    message_id: &'a str,
    #[serde(flatten)]
    epoch: Option<WireEpochFields<'a>>,
    #[serde(flatten)]
    body: WireBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireEpochFields<'a> {
    epoch_number: u64,
    triggering_message_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_in_epoch: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iteration_status: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "PascalCase")]
enum WireBody<'a> {
    SimState {
        simulation_state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
    },
    Epoch {
        start_time: Timestamp,
        end_time: Timestamp,
    },
    Status {
        value: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
    },
    ResourceState {
        customer_id: &'a str,
        real_power: QuantityBlock,
        reactive_power: QuantityBlock,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        state_of_charge: Option<QuantityBlock>,
    },
    PowerSetpoint {
        real_power: QuantityBlock,
        reactive_power: QuantityBlock,
    },
    TapPosition {
        tap_position: i32,
    },
    VoltageSetpoint {
        voltage: QuantityBlock,
    },
    DeviceState {
        device_id: &'a str,
        #[serde(serialize_with = "write_points")]
        points: &'a [PointState],
    },
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WirePoint<'a> {
    value: f64,
    unit_of_measure: &'a str,
    quality: &'static str,
    source: &'static str,
    age: QuantityBlock,
}

fn wire_epoch_fields(epoch: &EpochFields) -> WireEpochFields<'_> {
    WireEpochFields {
        epoch_number: epoch.epoch_number,
        triggering_message_ids: &epoch.triggering_message_ids,
        last_updated_in_epoch: epoch.last_updated_in_epoch,
        warnings: epoch.warnings.iter().map(crate::Warning::as_str).collect(),
        iteration_status: epoch.iteration_status.map(crate::IterationStatus::as_str),
    }
}

fn wire_body(body: &Body) -> WireBody<'_> {
    match body {
        Body::SimState(state) => WireBody::SimState {
            simulation_state: state.simulation_state.as_str(),
            name: state.name.as_deref(),
            description: state.description.as_deref(),
        },
        Body::Epoch(epoch) => WireBody::Epoch { start_time: epoch.start_time, end_time: epoch.end_time },
        Body::Status(status) => {
            WireBody::Status { value: status.value.as_str(), description: status.description.as_deref() }
        }
        Body::ResourceState(state) => WireBody::ResourceState {
            customer_id: &state.customer_id,
            real_power: block(state.real_power_kw, unit::REAL_POWER),
            reactive_power: block(state.reactive_power_kvar, unit::REACTIVE_POWER),
            node: state.node,
            state_of_charge: state.state_of_charge_percent.map(|percent| block(percent, unit::PERCENT)),
        },
        Body::PowerSetpoint(setpoint) => WireBody::PowerSetpoint {
            real_power: block(setpoint.real_power_kw, unit::REAL_POWER),
            reactive_power: block(setpoint.reactive_power_kvar, unit::REACTIVE_POWER),
        },
        Body::TapPosition(setpoint) => WireBody::TapPosition { tap_position: setpoint.tap_position },
        Body::VoltageSetpoint(setpoint) => {
            WireBody::VoltageSetpoint { voltage: block(setpoint.voltage_kv, unit::VOLTAGE) }
        }
        Body::DeviceState(state) => {
            WireBody::DeviceState { device_id: &state.device_id, points: &state.points }
        }
    }
}

const fn block(value: f64, unit_of_measure: &'static str) -> QuantityBlock {
    QuantityBlock { value, unit_of_measure }
}

/// An object of points in the order of their names.
fn write_points<S: Serializer>(points: &[PointState], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(points_by_name(points).into_iter().map(|point| {
        let wire = WirePoint {
            value: point.value,
            unit_of_measure: &point.unit,
            quality: point.quality.as_str(),
            source: point.source.as_str(),
            age: block(point.age_s, unit::SECONDS),
        };
        (&point.name, wire)
    }))
}
