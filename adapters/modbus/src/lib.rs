//! Modbus TCP: SunSpec and register-map devices, and simulated ones.

mod register_map;
mod registers;
pub mod simulated;
pub mod sunspec;

pub use register_map::{
    PointSpec, Profile, ProfileError, Reading, RegisterType, Table, TapPulse, VoltageSetpoint, WordOrder,
};
pub use registers::Unencodable;
