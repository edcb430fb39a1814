//! The scenarios of `configs/scenarios` in whole runs, each with the outcome that its page tells.

use gridloop_hil_tests::world::{Run, World, simulated};
use gridloop_messages::Body;
use gridloop_platform_manager::Configuration;
use gridloop_realtime_manager::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// On a bus that keeps the order of messages. Where setpoints may be overtaken by the next Epoch they are refused, and
/// control is later than its page says.
fn run(name: &str) -> Run {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../configs/scenarios/{name}.toml"));
    let configuration = Configuration::load(&path, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let run =
        simulated(|clock| async move { World::in_order(&clock).run(configuration).await }).expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    run
}

/// A number of what a component found out.
pub(crate) fn found(run: &Run, component: &str, pointer: &str) -> f64 {
    let findings = run.report.components.get(component);
    let value = findings.and_then(|findings| findings.pointer(pointer)).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("{component} tells no {pointer}: {findings:?}"))
}

#[test]
fn control_shortens_the_time_beyond_the_limits_and_lowers_the_noon() {
    let (uncontrolled, controlled) = (run("grid"), run("grid-optimization"));
    let red_s = |run: &Run| found(run, "monitoring", "/red/seconds");
    assert_eq!((red_s(&uncontrolled), red_s(&controlled)), (10_800.0, 3_600.0));
    let highest_pu = |run: &Run| found(run, "grid", "/highest_voltage/voltage_pu");
    assert!((1.09..1.1).contains(&highest_pu(&uncontrolled)), "{}", highest_pu(&uncontrolled));
    assert!(highest_pu(&controlled) < 1.08, "{}", highest_pu(&controlled));
    assert_eq!(found(&controlled, "grid", "/taps/T1/operations"), 3.0);
    assert_eq!(found(&controlled, "grid", "/refused_inputs"), 0.0);
    assert_eq!(found(&controlled, "PV_large", "/refused_inputs"), 0.0);
    assert_eq!(controlled.report.setpoints_for_nobody, BTreeMap::new());
}

#[test]
fn without_control_the_vehicle_takes_the_feeder_beyond_its_limits_in_the_evening() {
    let run = run("grid");
    assert_eq!(found(&run, "monitoring", "/red/seconds"), 10_800.0);
    let noon_pu = found(&run, "grid", "/highest_voltage/voltage_pu");
    assert!((1.09..1.1).contains(&noon_pu), "{noon_pu}");
    let evening_pu = found(&run, "grid", "/lowest_voltage/voltage_pu");
    assert!((0.88..0.9).contains(&evening_pu), "{evening_pu}");
}

#[test]
fn a_community_that_plans_pays_less_than_one_that_takes_what_comes() {
    let planned = run("energy-community");
    let dispatched_eur = found(&planned, "community", "/cost_eur");
    // The same balance without a battery: what is missing is bought, what is left over is sold for 40 %.
    let mut resources = BTreeMap::<u64, f64>::new();
    let mut prices = BTreeMap::<u64, f64>::new();
    for heard in &planned.messages {
        let Some(message) = &heard.message else { continue };
        let Some(epoch) = message.epoch_number() else { continue };
        match &message.body {
            Body::ResourceState(state) if state.state_of_charge_percent.is_none() => {
                *resources.entry(epoch).or_default() += state.real_power_kw;
            }
            Body::PriceForecastState(forecast) => {
                let price = forecast.prices.numbers("Price").and_then(|prices| prices.first().copied());
                prices.insert(epoch, price.expect("a price"));
            }
            _ => {}
        }
    }
    let hours = resources.iter().map(|(epoch, kw)| -kw * prices[epoch] * if *kw < 0.0 { 1.0 } else { 0.4 });
    let idle_eur: f64 = hours.sum();
    assert_eq!(resources.len(), 24);
    // The 10 kWh that the battery had at the beginning are gone at the end; at the best price they are worth this much.
    let spent_eur = 10.0 * prices.values().copied().fold(0.0, f64::max);
    assert!((dispatched_eur - 3.63).abs() < 0.005 && (idle_eur - 7.91).abs() < 0.005, "as the page says");
    let told = format!("{dispatched_eur} and {spent_eur} EUR planned, {idle_eur} EUR without the battery");
    assert!(dispatched_eur + spent_eur < idle_eur, "{told}");
}

#[test]
fn a_community_that_follows_prices_is_at_odds_with_the_network() {
    let (alone, both) = (run("grid-optimization"), run("combined"));
    let curtailed_kwh = |run: &Run| found(run, "PV_large", "/energy_curtailed_kwh");
    assert_eq!(curtailed_kwh(&alone), 0.0);
    assert!(curtailed_kwh(&both) > 1.0, "{}", curtailed_kwh(&both));
    let highest_pu = |run: &Run| found(run, "grid", "/highest_voltage/voltage_pu");
    assert!(highest_pu(&both) > highest_pu(&alone));
}
