//! What messages say: the core messages, ResourceState and control messages of the wire contract 2.3 and 2.4, and
//! gridloop's extensions for tap changers, voltage regulators and raw device points.

use crate::Timestamp;

/// The content of a message of a known type. The name of the variant's type is the `Type` on the wire, except where
/// its documentation says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The run begins or ends.
    SimState(SimState),
    /// An epoch begins.
    Epoch(Epoch),
    /// A component is ready or has failed.
    Status(Status),
    /// Power of a resource in an epoch.
    ResourceState(ResourceState),
    /// `ControlState.PowerSetpoint`.
    PowerSetpoint(PowerSetpoint),
    /// `ControlState.TapPosition` (gridloop extension).
    TapPosition(TapPosition),
    /// `ControlState.VoltageSetpoint` (gridloop extension).
    VoltageSetpoint(VoltageSetpoint),
    /// `DeviceState` (gridloop extension).
    DeviceState(DeviceState),
}

impl Body {
    /// The `Type` on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::SimState(_) => "SimState",
            Self::Epoch(_) => "Epoch",
            Self::Status(_) => "Status",
            Self::ResourceState(_) => "ResourceState",
            Self::PowerSetpoint(_) => "ControlState.PowerSetpoint",
            Self::TapPosition(_) => "ControlState.TapPosition",
            Self::VoltageSetpoint(_) => "ControlState.VoltageSetpoint",
            Self::DeviceState(_) => "DeviceState",
        }
    }
}

/// Whether a run is going on. `running` again and again until everybody has answered; `stopped` once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimState {
    /// The state.
    pub simulation_state: SimulationState,
    /// Name of the run.
    pub name: Option<String>,
    /// What the run is about.
    pub description: Option<String>,
}

/// The two states of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulationState {
    /// `running`
    Running,
    /// `stopped`
    Stopped,
}

impl SimulationState {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Running, Self::Stopped];

    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// The simulated time that the epoch covers; the start belongs to it, the end does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// First instant of the epoch.
    pub start_time: Timestamp,
    /// First instant after it; later than `start_time`.
    pub end_time: Timestamp,
}

/// A component's report on an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Ready or failed.
    pub value: StatusValue,
    /// Never absent on an error that gridloop sends (wire contract, rule 2).
    pub description: Option<String>,
}

/// The two values of a status. The value decides, not the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusValue {
    /// `ready`
    Ready,
    /// `error`
    Error,
}

impl StatusValue {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Ready, Self::Error];

    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Error => "error",
        }
    }
}

/// What a load, generator or storage does in an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceState {
    /// The customer it belongs to; its bus comes from the CIS.
    pub customer_id: String,
    /// `RealPower` in kW, positive towards the grid.
    pub real_power_kw: f64,
    /// `ReactivePower` in kV.A{r}, positive towards the grid.
    pub reactive_power_kvar: f64,
    /// Phase 1, 2 or 3; absent: all three.
    pub node: Option<u8>,
    /// `StateOfCharge` in %, 0 to 100; storages only.
    pub state_of_charge_percent: Option<f64>,
}

/// What a resource is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerSetpoint {
    /// `RealPower` in kW, positive towards the grid.
    pub real_power_kw: f64,
    /// `ReactivePower` in kV.A{r}, positive towards the grid.
    pub reactive_power_kvar: f64,
}

/// Where a tap changer is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapPosition {
    /// `TapPosition`: a whole number in the device's own counting.
    pub tap_position: i32,
}

/// What a regulator is to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct VoltageSetpoint {
    /// `Voltage` in kV, line to neutral.
    pub voltage_kv: f64,
}

/// The points of a device as the gateway last read them.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// `DeviceId`: the device's name in the configuration.
    pub device_id: String,
    /// `Points`: by name, in the order of names.
    pub points: Vec<PointState>,
}

/// One point of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct PointState {
    /// Its name, such as `real_power`.
    pub name: String,
    /// `Value`.
    pub value: f64,
    /// `UnitOfMeasure`: `W`, `V.A{r}`, `V`, `A`, `Hz`, `%`, `Cel`, `s`, `W.h`, `V.A`, or `1` for pure numbers.
    pub unit: String,
    /// `Quality`.
    pub quality: PointQuality,
    /// `Source`.
    pub source: PointSource,
    /// `Age` in `s`: time between the sampling and this message.
    pub age_s: f64,
}

/// How far a point's value can be trusted. Spelled on the wire as here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointQuality {
    /// Lately measured, in range.
    Good,
    /// Measured too long ago.
    Stale,
    /// Lately measured, outside the range that the point can have.
    OutOfRange,
    /// The device does not answer; the last good value.
    CommLost,
    /// The value of the simulated twin.
    Substituted,
}

impl PointQuality {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Good, Self::Stale, Self::OutOfRange, Self::CommLost, Self::Substituted];

    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "Good",
            Self::Stale => "Stale",
            Self::OutOfRange => "OutOfRange",
            Self::CommLost => "CommLost",
            Self::Substituted => "Substituted",
        }
    }
}

/// Where a point's value comes from. Spelled on the wire as here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointSource {
    /// A physical device.
    Field,
    /// A simulated one.
    Simulated,
}

impl PointSource {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Field, Self::Simulated];

    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Field => "Field",
            Self::Simulated => "Simulated",
        }
    }
}
