//! A closed loop of a device, a network and a congestion management: what opens it, and that it closes again.

use gridloop_clock::MonoTime;
use gridloop_device::point;
use gridloop_hil_tests::world::{Call, Mishap, Run, World, simulated, spoil};
use gridloop_messages::topic;
use gridloop_platform_manager::Configuration;
use gridloop_realtime_manager::Outcome;

/// A PV system at the end of a feeder, which its congestion management may command, with the taps of the transformer.
const LOOP: &str = r#"
[simulation]
name = "a loop with a control"
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 20

[manager]
start_delay_s = 0

[component.houses2]
kind = "static-time-series"
resource_type = "Load"
file = "EXAMPLES/congestion-houses.csv"

[component.grid]
kind = "grid"
network = "EXAMPLES/networks/congestion-feeder.toml"
taps.T1.commanded = true

[component.control]
kind = "real-time-congestion-management"
grid = "grid"
network = "EXAMPLES/networks/congestion-feeder.toml"
min_voltage_pu = 0.92
max_voltage_pu = 1.08
tap_changer.T1 = { delay_epochs = 2 }
resource.pv7 = { type = "generator", rated_power_kw = 14, max_reactive_power_kvar = 6 }

[device.pv7]
driver = "simulated"
category = "Generator"
customer_id = "farm"
request_timeout_s = 0.2
fallback = "never"
follows = { bus = "7", bus_nominal_voltage_v = 400 }

[device.pv7.twin]
plant = "pv-inverter"
rated_power_w = 14000
irradiance_w_per_m2 = 950
"#;

const PV7: &str = "ResourceState.Generator.pv7";

fn configuration(overrides: &[&str]) -> Configuration {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/examples");
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let parsed = Configuration::parse("loop.toml", &LOOP.replace("EXAMPLES", examples), &overrides);
    parsed.unwrap_or_else(|errors| panic!("{errors}"))
}

fn run(configuration: Configuration) -> Run {
    let run = simulated(|clock| async move { World::new(&clock, 3).run(configuration).await });
    let run = run.expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    run
}

fn found(run: &Run, component: &str, counter: &str) -> u64 {
    run.report.components[component][counter]
        .as_u64()
        .unwrap_or_else(|| panic!("no {counter} of {component}"))
}

/// The epochs in which the network said that its voltage at the device may not be right.
fn doubted(run: &Run) -> Vec<u64> {
    let on = topic::network_voltage("grid", "7");
    let mut epochs: Vec<u64> = run
        .on(&on)
        .filter(|heard| heard.warns_of("warning.input-unreliable"))
        .filter_map(gridloop_hil_tests::world::Heard::epoch)
        .collect();
    epochs.dedup();
    epochs
}

#[test]
fn setpoints_that_are_limited_or_refused_in_every_epoch_leave_the_loop_closed() {
    for (when_outside, warned) in [("clamp", "warning.input-range"), ("refuse", "warning.input")] {
        let limits =
            format!("device.pv7.limits={{ max_real_power_w = 6000, when_outside = \"{when_outside}\" }}");
        let run = run(configuration(&[&limits]));
        let epochs = run.on(PV7).filter(|heard| heard.warns_of(warned)).count();
        assert!(epochs >= 18, "{when_outside}: {epochs} epochs with a warning");
        assert!(doubted(&run).is_empty(), "{when_outside}: {:?}", doubted(&run));
        assert_eq!(found(&run, "control", "epochs_without_state"), 0, "{when_outside}");
        let pv7 = run.device("pv7");
        assert_eq!((pv7.network_states_ignored, pv7.epochs_without_network), (0, 0), "{when_outside}");
    }
}

#[test]
fn a_value_that_is_missing_for_a_while_opens_the_loop_for_that_while_and_the_verdict_says_so() {
    let mut configuration = configuration(&[]);
    let (from, until) = (MonoTime::from_nanos(4_500_000_000), MonoTime::from_nanos(8_500_000_000));
    let plan = move |call, now| {
        (call == Call::Read && now >= from && now < until).then_some(Mishap::Short { of: point::REAL_POWER })
    };
    spoil(&mut configuration, "pv7", Box::new(plan));
    let run = run(configuration);
    let doubted = doubted(&run);
    assert_eq!(doubted, [5, 6, 7, 8], "and no longer");
    assert_eq!(found(&run, "grid", "unreliable_epochs"), 4);
    assert_eq!(found(&run, "control", "epochs_without_state"), 4);
    assert_eq!(run.device("pv7").network_states_ignored, 12, "three phases in four epochs");
    for epoch in 10..=20 {
        assert!(run.one(PV7, epoch).warnings().is_empty(), "{epoch}: {:?}", run.one(PV7, epoch).warnings());
    }
    let told = &run.report.verdict.exceptions;
    for part in [
        "pv7 was not good in 4 epochs",
        "pv7 did not follow 12 states of the network",
        "control was blind",
        "grid solved the network for states that may not be right, in epochs: 4",
    ] {
        assert!(told.iter().any(|told| told.contains(part)), "{part}: {told:?}");
    }
}

#[test]
fn a_device_that_dies_and_comes_back_finds_the_loop_closed_again() {
    let mut configuration = configuration(&["simulation.epochs=30"]);
    let (from, until) = (MonoTime::from_nanos(4_500_000_000), MonoTime::from_nanos(8_500_000_000));
    let plan = move |_, now| (now >= from && now < until).then_some(Mishap::LinkLost { done: false });
    spoil(&mut configuration, "pv7", Box::new(plan));
    let run = run(configuration);
    let (first, last) = (doubted(&run)[0], doubted(&run).last().copied().unwrap_or_default());
    assert!(first >= 5 && last < 25, "doubted from epoch {first} to {last}");
    for epoch in last + 2..=30 {
        assert!(run.one(PV7, epoch).warnings().is_empty(), "{epoch}: {:?}", run.one(PV7, epoch).warnings());
    }
    let blind = found(&run, "control", "epochs_without_state");
    assert_eq!(
        blind,
        found(&run, "grid", "unreliable_epochs"),
        "blind while the network is doubted, and no longer"
    );
}
