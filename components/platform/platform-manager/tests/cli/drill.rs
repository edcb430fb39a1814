//! Drills: on the devices of the examples, and on one that another gridloop serves, to see what is left of it.

use crate::device::simulate;
use crate::{Running, config, entries, feeder, folder, gridloop};
use gridloop_gateway::Address;
use gridloop_platform_manager::Configuration;
use std::path::Path;

const QUICK: [&str; 2] = ["--set", "device.PV_large.revert_after_s=1"];

/// A configuration with the inverter at this address.
fn with_inverter_at(folder: &Path, address: &str) -> String {
    let text = format!(
        "[simulation]\nname = \"a bench\"\ninitial_start_time = \"2026-06-21T12:00:00.000Z\"\nepoch_length_s = 1\n\
         epochs = 1\n\n[device.pv1]\ndriver = \"sunspec\"\naddress = \"{address}\"\nrevert_after_s = 30\n\
         request_timeout_s = 0.2\n"
    );
    let file = folder.join("bench.toml");
    std::fs::write(&file, text).expect("a configuration");
    file.display().to_string()
}

/// Waits for the drill to have nothing to do but to watch.
fn watching(drill: &mut Running) {
    let watching =
        drill.lines.by_ref().map_while(Result::ok).any(|line| line.contains("from now on only read"));
    assert!(watching, "it ended before");
}

#[test]
fn without_arm_the_plan_is_told_and_nothing_is_written() {
    let folder = folder();
    let told = gridloop(folder.path(), &["drill", &feeder(), "--device", "PV_large"]);
    assert_eq!(told.code, 1);
    assert!(told.stdout.contains("after 10 s it is to go to 0 W by itself"), "{}", told.stdout);
    assert!(told.stderr.contains("nothing was written: add --arm"), "{}", told.stderr);
    assert_eq!(entries(folder.path()), [""; 0], "no record of nothing");
}

#[test]
fn an_inverter_of_the_feeder_passes_and_its_record_shows_a_later_edit() {
    let folder = folder();
    let feeder = feeder();
    let arguments =
        ["drill", &feeder, "--device", "PV_large", "--arm", "--operator", "A. Tester", "-o", "pv.json"];
    let arguments = [&arguments[..], &QUICK].concat();
    let done = gridloop(folder.path(), &arguments);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    for part in ["only read", "it fell back", "passed: ", "released and read back"] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert_eq!(entries(folder.path()), ["pv.json", "pv.txt"]);
    let file = folder.path().join("pv.json");
    let text = std::fs::read_to_string(&file).expect("the record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let content = &record["content"];
    assert_eq!((&content["verdict"], &content["left"]), (&"passed".into(), &"released".into()));
    assert_eq!(content["operator"], "A. Tester");
    assert_eq!(content["configuration"]["sha256"].as_str().map(str::len), Some(64));
    let latest = content["measured"]["fell_back_not_after_s"].as_f64().expect("a time");
    assert!((0.9..3.0).contains(&latest), "{latest}");
    let page = std::fs::read_to_string(folder.path().join("pv.txt")).expect("the page");
    assert!(
        page.contains(record["sha256"].as_str().expect("a digest")) && page.contains("signed ___"),
        "{page}"
    );

    let verified = gridloop(folder.path(), &["drill", "--verify", "pv.json"]);
    assert_eq!(
        (verified.code, verified.stdout.contains("as it was written")),
        (0, true),
        "{}",
        verified.stdout
    );
    std::fs::write(&file, text.replace("A. Tester", "B. Tester")).expect("an edit");
    let edited = gridloop(folder.path(), &["drill", "--verify", "pv.json"]);
    assert_eq!((edited.code, edited.stderr.contains("CHANGED")), (1, true), "{}", edited.stderr);

    let again = gridloop(folder.path(), &arguments);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("records are never overwritten"), "{}", again.stderr);
    assert_eq!(again.stdout, "", "and no device was asked");
}

/// Every simulated device of the configurations in this folder, with the driver that serves it.
fn simulated_devices(folder: &str) -> Vec<(String, String, &'static str)> {
    let mut found = Vec::new();
    for file in entries(Path::new(&config(folder))).into_iter().filter(|file| file.ends_with(".toml")) {
        let path = config(&format!("{folder}/{file}"));
        let configuration = Configuration::load(Path::new(&path), &[]).expect("a sound configuration");
        let devices = configuration.devices.into_iter().filter(|device| device.address == Address::Simulated);
        found.extend(devices.map(|device| (path.clone(), device.name, device.driver)));
    }
    found
}

#[test]
fn every_simulated_device_passes_its_drill_or_has_no_fail_safe() {
    let devices = [simulated_devices("scenarios"), simulated_devices("examples")].concat();
    assert!(devices.len() >= 5, "{devices:?}");
    std::thread::scope(|scope| {
        for (path, name, driver) in &devices {
            scope.spawn(move || {
                let folder = folder();
                let quick = format!("device.{name}.revert_after_s=1");
                let mut arguments = vec!["drill", path, "--device", name, "--arm"];
                // The only driver whose timer is a matter of configuration.
                if *driver == "sunspec" {
                    arguments.extend(["--set", &quick]);
                }
                // A device behind a broker does not tell where it goes.
                if *driver == "mqtt" {
                    arguments.extend(["--reverts-to-w", "0"]);
                }
                let done = gridloop(folder.path(), &arguments);
                let told = done.stdout;
                match done.code {
                    0 => assert!(
                        told.contains("passed: ") && told.contains("released and read back"),
                        "{told}"
                    ),
                    _ => assert!(told.contains("not applicable: "), "{path} {name}: {told}{}", done.stderr),
                }
            });
        }
    });
}

#[test]
fn a_device_without_a_fail_safe_is_told_so() {
    let folder = folder();
    let tap = gridloop(folder.path(), &["drill", &feeder(), "--device", "oltc1", "--arm"]);
    assert_eq!(tap.code, 1);
    assert!(tap.stdout.contains("not applicable: it has no fail-safe"), "{}", tap.stdout);
    assert_eq!(entries(&folder.path().join("drills")).len(), 2, "which is on record");
}

#[test]
fn a_device_that_is_not_in_the_configuration_and_a_bad_option_are_refused() {
    let folder = folder();
    let feeder = feeder();
    let other = gridloop(folder.path(), &["drill", &feeder, "--device", "pv2"]);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("there is no device `pv2`; there are PV_large, oltc1"), "{}", other.stderr);
    for bad in [["--within", "0"], ["--power-w", "NaN"], ["-o", "record.txt"]] {
        let arguments = [&["drill", &feeder, "--device", "PV_large"], &bad[..]].concat();
        assert_eq!(gridloop(folder.path(), &arguments).code, 2, "{bad:?}");
    }
    let no_record = gridloop(folder.path(), &["drill", "--verify", &feeder]);
    assert_eq!(no_record.code, 1);
    assert!(no_record.stderr.contains("no record of a drill"), "{}", no_record.stderr);
}

#[test]
fn a_drill_that_is_stopped_leaves_the_device_released() {
    let folder = folder();
    let (_device, address) = simulate(folder.path(), "pv-inverter");
    let bench = with_inverter_at(folder.path(), &address);
    let enabled = || {
        let scan = gridloop(folder.path(), &["device", "scan", &address]).stdout;
        let line = scan.lines().find(|line| line.contains("WMaxLimPctEna ")).expect("the enable").to_owned();
        line.split_whitespace().nth(1) == Some("1")
    };
    assert!(!enabled());
    let mut drill = Running::start(folder.path(), &["drill", &bench, "--device", "pv1", "--arm"]);
    watching(&mut drill);
    assert!(enabled(), "the command stands");
    let (code, rest) = drill.interrupt();
    assert_eq!(code, 1, "{rest}");
    assert!(rest.contains("aborted: it was stopped") && rest.contains("released and read back"), "{rest}");
    assert!(!enabled(), "and stands no more");
}

#[test]
fn a_device_that_goes_away_is_told_to_be_unreleased() {
    let folder = folder();
    let (device, address) = simulate(folder.path(), "pv-inverter");
    let bench = with_inverter_at(folder.path(), &address);
    let mut drill =
        Running::start(folder.path(), &["drill", &bench, "--device", "pv1", "--arm", "-o", "it.json"]);
    watching(&mut drill);
    drop(device);
    let rest: Vec<String> = drill.lines.by_ref().map_while(Result::ok).collect();
    assert_eq!(drill.child.wait().expect("its end").code(), Some(1));
    assert!(rest.iter().any(|line| line.contains("NOT RELEASED")), "{rest:#?}");
    let text = std::fs::read_to_string(folder.path().join("it.json")).expect("the record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(record["content"]["verdict"], "aborted");
    assert!(record["content"]["left"].as_str().is_some_and(|left| left.starts_with("unknown")), "{text}");
}
