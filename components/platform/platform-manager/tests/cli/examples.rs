//! The examples in `configs/examples`, and what is told of a wrong `driver = "mqtt"`.

use crate::{config, entries, folder, gridloop, runs_in};
use gridloop_gateway::drivers::DRIVERS;
use serde_json::Value;
use std::path::Path;

#[test]
fn every_driver_has_an_example_and_every_example_is_sound() {
    let folder = folder();
    for driver in DRIVERS {
        let path = config(&format!("examples/{}.toml", driver.name()));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(text.contains(&format!("driver = \"{}\"", driver.name())), "{path}");
    }
    for name in entries(Path::new(&config("examples"))) {
        if name.ends_with(".toml") {
            let done = gridloop(folder.path(), &["check", &config(&format!("examples/{name}"))]);
            assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{name}");
        }
    }
}

#[test]
fn the_battery_over_mqtt_runs_without_any_installation() {
    let folder = folder();
    let example = config("examples/mqtt.toml");
    let done = gridloop(folder.path(), &["run", "--epochs", "8", "--speed", "4", &example]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let runs = folder.path().join("runs");
    let [run] = &runs_in(&runs)[..] else { panic!("one run: {:?}", entries(&runs)) };
    let text = std::fs::read_to_string(runs.join(run).join("report.json")).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let device = &report["devices"][0];
    assert_eq!((&device["id"], &device["source"]), (&"battery1".into(), &"simulated".into()), "{device}");
    assert_eq!((&device["errors"], &device["reconnects"]), (&0.into(), &0.into()), "{device}");
    assert!(device["writes"].as_u64().is_some_and(|writes| writes >= 2), "{device}");
}

#[test]
fn what_is_wrong_with_a_device_over_mqtt_is_told_at_once() {
    let folder = folder();
    let sound = std::fs::read_to_string(config("examples/simulated.toml")).expect("the example");
    let (head, _) = sound.split_once("[component.house]").expect("a component");
    let broken = format!(
        "{head}\n[device.b]\ndriver = \"mqtt\"\naddress = \"mqtt://broker\"\ntopic_prefix = \"lab/#\"\n\
         device_id = \"a/b\"\npassword_file = \"password\"\nca_file = \"ca.pem\"\nkey_file = \"key.pem\"\n\
         profile = \"profile.toml\"\n"
    );
    std::fs::write(folder.path().join("broken.toml"), &broken).expect("the file");
    std::fs::write(folder.path().join("profile.toml"), "name = \"x\"\n[[point]]\nname = 5\n")
        .expect("a file");
    let done = gridloop(folder.path(), &["check", "broken.toml"]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    for part in [
        "which a topic name cannot have",
        "`user` beside it",
        "`address = \"mqtts://...\"` beside it",
        "`certificate_file`, the certificate of this key, beside it",
        "profile.toml:3:8:",
    ] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    let leaky = broken.replace("mqtt://broker", "mqtt://me:secret@broker");
    std::fs::write(folder.path().join("broken.toml"), leaky).expect("the file");
    let told = gridloop(folder.path(), &["check", "broken.toml"]).stderr;
    assert!(told.contains("no user and no password in it") && !told.contains("secret"), "{told}");
}

#[test]
fn a_battery_of_either_driver_charges_and_discharges_as_it_is_told() {
    for name in ["sunspec-battery.toml", "register-map-battery.toml"] {
        let folder = folder();
        let path = config(&format!("examples/{name}"));
        let done = gridloop(folder.path(), &["run", "--json", "--epochs", "6", "--speed", "10", &path]);
        assert_eq!(done.code, 0, "{name}: {} {}", done.stdout, done.stderr);
        let run = &runs_in(&folder.path().join("runs"))[0];
        let report = std::fs::read_to_string(folder.path().join("runs").join(run).join("report.json"));
        let report: serde_json::Value = serde_json::from_str(&report.expect("a report")).expect("JSON");
        let device = &report["devices"][0];
        assert_eq!(
            (&device["errors"], &device["source"]),
            (&0.into(), &"simulated".into()),
            "{name}: {device}"
        );
        assert!(device.to_string().contains("-3.00 kW"), "{name}: charging is told: {device}");
        assert!(device.to_string().contains("released"), "{name}: {device}");
    }
}

#[test]
fn every_error_of_a_profile_is_told_by_check_with_its_place_in_the_profile() {
    let folder = folder();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("a file");
    let read = |name: &str| std::fs::read_to_string(config(name)).expect("a file");
    let setpoints = read("examples/modbus-battery-setpoints.csv");
    write("modbus-battery-setpoints.csv", setpoints);
    let example = read("examples/register-map-battery.toml");
    write("mine.toml", example.replace("../devices/battery-inverter.toml", "profile.toml"));
    let profile = read("devices/battery-inverter.toml");
    write(
        "profile.toml",
        profile.replace("unit = \"Hz\"", "unit = \"V\"").replace("value = 1 }]", "value = 2 }]"),
    );
    let checked = gridloop(folder.path(), &["check", "mine.toml"]);
    assert_eq!(checked.code, 2);
    for told in
        ["profile.toml:84:8: error: wrong value for `unit`: \"V\"", "0 to 1, the limits of `control_mode`"]
    {
        assert!(checked.stderr.contains(told), "{}", checked.stderr);
    }
    assert!(checked.stderr.contains("2 errors"), "{}", checked.stderr);
}

#[test]
fn the_profiles_of_mqtt_equipment_that_are_shipped_are_sound() {
    let folder = folder();
    let sound = std::fs::read_to_string(config("examples/simulated.toml")).expect("the example");
    let (head, _) = sound.split_once("[component.house]").expect("a component");
    for profile in ["mqtt-victron-gx.toml", "mqtt-opendtu.toml"] {
        let path = config(&format!("devices/{profile}"));
        let device = format!(
            "{head}\n[device.b]\ndriver = \"mqtt\"\naddress = \"mqtt://broker\"\nprofile = \"{path}\"\n"
        );
        std::fs::write(folder.path().join("sound.toml"), device).expect("the file");
        let done = gridloop(folder.path(), &["check", "sound.toml"]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{profile}");
    }
}
