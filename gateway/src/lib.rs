//! The gateway between the SimCES bus and field devices: the only code that knows both.
//!
//! Every device is a SimCES component of its own, a [`Bridge`]: control messages pass `convert` (kW to W), `limits`
//! and the device's task; at the read-late point of the epoch the process image comes back the same way, as
//! ResourceState and DeviceState. [`Gateway`] starts the devices that the configuration names, by the drivers listed
//! in [`drivers`], and puts every one of them back into its safe state at the end.

mod bridge;
mod convert;
pub mod drill;
pub mod drivers;
mod fallback;
mod gateway;
mod journal;
mod limits;
mod measures;
mod settings;
mod twin;

pub use bridge::Bridge;
pub use fallback::{Active, Fallback, FallbackPolicy};
pub use gateway::{Gateway, StartedDevice, Timing};
pub use journal::{DeviceReport, Journal, StepReport};
pub use limits::{Decision, Limits, WhenOutside};
pub use settings::{Address, DeviceSettings, read_devices};
pub use twin::TwinSettings;
