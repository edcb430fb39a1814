//! Real-time congestion management: once an epoch [`RealTimeCore`] takes what was measured, a [`Sight`], and answers
//! with the [`Instructions`] that hold in the next epoch. [`RealTimeManagement`] does that on the bus.
//!
//! Measures are taken in the order of what they cost: a tap changer for what lasts and a step repairs everywhere;
//! reactive power of inverters at once; batteries; and, near the limits themselves, less real power of generators and
//! loads. They are taken back in the opposite order, slowly, and only where there is room.

mod actuators;
mod component;
mod core;
mod kept;
mod settings;
mod tap;
#[cfg(test)]
mod tests;

pub use self::core::{Base, Instructions, MismatchError, RealTimeCore, Sight, Totals, When};
pub use component::RealTimeManagement;
pub use settings::{ControlledResource, ControlledTap, RealTimeSettings};

/// The word of the kind.
pub(crate) const KIND: &str = "real-time-congestion-management";
