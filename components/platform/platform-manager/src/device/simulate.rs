//! `gridloop device simulate`: one simulated device on a socket, a serial port or a broker, until Ctrl-C.

use super::access::quoted;
use crate::check::refuse;
use crate::context::{BAD_CONFIGURATION, Context};
use clap::{Args, ValueEnum};
use gridloop_gateway::drivers::{DRIVERS, ServeWish, TlsTriple};
use gridloop_gateway::{TwinSettings, read_twin};
use gridloop_service::{Diagnostics, Document};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// What kind of plant is behind it.
    plant: PlantWord,
    /// How it is spoken to: sunspec, register-map, iec61850 or mqtt. Default: register-map for a tap changer and a
    /// grid emulator, with the maps of their files in configs/devices; sunspec for the others.
    #[arg(long)]
    driver: Option<String>,
    /// Where: HOST:PORT, port 0 takes a free one; for Modbus also rtu:///dev/PORT, rtu+tcp://HOST:PORT and
    /// tls://HOST:PORT; for MQTT the broker, mqtt://HOST:PORT. Default: a free port of 127.0.0.1, and for MQTT a small
    /// broker of its own there.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Modbus unit id.
    #[arg(long, default_value_t = 1)]
    unit: u8,
    /// MQTT: the name of the device in its topics.
    #[arg(long, value_name = "ID", default_value = "simulated")]
    device_id: String,
    /// MQTT: what its topics begin with.
    #[arg(long, value_name = "PREFIX", default_value = "gridloop")]
    topic_prefix: String,
    /// TLS: the authorities that sign certificates of clients.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    ca_file: Option<PathBuf>,
    /// TLS: the certificate of the device.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// TLS: its private key.
    #[arg(long, value_name = "FILE", requires = "ca_file")]
    key_file: Option<PathBuf>,
    /// Rated power in W, of an inverter or a battery.
    #[arg(long, value_name = "W", default_value_t = 8000.0)]
    rated_power_w: f64,
    /// Any other key of the plant, as in [device.NAME.twin], such as irradiance_w_per_m2=900. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlantWord {
    /// A PV inverter.
    PvInverter,
    /// An on-load tap changer.
    TapChanger,
    /// A battery and its inverter.
    Battery,
    /// A voltage source that is told its voltage.
    GridEmulator,
}

impl SimulateArgs {
    fn twin(&self) -> Result<TwinSettings, Diagnostics> {
        let mut document = Document::parse("command line", "")?;
        let word = match self.plant {
            PlantWord::PvInverter => "pv-inverter",
            PlantWord::TapChanger => "tap-changer",
            PlantWord::Battery => "battery",
            PlantWord::GridEmulator => "grid-emulator",
        };
        document.set(&format!("twin.plant={}", quoted(word)))?;
        if matches!(self.plant, PlantWord::PvInverter | PlantWord::Battery) {
            document.set(&format!("twin.rated_power_w={:?}", self.rated_power_w))?;
        }
        if self.plant == PlantWord::Battery {
            // Two hours at the rated power.
            document.set(&format!("twin.capacity_wh={:?}", 2.0 * self.rated_power_w))?;
        }
        for assignment in &self.set {
            document.set(&format!("twin.{assignment}"))?;
        }
        let twin = read_twin(&document.root().section("twin", "The plant."));
        document.finish()?;
        // Without an error there is one.
        twin.ok_or_else(Diagnostics::default)
    }

    fn tls(&self) -> Option<TlsTriple> {
        let (ca_file, certificate_file, key_file) =
            (self.ca_file.clone()?, self.certificate_file.clone()?, self.key_file.clone()?);
        Some(TlsTriple { ca_file, certificate_file, key_file })
    }

    fn driver(&self) -> &str {
        let usual = match self.plant {
            PlantWord::TapChanger | PlantWord::GridEmulator => "register-map",
            PlantWord::PvInverter | PlantWord::Battery => "sunspec",
        };
        self.driver.as_deref().unwrap_or(usual)
    }
}

pub(super) async fn simulate(args: &SimulateArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let twin = match args.twin() {
        Ok(twin) => twin,
        Err(diagnostics) => return Ok(refuse(&diagnostics, false)),
    };
    let Some(driver) = DRIVERS.iter().find(|driver| driver.name() == args.driver()) else {
        let names: Vec<&str> = DRIVERS.iter().map(|driver| driver.name()).collect();
        eprintln!("--driver: there is no driver {}; there are {}", args.driver(), names.join(", "));
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    };
    context.watch_signals("stopping")?;
    let wish = ServeWish {
        at: args.bind.clone(),
        unit: args.unit,
        device_id: args.device_id.clone(),
        topic_prefix: args.topic_prefix.clone(),
        interval: None,
        tls: args.tls(),
    };
    let served = driver.serve(&wish, &twin, &context.clock).await?;
    println!("serving at {}", served.told);
    context.cancel.cancelled().await;
    drop(served);
    Ok(ExitCode::SUCCESS)
}
