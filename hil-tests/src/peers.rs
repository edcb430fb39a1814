//! Foreign implementations, started as processes: [`Peer`] is a Python script of `hil-tests/peers`, [`mbpoll`] reads
//! Modbus registers with Debian's program of that name.
//!
//! A peer speaks one JSON object a line: its first line says that it is ready, then it answers questions. It is killed
//! when it is dropped, and ends by itself when the test is killed. A peer that is not installed is an error that says
//! how to install it, never a skipped test.

use anyhow::{Context, anyhow, bail, ensure};
use gridloop_clock::{Clock, WallClock, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Names the virtual environment that has the packages of `hil-tests/peers/requirements.txt`.
const VENV: &str = "GRIDLOOP_PEERS_VENV";
/// How long a peer may take for an answer, starting up included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines that a peer may be ahead of the test.
const LINES: usize = 64;

/// A Python script at work.
pub struct Peer {
    script: String,
    child: Child,
    stdin: ChildStdin,
    answers: mpsc::Receiver<String>,
    complaints: Arc<Mutex<String>>,
    clock: WallClock,
}

impl Peer {
    /// Starts a script of `hil-tests/peers` and waits until it is ready. Also gives what it said then.
    ///
    /// # Errors
    /// When the environment of the peers is missing, or when the script ends or says nothing.
    pub async fn start(script: &str, arguments: &[&str]) -> anyhow::Result<(Self, Value)> {
        let mut child = Command::new(python()?)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script))
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{script} does not start"))?;
        let stdin = child.stdin.take().context("no pipe to the peer")?;
        let stdout = child.stdout.take().context("no pipe from the peer")?;
        let mut stderr = child.stderr.take().context("no pipe from the peer")?;
        let (sender, answers) = mpsc::channel(LINES);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        let complaints = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&complaints);
        std::thread::spawn(move || {
            let mut chunk = [0; 1024];
            while let Ok(length @ 1..) = stderr.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..length]);
                heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        let clock = WallClock::start()?;
        let mut peer = Self { script: script.to_owned(), child, stdin, answers, complaints, clock };
        let ready = peer.answer().await?;
        Ok((peer, ready))
    }

    /// Starts a script that serves, and gives where.
    ///
    /// # Errors
    /// As [`Peer::start`]; also when the script does not say at which port it serves.
    pub async fn serve(script: &str, arguments: &[&str]) -> anyhow::Result<(Self, SocketAddr)> {
        let (peer, ready) = Self::start(script, arguments).await?;
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.with_context(|| format!("{script} names no port: {ready}"))?;
        Ok((peer, SocketAddr::from(([127, 0, 0, 1], port))))
    }

    /// Asks the script to `action` with the members of `details`, and gives its answer.
    ///
    /// # Errors
    /// When the script reports an error, ends, or does not answer.
    pub async fn ask(&mut self, action: &str, details: Value) -> anyhow::Result<Value> {
        let mut question = details;
        question["do"] = json!(action);
        writeln!(self.stdin, "{question}").with_context(|| self.with_complaints("no longer listens"))?;
        let answer = self.answer().await?;
        match answer.get("error") {
            Some(error) => Err(anyhow!("{} could not {action}: {error}", self.script)),
            None => Ok(answer),
        }
    }

    /// The script's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn answer(&mut self) -> anyhow::Result<Value> {
        let bound = self.clock.now() + PATIENCE;
        let line = until(&self.clock, bound, self.answers.recv()).await;
        let Some(line) = line else { bail!(self.with_complaints("does not answer")) };
        let line = line.ok_or_else(|| anyhow!(self.with_complaints("ended")))?;
        serde_json::from_str(&line).with_context(|| format!("{} said `{line}`", self.script))
    }

    fn with_complaints(&self, what: &str) -> String {
        let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{} {what}; it wrote:\n{complaints}", self.script)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A child that has ended by itself cannot be killed; either way it is gone after the wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python that has the packages of the peers.
///
/// # Errors
/// When the virtual environment is missing.
pub fn python() -> anyhow::Result<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers-venv");
    let venv = std::env::var_os(VENV).map_or_else(default, PathBuf::from);
    let python = venv.join("bin/python");
    ensure!(python.exists(), "there is no {}: `hil-tests/run` makes it, or set {VENV}", python.display());
    Ok(python)
}

/// Which of the two tables of registers mbpoll reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registers {
    /// Holding registers.
    Holding,
    /// Input registers.
    Input,
}

/// Reads registers of unit 1 with mbpoll, as unsigned numbers.
///
/// # Errors
/// When mbpoll is not installed, fails, or prints another number of registers than asked for.
pub async fn mbpoll(
    server: SocketAddr,
    table: Registers,
    address: u16,
    count: u16,
) -> anyhow::Result<Vec<u16>> {
    let table = if table == Registers::Holding { "4" } else { "3" };
    let (first, length) = (address.to_string(), count.to_string());
    let text = run_mbpoll(server, &["-t", table, "-r", &first, "-c", &length], &[]).await?;
    let values: Vec<u16> = text.lines().filter_map(printed_value).collect();
    ensure!(
        values.len() == usize::from(count),
        "mbpoll was asked for {count} registers and printed:\n{text}"
    );
    Ok(values)
}

/// Reads holding registers of unit 1 with mbpoll over a serial port, 19200 8E1.
///
/// # Errors
/// As [`mbpoll`].
pub async fn mbpoll_serial(port: &Path, address: u16, count: u16) -> anyhow::Result<Vec<u16>> {
    let (first, length) = (address.to_string(), count.to_string());
    let mut command = Command::new("mbpoll");
    command.args(["-m", "rtu", "-b", "19200", "-P", "even", "-a", "1", "-0", "-1", "-t", "4"]);
    command.args(["-r", &first, "-c", &length]).arg(port);
    let text = output_of(command).await?;
    let values: Vec<u16> = text.lines().filter_map(printed_value).collect();
    ensure!(
        values.len() == usize::from(count),
        "mbpoll was asked for {count} registers and printed:\n{text}"
    );
    Ok(values)
}

/// Writes one holding register of unit 1 with mbpoll.
///
/// # Errors
/// When mbpoll is not installed, or when the write fails.
pub async fn mbpoll_write(server: SocketAddr, address: u16, value: u16) -> anyhow::Result<()> {
    run_mbpoll(server, &["-t", "4", "-r", &address.to_string()], &[&value.to_string()]).await.map(|_| ())
}

async fn run_mbpoll(server: SocketAddr, options: &[&str], values: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("mbpoll");
    command.args(["-m", "tcp", "-p", &server.port().to_string(), "-a", "1", "-0", "-1"]);
    command.args(options).arg(server.ip().to_string()).args(values);
    output_of(command).await
}

async fn output_of(mut command: Command) -> anyhow::Result<String> {
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.context("mbpoll does not start: `hil-tests/run` installs it")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && complaints.is_empty(), "mbpoll failed: {complaints}{text}");
    Ok(text)
}

/// The value in a line such as `[14]: 65535 (-1)`.
fn printed_value(line: &str) -> Option<u16> {
    let (_, value) = line.strip_prefix('[')?.split_once("]:")?;
    value.split_whitespace().next()?.parse().ok()
}
