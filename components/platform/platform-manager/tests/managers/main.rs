//! Two processes `gridloop manager` for one run: the second refuses, with words and an exit code, and changes nothing.

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
