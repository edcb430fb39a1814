//! [`BuiltIn`], the engine that needs no installation.

use crate::{Engine, Network, NetworkError, Operation, Solution, SolveError, Topology};

/// The built-in engine: current injection on the nodal admittance matrix, which is factored once.
#[derive(Debug)]
pub struct BuiltIn {
    topology: Topology,
}

impl BuiltIn {
    /// Checks a network and factors its admittance matrix.
    ///
    /// # Errors
    /// When something of the network cannot be; see [`NetworkError`].
    pub fn new(network: &Network) -> Result<Self, NetworkError> {
        let _ = network;
        Err(NetworkError::Empty { missing: "an engine" })
    }
}

impl Engine for BuiltIn {
    fn topology(&self) -> &Topology {
        &self.topology
    }

    fn solve(&mut self, operation: &Operation) -> Result<Solution, SolveError> {
        let _ = operation;
        Err(SolveError::Engine("not finished".into()))
    }
}
