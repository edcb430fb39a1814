//! The benchmarks: every figure beside its floor, which is the same work without gridloop.
//!
//! A [`Figure`] is measured in blocks that alternate with blocks of its floor, so that what else the machine does hits
//! both alike; what is reported is the median of each. `epochs` and `turnaround` hold the figures of whole runs,
//! `log_writer` and `log_reader` those of storing and serving messages, `memory` that of a process, `modbus` that of
//! readings, `devices` those of many devices at once, `dispatch` those of plans,
//! `power_flow` those of networks, `hil_feeder` that of a scenario with devices, `setpoint_path` those of the gateway.

mod devices;
mod dispatch;
mod epochs;
mod figure;
mod handling;
mod hil_feeder;
mod log_reader;
mod log_writer;
mod memory;
mod modbus;
mod pacer;
mod power_flow;
mod punctuality;
mod setpoint_path;
mod turnaround;

use anyhow::{Context, bail};
use clap::Parser;
use figure::Figure;
use gridloop_bus::Bus;
use gridloop_clock::{SharedClock, WallClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Measures gridloop beside its floors.
#[derive(Debug, Parser)]
#[command(name = "gridloop-bench")]
struct Arguments {
    /// Write the figures to this file as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only the figure of this name, or those whose names begin so.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Measure what takes ten minutes as well.
    #[arg(long)]
    long: bool,
    /// Devices of the figures that are about many.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    devices: usize,
    /// Instead: one block of steps of a component in a paced run, for the comparison with other platforms.
    #[arg(long, conflicts_with_all = ["json", "only", "long"])]
    step_block: bool,
    /// Instead: one block of the pacer's thread alone.
    #[arg(long, conflicts_with_all = ["json", "only", "long", "step_block"])]
    pacer_block: bool,
    /// Instead: one block of a bare loop of an ordinary thread.
    #[arg(long, conflicts_with_all = ["json", "only", "long", "step_block", "pacer_block"])]
    loop_block: bool,
    /// Of a block.
    #[arg(long, value_name = "P", default_value_t = 10)]
    period_ms: u64,
    /// Of a block.
    #[arg(long, value_name = "N", default_value_t = 100)]
    steps: u32,
}

/// Before the number of components.
const EPOCHS: &str = "epochs_per_s_amqp_";
const TURNAROUND: &str = "epoch_turnaround_us_amqp_";
/// Runs over AMQP are measured with this many components.
const AMQP_SIZES: [usize; 4] = [2, 7, 20, 50];

fn main() -> anyhow::Result<()> {
    if let Ok(url) = std::env::var(memory::BYSTANDER) {
        return tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(memory::bystander(&url));
    }
    if let Ok(role) = std::env::var(devices::ROLE) {
        return devices::play(&role);
    }
    let arguments = Arguments::parse();
    if arguments.step_block || arguments.pacer_block || arguments.loop_block {
        return block(&arguments);
    }
    let names = names(arguments.long);
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.starts_with(only.as_str()));
    let chosen: Vec<&String> = names.iter().filter(|name| wanted(name)).collect();
    if let (true, Some(only)) = (chosen.is_empty(), &arguments.only) {
        bail!("there is no figure `{only}`; there are {}", names.join(", "));
    }
    let wall = WallClock::start()?;
    let clock: SharedClock = Arc::new(wall.clone());
    // As the `gridloop` command has it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{}", figure::HEADLINE);
    let mut figures = Vec::new();
    for name in chosen {
        let figure = runtime
            .block_on(measure(name, arguments.devices, &clock, &wall))
            .with_context(|| name.clone())?;
        println!("{figure}");
        figures.push(figure);
    }
    if let Some(path) = arguments.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// One block, as one line of JSON: how late each step was.
fn block(arguments: &Arguments) -> anyhow::Result<()> {
    let (wall, period, steps) =
        (WallClock::start()?, Duration::from_millis(arguments.period_ms), arguments.steps);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut early = 0;
    let (system, lateness) = if arguments.step_block {
        let paced = punctuality::Paced {
            components: 1,
            period,
            epochs: u64::from(steps),
            lead: Duration::ZERO,
            takes: Duration::ZERO,
        };
        let (_, arrivals) = runtime.block_on(punctuality::run(&Bus::memory(None), paced, &wall))?;
        early = arrivals.iter().filter(|arrival| arrival.early).count();
        let late = arrivals.iter().map(|arrival| arrival.late).collect();
        ("gridloop, a component in a paced run", late)
    } else if arguments.pacer_block {
        ("gridloop, the pacer alone", runtime.block_on(pacer::pacer_block(&wall, period, steps))?)
    } else {
        ("clock_nanosleep, SCHED_OTHER", pacer::bare_loop(&wall, period, steps, false)?)
    };
    let at = |percent| figure::percentile_us(&lateness, percent);
    let block = serde_json::json!({
        "system": system, "period_ms": arguments.period_ms, "steps": lateness.len(),
        "p50_us": at(50), "p99_us": at(99), "max_us": at(100), "early": early,
    });
    println!("{block}");
    Ok(())
}

/// Every figure, in the order of the table; with those that take ten minutes if they are wanted.
fn names(long: bool) -> Vec<String> {
    let epochs = AMQP_SIZES.map(|size| format!("{EPOCHS}{size}"));
    let turnarounds = AMQP_SIZES.map(|size| format!("{TURNAROUND}{size}"));
    let others = [
        log_writer::SQLITE,
        log_writer::MONGODB,
        log_reader::FIRST_BYTE,
        log_reader::MESSAGES,
        memory::COMPONENT,
        modbus::READS,
        hil_feeder::EPOCH,
    ];
    let punctual = [
        punctuality::PUBLISH,
        punctuality::ARRIVAL_MEMORY,
        punctuality::PUBLISH_AMQP,
        punctuality::ARRIVAL_AMQP,
        punctuality::ARRIVAL_LEAD,
        punctuality::OVERRUN,
    ];
    let handling = handling::SIZES.map(|size| format!("{}{size}", handling::HANDLING));
    let ways = [setpoint_path::TO_WRITE, setpoint_path::TO_STATE];
    let paths = ways.into_iter().flat_map(|way| setpoint_path::BUSES.map(|bus| format!("{way}{bus}")));
    let drift = long.then(|| punctuality::DRIFT.to_owned());
    let pacing = pacer::names().into_iter().chain([pacer::UNPRIVILEGED.to_owned()]);
    let fixed = pacing
        .chain(punctual.map(str::to_owned))
        .chain(drift)
        .chain(handling)
        .chain([epochs::MEMORY.to_owned()]);
    fixed
        .chain(epochs)
        .chain(turnarounds)
        .chain(others.map(str::to_owned))
        .chain(paths)
        .chain(devices::names())
        .chain(dispatch::names())
        .chain(power_flow::names())
        .collect()
}

async fn measure(
    name: &str,
    devices: usize,
    clock: &SharedClock,
    wall: &WallClock,
) -> anyhow::Result<Figure> {
    if name.starts_with(setpoint_path::TO_WRITE) || name.starts_with(setpoint_path::TO_STATE) {
        return setpoint_path::measure(name, clock).await;
    }
    if name.starts_with(dispatch::DISPATCH) {
        return dispatch::measure(name, clock).await;
    }
    if name.starts_with(power_flow::POWER_FLOW) {
        return power_flow::measure(name, clock).await;
    }
    if name.starts_with(devices::DEVICES) {
        return devices::measure(name, devices).await;
    }
    if let Some(size) = name.strip_prefix(handling::HANDLING) {
        return handling::handling(name, size.parse()?, clock).await;
    }
    if name == pacer::UNPRIVILEGED {
        return tokio::task::block_in_place(pacer::unprivileged);
    }
    if name.starts_with(pacer::LATENESS) {
        return pacer::lateness(name, wall).await;
    }
    if let Some(size) = name.strip_prefix(EPOCHS) {
        return epochs::over_amqp(name, size.parse()?, clock).await;
    }
    if let Some(size) = name.strip_prefix(TURNAROUND) {
        return turnaround::over_amqp(name, size.parse()?, clock).await;
    }
    match name {
        punctuality::PUBLISH | punctuality::ARRIVAL_MEMORY => punctuality::in_memory(name, wall).await,
        punctuality::PUBLISH_AMQP | punctuality::ARRIVAL_AMQP | punctuality::ARRIVAL_LEAD => {
            punctuality::over_amqp(name, wall).await
        }
        punctuality::OVERRUN => punctuality::overrun(name, wall).await,
        punctuality::DRIFT => punctuality::drift(name, wall).await,
        epochs::MEMORY => epochs::in_memory(clock).await,
        log_writer::SQLITE => log_writer::into_sqlite(clock).await,
        log_writer::MONGODB => log_writer::into_mongodb(clock).await,
        log_reader::FIRST_BYTE => log_reader::first_byte(clock).await,
        log_reader::MESSAGES => log_reader::messages(clock).await,
        memory::COMPONENT => memory::of_a_component(clock).await,
        modbus::READS => modbus::reads(clock).await,
        hil_feeder::EPOCH => hil_feeder::epoch(clock).await,
        other => bail!("there is no figure `{other}`"),
    }
}
