//! A mosquitto of the test's own, and its clients: MQTT by somebody else.
//!
//! A [`Mosquitto`] has its own port, files and data in a temporary directory. It can be stopped in the ways in which
//! brokers stop in the field, and started again on the same port, with or without what it knew. [`publish`] and
//! [`Listener`] are `mosquitto_pub` and `mosquitto_sub`, which work with any broker. Nothing survives the values.

use crate::certificates::Issued;
use anyhow::{Context, bail, ensure};
use gridloop_clock::{Clock, WallClock, until};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Between two looks at a broker that starts.
const POLL: Duration = Duration::from_millis(20);
/// Looks before it is given up: 20 seconds.
const POLLS_MAX: u32 = 1000;
/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a broker has beside a listener that lets everybody in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Whether it knows after a restart what it knew before.
    pub persistent: bool,
    /// A user and a password; nobody else is let in then.
    pub user: Option<(&'a str, &'a str)>,
    /// TLS, and nothing else: the authority that client certificates must be signed by, and its own certificate.
    pub tls: Option<(&'a str, &'a Issued)>,
}

/// A running (or stopped) broker.
pub struct Mosquitto {
    home: TempDir,
    port: u16,
    server: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker and waits until it accepts connections.
    ///
    /// # Errors
    /// When mosquitto is not installed or does not start.
    pub fn start(options: Options<'_>) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let configuration = options.configuration(home.path(), port)?;
        std::fs::write(home.path().join("mosquitto.conf"), configuration)?;
        let mut broker = Self { home, port, server: None };
        broker.restart()?;
        Ok(broker)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Starts the broker anew, on the same port.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill9()?;
        let log = std::fs::File::create(self.home.path().join("log"))?;
        let program =
            if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
        let mut server = Command::new(program)
            .arg("-c")
            .arg(self.home.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("mosquitto does not start: `hil-tests/run` installs it")?;
        for _ in 0..POLLS_MAX {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                self.server = Some(server);
                return Ok(());
            }
            if let Some(status) = server.try_wait()? {
                let log = std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
                bail!("mosquitto ended with {status}: {log}");
            }
            std::thread::park_timeout(POLL);
        }
        self.server = Some(server);
        bail!("mosquitto does not accept connections")
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.kill()?;
        server.wait()?;
        Ok(())
    }

    /// Freezes it (SIGSTOP): its sockets stay open and nothing answers.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let server = self.server.as_ref().context("the broker is not running")?;
        kill_process(Pid::from_child(server), signal)?;
        Ok(())
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        let _ = self.kill9();
    }
}

impl Options<'_> {
    fn configuration(&self, home: &Path, port: u16) -> anyhow::Result<String> {
        let file = |name: &str| home.join(name).display().to_string();
        let mut lines = vec![
            // It would otherwise give up root, and with it the files here.
            "user root".to_owned(),
            "set_tcp_nodelay true".to_owned(),
            format!("listener {port} 127.0.0.1"),
            format!("allow_anonymous {}", self.user.is_none()),
        ];
        if self.persistent {
            lines.push("persistence true".to_owned());
            lines.push(format!("persistence_location {}/", home.display()));
            lines.push("autosave_on_changes true".to_owned());
            lines.push("autosave_interval 1".to_owned());
        }
        if let Some((name, password)) = self.user {
            let made = Command::new("mosquitto_passwd")
                .args(["-b", "-c", &file("passwords"), name, password])
                .output()
                .context("mosquitto_passwd does not start")?;
            ensure!(made.status.success(), "mosquitto_passwd failed");
            lines.push(format!("password_file {}", file("passwords")));
        }
        if let Some((authority, own)) = self.tls {
            std::fs::write(home.join("ca.pem"), authority)?;
            own.write(home, "broker")?;
            lines.push(format!("cafile {}", file("ca.pem")));
            lines.push(format!("certfile {}", file("broker.pem")));
            lines.push(format!("keyfile {}", file("broker.key.pem")));
            lines.push("require_certificate true".to_owned());
        }
        lines.push(String::new());
        Ok(lines.join("\n"))
    }
}

/// Publishes with `mosquitto_pub`, QoS 1.
///
/// # Errors
/// When it is not installed, or the broker does not take the message.
pub async fn publish(broker: SocketAddr, topic: &str, payload: &str, retained: bool) -> anyhow::Result<()> {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string(), "-q", "1"]);
    command.args(["-t", topic, "-m", payload]);
    if retained {
        command.arg("-r");
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.context("mosquitto_pub does not start: `hil-tests/run` installs it")?;
    ensure!(output.status.success(), "mosquitto_pub: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A message as `mosquitto_sub` printed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whether the broker had kept it.
    pub retained: bool,
    /// Its topic.
    pub topic: String,
    /// Its text.
    pub payload: String,
}

/// A `mosquitto_sub` at work.
pub struct Listener {
    child: Child,
    lines: mpsc::Receiver<String>,
    clock: WallClock,
}

impl Listener {
    /// Subscribes to `filter` with QoS 1, and waits until that stands.
    ///
    /// # Errors
    /// When `mosquitto_sub` is not installed or cannot subscribe.
    pub async fn start(broker: SocketAddr, filter: &str) -> anyhow::Result<Self> {
        Self::start_with(broker, filter, &[]).await
    }

    /// As [`Listener::start`], with more arguments.
    ///
    /// # Errors
    /// As [`Listener::start`].
    pub async fn start_with(broker: SocketAddr, filter: &str, more: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub", "-d", "-h", &broker.ip().to_string()])
            .args(["-p", &broker.port().to_string(), "-q", "1", "-t", filter, "-F", "MESSAGE %r %t %p"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("mosquitto_sub does not start: `hil-tests/run` installs it")?;
        let stdout = child.stdout.take().context("no pipe from mosquitto_sub")?;
        let (sender, lines) = mpsc::channel(1024);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        let mut listener = Self { child, lines, clock: WallClock::start()? };
        while !listener.line().await?.starts_with("Subscribed") {}
        Ok(listener)
    }

    /// The next message that `wanted` says yes to; others are passed over.
    ///
    /// # Errors
    /// When none comes within 15 seconds.
    pub async fn next(&mut self, mut wanted: impl FnMut(&Message) -> bool) -> anyhow::Result<Message> {
        loop {
            let line = self.line().await?;
            let Some(rest) = line.strip_prefix("MESSAGE ") else { continue };
            let mut parts = rest.splitn(3, ' ');
            let (Some(retained), Some(topic), Some(payload)) = (parts.next(), parts.next(), parts.next())
            else {
                bail!("mosquitto_sub printed {line:?}");
            };
            let (topic, payload) = (topic.to_owned(), payload.to_owned());
            let message = Message { retained: retained == "1", topic, payload };
            if wanted(&message) {
                return Ok(message);
            }
        }
    }

    /// Kills it (SIGKILL), without a goodbye to the broker.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let line = until(&self.clock, self.clock.now() + PATIENCE, self.lines.recv()).await;
        line.context("mosquitto_sub heard nothing within 15 s")?.context("mosquitto_sub ended")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A child that has ended by itself cannot be killed; either way it is gone after the wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
