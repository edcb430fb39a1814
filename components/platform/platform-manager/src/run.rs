//! `gridloop run`: a whole simulation in one process.
//!
//! The order is the point. Everything listens before the manager speaks; devices are opened and read before that. At
//! the end, whatever the reason, the devices are put into their safe state first, then the components end, the log is
//! flushed and the report is written.

use crate::check::refuse;
use crate::cli::RunArgs;
use crate::configuration::Configuration;
use crate::context::{Context, DEADLINES_MISSED, FAILED, runtime};
use crate::display::Display;
use crate::folder::RunFolder;
use crate::report::{BusReport, RunReport};
use crate::services::{Parts, Strays, bus_for};
use crate::summary::summary;
use anyhow::Context as _;
use gridloop_clock::until;
use gridloop_gateway::{Gateway, Timing};
use gridloop_logging::RunLog;
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_realtime_manager::{Pace, PacerThread, Report, Settings};
use std::process::ExitCode;
use std::time::Duration;

/// How long components may take to end once the manager has.
const COMPONENTS_END_WITHIN: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let configuration = match Configuration::load(&args.configuration) {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(refuse(&diagnostics, args.configuration.json)),
    };
    let context = Context::new()?;
    let id = context.simulation_id(args.simulation_id.as_deref())?;
    let settings = configuration.manager_settings(&id, false);
    let problems = settings.problems();
    if !problems.is_empty() {
        for problem in problems {
            eprintln!("{}: {problem}", args.configuration.config.display());
        }
        return Ok(ExitCode::from(crate::context::BAD_CONFIGURATION));
    }
    let runtime = runtime()?;
    let (report, folder) = runtime.block_on(session(args, configuration, settings, &id, &context))?;
    // Threads that still wait for a socket or a file have nothing left to say.
    runtime.shutdown_timeout(Duration::from_millis(200));
    if args.configuration.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", summary(&report, &folder.report()));
    }
    Ok(match (report.is_sound(), args.strict && report.missed_deadlines()) {
        (false, _) => ExitCode::from(FAILED),
        (true, true) => ExitCode::from(DEADLINES_MISSED),
        (true, false) => ExitCode::SUCCESS,
    })
}

async fn session(
    args: &RunArgs,
    configuration: Configuration,
    settings: Settings,
    id: &SimulationId,
    context: &Context,
) -> anyhow::Result<(RunReport, RunFolder)> {
    context.watch_signals()?;
    let started_at = Timestamp::from(context.clock.utc()).to_string();
    let bus = bus_for(&configuration, id, "gridloop", &context.clock).await?;
    let folder = RunFolder::create(&args.runs, id, &configuration.text)?;
    let paced = settings.period();
    let log = RunLog::start(&folder.messages(), &bus.session(), context.clock.clone(), paced.is_some()).await?;
    let mut display = Display::new(&context.terminal, settings.epochs, args.configuration.json);
    display.line(&headline(&configuration, &settings));

    let Configuration { components, devices, bus: bus_settings, simulation, .. } = configuration;
    let (gateway, started) = Gateway::start(devices, Timing { period: paced }, &context.clock).await?;
    for device in &started {
        display.line(&format!("  {:<8} {}", device.name, device.headline));
        for remark in &device.remarks {
            display.line(&format!("  {:<8} {remark}", ""));
        }
    }
    let known = settings.components.clone();
    let strays = Strays::watch(&bus.session(), known).await?;
    let joined = Parts::join(components, started, id, &bus, &context.clock).await;
    let managed = match joined {
        Ok(parts) => {
            let managed = manage(settings, bus.session(), context, &mut display).await;
            parts.end(&context.clock, COMPONENTS_END_WITHIN).await;
            managed
        }
        Err(error) => Err(error),
    };
    let devices = gateway.end().await;
    let setpoints_for_nobody = strays.end();
    let _ = bus.flush().await;
    let log = log.finish().await;
    let statistics = bus.statistics();
    bus.close().await;
    let report = RunReport {
        gridloop: env!("CARGO_PKG_VERSION"),
        simulation_id: id.to_string(),
        name: simulation.name,
        started_at,
        ended_at: Timestamp::from(context.clock.utc()).to_string(),
        manager: managed?,
        devices,
        setpoints_for_nobody,
        log,
        bus: BusReport::new(bus_settings.url.to_string(), &statistics),
    };
    report.write(&folder.report())?;
    if let Some(path) = &args.report {
        report.write(path)?;
    }
    Ok((report, folder))
}

/// Runs the manager in a task of its own, so that not even a panic in it keeps the devices from being released.
async fn manage(
    settings: Settings,
    bus: gridloop_bus::Bus,
    context: &Context,
    display: &mut Display,
) -> anyhow::Result<Report> {
    let pace = Pace::Thread(PacerThread::start(context.wall.clone())?);
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let manager = gridloop_realtime_manager::run(
        settings,
        bus,
        context.clock.clone(),
        pace,
        context.cancel.clone(),
        move |progress| {
            let _ = sender.send(progress);
        },
    );
    let manager = tokio::spawn(manager);
    while let Some(progress) = receiver.recv().await {
        display.show(&progress);
    }
    manager.await.context("the manager broke off")?.map_err(Into::into)
}

fn headline(configuration: &Configuration, settings: &Settings) -> String {
    let length = settings.epoch_length.as_secs_f64();
    let pace = match settings.period() {
        None => "as fast as everybody is ready".to_owned(),
        Some(period) => format!("one every {} s", period.as_secs_f64()),
    };
    format!(
        "gridloop {}  {}\n{}: {} epochs of {length} s, {pace}; {} components on {}",
        env!("CARGO_PKG_VERSION"),
        settings.simulation_id,
        settings.simulation_name,
        settings.epochs,
        settings.components.len(),
        configuration.bus.url
    )
}

/// Waits for `ended`, at most `within`.
pub(crate) async fn bounded(
    clock: &gridloop_clock::SharedClock,
    within: Duration,
    ended: impl Future<Output = ()>,
) -> bool {
    until(clock.as_ref(), clock.now() + within, ended).await.is_some()
}

