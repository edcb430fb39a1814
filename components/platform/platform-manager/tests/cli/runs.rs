//! Whole runs: what is printed, what is left in the folder, and the exit code.

use crate::{Done, Running, entries, feeder, folder, gridloop};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;

/// The report at this path.
fn report(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the report");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_run_ends_with_a_summary_and_a_report_with_every_promised_field() {
    let folder = folder();
    let feeder = feeder();
    let done =
        gridloop(folder.path(), &["run", "--epochs", "3", "--speed", "10", "--report", "r.json", &feeder]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("epoch 3/3: everybody ready after"), "{}", done.stdout);
    assert!(done.stdout.contains("\ncompleted: "), "{}", done.stdout);
    assert!(done.stdout.contains("3 of 3 completed"), "{}", done.stdout);
    let report = report(&folder.path().join("r.json"));
    assert_eq!(report["outcome"], "completed");
    assert_eq!(report["epochs"]["planned"], 3);
    assert_eq!(report["epochs"]["completed"], 3);
    let missing = missing_fields(&report);
    assert!(missing.is_empty(), "{missing:?} are not in {report:#}");
    assert_eq!(report["log"]["received"], report["log"]["stored"]);
}

/// The fields that every report has, as JSON pointers.
fn missing_fields(report: &Value) -> Vec<String> {
    let spread = |field: &str| ["p50", "p99", "max"].map(|part| format!("{field}/{part}"));
    let mut fields = Vec::from(["/outcome", "/reason"].map(ToOwned::to_owned));
    fields.extend(["planned", "completed", "late", "skipped"].map(|field| format!("/epochs/{field}")));
    fields.extend(["speed", "policy", "scheduler"].map(|field| format!("/pacing/{field}")));
    fields.extend(spread("/pacing/start_lateness_us"));
    fields.extend(["received", "stored", "invalid"].map(|field| format!("/log/{field}")));
    let plain = ["id", "protocol", "source", "reads", "writes", "errors", "reconnects", "fallback_epochs"];
    for device in 0..3 {
        fields.extend(plain.map(|field| format!("/devices/{device}/{field}")));
        fields.extend(spread(&format!("/devices/{device}/read_us")));
    }
    // Only of the first device it is sure that it has been told anything by then.
    fields.extend(spread("/devices/0/setpoint_to_device_us"));
    fields.extend([1, 2].map(|device| format!("/devices/{device}/setpoint_to_device_us")));
    fields.retain(|field| report.pointer(field).is_none());
    fields
}

#[test]
fn a_run_is_kept_in_a_folder_of_its_own_with_its_configuration() {
    let folder = folder();
    let feeder = feeder();
    let id = ["--simulation-id", "2026-06-21T12:00:00.000Z"];
    let arguments = [&["run", "--epochs", "2", "--speed", "max", "--json", &feeder], &id[..]].concat();
    let done = gridloop(folder.path(), &arguments);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(entries(folder.path()), ["runs"]);
    let run = folder.path().join("runs/20260621-120000-000");
    assert_eq!(
        entries(&run),
        ["begun.json", "configuration.toml", "journal", "messages.sqlite", "report.json"]
    );
    assert_eq!(report(&run.join("report.json")), done.json(), "--json prints the report and nothing else");
    let kept = std::fs::read_to_string(run.join("configuration.toml")).expect("the copy");
    let (overrides, file) = kept.split_at(kept.find("# A minute").expect("the beginning of the file"));
    let said = ["# this run had --set simulation.epochs=2", "# this run had --set manager.speed=max"];
    assert_eq!(overrides.lines().collect::<Vec<_>>(), said);
    assert_eq!(file, std::fs::read_to_string(&feeder).expect("the configuration"));
    let again = gridloop(folder.path(), &arguments);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("use another --simulation-id"), "{}", again.stderr);
}

#[test]
fn a_missed_deadline_is_another_exit_code_under_strict_only() {
    let folder = folder();
    let feeder = feeder();
    // No epoch starts at its very instant.
    let run =
        ["run", "--epochs", "2", "--speed", "20", "--set", "manager.late_tolerance_s=0", "--json", &feeder];
    let done = gridloop(folder.path(), &run);
    assert_eq!((done.code, &done.json()["epochs"]["late"]), (0, &2.into()));
    let strict = gridloop(folder.path(), &[&run[..], &["--strict"]].concat());
    assert_eq!(strict.code, 3);
    // Where the operating system refuses a privilege nothing was started.
    if !strict.stderr.contains("refused") {
        assert_eq!(strict.json()["outcome"], "completed");
    }
}

#[test]
fn a_broker_that_is_not_there_fails_the_run_before_anything_is_made() {
    let folder = folder();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
    let bus = format!("amqp://somebody:secret@127.0.0.1:{free}/%2f");
    let done = gridloop(folder.path(), &["run", "--bus", &bus, &feeder()]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.contains(&format!("no broker answers at 127.0.0.1:{free}")), "{}", done.stderr);
    assert!(!done.stderr.contains("secret"), "{}", done.stderr);
    assert!(entries(folder.path()).is_empty());
}

const CURTAILED: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 60

[manager]
speed = 5

[component.operator]
kind = "setpoint-series"
file = "setpoints.csv"

[device.pv1]
driver = "sunspec"
address = "tcp://127.0.0.1:1"
mode = "armed"
category = "Generator"
safe_state = "release"
"#;

#[test]
fn ctrl_c_stops_the_run_releases_the_device_and_writes_the_report() {
    let folder = folder();
    let setpoints = "Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage\n1,pv1,3.0,0.0,,\n";
    std::fs::write(folder.path().join("setpoints.csv"), setpoints).expect("the setpoints");
    std::fs::write(folder.path().join("run.toml"), CURTAILED).expect("the configuration");
    let mut inverter = Running::start(folder.path(), &["device", "simulate", "pv-inverter"]);
    let serving = inverter.line("serving at ");
    let address = serving.split([' ', ',']).nth(2).expect("an address");
    let set = format!("device.pv1.address={address}");
    let mut run = Running::start(folder.path(), &["run", "--set", &set, "--report", "r.json", "run.toml"]);
    // The first line after an epoch: the setpoint has been confirmed by then.
    run.line("epoch ");
    assert_eq!(limits_in_force(&gridloop(folder.path(), &["device", "scan", "--json", address])), 1);
    let (code, rest) = run.interrupt();
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("stopped: "), "{rest}");
    let report = report(&folder.path().join("r.json"));
    assert_eq!(report["outcome"], "stopped");
    assert_eq!(report["devices"][0]["left"], "released");
    assert_eq!(report["devices"][0]["source"], "field");
    assert_eq!(limits_in_force(&gridloop(folder.path(), &["device", "scan", "--json", address])), 0);
    assert_eq!(inverter.interrupt().0, 0);
}

/// How many of the inverter's power limits (models 123 and 704) are in force.
fn limits_in_force(scan: &Done) -> usize {
    let report = scan.json();
    let models = report["models"].as_array().expect("models").iter();
    let points = models.flat_map(|model| model["points"].as_array().expect("points"));
    let switches = ["WMaxLim_Ena", "WMaxLimPctEna"];
    let switches: Vec<&Value> =
        points.filter(|point| switches.iter().any(|name| point["name"] == *name)).collect();
    assert_eq!(switches.len(), 2, "{report:#}");
    switches.iter().filter(|point| point["value"].as_f64() == Some(1.0)).count()
}
