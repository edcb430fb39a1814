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
fn found(run: &Run, component: &str, pointer: &str) -> f64 {
    let findings = run.report.components.get(component);
    let value = findings.and_then(|findings| findings.pointer(pointer)).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("{component} tells no {pointer}: {findings:?}"))
}

/// What a day on the feeder costs by the prices of `grid-optimization`: what is done, and what is missed.
fn cost_eur(run: &Run, control: Option<&str>) -> f64 {
    let done = control.map_or(0.0, |control| {
        0.5 * found(run, "grid", "/taps/T1/operations")
            + 0.001 * found(run, control, "/reactive_kvarh")
            + found(run, "PV_large", "/energy_curtailed_kwh")
    });
    done + 10_000.0 * found(run, "monitoring", "/red/voltage_pu_h")
}

#[test]
fn a_controlled_day_stays_in_its_band_and_costs_less_than_an_uncontrolled_one() {
    let (uncontrolled, controlled) = (run("grid"), run("grid-optimization"));
    let extreme_pu = |run: &Run, which: &str| found(run, "grid", &format!("/{which}_voltage/voltage_pu"));
    let lowest_and_highest = |run: &Run| (extreme_pu(run, "lowest"), extreme_pu(run, "highest"));
    let (low, high) = lowest_and_highest(&controlled);
    assert!(low >= 0.92 && high <= 1.08, "{low} {high}");
    let (low, high) = lowest_and_highest(&uncontrolled);
    assert!(low < 0.9 && high > 1.09, "{low} {high}");
    let red_s = |run: &Run| found(run, "monitoring", "/red/seconds");
    assert_eq!((red_s(&uncontrolled), red_s(&controlled)), (10_800.0, 0.0));
    let (before_eur, after_eur) = (cost_eur(&uncontrolled, None), cost_eur(&controlled, Some("control")));
    assert!(after_eur < 3.0 && after_eur < 0.1 * before_eur, "{after_eur} after, {before_eur} before");
    assert_eq!(found(&controlled, "grid", "/taps/T1/operations"), 4.0);
    assert_eq!((found(&controlled, "plan", "/plans"), found(&controlled, "plan", "/fallbacks")), (24.0, 0.0));
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
