//! The examples of batteries over Modbus, which are run, and what `check` says of a profile with errors.

use crate::{config, entries, folder, gridloop};

#[test]
fn a_battery_of_either_driver_charges_and_discharges_as_it_is_told() {
    for name in ["sunspec-battery.toml", "register-map-battery.toml"] {
        let folder = folder();
        let path = config(&format!("examples/{name}"));
        let done = gridloop(folder.path(), &["run", "--json", "--epochs", "6", "--speed", "10", &path]);
        assert_eq!(done.code, 0, "{name}: {} {}", done.stdout, done.stderr);
        let run = &entries(&folder.path().join("runs"))[0];
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
