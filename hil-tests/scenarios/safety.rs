//! What stands between messages and devices: interlocks, the sum of all devices, the daily budget of a tap changer, the
//! lease of an armed device, the pause between writes, and the check that a device does what it holds.

use crate::rig::{Feeder, PV1};
use gridloop_device::Command;
use gridloop_hil_tests::world::{Heard, Ledger, Run, World, honest, simulated, spoil};
use gridloop_realtime_manager::Outcome;
use std::time::Duration;

const PV2: &str = "ResourceState.Generator.pv2";
const OLTC1: &str = "DeviceState.oltc1";

fn run(rows: &[&str], device: &str, overrides: &[&str]) -> (Run, Ledger) {
    let feeder = Feeder::with(rows);
    let mut configuration = feeder.configuration(&[&["simulation.epochs=20"], overrides].concat());
    let ledger = spoil(&mut configuration, device, honest());
    let run =
        simulated(|clock| async move { World::new(&clock, 7).run(configuration).await }).expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    (run, ledger)
}

/// What the device was told, without the repetitions that keep it alive.
fn kilowatts(ledger: &Ledger) -> Vec<f64> {
    let power = |(_, command)| match command {
        Command::Power { real_power_w, .. } => real_power_w / 1000.0,
        other => panic!("the inverter was told {other:?}"),
    };
    let mut told: Vec<f64> = ledger.took().into_iter().map(power).collect();
    told.dedup();
    told
}

fn warned(run: &Run, topic: &str, words: &str) -> Vec<u64> {
    let tells = |heard: &&Heard| heard.warnings().iter().any(|warning| warning.contains(words));
    run.on(topic).filter(tells).filter_map(Heard::epoch).collect()
}

#[test]
fn a_voltage_outside_the_window_keeps_setpoints_away_and_inside_it_they_pass() {
    let (outside, ledger) =
        run(&["2,pv1,3.0,0.0,,"], "pv1", &["device.pv1.interlock={min_voltage_v=240, max_voltage_v=250}"]);
    assert!(ledger.took().is_empty(), "{:?}", ledger.took());
    assert_eq!(outside.device("pv1").interlocked, 1);
    let told = warned(&outside, PV1, "interlock: voltage 230.00 V outside 240..250 V");
    assert!(told.contains(&1) && told.contains(&20), "{told:?}");
    let (inside, ledger) =
        run(&["2,pv1,3.0,0.0,,"], "pv1", &["device.pv1.interlock={min_voltage_v=220, max_voltage_v=250}"]);
    assert_eq!(kilowatts(&ledger), [3.0]);
    assert_eq!(inside.device("pv1").interlocked, 0);
}

#[test]
fn a_device_that_does_not_tell_what_an_interlock_asks_is_not_driven() {
    let (run, ledger) = run(
        &["2,oltc1,,,7,"],
        "oltc1",
        &["device.oltc1.interlock={min_frequency_hz=49, max_frequency_hz=51}"],
    );
    assert!(ledger.took().is_empty());
    assert!(!warned(&run, OLTC1, "the device does not tell its frequency").is_empty());
}

#[test]
fn all_devices_together_stay_below_their_limit() {
    let rows =
        ["1,pv1,1.0,0.0,,", "2,pv2,2.0,0.0,,", "4,pv1,3.0,0.0,,", "6,pv2,4.0,0.0,,", "12,pv1,1.0,0.0,,"];
    let (run, ledger) = run(&rows, "pv2", &["gateway.max_total_real_power_w=5000"]);
    let refused = warned(&run, PV2, "real power beside the other devices 4000 W outside");
    assert_eq!(refused, (6..12).collect::<Vec<_>>(), "as long as pv1 has 3 kW");
    assert_eq!(kilowatts(&ledger), [2.0, 4.0]);
    for epoch in 6..=20 {
        let sum = run.one(PV1, epoch).real_power_kw() + run.one(PV2, epoch).real_power_kw();
        assert!(sum <= 5.001, "epoch {epoch}: {sum} kW");
    }
}

#[test]
fn a_tap_changer_that_has_spent_its_day_is_not_moved() {
    let rows = ["2,oltc1,,,7,", "10,oltc1,,,4,"];
    let (run, ledger) = run(&rows, "oltc1", &["device.oltc1.operations_per_day=4"]);
    let told: Vec<_> = ledger.took().into_iter().map(|(_, command)| command).collect();
    assert!(!told.is_empty() && told.iter().all(|it| *it == Command::TapPosition(7)), "{told:?}");
    let refused = warned(&run, OLTC1, "3 steps to position 4, and 2 of 4 are left today (UTC)");
    assert!(refused.contains(&10), "{refused:?}");
}

#[test]
fn when_the_lease_is_over_the_device_is_released_and_driven_no_more() {
    let (run, ledger) = run(&["2,pv1,3.0,0.0,,"], "pv1", &["device.pv1.armed_for_s=8"]);
    assert_eq!(kilowatts(&ledger), [3.0]);
    assert!((run.one(PV1, 6).real_power_kw() - 3.0).abs() < 1e-9);
    assert!(run.one(PV1, 14).real_power_kw() > 3.5, "released");
    assert_eq!(warned(&run, PV1, "the time is up for which it was armed").len(), 1);
    assert!(warned(&run, PV1, "the device is read-only").contains(&20));
    assert_eq!(run.device("pv1").left, "released");
}

#[test]
fn two_different_commands_are_written_with_a_pause_between_them() {
    let rows = ["2,pv1,3.0,0.0,,", "3,pv1,2.0,0.0,,", "4,pv1,1.0,0.0,,"];
    let (_, ledger) = run(&rows, "pv1", &["device.pv1.write_interval_s=4"]);
    assert_eq!(kilowatts(&ledger), [3.0, 1.0], "the newest wins");
    let first_of = |watts: f64| {
        let is = |(_, command): &&(_, Command)| matches!(command, Command::Power { real_power_w, .. } if *real_power_w == watts);
        ledger.took().iter().find(is).expect("it was told").0
    };
    assert!(first_of(1000.0).since(first_of(3000.0)) >= Duration::from_secs(4));
}

#[test]
fn a_device_that_holds_a_command_and_does_not_obey_is_told_of() {
    let slow = "device.pv1.twin.ramp_w_per_s=10";
    let (run, _) = run(&["2,pv1,1.0,0.0,,"], "pv1", &[slow, "device.pv1.effect.within_s=4"]);
    assert_eq!(run.device("pv1").not_obeyed, 1);
    let told = warned(&run, PV1, "holds 1.00 kW for 4.");
    assert_eq!(told.len(), 1, "{told:?}");
    let (obedient, _) = self::run(&["2,pv1,1.0,0.0,,"], "pv1", &["device.pv1.effect.within_s=4"]);
    assert_eq!(obedient.device("pv1").not_obeyed, 0);
}
