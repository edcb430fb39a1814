//! Physics behind every simulated device.
//!
//! [`PvInverter`] and [`TapChanger`] are state machines: commands and passing time go in through setters and `step`,
//! what a meter would show comes out of `outputs`. One long step gives the same as many short ones. [`Plant`] holds
//! either; [`LivePlant`] keeps one abreast of a clock and shares it between the device that serves it and whoever
//! watches. Nothing here knows a protocol, a register or an asynchronous runtime.

mod error;
mod live;
mod pv_inverter;
mod series;
mod tap_changer;

pub use error::{CommandError, SettingsError};
pub use live::{LastKnown, LivePlant, Plant, Step};
pub use pv_inverter::{
    Commanded, GRID_FREQUENCY_HZ, PvInverter, PvInverterSettings, PvOutputs, PvState, Revert,
};
pub use series::{Series, SeriesError};
pub use tap_changer::{MAX_STEPS, TapChanger, TapChangerSettings, TapMode, TapOutputs};
