//! What to ask of one server, and where in its answers the values are: [`Plan`], made at connect by `planner.rs` from
//! a mapping and from what the server says of itself.

use crate::data::{Bits, Data, Kind, Layout, Variable};
use crate::port::ControlModel;
use crate::quality::quality;
use gridloop_clock::MonoTime;
use gridloop_device::{PointName, Quality, Snapshot, Unit};
use std::time::Duration;

/// The variables of one reading and what is made of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) variables: Vec<Variable>,
    pub(crate) layouts: Vec<Layout>,
    pub(crate) points: Vec<PointPlan>,
    pub(crate) power: Option<SetpointPlan>,
    pub(crate) reactive: Option<SetpointPlan>,
    pub(crate) voltage: Option<SetpointPlan>,
    pub(crate) tap: Option<TapPlan>,
    /// Why objects that were recognised by their names are left out.
    pub(crate) unused: Vec<String>,
}

/// Where a value is: in which variable, and at which positions in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) variable: usize,
    pub(crate) positions: Vec<usize>,
}

/// A value and the quality attribute that goes with it, where the object has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) value: Cell,
    pub(crate) quality: Option<Cell>,
}

#[derive(Debug, Clone)]
pub(crate) struct PointPlan {
    pub(crate) name: PointName,
    pub(crate) unit: Unit,
    pub(crate) factor: f64,
    /// The point is the mean of these.
    pub(crate) values: Vec<Measured>,
}

/// An object that takes a number.
#[derive(Debug, Clone)]
pub(crate) struct SetpointPlan {
    /// The data object, under no functional constraint in particular.
    pub(crate) object: Variable,
    pub(crate) way: Way,
    /// Where the number that it holds is read.
    pub(crate) held: Cell,
    /// What a raw 1 is worth.
    pub(crate) factor: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// How an object is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Way {
    /// A setting is written.
    Write { variable: Variable, shape: Shape },
    /// A control is operated.
    Operate { model: ControlModel, shape: Shape },
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain(Kind),
    /// An `AnalogueValue` with only one of its members.
    Analogue(Kind),
}

/// How a tap changer is moved.
#[derive(Debug, Clone)]
pub(crate) struct TapPlan {
    pub(crate) position: Measured,
    /// True as long as a step is under way.
    pub(crate) transient: Option<Cell>,
    pub(crate) lowest: i32,
    pub(crate) highest: i32,
    pub(crate) confirm_within: Duration,
    pub(crate) drive: Option<TapDrive>,
    /// What keeps commands out while it is true, in words.
    pub(crate) blocks: Vec<(Cell, String)>,
    /// True at the upper, and at the lower end position.
    pub(crate) at_highest: Option<Cell>,
    pub(crate) at_lowest: Option<Cell>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TapDrive {
    /// "Raise" and "lower".
    Steps { object: Variable, model: ControlModel },
    /// A position.
    Position { object: Variable, model: ControlModel, shape: Shape },
}

/// The answers to the variables of a plan, in their order. `None`: the server has no value at present.
pub(crate) type Answers = Vec<Option<Data>>;

impl Plan {
    /// The part of the answers in this cell.
    pub(crate) fn cell<'a>(answers: &'a Answers, cell: &Cell) -> Option<&'a Data> {
        answers.get(cell.variable)?.as_ref()?.at(&cell.positions)
    }

    /// The number in this cell.
    pub(crate) fn number(answers: &Answers, cell: &Cell) -> Option<f64> {
        Self::cell(answers, cell)?.number()
    }

    /// Whether the truth value in this cell is true.
    pub(crate) fn is_true(answers: &Answers, cell: &Cell) -> bool {
        matches!(Self::cell(answers, cell), Some(Data::Bool(true)))
    }

    /// Checks an answer against what the server said of the variable.
    ///
    /// # Errors
    /// Where the two differ.
    pub(crate) fn check(&self, answers: &Answers) -> Result<(), String> {
        for ((variable, layout), answer) in self.variables.iter().zip(&self.layouts).zip(answers) {
            if answer.as_ref().is_some_and(|data| !layout.fits(data)) {
                return Err(format!("{variable} is not what the server says it is"));
            }
        }
        Ok(())
    }

    /// The points of a reading. `sampled_at` gives the instant of a variable's value.
    pub(crate) fn snapshot(
        &self,
        answers: &Answers,
        sampled_at: impl Fn(usize) -> MonoTime,
        worst: impl Fn(usize) -> Quality,
    ) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for point in &self.points {
            let each: Option<Vec<(f64, Quality)>> =
                point.values.iter().map(|measured| measured.of(answers)).collect();
            let Some(each) = each.filter(|each| !each.is_empty()) else { continue };
            let count = u32::try_from(each.len()).unwrap_or(u32::MAX);
            let value = each.iter().map(|(value, _)| value).sum::<f64>() / f64::from(count) * point.factor;
            let variables = point.values.iter().map(|measured| measured.value.variable);
            let quality = each.iter().map(|(_, quality)| *quality).chain(variables.clone().map(&worst)).max();
            let at = variables.map(&sampled_at).min().unwrap_or_default();
            snapshot.put_as(&point.name, value, point.unit, quality.unwrap_or(Quality::Questionable), at);
        }
        snapshot
    }
}

impl Measured {
    /// The value and its quality.
    pub(crate) fn of(&self, answers: &Answers) -> Option<(f64, Quality)> {
        let value = Plan::number(answers, &self.value)?;
        let quality = match &self.quality {
            None => Quality::Good,
            Some(cell) => match Plan::cell(answers, cell)? {
                Data::Bits(bits) => quality(bits),
                _ => Quality::Questionable,
            },
        };
        Some((value, quality))
    }
}

impl SetpointPlan {
    /// How it is told.
    pub(crate) fn shape(&self) -> Shape {
        match &self.way {
            Way::Write { shape, .. } | Way::Operate { shape, .. } => *shape,
        }
    }

    /// The data that tells this value, and the value that it really tells: the nearest one that is in the range too.
    ///
    /// # Errors
    /// When it is outside the range, cannot be written down, or is outside as it can be written down.
    pub(crate) fn encode(&self, value: f64) -> Result<(Data, f64), String> {
        let (low, high) = (self.min, self.max);
        if !value.is_finite() || !(low..=high).contains(&value) {
            return Err(format!("{value} is outside {low} to {high}"));
        }
        let (shape, raw) = (self.shape(), value / self.factor);
        let nearest = shape.encode(raw).ok_or_else(|| format!("{value} cannot be written down"))?;
        let told =
            std::iter::once(nearest).chain(shape.beside(raw)).map(|(data, raw)| (data, raw * self.factor));
        let mut inside = told.filter(|(_, told)| (low..=high).contains(told));
        inside.next().ok_or_else(|| format!("{value} is outside {low} to {high} as it can be written down"))
    }

    /// Whether a value that is held is the one that was asked for, as far as a 32-bit float can tell.
    pub(crate) fn is(held: f64, asked: f64) -> bool {
        (held - asked).abs() <= held.abs().max(asked.abs()) * 1e-6
    }

    /// Whether a value that is held some time after a write can be the one that was asked for, at the resolution of the
    /// IED: a thousandth of the range.
    pub(crate) fn may_be(&self, held: f64, asked: f64) -> bool {
        Self::is(held, asked) || (held - asked).abs() <= (self.max - self.min) * 1e-3
    }
}

impl Shape {
    /// The data for a raw number, and the number that it really holds.
    pub(crate) fn encode(self, raw: f64) -> Option<(Data, f64)> {
        let (Self::Plain(kind) | Self::Analogue(kind)) = self;
        let (data, held) = match kind {
            Kind::Float32 => {
                #[expect(clippy::cast_possible_truncation, reason = "infinity is refused on the next line")]
                let single = raw as f32;
                (single.is_finite().then_some(Data::Float32(single))?, f64::from(single))
            }
            Kind::Float64 => (raw.is_finite().then_some(Data::Float64(raw))?, raw),
            Kind::Int => {
                let whole = whole(raw.round())?;
                (Data::Int(whole.into()), f64::from(whole))
            }
            Kind::Unsigned => {
                let whole = u32::try_from(whole(raw.round())?).ok()?;
                (Data::Unsigned(whole.into()), f64::from(whole))
            }
            Kind::Bool | Kind::Bits | Kind::Text | Kind::Other => return None,
        };
        Some((if matches!(self, Self::Analogue(_)) { Data::Parts(vec![data]) } else { data }, held))
    }
}

impl Shape {
    /// What can be written down on both sides of a raw number.
    fn beside(self, raw: f64) -> impl Iterator<Item = (Data, f64)> {
        let (Self::Plain(kind) | Self::Analogue(kind)) = self;
        let written = self.encode(raw).map(|(_, written)| written);
        let step = |written: f64| match kind {
            Kind::Float32 => written.abs() * f64::from(f32::EPSILON),
            Kind::Float64 => written.abs() * f64::EPSILON,
            Kind::Int | Kind::Unsigned | Kind::Bool | Kind::Bits | Kind::Text | Kind::Other => 1.0,
        };
        let both = written.map(|written| [written - step(written), written + step(written)]);
        both.into_iter().flatten().filter_map(move |raw| self.encode(raw))
    }
}

/// A value as a whole number, if it is one of 32 bits.
pub(crate) fn whole(value: f64) -> Option<i32> {
    let fits = value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "checked on the line above")]
    fits.then_some(value as i32)
}

/// The value of a binary step control (IEC 61850-7-3, BSC): `01` lowers, `10` raises.
pub(crate) fn step(up: bool) -> Data {
    Data::Bits(Bits::new(&[up, !up]))
}

#[cfg(test)]
mod tests;
