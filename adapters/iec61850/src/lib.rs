//! IEC 61850 over MMS: devices, and simulated IEDs.

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
