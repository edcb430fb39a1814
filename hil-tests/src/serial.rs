//! Serial lines without hardware: [`SerialLine`] is a pair of pseudo terminals that Debian's socat ties together.

use anyhow::{Context, ensure};
use gridloop_clock::{Clock, WallClock, sleep};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long socat may take to make the terminals.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two serial ports with a cable between them, which can be pulled out.
pub struct SerialLine {
    folder: TempDir,
    socat: Option<Child>,
    clock: WallClock,
}

impl SerialLine {
    /// Makes the ports.
    ///
    /// # Errors
    /// When socat is not installed or makes none.
    pub async fn new() -> anyhow::Result<Self> {
        let mut line = Self { folder: TempDir::new()?, socat: None, clock: WallClock::start()? };
        line.plug_in().await?;
        Ok(line)
    }

    /// The port of the one who asks.
    #[must_use]
    pub fn master(&self) -> PathBuf {
        self.folder.path().join("master")
    }

    /// The port of those who answer.
    #[must_use]
    pub fn devices(&self) -> PathBuf {
        self.folder.path().join("devices")
    }

    /// Takes both ports away.
    pub fn pull_out(&mut self) {
        if let Some(mut socat) = self.socat.take() {
            // A child that has ended by itself cannot be killed; either way it is gone after the wait.
            let _ = socat.kill();
            let _ = socat.wait();
        }
        for port in [self.master(), self.devices()] {
            // Killed, socat leaves its links behind. They may also be gone.
            let _ = std::fs::remove_file(port);
        }
    }

    /// Brings them back, under the same names.
    ///
    /// # Errors
    /// As [`SerialLine::new`].
    pub async fn plug_in(&mut self) -> anyhow::Result<()> {
        self.pull_out();
        let end = |port: PathBuf| format!("pty,rawer,link={}", port.display());
        let socat = Command::new("socat")
            .args([end(self.master()), end(self.devices())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.socat = Some(socat.context("socat does not start: `hil-tests/run` installs it")?);
        let bound = self.clock.now() + PATIENCE;
        while !(self.master().exists() && self.devices().exists()) {
            ensure!(self.clock.now() < bound, "socat makes no ports");
            sleep(&self.clock, Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        self.pull_out();
    }
}
