//! `gridloop device`: the hand tool. It talks to one device, serves one simulated device on a socket, or tells a gateway
//! that is running what to do with one of its devices.

mod control;

use crate::context::{Context, FAILED, runtime};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use gridloop_clock::SharedClock;
use gridloop_device::{Description, Device};
use gridloop_modbus::simulated::{InverterSettings, serve_inverter, serve_tap_changer};
use gridloop_modbus::{
    Address, LinkSettings, Profile, RegisterMapDevice, RegisterMapSettings, SunSpecDevice, SunSpecSettings,
    Table, read_registers, scan, write_registers,
};
use gridloop_plant::{LivePlant, PvInverter, PvInverterSettings, Series, TapChanger, TapChangerSettings};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Show everything a SunSpec device says, and a block for the configuration.
    Scan(ScanArgs),
    /// Read a device once: its points, or plain registers.
    Read(ReadArgs),
    /// Write plain holding registers and read them back.
    Write(WriteArgs),
    /// Serve a simulated device until Ctrl-C.
    Simulate(SimulateArgs),
    /// Show the devices of a gateway that is running: source, mode, link, and what each holds.
    List(control::GatewayChoice),
    /// Let a device, or its simulated twin, speak for its resource in a run that is going on.
    Source(control::SourceArgs),
    /// Let a device of a running gateway be written to, for a time.
    Arm(control::ArmArgs),
    /// Put a device of a running gateway into its safe state and make it read-only.
    Disarm(control::DisarmArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// Where the device is: tcp://host:port (502 when the port is left out).
    address: String,
    /// Modbus unit id.
    #[arg(long, default_value_t = 1)]
    unit: u8,
    /// Longest wait for one answer, in s.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    timeout: f64,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    link: LinkArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    link: LinkArgs,
    /// A register-map profile, such as configs/devices/tap-changer-ecotap.toml. Default: SunSpec.
    #[arg(long, value_name = "FILE", conflicts_with = "registers")]
    profile: Option<PathBuf>,
    /// Plain registers instead: TABLE:ADDRESS:COUNT, such as holding:40000:2 or input:8:1.
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    registers: Option<Range>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    link: LinkArgs,
    /// The first holding register, counted from 0.
    register: u16,
    /// Raw values, 0 to 65535, for it and the registers after it.
    #[arg(required = true)]
    values: Vec<u16>,
    /// Really write. Without it nothing is sent.
    #[arg(long)]
    arm: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// What to serve.
    kind: SimulatedKind,
    /// Where; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    bind: SocketAddr,
    /// Modbus unit id.
    #[arg(long, default_value_t = 1)]
    unit: u8,
    /// Rated power of the inverter in W.
    #[arg(long, value_name = "W", default_value_t = 8000.0)]
    rated_power_w: f64,
    /// Irradiance in W/m2.
    #[arg(long, value_name = "W/M2", default_value_t = 900.0)]
    irradiance: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SimulatedKind {
    /// A SunSpec PV inverter.
    PvInverter,
    /// A tap changer with the register map of configs/devices/tap-changer-ecotap.toml.
    TapChanger,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    table: Table,
    address: u16,
    count: u16,
}

pub(crate) fn run(command: DeviceCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeviceCommand::List(gateway) => Ok(control::list(&gateway)),
        DeviceCommand::Source(args) => Ok(control::source(args)),
        DeviceCommand::Arm(args) => Ok(control::arm(args)),
        DeviceCommand::Disarm(args) => Ok(control::disarm(args)),
        DeviceCommand::Scan(_)
        | DeviceCommand::Read(_)
        | DeviceCommand::Write(_)
        | DeviceCommand::Simulate(_) => talk(command),
    }
}

fn talk(command: DeviceCommand) -> anyhow::Result<ExitCode> {
    let context = Context::new()?;
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        match command {
            DeviceCommand::Scan(args) => scan_device(&args, &context.clock).await,
            DeviceCommand::Read(args) => read(&args, &context.clock).await,
            DeviceCommand::Write(args) => write(&args, &context.clock).await,
            DeviceCommand::Simulate(args) => simulate(&args, &context).await,
            _ => Ok(ExitCode::SUCCESS),
        }
    })?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(code)
}

impl LinkArgs {
    fn settings(&self) -> anyhow::Result<LinkSettings> {
        let timeout = Duration::try_from_secs_f64(self.timeout)
            .ok()
            .filter(|timeout| !timeout.is_zero())
            .with_context(|| format!("--timeout: {} is no number of seconds above 0", self.timeout))?;
        let address: Address = self.address.parse()?;
        Ok(LinkSettings::new(address, self.unit, timeout))
    }
}

async fn scan_device(args: &ScanArgs, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let link = args.link.settings()?;
    let address = link.address.clone();
    let Some(report) = scan(link, clock.clone()).await? else {
        eprintln!("{address} answers, but is no SunSpec device: no marker at register 40000, 0 or 50000");
        return Ok(ExitCode::from(FAILED));
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    print!("{report}");
    println!("\nfor the configuration; it starts read-only:\n");
    println!("[device.NAME]\ndriver = \"sunspec\"\naddress = \"{address}\"");
    if args.link.unit != 1 {
        println!("unit = {}", args.link.unit);
    }
    println!("category = \"Generator\"");
    Ok(ExitCode::SUCCESS)
}

async fn read(args: &ReadArgs, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let link = args.link.settings()?;
    if let Some(Range { table, address, count }) = args.registers {
        let registers = read_registers(link, clock.clone(), table, address, count).await?;
        if args.json {
            println!("{}", serde_json::to_string(&registers)?);
        } else {
            print_registers(address, &registers);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut device: Box<dyn Device> = match &args.profile {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let profile = Profile::parse(&path.display().to_string(), &text)?;
            Box::new(RegisterMapDevice::new(RegisterMapSettings { link, profile }, clock.clone()))
        }
        None => {
            let settings = SunSpecSettings::new(link);
            Box::new(SunSpecDevice::new(settings, clock.clone()))
        }
    };
    let Description { identity, profile, .. } = device.connect().await?;
    let snapshot = device.read().await?;
    if args.json {
        let points: serde_json::Map<_, _> = snapshot
            .points
            .iter()
            .map(|(name, sample)| {
                let value = serde_json::json!({
                    "value": sample.value, "unit": sample.unit, "quality": sample.quality
                });
                (name.to_string(), value)
            })
            .collect();
        println!("{}", serde_json::json!({ "identity": identity, "profile": profile, "points": points }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{identity}  {profile}");
    for (name, sample) in &snapshot.points {
        println!("  {name:<24} {:>14.3} {:<8} {:?}", sample.value, sample.unit.ucum(), sample.quality);
    }
    Ok(ExitCode::SUCCESS)
}

async fn write(args: &WriteArgs, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let link = args.link.settings()?;
    if !args.arm {
        bail!(
            "nothing written: would write {:?} from holding register {} on at {}; add --arm to do it",
            args.values,
            args.register,
            link.address
        );
    }
    let held = write_registers(link, clock.clone(), args.register, &args.values).await?;
    print_registers(args.register, &held);
    if held == args.values {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("the device holds something else than what was written");
    Ok(ExitCode::from(FAILED))
}

fn print_registers(address: u16, registers: &[u16]) {
    for (register, value) in (u32::from(address)..).zip(registers) {
        println!("{register:>6}  {value:>6}  0x{value:04x}");
    }
}

async fn simulate(args: &SimulateArgs, context: &Context) -> anyhow::Result<ExitCode> {
    context.watch_signals("stopping")?;
    let clock = context.clock.clone();
    let server = match args.kind {
        SimulatedKind::PvInverter => {
            let series = Series::constant(args.irradiance);
            let inverter = PvInverter::new(PvInverterSettings::typical(args.rated_power_w, series))?;
            let plant = LivePlant::new(inverter, clock.clone());
            let settings = InverterSettings { unit_id: args.unit, ..InverterSettings::default() };
            serve_inverter(args.bind, plant, settings, clock).await
        }
        SimulatedKind::TapChanger => {
            let plant = LivePlant::new(TapChanger::new(TapChangerSettings::default())?, clock.clone());
            serve_tap_changer(args.bind, plant, args.unit, clock).await
        }
    };
    let server = server.with_context(|| format!("cannot serve on {}", args.bind))?;
    println!("serving at {}, unit {}", Address::from(server.local_addr()), args.unit);
    context.cancel.cancelled().await;
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn parse_range(text: &str) -> Result<Range, String> {
    let expected = || "expected TABLE:ADDRESS:COUNT, such as holding:40000:2 or input:8:1".to_owned();
    let mut parts = text.split(':');
    let (Some(table), Some(address), Some(count), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(expected());
    };
    let table = match table {
        "holding" => Table::Holding,
        "input" => Table::Input,
        _ => return Err(expected()),
    };
    let address = address.parse().map_err(|_| expected())?;
    let count = count.parse().map_err(|_| expected())?;
    Ok(Range { table, address, count })
}
