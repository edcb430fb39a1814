//! What people type: [`Cli`].

use crate::{
    check, device, doctor, drill, export, log_reader, log_writer, platform_command, plot, probe, run,
    services, token,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use gridloop_platform_manager::Configuration;
use gridloop_service::Diagnostics;
use std::path::PathBuf;
use std::process::ExitCode;

/// Physical inverters, batteries and tap changers in the loop of a SimCES energy-system simulation.
///
/// Without a command, gridloop runs `configs/scenarios/hil-feeder.toml`: a minute with three simulated devices in the
/// loop of a feeder.
#[derive(Debug, Parser)]
#[command(name = "gridloop", version, after_help = EXIT_CODES, help_template = HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// The commands in groups, which clap does not make by itself. A test keeps the list complete.
const HELP: &str = "\
{about-with-newline}
{usage-heading} {usage}

A simulation in one process:
  run         Run a simulation: manager, gateway, components, simulated devices and log
  check       Check a configuration: every error at once, nothing is started
  schema      Print the JSON Schema of the configuration or of a message type

A SimCES run of several processes:
  platform    Start a run from a SimCES run configuration and manifests
  convert     Turn a SimCES run configuration into one of gridloop

One service of a run:
  manager     Run only the Simulation Manager of a configuration
  gateway     Run only the gateway and its devices
  component   Run only one component
  log-writer  Store every message of a run
  log-reader  Serve stored runs over HTTP
  probe       Tell whether a service answers: for the health checks of containers

Stored runs:
  export      Write a whole run as CSV or JSON lines
  plot        Draw pictures of a run: voltages, powers, taps, charge, prices, currents
  token       Say who may ask the Log Reader

This computer and devices:
  doctor      Tell what stands in the way of real time on this computer, and what to change
  device      Talk to one device, serve a simulated one, or tell a running gateway about one
  drill       Prove on a bench that a device's own fail-safe works

  help        Print this message or the help of the given command

Options:
{options}{after-help}";

const EXIT_CODES: &str = "Exit codes: 0 completed or stopped on request, 1 failed, 2 bad configuration or arguments, \
                          3 deadlines missed, or real-time privileges refused, under --strict.\n\
                          gridloop is no safety device: protection and emergency stop must not depend on it.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a simulation: manager, gateway, components, simulated devices and log in one process.
    Run(RunArgs),
    /// Check a configuration: every error at once, nothing is started.
    Check(CheckArgs),
    /// Tell what stands in the way of real time on this computer, and what to change.
    ///
    /// Looks at the kernel, the processors, limits, containers and clocks, asks for the pacer's privileges, and measures
    /// some wake-ups. Changes nothing. Exit code 1: there is a problem.
    Doctor(DoctorArgs),
    /// Print the JSON Schema of the configuration or of a message type.
    Schema(check::SchemaArgs),
    /// Talk to one device, serve a simulated one, or tell a running gateway about one.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Prove on a bench that a device's own fail-safe works.
    ///
    /// Commands a harmless power, stops renewing it, watches the device fall back by itself, releases it, and writes a
    /// record to be signed. Without --arm the device is only read, and what would be done is told. Exit code 0: passed.
    Drill(drill::DrillArgs),
    /// Run only the Simulation Manager of a configuration.
    Manager(ManagerArgs),
    /// Run only the gateway and its devices.
    Gateway(GatewayArgs),
    /// Run only one component.
    Component(ComponentArgs),
    /// Store every message of a run.
    LogWriter(log_writer::LogWriterArgs),
    /// Serve stored runs over HTTP.
    ///
    /// The REST API of the SimCES Log Reader, with paging, tokens and TLS. /openapi.json tells everything that can be asked.
    LogReader(log_reader::LogReaderArgs),
    /// Write a whole run as CSV or JSON lines.
    Export(export::ExportArgs),
    /// Draw pictures of a run: voltages against their limits, powers, tap positions, states of charge, prices, currents.
    ///
    /// Each is a file, and `overview` has all of them on one axis of time. What came with a warning or of bad quality is
    /// dotted and hatched. A run may still be going on. What could not be drawn is told with the reason; exit code 1: one
    /// that was named with --only could not, or nothing at all.
    Plot(plot::PlotArgs),
    /// Say who may ask the Log Reader.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Tell whether a service answers: for the health checks of containers.
    Probe(probe::ProbeArgs),
    /// Start a run from a SimCES run configuration and manifests.
    ///
    /// Starts the Log Writer, the components in the order of the file and the Simulation Manager, then publishes Start
    /// for components that run already. Broker and database are those of the SimCES environment variables, unless said
    /// otherwise here.
    Platform(PlatformArgs),
    /// Turn a SimCES run configuration into one of gridloop.
    ///
    /// Components that gridloop has become sections of the configuration, the others become external ones.
    Convert(ConvertArgs),
}

/// A SimCES run configuration and what it refers to.
#[derive(Debug, Args)]
pub(crate) struct PlatformInputs {
    /// The SimCES run configuration.
    #[arg(value_name = "RUN.yml")]
    pub(crate) run_file: PathBuf,
    /// A folder of manifests, looked through with its sub-folders. May be repeated; the first manifest of a name counts.
    #[arg(long, value_name = "DIR", required = true, env = "MANIFEST_FOLDER")]
    pub(crate) manifests: Vec<PathBuf>,
    /// Where files are that the run configuration names with `/resources/` in front.
    #[arg(long, value_name = "DIR")]
    pub(crate) resources: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PlatformArgs {
    #[command(flatten)]
    pub(crate) inputs: PlatformInputs,
    /// Follow the run to its end: progress, a stop on Ctrl-C, logs, and an exit code by its outcome.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Print what would be started and said, without passwords, and start nothing.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// What starts the components.
    #[arg(long, value_enum, default_value = "process")]
    pub(crate) runner: RunnerArg,
    /// Pull Docker images that are missing from their registry.
    #[arg(long)]
    pub(crate) pull: bool,
    /// The broker, instead of the RABBITMQ_ variables.
    #[arg(long, value_name = "amqp://USER:PASSWORD@HOST:PORT")]
    pub(crate) broker: Option<String>,
    /// Where the Log Writer stores: `sqlite:DIR` (gridloop's only) or `mongodb://USER:PASSWORD@HOST:PORT/DATABASE`.
    /// Default: the MONGODB_ variables if there are any, else the folder of runs.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

/// What starts the components of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunnerArg {
    /// This machine: each manifest's `Command` is a process.
    Process,
    /// A Docker engine: each manifest's `DockerImage` is a container.
    Docker,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) inputs: PlatformInputs,
    /// Write to this file instead of printing; file names in it are as seen from its folder.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// A configuration and what is changed in it.
#[derive(Debug, Args)]
pub(crate) struct ConfigurationArgs {
    /// The configuration.
    #[arg(default_value = "configs/scenarios/hil-feeder.toml")]
    pub(crate) config: PathBuf,
    /// Override a value, such as `device.PV_large.address=tcp://192.0.2.10:502`. May be repeated.
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
        Configuration::load(&self.config, &self.overrides())
    }

    /// Everything that the command line changes.
    pub(crate) fn overrides(&self) -> Vec<String> {
        let special = [
            self.bus.as_ref().map(|url| format!("bus.url={url}")),
            self.epochs.map(|epochs| format!("simulation.epochs={epochs}")),
            self.speed.as_ref().map(|speed| format!("manager.speed={speed}")),
        ];
        self.set.iter().cloned().chain(special.into_iter().flatten()).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    /// Write the report to this file as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Exit with 3 when a deadline was missed, and before anything starts where a real-time privilege is refused.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Go on with a run that broke off: its folder, or its name in the folder of runs.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["simulation_id", "config"])]
    pub(crate) resume: Option<PathBuf>,
    /// Serve the measurements of the run to Prometheus, on http://ADDR/metrics.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<String>,
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
    #[arg(long, value_name = "ID", env = "SIMULATION_ID", required_unless_present = "from_environment")]
    pub(crate) simulation_id: Option<String>,
    /// Take everything from SimCES environment variables, as a process of a SimCES platform does, and nothing from a
    /// configuration.
    #[arg(long, conflicts_with_all = ["config", "set", "bus", "epochs", "speed", "json"])]
    pub(crate) from_environment: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// Where the audit log is kept, and the socket by which `gridloop device` tells this gateway things.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ManagerArgs {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// Write every epoch to this file before it begins, and go on with the run that is in it, if there is one: after
    /// a crash the same command continues the run.
    #[arg(long, value_name = "FILE", conflicts_with = "from_environment")]
    pub(crate) journal: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print machine-readable JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ComponentArgs {
    /// The component's name in the configuration.
    #[arg(required_unless_present = "from_environment")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// What to be, with --from-environment.
    #[arg(long, value_enum, requires = "from_environment", required_if_eq("from_environment", "true"))]
    pub(crate) kind: Option<KindArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KindArg {
    /// A load or generator from a CSV file: SimCES's StaticTimeSeriesResource.
    StaticTimeSeries,
    /// Setpoints for resources from a CSV file.
    SetpointSeries,
    /// A component that takes its time and fails at random: SimCES's Dummy.
    Dummy,
    /// A component that adds up the numbers of others: SimCES's SimpleComponent.
    Simple,
    /// A storage that obeys setpoints or a CSV file: SimCES's StorageResource.
    Storage,
    /// What loads and generators will do, from CSV files: SimCES's StaticTimeSeriesResourceForecaster.
    ResourceForecaster,
    /// What energy will cost, from a CSV file: SimCES's PriceForecaster.
    PriceForecaster,
    /// Setpoints by the plans of an economic dispatch: SimCES's Controller.
    Controller,
    /// A plan of an energy community at least cost: SimCES's EconomicDispatch.
    EconomicDispatch,
    /// Buses and branches of a network, from a JSON file: SimCES's NIS.
    Nis,
    /// Who is connected where, from a JSON file: SimCES's CIS.
    Cis,
    /// The power flow of a network that NIS and CIS tell: SimCES's Grid.
    Grid,
    /// The same for what is forecast: SimCES's NetworkStatePredictor.
    NetworkStatePredictor,
    /// A watch over voltages and currents: State Monitoring of SimCES's documentation.
    StateMonitoring,
    /// A market for flexibility: SimCES's LFM.
    LocalFlexibilityMarket,
    /// A generator that settles with its loads on a voltage in each epoch.
    DroopGenerator,
    /// A load that settles with its generator.
    VoltageDependentLoad,
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            None => run::run(&RunArgs::demo()),
            Some(Command::Run(args)) => run::run(&args),
            Some(Command::Check(args)) => check::check(&args.configuration),
            Some(Command::Doctor(args)) => doctor::doctor(&args),
            Some(Command::Schema(args)) => check::schema(&args),
            Some(Command::Device(command)) => device::run(command),
            Some(Command::Drill(args)) => drill::run(&args),
            Some(Command::Manager(args)) => services::manager(&args),
            Some(Command::Gateway(args)) => services::gateway(&args),
            Some(Command::Component(args)) => services::component(&args),
            Some(Command::LogWriter(args)) => log_writer::log_writer(&args),
            Some(Command::LogReader(args)) => log_reader::log_reader(&args),
            Some(Command::Export(args)) => export::export(&args),
            Some(Command::Plot(args)) => plot::plot(&args),
            Some(Command::Token(command)) => token::run(command),
            Some(Command::Probe(args)) => probe::probe(&args),
            Some(Command::Platform(args)) => platform_command::platform(&args),
            Some(Command::Convert(args)) => platform_command::convert(&args),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_help_lists_every_command_once() {
        let listed: Vec<&str> =
            HELP.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
        let mut expected: Vec<String> =
            Cli::command().get_subcommands().map(|it| it.get_name().to_owned()).collect();
        expected.push("help".to_owned());
        expected.sort();
        let mut sorted = listed.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "the groups of commands in HELP");
    }
}
