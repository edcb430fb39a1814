//! The process that polls the devices, by device tasks or by bare loops, and measures itself meanwhile.

use super::{Polled, Ports};
use anyhow::{Context, ensure};
use gridloop_clock::{Clock, MonoTime, SharedClock, WallClock, sleep, until};
use gridloop_device::{DeviceHandle, DeviceTask, Mode, SafeState, TaskSettings, point};
use gridloop_modbus::{LinkSettings, RevertAfter, SunSpecDevice, SunSpecSettings};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Between two readings of a device.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long all is measured.
const MEASURED: Duration = Duration::from_secs(5);
/// How long the first reading of all devices may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Somebody looks at a value so often, at one device after the other.
const LOOK: Duration = Duration::from_millis(1);
const TIMEOUT: Duration = Duration::from_secs(1);

/// Model 103 of the simulated inverter with its header: transaction 1, unit 1, function 3, 52 registers from 40070 on.
const REQUEST: [u8; 12] = [0, 1, 0, 0, 0, 6, 1, 3, 0x9C, 0x86, 0, 52];
const ANSWER_BYTES: usize = 7 + 2 + 2 * 52;

/// Something that polls devices.
trait Polling {
    /// Readings so far.
    fn reads(&self) -> u64;
    /// When the value of this device was measured that is known now; `None` before the first.
    fn measured_at(&self, device: usize) -> Option<MonoTime>;
}

pub(super) async fn poll(ports: Ports, bare: bool) -> anyhow::Result<()> {
    let clock: SharedClock = Arc::new(WallClock::start()?);
    let before_kib = resident_kib()?;
    let (alive, count) = (ports.alive.len(), ports.alive.len() + ports.dead.len());
    let polled = if bare {
        let polling = Bare::start(&ports, &clock);
        measure(&polling, alive, count, before_kib, &clock).await?
    } else {
        let polling = Tasks::start(&ports, &clock);
        measure(&polling, alive, count, before_kib, &clock).await?
    };
    println!("{}", serde_json::to_string(&polled)?);
    Ok(())
}

async fn measure(
    polling: &impl Polling,
    alive: usize,
    count: usize,
    before_kib: f64,
    clock: &SharedClock,
) -> anyhow::Result<Polled> {
    let give_up = clock.now() + PATIENCE;
    while (0..alive).any(|device| polling.measured_at(device).is_none()) {
        ensure!(clock.now() < give_up, "not all devices were read within {PATIENCE:?}");
        sleep(&**clock, INTERVAL).await;
    }
    let (reads, cpu_s, began) = (polling.reads(), cpu_s()?, clock.now());
    let mut ages = Vec::new();
    let mut looks = 0;
    while clock.now() < began + MEASURED {
        let device = looks % alive;
        looks += 1;
        let at = polling.measured_at(device).context("a value was lost")?;
        ages.push(clock.now().since(at));
        sleep(&**clock, LOOK).await;
    }
    let taken_s = clock.now().since(began).as_secs_f64();
    let reads = u32::try_from(polling.reads() - reads)?;
    Ok(Polled {
        reads_per_s: f64::from(reads) / taken_s,
        age_p99_ms: crate::figure::percentile_us(&ages, 99) / 1000.0,
        cpu_percent: (self::cpu_s()? - cpu_s) / taken_s * 100.0,
        memory_kib_each: (resident_kib()? - before_kib) / f64::from(u32::try_from(count)?),
    })
}

/// gridloop's device tasks.
struct Tasks {
    handles: Vec<DeviceHandle>,
    /// They end with this.
    _tasks: Vec<DeviceTask>,
}

impl Tasks {
    fn start(ports: &Ports, clock: &SharedClock) -> Self {
        // As the gateway has them.
        let settings = TaskSettings {
            mode: Mode::ReadOnly,
            armed_for: None,
            write_interval: Duration::ZERO,
            poll_interval: INTERVAL,
            job_timeout: TIMEOUT * 4,
            write_timeout: TIMEOUT * 4,
            connect_timeout: TIMEOUT * 40,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            safe_state: SafeState::Release,
            release_within: Duration::from_secs(9),
        };
        let start = |port: &u16| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port)).into();
            let link = LinkSettings::new(address, 1, TIMEOUT);
            let device = SunSpecSettings {
                link,
                revert_after: RevertAfter::Never,
                revert_to_w: 0.0,
                storage: None,
                reenable: false,
            };
            let device = Box::new(SunSpecDevice::new(device, clock.clone()));
            DeviceTask::start(device, settings, clock.clone(), Box::new(|_| {}))
        };
        let tasks: Vec<DeviceTask> = ports.alive.iter().chain(&ports.dead).map(start).collect();
        Self { handles: tasks.iter().map(DeviceTask::handle).collect(), _tasks: tasks }
    }
}

impl Polling for Tasks {
    fn reads(&self) -> u64 {
        self.handles.iter().map(|handle| handle.image().readings).sum()
    }

    fn measured_at(&self, device: usize) -> Option<MonoTime> {
        self.handles[device].image().points.get(point::REAL_POWER).map(|sample| sample.sampled_at)
    }
}

/// Loops that write and read bytes.
struct Bare {
    devices: Vec<Arc<Seen>>,
}

#[derive(Default)]
struct Seen {
    reads: AtomicU64,
    at: AtomicU64,
}

impl Bare {
    fn start(ports: &Ports, clock: &SharedClock) -> Self {
        let start = |port: &u16| {
            let seen = Arc::new(Seen::default());
            tokio::spawn(bare(*port, Arc::clone(&seen), clock.clone()));
            seen
        };
        Self { devices: ports.alive.iter().chain(&ports.dead).map(start).collect() }
    }
}

impl Polling for Bare {
    fn reads(&self) -> u64 {
        self.devices.iter().map(|seen| seen.reads.load(Ordering::Relaxed)).sum()
    }

    fn measured_at(&self, device: usize) -> Option<MonoTime> {
        let nanos = self.devices[device].at.load(Ordering::Relaxed);
        (nanos > 0).then(|| MonoTime::from_nanos(nanos))
    }
}

/// Polls one device for ever; after an error it waits and connects again.
async fn bare(port: u16, seen: Arc<Seen>, clock: SharedClock) {
    loop {
        // Whatever it was: the next attempt comes.
        let _ = converse(port, &seen, &*clock).await;
        sleep(&*clock, Duration::from_secs(5)).await;
    }
}

async fn converse(port: u16, seen: &Seen, clock: &dyn Clock) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; ANSWER_BYTES];
    loop {
        let exchange = async {
            stream.write_all(&REQUEST).await?;
            stream.read_exact(&mut answer).await
        };
        let Some(exchanged) = until(clock, clock.now() + TIMEOUT, exchange).await else { return Ok(()) };
        exchanged?;
        if answer[7..9] != [3, 104] {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        seen.at.store(clock.now().as_nanos(), Ordering::Relaxed);
        seen.reads.fetch_add(1, Ordering::Relaxed);
        sleep(clock, INTERVAL).await;
    }
}

/// What this process has had of the processors, in s.
fn cpu_s() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may have anything in it; then fields 14 and 15 of proc(5), in hundredths.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let ticks = times.sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

/// `VmRSS` of this process.
fn resident_kib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmRSS")?;
    Ok(kib.trim().parse()?)
}
