//! The device contract, the one poll and write loop, and the quality of values.
//!
//! [`Device`] is what an adapter implements: connect, read a [`Snapshot`], apply a [`Setpoint`], release.
//! [`DeviceTask`] owns one and is the only code with retries, timers and counters; what it knows of its device
//! is a [`ProcessImage`]. Nothing here knows SimCES, and nothing here knows a wire.

pub mod conformance;
mod contract;
mod core;
mod image;
mod statistics;
mod tap;
mod task;
mod value;

pub use contract::{
    Capabilities, Description, Device, DeviceError, FailSafe, PowerRange, Renewal, TapRange, VoltageRange,
};
pub use core::{DeviceCore, Disarmed, Done, Job, Left, Mode, Next, NotAccepted, Occurrence, TaskSettings};
pub use image::{Ageing, Link, ProcessImage};
pub use statistics::{Percentiles, Spread, Statistics};
pub use tap::{TapAction, TapFailure, TapReading, TapRules, TapSequencer, TapSettled};
pub use task::{DeviceHandle, DeviceTask, Observer};
pub use value::{
    Applied, Command, PointName, Quality, SafeState, Sample, Setpoint, Snapshot, Source, Unit, point,
};
