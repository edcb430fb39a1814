//! Operational grid optimisation: each epoch [`OperationalCore`] makes a [`Plan`] for the next ones out of what
//! resources are expected to do, at least cost. [`OperationalOptimization`] does that on the bus.
//!
//! The network's limits come into the plan as straight lines, from the power flow around the expected state, and are
//! drawn anew around the plan until both agree. What is sent has been checked by a power flow of every step.

mod component;
mod core;
mod program;
mod settings;
#[cfg(test)]
mod tests;

pub use self::core::{OperationalCore, OperationalTotals, Outlook, Plan, PlanStep, Planned, PlannedPower};
pub use component::OperationalOptimization;
pub use settings::{Contract, OperationalSettings, PlannedResource, PlannedTap};

/// The word of the kind.
pub(crate) const KIND: &str = "operational-grid-optimization";
