//! Runs that break off: killed without a word, in the middle of anything, and gone on with.

use crate::{Done, Running, command, feeder, folder, gridloop};
use gridloop_clock::{Clock, WallClock};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A run of three seconds: fifteen epochs of 200 ms, by the clock.
const SHORT: [&str; 6] = ["--epochs", "15", "--speed", "5", "--set", "simulation.name=broken off"];

fn id(n: u32) -> String {
    format!("2026-06-21T12:00:0{n}.000Z")
}

/// Kills a run so long after its beginning. Whether it was still going on.
fn killed(folder: &Path, arguments: &[&str], after: Duration) -> bool {
    let clock = WallClock::start().expect("a clock");
    let mut run = command(folder, arguments);
    let mut child = run
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the command");
    let until = clock.now() + after;
    while clock.now() < until {
        if child.try_wait().expect("its state").is_some() {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    child.kill().expect("it is there");
    child.wait().expect("its end");
    true
}

/// Every Epoch message that is in the log of a run, by number.
fn epochs(folder: &Path, id: &str) -> BTreeMap<u64, Vec<Value>> {
    let exported = gridloop(folder, &["export", id, "--format", "jsonl"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let mut epochs: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for line in exported.stdout.lines() {
        let message: Value = serde_json::from_str(line).expect("a message");
        if message["Type"] == "Epoch" {
            epochs.entry(message["EpochNumber"].as_u64().expect("a number")).or_default().push(message);
        }
    }
    epochs
}

#[test]
fn a_run_that_is_killed_again_and_again_goes_on_with_the_same_epochs_until_it_is_complete() {
    let mut random = fastrand::Rng::with_seed(17);
    for (n, policy) in (0..).zip(["stretch", "skip", "catch-up 3"]) {
        let (folder, id) = (folder(), id(n));
        let policy = format!("manager.overrun=\"{policy}\"");
        let feeder = feeder();
        let begin = [&["run", "--simulation-id", &id, "--set", &policy][..], &SHORT, &[&feeder]].concat();
        // The first in the middle of the epochs, so that there is something to go on with.
        assert!(killed(folder.path(), &begin, Duration::from_millis(random.u64(1000..1800))));
        let run = format!("runs/{}", entries_of_runs(folder.path()));
        let resume = ["run", "--resume", &run];
        let mut kills = 1;
        while kills < 3 && killed(folder.path(), &resume, Duration::from_millis(random.u64(1..900))) {
            kills += 1;
        }
        let done = gridloop(folder.path(), &[&resume[..], &["--json"]].concat());
        assert_eq!(done.code, 0, "{policy}: {}", done.stderr);
        let report = done.json();
        assert_eq!((&report["outcome"], &report["epochs"]["completed"]), (&"completed".into(), &15.into()));
        assert_eq!(report["verdict"]["deadlines"], "not-met", "a run that broke off is no normal run");
        assert_eq!(report["name"], "broken off", "what the command line said before is remembered");
        let resumed = report["resumed"].as_array().expect("a list").len();
        assert!((1..=kills).contains(&resumed), "{policy}: {resumed} after {kills} kills");
        assert_eq!(report["log"]["invalid"], 0, "no MessageId is used twice");
        let epochs = epochs(folder.path(), &id);
        assert_eq!(epochs.keys().copied().collect::<Vec<_>>(), (1..=15).collect::<Vec<_>>(), "{policy}");
        for (number, said) in &epochs {
            let windows: Vec<_> = said.iter().map(|it| (&it["StartTime"], &it["EndTime"])).collect();
            assert!(
                windows.windows(2).all(|pair| pair[0] == pair[1]),
                "{policy}: epoch {number}: {windows:?}"
            );
        }
    }
}

fn entries_of_runs(folder: &Path) -> String {
    let runs = crate::runs_in(&folder.join("runs"));
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

#[test]
fn what_cannot_be_gone_on_with_is_told_with_what_to_do() {
    let folder = folder();
    let feeder = feeder();
    let none = gridloop(folder.path(), &["run", "--resume", "nothing"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("no run that can be resumed"), "{}", none.stderr);
    let id = ["--simulation-id", "2026-06-21T12:00:00.000Z", "--epochs", "2", "--speed", "max"];
    let whole = gridloop(folder.path(), &[&["run"][..], &id, &[&feeder]].concat());
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let over = gridloop(folder.path(), &["run", "--resume", "20260621-120000-000"]);
    assert_eq!(over.code, 2);
    assert!(over.stderr.contains("has come to its end"), "{}", over.stderr);
    let journal = folder.path().join("runs/20260621-120000-000/journal");
    std::fs::write(&journal, "").expect("a journal that was lost");
    let lost = gridloop(folder.path(), &["run", "--resume", "20260621-120000-000"]);
    assert_eq!(lost.code, 2);
    assert!(lost.stderr.contains("its journal is lost; begin a new one"), "{}", lost.stderr);
    let both = gridloop(folder.path(), &["run", "--resume", "x", &feeder]);
    assert_eq!(both.code, 2, "a run brings its own configuration along");
}

#[test]
fn a_run_that_goes_on_is_not_taken_by_a_second_process() {
    let folder = folder();
    let begin = ["run", "--epochs", "60", "--speed", "2", &feeder()];
    let mut first = Running::start(folder.path(), &begin);
    first.line("epoch ");
    let run = entries_of_runs(folder.path());
    let second = gridloop(folder.path(), &["run", "--resume", &run]);
    assert_eq!(second.code, 2);
    assert!(second.stderr.contains("another process is the manager of this run"), "{}", second.stderr);
    let (code, rest) = first.interrupt();
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("stopped after") && rest.contains("MET WITH EXCEPTIONS"), "{rest}");
}

#[test]
fn a_secret_of_the_command_line_has_to_be_given_again() {
    let folder = folder();
    let run = folder.path().join("runs/x");
    std::fs::create_dir_all(&run).expect("a folder");
    let begun = serde_json::json!({
        "simulation_id": "2026-06-21T12:00:00.000Z", "configuration": feeder(),
        "text": std::fs::read_to_string(feeder()).expect("the configuration"), "overrides": ["bus.password=***"],
    });
    std::fs::write(run.join("begun.json"), begun.to_string()).expect("a file");
    let done = gridloop(folder.path(), &["run", "--resume", "x"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("bus.password") && done.stderr.contains("give it again"), "{}", done.stderr);
}

/// A driven device and as many epochs as one likes.
const DRIVEN: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 400

[manager]
speed = 50

[component.operator]
kind = "setpoint-series"
file = "setpoints.csv"

[device.pv1]
driver = "simulated"
mode = "armed"
category = "Generator"

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 8000
irradiance_file = "sun.csv"
"#;

#[test]
fn a_full_disk_stops_the_run_safely_before_the_epoch_that_could_not_be_written_down() {
    let folder = folder();
    let setpoints = "Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage\n1,pv1,3.0,0.0,,\n";
    for (name, text) in
        [("run.toml", DRIVEN), ("setpoints.csv", setpoints), ("sun.csv", "Seconds,Value\n0,900\n100,900\n")]
    {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    // As on a full disk: no file may grow beyond 100 KiB. The log of the messages gets there first, and ends alone.
    let script = "trap '' XFSZ; ulimit -f 200; exec \"$@\"";
    let mut limited = Command::new("sh");
    limited.args(["-c", script, "sh", env!("CARGO_BIN_EXE_gridloop"), "run", "--json", "run.toml"]);
    let done: Done = limited.current_dir(folder.path()).output().expect("the command").into();
    assert_eq!(done.code, 1, "{}", done.stderr);
    let report = done.json();
    let reason = report["reason"].as_str().expect("a reason");
    assert!(reason.contains("was not begun, because it could not be written down"), "{reason}");
    assert!(reason.contains("File too large") && reason.contains("journal"), "{reason}");
    assert_eq!((&report["outcome"], &report["devices"][0]["left"]), (&"failed".into(), &"released".into()));
    let completed = report["epochs"]["completed"].as_u64().expect("a number");
    assert!((10..400).contains(&completed), "{completed}");
    // With room again, the same run goes on.
    let run = format!("runs/{}", entries_of_runs(folder.path()));
    let resumed = gridloop(folder.path(), &["run", "--resume", &run, "--json"]);
    let report = resumed.json();
    assert_eq!((&report["outcome"], &report["epochs"]["completed"]), (&"completed".into(), &400.into()));
}
