//! A Docker engine of the test's own.
//!
//! An [`Engine`] is a `dockerd` with its own socket, images, containers and networks in a temporary directory. It has
//! one image to begin with, `debian:bookworm-slim`, made of the tarball that `hil-tests/run` leaves in
//! `target/docker`, and it reaches no registry. It changes neither the packet filter nor the bridge of another engine
//! on the same host. It needs root. Nothing of it survives the value.

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The only image at the beginning.
pub const BASE_IMAGE: &str = "debian:bookworm-slim";
/// Between two looks at an engine that starts or stops.
const POLL: Duration = Duration::from_millis(50);
/// Looks before an engine is given up: one minute.
const POLLS_MAX: u32 = 1200;

/// A running engine.
pub struct Engine {
    home: TempDir,
    dockerd: Child,
}

impl Engine {
    /// Starts an engine, waits until it answers and gives it the base image.
    ///
    /// # Errors
    /// When this is not root, when Docker or the base image is missing, or when the engine does not start.
    pub fn start() -> anyhow::Result<Self> {
        ensure!(geteuid().is_root(), "a Docker engine of the test's own needs root: run this test as root");
        let base = root().join("target/docker/base.tar");
        ensure!(base.exists(), "there is no {}: `hil-tests/run docker` makes it", base.display());
        let home = tempfile::tempdir()?;
        let log = std::fs::File::create(home.path().join("dockerd.log"))?;
        // The engine ends with the test, even when the test is killed.
        let dockerd = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "dockerd"])
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"])
            .args(["--ip-forward=false", "--userland-proxy=false"])
            .arg("--data-root")
            .arg(home.path().join("data"))
            .arg("--exec-root")
            .arg(home.path().join("exec"))
            .arg("--pidfile")
            .arg(home.path().join("pid"))
            .arg("--host")
            .arg(host(home.path()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("dockerd does not start: is docker.io installed?")?;
        let mut engine = Self { home, dockerd };
        engine.wait_until_it_answers()?;
        engine.docker(["import", &base.display().to_string(), BASE_IMAGE])?;
        Ok(engine)
    }

    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        for _ in 0..POLLS_MAX {
            if let Some(status) = self.dockerd.try_wait()? {
                bail!("dockerd ended with {status}: {}", self.log());
            }
            if self.docker(["version"]).is_ok() {
                return Ok(());
            }
            std::thread::park_timeout(POLL);
        }
        bail!("dockerd does not answer: {}", self.log())
    }

    /// What belongs into `DOCKER_HOST`.
    #[must_use]
    pub fn host(&self) -> String {
        host(self.home.path())
    }

    /// A folder for whatever the test wants to keep as long as the engine.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The output of `docker` with `arguments`.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn docker<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<String> {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let output = Command::new(client())
            .args(&arguments)
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_CONFIG", self.home.path().join("client"))
            .env("DOCKER_BUILDKIT", "1")
            .stdin(Stdio::null())
            .output()
            .context("docker does not start: is docker.io installed?")?;
        if !output.status.success() {
            bail!("docker {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// What `docker inspect` says about one thing.
    ///
    /// # Errors
    /// When there is none.
    pub fn inspect(&self, name: &str) -> anyhow::Result<Value> {
        let mut all: Vec<Value> = serde_json::from_str(&self.docker(["inspect", name])?)?;
        all.pop().with_context(|| format!("docker inspect {name} says nothing"))
    }

    /// Builds one stage of the repository's Dockerfile around a `binary` that is there already.
    ///
    /// # Errors
    /// When Docker does.
    pub fn build_stage(&self, stage: &str, tag: &str, binary: &Path) -> anyhow::Result<()> {
        let context = self.home.path().join("context");
        let placed = context.join("gridloop");
        if !placed.exists() {
            std::fs::create_dir_all(&context)?;
            std::fs::copy(binary, placed)?;
        }
        let dockerfile = root().join("Dockerfile").display().to_string();
        let context = context.display().to_string();
        let prebuilt = "BINARY=prebuilt";
        let (file, build_arg) = (dockerfile.as_str(), prebuilt);
        // Without a network: what is built here needs none.
        self.docker([
            "build",
            "--quiet",
            "--network=none",
            "--file",
            file,
            "--build-arg",
            build_arg,
            "--target",
            stage,
            "--tag",
            tag,
            &context,
        ])?;
        Ok(())
    }

    /// Builds an image that runs one `program` of the base image with the default shell.
    ///
    /// # Errors
    /// When Docker does.
    pub fn build_script(&self, tag: &str, program: &str) -> anyhow::Result<()> {
        let context = self.home.path().join(format!("script-{tag}"));
        std::fs::create_dir_all(&context)?;
        let command = serde_json::to_string(&["sh", "-c", program])?;
        std::fs::write(context.join("Dockerfile"), format!("FROM {BASE_IMAGE}\nCMD {command}\n"))?;
        self.docker(["build", "--quiet", "--tag", tag, &context.display().to_string()])?;
        Ok(())
    }

    /// Makes a network and gives the address under which its containers find this host.
    ///
    /// # Errors
    /// When Docker does.
    pub fn network(&self, name: &str) -> anyhow::Result<Ipv4Addr> {
        self.docker(["network", "create", name])?;
        let network = self.inspect(name)?;
        let gateway =
            network["IPAM"]["Config"][0]["Gateway"].as_str().context("a network without a gateway")?;
        Ok(gateway.parse()?)
    }

    /// The names of all containers, running or not, in alphabetical order.
    ///
    /// # Errors
    /// When Docker does.
    pub fn containers(&self) -> anyhow::Result<Vec<String>> {
        let names = self.docker(["container", "ls", "--all", "--format", "{{.Names}}"])?;
        let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("dockerd.log")).unwrap_or_default()
    }

    /// Bridges of networks would outlive the engine.
    fn remove_networks(&self) -> anyhow::Result<()> {
        let containers = self.docker(["container", "ls", "--all", "--quiet"])?;
        if !containers.is_empty() {
            self.docker(["container", "rm", "--force"].into_iter().chain(containers.lines()))?;
        }
        let networks = self.docker(["network", "ls", "--quiet", "--filter", "type=custom"])?;
        if !networks.is_empty() {
            self.docker(["network", "rm"].into_iter().chain(networks.lines()))?;
        }
        Ok(())
    }

    /// Stops it, so that it takes its mounts and its containers with it.
    fn stop(&mut self) -> anyhow::Result<()> {
        let _ = kill_process(Pid::from_child(&self.dockerd), Signal::TERM);
        for _ in 0..POLLS_MAX {
            if self.dockerd.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::park_timeout(POLL);
        }
        self.dockerd.kill()?;
        self.dockerd.wait()?;
        bail!("dockerd does not stop")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for result in [self.remove_networks(), self.stop()] {
            if let Err(error) = result {
                eprintln!("the Docker engine of the test was not stopped cleanly: {error:#}");
            }
        }
    }
}

fn host(home: &Path) -> String {
    format!("unix://{}", home.join("docker.sock").display())
}

/// The client that belongs to Debian's engine, if it is there: another one may want plugins for a build.
fn client() -> &'static str {
    const DEBIAN: &str = "/usr/bin/docker";
    if Path::new(DEBIAN).exists() { DEBIAN } else { "docker" }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
