//! The scenarios of `configs/scenarios` in whole runs, each with the outcome that its page tells.

use gridloop_hil_tests::world::{Run, World, honest, simulated, spoil};
use gridloop_messages::{Body, Conductor, NetworkState, topic};
use gridloop_platform_manager::Configuration;
use gridloop_realtime_manager::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// On a bus that keeps the order of messages. Where setpoints may be overtaken by the next Epoch they are refused, and
/// control is later than its page says.
fn run(name: &str) -> Run {
    run_with(name, &[])
}

/// The same with these values changed. Devices are their plants, without a wire.
fn run_with(name: &str, overrides: &[&str]) -> Run {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../configs/scenarios/{name}.toml"));
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let mut configuration =
        Configuration::load(&path, &overrides).unwrap_or_else(|errors| panic!("{errors}"));
    let devices: Vec<String> = configuration.devices.iter().map(|device| device.name.clone()).collect();
    for device in devices {
        spoil(&mut configuration, &device, honest());
    }
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

/// The voltage of phase 2 at bus 10, in pu, in an epoch of the minute.
fn at_the_vehicle(run: &Run, epoch: u64) -> f64 {
    let on = topic::network_voltage("grid", "10");
    let mut found = run.on(&on).filter(|heard| heard.epoch() == Some(epoch)).filter_map(|heard| {
        let Body::NetworkState(NetworkState::Voltage(voltage)) = heard.body() else { return None };
        (voltage.node == Conductor::Phase2).then_some(voltage.magnitude_kv)
    });
    found.next().expect("a voltage") / 0.4
}

/// What a device or component does in an epoch, in kW.
fn power_kw(run: &Run, topic: &str, epoch: u64) -> f64 {
    run.one(topic, epoch).real_power_kw()
}

#[test]
fn inverter_battery_and_tap_changer_keep_the_feeder_within_its_limits() {
    let run = run("hil-feeder");
    let [inverter, battery] = ["ResourceState.Generator.PV_large", "ResourceState.Storage.battery1"];
    // Noon, with nobody in charge in the first epoch; then the inverter at once, the tap changer in its time.
    assert!((9.8..10.0).contains(&power_kw(&run, inverter, 1)));
    assert!((4.5..5.5).contains(&power_kw(&run, inverter, 3)));
    assert!((9.8..10.0).contains(&power_kw(&run, inverter, 20)), "let go where the taps are low enough");
    assert_eq!(power_kw(&run, battery, 20), 0.0, "it is full");
    // The vehicle begins to charge in epoch 34; the battery is there in the next.
    let vehicle: Vec<f64> = (33..=36).map(|epoch| at_the_vehicle(&run, epoch)).collect();
    assert!(vehicle[0] > 0.93 && (0.84..0.86).contains(&vehicle[1]), "{vehicle:?}");
    assert!(vehicle[2] > 0.9 && vehicle[3] > 0.94, "{vehicle:?}");
    let given: Vec<f64> = [34, 36, 60].map(|epoch| power_kw(&run, battery, epoch)).to_vec();
    assert!(given[0] == 0.0 && (3.8..4.6).contains(&given[1]) && (1.5..2.5).contains(&given[2]), "{given:?}");
    assert!((6.0..7.0).contains(&power_kw(&run, inverter, 60)), "both ends of the feeder count");
    assert!(at_the_vehicle(&run, 60) > 0.92);
    assert_eq!(found(&run, "grid", "/taps/T1/operations"), 6.0);
    assert_eq!(found(&run, "grid", "/taps/T1/position"), 5.0);
    assert_eq!(found(&run, "monitoring", "/red/seconds"), 1.0);
    assert_eq!(found(&run, "control", "/epochs_not_repaired"), 0.0);
    for device in &run.report.devices {
        assert_eq!(
            (device.clamped, device.refused, device.network_states_ignored),
            (0, 0, 0),
            "{}",
            device.id
        );
    }
}

#[test]
fn a_device_that_refuses_its_setpoints_leaves_the_loop_closed() {
    let run = run_with("hil-feeder", &["device.PV_large.mode=read-only", "simulation.epochs=40"]);
    assert_eq!(found(&run, "grid", "/unreliable_epochs"), 0.0);
    assert_eq!(found(&run, "control", "/epochs_without_state"), 0.0);
    assert!(run.device("PV_large").refused > 30);
    for device in ["PV_large", "oltc1", "battery1"] {
        let device = run.device(device);
        assert_eq!((device.network_states_ignored, device.epochs_without_network), (0, 0), "{}", device.id);
    }
    assert!(power_kw(&run, "ResourceState.Storage.battery1", 36) > 3.0);
}
