//! SunSpec over Modbus: information models, discovery, and the inverter as a device.
//!
//! [`models`] are data; `value` turns registers into numbers and back; `block` is one model read with one request;
//! `discovery` finds the models of a device; `measure`, `nameplate`, `controls` and `supervision` map them to the
//! engineering plane and are the only files that know their point names; `drive` writes and reads back;
//! [`SunSpecDevice`] puts them together.

mod block;
mod controls;
mod device;
mod discovery;
mod drive;
mod measure;
pub mod models;
mod nameplate;
mod scan;
mod supervision;
pub(crate) mod value;

pub use controls::RevertAfter;
pub use device::{SunSpecDevice, SunSpecSettings};
pub use scan::{ScanReport, ScannedModel, ScannedPoint, ScannedValue, scan};
