//! What every engine of power flow takes and gives.

use num_complex::Complex64;
use std::collections::BTreeMap;

/// A conductor of a bus or branch, as SimCES counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conductor {
    /// Phase 1, at 0 degrees.
    Phase1,
    /// Phase 2, at -120 degrees.
    Phase2,
    /// Phase 3, at 120 degrees.
    Phase3,
    /// The neutral, where the network has one that is not earthed everywhere.
    Neutral,
}

impl Conductor {
    /// The three phases.
    pub const PHASES: [Self; 3] = [Self::Phase1, Self::Phase2, Self::Phase3];

    /// Phase `number`, from 1 to 3.
    #[must_use]
    pub fn phase(number: u8) -> Option<Self> {
        Self::PHASES.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// What an engine's network is made of. Buses and branches are counted from 0 in the order of these lists everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// Every bus.
    pub buses: Vec<BusInfo>,
    /// Every branch: lines, cables, transformers.
    pub branches: Vec<BranchInfo>,
}

impl Topology {
    /// Which bus has this name.
    #[must_use]
    pub fn bus(&self, name: &str) -> Option<usize> {
        self.buses.iter().position(|bus| bus.name == name)
    }

    /// Which branch has this name.
    #[must_use]
    pub fn branch(&self, name: &str) -> Option<usize> {
        self.branches.iter().position(|branch| branch.name == name)
    }
}

/// A bus.
#[derive(Debug, Clone, PartialEq)]
pub struct BusInfo {
    /// Its name.
    pub name: String,
    /// Nominal voltage, line to line, in V.
    pub base_voltage_v: f64,
    /// The conductors it has, in their order.
    pub conductors: Vec<Conductor>,
    /// Whether a source holds its voltage.
    pub is_source: bool,
}

/// A branch between two buses.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchInfo {
    /// Its name.
    pub name: String,
    /// The bus where it begins.
    pub sending_bus: usize,
    /// The bus where it ends.
    pub receiving_bus: usize,
    /// Its conductors, in their order.
    pub conductors: Vec<Conductor>,
    /// The current that it may carry for ever, in A at the sending end; `None` if nobody said.
    pub rated_current_a: Option<f64>,
    /// Where its taps can stand; `None` for a branch without.
    pub taps: Option<TapRange>,
    /// Where they stand unless an operation says otherwise. Without meaning for a branch without.
    pub tap_position: i32,
}

/// The positions of a tap changer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TapRange {
    /// Lower end stop.
    pub lowest: i32,
    /// Upper end stop.
    pub highest: i32,
    /// The position of nominal ratio.
    pub neutral: i32,
    /// By how much one position up raises the rated voltage of the side that has the taps, as a part of the nominal one.
    /// On the receiving side that raises the voltage there; on the sending side it lowers the one at the receiving side.
    pub step: f64,
}

/// For what a network is to be solved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Operation {
    /// Everything that feeds in or draws.
    pub injections: Vec<Injection>,
    /// Positions of tap changers by branch. Those that are not named stand where the network says.
    pub tap_positions: BTreeMap<usize, i32>,
    /// What the source holds, as a part of the nominal voltage; `None`: what the network says.
    pub source_voltage_pu: Option<f64>,
}

/// One resource at a bus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Injection {
    /// The bus.
    pub bus: usize,
    /// Which conductors it is connected to.
    pub connection: Connection,
    /// Real power at nominal voltage in W, all phases together, positive towards the grid.
    pub real_power_w: f64,
    /// Reactive power at nominal voltage in var, all phases together, positive towards the grid.
    pub reactive_power_var: f64,
    /// What its power does when the voltage is another.
    pub dependence: VoltageDependence,
}

/// How a resource is connected. A wye's star point is the bus's neutral, or earth where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// To all three phases alike, in wye.
    Wye,
    /// To all three phases alike, in delta.
    Delta,
    /// Between one phase and the star point.
    Phase(Conductor),
    /// Between two phases.
    Between(Conductor, Conductor),
}

/// What the power of a resource does when its voltage is not nominal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum VoltageDependence {
    /// The same power at any voltage.
    ConstantPower,
    /// The same current: power goes with the voltage.
    ConstantCurrent,
    /// The same impedance: power goes with the square of the voltage.
    ConstantImpedance,
    /// Shares of the three, which add up to 1.
    Zip {
        /// Share of constant impedance.
        impedance: f64,
        /// Share of constant current.
        current: f64,
        /// Share of constant power.
        power: f64,
    },
}

/// The state of a network that was solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// By bus, the voltage of each of its conductors in their order, in V against earth.
    pub voltages_v: Vec<Vec<Complex64>>,
    /// By branch, what flows in it.
    pub branches: Vec<BranchFlow>,
    /// What the sources give, in VA, positive towards the grid.
    pub source_power_va: Complex64,
    /// How many iterations it took.
    pub iterations: u32,
}

/// What flows in a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchFlow {
    /// By conductor in their order, its currents.
    pub conductors: Vec<ConductorFlow>,
    /// Power lost in series, in VA.
    pub series_loss_va: Complex64,
    /// Power of the shunts, in VA.
    pub shunt_loss_va: Complex64,
}

/// The current of one conductor in A, positive into the branch at either end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConductorFlow {
    /// At the sending end.
    pub sending_a: Complex64,
    /// At the receiving end.
    pub receiving_a: Complex64,
}

/// Why a network has no solution.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SolveError {
    /// The iteration came to no end: most often more power than the network can carry.
    #[error(
        "no convergence after {iterations} iterations: at bus {bus} the voltage still changes by {change_pu:.1e} pu"
    )]
    NoConvergence {
        /// How many there were.
        iterations: u32,
        /// Where it changed most.
        bus: String,
        /// By how much of the nominal voltage, in the last iteration.
        change_pu: f64,
    },
    /// Something is connected where no source reaches.
    #[error("no source reaches {}", buses.join(", "))]
    Islanded {
        /// The buses.
        buses: Vec<String>,
    },
    /// A resource is connected to a conductor that its bus does not have, or to a bus that is not there.
    #[error("injection {index} at bus {bus}: {reason}")]
    Injection {
        /// Which one, in the order of the operation.
        index: usize,
        /// The bus, by name or number.
        bus: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A tap position beyond the end stops, or of a branch without taps.
    #[error("branch {branch} has no tap position {position}")]
    TapPosition {
        /// The branch.
        branch: String,
        /// What was asked for.
        position: i32,
    },
    /// A number that is not finite.
    #[error("{what} is not a finite number")]
    NotFinite {
        /// Which one.
        what: String,
    },
    /// The engine itself failed.
    #[error("{0}")]
    Engine(String),
}

impl Solution {
    /// The voltage of a conductor at a bus, in V against earth; `None` if there is none.
    #[must_use]
    pub fn voltage(&self, topology: &Topology, bus: usize, conductor: Conductor) -> Option<Complex64> {
        let at = topology.buses.get(bus)?.conductors.iter().position(|one| *one == conductor)?;
        self.voltages_v.get(bus)?.get(at).copied()
    }

    /// The voltage of a conductor against the neutral of its bus (against earth, where it has none), in V.
    #[must_use]
    pub fn voltage_to_neutral(
        &self,
        topology: &Topology,
        bus: usize,
        conductor: Conductor,
    ) -> Option<Complex64> {
        let neutral = self.voltage(topology, bus, Conductor::Neutral).unwrap_or_default();
        Some(self.voltage(topology, bus, conductor)? - neutral)
    }

    /// Its magnitude as a part of the nominal phase voltage.
    #[must_use]
    pub fn magnitude_pu(&self, topology: &Topology, bus: usize, conductor: Conductor) -> Option<f64> {
        let nominal_v = topology.buses.get(bus)?.base_voltage_v / 3f64.sqrt();
        Some(self.voltage_to_neutral(topology, bus, conductor)?.norm() / nominal_v)
    }

    /// What all branches lose in series and in their shunts, in VA.
    #[must_use]
    pub fn losses_va(&self) -> Complex64 {
        self.branches.iter().map(|branch| branch.series_loss_va + branch.shunt_loss_va).sum()
    }
}

/// Something that solves a network.
pub trait Engine: Send {
    /// What the network is made of.
    fn topology(&self) -> &Topology;

    /// Solves the network for `operation`. One solution is independent of those before.
    ///
    /// # Errors
    /// When there is no solution; see [`SolveError`].
    fn solve(&mut self, operation: &Operation) -> Result<Solution, SolveError>;
}
