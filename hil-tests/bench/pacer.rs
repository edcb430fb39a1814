//! How late the pacer's thread is at its instants, beside a bare `clock_nanosleep` loop as cyclictest has one: with
//! `SCHED_FIFO`, locked memory and the latency request where the operating system grants them, and as any other thread.
//!
//! `--loop-block` and `--pacer-block` are one block of either side, for processes without privileges that this program
//! starts.

use crate::figure::{Figure, percentile_us};
use anyhow::{Context, ensure};
use gridloop_clock::{Clock, MonoTime, WallClock};
use gridloop_realtime_manager::{PacerSettings, PacerThread, Scheduler};
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Before the period in milliseconds and `_idle` or `_busy`.
pub(crate) const LATENESS: &str = "pacer_lateness_us_p99_";
/// Without privileges.
pub(crate) const UNPRIVILEGED: &str = "pacer_lateness_us_p99_unprivileged_10ms";
const UNIT: &str = "us, less is better";
/// Alternating blocks of each side.
const BLOCKS: usize = 20;
/// Nobody, on Debian.
const NOBODY: u32 = 65_534;

/// The figures of every period, idle and with every processor busy.
pub(crate) fn names() -> Vec<String> {
    let of = |state: &str| [1, 10, 100].map(|ms| format!("{LATENESS}{ms}ms_{state}"));
    of("idle").into_iter().chain(of("busy")).collect()
}

pub(crate) async fn lateness(name: &str, clock: &WallClock) -> anyhow::Result<Figure> {
    let rest = name.strip_prefix(LATENESS).context("a name of this figure")?;
    let (ms, state) = rest.split_once("ms_").context("a period and a state")?;
    let ms: u64 = ms.parse()?;
    let period = Duration::from_millis(ms);
    // Half a second at 1 ms, one at 10 ms, two at 100 ms.
    let steps: u32 = match ms {
        1 => 500,
        10 => 100,
        _ => 20,
    };
    let load = (state == "busy").then(Load::start);
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let thread = PacerThread::start(clock.clone(), PacerSettings::default())?;
        let fifo = matches!(thread.granted().scheduler, Scheduler::Fifo(_));
        ensure!(fifo, "{}; without it this figure says nothing", thread.granted().scheduler);
        ours.extend(thread.lateness(period, steps).await);
        let wall = clock.clone();
        floor.extend(tokio::task::spawn_blocking(move || bare_loop(&wall, period, steps, true)).await??);
        drop(thread);
    }
    drop(load);
    Ok(Figure::new(name, UNIT, percentile_us(&ours, 99), percentile_us(&floor, 99), BLOCKS))
}

/// Both sides as processes of a user who may do nothing.
pub(crate) fn unprivileged() -> anyhow::Result<Figure> {
    let block = |flag: &str| -> anyhow::Result<f64> {
        let output = Command::new(std::env::current_exe()?)
            .args([flag, "--period-ms", "10", "--steps", "100"])
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::null())
            .output()
            .context("a block without privileges")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        said["p99_us"].as_f64().context("a p99")
    };
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        ours.push(block("--pacer-block")?);
        floor.push(block("--loop-block")?);
    }
    let (ours, floor) = (crate::figure::median(ours), crate::figure::median(floor));
    Ok(Figure::new(UNPRIVILEGED, UNIT, ours, floor, BLOCKS))
}

/// One block of the pacer's own thread, with whatever it is granted.
pub(crate) async fn pacer_block(
    clock: &WallClock,
    period: Duration,
    steps: u32,
) -> anyhow::Result<Vec<Duration>> {
    let thread = PacerThread::start(clock.clone(), PacerSettings::default())?;
    Ok(thread.lateness(period, steps).await)
}

/// Sleeps to each instant and looks at the clock.
pub(crate) fn bare_loop(
    clock: &WallClock,
    period: Duration,
    steps: u32,
    fifo: bool,
) -> anyhow::Result<Vec<Duration>> {
    let looping = thread::scope(|scope| {
        let looping = scope.spawn(|| {
            // cyclictest holds it too. Where it is refused, it is refused to both sides.
            let _latency =
                std::fs::OpenOptions::new().write(true).open("/dev/cpu_dma_latency").map(|mut file| {
                    let _ = std::io::Write::write_all(&mut file, &0_i32.to_ne_bytes());
                    file
                });
            if fifo {
                let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
                let priority = ThreadPriorityValue::try_from(80_u8).map_err(anyhow::Error::msg)?;
                let priority = ThreadPriority::Crossplatform(priority);
                set_thread_priority_and_policy(thread_native_id(), priority, policy)
                    .map_err(|error| anyhow::anyhow!("SCHED_FIFO for the floor: {error}"))?;
            }
            let start = clock.now() + period;
            (0..steps).map(|n| lateness_at(clock, start + period * n)).collect()
        });
        looping.join()
    });
    looping.map_err(|_| anyhow::anyhow!("the floor broke off"))?
}

fn lateness_at(clock: &WallClock, instant: MonoTime) -> anyhow::Result<Duration> {
    const NANOS_PER_S: u64 = 1_000_000_000;
    let nanos = instant.as_nanos();
    let until = Timespec {
        tv_sec: i64::try_from(nanos / NANOS_PER_S)?,
        tv_nsec: i64::try_from(nanos % NANOS_PER_S)?,
    };
    clock_nanosleep_absolute(ClockId::Monotonic, &until)?;
    Ok(clock.now().since(instant))
}

/// Keeps every processor busy, twice over, until it is dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start() -> Self {
        let on = Arc::new(AtomicBool::new(true));
        let processors = thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..2 * processors {
            let on = Arc::clone(&on);
            thread::spawn(move || {
                while on.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(on)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
