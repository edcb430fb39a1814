//! The contract between the gateway and every kind of device: [`Device`] and its [`DeviceError`]s.

use crate::value::{Applied, Command, SafeState, Setpoint, Snapshot};
use async_trait::async_trait;
use std::time::Duration;

/// One device behind one protocol.
///
/// A driver is plain: it talks once and says what happened. It never retries, keeps no timers and no counters; those
/// live in [`crate::DeviceTask`], once for all protocols. Every method may be abandoned by dropping its future; the
/// next call then starts from a clean link. After any error but [`DeviceError::Refused`] and
/// [`DeviceError::Unsupported`] the next call is `connect`.
#[async_trait]
pub trait Device: Send {
    /// Opens the link, identifies the device and reads its nameplate. It changes nothing on the device.
    ///
    /// # Errors
    /// See [`DeviceError`].
    async fn connect(&mut self) -> Result<Description, DeviceError>;

    /// Reads every point once. Values of one reading belong together; a scale factor is read with its value.
    ///
    /// # Errors
    /// See [`DeviceError`]. A reading is whole or an error: never part of the points.
    async fn read(&mut self) -> Result<Snapshot, DeviceError>;

    /// Writes a command and reads it back. The limits have been applied; the driver refuses what it cannot encode.
    ///
    /// # Errors
    /// See [`DeviceError`]. After a `Timeout` the outcome is unknown: the device may or may not hold the command.
    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError>;

    /// Puts the device in its safe state and reads that back.
    ///
    /// # Errors
    /// See [`DeviceError`].
    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError>;
}

/// Why a device did not do as told: us, the wire or the device.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DeviceError {
    /// The device understood and said no; it keeps its state. Asking again at once will not help.
    #[error("{operation}: the device refused: {reason}")]
    Refused {
        /// What was being done, such as `write WMaxLimPct`.
        operation: String,
        /// The device's reason, such as `exception 02 (illegal data address)`.
        reason: String,
    },
    /// No answer in time. The outcome of a write is unknown.
    #[error("{operation}: no answer within {waited:?}")]
    Timeout {
        /// What was being done.
        operation: String,
        /// How long it waited.
        waited: Duration,
    },
    /// The link is down or broke.
    #[error("{operation}: not connected: {reason}")]
    Disconnected {
        /// What was being done.
        operation: String,
        /// What the link said.
        reason: String,
    },
    /// The answer is not what the protocol or the device's profile allows. Nothing of it is used.
    #[error("{operation}: malformed answer: {reason}")]
    Malformed {
        /// What was being done.
        operation: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The device has no such function.
    #[error("{operation}: not supported: {reason}")]
    Unsupported {
        /// What was being done.
        operation: String,
        /// What is missing.
        reason: String,
    },
}

impl DeviceError {
    /// Whether the link is still in step after this error. If not, the driver has dropped it.
    #[must_use]
    pub fn keeps_link(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unsupported { .. })
    }
}

/// What a device says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Description {
    /// Manufacturer, model and serial number as the device gives them; empty where it gives none.
    pub identity: String,
    /// The blocks or registers found, for people: `SunSpec 1 103 120 123`.
    pub profile: String,
    /// What it can be told, and within which limits.
    pub capabilities: Capabilities,
    /// What the device does by itself when it is no longer told anything.
    pub fail_safe: FailSafe,
    /// When it wants to be told the command again that it holds, its fail-safe apart.
    pub renewal: Renewal,
    /// The command that the device held when it was connected, left by whoever drove it before. `None`: it was free,
    /// or it does not tell.
    pub standing: Option<Command>,
}

/// Commands a device takes. `None`: not at all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Capabilities {
    /// [`crate::Command::Power`].
    pub power: Option<PowerRange>,
    /// [`crate::Command::TapPosition`].
    pub tap_position: Option<TapRange>,
    /// [`crate::Command::Voltage`], with its range.
    pub voltage: Option<VoltageRange>,
}

/// The power a device can take or give, from its nameplate; positive towards the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerRange {
    /// Lowest real power in W.
    pub min_w: f64,
    /// Highest real power in W.
    pub max_w: f64,
    /// Largest reactive power either way, in var; 0 when it cannot be set.
    pub max_var: f64,
}

/// The end stops of a tap changer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapRange {
    /// Lowest position.
    pub lowest: i32,
    /// Highest position.
    pub highest: i32,
}

/// The voltages a regulator can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoltageRange {
    /// Lowest in V.
    pub min_v: f64,
    /// Highest in V.
    pub max_v: f64,
}

/// When a device wants to be told the command again that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Renewal {
    /// It does not.
    #[default]
    No,
    /// It watches for a sign of life and wants one within this time (SunSpec model 715, ControllerHb). What it does
    /// without one is its own affair, and no fail-safe that could be relied on.
    Within(Duration),
    /// It was told when the command expires, and lets go of it then.
    BeforeExpiry,
}

/// What a device does when its commands cease.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum FailSafe {
    /// Nothing: it keeps the last command for ever. Only the gateway's dead-man timer stands behind it.
    #[default]
    None,
    /// After this time it drops the limit: its output may go back UP (SunSpec models 123 and 124).
    RevertsToFree {
        /// The time it waits.
        after: Duration,
    },
    /// After this time it goes to a stated value (SunSpec model 704).
    RevertsToValue {
        /// The time it waits.
        after: Duration,
        /// The real power in W that it goes to; `None` where the device or its driver does not say it in W.
        to_w: Option<f64>,
    },
}
