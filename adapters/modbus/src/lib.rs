//! Modbus TCP: SunSpec and register-map devices, and simulated ones.
//!
//! A device is reached by [`LinkSettings`]. [`SunSpecDevice`] finds out by itself what its inverter can do;
//! [`RegisterMapDevice`] is told by a [`Profile`], which is a data file. Both stand on one session type that owns the
//! connection and drops it after any error. Nothing here retries: that is the device task's business.

mod address;
mod hand;
mod link;
mod register_map;
mod registers;
#[cfg(test)]
mod seeded;
mod session;
pub mod simulated;
pub mod sunspec;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use hand::{read_registers, write_registers};
pub use register_map::{
    Access, Bound, ByteOrder, IdentityText, PointSpec, PowerCommand, Profile, Reading, RegisterMapDevice,
    RegisterMapSettings, RegisterType, RegisterWrite, Table, TapPulse, VoltageSetpoint, Watchdog, WordOrder,
    WriteFunction,
};
pub use registers::Unencodable;
pub use session::LinkSettings;
pub use sunspec::{
    ScanReport, ScannedModel, ScannedPoint, ScannedValue, SunSpecDevice, SunSpecSettings, scan,
};
