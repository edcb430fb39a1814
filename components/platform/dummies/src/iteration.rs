//! Two components that iterate within an epoch (wire contract 3.6): a [`DroopGenerator`] whose voltage sinks with the
//! power that it gives, and a [`VoltageDependentLoad`] whose power sinks with the voltage that it gets.
//!
//! Neither knows the other's equation; they find the operating point by telling each other intermediate results. The
//! generator leads: it begins each round with a voltage, every load answers with its power at that voltage, and when
//! the voltage no longer moves the generator says its results with `final`, which the loads copy. Whether that comes to
//! an end depends on the product of the two slopes. If it is 1 or more, every round leads further away, and the bound
//! of rounds stops the run.

mod generator;
mod load;

#[cfg(test)]
mod tests;

pub use generator::{DroopGenerator, DroopGeneratorSettings};
pub use load::{VoltageDependentLoad, VoltageDependentLoadSettings};

use gridloop_component::Output;
use gridloop_messages::{Body, BusVoltage, Conductor, NetworkState};

/// A bus of a grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    /// Name of the grid: the second segment of the voltage's topic.
    pub grid: String,
    /// Name of the bus: its last segment.
    pub name: String,
}

impl Bus {
    /// `NetworkState.<GridId>.Voltage.<Bus>` (wire contract 1.8).
    fn voltage_topic(&self) -> String {
        format!("NetworkState.{}.Voltage.{}", self.grid, self.name)
    }

    /// The voltage of the bus, line to neutral. The phases are alike; phase 1 stands for them.
    fn voltage(&self, magnitude_kv: f64) -> Output {
        let voltage =
            BusVoltage { magnitude_kv, angle_deg: 0.0, bus: self.name.clone(), node: Conductor::Phase1 };
        Output::new(self.voltage_topic(), Body::NetworkState(NetworkState::Voltage(voltage)))
    }
}
