//! For tests and benchmarks: [`network`] makes a random [`Network`] with an [`Operation`], the same for the same seed;
//! [`grid_scenario`] is the network of the grid scenario.
//!
//! A random network grows bus by bus from a source of medium voltage: lines of three phases and laterals of fewer,
//! transformers of all vector groups with zones of low voltage behind them, some of those with a neutral of their own;
//! meshes close within a zone only, for between zones the phases need not agree.

use crate::{
    Branch, Bus, BusKind, Complex64, Conductor, Connection, Element, Injection, Line, Network, Operation,
    PerUnitBranch, PerUnitBus, PerUnitNetwork, SequenceImpedance, SequenceValues, Shunt, Side, Source,
    StarPoint, TapRange, Transformer, VoltageDependence, Winding, Windings, Wires,
};
use fastrand::Rng;

/// What a random network is to be like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// How many buses.
    pub buses: usize,
    /// How many lines beyond those that make it a tree.
    pub meshes: usize,
    /// Whether there are transformers and low voltage.
    pub transformers: bool,
    /// Whether every other vector group may occur, or only Dyn1, Dyn11, Yyn0, Yd1 and Dd0, which every tool has.
    pub every_clock: bool,
    /// Whether transformers may also have zigzags, star points of their own, and taps on the sending side.
    pub every_star: bool,
    /// Share of the usual load.
    pub load: f64,
    /// Whether all resources are of constant power.
    pub constant_power: bool,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            buses: 20,
            meshes: 0,
            transformers: true,
            every_clock: true,
            every_star: false,
            load: 1.0,
            constant_power: false,
        }
    }
}

/// Buses without a transformer between them.
#[derive(Debug, Clone)]
struct Zone {
    base_voltage_v: f64,
    /// Whether phases are held against earth.
    earthed: bool,
    four_wire: bool,
    buses: Vec<usize>,
    most: usize,
}

struct Growth {
    rng: Rng,
    recipe: Recipe,
    network: Network,
    operation: Operation,
    zones: Vec<Zone>,
    /// By bus, its zone.
    zone_of: Vec<usize>,
}

const MEDIUM_V: f64 = 10_000.0;
const LOW_V: f64 = 400.0;

/// A network after a recipe.
#[must_use]
pub fn network(seed: u64, recipe: Recipe) -> (Network, Operation) {
    let mut growth = Growth {
        rng: Rng::with_seed(seed),
        recipe,
        network: Network::default(),
        operation: Operation::default(),
        zones: vec![Zone {
            base_voltage_v: MEDIUM_V,
            earthed: true,
            four_wire: false,
            buses: Vec::new(),
            most: usize::MAX,
        }],
        zone_of: Vec::new(),
    };
    growth.add_source();
    while growth.network.buses.len() < recipe.buses {
        growth.add_bus();
    }
    for _ in 0..recipe.meshes {
        growth.add_mesh();
    }
    for bus in 1..growth.network.buses.len() {
        growth.add_resources(bus);
    }
    (growth.network, growth.operation)
}

impl Growth {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.f64()
    }

    fn add_source(&mut self) {
        self.network.add_bus(Bus::three_phase("b0", MEDIUM_V));
        self.zones[0].buses.push(0);
        self.zone_of.push(0);
        let mut source = Source::balanced(0, self.between(1.0, 1.05));
        if self.rng.bool() {
            let positive_ohm = Complex64::new(self.between(0.01, 0.1), self.between(0.1, 0.5));
            source.impedance = Some(SequenceImpedance { positive_ohm, zero_ohm: positive_ohm * 1.5 });
        }
        self.network.sources.push(source);
        self.network.base_power_va = Some(1e6);
    }

    /// One more bus, at a line or behind a transformer.
    fn add_bus(&mut self) {
        let count = self.network.buses.len();
        // Half of the growth is at the ends, so that feeders become long.
        let oldest = if self.rng.bool() { count.saturating_sub(12) } else { 0 };
        let at = self.rng.usize(oldest..count);
        let zone = self.zone_of[at];
        let three_phase = self.network.buses[at].conductors.starts_with(&Conductor::PHASES);
        let medium = self.zones[zone].base_voltage_v == MEDIUM_V;
        if self.recipe.transformers && three_phase && medium && self.rng.u8(0..4) == 0 {
            self.add_transformer(at);
        } else if self.zones[zone].buses.len() < self.zones[zone].most {
            self.add_line_to_new(at, zone);
        }
    }

    fn new_bus(&mut self, zone: usize, conductors: Vec<Conductor>) -> usize {
        let earthing = (self.zones[zone].four_wire && self.rng.bool()).then(|| self.between(1.0, 30.0));
        let number = self.network.add_bus(Bus {
            name: format!("b{}", self.network.buses.len()),
            base_voltage_v: self.zones[zone].base_voltage_v,
            conductors,
            neutral_earthing_ohm: earthing,
        });
        self.zones[zone].buses.push(number);
        self.zone_of.push(zone);
        number
    }

    fn add_line_to_new(&mut self, from: usize, zone: usize) {
        let mut conductors = self.network.buses[from].conductors.clone();
        // A lateral, where single phases have somewhere to return to.
        if self.zones[zone].earthed && self.rng.u8(0..5) == 0 {
            let phases = conductors.iter().filter(|one| **one != Conductor::Neutral).count();
            if phases > 1 {
                conductors.remove(self.rng.usize(0..phases));
            }
        }
        let to = self.new_bus(zone, conductors.clone());
        self.add_line(from, to, conductors);
    }

    fn add_line(&mut self, from: usize, to: usize, conductors: Vec<Conductor>) {
        let low = self.zones[self.zone_of[from]].base_voltage_v < MEDIUM_V;
        // The longer the feeder, the shorter its lines.
        let crowd = (20.0 / f64::from(u32::try_from(self.recipe.buses).unwrap_or(u32::MAX))).sqrt().min(1.0);
        let length_km = if low { self.between(0.02, 0.08) } else { self.between(0.2, 2.0) * crowd };
        let mut line = if conductors == Conductor::PHASES && self.rng.bool() {
            let (r1_ohm, x1_ohm) = (self.between(0.1, 0.6) * length_km, self.between(0.08, 0.4) * length_km);
            let (r0_ohm, x0_ohm) = (r1_ohm * 3.0, x1_ohm * 3.5);
            let b1_s = self.between(1e-6, 90e-6) * length_km;
            Line::from_sequence(SequenceValues { r1_ohm, x1_ohm, r0_ohm, x0_ohm, b1_s, b0_s: b1_s * 0.6 })
        } else {
            self.coupled_line(conductors, length_km)
        };
        if !self.zones[self.zone_of[from]].earthed {
            // Capacitances would resonate with what little holds the zone to earth.
            line.shunt_s.clear();
        }
        self.add_branch(from, to, Element::Line(line));
    }

    /// A line whose conductors see each other, each pair otherwise.
    fn coupled_line(&mut self, conductors: Vec<Conductor>, length_km: f64) -> Line {
        let size = conductors.len();
        let mut series_ohm = crate::line::diagonal(size, Complex64::ZERO);
        let mut shunt_s = series_ohm.clone();
        for row in 0..size {
            for column in 0..=row {
                let (ohm, siemens) = if row == column {
                    (Complex64::new(self.between(0.3, 0.5), self.between(0.5, 0.7)), self.between(4e-6, 6e-6))
                } else {
                    (
                        Complex64::new(self.between(0.05, 0.1), self.between(0.2, 0.3)),
                        -self.between(0.5e-6, 1e-6),
                    )
                };
                let siemens = Complex64::new(0.0, siemens);
                (series_ohm[row][column], series_ohm[column][row]) = (ohm * length_km, ohm * length_km);
                (shunt_s[row][column], shunt_s[column][row]) = (siemens * length_km, siemens * length_km);
            }
        }
        Line { conductors, series_ohm, shunt_s }
    }

    fn add_branch(&mut self, from: usize, to: usize, element: Element) {
        self.network.add_branch(Branch {
            name: format!("e{}", self.network.branches.len()),
            sending_bus: from,
            receiving_bus: to,
            rated_current_a: None,
            element,
        });
    }

    fn add_transformer(&mut self, from: usize) {
        let windings = self.windings();
        let Windings::Three { sending, receiving, .. } = windings else { return };
        let stars = if self.recipe.every_star { [self.star(), self.star()] } else { [StarPoint::Neutral; 2] };
        // Zero sequence passes from a star to a star, and in a delta it has an end.
        let returns = sending == Winding::Delta
            || receiving == Winding::Zigzag
            || sending == Winding::Wye && stars[0] != StarPoint::Isolated;
        let earthed = receiving != Winding::Delta && stars[1] != StarPoint::Isolated && returns;
        let four_wire = earthed && stars[1] == StarPoint::Neutral && self.rng.bool();
        let zone = self.zones.len();
        self.zones.push(Zone { base_voltage_v: LOW_V, earthed, four_wire, buses: Vec::new(), most: 8 });
        let mut conductors = Conductor::PHASES.to_vec();
        if four_wire {
            conductors.push(Conductor::Neutral);
        }
        let to = self.new_bus(zone, conductors);
        if four_wire {
            self.network.buses[to].neutral_earthing_ohm = Some(self.between(0.5, 5.0));
        }
        let short_circuit = Complex64::new(self.between(0.8, 1.5), self.between(3.0, 6.0));
        let mut transformer = Transformer::three_phase(
            windings,
            [MEDIUM_V, LOW_V * self.between(1.0, 1.05)],
            250e3,
            short_circuit,
        );
        [transformer.sending_star, transformer.receiving_star] = stars;
        if self.rng.bool() {
            transformer.no_load_loss_percent = self.between(0.1, 0.3);
            transformer.magnetising_percent = self.between(0.5, 1.5);
        }
        if self.rng.bool() {
            transformer.taps = Some(TapRange { lowest: -8, highest: 8, neutral: 0, step: 0.00625 });
            transformer.tap_position = self.rng.i32(-4..=4);
            if self.rng.bool() {
                let position = self.rng.i32(-8..=8);
                self.operation.tap_positions.insert(self.network.branches.len(), position);
            }
            if self.recipe.every_star && self.rng.bool() {
                transformer.tapped = Side::Sending;
            }
        }
        self.add_branch(from, to, Element::Transformer(transformer));
    }

    fn windings(&mut self) -> Windings {
        let kinds = if self.recipe.every_star { 10 } else { 8 };
        let (sending, receiving, clocks): (_, _, &[u8]) = match self.rng.u8(0..kinds) {
            0 => (Winding::Wye, Winding::Wye, &[0, 6, 2, 4, 8, 10]),
            1 => (Winding::Wye, Winding::Delta, &[1, 11, 3, 5, 7, 9]),
            2 => (Winding::Delta, Winding::Delta, &[0, 6, 2, 4, 8, 10]),
            8 | 9 => (Winding::Wye, Winding::Zigzag, &[5, 11, 1, 7, 3, 9]),
            _ => (Winding::Delta, Winding::Wye, &[1, 11, 5, 7, 3, 9]),
        };
        let plain = if sending == Winding::Delta && receiving == Winding::Wye { 2 } else { 1 };
        let count = if self.recipe.every_clock { clocks.len() } else { plain };
        Windings::Three { sending, receiving, clock: clocks[self.rng.usize(0..count)] }
    }

    fn star(&mut self) -> StarPoint {
        match self.rng.u8(0..4) {
            0 => StarPoint::Isolated,
            1 => StarPoint::Earthed(Complex64::ZERO),
            2 => StarPoint::Earthed(Complex64::new(self.between(0.0, 0.1), self.between(0.0, 0.1))),
            _ => StarPoint::Neutral,
        }
    }

    /// Closes a loop, or puts a line beside another.
    fn add_mesh(&mut self) {
        let from = self.rng.usize(0..self.network.buses.len());
        let zone = self.zone_of[from];
        let to = self.zones[zone].buses[self.rng.usize(0..self.zones[zone].buses.len())];
        let other = &self.network.buses[to].conductors;
        let mut conductors = self.network.buses[from].conductors.clone();
        conductors.retain(|one| other.contains(one));
        if from != to && conductors.iter().any(|one| *one != Conductor::Neutral) {
            self.add_line(from, to, conductors);
        }
    }

    fn add_resources(&mut self, bus: usize) {
        let zone = self.zones[self.zone_of[bus]].clone();
        let low = zone.base_voltage_v < MEDIUM_V;
        let crowd = (20.0 / f64::from(u32::try_from(self.recipe.buses).unwrap_or(u32::MAX))).min(1.0);
        for _ in 0..self.rng.usize(0..3) {
            let Some(connection) = self.connection(bus, zone.earthed) else { return };
            let most_w = if low { 6e3 } else { 150e3 * crowd };
            // Most draw, some feed in.
            let real_power_w = self.between(-1.0, 0.3) * most_w * self.recipe.load;
            let reactive_power_var = real_power_w * self.between(-0.2, 0.6);
            let dependence =
                if self.recipe.constant_power { VoltageDependence::ConstantPower } else { self.dependence() };
            self.operation.injections.push(Injection {
                bus,
                connection,
                real_power_w,
                reactive_power_var,
                dependence,
            });
        }
        if self.rng.u8(0..8) == 0
            && let Some(connection) = self.connection(bus, zone.earthed)
        {
            let most_var = if low { 2e3 } else { 50e3 * crowd };
            let var = self.between(0.2, 1.0) * most_var;
            self.network.shunts.push(Shunt::capacitor(bus, connection, var, zone.base_voltage_v));
        }
    }

    fn dependence(&mut self) -> VoltageDependence {
        match self.rng.u8(0..5) {
            0 => VoltageDependence::ConstantCurrent,
            1 => VoltageDependence::ConstantImpedance,
            2 => {
                let (impedance, current) = (self.between(0.0, 0.5), self.between(0.0, 0.5));
                VoltageDependence::Zip { impedance, current, power: 1.0 - impedance - current }
            }
            _ => VoltageDependence::ConstantPower,
        }
    }

    fn connection(&mut self, bus: usize, earthed: bool) -> Option<Connection> {
        let mut phases = self.network.buses[bus].conductors.clone();
        phases.retain(|one| *one != Conductor::Neutral);
        let mut choices = Vec::new();
        if phases.len() == 3 {
            choices.push(Connection::Delta);
            if earthed {
                choices.extend([Connection::Wye, Connection::Wye]);
            }
        }
        if phases.len() > 1 {
            choices.push(Connection::Between(phases[0], phases[1]));
        }
        if earthed {
            choices.extend(phases.iter().map(|phase| Connection::Phase(*phase)));
        }
        self.rng.choice(choices)
    }
}

/// Branch, from, to, R, X, G, rated current.
const BRANCHES: [(&str, &str, &str, f64, f64, f64, f64); 11] = [
    ("T1", "source", "1", 0.072, 0.134, 0.00256, 1.73913),
    ("L1", "1", "2", 0.056, 0.008, 0.0, 1.12),
    ("L2", "2", "3", 0.084, 0.007, 0.0, 0.72),
    ("L3", "3", "4", 0.054, 0.006, 0.0, 1.0),
    ("L4", "4", "5", 0.064, 0.005, 0.0, 0.72),
    ("L5", "2", "6", 0.249, 0.038, 0.0, 1.12),
    ("L6", "6", "7", 0.143, 0.002, 0.0, 0.624),
    ("L7", "1", "8", 0.016, 0.002, 0.0, 1.12),
    ("L8", "8", "9", 0.074, 0.011, 0.0, 1.12),
    ("L9", "9", "10", 0.077, 0.006, 0.0, 0.72),
    ("L10", "8", "11", 0.001, 0.0, 0.0, 0.8),
];

/// The network of the grid scenario: 12 buses, per unit on 400 V and 50 kVA, 1.02 at the source.
#[must_use]
pub fn grid_scenario(wires: Wires) -> PerUnitNetwork {
    let kind = |name: &str| match name {
        "source" => BusKind::Root,
        "5" | "7" | "10" | "11" => BusKind::UsagePoint,
        _ => BusKind::Dummy,
    };
    let bus = |name: &str| PerUnitBus { name: name.into(), base_voltage_v: 400.0, kind: kind(name) };
    let branch = |(name, from, to, r, x, g, rated): &(&str, &str, &str, f64, f64, f64, f64)| PerUnitBranch {
        name: (*name).into(),
        sending_bus: (*from).into(),
        receiving_bus: (*to).into(),
        resistance_pu: *r,
        reactance_pu: *x,
        shunt_conductance_pu: *g,
        shunt_susceptance_pu: 0.0,
        rated_current_pu: Some(*rated),
        taps: None,
    };
    PerUnitNetwork {
        base_power_va: 50e3,
        buses: std::iter::once("source").chain(BRANCHES.iter().map(|branch| branch.2)).map(bus).collect(),
        branches: BRANCHES.iter().map(branch).collect(),
        root_voltage_pu: 1.02,
        wires,
    }
}
