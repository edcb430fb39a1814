//! A MongoDB server of the test's own.
//!
//! A [`MongoDb`] is a standalone `mongod` with its own data, on the loopback interface, without users. It can be
//! stopped in the ways in which servers stop in the field, and started again on the same port with the same data.
//! Nothing of it survives the value.

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Names the server's program, if it is not the one that `hil-tests/run` installs.
const PROGRAM: &str = "GRIDLOOP_MONGOD";
/// Between two looks at a server that starts or stops.
const POLL: Duration = Duration::from_millis(50);
/// Looks before a server is given up: one minute.
const POLLS_MAX: u32 = 1200;

/// A running (or stopped) server.
pub struct MongoDb {
    home: TempDir,
    port: u16,
    server: Option<Child>,
}

impl MongoDb {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    /// When MongoDB is not installed or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let home = tempfile::tempdir()?;
        std::fs::create_dir(home.path().join("data"))?;
        let mut server = Self { home, port, server: None };
        server.restart()?;
        Ok(server)
    }

    /// The address of a database, as gridloop's store and as a connection string.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server (again) and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill9()?;
        let home = self.home.path();
        let log = std::fs::File::create(home.join("console.log"))?;
        let mut server = Command::new(program()?)
            .args(["--bind_ip", "127.0.0.1", "--port", &self.port.to_string(), "--nounixsocket"])
            .arg("--dbpath")
            .arg(home.join("data"))
            .args([
                "--wiredTigerCacheSizeGB",
                "0.25",
                "--setParameter",
                "diagnosticDataCollectionEnabled=false",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("mongod does not start: `hil-tests/run` installs it")?;
        for _ in 0..POLLS_MAX {
            if let Some(status) = server.try_wait()? {
                bail!("mongod ended with {status}: {}", self.console());
            }
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                self.server = Some(server);
                return Ok(());
            }
            std::thread::park_timeout(POLL);
        }
        self.server = Some(server);
        bail!("mongod does not accept connections: {}", self.console())
    }

    /// Asks the server to stop (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub fn term(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let Some(mut server) = self.server.take() else { return Ok(()) };
        for _ in 0..POLLS_MAX {
            if server.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::park_timeout(POLL);
        }
        server.kill()?;
        bail!("mongod does not stop")
    }

    /// Kills the server (SIGKILL).
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.kill()?;
        server.wait()?;
        Ok(())
    }

    /// Freezes the server (SIGSTOP): its sockets stay open and nothing answers.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn stop_signal(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen server go on (SIGCONT).
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn continue_signal(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let server = self.server.as_ref().context("the server is not running")?;
        kill_process(Pid::from_child(server), signal)?;
        Ok(())
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.home.path().join("console.log")).unwrap_or_default()
    }
}

impl Drop for MongoDb {
    fn drop(&mut self) {
        // Nothing can be done about processes that cannot be killed.
        let _ = self.kill9();
    }
}

/// The server's program.
fn program() -> anyhow::Result<PathBuf> {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/mongodb/mongod");
    let program = std::env::var_os(PROGRAM).map_or_else(installed, PathBuf::from);
    ensure!(
        program.exists(),
        "there is no {}: `hil-tests/run` installs it, or set {PROGRAM}",
        program.display()
    );
    Ok(program)
}
