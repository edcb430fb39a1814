//! Devices whose registers are described by a data file: a [`Profile`] says what is where, [`RegisterMapDevice`]
//! speaks it.

mod device;
mod plan;
mod profile;
mod tap;

pub use device::{RegisterMapDevice, RegisterMapSettings};
pub use profile::{
    PointSpec, Profile, ProfileError, Reading, RegisterType, Table, TapPulse, VoltageSetpoint, WordOrder,
};
