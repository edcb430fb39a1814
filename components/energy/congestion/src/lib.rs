//! What keeps a network within its limits, as SimCES components.
//!
//! [`RealTimeManagement`] answers the state of the network with setpoints for the next epoch; [`OperationalOptimization`]
//! plans the next epochs at least cost. Both look at the network through a [`Feeder`]: an engine of power flow, and
//! where each resource is connected.

mod commands;
mod feeder;
mod kind;
mod least_change;
mod limits;
mod network;
mod operational;
mod places;
mod plan_message;
mod realtime;
mod states;
#[cfg(test)]
mod twelve_bus;
mod unit;

pub use feeder::{Axis, Feeder, Point, Power, Site, Slopes};
pub use kind::{KINDS, Kind, ReadKind};
pub use limits::Limits;
pub use operational::*;
pub use places::{Band, Place, Places, Quantity};
pub use realtime::*;
pub use unit::{ResourceKind, TapChanger, Unit};
