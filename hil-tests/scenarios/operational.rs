//! Operational grid optimisation above real-time congestion management in a whole run: the example of it, beside the same
//! day with real-time management alone and without any measures.

use gridloop_hil_tests::world::{Run, World, simulated};
use gridloop_platform_manager::Configuration;
use gridloop_realtime_manager::Outcome;
use serde_json::Value;
use std::path::Path;

const EXAMPLE: &str = "../configs/examples/operational-grid-optimization.toml";

/// What the example says that things cost, in EUR.
const PER_TAP_OPERATION: f64 = 0.5;
const PER_BATTERY_KWH: f64 = 0.02;
const PER_VEHICLE_KWH: f64 = 0.1;
const PER_PV_KWH: f64 = 1.0;
const PER_KVARH: f64 = 0.001;
/// And what it takes a voltage beyond its limits to cost, per pu and hour; as it says nothing, the usual.
const PER_PU_H: f64 = 10_000.0;

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    Both,
    RealTime,
    Nobody,
}

fn run(control: Control) -> Run {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLE);
    let text = std::fs::read_to_string(&path).expect("the example");
    let text = if control == Control::Both { text } else { without_plan(&text) };
    let nothing = [
        "component.rtcm.tap_changer.T1.operations_per_day=0",
        "component.rtcm.resource.pv7.max_reactive_power_kvar=0",
        "component.rtcm.resource.pv7.curtail=false",
        "component.rtcm.resource.ev7.curtail=false",
        "component.rtcm.resource.battery7.curtail=false",
    ];
    let overrides: &[&str] = if control == Control::Nobody { &nothing } else { &[] };
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let configuration = Configuration::parse(&path.display().to_string(), &text, &overrides)
        .unwrap_or_else(|errors| panic!("{errors}"));
    let run =
        simulated(|clock| async move { World::in_order(&clock).run(configuration).await }).expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    run
}

/// The example without its operational level.
fn without_plan(text: &str) -> String {
    let (before, after) = text.split_once("[component.ogo]").expect("the plan");
    let (_, after) = after.split_once("[component.rtcm]").expect("who follows it");
    let after = after.replace("base = \"ogo\"\n", "");
    assert!(!after.contains("ogo"), "{after}");
    format!("{before}[component.rtcm]{after}")
}

fn found(run: &Run, component: &str, pointer: &str) -> f64 {
    let findings = run.report.components.get(component);
    let value = findings.and_then(|findings| findings.pointer(pointer)).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("{component} tells no {pointer}: {findings:?}"))
}

/// Lowest and highest voltage of the day.
fn extremes_pu(run: &Run) -> (f64, f64) {
    (found(run, "monitoring", "/lowest/voltage_pu"), found(run, "monitoring", "/highest/voltage_pu"))
}

/// What the day cost: what was done, by those who did it, and what was missed, by the one who watches.
fn cost_eur(run: &Run) -> f64 {
    let battery_kwh =
        found(run, "battery7", "/energy_charged_kwh") + found(run, "battery7", "/energy_discharged_kwh");
    PER_TAP_OPERATION * found(run, "grid", "/taps/T1/operations")
        + PER_BATTERY_KWH * battery_kwh
        + PER_VEHICLE_KWH * found(run, "ev7", "/energy_curtailed_kwh")
        + PER_PV_KWH * found(run, "pv7", "/energy_curtailed_kwh")
        + PER_KVARH * found(run, "rtcm", "/reactive_kvarh")
        + PER_PU_H * found(run, "monitoring", "/red/voltage_pu_h")
}

#[test]
fn a_day_that_is_planned_stays_in_its_band_and_costs_less_than_one_that_is_only_answered() {
    let (both, answered, nothing) = (run(Control::Both), run(Control::RealTime), run(Control::Nobody));
    let red = |run: &Run| found(run, "monitoring", "/red/epochs");
    let (low, high) = extremes_pu(&both);
    assert!(low >= 0.92 && high <= 1.08, "{low} {high}");
    assert_eq!(red(&both), 0.0);
    assert!(0.0 < red(&answered) && red(&answered) < red(&nothing), "{} {}", red(&answered), red(&nothing));
    let [planned_eur, answered_eur, nothing_eur] = [&both, &answered, &nothing].map(cost_eur);
    let told = format!("{planned_eur} EUR planned, {answered_eur} EUR answered, {nothing_eur} EUR without");
    assert!(planned_eur < 5.0, "{told}");
    assert!(planned_eur < answered_eur && answered_eur < nothing_eur, "{told}");
}

#[test]
fn a_plan_is_made_in_every_epoch_and_keeps_to_taps_contracts_and_the_battery() {
    let run = run(Control::Both);
    assert_eq!((found(&run, "ogo", "/plans"), found(&run, "ogo", "/fallbacks")), (96.0, 0.0));
    assert_eq!(found(&run, "ogo", "/plans_with_violation"), 0.0);
    let operations = found(&run, "grid", "/taps/T1/operations");
    assert_eq!(found(&run, "rtcm", "/tap_operations"), operations, "nobody else moves it");
    assert!((1.0..=8.0).contains(&operations), "{operations}");
    // The contract with the vehicle allows 1.5 kWh a day; its power is told in steps of a watt.
    let vehicle_kwh = found(&run, "ev7", "/energy_curtailed_kwh");
    assert!((0.5..=1.501).contains(&vehicle_kwh), "{vehicle_kwh}");
    assert_eq!(found(&run, "pv7", "/energy_curtailed_kwh"), 0.0, "the law comes last");
    let emptiest = found(&run, "battery7", "/state_of_charge_min_percent");
    let fullest = found(&run, "battery7", "/state_of_charge_max_percent");
    assert!(emptiest >= 9.99 && fullest <= 90.01, "{emptiest} {fullest}");
    assert!(found(&run, "battery7", "/energy_charged_kwh") > 1.0);
    for name in ["grid", "pv7", "ev7"] {
        assert_eq!(found(&run, name, "/refused_inputs"), 0.0, "{name}");
    }
}
