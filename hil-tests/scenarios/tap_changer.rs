//! A tap changer in a run: a step at a time, believed by its position only.

use crate::rig::Feeder;
use gridloop_clock::MonoTime;
use gridloop_device::{Command, point};
use gridloop_hil_tests::world::{Ledger, Run, World, honest, simulated, spoil};
use gridloop_messages::Body;
use gridloop_realtime_manager::Outcome;

const POINTS: &str = "DeviceState.oltc1";
/// Of one step.
const TRAVEL_MS: f64 = 1500.0;

fn run(rows: &[&str], overrides: &[&str]) -> (Run, Ledger) {
    let feeder = Feeder::with(rows);
    let overrides = [&["simulation.epochs=20"], overrides].concat();
    let mut configuration = feeder.configuration(&overrides);
    let ledger = spoil(&mut configuration, "oltc1", honest());
    let run =
        simulated(|clock| async move { World::new(&clock, 6).run(configuration).await }).expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    (run, ledger)
}

/// The positions that the device showed, each once for as long as it stood there, with the instant of the first.
fn stations(ledger: &Ledger) -> Vec<(MonoTime, i32)> {
    let mut stations: Vec<(MonoTime, i32)> = Vec::new();
    for (at, snapshot) in ledger.sampled() {
        let value = snapshot.get(point::TAP_POSITION).expect("a position").value;
        #[expect(clippy::cast_possible_truncation, reason = "positions are small whole numbers")]
        let position = value as i32;
        assert_eq!(f64::from(position), value, "a whole number");
        if stations.last().is_none_or(|(_, last)| *last != position) {
            stations.push((at, position));
        }
    }
    stations
}

fn positions(ledger: &Ledger) -> Vec<i32> {
    stations(ledger).into_iter().map(|(_, position)| position).collect()
}

fn published(run: &Run, epoch: u64) -> f64 {
    let Body::DeviceState(state) = run.one(POINTS, epoch).body() else { panic!("no DeviceState") };
    state.points.iter().find(|point| point.name == "tap_position").expect("a position").value
}

#[test]
fn it_travels_a_position_at_a_time_and_counts_as_there_only_when_it_is() {
    let (run, ledger) = run(&["2,oltc1,,,8,"], &[]);
    assert_eq!(positions(&ledger), [5, 6, 7, 8]);
    let step = &run.device("oltc1").steps[0];
    assert_eq!((step.asked.as_str(), step.held.as_deref()), ("tap 8", Some("tap 8")));
    let confirmed = step.confirmed_after_ms.expect("a confirmation");
    let arrived = stations(&ledger).last().expect("a last one").0;
    let on_the_way = arrived.since(run.start_of(2)).as_secs_f64() * 1000.0;
    assert!(
        confirmed >= 3.0 * TRAVEL_MS && (confirmed - on_the_way).abs() < 1.0,
        "{confirmed} ms, {on_the_way} ms"
    );
    assert_eq!((published(&run, 1), published(&run, 20)), (5.0, 8.0));
    assert!(run.one(POINTS, 20).warnings().is_empty());
}

#[test]
fn far_targets_are_reached_in_strides_with_rests_between_them() {
    let (_, ledger) = run(&["1,oltc1,,,9,"], &[]);
    assert_eq!(positions(&ledger), [5, 6, 7, 8, 9]);
    let stations = stations(&ledger);
    let rest = stations[4].0.since(stations[3].0).as_secs_f64();
    assert!(rest >= 2.5, "after three steps the motor rests for a second before it travels on: {rest} s");
}

#[test]
fn a_target_beyond_the_end_stop_is_clamped_with_a_warning() {
    let (run, ledger) = run(
        &["2,oltc1,,,99,", "12,oltc1,,,-5,"],
        &["device.oltc1.limits.min_tap_position=4", "device.oltc1.limits.max_tap_position=20"],
    );
    assert!(run.one(POINTS, 2).warns_of("warning.input-range"), "{:?}", run.one(POINTS, 2).warnings());
    assert!(run.one(POINTS, 12).warns_of("warning.input-range"));
    assert!(run.one(POINTS, 1).warnings().is_empty());
    assert_eq!(
        positions(&ledger),
        [5, 6, 7, 8, 9, 8, 7, 6, 5, 4],
        "9 is its end stop, 4 the configured limit"
    );
    let told: Vec<_> = ledger.took().into_iter().map(|(_, command)| command).collect();
    assert!(told.iter().all(|it| matches!(it, Command::TapPosition(4 | 9))), "{told:?}");
}

#[test]
fn a_target_beyond_the_end_stop_is_not_approached_at_all_where_the_configuration_says_refuse() {
    let (run, ledger) = run(&["2,oltc1,,,99,"], &["device.oltc1.limits.when_outside=\"refuse\""]);
    assert!(run.one(POINTS, 2).warns_of("warning.input"));
    assert!(ledger.took().is_empty());
    assert_eq!(positions(&ledger), [5]);
}

#[test]
fn another_target_in_mid_travel_is_served_when_the_stride_is_over() {
    let (run, ledger) = run(&["2,oltc1,,,7,", "3,oltc1,,,4,"], &[]);
    assert_eq!(positions(&ledger), [5, 6, 7, 6, 5, 4], "what was begun is ended, and nothing overshoots");
    let steps = &run.device("oltc1").steps;
    assert_eq!(
        (steps[0].asked.as_str(), steps[0].held.as_deref()),
        ("tap 7", None),
        "it was never confirmed"
    );
    assert_eq!((steps[1].asked.as_str(), steps[1].held.as_deref()), ("tap 4", Some("tap 4")));
    assert_eq!(published(&run, 20), 4.0);
}
