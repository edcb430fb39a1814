//! Unbalanced three-phase power flow of distribution networks.
//!
//! An [`Engine`] knows a network and solves it for an [`Operation`]: what everybody feeds in or draws, where the taps
//! stand, and what the source holds. The answer is a [`Solution`]: the voltage of every conductor at every bus, the
//! current and loss of every branch.
//!
//! Everything is in SI units, positive towards the grid. Voltages are complex phasors of r.m.s. value against earth.

mod built_in;
mod engine;
mod line;
mod network;
mod per_unit;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod sensitivity;
#[cfg(test)]
mod tests;
mod transformer;

pub use built_in::BuiltIn;
pub use engine::{
    BranchFlow, BranchInfo, BusInfo, Conductor, ConductorFlow, Connection, Engine, Injection, Operation,
    Solution, SolveError, TapRange, Topology, VoltageDependence,
};
pub use line::{Line, SequenceValues};
pub use network::{
    AdmittanceBranch, Branch, Bus, Element, Network, NetworkError, SequenceImpedance, Shunt, Source,
};
pub use num_complex::Complex64;
pub use per_unit::{BusKind, PerUnitBranch, PerUnitBus, PerUnitNetwork, Wires};
pub use sensitivity::{CurrentChange, Probe, Sensitivities, Sensitivity, sensitivities};
pub use transformer::{Coil, Side, StarPoint, Transformer, Winding, Windings};
