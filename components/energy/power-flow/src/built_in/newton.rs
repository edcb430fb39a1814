//! Newton's method on the real and imaginary parts of `matrix * voltages - sources - injections(voltages) = 0`, near a
//! solution.
//!
//! It is used where a solution is near, and only believed then: the first step must be small, each one must be a quarter
//! of that before (the condition of Newton and Kantorovich, under which there is one solution near, and no other), and
//! the determinant of the Jacobian must have the sign that it has without load.

use super::factor::{Columns, Factors, Order};
use super::iterate::{MISMATCH, Problem, ROUNDING_CHANGE};
use super::nodes::Terminal;
use num_complex::Complex64;

/// The most steps.
const STEPS: u32 = 12;
/// The largest step, as a part of the voltage that a resource has.
const LARGEST_STEP: f64 = 0.2;
/// What a step may be of the one before.
const CONTRACTION: f64 = 0.25;

/// What it came to.
pub(super) struct Correction {
    pub(super) iterations: u32,
    /// The solution; or the node whose voltage would have changed most, and by how much in pu.
    pub(super) corrected: Result<Corrected, (usize, f64)>,
}

/// A solution.
pub(super) struct Corrected {
    /// By node.
    pub(super) voltages: Vec<Complex64>,
    /// That of the last step.
    pub(super) jacobian: Jacobian,
}

/// The factors of a Jacobian.
pub(super) struct Jacobian(Factors<f64>);

impl Jacobian {
    /// By unknown, the change of the voltages that makes this change of the currents.
    pub(super) fn solve(&mut self, currents: &[Complex64]) -> Vec<Complex64> {
        let mut parts: Vec<f64> = currents.iter().flat_map(|current| [current.re, current.im]).collect();
        self.0.solve(&mut parts);
        parts.chunks(2).map(|pair| Complex64::new(pair[0], pair[1])).collect()
    }
}

impl Problem<'_> {
    /// From `start`, for which the node `worst` was moved most, by so many pu.
    pub(super) fn newton(&self, start: &[Complex64], mut worst: (usize, f64)) -> Correction {
        let mut voltages = start.to_vec();
        let mut residual = self.residual(&voltages);
        let mut low = self.low(&voltages);
        let mut order = None;
        let mut before = f64::INFINITY;
        for iterations in 1..=STEPS {
            let wild = |worst| Correction { iterations, corrected: Err(worst) };
            let Some(mut jacobian) = self.jacobian(&voltages, &mut order) else { return wild(worst) };
            let step = jacobian.solve(&residual.iter().map(|current| -current).collect::<Vec<_>>());
            worst = self.largest(&step);
            let part = self.relative(&self.draws, &step, &voltages);
            let rests = worst.1 <= ROUNDING_CHANGE;
            let tame = part <= LARGEST_STEP && (part <= CONTRACTION * before || rests);
            if !(worst.1.is_finite() && tame) {
                return wild(worst);
            }
            voltages = self.moved(&voltages, &step);
            residual = self.residual(&voltages);
            // One more step would change the square of it.
            if rests && self.balances(&voltages, &residual) {
                return Correction { iterations, corrected: Ok(Corrected { voltages, jacobian }) };
            }
            // Where a resource becomes an impedance, or is no longer one, the steps before say nothing of the next.
            let now_low = self.low(&voltages);
            before = if now_low == low { part } else { f64::INFINITY };
            low = now_low;
        }
        Correction { iterations: STEPS, corrected: Err(worst) }
    }

    /// By resource, whether its voltage is so low that it is an impedance.
    fn low(&self, voltages: &[Complex64]) -> Vec<bool> {
        self.draws.iter().map(|draw| draw.is_low(draw.voltage(voltages))).collect()
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

    /// The node whose voltage changes most, and by how much in pu; `step` is by unknown.
    pub(super) fn largest(&self, step: &[Complex64]) -> (usize, f64) {
        let mut worst = (self.unknowns.nodes.first().copied().unwrap_or_default(), 0.0);
        for (change, node) in step.iter().zip(&self.unknowns.nodes) {
            let change_pu = change.norm() / self.nodes.nominal_v[*node];
            if change_pu > worst.1 || change_pu.is_nan() {
                worst = (*node, change_pu);
            }
        }
        worst
    }

    /// The voltages after a step.
    pub(super) fn moved(&self, voltages: &[Complex64], step: &[Complex64]) -> Vec<Complex64> {
        let mut moved = voltages.to_vec();
        for (change, node) in step.iter().zip(&self.unknowns.nodes) {
            moved[*node] += change;
        }
        moved
    }

    /// How the currents that do not balance go with the voltages, factored; `None` where that is singular, or the sign of
    /// its determinant is not that of the network without load, which is above 0.
    fn jacobian(&self, voltages: &[Complex64], order: &mut Option<Order>) -> Option<Jacobian> {
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
        let factors = Factors::new(&jacobian, order).ok()?;
        factors.determinant_is_positive().then_some(Jacobian(factors))
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
