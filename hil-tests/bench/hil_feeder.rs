//! An epoch of the scenario `hil-feeder`, end to end: from an Epoch until everybody is ready, unpaced, with its three
//! devices behind sockets, as the run's own report has it.
//!
//! The floor is what no such epoch can be without, done one after the other: a reading of the inverter and a write to
//! it as bytes over a plain socket, and one solution of the network. Two more devices, a dozen components and all
//! messages are on top of it.

use crate::figure::{Figure, alternate};
use crate::memory::gridloop;
use crate::power_flow::solution_us;
use crate::setpoint_path::reading_and_write_us;
use anyhow::{Context, ensure};
use gridloop_clock::SharedClock;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

pub(crate) const EPOCH: &str = "hil_feeder_epoch_us";

/// Epochs of a block.
const EPOCHS: &str = "60";

pub(crate) async fn epoch(clock: &SharedClock) -> anyhow::Result<Figure> {
    let work = async || tokio::task::block_in_place(run);
    let floor = async || Ok(reading_and_write_us(clock).await? + solution_us(clock)?);
    alternate(EPOCH, "us, less is better", work, floor).await
}

/// The median time from an Epoch until everybody is ready.
fn run() -> anyhow::Result<f64> {
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/scenarios/hil-feeder.toml");
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    let done = Command::new(gridloop()?)
        .args(["run", "--speed", "max", "--epochs", EPOCHS, "--report"])
        .arg(&report)
        .arg(&configuration)
        .current_dir(&folder)
        .output()
        .context("gridloop does not start")?;
    ensure!(done.status.success(), "the run: {}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&report)?)?;
    report["pacing"]["turnaround_us"]["p50"]
        .as_f64()
        .context("the report does not say how long an epoch took")
}
