//! The gateway between the SimCES bus and field devices: the only code that knows both.
//!
//! Every device is a SimCES component of its own, a [`Bridge`]: control messages pass `convert` (kW to W), `limits`
//! and the device's task; at the read-late point of the epoch the process image comes back the same way, as
//! ResourceState and DeviceState. `follows` is the other way of the loop: the voltage of the network model at the device. [`Gateway`] starts the devices that the configuration names, by the drivers listed
//! in [`drivers`], and puts every one of them back into its safe state at the end.

mod bridge;
mod control;
mod convert;
pub mod drill;
pub mod drivers;
mod fallback;
mod follows;
mod gateway;
mod journal;
mod measures;
mod safety;
mod settings;
mod told;
mod twin;

pub use bridge::Bridge;
pub use control::{Control, ControlError, Controlled, Request, ask};
pub use fallback::{Active, FallbackPolicy, SourceSwitch};
pub use follows::{FollowBy, FollowSettings};
pub use gateway::{Gateway, StartError, StartedDevice, Surroundings, Timing, lock_device};
pub use journal::{DeviceReport, Journal, StepReport};
pub use safety::audit::Audit;
pub use safety::effect::EffectSettings;
pub use safety::guard::SafetySettings;
pub use safety::interlock::InterlockSettings;
pub use safety::limits::{Limits, WhenOutside};
pub use safety::lock::{DeviceLock, LockError};
pub use safety::total::TotalLimits;
pub use settings::{Address, DeviceSettings, read_devices, read_total};
pub use twin::{TwinSettings, read_twin};
