//! [`Details`]: what a network file says and a network in per unit cannot.

use gridloop_power_flow::{Conductor, Element, Network, SequenceImpedance};
use std::collections::BTreeMap;

/// What goes beyond a network in per unit: it comes in the place of what that would make of the same bus or branch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Details {
    /// Buses with other conductors or another earthing, by name.
    pub buses: BTreeMap<String, BusDetails>,
    /// Lines with a zero sequence or a neutral of their own, transformers with their data, by the name of the branch.
    pub elements: BTreeMap<String, Element>,
    /// The short-circuit impedance of the source; `None`: it holds its bus.
    pub source_impedance: Option<SequenceImpedance>,
}

/// A bus that is not as `Wires` say.
#[derive(Debug, Clone, PartialEq)]
pub struct BusDetails {
    /// Its conductors, phases first.
    pub conductors: Vec<Conductor>,
    /// Resistance between its neutral and earth; `None`: not earthed here.
    pub neutral_earthing_ohm: Option<f64>,
}

impl Details {
    /// Puts it into the network that was made of the data in per unit.
    pub(crate) fn apply(&self, network: &mut Network) {
        for bus in &mut network.buses {
            if let Some(own) = self.buses.get(&bus.name) {
                bus.conductors.clone_from(&own.conductors);
                bus.neutral_earthing_ohm = own.neutral_earthing_ohm;
            }
        }
        for branch in &mut network.branches {
            if let Some(element) = self.elements.get(&branch.name) {
                branch.element = element.clone();
            }
        }
        if let Some(source) = network.sources.first_mut() {
            source.impedance = self.source_impedance;
        }
    }

    /// The branches and buses that it concerns, as others are told that they do not know all of them.
    pub(crate) fn concerned(&self) -> Vec<&str> {
        self.elements.keys().chain(self.buses.keys()).map(String::as_str).collect()
    }
}
