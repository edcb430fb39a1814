//! Devices whose registers are described by a data file: a [`Profile`] says what is where, [`RegisterMapDevice`]
//! speaks it.

mod device;
mod plan;
mod power;
mod profile;
mod tap;

#[cfg(test)]
mod oracle;

pub use device::{RegisterMapDevice, RegisterMapSettings};
pub use profile::{
    Access, Bound, ByteOrder, IdentityText, PointSpec, PowerCommand, Profile, Reading, RegisterType,
    RegisterWrite, Table, TapPulse, VoltageSetpoint, Watchdog, WordOrder, WriteFunction,
};
