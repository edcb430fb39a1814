//! What people see of real time: the doctor, the measurements, and what `--strict` refuses.

use crate::{command, feeder, folder, gridloop};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn the_doctor_examines_this_computer_and_says_what_to_do() {
    let folder = folder();
    let done = gridloop(folder.path(), &["doctor", "--json"]);
    assert!([0, 1].contains(&done.code), "{}", done.stderr);
    let findings = done.json();
    let findings = findings.as_array().expect("a list");
    for subject in ["privileges", "kernel preemption", "clock synchronisation", "wake-ups", "clock source"] {
        let finding = findings.iter().find(|finding| finding["subject"] == subject);
        let finding = finding.unwrap_or_else(|| panic!("{subject} is not among {findings:#?}"));
        assert!(finding["found"].as_str().is_some_and(|found| !found.is_empty()), "{finding}");
        let good = finding["grade"] == "good";
        assert!(good || finding["means"].as_str().is_some_and(|means| !means.is_empty()), "{finding}");
    }
    let problem = findings.iter().any(|finding| finding["grade"] == "problem");
    assert_eq!(done.code == 1, problem);
    let shown = gridloop(folder.path(), &["doctor"]).stdout;
    assert!(shown.lines().any(|line| line.contains("kernel preemption")), "{shown}");
    assert!(crate::entries(folder.path()).is_empty(), "it leaves nothing behind");
}

/// What a request to a page is answered.
fn get(url: &str, request: &str) -> String {
    let address = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an address");
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "{request}\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn the_measurements_of_a_run_are_served_while_it_goes_on() {
    let folder = folder();
    let arguments = ["run", "--epochs", "100", "--speed", "10", "--metrics", "127.0.0.1:0", &feeder()];
    let mut run = command(folder.path(), &arguments);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let url = line.trim().strip_prefix("serving metrics on ").expect("the address").to_owned();
    // The run's own output says when there is something to see.
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("epoch ")), "an epoch");
    let page = get(&url, "GET /metrics HTTP/1.1");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("text/plain; version=0.0.4"), "{page}");
    for name in [
        "gridloop_epoch_start_lateness_seconds_count",
        "gridloop_epoch_turnaround_seconds_bucket",
        "gridloop_slack_seconds_count{component=\"PV_large\"}",
        "gridloop_device_read_age_seconds_count{device=\"oltc1\"}",
        "gridloop_device_to_bus_seconds_sum{device=\"PV_large\"}",
        "gridloop_setpoint_to_device_seconds_count{device=\"PV_large\"}",
        "gridloop_device_quality{device=\"PV_large\"} 0",
        "gridloop_fallback_active{device=\"PV_large\"} 0",
        "gridloop_epochs_late_total",
    ] {
        assert!(page.contains(name), "{name}: {page}");
    }
    assert!(get(&url, "GET / HTTP/1.1").starts_with("HTTP/1.1 404"));
    assert!(get(&url, "POST /metrics HTTP/1.1").starts_with("HTTP/1.1 405"));
    child.kill().expect("it goes on");
    child.wait().expect("its end");
}

#[test]
fn an_address_for_measurements_that_cannot_be_had_is_told_before_anything_is_made() {
    let folder = folder();
    let done = gridloop(folder.path(), &["run", "--metrics", "256.0.0.1:1", &feeder()]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("cannot serve --metrics 256.0.0.1:1"), "{}", done.stderr);
    assert!(crate::entries(folder.path()).is_empty());
}

#[test]
fn without_privileges_a_run_says_what_helps_and_strict_refuses_it_before_anything_starts() {
    let folder = folder();
    let bare = |more: &[&str]| {
        let mut run = Command::new("prlimit");
        // Whoever may not raise its priority: an ordinary user of an ordinary computer.
        run.args(["--rtprio=0:0", "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]);
        run.arg(env!("CARGO_BIN_EXE_gridloop"));
        run.args(["run", "--epochs", "2", "--speed", "20", "--json", &feeder()]).args(more);
        let output = run.current_dir(folder.path()).output().expect("prlimit and setpriv of util-linux");
        crate::Done::from(output)
    };
    let done = bare(&[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = done.json();
    let refused = report["pacing"]["refused"].as_array().expect("a list");
    let of = |what: &str| refused.iter().any(|refusal| refusal["what"] == what);
    assert!(of("SCHED_FIFO") && of("locked memory"), "{refused:?}");
    assert!(done.stderr.contains("CAP_SYS_NICE") && done.stderr.contains("CAP_IPC_LOCK"), "{}", done.stderr);
    let runs = crate::entries(&folder.path().join("runs")).len();
    let strict = bare(&["--strict"]);
    assert_eq!((strict.code, strict.stdout.as_str()), (3, ""));
    assert!(strict.stderr.contains("gridloop doctor"), "{}", strict.stderr);
    assert_eq!(crate::entries(&folder.path().join("runs")).len(), runs, "nothing was started");
}

#[test]
fn a_processor_that_does_not_exist_is_a_warning_and_a_field() {
    let folder = folder();
    let arguments = ["run", "--epochs", "2", "--speed", "20", "--json", "--set", "manager.pacer_cpu=1000"];
    let done = gridloop(folder.path(), &[&arguments[..], &[&feeder()]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = done.json();
    assert!(report["pacing"]["cpu"].is_null());
    assert!(report["pacing"]["refused"].to_string().contains("pacer_cpu"), "{report}");
    assert!(done.stderr.contains("manager.pacer_cpu"), "{}", done.stderr);
}

/// One inverter that obeys, and one that refuses its setpoint in every epoch, which is told.
const TALKATIVE: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 1000

[manager]
speed = "max"

[component.operator]
kind = "setpoint-series"
file = "setpoints.csv"

[device.pv1]
driver = "simulated"
mode = "armed"

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 8000

[device.pv2]
driver = "simulated"
mode = "read-only"

[device.pv2.twin]
plant = "pv-inverter"
rated_power_w = 8000
"#;

#[test]
fn a_reader_that_does_not_read_holds_up_neither_the_run_nor_the_release_of_its_devices() {
    let folder = folder();
    // A thousand lines of more than a hundred letters are more than a pipe holds.
    let setpoints = "Epoch,Resource,RealPower,ReactivePower\n1,pv1,3.0,0.0\n1,pv2,3.0,0.0\n";
    for (name, text) in [("run.toml", TALKATIVE), ("setpoints.csv", setpoints)] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let mut run = command(folder.path(), &["run", "--report", "r.json", "run.toml"]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command");
    let status = child.wait().expect("its end");
    assert!(status.code().is_some(), "{status}");
    let report = std::fs::read_to_string(folder.path().join("r.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let (outcome, left) = (&report["outcome"], &report["devices"][0]["left"]);
    assert_eq!((outcome, left), (&"completed".into(), &"released".into()), "{}", report["reason"]);
}

#[test]
fn a_run_with_a_release_lead_is_met_and_its_devices_do_as_without_one() {
    let folder = folder();
    let arguments =
        ["run", "--epochs", "13", "--speed", "10", "--json", "--set", "manager.release_lead_s=0.02"];
    let done = gridloop(folder.path(), &[&arguments[..], &[&feeder()]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = done.json();
    assert_eq!(report["pacing"]["release_lead_ms"], 20.0);
    assert_eq!(report["devices"][0]["setpoints"], 13);
    for (lead, speed) in [("0.6", "1"), ("0.01", "max")] {
        let lead = format!("manager.release_lead_s={lead}");
        for command in ["run", "check"] {
            let arguments = [command, "--speed", speed, "--set", &lead, &feeder()];
            let refused = gridloop(folder.path(), &arguments);
            assert_eq!(refused.code, 2, "{lead} at speed {speed}");
            assert!(refused.stderr.contains("`release_lead_s`"), "{}", refused.stderr);
        }
    }
}

#[test]
fn a_report_that_nobody_could_see_is_no_success() {
    let folder = folder();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let mut run = command(folder.path(), &["run", "--json", "--epochs", "2", "--speed", "max", &feeder()]);
    let done = run.stdout(full).output().expect("the command");
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("cannot print"), "{said}");
}
