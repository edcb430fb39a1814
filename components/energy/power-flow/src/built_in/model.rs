//! [`Model`]: a network that was checked, as nodes and admittances; what does not move with the taps.

use super::BALANCE;
use super::factor::inverse;
use super::injections::connection_ends;
use super::nodes::Nodes;
use super::primitive::{Primitive, between};
use crate::line::phase_matrix;
use crate::network::{not_negative, positive};
use crate::{BranchInfo, BusInfo, Conductor, Element, Network, NetworkError, Source, Topology};
use num_complex::Complex64;
use std::collections::BTreeSet;

/// What lies between a neutral that nothing connects to earth, and earth, in S: too little to carry a current, enough to
/// say where it floats.
const FLOATING_NEUTRAL_S: f64 = 1e-9;

/// What rounding leaves of a voltage, as a part of it.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

/// A source at its nodes.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// By phase that the bus has: node, magnitude in pu, unit phasor times nominal voltage.
    pub(super) phases: Vec<(usize, f64, Complex64)>,
    /// Admittance behind which it lies, over the phases; `None`: the nodes are held themselves.
    pub(super) admittance: Option<Vec<Vec<Complex64>>>,
}

impl Held {
    /// The voltages that it holds.
    pub(super) fn voltages(
        &self,
        magnitude_pu: Option<f64>,
    ) -> impl Iterator<Item = (usize, Complex64)> + '_ {
        self.phases
            .iter()
            .map(move |(node, own_pu, phasor)| (*node, phasor * magnitude_pu.unwrap_or(*own_pu)))
    }

    /// The currents out of it into its nodes.
    pub(super) fn currents(
        &self,
        voltages: &[Complex64],
        magnitude_pu: Option<f64>,
    ) -> Vec<(usize, Complex64)> {
        let falls: Vec<Complex64> =
            self.voltages(magnitude_pu).map(|(node, held)| held - voltages[node]).collect();
        let rows = self.admittance.iter().flatten();
        let currents = rows.map(|row| row.iter().zip(&falls).map(|(entry, fall)| entry * fall).sum());
        self.phases.iter().map(|(node, ..)| *node).zip(currents).collect()
    }
}

/// A checked network.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) nodes: Nodes,
    pub(super) sources: Vec<Held>,
    /// Admittances at single buses: shunts, earthings, what keeps neutrals from floating. Not those of sources.
    pub(super) at_buses: Vec<(usize, usize, Complex64)>,
    /// By branch, with its taps where the network says.
    pub(super) primitives: Vec<Primitive>,
    /// By node, whether a source or a solid earthing holds it.
    pub(super) held: Vec<bool>,
    pub(super) base_power_va: f64,
}

impl Model {
    pub(super) fn of(network: &Network) -> Result<Self, NetworkError> {
        if network.buses.is_empty() {
            return Err(NetworkError::Empty { missing: "a bus" });
        }
        if network.sources.is_empty() {
            return Err(NetworkError::Empty { missing: "a source" });
        }
        let base_power_va = network.base_power_va.unwrap_or(100e3);
        positive("base power", base_power_va)?;
        if let Some(lowest) = network.lowest_constant_power_voltage_pu {
            positive("lowest voltage of constant power", lowest)?;
        }
        let nodes = Nodes::of(network)?;
        let mut model = Self {
            held: vec![false; nodes.len()],
            sources: Vec::new(),
            at_buses: Vec::new(),
            primitives: branches(network, &nodes)?,
            base_power_va,
            nodes,
        };
        model.add_sources(&network.sources)?;
        model.add_earthings(network)?;
        model.add_shunts(network)?;
        model.check_islands()?;
        model.check_rounding(network)?;
        model.anchor_neutrals(network);
        Ok(model)
    }

    fn add_sources(&mut self, sources: &[Source]) -> Result<(), NetworkError> {
        let mut buses = BTreeSet::new();
        for source in sources {
            if source.bus >= self.nodes.bus_count() {
                let what = "a source".to_owned();
                return Err(NetworkError::UnknownBus { what, bus: source.bus.to_string() });
            }
            let name = self.nodes.bus_name(source.bus);
            if !buses.insert(source.bus) {
                return Err(NetworkError::Sources { bus: name });
            }
            let mut held = Held { phases: Vec::new(), admittance: None };
            for (at, conductor) in Conductor::PHASES.into_iter().enumerate() {
                let Some(node) = self.nodes.find(source.bus, conductor) else { continue };
                let (magnitude, angle) = (source.voltage_pu[at], source.angle_deg[at]);
                positive(&format!("source voltage at bus {name}"), magnitude)?;
                if !angle.is_finite() {
                    return Err(NetworkError::Value {
                        what: format!("source angle at bus {name}"),
                        expected: "a finite number",
                        found: angle.to_string(),
                    });
                }
                let phasor = Complex64::from_polar(self.nodes.nominal_v[node], angle.to_radians());
                held.phases.push((node, magnitude, phasor));
                self.held[node] |= source.impedance.is_none();
            }
            if held.phases.is_empty() {
                return Err(NetworkError::UnknownConductor {
                    what: "a source".into(),
                    bus: name,
                    conductor: "any phase".into(),
                });
            }
            if let Some(impedance) = source.impedance {
                let what = format!("resistance of the source at bus {name}");
                not_negative(&what, impedance.positive_ohm.re)?;
                not_negative(&what, impedance.zero_ohm.re)?;
                let mut matrix = phase_matrix(impedance.positive_ohm, impedance.zero_ohm);
                let count = held.phases.len();
                matrix.truncate(count);
                matrix.iter_mut().for_each(|row| row.truncate(count));
                let what = format!("impedance of the source at bus {name}");
                held.admittance = Some(inverse(&matrix).ok_or(NetworkError::Singular { what })?);
            }
            self.sources.push(held);
        }
        Ok(())
    }

    fn add_earthings(&mut self, network: &Network) -> Result<(), NetworkError> {
        for (number, bus) in network.buses.iter().enumerate() {
            let Some(node) = self.nodes.find(number, Conductor::Neutral) else { continue };
            match bus.neutral_earthing_ohm {
                None => {}
                Some(0.0) => self.held[node] = true,
                Some(ohm) => {
                    positive(&format!("earthing resistance of bus {}", bus.name), ohm)?;
                    self.at_buses.push((node, node, Complex64::new(1.0 / ohm, 0.0)));
                }
            }
        }
        Ok(())
    }

    fn add_shunts(&mut self, network: &Network) -> Result<(), NetworkError> {
        for (number, shunt) in network.shunts.iter().enumerate() {
            let what = format!("shunt {number}");
            if shunt.bus >= self.nodes.bus_count() {
                return Err(NetworkError::UnknownBus { what, bus: shunt.bus.to_string() });
            }
            if !shunt.admittance_s.is_finite() || shunt.admittance_s.re < 0.0 {
                let found = shunt.admittance_s.to_string();
                let expected = "a finite admittance, and no conductance below 0";
                return Err(NetworkError::Value { what, expected, found });
            }
            let ends = connection_ends(&self.nodes, shunt.bus, shunt.connection);
            let ends = ends.map_err(|_| NetworkError::UnknownConductor {
                what,
                bus: self.nodes.bus_name(shunt.bus),
                conductor: format!("{:?}", shunt.connection),
            })?;
            for end in ends {
                self.at_buses.extend(between([end.from, end.to], shunt.admittance_s));
            }
        }
        Ok(())
    }

    /// By node, the nodes that an admittance joins it with.
    fn neighbours(&self) -> Vec<Vec<usize>> {
        let mut neighbours = vec![Vec::new(); self.nodes.len()];
        for primitive in &self.primitives {
            let size = primitive.nodes.len();
            for (at, entry) in primitive.admittance.iter().enumerate() {
                if *entry != Complex64::ZERO {
                    let (row, column) = (primitive.nodes[at / size], primitive.nodes[at % size]);
                    neighbours[row].push(column);
                    neighbours[column].push(row);
                }
            }
        }
        neighbours
    }

    /// A phase that no source reaches has no voltage.
    fn check_islands(&self) -> Result<(), NetworkError> {
        let neighbours = self.neighbours();
        let mut reached = vec![false; self.nodes.len()];
        let mut open: Vec<usize> =
            self.sources.iter().flat_map(|source| source.phases.iter().map(|(node, ..)| *node)).collect();
        while let Some(node) = open.pop() {
            if !reached[node] {
                reached[node] = true;
                open.extend(neighbours[node].iter().copied().filter(|next| !reached[*next]));
            }
        }
        let mut islanded = BTreeSet::new();
        for bus in 0..self.nodes.bus_count() {
            let neutral = self.nodes.find(bus, Conductor::Neutral);
            if self.nodes.range(bus).any(|node| !reached[node] && Some(node) != neutral) {
                islanded.insert(bus);
            }
        }
        if islanded.is_empty() {
            return Ok(());
        }
        Err(NetworkError::Islanded {
            buses: islanded.into_iter().map(|bus| self.nodes.bus_name(bus)).collect(),
        })
    }

    /// Differences of voltages are as exact as these: an admittance makes of what rounding leaves a current that must be
    /// less than what may be left over.
    fn check_rounding(&self, network: &Network) -> Result<(), NetworkError> {
        let branches = network.branches.iter().zip(&self.primitives).flat_map(|(branch, primitive)| {
            let own = primitive.admittance.iter().step_by(primitive.nodes.len() + 1);
            primitive.nodes.iter().zip(own).map(|(node, own)| (*node, own.norm(), branch.name.as_str()))
        });
        let sources = self.sources.iter().flat_map(|source| {
            let own = source.admittance.iter().flatten().enumerate().filter_map(|(at, row)| row.get(at));
            let nodes = source.phases.iter().map(|(node, ..)| *node);
            nodes.zip(own).map(|(node, own)| (node, own.norm(), "the source"))
        });
        for (node, own_s, what) in branches.chain(sources) {
            let nominal_v = self.nodes.nominal_v[node];
            let least_ohm = ROUNDING * nominal_v * nominal_v / (BALANCE * self.base_power_va);
            if own_s * least_ohm > 1.0 {
                return Err(NetworkError::Drowned {
                    what: what.to_owned(),
                    bus: self.nodes.bus_name(self.nodes.bus_of(node)),
                    found_ohm: own_s.recip(),
                    least_ohm,
                    base_power_va: self.base_power_va,
                });
            }
        }
        Ok(())
    }

    /// Connects neutrals that nothing leads to earth with it, hardly.
    fn anchor_neutrals(&mut self, network: &Network) {
        let mut neighbours = vec![Vec::new(); self.nodes.len()];
        let mut earthed: Vec<bool> = self.held.clone();
        for (row, column, _) in &self.at_buses {
            earthed[*row] |= row == column;
        }
        for (branch, primitive) in network.branches.iter().zip(&self.primitives) {
            match branch.element {
                Element::Line(_) => {
                    for at in 0..primitive.sending {
                        let (from, to) = (primitive.nodes[at], primitive.nodes[at + primitive.sending]);
                        neighbours[from].push(to);
                        neighbours[to].push(from);
                    }
                }
                // Transformers have an admittance of their own to earth; of others nobody knows.
                Element::Transformer(_) | Element::Admittance(_) => {
                    primitive.nodes.iter().for_each(|node| earthed[*node] = true);
                }
            }
        }
        let mut open: Vec<usize> = (0..self.nodes.len()).filter(|node| earthed[*node]).collect();
        while let Some(node) = open.pop() {
            for next in &neighbours[node] {
                if !earthed[*next] {
                    earthed[*next] = true;
                    open.push(*next);
                }
            }
        }
        for bus in 0..self.nodes.bus_count() {
            if let Some(node) = self.nodes.find(bus, Conductor::Neutral).filter(|node| !earthed[*node]) {
                self.at_buses.push((node, node, Complex64::new(FLOATING_NEUTRAL_S, 0.0)));
            }
        }
    }
}

fn branches(network: &Network, nodes: &Nodes) -> Result<Vec<Primitive>, NetworkError> {
    let mut names = BTreeSet::new();
    let mut primitives = Vec::with_capacity(network.branches.len());
    for branch in &network.branches {
        if !names.insert(&branch.name) {
            return Err(NetworkError::Name { what: "branches", name: branch.name.clone() });
        }
        if let (Some(taps), Element::Transformer(transformer)) = (branch.taps(), &branch.element) {
            let holds = taps.lowest <= transformer.tap_position && transformer.tap_position <= taps.highest;
            if !holds {
                return Err(NetworkError::Value {
                    what: format!("tap position of {}", branch.name),
                    expected: "a position between its end stops",
                    found: transformer.tap_position.to_string(),
                });
            }
            for position in [taps.lowest, taps.highest] {
                Primitive::of(nodes, branch, position)?;
            }
        }
        primitives.push(Primitive::of(nodes, branch, tap_position(&branch.element))?);
    }
    Ok(primitives)
}

const fn tap_position(element: &Element) -> i32 {
    match element {
        Element::Transformer(transformer) => transformer.tap_position,
        Element::Line(_) | Element::Admittance(_) => 0,
    }
}

/// What the network is made of, for everyone.
pub(super) fn topology(network: &Network, primitives: &[Primitive]) -> Topology {
    let buses = network.buses.iter().enumerate().map(|(number, bus)| BusInfo {
        name: bus.name.clone(),
        base_voltage_v: bus.base_voltage_v,
        conductors: bus.conductors.clone(),
        is_source: network.sources.iter().any(|source| source.bus == number),
    });
    let branches = network.branches.iter().zip(primitives).map(|(branch, primitive)| {
        let conductors: BTreeSet<Conductor> = primitive.conductors.iter().copied().collect();
        BranchInfo {
            name: branch.name.clone(),
            sending_bus: branch.sending_bus,
            receiving_bus: branch.receiving_bus,
            conductors: conductors.into_iter().collect(),
            rated_current_a: branch.rated_current_a,
            taps: branch.taps(),
            tap_position: tap_position(&branch.element),
        }
    });
    Topology { buses: buses.collect(), branches: branches.collect() }
}
