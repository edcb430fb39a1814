//! Many devices at once: simulated SunSpec inverters, each polled ten times a second by a task of its own. The floor
//! asks the same registers over as many plain sockets, as bytes, at the same pace.
//!
//! The inverters live in one process, whoever polls them in another one, a fresh one for each block, so that what it
//! takes of the processor and of memory is its own: this program, started again as a [`Role`]. One measurement of all
//! gives every figure.

mod poll;
mod serve;

use crate::figure::{Figure, median};
use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use tokio::sync::OnceCell;

/// How this program is told its [`Role`].
pub(crate) const ROLE: &str = "GRIDLOOP_BENCH_DEVICES";
/// Before the name of a figure.
pub(crate) const DEVICES: &str = "devices_";

/// Blocks of each side.
const BLOCKS: usize = 3;
/// Of so many devices one is dead, where some are.
const ONE_DEAD_OF: usize = 20;
/// File descriptors of a process beside those of its devices.
const OTHER_FILES: u64 = 64;

/// What is told of a block.
#[derive(Debug, Clone, Copy)]
struct Quantity {
    name: &'static str,
    unit: &'static str,
    of: fn(&Polled) -> f64,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity { name: "reads_per_s", unit: "reads/s", of: |polled| polled.reads_per_s },
    Quantity { name: "age_p99_ms", unit: "ms, less is better", of: |polled| polled.age_p99_ms },
    Quantity { name: "cpu_percent", unit: "% of a core, less is better", of: |polled| polled.cpu_percent },
    Quantity { name: "memory_kib_each", unit: "KiB, less is better", of: |polled| polled.memory_kib_each },
];

/// Every figure, by name.
pub(crate) fn names() -> impl Iterator<Item = String> {
    let of = |prefix: &'static str| QUANTITIES.iter().map(move |it| format!("{DEVICES}{prefix}{}", it.name));
    of("").chain(of(DEAD))
}

/// Of figures with 5 % of the devices dead.
const DEAD: &str = "dead_";

/// What a process of the benchmark is.
#[derive(Debug, Serialize, Deserialize)]
enum Role {
    /// Serves devices until its standard input ends; prints their ports.
    Serve { devices: usize, some_dead: bool },
    /// Polls the devices whose ports are on its standard input; prints what it measured.
    Poll { bare: bool },
}

/// Where the devices are.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ports {
    alive: Vec<u16>,
    /// Accepting and mute, or refusing.
    dead: Vec<u16>,
}

/// What polling measured.
#[derive(Debug, Serialize, Deserialize)]
struct Polled {
    reads_per_s: f64,
    age_p99_ms: f64,
    cpu_percent: f64,
    memory_kib_each: f64,
}

/// Measures a figure with so many devices; all figures of one setting are measured together, once.
pub(crate) async fn measure(name: &str, devices: usize) -> anyhow::Result<Figure> {
    static ALIVE: OnceCell<Blocks> = OnceCell::const_new();
    static SOME_DEAD: OnceCell<Blocks> = OnceCell::const_new();
    let of = name.strip_prefix(DEVICES).context("another figure")?;
    let (some_dead, of) = of.strip_prefix(DEAD).map_or((false, of), |of| (true, of));
    let quantity = QUANTITIES.iter().find(|it| it.name == of).context("no such figure")?;
    let cell = if some_dead { &SOME_DEAD } else { &ALIVE };
    let Blocks { ours, floor } = cell
        .get_or_try_init(async || tokio::task::block_in_place(|| Blocks::measure(devices, some_dead)))
        .await?;
    let typical = |side: &[Polled]| median(side.iter().map(quantity.of).collect());
    Ok(Figure::new(name, quantity.unit, typical(ours), typical(floor), BLOCKS))
}

#[derive(Debug, Default)]
struct Blocks {
    ours: Vec<Polled>,
    floor: Vec<Polled>,
}

impl Blocks {
    fn measure(devices: usize, some_dead: bool) -> anyhow::Result<Self> {
        ensure!(devices > 0, "--devices: expected a number above 0");
        let (mut serving, mut ports) = start(&Role::Serve { devices, some_dead })?;
        let ports = line(&mut ports)?;
        let mut blocks = Self::default();
        for _ in 0..BLOCKS {
            for bare in [false, true] {
                let (mut polling, mut told) = start(&Role::Poll { bare })?;
                let input = polling.0.stdin.as_mut().context("no pipe")?;
                writeln!(input, "{ports}")?;
                let side = if bare { &mut blocks.floor } else { &mut blocks.ours };
                side.push(serde_json::from_str(&line(&mut told)?)?);
            }
        }
        drop(serving.0.stdin.take());
        Ok(blocks)
    }
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(role: &Role) -> anyhow::Result<(Killed, BufReader<ChildStdout>)> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(ROLE, serde_json::to_string(role)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("this program does not start again")?;
    let stdout = child.stdout.take().context("no pipe")?;
    Ok((Killed(child), BufReader::new(stdout)))
}

fn line(from: &mut BufReader<ChildStdout>) -> anyhow::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    ensure!(line.ends_with('\n'), "a process of the benchmark ended early; what it said is above");
    Ok(line.trim_end().to_owned())
}

/// Plays a role, in a process of its own.
pub(crate) fn play(role: &str) -> anyhow::Result<()> {
    let role: Role = serde_json::from_str(role)?;
    // As the `gridloop` command has it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match role {
        Role::Serve { devices, some_dead } => {
            // A socket that listens, and one that answers.
            enough_files(2 * devices)?;
            runtime.block_on(serve::serve(devices, some_dead))
        }
        Role::Poll { bare } => {
            let mut input = String::new();
            std::io::stdin().read_line(&mut input)?;
            let ports: Ports = serde_json::from_str(&input)?;
            enough_files(ports.alive.len() + ports.dead.len())?;
            runtime.block_on(poll::poll(ports, bare))
        }
    }
}

/// Sees to it that so many sockets can be open.
fn enough_files(sockets: usize) -> anyhow::Result<()> {
    let needed = u64::try_from(sockets)? + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "a process may open {} files here, {needed} are needed: raise the hard limit (`ulimit -Hn`), or take fewer \
         --devices",
        maximum.unwrap_or_default()
    );
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?)
}
