//! A gateway that is running: told things by hand, and what it writes down of everything it does to devices.

use crate::{Done, Running, command, feeder, folder, gridloop};
use gridloop_clock::{Clock, WallClock};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// The feeder, twice as fast as the wall clock.
fn running(folder: &Path, epochs: &str) -> Running {
    let feeder = feeder();
    Running::start(folder, &["run", &feeder, "--epochs", epochs, "--speed", "2", "--report", "report.json"])
}

/// Says something until it is accepted; the gateway may still be starting.
fn accepted(folder: &Path, arguments: &[&str]) -> Done {
    until(|| Some(gridloop(folder, arguments)).filter(|done| done.code == 0))
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let clock = WallClock::start().expect("a clock");
    let end = clock.now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock.now() < end, "nothing came of it in a minute");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Everything that was written down of a device.
fn audit(folder: &Path, device: &str) -> Vec<Value> {
    let Ok(files) = fs::read_dir(folder.join("runs/audit")) else { return Vec::new() };
    let text: String =
        files.map(|file| fs::read_to_string(file.expect("a file").path()).expect("text")).collect();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["device"] == device).collect()
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["event"].as_str()).collect()
}

fn report(folder: &Path, device: &str) -> Value {
    let text = fs::read_to_string(folder.join("report.json")).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let devices = report["devices"].as_array().expect("devices");
    devices.iter().find(|it| it["id"] == device).expect("the device").clone()
}

#[test]
fn every_write_is_in_the_audit_log_with_who_asked_and_what_came_of_it() {
    let folder = folder();
    let feeder = feeder();
    let run = gridloop(folder.path(), &["run", &feeder, "--epochs", "12", "--speed", "10"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let lines = audit(folder.path(), "PV_large");
    let written = lines.iter().find(|line| line["event"] == "writing").expect("a write");
    let order = &written["order"];
    let of_order: Vec<&Value> = lines.iter().filter(|line| line["order"] == *order).collect();
    let words: Vec<&str> = of_order.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(words[..3], ["asked", "writing", "held"], "{words:?}");
    assert_eq!(of_order[0]["source"], "control");
    assert!(of_order[0]["message"].as_str().is_some_and(|id| id.starts_with("control-")));
    assert_eq!(of_order[1]["command"], of_order[0]["passed"]);
    assert!(of_order[2]["held"]["real_power_w"].is_number());
    assert_eq!(events(&lines).last(), Some(&"released"));
    let moved: u64 = audit(folder.path(), "oltc1")
        .iter()
        .filter(|line| line["event"] == "moved")
        .filter_map(|line| line["steps"].as_u64())
        .sum();
    assert!(moved > 0, "the tap changer moves too");
}

#[test]
fn a_device_is_swapped_for_its_twin_and_back_while_the_run_goes_on() {
    let folder = folder();
    let run = running(folder.path(), "60");
    let list = accepted(folder.path(), &["device", "list"]);
    assert!(list.stdout.contains("PV_large") && list.stdout.contains("armed"), "{}", list.stdout);
    until(|| events(&audit(folder.path(), "PV_large")).contains(&"held").then_some(()));
    let told = accepted(folder.path(), &["device", "source", "PV_large", "simulated"]);
    assert!(told.stdout.contains("PV_large is simulated from the next epoch on"), "{}", told.stdout);
    until(|| events(&audit(folder.path(), "PV_large")).contains(&"twin-stands-in").then_some(()));
    until(|| events(&audit(folder.path(), "PV_large")).contains(&"released").then_some(()));
    accepted(folder.path(), &["device", "source", "PV_large", "field"]);
    until(|| events(&audit(folder.path(), "PV_large")).contains(&"device-is-back").then_some(()));
    assert_eq!(run.interrupt().0, 0);
    let inverter = report(folder.path(), "PV_large");
    assert!(inverter["fallback_epochs"].as_u64().is_some_and(|epochs| epochs > 0), "{inverter}");
    assert_eq!(inverter["left"], "released");
}

#[test]
fn a_device_is_disarmed_and_armed_again_by_hand() {
    let folder = folder();
    let run = running(folder.path(), "60");
    until(|| events(&audit(folder.path(), "PV_large")).contains(&"held").then_some(()));
    accepted(folder.path(), &["device", "disarm", "PV_large"]);
    let shown = until(|| {
        let list = gridloop(folder.path(), &["device", "list"]).stdout;
        let line = list.lines().find(|line| line.starts_with("PV_large"))?.to_owned();
        line.contains("read-only").then_some(line)
    });
    assert!(!shown.contains("holds"), "{shown}");
    let until_released = || {
        let lines = audit(folder.path(), "PV_large");
        let events = events(&lines);
        let disarmed = events.iter().position(|event| *event == "disarmed")?;
        events[disarmed..].contains(&"released").then_some(())
    };
    until(until_released);
    accepted(folder.path(), &["device", "arm", "PV_large", "--for", "30"]);
    until(|| {
        let lines = audit(folder.path(), "PV_large");
        let events = events(&lines);
        let armed = events.iter().position(|event| *event == "armed")?;
        events[armed..].contains(&"held").then_some(())
    });
    assert_eq!(run.interrupt().0, 0);
    assert_eq!(report(folder.path(), "PV_large")["left"], "released");
}

#[test]
fn what_a_gateway_cannot_do_is_refused_in_words() {
    let folder = folder();
    let nobody = gridloop(folder.path(), &["device", "list"]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.stderr.contains("no gateway listens at runs/gateway.sock"), "{}", nobody.stderr);
    let run = running(folder.path(), "60");
    accepted(folder.path(), &["device", "list"]);
    let refusals = [
        (["device", "arm", "pv7"].as_slice(), "no device pv7 here; there are: PV_large, oltc1"),
        (&["device", "arm", "PV_large", "--for", "0"], "is no time to arm a device for"),
    ];
    for (arguments, words) in refusals {
        let refused = gridloop(folder.path(), arguments);
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains(words), "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!(run.interrupt().0, 0);
    assert!(!folder.path().join("runs/gateway.sock").exists(), "the socket is gone with its gateway");
}

#[test]
fn a_second_gateway_does_not_drive_the_device_of_the_first() {
    let folder = folder();
    let mut device = Running::start(folder.path(), &["device", "simulate", "pv-inverter"]);
    let address = device.line("serving at ").split([' ', ',']).nth(2).expect("an address").to_owned();
    let feeder = feeder();
    let set = format!("device.PV_large.address={address}");
    let run = ["run", &feeder, "--set", &set, "--set", "device.PV_large.mode=armed", "--epochs", "60"];
    let first = Running::start(folder.path(), &run);
    accepted(folder.path(), &["device", "list"]);
    let output = command(folder.path(), &run).stdout(Stdio::piped()).output().expect("the command");
    let second = Done::from(output);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("is driven by process"), "{}", second.stderr);
    assert_eq!(first.interrupt().0, 0);
}
