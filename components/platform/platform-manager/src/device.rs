//! `gridloop device`: the hand tool. It talks to one device, serves one simulated device, or tells a gateway that is running
//! what to do with one of its devices.

mod access;
mod control;
mod read;
mod registers;
mod scan;
mod simulate;
mod write;

use crate::context::{Context, runtime};
use anyhow::Context as _;
use clap::Subcommand;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Show everything a device says of itself, and a block for the configuration.
    Scan(scan::ScanArgs),
    /// Read a device once: its points, or plain registers.
    Read(read::ReadArgs),
    /// Read a device again and again, and show what changes.
    Watch(read::WatchArgs),
    /// Write one command, or plain registers, and read back.
    Write(write::WriteArgs),
    /// Serve a simulated device until Ctrl-C.
    Simulate(simulate::SimulateArgs),
    /// Show the devices of a gateway that is running: source, mode, link, and what each holds.
    List(control::GatewayChoice),
    /// Let a device, or its simulated twin, speak for its resource in a run that is going on.
    Source(control::SourceArgs),
    /// Let a device of a running gateway be written to, for a time.
    Arm(control::ArmArgs),
    /// Put a device of a running gateway into its safe state and make it read-only.
    Disarm(control::DisarmArgs),
}

pub(crate) fn run(command: DeviceCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeviceCommand::Scan(args) => talk(async |context| scan::scan(&args, &context.clock).await),
        DeviceCommand::Read(args) => talk(async |context| read::read(&args, &context.clock).await),
        DeviceCommand::Watch(args) => talk(async |context| read::watch(&args, context).await),
        DeviceCommand::Write(args) => talk(async |context| write::write(&args, &context.clock).await),
        DeviceCommand::Simulate(args) => talk(async |context| simulate::simulate(&args, context).await),
        DeviceCommand::List(gateway) => Ok(control::list(&gateway)),
        DeviceCommand::Source(args) => Ok(control::source(args)),
        DeviceCommand::Arm(args) => Ok(control::arm(args)),
        DeviceCommand::Disarm(args) => Ok(control::disarm(args)),
    }
}

fn talk(work: impl AsyncFnOnce(&Context) -> anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let context = Context::new()?;
    let runtime = runtime()?;
    let code = runtime.block_on(work(&context))?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(code)
}

/// A number of seconds from the command line.
fn seconds(argument: &str, seconds: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| !time.is_zero() && *time <= Duration::from_hours(24))
        .with_context(|| format!("{argument}: {seconds} is no number of seconds above 0, at most a day"))
}
