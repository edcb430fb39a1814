//! What is watched in a network: [`Places`] numbers the voltages and loadings that have limits, and turns a power flow
//! solution, or the messages of an epoch, into one list of numbers in that order.

use crate::Limits;
use gridloop_power_flow::{Conductor, Sensitivity, Solution, Topology};
use std::collections::BTreeMap;

/// One number that has limits: a voltage in parts of the nominal one, or a current in parts of the rated one.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Whether it is a voltage, and of what it is a part.
    pub quantity: Quantity,
    /// The bus or branch.
    pub name: String,
    /// The conductor.
    pub conductor: Conductor,
    /// Number of the bus or branch in the topology.
    index: usize,
    /// Position of the conductor among those of the bus or branch.
    position: usize,
}

/// What a [`Place`] measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A voltage against earth; the nominal one in V.
    Voltage {
        /// Nominal voltage, line to neutral, in V.
        nominal_v: f64,
    },
    /// A current at the sending end; the rated one in A.
    Loading {
        /// Rated current in A.
        rated_a: f64,
    },
}

impl Place {
    /// Whether it is a voltage.
    #[must_use]
    pub fn is_voltage(&self) -> bool {
        matches!(self.quantity, Quantity::Voltage { .. })
    }

    /// As in `bus 7 phase 2` and `L3 phase 1`.
    #[must_use]
    pub fn label(&self) -> String {
        let phase = match self.conductor {
            Conductor::Phase1 => "phase 1",
            Conductor::Phase2 => "phase 2",
            Conductor::Phase3 => "phase 3",
            Conductor::Neutral => "neutral",
        };
        if self.is_voltage() {
            format!("bus {} {phase}", self.name)
        } else {
            format!("{} {phase}", self.name)
        }
    }

    /// The value as an operator reads it.
    #[must_use]
    pub fn describe(&self, value: f64) -> String {
        match self.quantity {
            Quantity::Voltage { .. } => format!("{} at {value:.4} pu", self.label()),
            Quantity::Loading { .. } => format!("{} at {:.1} % of its rating", self.label(), value * 100.0),
        }
    }
}

/// All places of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    list: Vec<Place>,
    voltages: BTreeMap<(String, Conductor), usize>,
    currents: BTreeMap<(String, Conductor), usize>,
}

impl Places {
    /// Every phase of every bus that no source holds, and of every branch with a rating.
    #[must_use]
    pub fn of(topology: &Topology) -> Self {
        let mut places = Self { list: Vec::new(), voltages: BTreeMap::new(), currents: BTreeMap::new() };
        for (index, bus) in topology.buses.iter().enumerate().filter(|(_, bus)| !bus.is_source) {
            let quantity = Quantity::Voltage { nominal_v: bus.base_voltage_v / 3.0_f64.sqrt() };
            places.add(quantity, &bus.name, index, &bus.conductors);
        }
        for (index, branch) in topology.branches.iter().enumerate() {
            if let Some(rated_a) = branch.rated_current_a.filter(|rated| *rated > 0.0) {
                places.add(Quantity::Loading { rated_a }, &branch.name, index, &branch.conductors);
            }
        }
        places
    }

    fn add(&mut self, quantity: Quantity, name: &str, index: usize, conductors: &[Conductor]) {
        for (position, &conductor) in conductors.iter().enumerate() {
            if conductor == Conductor::Neutral {
                continue;
            }
            let at = self.list.len();
            let known = match quantity {
                Quantity::Voltage { .. } => &mut self.voltages,
                Quantity::Loading { .. } => &mut self.currents,
            };
            known.insert((name.to_owned(), conductor), at);
            self.list.push(Place { quantity, name: name.to_owned(), conductor, index, position });
        }
    }

    /// The places in their order.
    #[must_use]
    pub fn list(&self) -> &[Place] {
        &self.list
    }

    /// Number of the voltage of a bus's conductor.
    #[must_use]
    pub fn voltage(&self, bus: &str, conductor: Conductor) -> Option<usize> {
        self.voltages.get(&(bus.to_owned(), conductor)).copied()
    }

    /// Number of the current of a branch's conductor.
    #[must_use]
    pub fn current(&self, branch: &str, conductor: Conductor) -> Option<usize> {
        self.currents.get(&(branch.to_owned(), conductor)).copied()
    }

    /// The values that a solution has at the places. What a solution lacks is not a number.
    #[must_use]
    pub fn read(&self, solution: &Solution) -> Vec<f64> {
        let value = |place: &Place| match place.quantity {
            Quantity::Voltage { nominal_v } => {
                let voltage = solution.voltages_v.get(place.index).and_then(|bus| bus.get(place.position));
                voltage.map_or(f64::NAN, |voltage| voltage.norm() / nominal_v)
            }
            Quantity::Loading { rated_a } => {
                let flow = solution.branches.get(place.index);
                let flow = flow.and_then(|branch| branch.conductors.get(place.position));
                flow.map_or(f64::NAN, |flow| flow.sending_a.norm() / rated_a)
            }
        };
        self.list.iter().map(value).collect()
    }

    /// By how much the value at each place rises with one unit of a probe.
    #[must_use]
    pub fn slopes(&self, sensitivity: &Sensitivity) -> Vec<f64> {
        let slope = |place: &Place| match place.quantity {
            Quantity::Voltage { .. } => {
                let bus = sensitivity.voltages_pu.get(place.index);
                bus.and_then(|bus| bus.get(place.position)).copied().unwrap_or(f64::NAN)
            }
            Quantity::Loading { rated_a } => {
                let branch = sensitivity.currents_a.get(place.index);
                let change = branch.and_then(|branch| branch.get(place.position));
                change.map_or(f64::NAN, |change| change.sending_a / rated_a)
            }
        };
        self.list.iter().map(slope).collect()
    }

    /// The lowest and highest value that each place may have.
    #[must_use]
    pub fn bounds(&self, band: &Band) -> Vec<(f64, f64)> {
        let bound = |place: &Place| match place.quantity {
            Quantity::Voltage { .. } => (band.lowest_pu, band.highest_pu),
            Quantity::Loading { .. } => (f64::NEG_INFINITY, band.loading),
        };
        self.list.iter().map(bound).collect()
    }

    /// How far the worst place is outside its limits, and which it is; nothing if all are inside.
    #[must_use]
    pub fn worst(&self, values: &[f64], limits: &Limits) -> Option<(f64, usize)> {
        let bounds = self.bounds(&limits.red());
        let excess = values.iter().zip(&bounds).map(|(value, (low, high))| (value - high).max(low - value));
        excess
            .enumerate()
            .filter(|(_, by)| *by > 1e-9)
            .map(|(at, by)| (by, at))
            .max_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// A range of voltages, and a highest loading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Lowest voltage, in parts of the nominal one.
    pub lowest_pu: f64,
    /// Highest voltage, in parts of the nominal one.
    pub highest_pu: f64,
    /// Highest current, in parts of the rated one.
    pub loading: f64,
}

impl Band {
    /// The band that is narrower by `voltage_pu` on either side, and by `loading` at the upper end.
    #[must_use]
    pub fn inside(&self, voltage_pu: f64, loading: f64) -> Self {
        Self {
            lowest_pu: self.lowest_pu + voltage_pu,
            highest_pu: self.highest_pu - voltage_pu,
            loading: self.loading - loading,
        }
    }
}
