//! Devices whose registers are described by a data file: a [`Profile`] says what is where.

mod profile;

pub use profile::{
    PointSpec, Profile, ProfileError, Reading, RegisterType, Table, TapPulse, VoltageSetpoint, WordOrder,
};
