//! A whole SimCES simulation with devices in the loop, in one process.
//!
//! [`Configuration`] is what people write; [`Session`] runs it: log, gateway, components and manager on one bus, in
//! wall-clock or in simulated time; [`RunReport`] is what it leaves. The `gridloop` command is a thin layer over this.

mod bus;
mod configuration;
mod dummies;
pub mod environment;
mod iteration;
mod log;
mod output;
mod parts;
pub mod platform;
mod report;
mod session;
mod together;
mod unseen;
mod verdict;

pub use bus::BusSettings;
pub use configuration::{ComponentKind, ComponentSettings, Configuration, Manager, Simulation, read};
pub use log::LogSettings;
pub use output::{behind_links, is_special, open_special};
pub use parts::{Findings, Membership, Parts, Strays, bus_for};
pub use report::{BusReport, RunReport};
pub use session::{AUDIT_FOLDER, CONTROL_SOCKET, Session, Told};
pub use unseen::not_seen;
pub use verdict::{Deadlines, Verdict};
