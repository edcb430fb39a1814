//! `gridloop platform` and `gridloop convert` as people and scripts meet them, and the mapping behind them.
//!
//! `values` holds values of run configurations against PyYAML and Python's `str()`, `hostile` files that nobody means
//! well with, `mapping` what is planned for which configuration; `arguments` is about what is refused before anything
//! happens, `runs` about whole runs over a RabbitMQ of the test's own, `network` about one with a network in it,
//! `mixed` about one of which half is Python.

mod arguments;
mod converting;
mod hostile;
mod mapping;
mod mixed;
mod network;
mod runs;
mod values;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// Between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(20);
/// Looks before it is given up: two minutes.
const POLLS_MAX: u32 = 6000;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// A file or folder of the repository.
fn shipped(path: &str) -> String {
    root().join(path).display().to_string()
}

/// A folder with the files of a run.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names of what is in a folder below, in order.
    fn entries(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).expect("the folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The one run that is kept below `runs`.
    fn run(&self) -> PathBuf {
        let names = self.entries("runs");
        let runs: Vec<&String> = names.iter().filter(|name| name.starts_with("20")).collect();
        assert_eq!(runs.len(), 1, "{names:?}");
        self.path("runs").join(runs[0])
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
        command.current_dir(self.0.path()).args(arguments).stdin(Stdio::null());
        for (name, _) in std::env::vars() {
            let meant = [
                "RABBITMQ_",
                "MONGODB_",
                "SIMULATION_",
                "DOCKER_",
                "LOG_",
                "RUST_LOG",
                "MANIFEST_",
                "START_",
            ];
            if meant.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs gridloop to its end.
    fn gridloop(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().expect("the command").into()
    }

    /// Starts gridloop.
    fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command");
        let said = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().expect("its output");
        let stderr = child.stderr.take().expect("its complaints");
        let pipes: [Box<dyn std::io::Read + Send>; 2] = [Box::new(stdout), Box::new(stderr)];
        for pipe in pipes {
            let heard = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let mut said = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    said.push_str(&line);
                    said.push('\n');
                }
            });
        }
        Running { child, said }
    }
}

/// What a command did.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
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

/// A gridloop that goes on. It is killed when this is dropped.
struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Running {
    fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line with these words in it.
    fn line(&mut self, words: &str) -> String {
        let line = || self.said().lines().find(|line| line.contains(words)).map(ToOwned::to_owned);
        wait_for(&format!("`{words}` in\n{}", self.said()), line)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .expect("a signal");
    }

    /// Its exit code, and all it said.
    fn end(mut self) -> (i32, String) {
        let child = &mut self.child;
        let status = wait_for("the end of gridloop", || child.try_wait().expect("its state"));
        // The threads that read have the rest in a moment: the pipes are closed.
        let verdict = ["completed:", "stopped:", "FAILED:", "gridloop:"];
        wait_for("its last words", || {
            let said = self.said();
            verdict.iter().any(|word| said.contains(word)).then_some(())
        });
        (status.code().unwrap_or_else(|| panic!("{status}")), self.said())
    }

    /// The process id of a process that it has started.
    fn pid_of(&mut self, name: &str) -> rustix::process::Pid {
        let line = self.line(&format!("  {name} "));
        let (_, pid) = line.split_once("pid ").unwrap_or_else(|| panic!("no pid in {line}"));
        pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a pid")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..POLLS_MAX {
        if let Some(found) = look() {
            return found;
        }
        std::thread::park_timeout(POLL);
    }
    panic!("it did not come: {what}")
}
