//! What people type: [`Cli`].

use crate::{check, device, run, services};
use clap::{Args, Parser, Subcommand};
use gridloop_platform_manager::Configuration;
use gridloop_service::Diagnostics;
use std::path::PathBuf;
use std::process::ExitCode;

/// Physical inverters, batteries and tap changers in the loop of a SimCES energy-system simulation.
///
/// Without a command, gridloop runs `configs/demo.toml`: a minute of a sunny afternoon with two simulated devices.
#[derive(Debug, Parser)]
#[command(name = "gridloop", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 completed or stopped on request, 1 failed, 2 bad configuration or arguments, \
                          3 deadlines missed under --strict.\n\
                          gridloop is no safety device: protection and emergency stop must not depend on it.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a simulation: manager, gateway, components, simulated devices and log in one process.
    Run(RunArgs),
    /// Check a configuration: every error at once, nothing is started.
    Check(CheckArgs),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Talk to one device, or serve a simulated one.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Run only the Simulation Manager of a configuration.
    Manager(ServiceArgs),
    /// Run only the gateway and its devices.
    Gateway(ServiceArgs),
    /// Run only one component.
    Component(ComponentArgs),
}

/// A configuration and what is changed in it.
#[derive(Debug, Args)]
pub(crate) struct ConfigurationArgs {
    /// The configuration.
    #[arg(default_value = "configs/demo.toml")]
    pub(crate) config: PathBuf,
    /// Override a value, such as `device.pv1.address=tcp://192.0.2.10:502`. May be repeated.
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// Override the bus: `memory:` or `amqp://user:password@host:port/vhost`.
    #[arg(long, value_name = "URL")]
    pub(crate) bus: Option<String>,
    /// Override the number of epochs.
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<u64>,
    /// Override the speed: 1 is wall clock, 10 ten times faster, `max` as fast as everybody is ready.
    #[arg(long, value_name = "N")]
    pub(crate) speed: Option<String>,
    /// Print machine-readable JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ConfigurationArgs {
    /// Loads the configuration with everything that the command line changes in it.
    pub(crate) fn load(&self) -> Result<Configuration, Diagnostics> {
        let special = [
            self.bus.as_ref().map(|url| format!("bus.url={url}")),
            self.epochs.map(|epochs| format!("simulation.epochs={epochs}")),
            self.speed.as_ref().map(|speed| format!("manager.speed={speed}")),
        ];
        let overrides: Vec<String> = self.set.iter().cloned().chain(special.into_iter().flatten()).collect();
        Configuration::load(&self.config, &overrides)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    /// Write the report to this file as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Exit with 3 when an epoch was late or skipped.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// The id of the run, a UTC time like 2026-06-21T12:00:00.000Z. Default: now.
    #[arg(long, value_name = "ID")]
    pub(crate) simulation_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    /// The id of the run, the same for all its processes.
    #[arg(long, value_name = "ID", env = "SIMULATION_ID")]
    pub(crate) simulation_id: String,
}

#[derive(Debug, Args)]
pub(crate) struct ComponentArgs {
    /// The component's name in the configuration.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            None => run::run(&RunArgs::demo()),
            Some(Command::Run(args)) => run::run(&args),
            Some(Command::Check(args)) => check::check(&args.configuration),
            Some(Command::Schema) => check::schema(),
            Some(Command::Device(command)) => device::run(command),
            Some(Command::Manager(args)) => services::manager(&args),
            Some(Command::Gateway(args)) => services::gateway(&args),
            Some(Command::Component(args)) => services::component(&args.name, &args.service),
        }
    }
}

impl RunArgs {
    /// What plain `gridloop` does.
    fn demo() -> Self {
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            run: RunArgs,
        }
        Only::parse_from(["gridloop"]).run
    }
}
