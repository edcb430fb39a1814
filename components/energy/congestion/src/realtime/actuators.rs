//! What a resource can be made to do: an [`Actuator`] is one power of one resource, with its range and its effect.
//! [`hold`] moves actuators so far that values return into their bands, [`release`] moves them back towards their base.

use crate::feeder::{Axis, Slopes};
use crate::least_change::{Reach, Row, least_change};

/// A value counts as outside its band from here, in parts of the nominal voltage or rated current.
pub(super) const OUTSIDE: f64 = 1e-4;
/// Moves below this part of an actuator's size are not made.
const DEAD_BAND: f64 = 0.002;
/// Releases below this part of an actuator's size are not made, unless they end at the base.
const RELEASE_DEAD_BAND: f64 = 0.01;
/// What a miss of the limits themselves costs beside one of the margin before them.
const RED: f64 = 100.0;
/// A last resort is none for a value that its whole range moves by less than this: nobody is curtailed for next to nothing.
const EFFECT: f64 = 2e-3;

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

    /// What a move of the whole range costs beside those of the other stages: so much less that what comes first goes to
    /// its end before what comes later goes far.
    fn price(self) -> f64 {
        match self {
            Self::Reactive => 1e-5,
            Self::Storage => 3e-3,
            Self::LastResort => 1.0,
        }
    }
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
    /// By how much its whole range raises a value, as far as it is a measure for that.
    fn effect(&self, row: usize) -> f64 {
        let effect = self.slopes[row] * self.size;
        if self.stage == Stage::LastResort && effect.abs() < EFFECT { 0.0 } else { effect }
    }

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

/// Lowest and highest value by place.
type Bounds = Vec<(f64, f64)>;

/// What is held.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bands {
    /// The target band, and where in it values are brought that are outside.
    pub(super) target: (Bounds, Bounds),
    /// The same of the band that the last resort holds.
    pub(super) last: (Bounds, Bounds),
    /// The limits themselves.
    pub(super) red: Bounds,
}

/// If any value is outside the target band, moves actuators: reactive power alone if that is enough, else storages with
/// it. Where both together leave a value outside what the last resort holds, all together bring the values within that,
/// at least cost. What cannot be reached is approached as far as the ranges go, the limits themselves first. Says whether
/// anything was moved.
pub(super) fn hold(values: &mut [f64], actuators: &mut [Actuator], bands: &Bands) -> bool {
    let (target, last) = (&bands.target, &bands.last);
    if !any_outside(values, &target.0) {
        return false;
    }
    let mut answer = Answer::of(values, actuators, Stage::Reactive, &[(&target.1, 1.0)]);
    if any_outside(&answer.values, &target.0) {
        answer = Answer::of(values, actuators, Stage::Storage, &[(&target.1, 1.0)]);
    }
    if any_outside(&answer.values, &target.0) {
        // What is cheap may help one end of the feeder and harm the other: not beyond what it is there for.
        let harms = beyond(&answer.values, &last.1) > beyond(values, &last.1).max(0.0) + OUTSIDE;
        if any_outside(values, &last.0) {
            if harms || any_outside(&answer.values, &last.0) {
                let aims = [(&last.1, 1.0), (&bands.red, RED)];
                answer = Answer::of(values, actuators, Stage::LastResort, &aims);
            }
        } else if harms {
            return false;
        }
    }
    answer.apply(values, actuators)
}

/// How far the worst value is outside; negative inside.
fn beyond(values: &[f64], bounds: &[(f64, f64)]) -> f64 {
    let excess = values.iter().zip(bounds).map(|(value, (low, high))| (value - high).max(low - value));
    excess.fold(f64::NEG_INFINITY, f64::max)
}

/// Moves by actuator, in W or var, and the values after them.
struct Answer {
    moves: Vec<(usize, f64)>,
    values: Vec<f64>,
}

impl Answer {
    /// The least change of the actuators up to `stage` that brings the values within `aims`, each with its weight.
    fn of(values: &[f64], actuators: &[Actuator], stage: Stage, aims: &[(&Bounds, f64)]) -> Self {
        let chosen: Vec<usize> = (0..actuators.len()).filter(|at| actuators[*at].stage <= stage).collect();
        let reach = |at: &usize| {
            let Actuator { range: (low, high), expected, size, stage, .. } = actuators[*at];
            Reach {
                low: (low - expected).min(0.0) / size,
                high: (high - expected).max(0.0) / size,
                price: stage.price(),
            }
        };
        let reaches: Vec<Reach> = chosen.iter().map(reach).collect();
        let row = |place: usize, weight: f64, (low, high): (f64, f64)| Row {
            value: values[place],
            low,
            high,
            weight,
            slopes: chosen.iter().map(|at| actuators[*at].effect(place)).collect(),
        };
        let rows = aims.iter().flat_map(|(aims, weight)| {
            (0..values.len()).zip(aims.iter()).map(|(place, aim)| row(place, *weight, *aim))
        });
        let rows: Vec<Row> = rows.collect();
        let parts = chosen.into_iter().zip(least_change(&rows, &reaches));
        let made = parts.filter(|(_, part)| part.abs() >= DEAD_BAND);
        let moves: Vec<(usize, f64)> = made.map(|(at, part)| (at, part * actuators[at].size)).collect();
        let mut after = values.to_vec();
        for (at, by) in &moves {
            actuators[*at].clone().shift(*by, &mut after);
        }
        Self { moves, values: after }
    }

    fn apply(self, values: &mut [f64], actuators: &mut [Actuator]) -> bool {
        for (at, by) in &self.moves {
            actuators[*at].shift(*by, values);
            actuators[*at].told = actuators[*at].expected;
        }
        !self.moves.is_empty()
    }
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
