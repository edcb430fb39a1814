//! The hand tool, on devices that another gridloop serves.

use crate::{Running, config, folder, gridloop};
use std::net::TcpListener;
use std::path::Path;

/// A simulated device, and where it is.
pub(crate) fn simulate(folder: &Path, kind: &str) -> (Running, String) {
    let mut device = Running::start(folder, &["device", "simulate", kind]);
    let serving = device.line("serving at ");
    let address = serving.split([' ', ',']).nth(2).expect("an address").to_owned();
    (device, address)
}

#[test]
fn a_simulated_inverter_can_be_scanned_and_read() {
    let folder = folder();
    let (device, address) = simulate(folder.path(), "pv-inverter");
    let scan = gridloop(folder.path(), &["device", "scan", &address]);
    assert_eq!((scan.code, scan.stderr.as_str()), (0, ""));
    for part in ["SunSpec map at register 40000", "model 103 at ", "WMaxLimPctEna", "driver = \"sunspec\""] {
        assert!(scan.stdout.contains(part), "{part}: {}", scan.stdout);
    }
    assert!(scan.stdout.contains(&format!("address = \"{address}\"")), "{}", scan.stdout);
    let read = gridloop(folder.path(), &["device", "read", "--json", &address]).json();
    let power = &read["points"]["real_power"];
    assert_eq!((&power["unit"], &power["quality"]), (&"W".into(), &"Good".into()), "{read}");
    assert!(power["value"].as_f64().is_some_and(|watts| watts > 0.0), "{read}");
    let marker = gridloop(folder.path(), &["device", "read", "--registers", "holding:40000:2", &address]);
    assert_eq!(marker.stdout, " 40000   21365  0x5375\n 40001   28243  0x6e53\n");
    assert_eq!(device.interrupt().0, 0);
}

#[test]
fn a_register_is_written_only_when_armed_and_then_read_back() {
    let folder = folder();
    let (_device, address) = simulate(folder.path(), "tap-changer");
    let voltage = || {
        let profile = config("devices/tap-changer-ecotap.toml");
        let read = gridloop(folder.path(), &["device", "read", "--json", "--profile", &profile, &address]);
        read.json()["points"]["voltage_setpoint"]["value"].as_f64()
    };
    assert_eq!(voltage(), Some(230.0));
    let refused = gridloop(folder.path(), &["device", "write", &address, "6", "231"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(
        refused.stderr.contains("nothing written") && refused.stderr.contains("--arm"),
        "{}",
        refused.stderr
    );
    assert_eq!(voltage(), Some(230.0));
    let written = gridloop(folder.path(), &["device", "write", "--arm", &address, "6", "231"]);
    assert_eq!((written.code, written.stdout.as_str()), (0, "     6     231  0x00e7\n"));
    assert_eq!(voltage(), Some(231.0));
}

#[test]
fn what_a_device_refuses_is_told_in_words() {
    let folder = folder();
    let (_device, address) = simulate(folder.path(), "tap-changer");
    let refused = gridloop(folder.path(), &["device", "write", "--arm", &address, "17", "9"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("exception 03 (illegal data value)"), "{}", refused.stderr);
    let other = gridloop(folder.path(), &["device", "scan", &address]);
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("answers, but is no SunSpec device"), "{}", other.stderr);
}

#[test]
fn a_device_that_is_not_there_is_told_from_one_that_is_mistyped() {
    let folder = folder();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number");
    let absent = gridloop(folder.path(), &["device", "read", &format!("tcp://{free}")]);
    assert_eq!(absent.code, 1);
    assert!(absent.stderr.contains(&format!("connect to tcp://{free}")), "{}", absent.stderr);
    let range =
        gridloop(folder.path(), &["device", "read", "--registers", "coil:1", &format!("tcp://{free}")]);
    assert_eq!(range.code, 2);
    assert!(range.stderr.contains("expected TABLE:ADDRESS:COUNT"), "{}", range.stderr);
}
