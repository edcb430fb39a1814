//! How the voltages are found: [`Problem::fixed_point`], and [by levels of load](super::levels) where that does not come
//! to rest.
//!
//! Both end when no voltage moves and every node balances, and both take a bounded number of steps.

use super::injections::Draw;
use super::nodes::Nodes;
use super::state::{State, Unknowns};
use crate::SolveError;
use num_complex::Complex64;

/// Balance of a node, as a part of the base power.
pub(super) const MISMATCH: f64 = 1e-10;
/// Largest change of a voltage in the last step, as a part of its nominal value.
const CHANGE: f64 = 1e-9;
/// The same where it does not get less: parts that float are held to earth by so little that rounding moves them.
pub(super) const ROUNDING_CHANGE: f64 = 1e-6;
/// Steps of the fixed point.
const FIXED_POINT_STEPS: u32 = 60;
/// From which step on it is judged whether the fixed point comes to rest soon enough.
const JUDGED_FROM: u32 = 8;
/// It does if each step changes no more than this part of what the one before did.
const SLOWEST: f64 = 0.7;

/// What is to be solved: `matrix * voltages = sources + injections(voltages)`.
pub(super) struct Problem<'a> {
    pub(super) nodes: &'a Nodes,
    pub(super) unknowns: &'a Unknowns,
    pub(super) state: &'a mut State,
    pub(super) draws: Vec<Draw>,
    pub(super) base_power_va: f64,
    /// By unknown, what flows in from sources.
    pub(super) sources: Vec<Complex64>,
    /// By node, the voltage without any injection.
    pub(super) no_load: Vec<Complex64>,
}

/// What a method came to.
pub(super) enum Outcome {
    Solved { voltages: Vec<Complex64>, iterations: u32 },
    Failed { iterations: u32, node: usize, change_pu: f64 },
}

impl Problem<'_> {
    /// By node, the voltages.
    pub(super) fn solve(&mut self) -> Result<(Vec<Complex64>, u32), SolveError> {
        let before = match self.fixed_point() {
            Outcome::Solved { voltages, iterations } => return Ok((voltages, iterations)),
            Outcome::Failed { iterations, .. } => iterations,
        };
        match self.by_levels() {
            Outcome::Solved { voltages, iterations } => Ok((voltages, before + iterations)),
            Outcome::Failed { iterations, node, change_pu } => Err(SolveError::NoConvergence {
                iterations: before + iterations,
                bus: self.nodes.bus_name(self.nodes.bus_of(node)),
                change_pu,
            }),
        }
    }

    pub(super) fn injected(&self, voltages: &[Complex64], currents: &mut [Complex64]) {
        currents.fill(Complex64::ZERO);
        for draw in &self.draws {
            draw.add_to(currents, voltages);
        }
    }

    /// New voltages from the currents at the present ones, until both stay.
    fn fixed_point(&mut self) -> Outcome {
        let mut voltages = self.no_load.clone();
        let mut currents = vec![Complex64::ZERO; voltages.len()];
        let mut new_currents = currents.clone();
        let mut right = vec![Complex64::ZERO; self.unknowns.nodes.len()];
        let mut before_pu = f64::INFINITY;
        self.injected(&voltages, &mut currents);
        let mut worst = (0, f64::INFINITY);
        for iteration in 1..=FIXED_POINT_STEPS {
            for (value, node) in right.iter_mut().zip(&self.unknowns.nodes) {
                *value = currents[*node];
            }
            self.state.factors.solve(&mut right);
            worst = (0, 0.0);
            for (value, node) in right.iter().zip(&self.unknowns.nodes) {
                let new = self.no_load[*node] + value;
                let change_pu = (new - voltages[*node]).norm() / self.nodes.nominal_v[*node];
                // A change that is no number is the worst.
                if change_pu > worst.1 || change_pu.is_nan() {
                    worst = (*node, change_pu);
                }
                voltages[*node] = new;
            }
            if !worst.1.is_finite() {
                return Outcome::Failed { iterations: iteration, node: worst.0, change_pu: f64::INFINITY };
            }
            self.injected(&voltages, &mut new_currents);
            let mismatch_va = self.largest_difference(&voltages, &currents, &new_currents);
            let rests = worst.1 <= CHANGE || worst.1 <= ROUNDING_CHANGE && worst.1 > 0.5 * before_pu;
            if rests && mismatch_va <= MISMATCH * self.base_power_va {
                return Outcome::Solved { voltages, iterations: iteration };
            }
            if iteration >= JUDGED_FROM && worst.1 > SLOWEST * before_pu && worst.1 > ROUNDING_CHANGE {
                return Outcome::Failed { iterations: iteration, node: worst.0, change_pu: worst.1 };
            }
            before_pu = worst.1;
            std::mem::swap(&mut currents, &mut new_currents);
        }
        Outcome::Failed { iterations: FIXED_POINT_STEPS, node: worst.0, change_pu: worst.1 }
    }

    fn largest_difference(&self, voltages: &[Complex64], one: &[Complex64], other: &[Complex64]) -> f64 {
        let nodes = self.unknowns.nodes.iter();
        nodes.map(|node| voltages[*node].norm() * (one[*node] - other[*node]).norm()).fold(0.0, f64::max)
    }
}
