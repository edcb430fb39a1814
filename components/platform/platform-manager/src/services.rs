//! One service of a run that is spread over several processes or hosts: `gridloop manager`, `gridloop gateway` and
//! `gridloop component`, each from a configuration or, as a process of a SimCES platform, from its environment.

use crate::check::refuse;
use crate::cli::{ComponentArgs, GatewayArgs, ManagerArgs, ServiceArgs};
use crate::context::{BAD_CONFIGURATION, Context, FAILED, runtime};
use crate::from_environment;
use anyhow::{Context as _, anyhow, bail};
use futures_util::FutureExt;
use gridloop_bus::{Bus, BusUrl};
use gridloop_gateway::{Audit, Control, Gateway, Surroundings, Timing};
use gridloop_messages::SimulationId;
use gridloop_metrics::Metrics;
use gridloop_platform_manager::{
    AUDIT_FOLDER, CONTROL_SOCKET, ComponentSettings, Configuration, Manager, Membership, Parts, bus_for,
};
use gridloop_realtime_manager::{
    Equipment, Journal, Outcome, Pace, PacerSettings, PacerThread, Progress, RunError, Settings, Speed,
};
use std::panic::AssertUnwindSafe;
use std::path::Path;
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
    let id = context.simulation_id(args.simulation_id.as_deref())?;
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        context.watch_signals("stopping")?;
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
pub(crate) fn manager(args: &ManagerArgs) -> anyhow::Result<ExitCode> {
    if args.service.from_environment {
        return from_environment::manager();
    }
    let work = async |mut configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        configuration.make_room_for_epoch_1();
        let settings = configuration.manager_settings(&id, true);
        let journal = args.journal.as_ref().map(|file| Journal::open(file, &settings)).transpose()?;
        manage(settings, configuration.manager.pacer, journal, bus, context).await
    };
    serve(&args.service, work, "manager")
}

/// Manages a run and prints the manager's report.
pub(crate) async fn manage(
    settings: Settings,
    pacer: PacerSettings,
    journal: Option<Journal>,
    bus: Bus,
    context: &Context,
) -> anyhow::Result<ExitCode> {
    let pace = match settings.speed {
        Speed::Max => Pace::Clock(context.clock.clone()),
        Speed::Times(_) => Pace::Thread(PacerThread::start(context.wall.clone(), pacer)?),
    };
    let equipment = Equipment { pace, journal, metrics: Metrics::default() };
    let (clock, cancel) = (context.clock.clone(), context.cancel.clone());
    let told = |progress| {
        if let Progress::Running { missing } = &progress {
            eprintln!("waiting for {}", missing.join(", "));
        }
        tracing::info!(?progress);
    };
    let report = match gridloop_realtime_manager::run(settings, bus, clock, equipment, cancel, told).await {
        // Whoever starts the command again and again after failures is to stop here.
        Err(error @ RunError::Finished) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
        ran => ran?,
    };
    println!("{}", serde_json::to_string_pretty(&report)?);
    if report.outcome != Outcome::Failed {
        return Ok(ExitCode::SUCCESS);
    }
    // Last, so that it is what is seen of a long log.
    context.end_log();
    eprintln!("FAILED: {}", report.reason);
    Ok(ExitCode::from(FAILED))
}

/// `gridloop gateway`
pub(crate) fn gateway(args: &GatewayArgs) -> anyhow::Result<ExitCode> {
    if args.service.from_environment {
        return from_environment::gateway(&args.runs);
    }
    let work = async |configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        let manager = configuration.manager.name.clone();
        serve_devices(configuration, Some(&manager), &id, &bus, &args.runs, context).await
    };
    serve(&args.service, work, "gateway")
}

/// Serves the devices of a configuration until the run is over, and prints what became of each. The audit log and the
/// socket for words by hand are in the folder `runs`.
pub(crate) async fn serve_devices(
    configuration: Configuration,
    manager: Option<&str>,
    id: &SimulationId,
    bus: &Bus,
    runs: &Path,
    context: &Context,
) -> anyhow::Result<ExitCode> {
    let period = configuration.manager_settings(id, true).period();
    let membership = membership(&configuration, manager, id, bus, context)?;
    let folder = runs.join(AUDIT_FOLDER);
    let audit = Audit::open(&folder, &id.to_string(), context.clock.clone())
        .with_context(|| format!("cannot keep the audit log in {}", folder.display()))?;
    let surroundings = Surroundings {
        audit,
        total: configuration.total,
        ..Surroundings::new(Timing { period }, &context.clock)
    };
    let (gateway, started) = Gateway::start(configuration.devices, surroundings).await?;
    let _control = Control::serve(&runs.join(CONTROL_SOCKET), gateway.controls(), context.clock.clone())
        .inspect_err(|error| tracing::warn!("this gateway cannot be told anything by hand: {error}"));
    for device in &started {
        println!("{:<8} {}", device.name, device.headline);
    }
    // Not even a panic keeps the devices from being released, and nothing that can fail comes before it.
    let serving = async {
        let parts = Parts::join(Vec::new(), started, membership.membership).await?;
        anyhow::Ok(parts.serve(&context.cancel).await)
    };
    let served = AssertUnwindSafe(serving).catch_unwind().await;
    let served = served.unwrap_or_else(|_| Err(anyhow!("the gateway broke off: a bug")));
    let devices = gateway.end().await;
    println!("{}", serde_json::to_string_pretty(&devices)?);
    let regular = served?;
    let unknown = devices.iter().any(|device| device.left.starts_with("unknown"));
    Ok(if unknown || !regular { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// `gridloop component NAME`
pub(crate) fn component(args: &ComponentArgs) -> anyhow::Result<ExitCode> {
    let Some(name) = &args.name else { return from_environment::component(args.kind) };
    let work = async |configuration: Configuration, id: SimulationId, bus: Bus, context: &Context| {
        let membership = membership(&configuration, Some(&configuration.manager.name), &id, &bus, context)?;
        let names: Vec<String> = configuration.components.iter().map(|it| it.name.clone()).collect();
        let mut components = configuration.components;
        components.retain(|component| component.name == *name);
        if components.is_empty() {
            bail!("no component `{name}` in this configuration; it has {}", names.join(", "));
        }
        serve_components(components, membership.membership, context).await
    };
    serve(&args.service, work, name)
}

/// What the components of a process need, and the thread that lets them begin at the instants of epochs which are
/// published before them; there is none where they are not.
struct Sharp {
    membership: Membership,
    _thread: Option<PacerThread>,
}

fn membership(
    configuration: &Configuration,
    manager: Option<&str>,
    id: &SimulationId,
    bus: &Bus,
    context: &Context,
) -> anyhow::Result<Sharp> {
    let Manager { release_lead, pacer, .. } = &configuration.manager;
    let thread = match release_lead.is_zero() {
        true => None,
        false => Some(PacerThread::start(context.wall.clone(), *pacer)?),
    };
    let openings = thread.as_ref().map_or_else(|| context.clock.clone(), PacerThread::clock);
    let manager = manager.map(ToOwned::to_owned);
    let membership = Membership { manager, openings, ..Membership::new(id, bus, &context.clock) };
    Ok(Sharp { membership, _thread: thread })
}

/// Lets components take part in a run until it is over.
pub(crate) async fn serve_components(
    components: Vec<ComponentSettings>,
    membership: Membership,
    context: &Context,
) -> anyhow::Result<ExitCode> {
    let parts = Parts::join(components, Vec::new(), membership).await?;
    let regular = parts.serve(&context.cancel).await;
    Ok(if regular { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
