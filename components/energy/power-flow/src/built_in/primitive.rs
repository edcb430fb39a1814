//! [`Primitive`]: an element as its terminals and the admittance matrix over them. Everything that the engine solves is
//! made of these.

use super::factor::inverse;
use super::nodes::{Nodes, Terminal};
use crate::transformer::{Coil, Transformer, Winding, Windings};
use crate::{AdmittanceBranch, Branch, Conductor, Element, Line, NetworkError};
use num_complex::Complex64;

/// Which part of its rating, as an inductive admittance, lies between either end of a transformer's coils and earth, so
/// that no delta floats. OpenDSS has the same: half of its `ppm_antifloat`.
const ANTIFLOAT: f64 = 0.5e-6;

/// A branch as the engine sees it.
#[derive(Debug, Clone)]
pub(super) struct Primitive {
    /// Its terminals: sending ones first, then receiving ones.
    pub(super) nodes: Vec<usize>,
    /// How many of them are sending ones.
    pub(super) sending: usize,
    /// Conductors of the terminals.
    pub(super) conductors: Vec<Conductor>,
    /// Admittances over the terminals, by rows.
    pub(super) admittance: Vec<Complex64>,
    /// That part of them which is shunts; empty for none.
    pub(super) shunt: Vec<Complex64>,
}

impl Primitive {
    fn new(
        nodes: &Nodes,
        branch: &Branch,
        sending: &[Conductor],
        receiving: &[Conductor],
    ) -> Result<Self, NetworkError> {
        let ends = sending.iter().map(|conductor| (branch.sending_bus, *conductor));
        let ends = ends.chain(receiving.iter().map(|conductor| (branch.receiving_bus, *conductor)));
        let terminals = ends
            .map(|(bus, conductor)| nodes.required(&branch.name, bus, conductor))
            .collect::<Result<Vec<_>, _>>()?;
        let size = terminals.len();
        Ok(Self {
            nodes: terminals,
            sending: sending.len(),
            conductors: [sending, receiving].concat(),
            admittance: vec![Complex64::ZERO; size * size],
            shunt: Vec::new(),
        })
    }

    /// The element of a branch; a transformer with its tap at `position`.
    pub(super) fn of(nodes: &Nodes, branch: &Branch, position: i32) -> Result<Self, NetworkError> {
        match &branch.element {
            Element::Line(line) => Self::line(nodes, branch, line),
            Element::Transformer(transformer) => Self::transformer(nodes, branch, transformer, position),
            Element::Admittance(admittance) => Self::admittance(nodes, branch, admittance),
        }
    }

    fn line(nodes: &Nodes, branch: &Branch, line: &Line) -> Result<Self, NetworkError> {
        let name = &branch.name;
        let size = line.conductors.len();
        distinct(name, &line.conductors)?;
        square(&format!("series impedance of {name}"), &line.series_ohm, size)?;
        if !line.shunt_s.is_empty() {
            square(&format!("shunt admittance of {name}"), &line.shunt_s, size)?;
        }
        let singular = || NetworkError::Singular { what: format!("series impedance of {name}") };
        let series = inverse(&line.series_ohm).ok_or_else(singular)?;
        let mut primitive = Self::new(nodes, branch, &line.conductors, &line.conductors)?;
        for (row, entries) in series.iter().enumerate() {
            for (column, value) in entries.iter().enumerate() {
                primitive.add(row, column, *value);
                primitive.add(size + row, size + column, *value);
                primitive.add(row, size + column, -value);
                primitive.add(size + row, column, -value);
            }
        }
        for (row, entries) in line.shunt_s.iter().enumerate() {
            for (column, value) in entries.iter().enumerate() {
                primitive.add_shunt(row, column, value / 2.0);
                primitive.add_shunt(size + row, size + column, value / 2.0);
            }
        }
        Ok(primitive)
    }

    fn admittance(nodes: &Nodes, branch: &Branch, element: &AdmittanceBranch) -> Result<Self, NetworkError> {
        distinct(&branch.name, &element.sending)?;
        if !element.receiving.is_empty() {
            distinct(&branch.name, &element.receiving)?;
        }
        let mut primitive = Self::new(nodes, branch, &element.sending, &element.receiving)?;
        let size = primitive.nodes.len();
        square(&format!("admittance of {}", branch.name), &element.admittance_s, size)?;
        primitive.admittance = element.admittance_s.concat();
        Ok(primitive)
    }

    fn transformer(
        nodes: &Nodes,
        branch: &Branch,
        transformer: &Transformer,
        position: i32,
    ) -> Result<Self, NetworkError> {
        let data = Rating::of(&branch.name, transformer, position)?;
        let pairs = coil_pairs(&branch.name, transformer.windings)?;
        let star = |bus, coils: Vec<Coil>| {
            let mut conductors: Vec<Conductor> =
                coils.iter().flat_map(|coil| [Some(coil.from), coil.to]).flatten().collect();
            if coils.iter().any(|coil| coil.to.is_none()) && nodes.find(bus, Conductor::Neutral).is_some() {
                conductors.push(Conductor::Neutral);
            }
            conductors.sort_unstable();
            conductors.dedup();
            conductors
        };
        let sending = star(branch.sending_bus, pairs.iter().map(|pair| pair.sending).collect());
        let receiving = star(branch.receiving_bus, pairs.iter().map(|pair| pair.receiving).collect());
        let mut primitive = Self::new(nodes, branch, &sending, &receiving)?;
        for pair in pairs {
            let mut from = ends_of(0, &sending, pair.sending);
            if pair.turned {
                from.swap(0, 1);
            }
            primitive.add_coils(&data, from, ends_of(sending.len(), &receiving, pair.receiving));
        }
        Ok(primitive)
    }

    fn add_coils(&mut self, data: &Rating, from: [Option<usize>; 2], to: [Option<usize>; 2]) {
        let ends = |coil: [Option<usize>; 2], weight: f64| [(coil[0], weight), (coil[1], -weight)];
        let sending = ends(from, 1.0 / data.sending_v);
        let receiving = ends(to, 1.0 / data.receiving_v);
        let opposite = ends(to, -1.0 / data.receiving_v);
        let both = [sending, opposite].concat();
        self.add_product(&both, data.series_va, false);
        self.add_product(&sending, data.no_load_va * data.sending_share, true);
        self.add_product(&receiving, data.no_load_va * (1.0 - data.sending_share), true);
        for (ends, volts) in [(from, data.sending_nominal_v), (to, data.receiving_nominal_v)] {
            let admittance = Complex64::new(0.0, -ANTIFLOAT * data.coil_va / (volts * volts));
            for end in ends.into_iter().flatten() {
                self.add_shunt(end, end, admittance);
            }
        }
    }

    /// Adds an admittance between weighted sums of terminals.
    fn add_product(&mut self, weights: &[(Option<usize>, f64)], admittance: Complex64, shunt: bool) {
        if admittance == Complex64::ZERO {
            return;
        }
        for (row, row_weight) in weights.iter().filter_map(|(at, weight)| Some(((*at)?, weight))) {
            for (column, weight) in weights.iter().filter_map(|(at, weight)| Some(((*at)?, weight))) {
                let value = admittance * row_weight * weight;
                if shunt {
                    self.add_shunt(row, column, value);
                } else {
                    self.add(row, column, value);
                }
            }
        }
    }

    fn add(&mut self, row: usize, column: usize, value: Complex64) {
        let size = self.nodes.len();
        self.admittance[row * size + column] += value;
    }

    fn add_shunt(&mut self, row: usize, column: usize, value: Complex64) {
        let size = self.nodes.len();
        if self.shunt.is_empty() {
            self.shunt = vec![Complex64::ZERO; size * size];
        }
        self.shunt[row * size + column] += value;
        self.add(row, column, value);
    }

    /// Currents into the terminals.
    pub(super) fn currents(&self, voltages: &[Complex64]) -> Vec<Complex64> {
        self.product(&self.admittance, voltages)
    }

    /// Power of the shunts.
    pub(super) fn shunt_power(&self, voltages: &[Complex64]) -> Complex64 {
        if self.shunt.is_empty() {
            return Complex64::ZERO;
        }
        let currents = self.product(&self.shunt, voltages);
        self.nodes.iter().zip(currents).map(|(node, current)| voltages[*node] * current.conj()).sum()
    }

    fn product(&self, matrix: &[Complex64], voltages: &[Complex64]) -> Vec<Complex64> {
        let rows = matrix.chunks(self.nodes.len().max(1));
        rows.map(|row| row.iter().zip(&self.nodes).map(|(entry, node)| entry * voltages[*node]).sum())
            .collect()
    }
}

/// Where the ends of a coil are among the terminals of its side, of which the first has this number; `None` for earth.
fn ends_of(first: usize, side: &[Conductor], coil: Coil) -> [Option<usize>; 2] {
    let place = |conductor| side.iter().position(|one| *one == conductor).map(|at| first + at);
    [place(coil.from), place(coil.to.unwrap_or(Conductor::Neutral))]
}

/// A transformer's numbers for one phase.
struct Rating {
    coil_va: f64,
    /// Short-circuit admittance on 1 V.
    series_va: Complex64,
    no_load_va: Complex64,
    sending_share: f64,
    sending_v: f64,
    /// With the tap.
    receiving_v: f64,
    sending_nominal_v: f64,
    receiving_nominal_v: f64,
}

impl Rating {
    fn of(name: &str, transformer: &Transformer, position: i32) -> Result<Self, NetworkError> {
        let value = |what: &str, value: f64, expected, holds: bool| {
            if holds && value.is_finite() {
                return Ok(value);
            }
            Err(NetworkError::Value { what: format!("{what} of {name}"), expected, found: value.to_string() })
        };
        let positive = |what, number: f64| value(what, number, "a number above 0", number > 0.0);
        let finite = |what, number: f64| value(what, number, "a finite number", true);
        let rated_va = positive("rated power", transformer.rated_power_va)?;
        let sending_v = positive("sending voltage", transformer.sending_voltage_v)?;
        let receiving_v = positive("receiving voltage", transformer.receiving_voltage_v)?;
        let r = finite("short-circuit resistance", transformer.resistance_percent)? / 100.0;
        let x = finite("short-circuit reactance", transformer.reactance_percent)? / 100.0;
        let loss = finite("no-load loss", transformer.no_load_loss_percent)? / 100.0;
        let magnetising = finite("magnetising power", transformer.magnetising_percent)? / 100.0;
        let sending_share = finite("share of the no-load losses", transformer.no_load_sending_share)?;
        let impedance = Complex64::new(r, x);
        if impedance.norm() < 1e-12 {
            return Err(NetworkError::Singular { what: format!("short-circuit impedance of {name}") });
        }
        let ratio = match transformer.taps {
            Some(taps) => 1.0 + f64::from(position - taps.neutral) * finite("tap step", taps.step)?,
            None => 1.0,
        };
        positive("ratio", ratio)?;
        let (coils, sending_v, receiving_v) = match transformer.windings {
            Windings::Three { sending, receiving, .. } => {
                (3.0, coil_voltage(sending, sending_v), coil_voltage(receiving, receiving_v))
            }
            Windings::Single { .. } => (1.0, sending_v, receiving_v),
        };
        let coil_va = rated_va / coils;
        Ok(Self {
            coil_va,
            series_va: coil_va / impedance,
            no_load_va: coil_va * Complex64::new(loss, -magnetising),
            sending_share,
            sending_v,
            receiving_v: receiving_v * ratio,
            sending_nominal_v: sending_v,
            receiving_nominal_v: receiving_v,
        })
    }
}

fn coil_voltage(winding: Winding, line_to_line_v: f64) -> f64 {
    match winding {
        Winding::Wye => line_to_line_v / 3f64.sqrt(),
        Winding::Delta => line_to_line_v,
    }
}

/// Two coils on one leg.
struct Pair {
    sending: Coil,
    receiving: Coil,
    /// Whether one of them is wound the other way round.
    turned: bool,
}

/// Which coil of the sending side is on one leg with which of the receiving side.
fn coil_pairs(name: &str, windings: Windings) -> Result<Vec<Pair>, NetworkError> {
    let (sending, receiving, clock) = match windings {
        Windings::Single { sending, receiving } => {
            for coil in [sending, receiving] {
                let ends = [Some(coil.from), coil.to];
                if coil.from == Conductor::Neutral
                    || coil.to == Some(Conductor::Neutral)
                    || ends[0] == ends[1]
                {
                    return Err(NetworkError::Value {
                        what: format!("coil of {name}"),
                        expected: "a phase and the star point, or two phases",
                        found: format!("{:?} and {:?}", coil.from, coil.to),
                    });
                }
            }
            return Ok(vec![Pair { sending, receiving, turned: false }]);
        }
        Windings::Three { sending, receiving, clock } => (sending, receiving, clock),
    };
    let odd = sending != receiving;
    if clock > 11 || (clock % 2 == 1) != odd {
        return Err(NetworkError::Value {
            what: format!("clock number of {name}"),
            expected: if odd { "1, 3, 5, 7, 9 or 11" } else { "0, 2, 4, 6, 8 or 10" },
            found: clock.to_string(),
        });
    }
    let legs = |from: usize, to: usize| {
        (0..3).map(move |leg| Coil { from: phase(leg + from), to: Some(phase(leg + to)) }).collect::<Vec<_>>()
    };
    let stars =
        |from: usize| (0..3).map(move |leg| Coil { from: phase(leg + from), to: None }).collect::<Vec<_>>();
    // By clock number, the coil on the delta side (or the phase on the other side and whether it is turned round) that
    // is in phase with phase 1 of the wye.
    let pairs: Vec<(Coil, Coil)> = match (sending, receiving) {
        (Winding::Delta, Winding::Wye) => {
            let (from, to) = delta_of(clock);
            legs(from, to).into_iter().zip(stars(0)).collect()
        }
        (Winding::Wye, Winding::Delta) => {
            let (from, to) = delta_of(12 - clock);
            stars(0).into_iter().zip(legs(from, to)).collect()
        }
        (Winding::Wye, Winding::Wye) => {
            let (shift, turned) = same_of(clock);
            let pairs = stars(shift).into_iter().zip(stars(0));
            return Ok(pairs.map(|(sending, receiving)| Pair { sending, receiving, turned }).collect());
        }
        (Winding::Delta, Winding::Delta) => {
            let (shift, turned) = same_of(clock);
            let ends = if turned { (shift + 1, shift) } else { (shift, shift + 1) };
            legs(ends.0, ends.1).into_iter().zip(legs(0, 1)).collect()
        }
    };
    Ok(pairs.into_iter().map(|(sending, receiving)| Pair { sending, receiving, turned: false }).collect())
}

fn phase(at: usize) -> Conductor {
    Conductor::PHASES[at % 3]
}

/// Between which phases of the delta the coil lies that is in phase with phase 1 of a wye which lags the delta by 30
/// degrees times `clock`.
const fn delta_of(clock: u8) -> (usize, usize) {
    match clock {
        11 => (0, 1),
        1 => (0, 2),
        3 => (1, 2),
        5 => (1, 0),
        7 => (2, 0),
        _ => (2, 1),
    }
}

/// Which phase of one side is in phase with phase 1 of the other, which lags it by 30 degrees times `clock`, and whether
/// its coil is turned round.
const fn same_of(clock: u8) -> (usize, bool) {
    match clock {
        0 => (0, false),
        4 => (1, false),
        8 => (2, false),
        6 => (0, true),
        10 => (1, true),
        _ => (2, true),
    }
}

fn distinct(name: &str, conductors: &[Conductor]) -> Result<(), NetworkError> {
    let twice = conductors.iter().enumerate().find(|(at, one)| conductors[..*at].contains(one));
    if conductors.is_empty() || twice.is_some() {
        return Err(NetworkError::Value {
            what: format!("conductors of {name}"),
            expected: "at least one, each once",
            found: format!("{conductors:?}"),
        });
    }
    Ok(())
}

fn square(what: &str, matrix: &[Vec<Complex64>], size: usize) -> Result<(), NetworkError> {
    let wrong = |found| NetworkError::Size { what: what.to_owned(), expected: size, found };
    if matrix.len() != size {
        return Err(wrong(matrix.len()));
    }
    if let Some(row) = matrix.iter().find(|row| row.len() != size) {
        return Err(wrong(row.len()));
    }
    match matrix.iter().flatten().find(|entry| !entry.is_finite()) {
        Some(entry) => Err(NetworkError::Value {
            what: what.to_owned(),
            expected: "finite numbers",
            found: entry.to_string(),
        }),
        None => Ok(()),
    }
}

/// An admittance between two terminals of a bus.
pub(super) fn between(ends: [Terminal; 2], admittance: Complex64) -> Vec<(usize, usize, Complex64)> {
    match ends {
        [Terminal::Node(a), Terminal::Node(b)] => {
            vec![(a, a, admittance), (b, b, admittance), (a, b, -admittance), (b, a, -admittance)]
        }
        [Terminal::Node(a), Terminal::Earth] | [Terminal::Earth, Terminal::Node(a)] => {
            vec![(a, a, admittance)]
        }
        [Terminal::Earth, Terminal::Earth] => Vec::new(),
    }
}
