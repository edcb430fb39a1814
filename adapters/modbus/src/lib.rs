//! Modbus over TCP, TLS and serial lines: SunSpec and register-map devices, and simulated ones.
//!
//! A device is reached by [`LinkSettings`]; devices with the same [`Address`] share one link. [`SunSpecDevice`] finds
//! out by itself what its inverter can do; [`RegisterMapDevice`] is told by a [`Profile`], which is a data file. Both stand
//! on one session type, whose task owns the link: after any error it drops a connection, and waits for silence on a
//! line. Nothing here retries: that is the device task's business.

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

pub use address::{Address, AddressError, DEFAULT_PORT, DEFAULT_TLS_PORT, Host, Parity, SerialLine};
pub use hand::{read_registers, write_register, write_registers};
pub use register_map::{
    Access, Bound, ByteOrder, IdentityText, PointSpec, PowerCommand, Profile, Reading, RegisterMapDevice,
    RegisterMapSettings, RegisterType, RegisterWrite, Table, TapPulse, VoltageSetpoint, Watchdog, WordOrder,
    WriteFunction,
};
pub use registers::Unencodable;
pub use session::{LinkSettings, LinkStatistics, TlsFileError, TlsFiles, link_statistics};
pub use sunspec::{
    RevertAfter, ScanReport, ScannedModel, ScannedPoint, ScannedValue, SunSpecDevice, SunSpecSettings, scan,
};
