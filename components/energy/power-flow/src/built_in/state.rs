//! [`State`]: the admittance matrix for one position of all taps, and its factors.

use super::factor::{Columns, FactorError, Factors, Order};
use super::model::Model;
use super::primitive::Primitive;
use num_complex::Complex64;

/// Which node is which unknown.
#[derive(Debug, Clone)]
pub(super) struct Unknowns {
    /// By unknown, its node.
    pub(super) nodes: Vec<usize>,
    /// By node, its unknown; `None` if it is held.
    pub(super) of_node: Vec<Option<usize>>,
}

impl Unknowns {
    pub(super) fn of(model: &Model) -> Self {
        let mut unknowns = Self { nodes: Vec::new(), of_node: vec![None; model.held.len()] };
        for (node, held) in model.held.iter().enumerate() {
            if !held {
                unknowns.of_node[node] = Some(unknowns.nodes.len());
                unknowns.nodes.push(node);
            }
        }
        unknowns
    }
}

/// Everything that depends on the taps.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// By branch, where its taps stand; 0 without.
    pub(super) positions: Vec<i32>,
    pub(super) primitives: Vec<Primitive>,
    /// The admittances among the unknowns.
    pub(super) matrix: Columns<Complex64>,
    pub(super) factors: Factors<Complex64>,
    /// By unknown and held node, the admittance between.
    coupling: Vec<(usize, usize, Complex64)>,
}

impl State {
    /// Also gives the order of elimination, which is the same for all positions.
    pub(super) fn new(
        model: &Model,
        unknowns: &Unknowns,
        positions: Vec<i32>,
        primitives: Vec<Primitive>,
        order: Option<&Order>,
    ) -> Result<(Self, Order), FactorError> {
        let mut entries = Vec::new();
        let mut coupling = Vec::new();
        let mut add = |row: usize, column: usize, value: Complex64| match (
            unknowns.of_node[row],
            unknowns.of_node[column],
        ) {
            (Some(row), Some(column)) => entries.push((row, column, value)),
            (Some(row), None) => coupling.push((row, column, value)),
            (None, _) => {}
        };
        for primitive in &primitives {
            let size = primitive.nodes.len();
            for (at, value) in primitive.admittance.iter().enumerate() {
                add(primitive.nodes[at / size], primitive.nodes[at % size], *value);
            }
        }
        for (row, column, value) in &model.at_buses {
            add(*row, *column, *value);
        }
        for source in &model.sources {
            for (row, entries) in source.phases.iter().zip(source.admittance.iter().flatten()) {
                for (column, value) in source.phases.iter().zip(entries) {
                    add(row.0, column.0, *value);
                }
            }
        }
        let matrix = Columns::new(unknowns.nodes.len(), entries);
        let order = match order {
            Some(order) => order.clone(),
            None => Order::of(&matrix)?,
        };
        let factors = Factors::new(&matrix, &order)?;
        Ok((Self { positions, primitives, matrix, factors, coupling }, order))
    }

    /// What flows into the unknown nodes from held ones and from sources behind an impedance.
    pub(super) fn source_currents(
        &self,
        model: &Model,
        unknowns: &Unknowns,
        voltages: &[Complex64],
        magnitude_pu: Option<f64>,
    ) -> Vec<Complex64> {
        let mut currents = vec![Complex64::ZERO; unknowns.nodes.len()];
        for (row, column, value) in &self.coupling {
            currents[*row] -= value * voltages[*column];
        }
        let nothing = vec![Complex64::ZERO; voltages.len()];
        for source in &model.sources {
            for (node, current) in source.currents(&nothing, magnitude_pu) {
                if let Some(unknown) = unknowns.of_node[node] {
                    currents[unknown] += current;
                }
            }
        }
        currents
    }
}
