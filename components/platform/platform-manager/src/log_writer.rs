//! `gridloop log-writer`: stores every message of a run, or what is announced on the management exchange.

use crate::check::refuse;
use crate::cli::ConfigurationArgs;
use crate::context::{BAD_CONFIGURATION, Context, FAILED, runtime};
use crate::from_environment::{refused, serve};
use clap::Args;
use gridloop_bus::{Bus, BusUrl, Exchange, run_exchange};
use gridloop_logging::{StoreUrl, WriterSettings, run_log_writer};
use gridloop_platform_manager::environment::{LogWriterVariables, Reader, Variables};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Where a SimCES platform announces its runs.
const MANAGEMENT_EXCHANGE: &str = "procem-management";

#[derive(Debug, Args)]
pub(crate) struct LogWriterArgs {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// The id of the run.
    #[arg(long, value_name = "ID", env = "SIMULATION_ID",
          required_unless_present_any = ["management", "from_environment"])]
    simulation_id: Option<String>,
    /// Store what is announced on the management exchange instead of a run, until stopped.
    #[arg(long)]
    management: bool,
    /// Override the store: `sqlite:DIR` or `mongodb://user:password@host:port/database`.
    #[arg(long, value_name = "URL")]
    store: Option<StoreUrl>,
    /// Override the folder in which messages wait for a MongoDB that is away.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Override the exchange.
    #[arg(long, value_name = "NAME")]
    exchange: Option<String>,
    /// Take everything from SimCES environment variables, and nothing from a configuration.
    #[arg(long, conflicts_with_all = ["config", "set", "bus", "epochs", "speed", "json", "management", "store",
                                      "spool", "exchange"])]
    from_environment: bool,
}

/// `gridloop log-writer`
pub(crate) fn log_writer(args: &LogWriterArgs) -> anyhow::Result<ExitCode> {
    if args.from_environment {
        return from_environment();
    }
    let configuration = match args.configuration.load() {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(refuse(&diagnostics, args.configuration.json)),
    };
    if matches!(configuration.bus.url, BusUrl::Memory) {
        eprintln!("a service of its own needs a broker that it shares with the others: --bus amqp://...");
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    }
    let context = Context::new()?;
    let given = args.simulation_id.as_deref().filter(|_| !args.management);
    let run = given.map(|id| context.simulation_id(Some(id))).transpose()?;
    let exchange = match (&run, &args.exchange) {
        (Some(id), name) => {
            let usual = || run_exchange(&configuration.bus.exchange_prefix, &id.compact());
            Exchange::run(name.clone().unwrap_or_else(usual))
        }
        (None, name) => Exchange::management(name.as_deref().unwrap_or(MANAGEMENT_EXCHANGE)),
    };
    let store = args.store.clone().unwrap_or(configuration.log.store);
    let spool = args.spool.clone().unwrap_or(configuration.log.spool);
    let settings = WriterSettings::new(run, store, spool);
    let connect = configuration.bus.connect(exchange, "log-writer");
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        context.watch_signals("stopping")?;
        let bus = Bus::connect(&connect, context.clock.clone()).await?;
        let code = write(settings, bus.clone(), &context).await;
        bus.close().await;
        code
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    code
}

/// `gridloop log-writer --from-environment`
fn from_environment() -> anyhow::Result<ExitCode> {
    let variables: Variables = std::env::vars_os().collect();
    let reader = Reader::new(&variables);
    let LogWriterVariables { common, settings } = LogWriterVariables::read(&reader);
    if let Err(errors) = reader.finish() {
        return Ok(refused(&errors));
    }
    serve((common, settings), async |settings, _, bus, context| write(settings, bus, context).await)
}

/// Writes until the run is over, and prints what was stored.
async fn write(settings: WriterSettings, bus: Bus, context: &Context) -> anyhow::Result<ExitCode> {
    let store = settings.store.to_string();
    let ready = || tracing::info!(store, "the log is being written");
    let summary = run_log_writer(settings, bus, context.clock.clone(), context.cancel.clone(), ready).await?;
    println!("{}", serde_json::to_string_pretty(&summary)?);
    if summary.spool.waiting > 0 {
        eprintln!(
            "gridloop: {} messages wait in the spool; start the Log Writer again when its store is back",
            summary.spool.waiting
        );
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::SUCCESS)
}
