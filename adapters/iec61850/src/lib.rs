//! IEC 61850 over MMS: devices, and simulated IEDs.
//!
//! An [`IedDevice`] is reached by its [`IedSettings`]. It browses its IED, and a [`Mapping`] says what the objects mean
//! whose names do not tell. [`scan`] shows what an IED offers, and how it differs from its description, an [`Scl`].
//! Everything stands on one port trait of our own, behind which the MMS stack is. Nothing here retries: that is the
//! device task's business.

mod address;
mod cause;
mod data;
mod device;
mod directory;
mod mapping;
mod plan;
mod planner;
mod port;
mod quality;
mod reports;
mod scan;
pub mod scl;
pub mod simulated;
mod tap;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use data::Fc;
pub use device::{IedDevice, IedSettings};
pub use mapping::{Mapping, MappingError, ObjectName, PointMapping, SetpointMapping, TapMapping};
pub use port::{Check, ControlModel};
pub use reports::ReportSettings;
pub use scan::{Comparison, ScanReport, ScannedControl, ScannedDevice, ScannedPoint, ScannedReport, scan};
pub use scl::{Scl, SclError};
