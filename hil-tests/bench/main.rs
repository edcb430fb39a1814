//! The benchmarks: every figure beside its floor, which is the same work without gridloop.
//!
//! A [`Figure`] is measured in blocks that alternate with blocks of its floor, so that what else the machine does hits
//! both alike; what is reported is the median of each. `epochs` and `turnaround` hold the figures of whole runs,
//! `log_writer` and `log_reader` those of storing and serving messages, `memory` that of a process, `modbus` that of
//! readings.

mod epochs;
mod figure;
mod log_reader;
mod log_writer;
mod memory;
mod modbus;
mod turnaround;

use anyhow::{Context, bail};
use clap::Parser;
use figure::Figure;
use gridloop_clock::{SharedClock, WallClock};
use std::path::PathBuf;
use std::sync::Arc;

/// Measures gridloop beside its floors.
#[derive(Debug, Parser)]
#[command(name = "gridloop-bench")]
struct Arguments {
    /// Write the figures to this file as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only the figure of this name.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
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
    let arguments = Arguments::parse();
    let names = names();
    let chosen: Vec<&String> =
        names.iter().filter(|name| arguments.only.as_ref().is_none_or(|only| only == *name)).collect();
    if let (true, Some(only)) = (chosen.is_empty(), &arguments.only) {
        bail!("there is no figure `{only}`; there are {}", names.join(", "));
    }
    let clock: SharedClock = Arc::new(WallClock::start()?);
    // As the `gridloop` command has it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{}", figure::HEADLINE);
    let mut figures = Vec::new();
    for name in chosen {
        let figure = runtime.block_on(measure(name, &clock)).with_context(|| name.clone())?;
        println!("{figure}");
        figures.push(figure);
    }
    if let Some(path) = arguments.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Every figure, in the order of the table.
fn names() -> Vec<String> {
    let epochs = AMQP_SIZES.map(|size| format!("{EPOCHS}{size}"));
    let turnarounds = AMQP_SIZES.map(|size| format!("{TURNAROUND}{size}"));
    let others = [
        log_writer::SQLITE,
        log_writer::MONGODB,
        log_reader::FIRST_BYTE,
        log_reader::MESSAGES,
        memory::COMPONENT,
        modbus::READS,
    ];
    let fixed = [epochs::MEMORY.to_owned()];
    fixed.into_iter().chain(epochs).chain(turnarounds).chain(others.map(str::to_owned)).collect()
}

async fn measure(name: &str, clock: &SharedClock) -> anyhow::Result<Figure> {
    if let Some(size) = name.strip_prefix(EPOCHS) {
        return epochs::over_amqp(name, size.parse()?, clock).await;
    }
    if let Some(size) = name.strip_prefix(TURNAROUND) {
        return turnaround::over_amqp(name, size.parse()?, clock).await;
    }
    match name {
        epochs::MEMORY => epochs::in_memory(clock).await,
        log_writer::SQLITE => log_writer::into_sqlite(clock).await,
        log_writer::MONGODB => log_writer::into_mongodb(clock).await,
        log_reader::FIRST_BYTE => log_reader::first_byte(clock).await,
        log_reader::MESSAGES => log_reader::messages(clock).await,
        memory::COMPONENT => memory::of_a_component(clock).await,
        modbus::READS => modbus::reads(clock).await,
        other => bail!("there is no figure `{other}`"),
    }
}
