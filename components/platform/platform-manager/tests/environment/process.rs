//! The built binary as a platform manager starts it: [`Process`] has the variables that it is given and no others.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Between two looks at a process that is to end.
const POLL: Duration = Duration::from_millis(20);
/// Looks before it counts as one that never ends: two minutes.
const POLLS_MAX: u32 = 6_000;

/// A process in an empty folder of its own. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
}

/// What it did.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts gridloop with these arguments and these variables.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
        command.args(arguments);
        Self::of(command, variables)
    }

    /// Starts this command with these variables and no others.
    pub(crate) fn of(mut command: Command, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| File::create(folder.path().join(name)).expect("a file");
        let child = command
            .current_dir(folder.path())
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the command");
        Self { child, folder }
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it wrote so far.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.path("stderr")).expect("its errors")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(mut self) -> Done {
        for _ in 0..POLLS_MAX {
            if let Some(status) = self.child.try_wait().expect("its status") {
                let stdout = std::fs::read_to_string(self.path("stdout")).expect("its output");
                let stderr = self.stderr();
                let code = status.code().unwrap_or_else(|| panic!("ended by a signal: {status}: {stderr}"));
                return Done { code, stdout, stderr };
            }
            std::thread::park_timeout(POLL);
        }
        panic!("it does not end: {}", self.stderr());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
