//! The `gridloop` command as people and scripts meet it: what it prints, what it leaves behind, how it exits.
//!
//! Every test runs the built binary in an empty folder. `arguments`, `bus` and `configuration` are about what is refused
//! before anything starts, `runs` about whole runs, `resume` about those that break off, `real_time` about what is seen of
//! it, `device` about the hand tool, `gateway` about one that is told things while it runs, `drill` about the proof of a
//! fail-safe, `plot` about pictures of stored runs, `examples` about the configurations that are shipped as examples.

mod arguments;
mod bus;
mod configuration;
mod device;
mod drill;
mod examples;
mod gateway;
mod plot;
mod real_time;
mod resume;
mod runs;

use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use tempfile::TempDir;

/// An empty folder to run in.
fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// A file of the repository's `configs`.
fn config(name: &str) -> String {
    root().join("configs").join(name).display().to_string()
}

/// The configuration that runs when none is named: three devices in the loop of a feeder.
fn feeder() -> String {
    config("scenarios/hil-feeder.toml")
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command.env_remove("RUST_LOG").env_remove("SIMULATION_ID");
    command
}

/// What a command did.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Done {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}")),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// Runs gridloop to its end.
fn gridloop(folder: &Path, arguments: &[&str]) -> Done {
    command(folder, arguments).output().expect("the command").into()
}

/// The names of what is in a folder, in order.
fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The names of the runs in a folder of runs, in order: what else is there is the gateway's.
fn runs_in(folder: &Path) -> Vec<String> {
    entries(folder).into_iter().filter(|name| name != "audit" && name != "gateway.sock").collect()
}

/// A gridloop that goes on. It is killed when this is dropped.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = command(folder, arguments).stdout(Stdio::piped()).spawn().expect("the command");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, lines }
    }

    /// Waits for a line that begins so.
    fn line(&mut self, beginning: &str) -> String {
        let mut seen = Vec::new();
        for line in self.lines.by_ref().map_while(Result::ok) {
            if line.starts_with(beginning) {
                return line;
            }
            seen.push(line);
        }
        panic!("it ended without a line `{beginning}`: {seen:#?}")
    }

    /// Does what Ctrl-C does and waits for the end: the exit code, and what was still printed.
    fn interrupt(mut self) -> (i32, String) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::INT).expect("a signal");
        let rest: Vec<String> = self.lines.by_ref().map_while(Result::ok).collect();
        let status = self.child.wait().expect("its end");
        (status.code().expect("no other signal"), rest.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
