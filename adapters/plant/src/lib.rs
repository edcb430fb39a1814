//! Physics behind every simulated device.
//!
//! [`PvInverter`], [`Battery`], [`TapChanger`] and [`GridEmulator`] are state machines: commands and passing time go in through setters
//! and `step`, what a meter would show comes out of `outputs`. One long step gives the same as many short ones.
//! [`Plant`] holds any of them; [`LivePlant`] keeps one abreast of a clock and shares it between the device that serves
//! it and whoever watches; [`GridTerminals`] are where a network model tells it the voltage ([`OnGrid`]). Nothing here knows a protocol, a register or an asynchronous runtime.

mod battery;
mod commanded;
mod error;
mod grid_emulator;
mod live;
mod pv_inverter;
mod series;
mod support;
mod tap_changer;

pub use battery::{Battery, BatteryOutputs, BatterySettings, BatteryState};
pub use commanded::{Commanded, Revert};
pub use error::{CommandError, SettingsError};
pub use grid_emulator::{GridEmulator, GridEmulatorOutputs, GridEmulatorSettings};
pub use live::{GridTerminals, LastKnown, LivePlant, OnGrid, Plant, Step};
pub use pv_inverter::{PvInverter, PvInverterSettings, PvOutputs, PvState};
pub use series::{Series, SeriesError};
pub use support::{Curve, GridSupport, VoltageFunction};
pub use tap_changer::{MAX_STEPS, TapChanger, TapChangerSettings, TapMode, TapOutputs};

/// The frequency of the stiff grid that every plant hangs on, in Hz.
pub const GRID_FREQUENCY_HZ: f64 = 50.0;

/// The largest number that a power setting may have: a gigawatt.
const LARGEST_W: f64 = 1e9;
