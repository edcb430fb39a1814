//! [`BuiltIn`], the engine that needs no installation.
//!
//! The network becomes a nodal admittance matrix over the conductors of all buses. Nodes that a source or a solid
//! earthing holds are eliminated; the rest is factored once for each position of the taps. What resources inject are
//! currents at the voltages of the step before (a fixed point), starting from the network without load; where that does
//! not come to rest, Newton's method on the same equations takes over.

mod coils;
mod factor;
mod injections;
mod iterate;
mod model;
mod nodes;
mod primitive;
mod state;
mod windings;

use crate::{
    Branch, BranchFlow, ConductorFlow, Engine, Network, NetworkError, Operation, Solution, SolveError,
    Topology,
};
use factor::{FactorError, Order};
use injections::{Draw, draws};
use iterate::Problem;
use model::Model;
use num_complex::Complex64;
use primitive::Primitive;
use state::{State, Unknowns};

/// For how many positions of all taps the factors are kept.
const KEPT_STATES: usize = 8;

/// The built-in engine: current injection on the nodal admittance matrix.
#[derive(Debug)]
pub struct BuiltIn {
    topology: Topology,
    model: Model,
    unknowns: Unknowns,
    order: Order,
    /// Branches with taps, by number.
    tapped: Vec<(usize, Branch)>,
    /// The factors for some positions of the taps; the one used last comes first.
    states: Vec<State>,
    lowest_pu: Option<f64>,
}

impl BuiltIn {
    /// Checks a network and factors its admittance matrix.
    ///
    /// # Errors
    /// When something of the network cannot be; see [`NetworkError`].
    pub fn new(network: &Network) -> Result<Self, NetworkError> {
        let model = Model::of(network)?;
        let topology = model::topology(network, &model.primitives);
        let unknowns = Unknowns::of(&model);
        let positions = topology.branches.iter().map(|branch| branch.tap_position).collect();
        let made = State::new(&model, &unknowns, positions, model.primitives.clone(), None);
        let (state, order) = made.map_err(|error| NetworkError::Singular {
            what: match error {
                FactorError::Singular(unknown) => {
                    let bus = unknowns.nodes.get(unknown).map_or(0, |node| model.nodes.bus_of(*node));
                    format!("the admittance matrix of the network, at bus {},", model.nodes.bus_name(bus))
                }
                FactorError::Memory => "the admittance matrix, which does not fit into memory,".to_owned(),
            },
        })?;
        let tapped = network.branches.iter().enumerate().filter(|(_, branch)| branch.taps().is_some());
        Ok(Self {
            topology,
            tapped: tapped.map(|(number, branch)| (number, branch.clone())).collect(),
            model,
            unknowns,
            order,
            states: vec![state],
            lowest_pu: network.lowest_constant_power_voltage_pu,
        })
    }

    /// By bus and conductor in their order, the power in VA that a solution leaves over: what flows into branches,
    /// shunts and earthings less what resources and sources give. The current of each conductor is held against the
    /// nominal voltage of its bus, so that neutrals count too.
    ///
    /// # Errors
    /// When `operation` does not fit the network.
    pub fn balance_va(
        &mut self,
        operation: &Operation,
        solution: &Solution,
    ) -> Result<Vec<Vec<Complex64>>, SolveError> {
        self.choose_state(operation)?;
        let draws = draws(&self.model.nodes, operation, self.lowest_pu)?;
        let voltages: Vec<Complex64> = solution.voltages_v.concat();
        if voltages.len() != self.model.nodes.len() {
            return Err(SolveError::Engine("the solution is of another network".into()));
        }
        let mut net = self.net_currents(&draws, &voltages);
        for source in &self.model.sources {
            for (node, current) in source.currents(&voltages, operation.source_voltage_pu) {
                net[node] -= current;
            }
        }
        for (node, held) in self.model.held.iter().enumerate() {
            if *held {
                net[node] = Complex64::ZERO;
            }
        }
        let powers =
            net.iter().zip(&self.model.nodes.nominal_v).map(|(current, volts)| current.conj() * volts);
        Ok(self.by_bus(&powers.collect::<Vec<_>>()))
    }

    /// By node, what flows into the network less what resources inject.
    fn net_currents(&self, draws: &[Draw], voltages: &[Complex64]) -> Vec<Complex64> {
        let mut net = vec![Complex64::ZERO; voltages.len()];
        for draw in draws {
            draw.add_to(&mut net, voltages);
        }
        net.iter_mut().for_each(|current| *current = -*current);
        for primitive in self.states.iter().take(1).flat_map(|state| &state.primitives) {
            for (node, current) in primitive.nodes.iter().zip(primitive.currents(voltages)) {
                net[*node] += current;
            }
        }
        for (row, column, value) in &self.model.at_buses {
            net[*row] += value * voltages[*column];
        }
        net
    }

    fn by_bus(&self, by_node: &[Complex64]) -> Vec<Vec<Complex64>> {
        (0..self.model.nodes.bus_count()).map(|bus| by_node[self.model.nodes.range(bus)].to_vec()).collect()
    }

    /// Brings the factors for the positions of an operation to the front.
    fn choose_state(&mut self, operation: &Operation) -> Result<(), SolveError> {
        let positions = self.positions(operation)?;
        if let Some(at) = self.states.iter().position(|state| state.positions == positions) {
            self.states[..=at].rotate_right(1);
            return Ok(());
        }
        let mut primitives = self.model.primitives.clone();
        for (number, branch) in &self.tapped {
            let made = Primitive::of(&self.model.nodes, branch, positions[*number]);
            primitives[*number] = made.map_err(|error| SolveError::Engine(error.to_string()))?;
        }
        let made = State::new(&self.model, &self.unknowns, positions, primitives, Some(&self.order));
        let (state, _) =
            made.map_err(|_| SolveError::Engine("the admittance matrix has no inverse".into()))?;
        self.states.truncate(KEPT_STATES - 1);
        self.states.insert(0, state);
        Ok(())
    }

    fn positions(&self, operation: &Operation) -> Result<Vec<i32>, SolveError> {
        let mut positions: Vec<i32> =
            self.topology.branches.iter().map(|branch| branch.tap_position).collect();
        for (branch, position) in &operation.tap_positions {
            let info = self.topology.branches.get(*branch);
            let taps = info.and_then(|info| info.taps);
            match taps {
                Some(taps) if taps.lowest <= *position && *position <= taps.highest => {
                    positions[*branch] = *position;
                }
                _ => {
                    return Err(SolveError::TapPosition {
                        branch: info.map_or_else(|| branch.to_string(), |info| info.name.clone()),
                        position: *position,
                    });
                }
            }
        }
        Ok(positions)
    }

    fn solution(
        &self,
        operation: &Operation,
        draws: &[Draw],
        voltages: &[Complex64],
        iterations: u32,
    ) -> Solution {
        let net = self.net_currents(draws, voltages);
        let mut source_power_va = Complex64::ZERO;
        for source in &self.model.sources {
            if source.admittance.is_none() {
                source_power_va += source
                    .phases
                    .iter()
                    .map(|(node, ..)| voltages[*node] * net[*node].conj())
                    .sum::<Complex64>();
            } else {
                let currents = source.currents(voltages, operation.source_voltage_pu);
                source_power_va += currents
                    .iter()
                    .map(|(node, current)| voltages[*node] * current.conj())
                    .sum::<Complex64>();
            }
        }
        let primitives = self.states.iter().take(1).flat_map(|state| &state.primitives);
        let branches = primitives.zip(&self.topology.branches);
        let branches =
            branches.map(|(primitive, info)| flow(primitive, &info.conductors, voltages)).collect();
        Solution { voltages_v: self.by_bus(voltages), branches, source_power_va, iterations }
    }
}

fn flow(primitive: &Primitive, conductors: &[crate::Conductor], voltages: &[Complex64]) -> BranchFlow {
    let currents = primitive.currents(voltages);
    let total: Complex64 =
        primitive.nodes.iter().zip(&currents).map(|(node, current)| voltages[*node] * current.conj()).sum();
    let shunt_loss_va = primitive.shunt_power(voltages);
    let (sending, receiving) = currents.split_at(primitive.sending);
    let (sending_conductors, receiving_conductors) = primitive.conductors.split_at(primitive.sending);
    let of = |side: &[crate::Conductor], currents: &[Complex64], conductor| {
        let at = side.iter().position(|one| *one == conductor);
        at.and_then(|at| currents.get(at)).copied().unwrap_or_default()
    };
    let conductors = conductors.iter().map(|conductor| ConductorFlow {
        sending_a: of(sending_conductors, sending, *conductor),
        receiving_a: of(receiving_conductors, receiving, *conductor),
    });
    BranchFlow { conductors: conductors.collect(), series_loss_va: total - shunt_loss_va, shunt_loss_va }
}

impl Engine for BuiltIn {
    fn topology(&self) -> &Topology {
        &self.topology
    }

    fn solve(&mut self, operation: &Operation) -> Result<Solution, SolveError> {
        if let Some(magnitude) = operation.source_voltage_pu
            && !(magnitude.is_finite() && magnitude > 0.0)
        {
            return Err(SolveError::NotFinite { what: format!("the source voltage {magnitude}") });
        }
        self.choose_state(operation)?;
        let draws = draws(&self.model.nodes, operation, self.lowest_pu)?;
        let magnitude = operation.source_voltage_pu;
        let mut no_load = vec![Complex64::ZERO; self.model.nodes.len()];
        for source in self.model.sources.iter().filter(|source| source.admittance.is_none()) {
            source.voltages(magnitude).for_each(|(node, voltage)| no_load[node] = voltage);
        }
        let Some(state) = self.states.first_mut() else {
            return Err(SolveError::Engine("no factors".into()));
        };
        let sources = state.source_currents(&self.model, &self.unknowns, &no_load, magnitude);
        let mut right = sources.clone();
        state.factors.solve(&mut right);
        for (value, node) in right.into_iter().zip(&self.unknowns.nodes) {
            no_load[*node] = value;
        }
        let mut problem = Problem {
            nodes: &self.model.nodes,
            unknowns: &self.unknowns,
            state,
            draws: draws.clone(),
            base_power_va: self.model.base_power_va,
            sources,
            no_load,
        };
        let (voltages, iterations) = problem.solve()?;
        Ok(self.solution(operation, &draws, &voltages, iterations))
    }
}
