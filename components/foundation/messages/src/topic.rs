//! Topics of the wire contract 1.8 and of gridloop's extensions.

/// Start and end of a run.
pub const SIM_STATE: &str = "SimState";
/// Start of an epoch.
pub const EPOCH: &str = "Epoch";
/// Ready components.
pub const STATUS_READY: &str = "Status.Ready";
/// Failed components.
pub const STATUS_ERROR: &str = "Status.Error";

/// `ResourceState.<category>.<resource>`
#[must_use]
pub fn resource_state(category: &str, resource: &str) -> String {
    format!("ResourceState.{category}.{resource}")
}

/// `ControlState.PowerSetpoint.<resource>`
#[must_use]
pub fn power_setpoint(resource: &str) -> String {
    format!("ControlState.PowerSetpoint.{resource}")
}

/// `ControlState.TapPosition.<resource>` (gridloop extension)
#[must_use]
pub fn tap_position(resource: &str) -> String {
    format!("ControlState.TapPosition.{resource}")
}

/// `ControlState.VoltageSetpoint.<resource>` (gridloop extension)
#[must_use]
pub fn voltage_setpoint(resource: &str) -> String {
    format!("ControlState.VoltageSetpoint.{resource}")
}

/// `DeviceState.<resource>` (gridloop extension)
#[must_use]
pub fn device_state(resource: &str) -> String {
    format!("DeviceState.{resource}")
}
