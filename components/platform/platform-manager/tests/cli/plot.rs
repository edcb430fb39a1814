//! Pictures of stored runs: where they go, what is told of those that cannot be made, and the exit code.

use crate::{entries, feeder, folder, gridloop};
use gridloop_bus::Bus;
use gridloop_clock::{SharedClock, WallClock};
use gridloop_logging::{RunLog, Store};
use std::path::Path;
use std::sync::Arc;

/// A run of a few epochs.
fn run(folder: &Path, id: &str) {
    let feeder = feeder();
    let done = gridloop(
        folder,
        &["run", "--epochs", "3", "--speed", "max", "--json", "--simulation-id", id, &feeder],
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn a_run_is_drawn_into_its_folder_and_what_it_has_no_messages_for_is_told() {
    let folder = folder();
    run(folder.path(), "2026-06-21T12:00:00.000Z");
    run(folder.path(), "2026-06-21T13:00:00.000Z");
    let done = gridloop(folder.path(), &["plot", "latest"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plots = "runs/20260621-130000-000/plots";
    let drawn = ["powers", "voltages", "taps", "state-of-charge", "currents", "overview"]
        .map(|name| format!("{plots}/{name}.svg"));
    let (mut printed, mut expected) = (done.stdout.lines().collect::<Vec<_>>(), drawn.each_ref().to_vec());
    printed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(printed, expected);
    assert_eq!(
        entries(&folder.path().join(plots)),
        ["currents.svg", "overview.svg", "powers.svg", "state-of-charge.svg", "taps.svg", "voltages.svg"]
    );
    let reason = "prices not drawn: the run has no PriceForecastState";
    assert!(done.stderr.lines().any(|line| line.starts_with(reason)), "{}", done.stderr);
    let svg = std::fs::read_to_string(folder.path().join(&drawn[0])).expect("the picture");
    assert!(svg.contains("HIL feeder") && svg.contains("3 epochs of 1 s"), "{svg}");
    assert!(!svg.contains("not at its end"), "{svg}");
    // An export takes the same words.
    let exported = ["2026-06-21T13:00:00.000Z", "20260621-130000-000", "runs/20260621-130000-000", "latest"]
        .map(|run| gridloop(folder.path(), &["export", run, "--attrs", "RealPower"]));
    for done in &exported {
        assert_eq!((done.code, &done.stdout), (0, &exported[0].stdout), "{}", done.stderr);
    }
    // By its id, by its folder, and to another place; the same run is the same picture.
    for (run, out) in
        [("2026-06-21T13:00:00.000Z", "a"), ("20260621-130000-000", "b"), ("runs/20260621-130000-000", "c")]
    {
        let done = gridloop(folder.path(), &["plot", run, "--out", out, "--only", "powers"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(std::fs::read_to_string(folder.path().join(out).join("powers.svg")).expect("it"), svg);
        assert_eq!(entries(&folder.path().join(out)), ["powers.svg"]);
    }
}

#[test]
fn a_picture_that_was_named_and_cannot_be_made_is_a_failure() {
    let folder = folder();
    run(folder.path(), "2026-06-21T12:00:00.000Z");
    let done = gridloop(folder.path(), &["plot", "latest", "--only", "taps,prices"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(done.stdout.trim_end(), "runs/20260621-120000-000/plots/taps.svg");
    assert!(done.stderr.contains("prices not drawn: the run has no PriceForecastState"), "{}", done.stderr);
}

#[test]
fn a_run_that_is_not_there_and_a_picture_that_does_not_exist_are_wrong_arguments() {
    let folder = folder();
    let none = gridloop(folder.path(), &["plot", "latest"]);
    assert_eq!(none.code, 2, "{}", none.stderr);
    std::fs::create_dir_all(folder.path().join("runs/other")).expect("a folder");
    for (run, said) in [("latest", "there is no run in runs"), ("nope", "there is no run nope")] {
        let done = gridloop(folder.path(), &["plot", run]);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""));
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    drop(Store::open(&folder.path().join("runs/other/messages.sqlite")).expect("a store"));
    let renamed = gridloop(folder.path(), &["plot", "runs/other"]);
    assert_eq!(renamed.code, 2);
    assert!(renamed.stderr.contains("does not have the name of a run's folder"), "{}", renamed.stderr);
    let picture = gridloop(folder.path(), &["plot", "latest", "--only", "voltage"]);
    assert_eq!(picture.code, 2);
    assert!(picture.stderr.contains("state-of-charge"), "{}", picture.stderr);
    let nominal = gridloop(folder.path(), &["plot", "latest", "--nominal-kv", "0"]);
    assert_eq!(nominal.code, 2);
}

#[tokio::test]
async fn a_run_without_its_end_is_drawn_as_far_as_it_is_and_says_so() {
    let folder = folder();
    let run = folder.path().join("runs/20260621-120000-000");
    std::fs::create_dir_all(&run).expect("a folder");
    let clock: SharedClock = Arc::new(WallClock::start().expect("a clock"));
    let bus = Bus::memory(None);
    let log = RunLog::start(&run.join("messages.sqlite"), &bus, clock, false).await.expect("a log");
    let head = r#""SimulationId": "2026-06-21T12:00:00.000Z", "Timestamp": "2026-06-21T12:00:00.000Z", "SourceProcessId": "x",
        "EpochNumber": 1, "TriggeringMessageIds": ["x-1"]"#;
    let epoch = format!(
        r#"{{"Type": "Epoch", "MessageId": "x-2", "StartTime": "2026-06-21T00:00:00Z", "EndTime": "2026-06-21T01:00:00Z", {head}}}"#
    );
    let voltage = format!(
        r#"{{"Type": "NetworkState", "MessageId": "x-3", "Magnitude": {{"Value": 0.23, "UnitOfMeasure": "kV"}},
            "Angle": {{"Value": 0.0, "UnitOfMeasure": "deg"}}, "Bus": "b<1>", "Node": 1, {head}}}"#
    );
    for (topic, body) in [("Epoch", epoch), ("NetworkState.g.Voltage.b", voltage)] {
        bus.publish(topic, body.into()).await.expect("it goes out");
    }
    let counts = log.finish().await;
    assert_eq!((counts.stored, counts.invalid), (2, 0));
    let done = gridloop(folder.path(), &["plot", "latest", "--only", "voltages"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let svg = std::fs::read_to_string(run.join("plots/voltages.svg")).expect("the picture");
    assert!(
        svg.contains("not at its end when drawn") && svg.contains("lowest: b&lt;1&gt;, phase 1"),
        "{svg}"
    );
}
