//! One service of a configuration, for runs that are spread over several processes or hosts: `gridloop manager`,
//! `gridloop gateway` and `gridloop component`.

use crate::check::refuse;
use crate::cli::ServiceArgs;
use crate::context::{BAD_CONFIGURATION, Context, FAILED, runtime};
use anyhow::bail;
use gridloop_bus::{Bus, BusUrl};
use gridloop_gateway::{Gateway, Timing};
use gridloop_messages::SimulationId;
use gridloop_platform_manager::{Configuration, Parts, bus_for};
use gridloop_realtime_manager::{Outcome, Pace, PacerThread};
use std::process::ExitCode;
use std::time::Duration;

/// Loads the configuration of a service and runs `work` with it over its broker.
fn serve(
    args: &ServiceArgs,
    work: impl AsyncFnOnce(Configuration, SimulationId, Bus, &Context) -> anyhow::Result<ExitCode>,
    name: &str,
) -> anyhow::Result<ExitCode> {
    let configuration = match args.configuration.load() {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(refuse(&diagnostics, args.configuration.json)),
    };
    if matches!(configuration.bus.url, BusUrl::Memory) {
        eprintln!("a service of its own needs a broker that it shares with the others: --bus amqp://...");
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    }
    let context = Context::new()?;
    let id = context.simulation_id(Some(&args.simulation_id))?;
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        context.watch_signals()?;
        let bus = bus_for(&configuration, &id, name, &context.clock).await?;
        let code = work(configuration, id, bus.clone(), &context).await;
        let _ = bus.flush().await;
        bus.close().await;
        code
    })?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(code)
}

/// `gridloop manager`
pub(crate) fn manager(args: &ServiceArgs) -> anyhow::Result<ExitCode> {
    let work = async |configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        let settings = configuration.manager_settings(&id, true);
        let pace = Pace::Thread(PacerThread::start(context.wall.clone())?);
        let cancel = context.cancel.clone();
        let clock = context.clock.clone();
        let told = |progress| tracing::info!(?progress);
        let report = gridloop_realtime_manager::run(settings, bus, clock, pace, cancel, told).await?;
        println!("{}", serde_json::to_string_pretty(&report)?);
        Ok(if report.outcome == Outcome::Failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    };
    serve(args, work, "manager")
}

/// `gridloop gateway`
pub(crate) fn gateway(args: &ServiceArgs) -> anyhow::Result<ExitCode> {
    let work = async |configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        let period = configuration.manager_settings(&id, true).period();
        let manager = configuration.manager.name;
        let (gateway, started) =
            Gateway::start(configuration.devices, Timing { period }, &context.clock).await?;
        for device in &started {
            println!("{:<8} {}", device.name, device.headline);
        }
        let joined = Parts::join(Vec::new(), started, &manager, &id, &bus, &context.clock).await;
        let served = match joined {
            Ok(parts) => {
                parts.serve(&context.cancel).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        let devices = gateway.end().await;
        println!("{}", serde_json::to_string_pretty(&devices)?);
        served?;
        let unknown = devices.iter().any(|device| device.left.starts_with("unknown"));
        Ok(if unknown { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    };
    serve(args, work, "gateway")
}

/// `gridloop component NAME`
pub(crate) fn component(name: &str, args: &ServiceArgs) -> anyhow::Result<ExitCode> {
    let work = async |configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        let names: Vec<String> = configuration.components.iter().map(|it| it.name.clone()).collect();
        let mut components = configuration.components;
        components.retain(|component| component.name == name);
        if components.is_empty() {
            bail!("no component `{name}` in this configuration; it has {}", names.join(", "));
        }
        Parts::join(components, Vec::new(), &configuration.manager.name, &id, &bus, &context.clock)
            .await?
            .serve(&context.cancel)
            .await;
        Ok(ExitCode::SUCCESS)
    };
    serve(args, work, name)
}
