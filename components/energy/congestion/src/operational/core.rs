//! From an [`Outlook`] to a [`Plan`] that was checked: [`OperationalCore`].

use super::program::{Answer, Program, ProgramError, StepModel, solve};
use super::settings::OperationalSettings;
use crate::feeder::{Axis, Feeder, Point, Power};
use crate::realtime::MismatchError;
use crate::{ResourceKind, TapChanger};
use gridloop_power_flow::{SolveError, TapRange};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the network is made straight around the plan.
const LINEARISATIONS: usize = 4;
/// By how much a value may be farther outside its limits than the program promised, in parts of the nominal voltage or
/// rated current.
const TOLERANCE: f64 = 5e-4;
/// How near to its target band a value must be for its limits to be in the program from the beginning.
const NEAR: f64 = 0.03;
/// How many places are in the program for one step, at most, when it is begun.
const ROWS_MAX: usize = 48;

/// What is expected, and how things stand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outlook {
    /// Beginning of the first step in hours since 1970, which tells the days of contracts.
    pub start_h: f64,
    /// Length of a step in hours.
    pub hours: f64,
    /// By step: what each resource will do by itself. What is said of storages in the plan is passed over.
    pub powers: Vec<BTreeMap<String, Power>>,
    /// Where tap changers stand.
    pub tap_positions: BTreeMap<String, i32>,
    /// State of charge of storages, in %. One that is not known rests.
    pub states_of_charge: BTreeMap<String, f64>,
}

impl Outlook {
    /// Number of the day in which a step begins.
    fn day(&self, step: usize) -> f64 {
        let steps = f64::from(u32::try_from(step).unwrap_or(u32::MAX));
        // Hours are not whole in binary: what is a millisecond before midnight is midnight.
        ((self.start_h + steps * self.hours + 1.0 / 3.6e6) / 24.0).floor()
    }
}

/// What is to be done, by step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlanStep>,
    /// What it costs, in EUR.
    pub cost_eur: f64,
    /// Operations of tap changers.
    pub tap_operations: u64,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanStep {
    /// By resource.
    pub powers: BTreeMap<String, PlannedPower>,
    /// Positions by tap changer.
    pub tap_positions: BTreeMap<String, i32>,
    /// What is outside its limits all the same, the worst of it.
    pub unresolved: Option<String>,
}

/// What a resource is to do.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PlannedPower {
    /// Real power in W.
    pub real_power_w: f64,
    /// Reactive power in var.
    pub reactive_power_var: f64,
    /// Real power in W that a generator does not feed in, or a load does not draw, because of the plan.
    pub curtailed_w: f64,
}

/// An answer to an outlook.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plan; one without measures if it is a fallback and there was no plan before.
    pub plan: Plan,
    /// Why it is not the cheapest plan for this outlook.
    pub fallback: Option<String>,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// What it came to in the run so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OperationalTotals {
    /// Plans that were made.
    pub plans: u64,
    /// Plans in whose place an older one, or none, was used.
    pub fallbacks: u64,
    /// Plans with a step in which limits are not met.
    pub plans_with_violation: u64,
    /// What the first steps cost, in EUR.
    pub cost_eur: f64,
    /// Operations of tap changers in the first steps.
    pub tap_operations: u64,
    /// Energy that resources gave or drew otherwise than by themselves in the first steps, in kWh.
    pub energy_kwh: f64,
}

/// Makes plans.
#[derive(Debug)]
pub struct OperationalCore {
    settings: OperationalSettings,
    feeder: Feeder,
    taps: Vec<(usize, TapRange)>,
    /// The last good plan, whose first step is over or about to begin.
    last: Option<Plan>,
    day: f64,
    used_today_kwh: Vec<f64>,
    totals: OperationalTotals,
}

/// A plan that was checked by power flows.
struct Checked {
    plan: Plan,
    /// By how much the worst value is outside its limits.
    worst: f64,
}

#[derive(Debug, thiserror::Error)]
enum PlanError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("the power flow of step {step} has no solution: {source}")]
    PowerFlow { step: usize, source: SolveError },
    #[error("by the power flow the plan leaves {0}, which it was to prevent")]
    Broken(String),
}

impl OperationalCore {
    /// Planning for `feeder`.
    ///
    /// # Errors
    /// When the feeder lacks something that is planned with.
    pub fn new(settings: OperationalSettings, feeder: Feeder) -> Result<Self, MismatchError> {
        if let Some(resource) = settings.resources.iter().find(|it| !feeder.has(&it.unit.name)) {
            return Err(MismatchError::Resource(resource.unit.name.clone()));
        }
        let mut taps = Vec::new();
        for tap in &settings.tap_changers {
            let TapChanger { name, branch, .. } = &tap.changer;
            let missing = || MismatchError::Branch { name: name.clone(), branch: branch.clone() };
            taps.push(feeder.taps(branch).ok_or_else(missing)?);
        }
        let used_today_kwh = vec![0.0; settings.resources.len()];
        let totals = OperationalTotals::default();
        Ok(Self { settings, feeder, taps, last: None, day: f64::MIN, used_today_kwh, totals })
    }

    /// The network.
    #[must_use]
    pub fn feeder(&self) -> &Feeder {
        &self.feeder
    }

    /// What it came to so far.
    #[must_use]
    pub fn totals(&self) -> OperationalTotals {
        self.totals
    }

    /// The plan for an outlook; where none can be made, the rest of the last one, or no measures at all. Its first step
    /// is taken to be carried out. The solver may take `within` for one program of the few that this takes.
    pub fn plan(&mut self, outlook: &Outlook, within: Duration) -> Planned {
        self.begin_day(outlook);
        let planned = match self.cheapest(outlook, within) {
            Ok(plan) => {
                self.totals.plans += 1;
                Planned { plan, fallback: None, warnings: Vec::new() }
            }
            Err(error) => self.fall_back(&error.to_string(), outlook),
        };
        self.carry_out(planned, outlook)
    }

    /// What is done when there is no outlook: the rest of the last plan, or nothing.
    pub fn go_on(&mut self, reason: &str, outlook: &Outlook) -> Planned {
        self.begin_day(outlook);
        let planned = self.fall_back(reason, outlook);
        self.carry_out(planned, outlook)
    }

    fn begin_day(&mut self, outlook: &Outlook) {
        let day = outlook.day(0);
        if day != self.day {
            self.day = day;
            self.used_today_kwh.fill(0.0);
        }
    }

    fn fall_back(&mut self, reason: &str, outlook: &Outlook) -> Planned {
        self.totals.fallbacks += 1;
        let rest = self.last.take().map(|plan| plan.steps.into_iter().skip(1).collect::<Vec<_>>());
        let (steps, what) = match rest {
            Some(steps) if !steps.is_empty() => (steps, "the rest of the last plan is followed"),
            _ => (vec![self.no_measures(outlook, 0)], "no measures are taken, tap changers stay"),
        };
        let plan = Plan { steps, ..Plan::default() };
        let warning = format!("no plan: {reason}; {what}");
        Planned { plan, fallback: Some(reason.to_owned()), warnings: vec![warning] }
    }

    fn no_measures(&self, outlook: &Outlook, step: usize) -> PlanStep {
        let by_itself = |settings: &super::PlannedResource| {
            let unit = &settings.unit;
            let power = outlook.powers.get(step).and_then(|powers| powers.get(&unit.name));
            let real_power_w = match unit.kind {
                ResourceKind::Storage => 0.0,
                _ => power.map_or_else(|| unit.free_power_w(), |power| power.real_power_w),
            };
            (unit.name.clone(), PlannedPower { real_power_w, ..PlannedPower::default() })
        };
        PlanStep {
            powers: self.settings.resources.iter().map(by_itself).collect(),
            tap_positions: outlook.tap_positions.clone(),
            unresolved: None,
        }
    }

    /// Books the first step, and keeps the plan.
    fn carry_out(&mut self, mut planned: Planned, outlook: &Outlook) -> Planned {
        for (at, step) in planned.plan.steps.iter().enumerate() {
            if let Some(what) = &step.unresolved {
                let count = planned.plan.steps.iter().filter(|step| step.unresolved.is_some()).count();
                let warning =
                    format!("{count} steps of the plan do not meet the limits; in step {}: {what}", at + 1);
                planned.warnings.push(warning);
                self.totals.plans_with_violation += 1;
                break;
            }
        }
        if let Some(first) = planned.plan.steps.first() {
            for (at, settings) in self.settings.resources.iter().enumerate() {
                let Some(power) = first.powers.get(&settings.unit.name) else { continue };
                let storage = settings.unit.kind == ResourceKind::Storage;
                let moved_w = if storage { power.real_power_w.abs() } else { power.curtailed_w };
                let kwh = moved_w * outlook.hours / 1000.0;
                let kvarh = power.reactive_power_var.abs() * outlook.hours / 1000.0;
                self.used_today_kwh[at] += kwh;
                self.totals.energy_kwh += kwh;
                self.totals.cost_eur += kwh * settings.cost_eur_per_kwh + kvarh * settings.cost_eur_per_kvarh;
            }
            for settings in &self.settings.tap_changers {
                let name = &settings.changer.name;
                let now = outlook.tap_positions.get(name);
                let (Some(now), Some(next)) = (now, first.tap_positions.get(name)) else { continue };
                let steps = next.abs_diff(*now);
                self.totals.tap_operations += u64::from(steps);
                self.totals.cost_eur += f64::from(steps) * settings.cost_eur_per_operation;
            }
        }
        self.last = Some(planned.plan.clone());
        planned
    }

    fn cheapest(&mut self, outlook: &Outlook, within: Duration) -> Result<Plan, PlanError> {
        let positions: Vec<i32> = self.positions(outlook);
        let powers: Vec<Vec<(f64, f64)>> = outlook
            .powers
            .iter()
            .map(|step| self.by_itself(step).into_iter().map(|kw| (kw, 0.0)).collect())
            .collect();
        let mut answer = Answer {
            positions: vec![positions; powers.len()],
            misses: vec![0.0; powers.len()],
            powers,
            cost_eur: 0.0,
        };
        let idle = self.check(outlook, &answer)?;
        let mut rows: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); outlook.powers.len()];
        let mut best: Option<Checked> = None;
        let mut failed = None;
        for _ in 0..LINEARISATIONS {
            let checked = match self.around(outlook, &answer, &mut rows, within) {
                Ok((next, checked)) => {
                    answer = next;
                    checked
                }
                // What was found before is as good as it was.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            let promised = answer.misses.iter().copied().fold(0.0, f64::max);
            let keeps = checked.worst <= TOLERANCE + self.settings.limits.target_margin_pu.min(promised);
            let helps = checked.worst <= promised + TOLERANCE && checked.worst <= idle.worst + TOLERANCE;
            if !keeps && !helps {
                let broken = checked.plan.steps.iter().find_map(|step| step.unresolved.clone());
                failed = Some(PlanError::Broken(broken.unwrap_or_default()));
                continue;
            }
            let rank = |it: &Checked| (it.worst.max(TOLERANCE), it.plan.cost_eur);
            let same =
                best.as_ref().is_some_and(|best| (best.plan.cost_eur - checked.plan.cost_eur).abs() < 1e-6);
            if best.as_ref().is_none_or(|best| rank(&checked) < rank(best)) {
                best = Some(checked);
            }
            if same {
                break;
            }
        }
        match (best, failed) {
            (Some(best), _) => Ok(best.plan),
            (None, Some(error)) => Err(error),
            (None, None) => Err(PlanError::Broken(String::new())),
        }
    }

    /// The cheapest answer with the network made straight around another one, and what the power flow says of it.
    fn around(
        &mut self,
        outlook: &Outlook,
        answer: &Answer,
        rows: &mut [BTreeSet<usize>],
        within: Duration,
    ) -> Result<(Answer, Checked), PlanError> {
        let models = self.linearise(outlook, answer, rows)?;
        let next = self.solve(outlook, &models, within)?;
        let checked = self.check(outlook, &next)?;
        Ok((next, checked))
    }

    fn positions(&self, outlook: &Outlook) -> Vec<i32> {
        let position = |(settings, (_, range)): (&super::PlannedTap, &(usize, TapRange))| {
            outlook.tap_positions.get(&settings.changer.name).copied().unwrap_or(range.neutral)
        };
        self.settings.tap_changers.iter().zip(&self.taps).map(position).collect()
    }

    /// What the resources of the plan do by themselves, in kW.
    fn by_itself(&self, powers: &BTreeMap<String, Power>) -> Vec<f64> {
        let power = |settings: &super::PlannedResource| {
            let kw = powers.get(&settings.unit.name).map_or(0.0, |power| power.real_power_w / 1000.0);
            if settings.unit.kind == ResourceKind::Storage { 0.0 } else { kw }
        };
        self.settings.resources.iter().map(power).collect()
    }

    fn point(&self, powers: &BTreeMap<String, Power>, planned: &[(f64, f64)], positions: &[i32]) -> Point {
        let mut point = Point { powers: powers.clone(), ..Point::default() };
        for (settings, (kw, kvar)) in self.settings.resources.iter().zip(planned) {
            let power = point.powers.entry(settings.unit.name.clone()).or_default();
            let by_itself_var =
                if settings.unit.max_reactive_power_var > 0.0 { 0.0 } else { power.reactive_power_var };
            (power.real_power_w, power.reactive_power_var) = (kw * 1000.0, by_itself_var + kvar * 1000.0);
        }
        point.taps =
            self.taps.iter().zip(positions).map(|((branch, _), position)| (*branch, *position)).collect();
        point
    }

    /// The network as straight lines around an answer. To `rows` those places are added whose limits matter.
    fn linearise(
        &mut self,
        outlook: &Outlook,
        answer: &Answer,
        rows: &mut [BTreeSet<usize>],
    ) -> Result<Vec<StepModel>, PlanError> {
        let reactive = |settings: &super::PlannedResource| settings.unit.max_reactive_power_var > 0.0;
        let axes = |settings: &super::PlannedResource| {
            std::iter::once(Axis::Real).chain(reactive(settings).then_some(Axis::Reactive))
        };
        let resources = self.settings.resources.iter();
        let controls: Vec<(&str, Axis)> = resources
            .flat_map(|settings| axes(settings).map(|axis| (settings.unit.name.as_str(), axis)))
            .collect();
        let branches: Vec<usize> = self.taps.iter().map(|(branch, _)| *branch).collect();
        let bounds = self.feeder.places().bounds(&self.settings.limits.target());
        let mut models = Vec::with_capacity(outlook.powers.len());
        for (at, powers) in outlook.powers.iter().enumerate() {
            let (planned, positions) = (&answer.powers[at], &answer.positions[at]);
            let point = self.point(powers, planned, positions);
            let (values, slopes) = self
                .feeder
                .linearise_with_taps(&point, &controls, &branches)
                .map_err(|source| PlanError::PowerFlow { step: at + 1, source })?;
            let mut slopes = slopes.into_iter();
            add_rows(&mut rows[at], &values, &bounds);
            let nothing = vec![0.0; values.len()];
            let mut next = |there: bool| {
                let slopes = if there { slopes.next() } else { None };
                slopes.map_or_else(|| nothing.clone(), |slopes| slopes.iter().map(|it| it * 1000.0).collect())
            };
            models.push(StepModel {
                slopes: self.settings.resources.iter().map(|it| (next(true), next(reactive(it)))).collect(),
                tap_slopes: slopes.collect(),
                values,
                powers: planned.clone(),
                positions: positions.clone(),
                rows: rows[at].clone(),
                by_itself_kw: self.by_itself(powers),
            });
        }
        Ok(models)
    }

    fn solve(
        &self,
        outlook: &Outlook,
        steps: &[StepModel],
        within: Duration,
    ) -> Result<Answer, ProgramError> {
        let bounds = self.feeder.places().bounds(&self.settings.limits.target());
        let now = self.positions(outlook);
        let taps: Vec<(i32, i32, i32)> =
            now.iter().zip(&self.taps).map(|(now, (_, range))| (*now, range.lowest, range.highest)).collect();
        let stored = |settings: &super::PlannedResource| {
            let percent = *outlook.states_of_charge.get(&settings.unit.name)?;
            Some(percent.clamp(0.0, 100.0) / 100.0 * settings.unit.capacity_kwh?)
        };
        let stored_kwh: Vec<Option<f64>> = self.settings.resources.iter().map(stored).collect();
        let resources = self.settings.resources.iter().zip(&self.used_today_kwh);
        let left_kwh: Vec<Option<f64>> = resources
            .map(|(settings, used)| settings.max_energy_kwh_per_day.map(|most| (most - used).max(0.0)))
            .collect();
        let days: Vec<f64> = (0..steps.len()).map(|step| outlook.day(step)).collect();
        let program = Program {
            settings: &self.settings,
            bounds: &bounds,
            hours: outlook.hours,
            steps,
            taps: &taps,
            stored_kwh: &stored_kwh,
            left_kwh: &left_kwh,
            days: &days,
            within,
        };
        match solve(&program, false) {
            // Which steps to take is what takes long; without that question the answer comes at once.
            Err(ProgramError::Time) => solve(&program, true),
            other => other,
        }
    }

    /// Solves every step of an answer by the power flow, and makes a plan of it.
    fn check(&mut self, outlook: &Outlook, answer: &Answer) -> Result<Checked, PlanError> {
        let mut plan = Plan { cost_eur: answer.cost_eur, ..Plan::default() };
        let mut worst = 0.0_f64;
        let mut before = self.positions(outlook);
        for (at, powers) in outlook.powers.iter().enumerate() {
            let (planned, positions) = (&answer.powers[at], &answer.positions[at]);
            let point = self.point(powers, planned, positions);
            let values =
                self.feeder.solve(&point).map_err(|source| PlanError::PowerFlow { step: at + 1, source })?;
            let outside = self.feeder.places().worst(&values, &self.settings.limits);
            let outside = outside.filter(|(by, _)| *by > TOLERANCE);
            worst = worst.max(outside.map_or(0.0, |(by, _)| by));
            let moved = before.iter().zip(positions).map(|(a, b)| u64::from(a.abs_diff(*b)));
            plan.tap_operations += moved.sum::<u64>();
            before.clone_from(positions);
            let unresolved =
                outside.map(|(_, place)| self.feeder.places().list()[place].describe(values[place]));
            let by_itself = self.by_itself(powers);
            plan.steps.push(self.step(planned, &by_itself, positions, unresolved));
        }
        Ok(Checked { plan, worst })
    }

    fn step(
        &self,
        planned: &[(f64, f64)],
        by_itself_kw: &[f64],
        positions: &[i32],
        unresolved: Option<String>,
    ) -> PlanStep {
        let resources = self.settings.resources.iter().zip(planned).zip(by_itself_kw);
        let power = |((settings, (kw, kvar)), by_itself): ((&super::PlannedResource, &(f64, f64)), &f64)| {
            let curtailed_kw =
                if settings.unit.kind == ResourceKind::Storage { 0.0 } else { (by_itself - kw).abs() };
            let curtailed_w = if curtailed_kw < 1e-3 { 0.0 } else { curtailed_kw * 1000.0 };
            let (real_power_w, reactive_power_var) = (tidy(kw * 1000.0), tidy(kvar * 1000.0));
            (settings.unit.name.clone(), PlannedPower { real_power_w, reactive_power_var, curtailed_w })
        };
        PlanStep {
            powers: resources.map(power).collect(),
            tap_positions: self
                .settings
                .tap_changers
                .iter()
                .zip(positions)
                .map(|(settings, position)| (settings.changer.name.clone(), *position))
                .collect(),
            unresolved,
        }
    }
}

/// A solver's zero is zero.
fn tidy(value: f64) -> f64 {
    if value.abs() < 1e-3 { 0.0 } else { value }
}

/// Adds the places that are nearest to their limits or beyond them.
fn add_rows(rows: &mut BTreeSet<usize>, values: &[f64], bounds: &[(f64, f64)]) {
    let room = |at: usize| (bounds[at].1 - values[at]).min(values[at] - bounds[at].0);
    let mut near: Vec<usize> = (0..values.len()).filter(|at| room(*at) < NEAR).collect();
    near.sort_by(|a, b| room(*a).total_cmp(&room(*b)));
    rows.extend(near.into_iter().take(ROWS_MAX));
}
