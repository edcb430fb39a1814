//! `gridloop run`: a whole simulation in this process, shown to a person.

use crate::check::refuse;
use crate::cli::RunArgs;
use crate::context::{BAD_CONFIGURATION, Context, DEADLINES_MISSED, FAILED, runtime};
use crate::display::{Display, print_line};
use crate::folder::RunFolder;
use crate::summary::summary;
use anyhow::Context as _;
use gridloop_messages::SimulationId;
use gridloop_platform_manager::{Configuration, RunReport, Session, bus_for};
use gridloop_realtime_manager::{Pace, PacerThread, Settings};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let configuration = match args.configuration.load() {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(refuse(&diagnostics, args.configuration.json)),
    };
    let context = Context::new()?;
    let id = match context.simulation_id(args.simulation_id.as_deref()) {
        Ok(id) => id,
        Err(error) => {
            eprintln!("--simulation-id: {error}");
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
    };
    let settings = configuration.manager_settings(&id, false);
    let problems = settings.problems();
    if !problems.is_empty() {
        for problem in problems {
            eprintln!("{}: {problem}", args.configuration.config.display());
        }
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    }
    let runtime = runtime()?;
    let (report, folder) = runtime.block_on(session(args, configuration, &settings, &id, &context))?;
    // Threads that still wait for a socket or a file have nothing left to say.
    runtime.shutdown_timeout(Duration::from_millis(200));
    let written = write(args, &report, &folder);
    if args.configuration.json {
        print_line(&serde_json::to_string_pretty(&report)?);
    } else {
        print_line(summary(&report, &folder.report()).trim_end());
    }
    written?;
    Ok(match (report.is_sound(), args.strict && report.missed_deadlines()) {
        (false, _) => ExitCode::from(FAILED),
        (true, true) => ExitCode::from(DEADLINES_MISSED),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn write(args: &RunArgs, report: &RunReport, folder: &RunFolder) -> anyhow::Result<()> {
    report.write(&folder.report())?;
    args.report.iter().try_for_each(|path| report.write(path))
}

async fn session(
    args: &RunArgs,
    configuration: Configuration,
    settings: &Settings,
    id: &SimulationId,
    context: &Context,
) -> anyhow::Result<(RunReport, RunFolder)> {
    context.watch_signals("stopping: the devices are being released")?;
    if let Some(path) = &args.report {
        // Better now than after the run.
        std::fs::File::create(path).with_context(|| format!("cannot write the report {}", path.display()))?;
    }
    let bus = bus_for(&configuration, id, "gridloop", &context.clock).await?;
    let folder = RunFolder::create(&args.runs, id, &configuration)?;
    let mut display = Display::new(&context.terminal, settings.epochs, args.configuration.json);
    display.line(&headline(&configuration, settings));
    let session = Session {
        id: id.clone(),
        bus,
        clock: context.clock.clone(),
        cancel: context.cancel.clone(),
        messages: Some(folder.messages()),
    };
    let pace = Pace::Thread(PacerThread::start(context.wall.clone())?);
    let report = session.run(pace, configuration, |told| display.tell(&told)).await?;
    Ok((report, folder))
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
