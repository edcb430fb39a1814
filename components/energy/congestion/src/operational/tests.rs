//! Plans for a day of the paper's network, and the loop closed over the power flow.

use super::*;
use crate::twelve_bus::{by_itself, extremes, feeder, node, point};
use crate::{Limits, Power, ResourceKind};
use gridloop_grid::{NetworkSource, Unsaid};
use gridloop_power_flow::TapRange;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const STEP: f64 = 0.025;
const HOURS: f64 = 0.5;

fn resource(name: &str, kind: ResourceKind, contract: Contract, kw: f64, cost: f64) -> PlannedResource {
    PlannedResource {
        name: name.into(),
        bus: None,
        kind,
        contract,
        rated_power_w: kw * 1000.0,
        rated_apparent_power_va: kw * 1100.0,
        max_reactive_power_var: if kind == ResourceKind::Generator { kw * 400.0 } else { 0.0 },
        cost_eur_per_kwh: cost,
        cost_eur_per_kvarh: 0.001,
        max_energy_kwh_per_day: None,
        capacity_kwh: 10.0,
        efficiency: (0.95, 0.95),
        state_of_charge_percent: (10.0, 90.0),
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
            name: "oltc1".into(),
            branch: "T1".into(),
            range: Some(TapRange { lowest: -4, highest: 4, neutral: 0, step: STEP }),
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
        day: 1,
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
        let planned = core.plan(&outlook);
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
    let planned = core.plan(&outlook(2, 6, 0, 50.0));
    assert_eq!((planned.plan.cost_eur, planned.plan.tap_operations), (0.0, 0), "{planned:?}");
    assert!(planned.plan.steps.iter().all(|step| step.powers.values().all(|power| power.curtailed_w == 0.0)));
}

#[test]
fn an_operation_that_is_dear_is_spared_and_a_cheap_one_is_not() {
    let operations = |cost: f64| {
        let mut settings = settings();
        settings.tap_changers[0].cost_eur_per_operation = cost;
        let mut core = OperationalCore::new(settings, feeder(1.0, STEP)).unwrap();
        core.plan(&outlook(23, 6, 0, 60.0)).plan.tap_operations
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
            let planned = core.plan(&outlook);
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
    let planned = core.plan(&outlook);
    assert_eq!(planned.fallback, None, "{planned:?}");
    assert!(planned.warnings[0].contains("do not meet the limits"), "{planned:?}");
    assert!(planned.plan.steps[3].tap_positions["oltc1"] > -4);
}

#[test]
fn a_load_that_no_network_can_carry_ends_in_the_rest_of_the_last_plan_and_a_reason() {
    let mut core = OperationalCore::new(settings(), feeder(1.0, STEP)).unwrap();
    let good = core.plan(&outlook(23, 6, 0, 60.0));
    let mut outlook = outlook(24, 6, good.plan.steps[0].tap_positions["oltc1"], 60.0);
    outlook.powers[2].get_mut("house7").unwrap().real_power_w = -5e6;
    let planned = core.plan(&outlook);
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
        let planned = core.plan(&outlook);
        used += planned.plan.steps[0].powers["ev10"].curtailed_w / 1000.0 * HOURS;
    }
    assert!(used <= 1.0 + 1e-6, "{used}");
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
        let planned = core.plan(&outlook);
        prop_assert!(planned.plan.cost_eur.is_finite() && !planned.plan.steps.is_empty());
        for step in &planned.plan.steps {
            for settings in &settings.resources {
                let power = step.powers[&settings.name];
                let most = settings.rated_power_w.max(20_000.0);
                prop_assert!(power.real_power_w.abs() <= most + 1e-3);
                prop_assert!(power.reactive_power_var.abs() <= settings.max_reactive_power_var + 1e-3);
            }
        }
    }
}
