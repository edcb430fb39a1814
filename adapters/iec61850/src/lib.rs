//! IEC 61850 over MMS: devices, and simulated IEDs.

mod address;
mod cause;
mod data;
mod directory;
mod mapping;
mod plan;
mod planner;
mod port;
mod quality;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use data::Fc;
pub use mapping::{Mapping, MappingError, ObjectName, PointMapping, SetpointMapping, TapMapping};
pub use port::{Check, ControlModel};
