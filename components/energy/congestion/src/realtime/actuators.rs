//! What a resource can be made to do: an [`Actuator`] is one power of one resource, with its range and its effect.
//! [`hold`] moves actuators so far that values return into a band, [`release`] moves them back towards their base.

use crate::feeder::{Axis, Slopes};
use crate::least_change::{Row, least_change};

/// A value counts as outside its band from here, in parts of the nominal voltage or rated current.
pub(super) const OUTSIDE: f64 = 1e-4;
/// Moves below this part of an actuator's size are not made.
const DEAD_BAND: f64 = 0.002;
/// Releases below this part of an actuator's size are not made, unless they end at the base.
const RELEASE_DEAD_BAND: f64 = 0.01;

/// The order in which measures are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Reactive power of inverters: costs next to nothing.
    Reactive,
    /// Real power of storages.
    Storage,
    /// Less generation, less consumption.
    LastResort,
}

impl Stage {
    pub(super) const ALL: [Self; 3] = [Self::Reactive, Self::Storage, Self::LastResort];
}

/// One power of one resource.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Actuator {
    /// Number of the resource in the settings.
    pub(super) resource: usize,
    pub(super) axis: Axis,
    pub(super) stage: Stage,
    /// What counts as its whole range, in W or var.
    pub(super) size: f64,
    /// By how much each value rises with one W or var.
    pub(super) slopes: Slopes,
    /// Lowest and highest power that it can be made to have.
    pub(super) range: (f64, f64),
    /// The power that it is expected to have in the next epoch.
    pub(super) expected: f64,
    /// What it is told: of generators the most that it may give, of loads the most that it may draw, which need not be
    /// what it does; else the expected power.
    pub(super) told: f64,
    /// Where that goes when nothing stands against it.
    pub(super) base: f64,
    /// How much of its size it is released by in an epoch.
    pub(super) release_share: f64,
    /// Whether it does what it is told; else nothing is decided for it.
    pub(super) obeys: bool,
}

impl Actuator {
    /// Moves it, and the values with it.
    pub(super) fn shift(&mut self, by: f64, values: &mut [f64]) {
        self.expected += by;
        for (value, slope) in values.iter_mut().zip(&self.slopes) {
            *value += slope * by;
        }
    }
}

/// The values that do not lie in their bounds.
pub(super) fn any_outside(values: &[f64], bounds: &[(f64, f64)]) -> bool {
    values.iter().zip(bounds).any(|(value, (low, high))| *value > high + OUTSIDE || *value < low - OUTSIDE)
}

/// If any value is outside `bounds`, moves the actuators of `stage` so that all come to lie within `aims`, or as near
/// as they get. Says whether anything was moved.
pub(super) fn hold(
    values: &mut [f64],
    actuators: &mut [Actuator],
    stage: Stage,
    bounds: &[(f64, f64)],
    aims: &[(f64, f64)],
) -> bool {
    if !any_outside(values, bounds) {
        return false;
    }
    let chosen: Vec<usize> = (0..actuators.len()).filter(|at| actuators[*at].stage == stage).collect();
    let ranges: Vec<(f64, f64)> = chosen
        .iter()
        .map(|at| {
            let Actuator { range: (low, high), expected, size, .. } = actuators[*at];
            ((low - expected).min(0.0) / size, (high - expected).max(0.0) / size)
        })
        .collect();
    let rows: Vec<Row> = values
        .iter()
        .zip(aims)
        .enumerate()
        .map(|(row, (value, (low, high)))| Row {
            value: *value,
            low: *low,
            high: *high,
            slopes: chosen.iter().map(|at| actuators[*at].slopes[row] * actuators[*at].size).collect(),
        })
        .collect();
    let mut acted = false;
    for (at, part) in chosen.into_iter().zip(least_change(&rows, &ranges)) {
        if part.abs() >= DEAD_BAND {
            let by = part * actuators[at].size;
            actuators[at].shift(by, values);
            actuators[at].told = actuators[at].expected;
            acted = true;
        }
    }
    acted
}

/// Moves the actuators of `stage` towards their base, those that are farthest from it first, each by no more than its
/// share and no farther than the values stay within `room`. Says whether anything was moved.
pub(super) fn release(
    values: &mut [f64],
    actuators: &mut [Actuator],
    stage: Stage,
    room: &[(f64, f64)],
) -> bool {
    let away = |actuator: &Actuator| (actuator.base - actuator.told).abs() / actuator.size;
    let chosen = |actuator: &Actuator| actuator.stage == stage && actuator.obeys;
    let mut order: Vec<usize> = (0..actuators.len()).filter(|at| chosen(&actuators[*at])).collect();
    order.sort_by(|a, b| away(&actuators[*b]).total_cmp(&away(&actuators[*a])));
    let mut released = false;
    for at in order {
        let actuator = &mut actuators[at];
        let most = actuator.release_share * actuator.size;
        let wanted = (actuator.base - actuator.told).clamp(-most, most);
        // What it is allowed already and does not use, it may use at any time.
        let unused = actuator.told - actuator.expected;
        let total = unused + wanted;
        let by = if total * wanted > 0.0 {
            let possible = total * part_with_room(values, room, actuator, total) - unused;
            if wanted > 0.0 { possible.clamp(0.0, wanted) } else { possible.clamp(wanted, 0.0) }
        } else {
            wanted
        };
        let ends = (actuator.told + by - actuator.base).abs() < 1e-6 * actuator.size;
        if by != 0.0 && (ends || by.abs() >= RELEASE_DEAD_BAND * actuator.size) {
            actuator.told += by;
            if unused.abs() < DEAD_BAND * actuator.size {
                actuator.shift(by, values);
            }
            released = true;
        }
    }
    released
}

/// The part of a move that is possible before a value that it drives to an end of its room gets there.
fn part_with_room(values: &[f64], room: &[(f64, f64)], actuator: &Actuator, by: f64) -> f64 {
    let mut part = 1.0_f64;
    for ((value, (low, high)), slope) in values.iter().zip(room).zip(&actuator.slopes) {
        let change = slope * by;
        // What moves a value by less than this does not drive it anywhere.
        if change > 1e-7 {
            part = part.min((high - value) / change);
        } else if change < -1e-7 {
            part = part.min((low - value) / change);
        }
    }
    part.max(0.0)
}
