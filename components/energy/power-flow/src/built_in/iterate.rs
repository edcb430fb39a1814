//! How the voltages are found: [`Problem::fixed_point`], and [`Problem::newton`] where that does not come to rest.
//!
//! Both end when no voltage moves and every node balances, and both take a bounded number of steps.

use super::factor::{Columns, Factors, Order};
use super::injections::Draw;
use super::nodes::{Nodes, Terminal};
use super::state::{State, Unknowns};
use crate::SolveError;
use num_complex::Complex64;

/// Balance of a node, as a part of the base power.
const MISMATCH: f64 = 1e-10;
/// Largest change of a voltage in the last step, as a part of its nominal value.
const CHANGE: f64 = 1e-9;
/// The same where it does not get less: parts that float are held to earth by so little that rounding moves them.
const ROUNDING_CHANGE: f64 = 1e-6;
/// Steps of the fixed point.
const FIXED_POINT_STEPS: u32 = 60;
/// From which step on it is judged whether the fixed point comes to rest soon enough.
const JUDGED_FROM: u32 = 8;
/// It does if each step changes no more than this part of what the one before did.
const SLOWEST: f64 = 0.7;
/// Steps of Newton's method for one level of load.
const NEWTON_STEPS: u32 = 25;
/// Steps of Newton's method for all levels.
const ALL_NEWTON_STEPS: u32 = 150;
/// The least step from one level of load to the next.
const LEAST_LEVEL: f64 = 1.0 / 64.0;

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
enum Outcome {
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
        match self.newton_by_levels() {
            Outcome::Solved { voltages, iterations } => Ok((voltages, before + iterations)),
            Outcome::Failed { iterations, node, change_pu } => Err(SolveError::NoConvergence {
                iterations: before + iterations,
                bus: self.nodes.bus_name(self.nodes.bus_of(node)),
                change_pu,
            }),
        }
    }

    fn injected(&self, voltages: &[Complex64], currents: &mut [Complex64]) {
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

    /// Newton's method at full load; where that fails, by way of lesser loads.
    fn newton_by_levels(&mut self) -> Outcome {
        let full = self.draws.clone();
        let mut spent = 0;
        let (mut reached, mut step) = (0.0, 1.0);
        let mut start = self.no_load.clone();
        loop {
            let level = f64::min(1.0, reached + step);
            self.draws = full.iter().map(|draw| draw.scaled(level)).collect();
            match self.newton(&start) {
                Outcome::Solved { voltages, iterations } => {
                    spent += iterations;
                    if level >= 1.0 {
                        return Outcome::Solved { voltages, iterations: spent };
                    }
                    (reached, start) = (level, voltages);
                }
                Outcome::Failed { iterations, node, change_pu } => {
                    spent += iterations;
                    step /= 2.0;
                    if step < LEAST_LEVEL || spent > ALL_NEWTON_STEPS {
                        return Outcome::Failed { iterations: spent, node, change_pu };
                    }
                }
            }
        }
    }

    fn newton(&self, start: &[Complex64]) -> Outcome {
        let mut voltages = start.to_vec();
        let mut residual = self.residual(&voltages);
        let mut order = None;
        let mut worst = (self.unknowns.nodes.first().copied().unwrap_or_default(), f64::INFINITY);
        for iteration in 1..=NEWTON_STEPS {
            let failed = |(node, change_pu)| Outcome::Failed { iterations: iteration, node, change_pu };
            let Some(step) = self.newton_step(&voltages, &residual, &mut order) else { return failed(worst) };
            worst = self.largest(&step);
            if !worst.1.is_finite() {
                return failed((worst.0, f64::INFINITY));
            }
            let size = self.size(&residual);
            let mut part = 1.0;
            let (moved, after) = loop {
                let moved = self.moved(&voltages, &step, part);
                let after = self.residual(&moved);
                let improved = self.size(&after) <= size * (1.0 - 1e-4 * part);
                if improved || self.balances(&moved, &after) {
                    break (moved, after);
                }
                part /= 2.0;
                if part < 1.0 / 128.0 {
                    return failed(worst);
                }
            };
            (voltages, residual) = (moved, after);
            // One more step would change the square of it.
            if worst.1 * part <= ROUNDING_CHANGE && self.balances(&voltages, &residual) {
                return Outcome::Solved { voltages, iterations: iteration };
            }
        }
        Outcome::Failed { iterations: NEWTON_STEPS, node: worst.0, change_pu: worst.1 }
    }

    /// By unknown, the current that does not balance: `matrix * voltages - sources - injections(voltages)`.
    fn residual(&self, voltages: &[Complex64]) -> Vec<Complex64> {
        let mut currents = vec![Complex64::ZERO; voltages.len()];
        self.injected(voltages, &mut currents);
        let mut residual: Vec<Complex64> = self
            .unknowns
            .nodes
            .iter()
            .zip(&self.sources)
            .map(|(node, source)| -source - currents[*node])
            .collect();
        self.state.matrix.for_each(|row, column, value| {
            residual[row] += value * voltages[self.unknowns.nodes[column]];
        });
        residual
    }

    fn size(&self, residual: &[Complex64]) -> f64 {
        let weighted = residual.iter().zip(&self.unknowns.nodes);
        let sum: f64 = weighted.map(|(one, node)| (one * self.nodes.nominal_v[*node]).norm_sqr()).sum();
        // What is no number is larger than everything.
        if sum.is_nan() { f64::INFINITY } else { sum.sqrt() }
    }

    /// Within the tolerance, or within what rounding leaves of it.
    fn balances(&self, voltages: &[Complex64], residual: &[Complex64]) -> bool {
        let mut rounding = vec![0.0; residual.len()];
        self.state.matrix.for_each(|row, column, value| {
            rounding[row] += (value * voltages[self.unknowns.nodes[column]]).norm() * (8.0 * f64::EPSILON);
        });
        residual.iter().zip(rounding).zip(&self.unknowns.nodes).all(|((current, rounding), node)| {
            let volts = voltages[*node].norm();
            current.norm() * volts <= f64::max(MISMATCH * self.base_power_va, rounding * volts)
        })
    }

    fn largest(&self, step: &[f64]) -> (usize, f64) {
        let mut worst = (self.unknowns.nodes.first().copied().unwrap_or_default(), 0.0);
        for (pair, node) in step.chunks(2).zip(&self.unknowns.nodes) {
            let change_pu = pair[0].hypot(pair[1]) / self.nodes.nominal_v[*node];
            if change_pu > worst.1 || change_pu.is_nan() {
                worst = (*node, change_pu);
            }
        }
        worst
    }

    fn moved(&self, voltages: &[Complex64], step: &[f64], part: f64) -> Vec<Complex64> {
        let mut moved = voltages.to_vec();
        for (pair, node) in step.chunks(2).zip(&self.unknowns.nodes) {
            moved[*node] += part * Complex64::new(pair[0], pair[1]);
        }
        moved
    }

    /// By unknown, real and imaginary part of the step that would balance everything if currents were linear.
    fn newton_step(
        &self,
        voltages: &[Complex64],
        residual: &[Complex64],
        order: &mut Option<Order>,
    ) -> Option<Vec<f64>> {
        let zero = Complex64::ZERO;
        let mut entries = Vec::with_capacity(4 * self.state.matrix.rows.len() + 16 * self.draws.len());
        self.state.matrix.for_each(|row, column, value| add_block(&mut entries, row, column, value, zero));
        for draw in &self.draws {
            let slopes = draw.slopes(draw.voltage(voltages));
            let ends = [(draw.from, 1.0), (draw.to, -1.0)];
            for (row, row_sign) in ends {
                for (column, sign) in ends {
                    let (Some(row), Some(column)) = (self.unknown(row), self.unknown(column)) else {
                        continue;
                    };
                    let sign = -row_sign * sign;
                    let (slope, conjugate) = (slopes.slope * sign, slopes.conjugate_slope * sign);
                    add_block(&mut entries, row, column, slope, conjugate);
                }
            }
        }
        let jacobian = Columns::new(2 * self.unknowns.nodes.len(), entries);
        let order = match order {
            Some(order) => order,
            None => order.insert(Order::of(&jacobian).ok()?),
        };
        let mut factors = Factors::new(&jacobian, order).ok()?;
        let mut right: Vec<f64> = residual.iter().flat_map(|value| [-value.re, -value.im]).collect();
        factors.solve(&mut right);
        Some(right)
    }

    fn unknown(&self, terminal: Terminal) -> Option<usize> {
        match terminal {
            Terminal::Node(node) => self.unknowns.of_node[node],
            Terminal::Earth => None,
        }
    }
}

/// `slope dv + conjugate conj(dv)` in real and imaginary parts.
fn add_block(
    entries: &mut Vec<(usize, usize, f64)>,
    row: usize,
    column: usize,
    slope: Complex64,
    conjugate: Complex64,
) {
    entries.push((2 * row, 2 * column, slope.re + conjugate.re));
    entries.push((2 * row, 2 * column + 1, conjugate.im - slope.im));
    entries.push((2 * row + 1, 2 * column, slope.im + conjugate.im));
    entries.push((2 * row + 1, 2 * column + 1, slope.re - conjugate.re));
}
