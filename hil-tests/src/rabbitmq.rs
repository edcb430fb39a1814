//! A RabbitMQ server of the test's own.
//!
//! A [`RabbitMq`] is a node with its own name, ports, port mapper, cookie and data, all on the loopback interface and
//! in a temporary directory. It can be stopped in the ways in which brokers stop in the field, and started again on
//! the same port. Nothing of it survives the value.

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Where Debian keeps the scripts that run as the present user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
/// Between two looks at a node that starts or stops.
const POLL: Duration = Duration::from_millis(50);
/// Looks before a node is given up: one minute.
const POLLS_MAX: u32 = 1200;

/// A running (or stopped) node.
pub struct RabbitMq {
    home: TempDir,
    amqp_port: u16,
    distribution_port: u16,
    mapper_port: u16,
    mapper: Child,
    server: Option<Child>,
}

impl RabbitMq {
    /// Starts a node and waits until it accepts AMQP.
    ///
    /// # Errors
    /// When RabbitMQ is not installed or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let [amqp_port, distribution_port, mapper_port] = free_ports()?;
        let home = tempfile::tempdir()?;
        std::fs::write(home.path().join("enabled_plugins"), "[].")?;
        let mapper = Command::new("epmd")
            .args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .spawn()
            .context("epmd does not start: is rabbitmq-server installed?")?;
        let mut node = Self { home, amqp_port, distribution_port, mapper_port, mapper, server: None };
        node.restart()?;
        Ok(node)
    }

    /// Its address for the default user.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.amqp_port)
    }

    /// Its address for the default user as seen through a proxy on `port`.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
    }

    /// Its AMQP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.amqp_port
    }

    /// Starts the node (again) and waits until it accepts AMQP.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill9()?;
        let log = std::fs::File::create(self.home.path().join("console.log"))?;
        let mut command = self.command("rabbitmq-server");
        // Keeps the script from staying between us and the node.
        command.env("RUNNING_UNDER_SYSTEMD", "true");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut server = command.spawn().context("rabbitmq-server does not start: is it installed?")?;
        for _ in 0..POLLS_MAX {
            if let Some(status) = server.try_wait()? {
                bail!("rabbitmq-server ended with {status}: {}", self.console());
            }
            if speaks_amqp(self.amqp_port) {
                self.server = Some(server);
                return Ok(());
            }
            std::thread::park_timeout(POLL);
        }
        self.server = Some(server);
        bail!("rabbitmq-server does not accept AMQP: {}", self.console())
    }

    /// Asks the node to stop (SIGTERM), as a service manager does, and waits until it has.
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
        bail!("rabbitmq-server does not stop")
    }

    /// Kills the node (SIGKILL).
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.kill()?;
        server.wait()?;
        Ok(())
    }

    /// Freezes the node (SIGSTOP): its sockets stay open and nothing answers.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn stop_signal(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen node go on (SIGCONT).
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn continue_signal(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// The output of `rabbitmqctl` with `arguments`.
    ///
    /// # Errors
    /// When it fails.
    pub fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command("rabbitmqctl").args(["--quiet"]).args(arguments).output()?;
        if !output.status.success() {
            bail!("rabbitmqctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let server = self.server.as_ref().context("the node is not running")?;
        kill_process(Pid::from_child(server), signal)?;
        Ok(())
    }

    fn command(&self, script: &str) -> Command {
        let home = self.home.path();
        let erlang = format!(
            "-kernel inet_dist_use_interface {{127,0,0,1}} -kernel inet_dist_listen_min {port} \
             -kernel inet_dist_listen_max {port}",
            port = self.distribution_port
        );
        let mut command = Command::new(Path::new(SCRIPTS).join(script));
        command
            .current_dir(home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("HOME", home)
            .env("ERL_EPMD_PORT", self.mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("test{}@localhost", self.amqp_port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.amqp_port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang)
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", home.join("none"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", home.join("data"))
            .env("RABBITMQ_LOG_BASE", home.join("log"))
            .env("RABBITMQ_PID_FILE", home.join("pid"));
        command
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.home.path().join("console.log")).unwrap_or_default()
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        // Nothing can be done about processes that cannot be killed.
        let _ = self.kill9();
        let _ = self.mapper.kill();
        let _ = self.mapper.wait();
    }
}

/// Whether a broker begins the handshake on `port`.
fn speaks_amqp(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let greet = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut frame_type = [0];
        stream.read_exact(&mut frame_type)?;
        Ok(frame_type[0])
    };
    greet().is_ok_and(|frame_type| frame_type == 1)
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
