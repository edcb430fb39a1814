//! The benchmarks: every figure beside its floor, which is the same work without gridloop.
//!
//! A [`Figure`] is measured in blocks that alternate with blocks of its floor, so that what else the machine does hits
//! both alike; what is reported is the median of each. `epochs` holds the figures of whole runs, `modbus` that of
//! readings.

mod epochs;
mod figure;
mod modbus;

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

/// Runs over AMQP are measured with this many components.
const AMQP_SIZES: [usize; 4] = [2, 7, 20, 50];

fn main() -> anyhow::Result<()> {
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

fn names() -> Vec<String> {
    let amqp = AMQP_SIZES.map(|size| format!("epochs_per_s_amqp_{size}"));
    let fixed = [epochs::MEMORY.to_owned()];
    fixed.into_iter().chain(amqp).chain([modbus::READS.to_owned()]).collect()
}

async fn measure(name: &str, clock: &SharedClock) -> anyhow::Result<Figure> {
    for size in AMQP_SIZES {
        if name == format!("epochs_per_s_amqp_{size}") {
            return epochs::over_amqp(name, size, clock).await;
        }
    }
    if name == epochs::MEMORY { epochs::in_memory(clock).await } else { modbus::reads(clock).await }
}
