//! The plan as a mixed-integer linear program: [`solve`] takes the network as straight lines, a [`StepModel`] for each
//! step, and gives an [`Answer`].
//!
//! A storage that charges and discharges at once would burn energy, which no storage does. As both cost, that pays only
//! where limits are missed otherwise; then the program is solved again with one direction for that storage and step.

use super::settings::OperationalSettings;
use crate::ResourceKind;
use good_lp::solvers::microlp::microlp;
use good_lp::{
    Expression, ProblemVariables, ResolutionError, Solution, SolverModel, Variable, WithTimeLimit, variable,
};
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::PI;
use std::time::Duration;

/// How often a program is solved again because a storage does two things at once. The last time, a storage that did gets
/// one direction for every step.
const ONE_WAY_ROUNDS: usize = 4;
/// Power below this is none, in kW.
const NOTHING_KW: f64 = 1e-6;
/// Sides of the polygon that stands for the circle of apparent power, and lies inside it.
const SIDES: u32 = 12;

/// The network around one state of one step.
#[derive(Debug, Clone)]
pub(super) struct StepModel {
    /// Values at the places in that state.
    pub(super) values: Vec<f64>,
    /// By resource: how much each value rises with one kW, and with one kvar.
    pub(super) slopes: Vec<(Vec<f64>, Vec<f64>)>,
    /// By tap changer: how much each value rises with one position.
    pub(super) tap_slopes: Vec<Vec<f64>>,
    /// The state: by resource, kW and kvar.
    pub(super) powers: Vec<(f64, f64)>,
    /// The state: positions by tap changer.
    pub(super) positions: Vec<i32>,
    /// The places whose limits are in the program.
    pub(super) rows: BTreeSet<usize>,
    /// By resource: what it does by itself, in kW. For storages 0.
    pub(super) by_itself_kw: Vec<f64>,
}

/// All that a program is made of.
#[derive(Debug, Clone)]
pub(super) struct Program<'a> {
    pub(super) settings: &'a OperationalSettings,
    /// Lowest and highest permitted value of each place.
    pub(super) bounds: &'a [(f64, f64)],
    pub(super) hours: f64,
    pub(super) steps: &'a [StepModel],
    /// By tap changer: where it stands, its lowest and its highest position.
    pub(super) taps: &'a [(i32, i32, i32)],
    /// By resource: what a storage holds now, in kWh. One of which that is not known rests.
    pub(super) stored_kwh: &'a [Option<f64>],
    /// By resource: how much may still be used on the day of the first step, in kWh.
    pub(super) left_kwh: &'a [Option<f64>],
    /// By step: its day. Whole days after the first have the whole of what a contract allows.
    pub(super) days: &'a [f64],
    /// How long the solver may take.
    pub(super) within: Duration,
}

/// Which way a storage goes, by step and number of the resource.
type OneWay = BTreeMap<(usize, usize), Way>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Discharge,
    Charge,
}

/// What a program's solution says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Answer {
    /// By step and resource: kW and kvar.
    pub(super) powers: Vec<Vec<(f64, f64)>>,
    /// By step and tap changer.
    pub(super) positions: Vec<Vec<i32>>,
    /// By step: how far values are outside, which nothing can change or nothing should at its price.
    pub(super) misses: Vec<f64>,
    /// Cost without that of misses, in EUR.
    pub(super) cost_eur: f64,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("the solver came to no end in its time")]
    Time,
    #[error("the solver says: {0}")]
    Solver(String),
    #[error("the solver's answer is not a number")]
    NotFinite,
}

struct Columns {
    /// By resource: more (storages: discharge; loads: less draw), less (charge; cut), reactive more, reactive less.
    resources: Vec<[Variable; 4]>,
    taps: Vec<Variable>,
    miss: [Variable; 3],
}

/// Solves the program; with `fixed_taps` as if no tap changer could move.
pub(super) fn solve(program: &Program<'_>, fixed_taps: bool) -> Result<Answer, ProgramError> {
    let mut one_way = OneWay::new();
    for _ in 1..ONE_WAY_ROUNDS {
        let (answer, both) = attempt(program, fixed_taps, &one_way)?;
        if both.is_empty() {
            return Ok(answer);
        }
        one_way.extend(both.into_iter().map(|at| (at, way(&answer, at))));
    }
    let (answer, both) = attempt(program, fixed_taps, &one_way)?;
    if both.is_empty() {
        return Ok(answer);
    }
    let storages: BTreeSet<usize> = both.into_iter().map(|(_, resource)| resource).collect();
    let everywhere = storages.into_iter().flat_map(|at| (0..program.steps.len()).map(move |step| (step, at)));
    for at in everywhere {
        one_way.entry(at).or_insert_with(|| way(&answer, at));
    }
    attempt(program, fixed_taps, &one_way).map(|(answer, _)| answer)
}

/// Which way the sum of both goes.
fn way(answer: &Answer, (step, resource): (usize, usize)) -> Way {
    let power = answer.powers.get(step).and_then(|powers| powers.get(resource));
    if power.is_some_and(|(kw, _)| *kw > 0.0) { Way::Discharge } else { Way::Charge }
}

/// An answer, and where storages charge and discharge at once in it.
fn attempt(
    program: &Program<'_>,
    fixed_taps: bool,
    one_way: &OneWay,
) -> Result<(Answer, Vec<(usize, usize)>), ProgramError> {
    let mut variables = ProblemVariables::new();
    let mut cost = Expression::from(0.0);
    let mut penalty = Expression::from(0.0);
    let steps = program.steps.iter().enumerate();
    let columns: Vec<Columns> = steps
        .map(|(at, step)| {
            let way = |resource: usize| one_way.get(&(at, resource)).copied();
            program.columns(step, fixed_taps, way, &mut variables, (&mut cost, &mut penalty))
        })
        .collect();
    let mut rows = Vec::new();
    program.tap_moves(&columns, &mut variables, &mut cost, &mut rows);
    let mut model = variables
        .minimise(cost.clone() + penalty)
        .using(microlp)
        .with_time_limit(program.within.as_secs_f64());
    let rows = rows.into_iter().chain(program.network_rows(&columns));
    for row in rows.chain(program.energy_rows(&columns)).chain(program.apparent_rows(&columns)) {
        model.add_constraint(row);
    }
    let solution = model.solve().map_err(|error| match error {
        ResolutionError::Other(_) => ProgramError::Time,
        other => ProgramError::Solver(other.to_string()),
    })?;
    let both = program.both_ways(&columns, &solution);
    Ok((program.answer(&columns, &solution, solution.eval(cost))?, both))
}

impl Program<'_> {
    fn columns(
        &self,
        step: &StepModel,
        fixed_taps: bool,
        way: impl Fn(usize) -> Option<Way>,
        variables: &mut ProblemVariables,
        (cost, penalty): (&mut Expression, &mut Expression),
    ) -> Columns {
        let mut resources = Vec::new();
        let all = self.settings.resources.iter().zip(&step.by_itself_kw).enumerate();
        for (at, (settings, by_itself_kw)) in all {
            let rated_kw = settings.unit.rated_power_w / 1000.0;
            let (more, less) = match settings.unit.kind {
                ResourceKind::Storage if self.stored_kwh[at].is_none() => (0.0, 0.0),
                ResourceKind::Storage => match way(at) {
                    None => (rated_kw, rated_kw),
                    Some(Way::Discharge) => (rated_kw, 0.0),
                    Some(Way::Charge) => (0.0, rated_kw),
                },
                ResourceKind::Generator => (0.0, by_itself_kw.max(0.0)),
                ResourceKind::Load => ((-by_itself_kw).max(0.0), 0.0),
            };
            let kvar = settings.unit.most_reactive_var(by_itself_kw * 1000.0) / 1000.0;
            let limits = [more, less, kvar, kvar];
            let columns = limits.map(|most| variables.add(variable().min(0.0).max(most)));
            let prices = [
                settings.cost_eur_per_kwh,
                settings.cost_eur_per_kwh,
                settings.cost_eur_per_kvarh,
                settings.cost_eur_per_kvarh,
            ];
            for (column, price) in columns.iter().zip(prices) {
                cost.add_mul(price * self.hours, *column);
            }
            resources.push(columns);
        }
        let taps = self.taps.iter().map(|&(now, lowest, highest)| {
            let (low, high) = if fixed_taps { (now, now) } else { (lowest.min(now), highest.max(now)) };
            variables.add(variable().integer().min(low).max(high))
        });
        let taps = taps.collect();
        let miss = [(); 3].map(|()| variables.add(variable().min(0.0)));
        for column in miss {
            penalty.add_mul(self.settings.violation_cost_eur_per_pu_h * self.hours, column);
        }
        Columns { resources, taps, miss }
    }

    /// What tap changers may move from one step to the next, and what it costs.
    fn tap_moves(
        &self,
        columns: &[Columns],
        variables: &mut ProblemVariables,
        cost: &mut Expression,
        rows: &mut Vec<good_lp::Constraint>,
    ) {
        for (at, (settings, &(now, ..))) in self.settings.tap_changers.iter().zip(self.taps).enumerate() {
            let most = f64::from(settings.operations_per_epoch);
            let mut before = Expression::from(f64::from(now));
            for step in columns {
                let [up, down] = [(); 2].map(|()| variables.add(variable().min(0.0).max(most)));
                cost.add_mul(settings.cost_eur_per_operation, up);
                cost.add_mul(settings.cost_eur_per_operation, down);
                let here = Expression::from(step.taps[at]);
                rows.push((here.clone() - before - up + down).eq(0.0));
                before = here;
            }
        }
    }

    /// The limits of the network.
    fn network_rows(&self, columns: &[Columns]) -> Vec<good_lp::Constraint> {
        let mut rows = Vec::new();
        for (step, columns) in self.steps.iter().zip(columns) {
            for &row in &step.rows {
                let (low, high) = self.bounds[row];
                let value = self.value(step, columns, row);
                let [above, below, loading] = columns.miss;
                if low.is_finite() {
                    rows.push((value.clone() + below).geq(low));
                    rows.push((value - above).leq(high));
                } else {
                    rows.push((value - loading).leq(high));
                }
            }
        }
        rows
    }

    /// The value at a place, as a straight line.
    fn value(&self, step: &StepModel, columns: &Columns, row: usize) -> Expression {
        let mut value = Expression::from(step.values[row]);
        for (at, [more, less, reactive_more, reactive_less]) in columns.resources.iter().enumerate() {
            let (per_kw, per_kvar) = (step.slopes[at].0[row], step.slopes[at].1[row]);
            let (kw, kvar) = step.powers[at];
            value += per_kw * (step.by_itself_kw[at] - kw) - per_kvar * kvar;
            value.add_mul(per_kw, *more);
            value.add_mul(-per_kw, *less);
            value.add_mul(per_kvar, *reactive_more);
            value.add_mul(-per_kvar, *reactive_less);
        }
        for (at, tap) in columns.taps.iter().enumerate() {
            let per_position = step.tap_slopes[at][row];
            value += -per_position * f64::from(step.positions[at]);
            value.add_mul(per_position, *tap);
        }
        value
    }

    /// What storages hold, and what contracts allow.
    fn energy_rows(&self, columns: &[Columns]) -> Vec<good_lp::Constraint> {
        let mut rows = Vec::new();
        for (at, settings) in self.settings.resources.iter().enumerate() {
            let unit = &settings.unit;
            if let (Some(now), Some(capacity_kwh)) = (self.stored_kwh[at], unit.capacity_kwh) {
                let (charging, discharging) = unit.efficiency;
                let part = |percent: f64| percent / 100.0 * capacity_kwh;
                let lowest = part(unit.state_of_charge_percent.0).min(now);
                let highest = part(unit.state_of_charge_percent.1).max(now);
                let mut stored = Expression::from(now);
                for columns in columns {
                    stored.add_mul(-self.hours / discharging, columns.resources[at][0]);
                    stored.add_mul(self.hours * charging, columns.resources[at][1]);
                    rows.push(stored.clone().geq(lowest));
                    rows.push(stored.clone().leq(highest));
                }
            }
            if let (Some(left_kwh), Some(most_kwh)) = (self.left_kwh[at], settings.max_energy_kwh_per_day) {
                let mut of_day: Vec<(f64, Expression)> = Vec::new();
                for (columns, day) in columns.iter().zip(self.days) {
                    if of_day.last().is_none_or(|(last, _)| last != day) {
                        of_day.push((*day, Expression::from(0.0)));
                    }
                    let Some((_, used)) = of_day.last_mut() else { continue };
                    used.add_mul(self.hours, columns.resources[at][0]);
                    used.add_mul(self.hours, columns.resources[at][1]);
                }
                let mut left_kwh = left_kwh.max(0.0);
                for (_, used) in of_day {
                    rows.push(used.leq(left_kwh));
                    left_kwh = most_kwh;
                }
            }
        }
        rows
    }

    /// Real and reactive power of a storage together. What generators and loads have beside their reactive power is what
    /// they do by themselves at most, and is known beforehand.
    fn apparent_rows(&self, columns: &[Columns]) -> Vec<good_lp::Constraint> {
        let mut rows = Vec::new();
        let storages = self.settings.resources.iter().enumerate();
        let storages = storages.filter(|(_, settings)| {
            settings.unit.kind == ResourceKind::Storage && settings.unit.max_reactive_power_var > 0.0
        });
        for (at, settings) in storages {
            let inner = (PI / f64::from(SIDES)).cos() * settings.unit.rated_apparent_power_va / 1000.0;
            for columns in columns {
                let [more, less, reactive_more, reactive_less] = columns.resources[at];
                for side in 0..SIDES {
                    // The first corners are where all power is real.
                    let (sin, cos) = ((f64::from(side) + 0.5) * 2.0 * PI / f64::from(SIDES)).sin_cos();
                    let mut along = Expression::from(0.0);
                    along.add_mul(cos, more);
                    along.add_mul(-cos, less);
                    along.add_mul(sin, reactive_more);
                    along.add_mul(-sin, reactive_less);
                    rows.push(along.leq(inner));
                }
            }
        }
        rows
    }

    /// Step and number of storages that charge and discharge at once.
    fn both_ways(&self, columns: &[Columns], solution: &impl Solution) -> Vec<(usize, usize)> {
        let mut both = Vec::new();
        for (step, columns) in columns.iter().enumerate() {
            for (at, ([more, less, ..], settings)) in
                columns.resources.iter().zip(&self.settings.resources).enumerate()
            {
                let storage = settings.unit.kind == ResourceKind::Storage;
                if storage && solution.value(*more).min(solution.value(*less)) > NOTHING_KW {
                    both.push((step, at));
                }
            }
        }
        both
    }

    fn answer(
        &self,
        columns: &[Columns],
        solution: &impl Solution,
        cost_eur: f64,
    ) -> Result<Answer, ProgramError> {
        let mut answer = Answer { cost_eur, ..Answer::default() };
        for (step, columns) in self.steps.iter().zip(columns) {
            let value = |column: &Variable| solution.value(*column);
            let power = |([more, less, reactive_more, reactive_less], by_itself): (&[Variable; 4], &f64)| {
                let kw = by_itself + value(more) - value(less);
                (kw, value(reactive_more) - value(reactive_less))
            };
            answer.powers.push(columns.resources.iter().zip(&step.by_itself_kw).map(power).collect());
            let position = |(tap, &(_, lowest, highest)): (&Variable, &(i32, i32, i32))| {
                let away = |position: &i32| (f64::from(*position) - value(tap)).abs();
                (lowest..=highest).min_by(|a, b| away(a).total_cmp(&away(b))).unwrap_or(lowest)
            };
            answer.positions.push(columns.taps.iter().zip(self.taps).map(position).collect());
            answer.misses.push(columns.miss.iter().map(value).fold(0.0, f64::max));
        }
        let finite = cost_eur.is_finite()
            && answer.misses.iter().all(|miss| miss.is_finite())
            && answer.powers.iter().flatten().all(|(kw, kvar)| kw.is_finite() && kvar.is_finite());
        if finite { Ok(answer) } else { Err(ProgramError::NotFinite) }
    }
}
