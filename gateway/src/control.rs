//! A running gateway told by hand: [`Control`], a Unix socket beside the bus, and [`ask`], which speaks to it.
//!
//! A request is one line of JSON, and so is its answer. Whoever may open the socket may say everything: it is made for its
//! owner alone. What is said here outranks the bus, and every word of it is in the audit log.

use crate::convert;
use crate::fallback::{Active, Chosen, SourceSwitch};
use crate::gateway::DeviceLocker;
use gridloop_clock::{SharedClock, sleep, until};
use gridloop_device::{DeviceHandle, Link, Mode, Source};
use serde::{Deserialize, Serialize};
use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// The longest request.
const LONGEST: u64 = 4096;
/// How long somebody who has connected may take to say something.
const PATIENCE: Duration = Duration::from_secs(5);
/// Conversations at the same time.
const CONVERSATIONS: usize = 4;

/// What a running gateway can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Tell of every device what it is doing.
    List,
    /// Let the device or its simulated twin speak for the resource.
    Source {
        /// Name of the device.
        device: String,
        /// `true`: the twin; the device is put into its safe state. `false`: the device, as soon as it is good.
        simulated: bool,
    },
    /// Let a device be written to, for so long.
    Arm {
        /// Name of the device.
        device: String,
        /// For how long, in s.
        for_s: f64,
    },
    /// Put a device into its safe state and make it read-only.
    Disarm {
        /// Name of the device.
        device: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Done(String),
    Refused(String),
}

/// A device as it can be controlled beside the bus.
#[derive(Clone)]
pub struct Controlled {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) device: DeviceHandle,
    pub(crate) switch: SourceSwitch,
    pub(crate) has_twin: bool,
    pub(crate) lock: DeviceLocker,
}

/// The socket; gone when this is dropped.
pub struct Control {
    path: PathBuf,
    task: AbortHandle,
}

/// Why a gateway cannot be told anything.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another gateway listens there.
    #[error("{path} belongs to a gateway that is running")]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// No gateway listens there.
    #[error("no gateway listens at {path}: {source}; name the folder of its runs with --runs")]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    System {
        /// The socket.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The gateway refused.
    #[error("{0}")]
    Refused(String),
    /// The answer makes no sense.
    #[error("the answer of the gateway makes no sense: {0}")]
    Malformed(String),
}

impl Control {
    /// Listens at `path`, on the current runtime. A socket that a killed gateway left there is replaced.
    ///
    /// # Errors
    /// When another gateway listens there, or the socket cannot be made.
    pub fn serve(path: &Path, devices: Vec<Controlled>, clock: SharedClock) -> Result<Self, ControlError> {
        let system = |source| ControlError::System { path: path.to_owned(), source };
        if BlockingStream::connect(path).is_ok() {
            return Err(ControlError::Taken { path: path.to_owned() });
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(system(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(system)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(system)?;
        let task = tokio::spawn(listen(listener, devices.into(), clock)).abort_handle();
        Ok(Self { path: path.to_owned(), task })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // If it stays, the next gateway replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

async fn listen(listener: UnixListener, devices: Arc<[Controlled]>, clock: SharedClock) {
    let free = Arc::new(Semaphore::new(CONVERSATIONS));
    while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many files are open, perhaps: later there may be fewer.
            sleep(clock.as_ref(), Duration::from_millis(100)).await;
            continue;
        };
        let (devices, clock) = (Arc::clone(&devices), Arc::clone(&clock));
        tokio::spawn(async move {
            let end = clock.now() + PATIENCE;
            // Whoever goes away or says nothing has nothing to be told.
            let _ = until(clock.as_ref(), end, converse(stream, &devices)).await;
            drop(permit);
        });
    }
}

async fn converse(stream: UnixStream, devices: &[Controlled]) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    AsyncBufReader::new(reader.take(LONGEST)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => carry_out(&request, devices).map_or_else(Answer::Refused, Answer::Done),
        Err(error) => Answer::Refused(format!("no request: {error}")),
    };
    let text = serde_json::to_string(&answer).unwrap_or_default() + "\n";
    writer.write_all(text.as_bytes()).await
}

fn carry_out(request: &Request, devices: &[Controlled]) -> Result<String, String> {
    match request {
        Request::List => Ok(devices.iter().map(Controlled::line).collect::<Vec<_>>().join("\n")),
        Request::Source { device, simulated } => find(devices, device)?.choose(*simulated),
        Request::Arm { device, for_s } => find(devices, device)?.arm(*for_s),
        Request::Disarm { device } => {
            find(devices, device)?.device.disarm();
            tracing::warn!(%device, "disarmed by hand");
            Ok(format!("{device} is being put into its safe state and is no longer armed"))
        }
    }
}

fn find<'a>(devices: &'a [Controlled], name: &str) -> Result<&'a Controlled, String> {
    devices.iter().find(|device| device.name == name).ok_or_else(|| {
        let names: Vec<&str> = devices.iter().map(|device| &*device.name).collect();
        format!("no device {name} here; there are: {}", names.join(", "))
    })
}

impl Controlled {
    fn choose(&self, simulated: bool) -> Result<String, String> {
        let name = &self.name;
        if simulated && !self.has_twin {
            return Err(format!("{name} has no twin: add a [device.{name}.twin] table to the configuration"));
        }
        self.switch.choose(if simulated { Active::Twin } else { Active::Device });
        tracing::warn!(device = %name, simulated, "source chosen by hand");
        Ok(if simulated {
            format!("{name} is simulated from the next epoch on; the device is put into its safe state")
        } else {
            format!("{name} is the device itself again as soon as it has been good for a while")
        })
    }

    fn arm(&self, for_s: f64) -> Result<String, String> {
        let name = &self.name;
        let time = Duration::try_from_secs_f64(for_s)
            .ok()
            .filter(|time| !time.is_zero() && *time <= LONGEST_LEASE)
            .ok_or_else(|| format!("{for_s} s is no time to arm a device for; 1 s to 365 days are"))?;
        self.lock.take().map_err(|error| error.to_string())?;
        self.device.arm(time);
        tracing::warn!(device = %name, for_s, "armed by hand");
        Ok(format!("{name} is armed for {for_s} s"))
    }

    fn line(&self) -> String {
        let image = self.device.image();
        let link = match image.link {
            Link::Connecting => "connecting",
            Link::Up => "up",
            Link::Down => "down",
        };
        let source = match (self.switch.chosen(), self.source) {
            (Chosen::Twin, _) => "simulated by hand",
            (_, Source::Simulated) => "simulated",
            (_, Source::Field) => "field",
        };
        let holds = match (image.mode, image.held) {
            (Mode::ReadOnly, None) => String::new(),
            (_, None) => "holds nothing of ours".into(),
            (_, Some(command)) => format!("holds {}", convert::describe(&command)),
        };
        format!("{:<12} {source:<18} {:<10} {link:<11} {holds}", self.name, image.mode.as_str())
            .trim_end()
            .to_owned()
    }
}

const LONGEST_LEASE: Duration = Duration::from_hours(365 * 24);

/// Tells the gateway that listens at `path` something, and gives its answer.
///
/// # Errors
/// When nobody listens there, when the gateway refuses, or when it does not answer.
pub fn ask(path: &Path, request: &Request) -> Result<String, ControlError> {
    let system = |source| ControlError::System { path: path.to_owned(), source };
    let mut stream = BlockingStream::connect(path)
        .map_err(|source| ControlError::Nobody { path: path.to_owned(), source })?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(system)?;
    let malformed = |error: serde_json::Error| ControlError::Malformed(error.to_string());
    let line = serde_json::to_string(request).map_err(malformed)? + "\n";
    stream.write_all(line.as_bytes()).map_err(system)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(system)?;
    match serde_json::from_str(&answer).map_err(malformed)? {
        Answer::Done(told) => Ok(told),
        Answer::Refused(why) => Err(ControlError::Refused(why)),
    }
}
