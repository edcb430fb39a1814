//! [`Nodes`]: the conductors of all buses, counted through.

use crate::network::positive;
use crate::{Conductor, Network, NetworkError};
use std::collections::BTreeSet;

/// One end of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terminal {
    /// At a node.
    Node(usize),
    /// At earth.
    Earth,
}

/// Which node is which conductor of which bus.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    names: Vec<String>,
    /// By bus, its conductors and the number of the first of them.
    buses: Vec<(usize, Vec<Conductor>)>,
    /// By node, its bus.
    bus_of: Vec<usize>,
    /// By node, the nominal voltage between phase and neutral.
    pub(super) nominal_v: Vec<f64>,
}

impl Nodes {
    pub(super) fn of(network: &Network) -> Result<Self, NetworkError> {
        let mut nodes =
            Self { names: Vec::new(), buses: Vec::new(), bus_of: Vec::new(), nominal_v: Vec::new() };
        let mut names = BTreeSet::new();
        for (number, bus) in network.buses.iter().enumerate() {
            let name = &bus.name;
            if !names.insert(name) {
                return Err(NetworkError::Name { what: "buses", name: name.clone() });
            }
            positive(&format!("base voltage of bus {name}"), bus.base_voltage_v)?;
            let distinct: BTreeSet<_> = bus.conductors.iter().collect();
            if bus.conductors.is_empty() || distinct.len() != bus.conductors.len() {
                return Err(NetworkError::Value {
                    what: format!("conductors of bus {name}"),
                    expected: "at least one, each once",
                    found: format!("{:?}", bus.conductors),
                });
            }
            nodes.names.push(name.clone());
            nodes.buses.push((nodes.bus_of.len(), bus.conductors.clone()));
            for _ in &bus.conductors {
                nodes.bus_of.push(number);
                nodes.nominal_v.push(bus.base_voltage_v / 3f64.sqrt());
            }
        }
        Ok(nodes)
    }

    pub(super) fn len(&self) -> usize {
        self.bus_of.len()
    }

    pub(super) fn bus_count(&self) -> usize {
        self.buses.len()
    }

    pub(super) fn bus_name(&self, bus: usize) -> String {
        self.names.get(bus).cloned().unwrap_or_else(|| bus.to_string())
    }

    pub(super) fn bus_of(&self, node: usize) -> usize {
        self.bus_of[node]
    }

    /// The nodes of a bus.
    pub(super) fn range(&self, bus: usize) -> std::ops::Range<usize> {
        let (first, conductors) = &self.buses[bus];
        *first..first + conductors.len()
    }

    pub(super) fn find(&self, bus: usize, conductor: Conductor) -> Option<usize> {
        let (first, conductors) = self.buses.get(bus)?;
        Some(first + conductors.iter().position(|one| *one == conductor)?)
    }

    /// The neutral of a bus, or earth.
    pub(super) fn star_point(&self, bus: usize) -> Terminal {
        self.find(bus, Conductor::Neutral).map_or(Terminal::Earth, Terminal::Node)
    }

    pub(super) fn required(
        &self,
        what: &str,
        bus: usize,
        conductor: Conductor,
    ) -> Result<usize, NetworkError> {
        if bus >= self.buses.len() {
            return Err(NetworkError::UnknownBus { what: what.to_owned(), bus: bus.to_string() });
        }
        self.find(bus, conductor).ok_or_else(|| NetworkError::UnknownConductor {
            what: what.to_owned(),
            bus: self.bus_name(bus),
            conductor: format!("{conductor:?}"),
        })
    }
}
