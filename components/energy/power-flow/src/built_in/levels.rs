//! Load by load along the branch that begins without any.
//!
//! The equations have a solution besides the one that a network takes: the lower, where less voltage and more current
//! give the same power. Both meet at the most that the network can carry. Newton's method finds either, as it happens.
//! The right one is that which the voltages come to when the load grows from nothing, so they are followed on this way:
//! along the tangent to the next level, then by [Newton's method](super::newton) onto the branch. A step that is not
//! [small beside the voltages](LONGEST_PREDICTION) is not taken; neither is one after which Newton's method does not
//! come to rest at once, for then another solution may be as near. The step is halved instead. At the most that the
//! network can carry the tangent stands upright, and the steps come to an end before.

use super::injections::Draw;
use super::iterate::{Outcome, Problem};
use super::newton::{Corrected, Correction};
use num_complex::Complex64;

/// The longest way along the tangent, as a part of the voltage that a resource has.
const LONGEST_PREDICTION: f64 = 0.3;
/// The least step from one level of load to the next.
const LEAST_STEP: f64 = 1.0 / 4096.0;
/// Steps of Newton's method for all levels.
const ALL_NEWTON_STEPS: u32 = 150;
/// A level that took no more steps than this allows for a longer way to the next.
const EASY: u32 = 3;

/// A point on the branch that begins without load.
struct Point {
    level: f64,
    voltages: Vec<Complex64>,
    /// By unknown, how much the voltage changes with the level.
    tangent: Vec<Complex64>,
}

impl Problem<'_> {
    /// The solution at full load, by way of as few lesser loads as will do.
    pub(super) fn by_levels(&mut self) -> Outcome {
        let full = self.draws.clone();
        let mut spent = 0;
        let mut step = 1.0;
        let mut point = self.without_load();
        loop {
            let level = f64::min(1.0, point.level + step);
            let way: Vec<Complex64> =
                point.tangent.iter().map(|slope| slope * (level - point.level)).collect();
            let predicted = self.largest(&way);
            let wild = if self.relative(&full, &way, &point.voltages) <= LONGEST_PREDICTION {
                self.draws = full.iter().map(|draw| draw.scaled(level)).collect();
                let Correction { iterations, corrected } =
                    self.newton(&self.moved(&point.voltages, &way), predicted);
                spent += iterations;
                match corrected {
                    Ok(Corrected { voltages, .. }) if level >= 1.0 => {
                        return Outcome::Solved { voltages, iterations: spent };
                    }
                    Ok(Corrected { voltages, mut jacobian }) => {
                        let tangent = jacobian.solve(&self.currents_of(&full, &voltages));
                        point = Point { level, voltages, tangent };
                        if iterations <= EASY {
                            step *= 2.0;
                        }
                        None
                    }
                    Err(worst) => Some(worst),
                }
            } else {
                Some(predicted)
            };
            if let Some((node, change_pu)) = wild {
                step /= 2.0;
                if step < LEAST_STEP || spent > ALL_NEWTON_STEPS {
                    return Outcome::Failed { iterations: spent, node, change_pu };
                }
            }
        }
    }

    /// Where the branch begins.
    fn without_load(&mut self) -> Point {
        let voltages = self.no_load.clone();
        let mut tangent = self.currents_of(&self.draws, &voltages);
        self.state.factors.solve(&mut tangent);
        Point { level: 0.0, voltages, tangent }
    }

    /// By unknown, what these inject.
    fn currents_of(&self, draws: &[Draw], voltages: &[Complex64]) -> Vec<Complex64> {
        let mut currents = vec![Complex64::ZERO; voltages.len()];
        draws.iter().for_each(|draw| draw.add_to(&mut currents, voltages));
        self.unknowns.nodes.iter().map(|node| currents[*node]).collect()
    }

    /// The largest change of a voltage that a resource has, as a part of it; `change` is by unknown.
    pub(super) fn relative(&self, draws: &[Draw], change: &[Complex64], voltages: &[Complex64]) -> f64 {
        let mut changes = vec![Complex64::ZERO; voltages.len()];
        for (change, node) in change.iter().zip(&self.unknowns.nodes) {
            changes[*node] = *change;
        }
        let parts = draws.iter().filter(|draw| draw.draws()).map(|draw| {
            draw.voltage(&changes).norm() / draw.voltage(voltages).norm().max(LEAST_PART * draw.nominal_v())
        });
        // What is no number is larger than everything.
        parts.fold(0.0, |largest: f64, part| if part.is_nan() { f64::INFINITY } else { largest.max(part) })
    }
}

/// Of a voltage that is less than this part of the nominal one, changes are held against this part.
const LEAST_PART: f64 = 0.1;
