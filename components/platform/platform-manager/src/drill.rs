//! `gridloop drill`: proves on a bench that a device's own fail-safe works, and writes a [`Record`] of it.

mod record;

use crate::check::refuse;
use crate::context::{BAD_CONFIGURATION, Context, FAILED, runtime};
use anyhow::{Context as _, bail};
use clap::Args;
use gridloop_gateway::drill::{DrillSettings, DrillTimes, Drilled, Verdict, Wish, run_drill};
use gridloop_gateway::{DeviceSettings, lock_device};
use gridloop_platform_manager::Configuration;
use record::{Circumstances, Record};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// The configuration.
    #[arg(required_unless_present = "verify")]
    config: Option<PathBuf>,
    /// The device: NAME of `[device.NAME]`.
    #[arg(long, value_name = "NAME", required_unless_present = "verify")]
    device: Option<String>,
    /// Override a value, such as `device.PV_large.revert_after_s=5`. May be repeated.
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Really command the device. Without it the device is read, and the plan is told.
    #[arg(long)]
    arm: bool,
    /// Who stands at the device; for the record.
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// How long the device is watched, in s. Default: three times its own timer.
    #[arg(long, value_name = "S", value_parser = seconds)]
    within: Option<Duration>,
    /// The real power to command, in W, positive towards the grid. Default: half of what an inverter gives at present, a
    /// tenth of what a battery can.
    #[arg(long, value_name = "W", allow_negative_numbers = true, value_parser = finite)]
    power_w: Option<f64>,
    /// The real power in W to which the device goes by itself, where the configuration does not say it.
    #[arg(long, value_name = "W", allow_negative_numbers = true, value_parser = finite)]
    reverts_to_w: Option<f64>,
    /// Write the record to this file, and for people to one that ends in .txt. Default: drills/NAME-TIME.json.
    #[arg(long, short, value_name = "FILE.json", value_parser = json_file)]
    output: Option<PathBuf>,
    /// Instead: tell whether a record is as it was written.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "device", "arm", "output"])]
    verify: Option<PathBuf>,
}

/// `gridloop drill`
pub(crate) fn run(args: &DrillArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.verify {
        return record::verify(file);
    }
    let (Some(file), Some(name)) = (&args.config, &args.device) else {
        bail!("a configuration and --device are needed");
    };
    let configuration = match Configuration::load(file, &args.set) {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(refuse(&diagnostics, false)),
    };
    let Some(device) = configuration.devices.iter().find(|device| device.name == *name) else {
        let names: Vec<&str> = configuration.devices.iter().map(|device| device.name.as_str()).collect();
        eprintln!("{}: there is no device `{name}`; there are {}", file.display(), names.join(", "));
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    };
    let context = Context::new()?;
    let mut files = if args.arm { Some(Files::create(args, &context)?) } else { None };
    let runtime = runtime()?;
    let record = runtime.block_on(drill(args, device, &configuration, &context)).inspect_err(|_| {
        files.as_ref().map(Files::discard);
    })?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    conclude(&record, files.as_mut())
}

async fn drill(
    args: &DrillArgs,
    device: &DeviceSettings,
    configuration: &Configuration,
    context: &Context,
) -> anyhow::Result<Record> {
    context.watch_signals("stopping: the device is being released")?;
    let clock = &context.clock;
    let began = clock.anchor();
    let twin = device.twin.as_ref();
    let _lock = if args.arm { lock_device(device)? } else { None };
    let mut opened = device
        .opener
        .open(&device.address, twin, device.request_timeout, clock)
        .await
        .with_context(|| format!("device {}", device.name))?;
    say(&format!("{}: {} at {}", device.name, device.driver, opened.address));
    let settings = DrillSettings {
        limits: device.safety.limits,
        wish: Wish { power_w: args.power_w, reverts_to_w: args.reverts_to_w, within: args.within },
        reading_interval: device.poll_interval,
        armed: args.arm,
    };
    // As a run has them.
    let times = DrillTimes {
        job: device.request_timeout * 4,
        connect: device.request_timeout * 40,
        release: Duration::from_secs(5) + device.request_timeout * 4,
    };
    let stop = context.cancel.clone().cancelled_owned();
    let mut tell = |step: &gridloop_gateway::drill::DrillStep| {
        say(&format!("{:>9.2} s  {}", step.at.since(began.at).as_secs_f64(), step.what));
    };
    let drilled = run_drill(&mut *opened.device, settings, times, clock, stop, &mut tell).await;
    let circumstances = Circumstances {
        device,
        address: &opened.address,
        configuration,
        file: args.config.as_deref().unwrap_or(Path::new("")),
        operator: args.operator.as_deref(),
        reading_interval: device.poll_interval,
        began,
    };
    Ok(Record::new(&drilled, &circumstances))
}

/// Tells the verdict, and leaves the record where one was to be written.
fn conclude(record: &Record, files: Option<&mut Files>) -> anyhow::Result<ExitCode> {
    let Drilled { verdict, reason, .. } = &record.drilled;
    if let Some(files) = files {
        files.write(record)?;
        say(&format!("the record is {}; print and sign {}", files.json.display(), files.text.display()));
    }
    if *verdict == Verdict::NotArmed {
        bail!("{reason}: add --arm to do it");
    }
    Ok(if *verdict == Verdict::Passed { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The files of a record. They are made before anything is written to the device.
struct Files {
    json: PathBuf,
    text: PathBuf,
    json_file: File,
    text_file: File,
}

impl Files {
    fn create(args: &DrillArgs, context: &Context) -> anyhow::Result<Self> {
        let json = match &args.output {
            Some(file) => file.clone(),
            None => {
                let device = args.device.as_deref().unwrap_or_default();
                let device =
                    device.replace(|it: char| !it.is_ascii_alphanumeric() && it != '_' && it != '-', "_");
                Path::new("drills").join(format!("{device}-{}.json", context.simulation_id(None)?.compact()))
            }
        };
        if let Some(folder) = json.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let text = json.with_extension("txt");
        let new = |path: &Path| {
            let made = OpenOptions::new().write(true).create_new(true).open(path);
            made.with_context(|| format!("cannot make {}; records are never overwritten", path.display()))
        };
        Ok(Self { json_file: new(&json)?, text_file: new(&text)?, json, text })
    }

    /// There was no drill.
    fn discard(&self) {
        // They are empty: at worst they stay.
        let _ = std::fs::remove_file(&self.json);
        let _ = std::fs::remove_file(&self.text);
    }

    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let written =
            |file: &mut File, text: &str| file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written(&mut self.json_file, &record.json()).with_context(|| self.json.display().to_string())?;
        written(&mut self.text_file, &record.text()).with_context(|| self.text.display().to_string())
    }
}

/// Prints a line. A reader that has gone is no reason to break off.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if time.is_zero() || time > Duration::from_hours(24) {
        return Err("expected a number of seconds above 0, at most a day".to_owned());
    }
    Ok(time)
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("expected a number".to_owned()),
    }
}

fn json_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "json" => Ok(path),
        _ => Err("expected a name that ends in .json".to_owned()),
    }
}
