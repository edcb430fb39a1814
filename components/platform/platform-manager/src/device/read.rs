//! `gridloop device read` and `watch`: what a device measures, once or again and again.

use super::access::{AccessArgs, open};
use super::registers::{Range, parse_range, print_registers, read_range};
use crate::context::Context;
use clap::Args;
use gridloop_clock::{SharedClock, sleep, until};
use gridloop_device::{Description, Device, DeviceError, Sample, Snapshot};
use gridloop_messages::Timestamp;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// Plain Modbus registers instead: TABLE:ADDRESS:COUNT, such as holding:40000:2 or input:8:1.
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    registers: Option<Range>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// Time between two readings, in s.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    every: f64,
    /// Print every reading as a line of JSON, not what has changed as text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn read(args: &ReadArgs, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let settings = match args.access.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    if let Some(range) = args.registers {
        let registers = read_range(&settings, range, clock).await?;
        if args.json {
            println!("{}", serde_json::to_string(&registers)?);
        } else {
            print_registers(range.address, &registers);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut device = open(&settings, clock).await?;
    let Description { identity, profile, .. } = device.connect().await?;
    let snapshot = device.read().await?;
    if args.json {
        println!("{}", json!({ "identity": identity, "profile": profile, "points": points(&snapshot) }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{identity}  {profile}");
    for (name, sample) in &snapshot.points {
        println!("  {name:<24} {}", shown(sample));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn watch(args: &WatchArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let settings = match args.access.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    let every = super::seconds("--every", args.every)?;
    context.watch_signals("stopping")?;
    let clock = &context.clock;
    let mut device = open(&settings, clock).await?;
    let (mut connected, mut before) = (false, Snapshot::default());
    let mut next = clock.now();
    while !context.cancel.is_cancelled() {
        match look(&mut *device, &mut connected).await {
            Ok(snapshot) => {
                let at = Timestamp::from(clock.utc());
                if args.json {
                    println!("{}", json!({ "at": at.to_string(), "points": points(&snapshot) }));
                } else {
                    print_changes(&at, &before, &snapshot);
                }
                before = snapshot;
            }
            Err(error) => eprintln!("{}  {error}", Timestamp::from(clock.utc())),
        }
        next = (next + every).max(clock.now());
        until(clock.as_ref(), next, context.cancel.cancelled()).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads once, and connects before that where the link is not up.
async fn look(device: &mut dyn Device, connected: &mut bool) -> Result<Snapshot, DeviceError> {
    if !*connected {
        device.connect().await?;
        *connected = true;
    }
    let read = device.read().await;
    *connected = read.as_ref().err().is_none_or(DeviceError::keeps_link);
    read
}

fn print_changes(at: &Timestamp, before: &Snapshot, now: &Snapshot) {
    for (name, sample) in &now.points {
        let same = |old: &Sample| old.value == sample.value && old.quality == sample.quality;
        if !before.get(name).is_some_and(same) {
            println!("{at}  {name:<24} {}", shown(sample));
        }
    }
    for name in before.points.keys().filter(|name| !now.points.contains_key(*name)) {
        println!("{at}  {name:<24} gone");
    }
}

fn shown(sample: &Sample) -> String {
    format!("{:>14.3} {:<8} {:?}", sample.value, sample.unit.ucum(), sample.quality)
}

fn points(snapshot: &Snapshot) -> Value {
    let point = |(name, sample): (&gridloop_device::PointName, &Sample)| {
        let value = json!({ "value": sample.value, "unit": sample.unit, "quality": sample.quality });
        (name.to_string(), value)
    };
    snapshot.points.iter().map(point).collect::<serde_json::Map<_, _>>().into()
}

/// Waits before a device that is on its way is asked again.
pub(super) async fn pause(clock: &SharedClock) {
    sleep(clock.as_ref(), Duration::from_millis(200)).await;
}
