//! What the built-in engine solves: a [`Network`] is buses, sources, [`Branch`]es and [`Shunt`]s as plain data, in SI
//! units. A branch is a [`Line`], a [`Transformer`] or an [`AdmittanceBranch`], which is any element at all, given by its
//! primitive admittance matrix.
//!
//! Buses and branches are counted from 0 in the order of the lists, here and in everything the engine gives back.
//!
//! A star point (of a source, load, shunt or transformer winding in wye) is the neutral of its bus, or earth where the
//! bus has no neutral. Sources are the exception: they hold their phases against earth; and a transformer may say
//! otherwise ([`StarPoint`](crate::StarPoint)).

use crate::{Conductor, Connection, Line, TapRange, Transformer};
use num_complex::Complex64;

/// A network. `BuiltIn::new` checks it whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    /// Every bus.
    pub buses: Vec<Bus>,
    /// What holds the voltage.
    pub sources: Vec<Source>,
    /// Lines, transformers and other elements between two buses.
    pub branches: Vec<Branch>,
    /// Elements of constant admittance at one bus.
    pub shunts: Vec<Shunt>,
    /// Below which part of its nominal voltage a load of constant power or current goes on as the constant impedance
    /// that it is there; `None`: never. OpenDSS calls it `Vminpu`, and has 0.95 unless told otherwise.
    pub lowest_constant_power_voltage_pu: Option<f64>,
    /// The power that mismatches are judged by, in VA; `None`: 100 kVA. A solution balances to `1e-9` of it at every
    /// bus.
    pub base_power_va: Option<f64>,
}

impl Network {
    /// Adds a bus and gives its number.
    pub fn add_bus(&mut self, bus: Bus) -> usize {
        self.buses.push(bus);
        self.buses.len() - 1
    }

    /// Adds a branch and gives its number.
    pub fn add_branch(&mut self, branch: Branch) -> usize {
        self.branches.push(branch);
        self.branches.len() - 1
    }

    /// Which bus has this name.
    #[must_use]
    pub fn bus(&self, name: &str) -> Option<usize> {
        self.buses.iter().position(|bus| bus.name == name)
    }
}

/// A bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Bus {
    /// Its name, unlike all others.
    pub name: String,
    /// Nominal voltage, line to line, in V.
    pub base_voltage_v: f64,
    /// Its conductors, each once, phases first.
    pub conductors: Vec<Conductor>,
    /// Resistance between its neutral and earth in ohm, 0 for a solid connection; `None`: not earthed here. Without
    /// meaning if it has no neutral.
    pub neutral_earthing_ohm: Option<f64>,
}

impl Bus {
    /// A bus of three phases whose neutral, if there is one, is earthed everywhere.
    #[must_use]
    pub fn three_phase(name: impl Into<String>, base_voltage_v: f64) -> Self {
        Self {
            name: name.into(),
            base_voltage_v,
            conductors: Conductor::PHASES.to_vec(),
            neutral_earthing_ohm: None,
        }
    }

    /// A bus of three phases and a neutral of its own.
    #[must_use]
    pub fn four_wire(
        name: impl Into<String>,
        base_voltage_v: f64,
        neutral_earthing_ohm: Option<f64>,
    ) -> Self {
        let mut bus = Self::three_phase(name, base_voltage_v);
        bus.conductors.push(Conductor::Neutral);
        bus.neutral_earthing_ohm = neutral_earthing_ohm;
        bus
    }
}

/// A source: it holds the phases of a bus against earth, straight or behind an impedance.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The bus.
    pub bus: usize,
    /// What it holds on phases 1, 2 and 3, as a part of the nominal voltage of the bus.
    pub voltage_pu: [f64; 3],
    /// The angles of phases 1, 2 and 3 in degrees.
    pub angle_deg: [f64; 3],
    /// Its short-circuit impedance; `None`: it holds the bus itself.
    pub impedance: Option<SequenceImpedance>,
}

impl Source {
    /// A balanced source that holds the bus itself, phase 1 at 0 degrees.
    #[must_use]
    pub const fn balanced(bus: usize, voltage_pu: f64) -> Self {
        Self { bus, voltage_pu: [voltage_pu; 3], angle_deg: [0.0, -120.0, 120.0], impedance: None }
    }
}

/// An impedance of three phases alike, by symmetrical components.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SequenceImpedance {
    /// Positive (and negative) sequence, in ohm.
    pub positive_ohm: Complex64,
    /// Zero sequence, in ohm.
    pub zero_ohm: Complex64,
}

/// What lies between two buses.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Its name, unlike all others.
    pub name: String,
    /// The bus where it begins.
    pub sending_bus: usize,
    /// The bus where it ends.
    pub receiving_bus: usize,
    /// The current that it may carry for ever, in A at the sending end; `None` if nobody said.
    pub rated_current_a: Option<f64>,
    /// What it is.
    pub element: Element,
}

/// What a branch is.
#[derive(Debug, Clone, PartialEq)]
pub enum Element {
    /// A line or cable.
    Line(Line),
    /// A transformer or regulator.
    Transformer(Transformer),
    /// Anything else.
    Admittance(AdmittanceBranch),
}

/// Any linear element between two buses: currents into its terminals are `admittance_s` times the voltages there
/// against earth.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmittanceBranch {
    /// The terminals at the sending end.
    pub sending: Vec<Conductor>,
    /// The terminals at the receiving end; none for an element at the sending bus alone.
    pub receiving: Vec<Conductor>,
    /// The primitive admittance matrix in S by rows: first the sending, then the receiving terminals.
    pub admittance_s: Vec<Vec<Complex64>>,
}

/// An element of constant admittance at a bus: a capacitor, a reactor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shunt {
    /// The bus.
    pub bus: usize,
    /// How it is connected.
    pub connection: Connection,
    /// Admittance in S of each of the phases (or of each side of the delta) that it is connected to.
    pub admittance_s: Complex64,
}

impl Shunt {
    /// A capacitor that gives `reactive_power_var` (all phases together) at the nominal line-to-line voltage
    /// `rated_voltage_v`.
    #[must_use]
    pub fn capacitor(
        bus: usize,
        connection: Connection,
        reactive_power_var: f64,
        rated_voltage_v: f64,
    ) -> Self {
        let squared_v2 = rated_voltage_v * rated_voltage_v;
        let susceptance_s = match connection {
            Connection::Wye | Connection::Between(..) => reactive_power_var / squared_v2,
            Connection::Delta => reactive_power_var / squared_v2 / 3.0,
            Connection::Phase(_) => 3.0 * reactive_power_var / squared_v2,
        };
        Self { bus, connection, admittance_s: Complex64::new(0.0, susceptance_s) }
    }
}

/// Why a network cannot be solved at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// No bus, or no source.
    #[error("a network needs {missing}")]
    Empty {
        /// What there is none of.
        missing: &'static str,
    },
    /// Two buses or two branches share a name.
    #[error("there are two {what} with the name {name}")]
    Name {
        /// Buses or branches.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something names a bus that is not there.
    #[error("{what} is at bus {bus}, which is not there")]
    UnknownBus {
        /// What does.
        what: String,
        /// What it says: a number or a name.
        bus: String,
    },
    /// An element is connected to a conductor that the bus does not have.
    #[error("{what} is connected to {conductor} of bus {bus}, which has none")]
    UnknownConductor {
        /// The element.
        what: String,
        /// The bus.
        bus: String,
        /// The conductor.
        conductor: String,
    },
    /// A number that cannot be.
    #[error("{what}: expected {expected}, found {found}")]
    Value {
        /// Of what.
        what: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A matrix or list of another size than the conductors ask for.
    #[error("{what}: expected {expected} entries, found {found}")]
    Size {
        /// Which one.
        what: String,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A series impedance or a primitive matrix without inverse, most often one of 0 ohm.
    #[error("{what} has no inverse; an impedance of zero cannot be solved for")]
    Singular {
        /// Which one.
        what: String,
    },
    /// Two sources hold the same conductor.
    #[error("two sources hold bus {bus}")]
    Sources {
        /// The bus.
        bus: String,
    },
    /// Parts that no source reaches.
    #[error("no source reaches {}", buses.join(", "))]
    Islanded {
        /// The buses.
        buses: Vec<String>,
    },
    /// A network of per-unit data has no root, or more than one.
    #[error("expected one root bus, found {found}")]
    Roots {
        /// How many.
        found: usize,
    },
}

impl Branch {
    /// Where its taps can stand.
    #[must_use]
    pub const fn taps(&self) -> Option<TapRange> {
        match &self.element {
            Element::Transformer(transformer) => transformer.taps,
            Element::Line(_) | Element::Admittance(_) => None,
        }
    }
}

pub(crate) fn positive(what: &str, value: f64) -> Result<(), NetworkError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(NetworkError::Value { what: what.to_owned(), expected: "a number above 0", found: value.to_string() })
}
