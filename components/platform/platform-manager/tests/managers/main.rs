//! Two processes `gridloop manager` for one run: at the same time, the second refuses, with words and an exit code, and
//! changes nothing; after one was killed, the next goes on with the run, and with the components that lived on.

use gridloop_hil_tests::rabbitmq::RabbitMq;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const ID: &str = "2026-11-22T15:19:25.203Z";

/// A run in which nobody answers, so that it lasts until it is stopped.
const CONFIGURATION: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 3

[manager]
speed = "max"
start_delay_s = 0
external_components = ["absent1", "absent2"]
"#;

fn manager(folder: &Path, broker: &RabbitMq) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
    command.args(["manager", "--simulation-id", ID, "--bus", &broker.url(), "run.toml"]);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_second_manager_of_one_run_refuses_with_exit_code_1_and_the_first_goes_on() {
    let broker = RabbitMq::start().expect("a RabbitMQ");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("run.toml"), CONFIGURATION).expect("a file");
    let mut first = manager(folder.path(), &broker).spawn().expect("it starts");
    let mut words = BufReader::new(first.stderr.take().expect("a pipe"));
    let mut line = String::new();
    words.read_line(&mut line).expect("it says something");
    assert_eq!(line, "waiting for absent1, absent2\n", "who is missing is named at once");
    let second = manager(folder.path(), &broker).output().expect("it starts");
    let complaint = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("cannot become the manager of this run: "), "{complaint}");
    assert!(complaint.contains("already at work"), "{complaint}");
    let process = Pid::from_child(&first);
    kill_process(process, Signal::TERM).expect("it is still there");
    let output = first.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["reason"], "stopped on request");
    assert_eq!(report["other_managers"], serde_json::json!({}));
}

const LIVES_ON: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 12

[manager]
speed = 5
start_delay_s = 0
overrun = "skip"

[component.load1]
kind = "static-time-series"
resource_type = "Load"
file = "load.csv"

[component.load2]
kind = "static-time-series"
resource_type = "Load"
file = "load.csv"
"#;

/// A process of the run; it is killed when this is dropped.
struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn after_a_manager_was_killed_the_same_command_goes_on_with_the_components_that_lived_on() {
    let broker = RabbitMq::start().expect("a RabbitMQ");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("run.toml"), LIVES_ON).expect("a file");
    let rows = "-1.5,0.25,customer\n".repeat(12);
    std::fs::write(folder.path().join("load.csv"), format!("RealPower,ReactivePower,CustomerId\n{rows}"))
        .expect("a file");
    let components = ["load1", "load2"].map(|name| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
        command.args(["component", name, "--simulation-id", ID, "--bus", &broker.url(), "run.toml"]);
        Process(command.current_dir(folder.path()).stdin(Stdio::null()).spawn().expect("it starts"))
    });
    let journal = folder.path().join("journal");
    let manage = || {
        let mut command = manager(folder.path(), &broker);
        command.args(["--journal", "journal", "--set", "manager.resend_interval_s=0.3"]);
        command
    };
    let begun = |number: u64| {
        let text = std::fs::read_to_string(&journal).unwrap_or_default();
        text.contains(&format!("{{\"started\":{{\"number\":{number},"))
    };
    let mut first = Process(manage().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
    while !begun(5) {
        assert!(first.0.try_wait().expect("its state").is_none(), "it ended by itself");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    drop(first);
    let second = manage().output().expect("it starts");
    let complaint = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(0), "{complaint}");
    let report: Value = serde_json::from_slice(&second.stdout).expect("a report");
    assert_eq!((&report["outcome"], &report["epochs"]["completed"]), (&"completed".into(), &12.into()));
    assert!(report["resumed"][0]["epoch"].as_u64() >= Some(5), "{}", report["resumed"]);
    for mut component in components {
        let status = component.0.wait().expect("its end");
        assert!(status.success(), "it lived through the end of the first manager: {status}");
    }
    let third = manage().output().expect("it starts");
    assert_eq!(third.status.code(), Some(2), "nothing was started");
    let complaint = String::from_utf8_lossy(&third.stderr);
    assert!(complaint.contains("the run is over"), "{complaint}");
}
