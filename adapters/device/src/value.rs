//! Values as the engineering plane knows them: SI units, positive towards the grid, and their quality beside them.

use gridloop_clock::MonoTime;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Units of the engineering plane. Adapters convert to these and from these, nobody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Real power, positive towards the grid.
    #[serde(rename = "W")]
    Watt,
    /// Reactive power, positive towards the grid.
    #[serde(rename = "V.A{r}")]
    Var,
    /// Apparent power.
    #[serde(rename = "V.A")]
    VoltAmpere,
    /// Energy.
    #[serde(rename = "W.h")]
    WattHour,
    /// Voltage.
    #[serde(rename = "V")]
    Volt,
    /// Current.
    #[serde(rename = "A")]
    Ampere,
    /// Frequency.
    #[serde(rename = "Hz")]
    Hertz,
    /// Temperature.
    #[serde(rename = "Cel")]
    Celsius,
    /// Per cent of a stated whole.
    #[serde(rename = "%")]
    Percent,
    /// Time.
    #[serde(rename = "s")]
    Second,
    /// A count, a position or a state number.
    #[serde(rename = "1")]
    One,
}

impl Unit {
    /// The unit as UCUM spells it; `1` is the unit of pure numbers.
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::Watt => "W",
            Self::Var => "V.A{r}",
            Self::VoltAmpere => "V.A",
            Self::WattHour => "W.h",
            Self::Volt => "V",
            Self::Ampere => "A",
            Self::Hertz => "Hz",
            Self::Celsius => "Cel",
            Self::Percent => "%",
            Self::Second => "s",
            Self::One => "1",
        }
    }
}

/// How far a value can be trusted. Only `Good` is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Quality {
    /// Measured lately, by a device that answered as its protocol demands, within the point's range.
    Good,
    /// Measured, but longer ago than the device's configured age.
    Stale,
    /// The device answers, and doubts the value itself (IEC 61850-7-3 validity `questionable` or `invalid`, or its test
    /// mode).
    Questionable,
    /// The device answers, but the value lies outside the range that the point can have.
    OutOfRange,
    /// The device does not answer; the value, where there is one, is the last that was good.
    CommLost,
    /// Not this device's value: its simulated twin stands in.
    Substituted,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Source {
    /// A physical device, or one that gridloop does not know to be anything else.
    Field,
    /// A simulated device that gridloop itself runs.
    Simulated,
}

/// The name of a measured point, such as `real_power`. The well-known ones are constants of [`point`].
pub type PointName = Arc<str>;

/// Names of points that the gateway itself understands. Drivers may report any others besides.
pub mod point {
    /// Real power in W, positive towards the grid.
    pub const REAL_POWER: &str = "real_power";
    /// Reactive power in var, positive towards the grid.
    pub const REACTIVE_POWER: &str = "reactive_power";
    /// Line-to-neutral voltage in V (the mean of the phases where there are several).
    pub const VOLTAGE: &str = "voltage";
    /// Frequency in Hz.
    pub const FREQUENCY: &str = "frequency";
    /// Tap position, a whole number in the device's own counting.
    pub const TAP_POSITION: &str = "tap_position";
    /// State of charge in per cent of the usable energy.
    pub const STATE_OF_CHARGE: &str = "state_of_charge";
}

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The value in `unit`; always finite.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// Its quality at `sampled_at`. Ageing is [`crate::ProcessImage`]'s business.
    pub quality: Quality,
    /// When the request that fetched it was answered.
    pub sampled_at: MonoTime,
}

/// What one reading of a device gave. A point that the device does not implement is absent, never a number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The values by name, in the order of names.
    pub points: BTreeMap<PointName, Sample>,
}

impl Snapshot {
    /// Adds a good value; one that is not finite becomes absent.
    pub fn put(&mut self, name: &str, value: f64, unit: Unit, sampled_at: MonoTime) {
        self.put_as(name, value, unit, Quality::Good, sampled_at);
    }

    /// Adds a value of stated quality; one that is not finite becomes absent.
    pub fn put_as(&mut self, name: &str, value: f64, unit: Unit, quality: Quality, sampled_at: MonoTime) {
        if value.is_finite() {
            self.points.insert(name.into(), Sample { value, unit, quality, sampled_at });
        }
    }

    /// The value of a point, whatever its quality.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Sample> {
        self.points.get(name)
    }
}

/// What a device is asked to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// Inject this power, positive towards the grid. An inverter treats the real power as a ceiling: it cannot make
    /// more than the sun gives.
    Power {
        /// Real power in W.
        real_power_w: f64,
        /// Reactive power in var.
        reactive_power_var: f64,
    },
    /// Move the tap changer to this position, in the device's own counting.
    TapPosition(i32),
    /// Regulate to this voltage, in V.
    Voltage {
        /// Line-to-neutral voltage in V.
        voltage_v: f64,
    },
}

/// A command with its date of expiry. The newest wins; an expired one is never applied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setpoint {
    /// What to do.
    pub command: Command,
    /// The epoch it was given in.
    pub epoch: u64,
    /// When the message that first asked for this command reached this process.
    pub received_at: MonoTime,
    /// From this instant on it must not be applied any more.
    pub expires_at: MonoTime,
    /// The number of the order in the audit log of whoever gave it; 0 where nobody keeps one.
    pub order: u64,
}

/// What a device did with a [`Setpoint`] or a [`SafeState`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Applied {
    /// The device took it, and a read-back after the write showed it. `readback` is what the device now holds.
    Confirmed {
        /// The command as the device holds it, which may differ by its resolution.
        readback: Command,
    },
    /// As `Confirmed`, of a command that the device was thought to hold and no longer held: somebody or something else
    /// had changed it, and it was written again.
    Restored {
        /// The command as the device holds it now.
        readback: Command,
    },
    /// The device is on its way (a tap changer takes seconds a step). The same command is to be applied again after
    /// the next reading; the driver makes sure that nothing is sent twice.
    InProgress,
}

/// The state a device is to be left in when nobody drives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SafeState {
    /// Give control back: limits off, the device's own automatic mode.
    Release,
    /// Hold this command.
    Command(Command),
    /// Leave it as it is (the operator declared that to be safe).
    Hold,
}
