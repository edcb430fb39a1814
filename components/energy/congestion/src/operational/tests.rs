//! Plans for a day of the paper's network, and the loop closed over the power flow.

use super::*;
use crate::twelve_bus::{by_itself, changer, engine, extremes, feeder, feeder_of, node, point, unit};
use crate::{Limits, Power, ResourceKind, Unit};
use gridloop_grid::{NetworkSource, Unsaid};
use gridloop_power_flow::{BuiltIn, Engine, Operation, Solution, SolveError, Topology};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const STEP: f64 = 0.025;
const HOURS: f64 = 0.5;
/// For one program; none here takes so long.
const LIMIT: Duration = Duration::from_secs(20);

fn resource(name: &str, kind: ResourceKind, contract: Contract, kw: f64, cost: f64) -> PlannedResource {
    let kvar = if kind == ResourceKind::Generator { kw * 0.4 } else { 0.0 };
    PlannedResource {
        unit: Unit {
            max_reactive_power_var: kvar * 1000.0,
            capacity_kwh: Some(10.0),
            ..unit(name, kind, kw)
        },
        contract,
        cost_eur_per_kwh: cost,
        cost_eur_per_kvarh: 0.001,
        max_energy_kwh_per_day: None,
    }
}

fn settings() -> OperationalSettings {
    OperationalSettings {
        network: NetworkSource::Messages(Unsaid::default()),
        renew_at_start: false,
        limits: Limits {
            min_voltage_pu: 0.92,
            max_voltage_pu: 1.08,
            target_margin_pu: 0.005,
            release_margin_pu: 0.005,
            max_loading: 1.0,
        },
        persistent: Vec::new(),
        steps: 6,
        commands: true,
        violation_cost_eur_per_pu_h: 10_000.0,
        input_timeout: Duration::from_secs(1),
        solve_timeout: Duration::from_secs(20),
        resources: vec![
            resource("battery10", ResourceKind::Storage, Contract::Owned, 5.0, 0.02),
            resource("pv7", ResourceKind::Generator, Contract::Mandated, 15.0, 1.0),
            resource("ev10", ResourceKind::Load, Contract::Contracted, 7.4, 0.3),
        ],
        tap_changers: vec![PlannedTap {
            changer: changer("oltc1", STEP),
            cost_eur_per_operation: 0.1,
            operations_per_epoch: 2,
        }],
    }
}

/// What is expected from half an hour `first` of the day on, where the tap changer stands at `position`.
fn outlook(first: usize, steps: usize, position: i32, soc_percent: f64) -> Outlook {
    let power = |(name, watts): (String, f64)| {
        let power = Power { real_power_w: watts, reactive_power_var: 0.0, node: node(&name) };
        (name, power)
    };
    let step = |at: usize| by_itself((first + at) * 2).into_iter().map(power).collect();
    Outlook {
        start_h: 24.0 + HOURS * f64::from(u32::try_from(first).unwrap()),
        hours: HOURS,
        powers: (0..steps).map(step).collect(),
        tap_positions: BTreeMap::from([("oltc1".to_owned(), position)]),
        states_of_charge: BTreeMap::from([("battery10".to_owned(), soc_percent)]),
    }
}

/// Lowest and highest voltage in a step of a plan, by the power flow of another feeder.
fn voltages(outlook: &Outlook, plan: &Plan, step: usize) -> (f64, f64) {
    let mut outside = feeder(1.0, STEP);
    let mut powers: BTreeMap<String, (f64, f64)> =
        outlook.powers[step].iter().map(|(name, power)| (name.clone(), (power.real_power_w, 0.0))).collect();
    for (name, planned) in &plan.steps[step].powers {
        powers.insert(name.clone(), (planned.real_power_w, planned.reactive_power_var));
    }
    let point = point(&outside, &powers, plan.steps[step].tap_positions["oltc1"]);
    let values = outside.solve(&point).unwrap();
    extremes(&outside, &values)
}

#[test]
fn the_plan_for_noon_and_the_one_for_the_evening_keep_the_network_in_its_limits() {
    for (first, position) in [(23, 0), (34, -2)] {
        let mut core = OperationalCore::new(settings(), feeder(1.0, STEP)).unwrap();
        let outlook = outlook(first, 6, position, 60.0);
        let planned = core.plan(&outlook, LIMIT);
        assert_eq!((&planned.fallback, planned.warnings.len()), (&None, 0), "{planned:?}");
        for step in 0..6 {
            let (low, high) = voltages(&outlook, &planned.plan, step);
            assert!(
                low >= 0.92 - 1e-3 && high <= 1.08 + 1e-3,
                "from {first}, {step}: {low} {high} {planned:?}"
            );
        }
        assert!(planned.plan.cost_eur > 0.0 && planned.plan.cost_eur < 5.0, "{}", planned.plan.cost_eur);
    }
}

#[test]
fn a_quiet_night_needs_no_measures_and_costs_nothing() {
    let mut core = OperationalCore::new(settings(), feeder(1.0, STEP)).unwrap();
    let planned = core.plan(&outlook(2, 6, 0, 50.0), LIMIT);
    assert_eq!((planned.plan.cost_eur, planned.plan.tap_operations), (0.0, 0), "{planned:?}");
    assert!(planned.plan.steps.iter().all(|step| step.powers.values().all(|power| power.curtailed_w == 0.0)));
}

#[test]
fn an_operation_that_is_dear_is_spared_and_a_cheap_one_is_not() {
    let operations = |cost: f64| {
        let mut settings = settings();
        settings.tap_changers[0].cost_eur_per_operation = cost;
        let mut core = OperationalCore::new(settings, feeder(1.0, STEP)).unwrap();
        core.plan(&outlook(23, 6, 0, 60.0), LIMIT).plan.tap_operations
    };
    let (cheap, dear) = (operations(0.01), operations(100.0));
    assert!(cheap > dear && dear == 0, "{cheap} {dear}");
}

#[test]
fn a_day_by_plans_costs_less_than_one_by_mandated_curtailment_alone_and_stays_in_its_limits() {
    let day = |settings: OperationalSettings| {
        let steps = settings.steps;
        let mut core = OperationalCore::new(settings, feeder(1.0, STEP)).unwrap();
        let (mut position, mut stored) = (0, 6.0_f64);
        let mut worst = (f64::MAX, f64::MIN);
        for half_hour in (14..46).step_by(1) {
            let outlook = outlook(half_hour, steps, position, stored * 10.0);
            let planned = core.plan(&outlook, LIMIT);
            let (low, high) = voltages(&outlook, &planned.plan, 0);
            worst = (worst.0.min(low), worst.1.max(high));
            position = planned.plan.steps[0].tap_positions.get("oltc1").copied().unwrap_or(position);
            let kw = planned.plan.steps[0]
                .powers
                .get("battery10")
                .map_or(0.0, |power| power.real_power_w / 1000.0);
            stored -= HOURS * if kw > 0.0 { kw / 0.95 } else { kw * 0.95 };
            assert!((0.9..=9.1).contains(&stored), "{stored}");
        }
        (core.totals(), worst)
    };
    let (all, worst) = day(settings());
    let mut alone = settings();
    alone.resources.retain(|resource| resource.contract != Contract::Owned);
    alone.tap_changers[0].cost_eur_per_operation = 1e6;
    let (mandated, _) = day(alone);
    assert_eq!(all.fallbacks, 0);
    assert!(worst.0 >= 0.92 - 1e-3 && worst.1 <= 1.08 + 1e-3, "{worst:?}");
    assert!(all.cost_eur < 0.5 * mandated.cost_eur, "{all:?} {mandated:?}");
    assert!(all.tap_operations <= 12, "{all:?}");
}

#[test]
fn what_cannot_be_prevented_is_planned_for_as_well_as_it_goes_and_told() {
    let mut settings = settings();
    settings.resources.clear();
    settings.tap_changers[0].operations_per_epoch = 1;
    let mut core = OperationalCore::new(settings, feeder(1.0, STEP)).unwrap();
    let outlook = outlook(36, 4, -4, 60.0);
    let planned = core.plan(&outlook, LIMIT);
    assert_eq!(planned.fallback, None, "{planned:?}");
    assert!(planned.warnings[0].contains("do not meet the limits"), "{planned:?}");
    assert!(planned.plan.steps[3].tap_positions["oltc1"] > -4);
}

#[test]
fn a_load_that_no_network_can_carry_ends_in_the_rest_of_the_last_plan_and_a_reason() {
    let mut core = OperationalCore::new(settings(), feeder(1.0, STEP)).unwrap();
    let good = core.plan(&outlook(23, 6, 0, 60.0), LIMIT);
    let mut outlook = outlook(24, 6, good.plan.steps[0].tap_positions["oltc1"], 60.0);
    outlook.powers[2].get_mut("house7").unwrap().real_power_w = -5e6;
    let planned = core.plan(&outlook, LIMIT);
    assert_eq!(planned.plan.steps[..], good.plan.steps[1..]);
    assert!(
        planned.warnings[0].contains("step 3") && planned.warnings[0].contains("rest of the last plan"),
        "{planned:?}"
    );
    assert_eq!(core.totals().fallbacks, 1);
}

#[test]
fn without_any_plan_nothing_is_done_and_tap_changers_stay() {
    let mut core = OperationalCore::new(settings(), feeder(1.0, STEP)).unwrap();
    let planned = core.go_on("no forecast of house7", &outlook(23, 0, 2, 60.0));
    assert_eq!(planned.plan.steps[0].tap_positions["oltc1"], 2);
    assert_eq!(planned.plan.steps[0].powers["pv7"].curtailed_w, 0.0);
    assert!(planned.warnings[0].contains("no forecast of house7"));
}

#[test]
fn a_contract_of_so_many_kilowatt_hours_a_day_is_kept() {
    let mut settings = settings();
    settings.tap_changers.clear();
    settings.resources.remove(0);
    settings.resources[1].max_energy_kwh_per_day = Some(1.0);
    let mut core = OperationalCore::new(settings, feeder(1.0, STEP)).unwrap();
    let mut used = 0.0;
    for half_hour in 34..42 {
        let mut outlook = outlook(half_hour, 4, 0, 60.0);
        outlook.tap_positions.clear();
        let planned = core.plan(&outlook, LIMIT);
        used += planned.plan.steps[0].powers["ev10"].curtailed_w / 1000.0 * HOURS;
    }
    assert!(used <= 1.0 + 1e-6, "{used}");
}

#[test]
fn each_day_has_its_own_part_of_a_contract() {
    let mut settings = settings();
    settings.tap_changers.clear();
    settings.resources.remove(0);
    settings.resources[1].max_energy_kwh_per_day = Some(1.0);
    let mut core = OperationalCore::new(settings, feeder(1.0, STEP)).unwrap();
    // The vehicle charges from 17:30 on; here midnight comes two hours later.
    let mut outlook = Outlook { start_h: 48.0 - 4.0 * HOURS, ..outlook(35, 6, 0, 60.0) };
    outlook.tap_positions.clear();
    let planned = core.plan(&outlook, LIMIT);
    let used_kwh = |steps: &[PlanStep]| -> f64 {
        steps.iter().map(|step| step.powers["ev10"].curtailed_w / 1000.0 * HOURS).sum()
    };
    let (before, after) = planned.plan.steps.split_at(4);
    assert!(used_kwh(before) <= 1.0 + 1e-6 && used_kwh(after) <= 1.0 + 1e-6, "{planned:?}");
    assert!(used_kwh(before) + used_kwh(after) > 1.5, "{planned:?}");
}

/// A battery and nothing else.
fn battery_alone() -> OperationalSettings {
    let mut settings = settings();
    settings.tap_changers.clear();
    settings.resources.truncate(1);
    settings
}

#[test]
fn a_battery_s_inverter_carries_real_and_reactive_power_together() {
    let mut settings = battery_alone();
    let unit = &mut settings.resources[0].unit;
    (unit.rated_apparent_power_va, unit.max_reactive_power_var) = (5_000.0, 4_000.0);
    settings.resources[0].cost_eur_per_kvarh = 0.0;
    let mut core = OperationalCore::new(settings, feeder(1.0, STEP)).unwrap();
    let mut outlook = outlook(36, 3, 0, 90.0);
    outlook.tap_positions.clear();
    let planned = core.plan(&outlook, LIMIT);
    for step in &planned.plan.steps {
        let PlannedPower { real_power_w, reactive_power_var, .. } = step.powers["battery10"];
        assert!(real_power_w.hypot(reactive_power_var) <= 5_000.1, "{planned:?}");
        assert!(real_power_w > 1_000.0 && reactive_power_var > 1_000.0, "both help: {planned:?}");
    }
}

#[test]
fn a_full_battery_burns_no_energy_where_nothing_else_helps() {
    let mut core = OperationalCore::new(battery_alone(), feeder(1.0, STEP)).unwrap();
    let mut outlook = outlook(23, 3, 0, 90.0);
    outlook.tap_positions.clear();
    let planned = core.plan(&outlook, LIMIT);
    assert!(planned.warnings[0].contains("do not meet the limits"), "{planned:?}");
    let mut stored_kwh = 9.0;
    for step in &planned.plan.steps {
        let kw = step.powers["battery10"].real_power_w / 1000.0;
        stored_kwh -= HOURS * if kw > 0.0 { kw / 0.95 } else { kw * 0.95 };
        assert!(stored_kwh <= 9.0 + 1e-6, "{planned:?}");
    }
}

#[test]
fn a_battery_of_which_nobody_knows_how_full_it_is_rests() {
    let mut core = OperationalCore::new(battery_alone(), feeder(1.0, STEP)).unwrap();
    let mut outlook = outlook(36, 3, 0, 90.0);
    outlook.tap_positions.clear();
    let moved = core.plan(&outlook, LIMIT);
    assert!(moved.plan.steps[0].powers["battery10"].real_power_w > 1_000.0, "{moved:?}");
    outlook.states_of_charge.clear();
    let planned = core.plan(&outlook, LIMIT);
    assert!(planned.plan.steps.iter().all(|step| step.powers["battery10"].real_power_w == 0.0));
}

/// An engine that solves so many times and then no more.
struct Tired {
    engine: BuiltIn,
    left: Arc<AtomicUsize>,
}

impl Engine for Tired {
    fn topology(&self) -> &Topology {
        self.engine.topology()
    }

    fn solve(&mut self, operation: &Operation) -> Result<Solution, SolveError> {
        match self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => self.engine.solve(operation),
            Err(_) => Err(SolveError::NotFinite { what: "a test".into() }),
        }
    }
}

#[test]
fn a_plan_that_was_found_is_not_lost_when_a_better_one_cannot_be_looked_for() {
    let plan_with = |solutions: usize| {
        let left = Arc::new(AtomicUsize::new(solutions));
        let tired = Tired { engine: engine(1.0, STEP), left: Arc::clone(&left) };
        let mut core = OperationalCore::new(settings(), feeder_of(Box::new(tired))).unwrap();
        let planned = core.plan(&outlook(23, 6, 0, 60.0), LIMIT);
        (planned, solutions - left.load(Relaxed))
    };
    let (whole, needed) = plan_with(100_000);
    assert_eq!(whole.fallback, None);
    // All but the last few solutions: the first answer has been checked long before.
    let (cut, used) = plan_with(needed - 10);
    assert_eq!((cut.fallback, used), (None, needed - 10));
    let (none, _) = plan_with(10);
    assert!(none.fallback.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn plans_are_finite_and_within_ratings_whatever_is_expected(
        watts in prop::collection::vec(prop::collection::vec(-20_000.0..20_000.0_f64, 9), 1..3),
        position in -6..=6_i32,
        soc in -50.0..150.0_f64,
    ) {
        let settings = settings();
        let mut core = OperationalCore::new(settings.clone(), feeder(1.0, STEP)).unwrap();
        let mut outlook = outlook(0, watts.len(), position, soc);
        for (step, watts) in outlook.powers.iter_mut().zip(&watts) {
            step.values_mut().zip(watts).for_each(|(power, watts)| power.real_power_w = *watts);
        }
        let planned = core.plan(&outlook, LIMIT);
        prop_assert!(planned.plan.cost_eur.is_finite() && !planned.plan.steps.is_empty());
        for step in &planned.plan.steps {
            for settings in &settings.resources {
                let power = step.powers[&settings.unit.name];
                let most = settings.unit.rated_power_w.max(20_000.0);
                prop_assert!(power.real_power_w.abs() <= most + 1e-3);
                prop_assert!(power.reactive_power_var.abs() <= settings.unit.max_reactive_power_var + 1e-3);
            }
        }
    }
}
