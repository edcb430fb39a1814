//! Predictive grid optimisation without messages: what it asks for, held against the power flow.

use super::core::{Judged, Need, PredictiveCore, Purchase};
use super::forecast::Expected;
use super::settings::{PredictiveLimits, Trade};
use crate::places::Places;
use gridloop_messages::{Direction, Timestamp};
use gridloop_power_flow::samples::grid_scenario;
use gridloop_power_flow::{
    BuiltIn, Connection, Engine, Injection, Network, Operation, VoltageDependence, Wires,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

mod forecast;
mod negotiation;
mod selection;

/// Customers of the paper's feeder, each named after its bus.
const CUSTOMERS: [&str; 6] = ["2", "3", "5", "7", "10", "11"];

const LIMITS: PredictiveLimits = PredictiveLimits {
    min_voltage_pu: 0.95,
    max_voltage_pu: 1.05,
    lower_amber_band_pu: 0.0,
    upper_amber_band_pu: 0.0,
    max_loading: 5.0,
    amber_loading: 5.0,
};

const TRADE: Trade = Trade {
    relative_sensitivity: 0.3,
    flexibility_need_margin: 0.0,
    real_power_min_kw: 0.1,
    bid_resolution_kw: 0.1,
};

fn engine() -> BuiltIn {
    let mut network = grid_scenario(Wires::NeutralEarthedEverywhere);
    network.root_voltage_pu = 1.0;
    BuiltIn::new(&Network::from_per_unit(&network).unwrap()).unwrap()
}

fn core(limits: PredictiveLimits, trade: Trade) -> PredictiveCore {
    let customers = CUSTOMERS.map(|bus| (format!("customer {bus}"), bus.to_owned()));
    PredictiveCore::new(limits, trade, Box::new(engine()), customers)
}

fn at(hour: u32) -> Timestamp {
    Timestamp::parse("2026-06-21T00:00:00Z").unwrap().plus(std::time::Duration::from_secs(3_600) * hour)
}

/// What these powers in kW at buses come to, of all phases together.
fn operation(powers: &[(&str, f64)]) -> Operation {
    let engine = engine();
    let injection = |(bus, kw): &(&str, f64)| Injection {
        bus: engine.topology().bus(bus).unwrap(),
        connection: Connection::Wye,
        real_power_w: kw * 1_000.0,
        reactive_power_var: 0.0,
        dependence: VoltageDependence::ConstantPower,
    };
    Operation { injections: powers.iter().map(injection).collect(), ..Operation::default() }
}

fn values(operation: &Operation) -> Vec<f64> {
    let mut engine = engine();
    let solution = engine.solve(operation).unwrap();
    Places::of(engine.topology()).read(&solution)
}

fn expected(operation: &Operation) -> Expected {
    Expected { at: at(18), duration_min: 60.0, values: values(operation) }
}

/// What is needed when these powers are forecast.
fn judged(core: &mut PredictiveCore, powers: &[(&str, f64)]) -> Judged {
    let operation = operation(powers);
    core.judge(&[expected(&operation)], |_, _| operation.clone())
}

/// Lowest and highest voltage when what is needed is there, at the worst bus of each area.
fn voltages_with(powers: &[(&str, f64)], needs: &[Need]) -> (f64, f64) {
    let mut powers = powers.to_vec();
    powers.extend(needs.iter().map(|need| {
        (need.bus.as_str(), if need.direction == Direction::Up { need.needed_kw } else { -need.needed_kw })
    }));
    extremes(&values(&operation(&powers)))
}

fn extremes(values: &[f64]) -> (f64, f64) {
    let engine = engine();
    let places = Places::of(engine.topology());
    let voltages = places.list().iter().zip(values).filter(|(place, _)| place.is_voltage());
    voltages.fold((f64::MAX, f64::MIN), |(low, high), (_, value)| (low.min(*value), high.max(*value)))
}

#[test]
fn a_forecast_within_its_limits_needs_nothing() {
    assert_eq!(judged(&mut core(LIMITS, TRADE), &[("10", -2.0), ("7", 2.0)]), Judged::default());
}

#[test]
fn where_voltage_is_too_high_less_power_is_needed_and_brings_it_to_the_limit() {
    let powers = [("7", 6.0), ("5", 3.0)];
    let judged = judged(&mut core(LIMITS, TRADE), &powers);
    let [need] = judged.needs.as_slice() else { panic!("{judged:?}") };
    assert_eq!((need.direction, need.bus.as_str()), (Direction::Down, "7"));
    assert_eq!((need.at, need.duration_min), (at(18), 60.0));
    assert!(judged.violations >= 3, "{judged:?}");
    let (_, before) = voltages_with(&powers, &[]);
    let (_, after) = voltages_with(&powers, &judged.needs);
    assert!(before > 1.055 && (after - 1.05).abs() < 1e-3, "{before} and then {after} pu");
    let worst = judged.worst.unwrap();
    assert!((worst.beyond - (before - 1.05)).abs() < 1e-9 && worst.place.starts_with("bus 7 "), "{worst:?}");
}

#[test]
fn where_voltage_is_too_low_more_power_is_needed_and_brings_it_to_the_limit() {
    let powers = [("7", -6.0), ("5", -3.0)];
    let judged = judged(&mut core(LIMITS, TRADE), &powers);
    assert!(judged.needs.iter().all(|need| need.direction == Direction::Up), "{judged:?}");
    assert!(judged.worst.unwrap().beyond < -0.005);
    let (after, _) = voltages_with(&powers, &judged.needs);
    assert!((after - 0.95).abs() < 1e-3, "{after} pu");
}

/// Without the operating point, sensitivities are those of the network without load: near, but not as near.
#[test]
fn sensitivities_are_those_around_the_forecast_state_where_it_is_known() {
    let powers = [("10", -20.0), ("7", -6.0)];
    let loaded = judged(&mut core(LIMITS, TRADE), &powers);
    let state = expected(&operation(&powers));
    let unloaded = core(LIMITS, TRADE).judge(&[state], |_, _| Operation::default());
    let miss = |judged: &Judged| (voltages_with(&powers, &judged.needs).0 - 0.95).abs();
    assert!(miss(&loaded) < miss(&unloaded), "{} and {}", miss(&loaded), miss(&unloaded));
    assert_eq!(unloaded.warnings, [""; 0]);
}

#[test]
fn what_is_told_of_powers_counts_only_if_the_network_comes_to_be_like_the_forecast_by_it() {
    let powers = [("10", -16.0)];
    let state = expected(&operation(&powers));
    let nonsense = operation(&[("10", 30.0), ("7", -30.0)]);
    let told = core(LIMITS, TRADE).judge(std::slice::from_ref(&state), |_, _| nonsense.clone());
    assert_eq!(told, core(LIMITS, TRADE).judge(&[state], |_, _| Operation::default()));
}

/// By one definition and two ways: here the voltages of two power flows for each bus, there sensitivities.
#[test]
fn an_area_has_the_buses_whose_power_moves_the_worst_voltage_enough() {
    let powers = [("7", 12.0), ("5", 3.0)];
    let worst = |extra: &[(&str, f64)]| {
        let all: Vec<(&str, f64)> = powers.iter().chain(extra).copied().collect();
        extremes(&values(&operation(&all))).1
    };
    let moved = |bus: &str| worst(&[(bus, 0.2)]) - worst(&[(bus, -0.2)]);
    for percent in [5.0, 20.0, 40.0, 60.0, 80.0] {
        let trade = Trade { relative_sensitivity: percent / 100.0, ..TRADE };
        let judged = judged(&mut core(LIMITS, trade), &powers);
        let need = &judged.needs[0];
        let near = |bus: &&&str| moved(bus) / moved("7") >= 1.0 - percent / 100.0;
        let expected: BTreeSet<String> =
            CUSTOMERS.iter().filter(near).map(|bus| format!("customer {bus}")).collect();
        assert_eq!(need.customers, expected.into_iter().collect::<Vec<_>>(), "{percent} %");
    }
}

#[test]
fn one_need_is_enough_for_all_violations_along_a_feeder() {
    let powers = [("7", 14.0)];
    let trade = Trade { relative_sensitivity: 0.2, ..TRADE };
    let judged = judged(&mut core(LIMITS, trade), &powers);
    let over: BTreeSet<&str> = judged.needs.iter().map(|need| need.bus.as_str()).collect();
    assert!(judged.violations > 3, "bus 6 is beyond its limits too: {judged:?}");
    assert_eq!(over, BTreeSet::from(["7"]));
}

#[test]
fn two_ends_of_a_feeder_have_a_need_each() {
    let powers = [("7", 4.0), ("5", 9.0)];
    let trade = Trade { relative_sensitivity: 0.2, ..TRADE };
    let judged = judged(&mut core(LIMITS, trade), &powers);
    let customers: Vec<&Vec<String>> = judged.needs.iter().map(|need| &need.customers).collect();
    assert!(customers.len() >= 2, "{judged:?}");
    assert!(customers.iter().any(|it| it.contains(&"customer 7".to_owned())), "{customers:?}");
    assert!(customers.iter().any(|it| it.contains(&"customer 5".to_owned())), "{customers:?}");
}

#[test]
fn a_request_has_the_margin_the_least_power_and_whole_bids() {
    let powers = [("7", 12.0)];
    let need = |trade: Trade| judged(&mut core(LIMITS, trade), &powers).needs.remove(0);
    let plain_kw = need(TRADE).needed_kw;
    let margin = need(Trade { flexibility_need_margin: 0.5, ..TRADE });
    assert!((margin.needed_kw - 1.5 * plain_kw).abs() < 1e-9);
    let least = need(Trade { flexibility_need_margin: -1.0, real_power_min_kw: 0.7, ..TRADE });
    assert_eq!((least.needed_kw, least.request_kw), (0.7, 0.7));
    let coarse = need(Trade { real_power_min_kw: 0.5, bid_resolution_kw: 2.0, ..TRADE });
    let bids = (coarse.request_kw - 0.5) / 2.0;
    assert!((bids - bids.round()).abs() < 1e-9, "{coarse:?}");
    assert!((0.0..2.0).contains(&(coarse.request_kw - plain_kw)), "{coarse:?}");
}

fn purchase(need: &Need, part: f64) -> Purchase {
    Purchase {
        from: need.at,
        duration_min: need.duration_min,
        direction: need.direction,
        bus: need.bus.clone(),
        power_kw: part * need.needed_kw,
    }
}

#[test]
fn what_was_bought_and_the_forecast_does_not_show_is_not_needed_again() {
    let powers = [("7", 6.0), ("5", 3.0)];
    let mut core = core(LIMITS, TRADE);
    let first = judged(&mut core, &powers).needs.remove(0);
    core.buy(purchase(&first, 0.6));
    let rest = judged(&mut core, &powers).needs.remove(0);
    assert!((rest.needed_kw - 0.4 * first.needed_kw).abs() < 0.1, "{rest:?} after 0.6 of {first:?}");
    core.buy(purchase(&rest, 1.0));
    assert_eq!(judged(&mut core, &powers).needs, []);
}

#[test]
fn a_purchase_counts_in_its_time_and_is_forgotten_after_it() {
    let powers = [("7", 6.0)];
    let mut core = core(LIMITS, TRADE);
    let need = judged(&mut core, &powers).needs.remove(0);
    for from in [at(17), at(19)] {
        core.buy(Purchase { from, ..purchase(&need, 1.0) });
    }
    assert_eq!(judged(&mut core, &powers).needs, std::slice::from_ref(&need), "those are of other hours");
    core.buy(purchase(&need, 1.0));
    core.forget_before(at(18));
    assert_eq!(judged(&mut core, &powers).needs, []);
    core.forget_before(at(19));
    assert_eq!(judged(&mut core, &powers).needs, [need]);
}

#[test]
fn amber_is_what_is_asked_for_and_red_is_what_makes_a_need() {
    let powers = [("7", 6.0)];
    let limits = PredictiveLimits { upper_amber_band_pu: 0.01, ..LIMITS };
    let needs = judged(&mut core(limits, TRADE), &powers).needs;
    let (_, after) = voltages_with(&powers, &needs);
    assert!((after - 1.04).abs() < 1e-3, "{after} pu");
    let (_, before) = voltages_with(&powers, &[]);
    let limits = PredictiveLimits { max_voltage_pu: before + 0.001, ..limits };
    assert_eq!(judged(&mut core(limits, TRADE), &powers), Judged::default(), "amber is no violation");
}

#[test]
fn an_overloaded_branch_needs_power_against_its_current() {
    let limits = PredictiveLimits {
        min_voltage_pu: 0.5,
        max_voltage_pu: 1.5,
        max_loading: 0.3,
        amber_loading: 0.25,
        ..LIMITS
    };
    for (kw, direction) in [(12.0, Direction::Down), (-12.0, Direction::Up)] {
        let powers = [("7", kw)];
        let judged = judged(&mut core(limits, TRADE), &powers);
        assert!(judged.needs.iter().all(|need| need.direction == direction), "{judged:?}");
        let mut after = powers.to_vec();
        let sign = if direction == Direction::Up { 1.0 } else { -1.0 };
        after.extend(judged.needs.iter().map(|need| (need.bus.as_str(), sign * need.needed_kw)));
        let engine = engine();
        let places = Places::of(engine.topology());
        let values = values(&operation(&after));
        let loading = places.list().iter().zip(values).filter(|(place, _)| !place.is_voltage());
        let most = loading.map(|(_, value)| value).fold(0.0, f64::max);
        assert!(most < 0.3, "{most} after {judged:?}");
        assert!(!judged.needs.is_empty());
    }
}

/// Of a current nobody knows the direction of, nobody knows what power would lower it.
#[test]
fn an_overload_whose_power_is_not_known_is_told_and_not_asked_for() {
    let limits = PredictiveLimits { min_voltage_pu: 0.5, max_voltage_pu: 1.5, max_loading: 0.3, ..LIMITS };
    let state = expected(&operation(&[("7", 12.0)]));
    let judged = core(limits, TRADE).judge(&[state], |_, _| Operation::default());
    assert_eq!(judged.needs, []);
    assert!(judged.warnings[0].contains("no power at any bus is known to move it"), "{judged:?}");
}

#[test]
fn where_nobody_could_help_nobody_is_asked_and_that_is_told() {
    let mut core = PredictiveCore::new(LIMITS, TRADE, Box::new(engine()), [("far".into(), "2".into())]);
    let judged = judged(&mut core, &[("7", 12.0)]);
    assert_eq!(judged.needs, []);
    assert!(judged.warnings[0].contains("there is no customer who could help"), "{judged:?}");
}

#[test]
fn what_is_not_known_is_no_violation_and_no_reason_for_one() {
    let operation = operation(&[("7", 2.0)]);
    let mut state = expected(&operation);
    state.values.iter_mut().step_by(2).for_each(|value| *value = f64::NAN);
    let judged = core(LIMITS, TRADE).judge(&[state], |_, _| operation.clone());
    assert_eq!(judged, Judged::default());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is forecast, what is asked for takes the feeder back to its limits, up to what straight lines miss, if it
    /// is there in full at the worst bus of each area. And none of it drives the feeder beyond the other limit.
    #[test]
    fn what_is_needed_ends_the_violations(
        far_kw in -6.0..6.0_f64, near_kw in -6.0..6.0_f64, other_kw in -6.0..6.0_f64,
        relative_sensitivity in 0.0..1.0_f64,
    ) {
        let powers = [("7", far_kw), ("10", near_kw), ("5", other_kw)];
        let trade = Trade { relative_sensitivity, ..TRADE };
        let judged = judged(&mut core(LIMITS, trade), &powers);
        let (low, high) = voltages_with(&powers, &judged.needs);
        let up = judged.needs.iter().any(|need| need.direction == Direction::Up);
        let down = judged.needs.iter().any(|need| need.direction == Direction::Down);
        // What is bought against the one end's violation may add to the other's; here no forecast has both.
        if !(up && down) {
            prop_assert!(low > 0.95 - 2e-3 && high < 1.05 + 2e-3, "{low} to {high} after {judged:?}");
        }
        let distinct: BTreeSet<&str> = judged.needs.iter().map(|need| need.place.as_str()).collect();
        prop_assert_eq!(distinct.len(), judged.needs.len(), "no place is asked for twice");
    }

    /// The wider the circle, the more are asked.
    #[test]
    fn more_is_asked_of_the_more_who_may_help_less(one in 0.0..1.0_f64, other in 0.0..1.0_f64) {
        let customers = |relative_sensitivity| {
            let trade = Trade { relative_sensitivity, ..TRADE };
            let judged = judged(&mut core(LIMITS, trade), &[("7", 12.0)]);
            judged.needs.into_iter().next().unwrap().customers.into_iter().collect::<BTreeSet<_>>()
        };
        prop_assert!(customers(one.min(other)).is_subset(&customers(one.max(other))));
    }
}
