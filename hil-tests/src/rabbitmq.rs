//! A RabbitMQ server of the test's own.
//!
//! A [`RabbitMq`] is a node with its own name, ports, port mapper, cookie and data, all on the loopback interface and
//! in a temporary directory. It can be stopped in the ways in which brokers stop in the field, and started again on
//! the same port. [`Options`] give it a TLS listener and plugins; users, permissions and alarms are set while it runs.
//! Nothing of it survives the value.

use crate::certificates::Issued;
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

/// Files of the TLS listener, in the node's home.
const AUTHORITY: &str = "authority.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// What a user may do with exchanges and queues, by their names: three regular expressions.
#[derive(Debug, Clone, Copy)]
pub struct Permissions<'a> {
    /// Declare and delete.
    pub configure: &'a str,
    /// Publish, and bind a queue.
    pub write: &'a str,
    /// Consume, and bind to an exchange.
    pub read: &'a str,
}

/// What a node has beside its plain listener.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// A TLS listener.
    pub tls: Option<TlsListener<'a>>,
    /// Plugins to be enabled.
    pub plugins: &'a [&'a str],
}

/// A TLS listener; see also [`RabbitMq::certify`].
#[derive(Debug, Clone, Copy)]
pub struct TlsListener<'a> {
    /// PEM: the authority that client certificates must be signed by.
    pub authority: &'a str,
    /// Its certificate.
    pub own: &'a Issued,
    /// What it does about client certificates.
    pub clients: ClientCertificates,
}

/// What a TLS listener does about client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Looks at one if it comes.
    Welcome,
    /// Ends the handshake of whoever has none.
    Required,
}

/// A running (or stopped) node.
pub struct RabbitMq {
    home: TempDir,
    amqp_port: u16,
    tls_port: u16,
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
        Self::start_with(Options::default())
    }

    /// Starts a node with more than a plain listener.
    ///
    /// # Errors
    /// When RabbitMQ is not installed or does not start.
    pub fn start_with(options: Options<'_>) -> anyhow::Result<Self> {
        let [amqp_port, tls_port, distribution_port, mapper_port] = free_ports()?;
        let home = tempfile::tempdir()?;
        let plugins = options.plugins.join(",");
        std::fs::write(home.path().join("enabled_plugins"), format!("[{plugins}]."))?;
        if let Some(tls) = &options.tls {
            write_certificates(home.path(), tls.authority, tls.own)?;
        }
        let configuration = options.configuration(home.path(), tls_port);
        std::fs::write(home.path().join("rabbitmq.conf"), configuration)?;
        let mapper = Command::new("epmd")
            .args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .spawn()
            .context("epmd does not start: is rabbitmq-server installed?")?;
        let mut node =
            Self { home, amqp_port, tls_port, distribution_port, mapper_port, mapper, server: None };
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

    /// Its address for a user.
    #[must_use]
    pub fn url_for(&self, user: &str, password: &str) -> String {
        format!("amqp://{user}:{password}@127.0.0.1:{}/%2f", self.amqp_port)
    }

    /// Its AMQP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.amqp_port
    }

    /// The port of its TLS listener on 127.0.0.1.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Gives the TLS listener a certificate, and the authority that client certificates must be signed by. A running
    /// node uses them from the next connection on.
    ///
    /// # Errors
    /// When files cannot be written, or the node does not answer.
    pub fn certify(&self, authority: &str, own: &Issued) -> anyhow::Result<()> {
        let home = self.home.path();
        write_certificates(home, authority, own)?;
        self.ctl(&["eval", "ssl:clear_pem_cache()."]).map(drop)
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

    /// Adds a user with permissions on the virtual host `/`, each a regular expression of names.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn add_user(&self, name: &str, password: &str, permissions: Permissions<'_>) -> anyhow::Result<()> {
        let Permissions { configure, write, read } = permissions;
        self.ctl(&["add_user", name, password])?;
        self.ctl(&["set_permissions", "-p", "/", name, configure, write, read]).map(drop)
    }

    /// Makes the node believe that it is short of memory, or no longer.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn memory_alarm(&self, on: bool) -> anyhow::Result<()> {
        self.ctl(&["set_vm_memory_high_watermark", if on { "0.0000001" } else { "0.8" }]).map(drop)
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
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
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

impl Options<'_> {
    /// `rabbitmq.conf`.
    fn configuration(&self, home: &Path, tls_port: u16) -> String {
        let Some(TlsListener { clients, .. }) = self.tls else { return String::new() };
        let file = |name: &str| home.join(name).display().to_string();
        [
            format!("listeners.ssl.default = 127.0.0.1:{tls_port}"),
            format!("ssl_options.cacertfile = {}", file(AUTHORITY)),
            format!("ssl_options.certfile = {}", file(CERTIFICATE)),
            format!("ssl_options.keyfile = {}", file(KEY)),
            "ssl_options.verify = verify_peer".to_owned(),
            format!("ssl_options.fail_if_no_peer_cert = {}", clients == ClientCertificates::Required),
            "ssl_cert_login_from = common_name".to_owned(),
            "auth_mechanisms.1 = PLAIN".to_owned(),
            "auth_mechanisms.2 = EXTERNAL\n".to_owned(),
        ]
        .join("\n")
    }
}

fn write_certificates(home: &Path, authority: &str, own: &Issued) -> std::io::Result<()> {
    std::fs::write(home.join(AUTHORITY), authority)?;
    std::fs::write(home.join(CERTIFICATE), &own.certificate)?;
    std::fs::write(home.join(KEY), &own.key)
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
