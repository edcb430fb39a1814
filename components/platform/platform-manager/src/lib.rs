//! A whole SimCES simulation with devices in the loop, in one process.
//!
//! [`Configuration`] is what people write; [`Session`] runs it: log, gateway, components and manager on one bus, in
//! wall-clock or in simulated time; [`RunReport`] is what it leaves. The `gridloop` command is a thin layer over this.

mod configuration;
mod parts;
mod report;
mod session;

pub use configuration::{
    BusSettings, ComponentKind, ComponentSettings, Configuration, Manager, Simulation, read,
};
pub use parts::{Parts, Strays, bus_for};
pub use report::{BusReport, RunReport};
pub use session::{Session, Told};
