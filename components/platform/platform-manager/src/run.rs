//! `gridloop run`: a whole simulation in this process, shown to a person.

use crate::check::refuse;
use crate::cli::RunArgs;
use crate::context::{BAD_CONFIGURATION, Context, DEADLINES_MISSED, FAILED, background, runtime};
use crate::display::{Display, print_line};
use crate::folder::RunFolder;
use crate::metrics_page;
use crate::summary::summary;
use anyhow::{Context as _, bail};
use gridloop_messages::SimulationId;
use gridloop_metrics::Metrics;
use gridloop_platform_manager::{Configuration, RunReport, Session, bus_for, is_special};
use gridloop_realtime_manager::{Journal, Pace, PacerThread, Settings, Speed};
use std::fs::OpenOptions;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Handle;

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let context = Context::new()?;
    let code = begin(args, &context);
    context.end_log();
    code
}

/// A run that is to be begun, or gone on with.
struct Planned {
    configuration: Configuration,
    settings: Settings,
    id: SimulationId,
    /// The folder of a run that broke off, and its journal.
    resumed: Option<(RunFolder, Journal)>,
}

fn begin(args: &RunArgs, context: &Context) -> anyhow::Result<ExitCode> {
    if let Some(Err(error)) = args.report.as_deref().map(can_be_written) {
        eprintln!("--report: {error:#}");
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    }
    let mut planned = match plan(args, context)? {
        Ok(planned) => planned,
        Err(code) => return Ok(code),
    };
    planned.configuration.make_room_for_epoch_1();
    let problems = planned.settings.problems();
    if !problems.is_empty() {
        for problem in problems {
            eprintln!("{}: {problem}", args.configuration.config.display());
        }
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    }
    let pace = match planned.settings.speed {
        Speed::Max => Pace::Clock(context.clock.clone()),
        Speed::Times(_) => {
            Pace::Thread(PacerThread::start(context.wall.clone(), planned.configuration.manager.pacer)?)
        }
    };
    if args.strict
        && let Pace::Thread(thread) = &pace
        && thread.granted().all_refusals().next().is_some()
    {
        for refusal in thread.granted().all_refusals() {
            eprintln!("{refusal}");
        }
        eprintln!("--strict: nothing was started; `gridloop doctor` tells more");
        return Ok(ExitCode::from(DEADLINES_MISSED));
    }
    let (runtime, background) = (runtime()?, background()?);
    let session = session(args, planned, pace, context, background.handle());
    let ran = runtime.block_on(session);
    // Threads that still wait for a socket or a file have nothing left to say.
    runtime.shutdown_timeout(Duration::from_millis(200));
    background.shutdown_timeout(Duration::from_millis(200));
    let (report, folder) = ran?;
    let written = write(args, &report, &folder);
    context.end_log();
    let shown = if args.configuration.json {
        print_line(&serde_json::to_string_pretty(&report)?)
    } else {
        print_line(summary(&report, &folder.report()).trim_end())
    };
    written?;
    shown?;
    Ok(match (report.is_sound(), args.strict && report.missed_deadlines()) {
        (false, _) => ExitCode::from(FAILED),
        (true, true) => ExitCode::from(DEADLINES_MISSED),
        (true, false) => ExitCode::SUCCESS,
    })
}

/// What is to be run: a configuration, or the run of a folder.
fn plan(args: &RunArgs, context: &Context) -> anyhow::Result<Result<Planned, ExitCode>> {
    let bad = ExitCode::from(BAD_CONFIGURATION);
    if let Some(run) = &args.resume {
        return Ok(plan_to_resume(args, run).map_err(|error| {
            eprintln!("--resume: {error:#}");
            bad
        }));
    }
    let configuration = match args.configuration.load() {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(Err(refuse(&diagnostics, args.configuration.json))),
    };
    for remark in configuration.remarks() {
        tracing::warn!("{remark}");
    }
    let id = match context.simulation_id(args.simulation_id.as_deref()) {
        Ok(id) => id,
        Err(error) => {
            eprintln!("--simulation-id: {error}");
            return Ok(Err(bad));
        }
    };
    let settings = configuration.manager_settings(&id, false);
    Ok(Ok(Planned { configuration, settings, id, resumed: None }))
}

fn plan_to_resume(args: &RunArgs, run: &Path) -> anyhow::Result<Planned> {
    let (folder, begun) = RunFolder::find(&args.runs, run)?;
    let id = SimulationId::parse(&begun.simulation_id).context("the run's id")?;
    let configuration = begun.load(&args.configuration.overrides())?;
    let settings = configuration.manager_settings(&id, false);
    let journal = Journal::open(&folder.journal(), &settings)?;
    let Some(past) = journal.past() else {
        bail!(
            "{} is empty: the run had not begun when it broke off, or its journal is lost; begin a new one",
            folder.journal().display()
        );
    };
    if past.is_finished() {
        let report = if folder.report().exists() { "" } else { ", though it was killed before its report" };
        bail!(
            "the run in {} has come to its end{report}; there is nothing to resume",
            folder.journal().display()
        );
    }
    if past.torn_bytes > 0 {
        tracing::info!(
            "{} bytes that were half written when the run broke off were cut off",
            past.torn_bytes
        );
    }
    Ok(Planned { configuration, settings, id, resumed: Some((folder, journal)) })
}

fn write(args: &RunArgs, report: &RunReport, folder: &RunFolder) -> anyhow::Result<()> {
    report.write(&folder.report())?;
    args.report.iter().try_for_each(|path| report.write(path))
}

async fn session(
    args: &RunArgs,
    planned: Planned,
    pace: Pace,
    context: &Context,
    background: &Handle,
) -> anyhow::Result<(RunReport, RunFolder)> {
    let Planned { configuration, settings, id, resumed } = planned;
    context.watch_signals("stopping: the devices are being released")?;
    let metrics = match &args.metrics {
        None => Metrics::default(),
        Some(address) => {
            let metrics = Metrics::shown();
            let url = metrics_page::serve(address, metrics.clone(), background)
                .await
                .with_context(|| format!("cannot serve --metrics {address}"))?;
            eprintln!("serving metrics on {url}");
            metrics
        }
    };
    let resumes = resumed.is_some();
    let bus = bus_for(&configuration, &id, "gridloop", &context.clock).await?;
    let (folder, journal) = match resumed {
        Some(resumed) => resumed,
        None => {
            let file = &args.configuration.config;
            let folder = RunFolder::create(&args.runs, &id, file, &configuration)?;
            let journal = Journal::open(&folder.journal(), &settings)?;
            (folder, journal)
        }
    };
    let mut display = Display::start(&context.terminal, settings.epochs, args.configuration.json)?;
    display.line(headline(&configuration, &settings));
    if resumes {
        display.line(format!("going on with {}", folder.report().with_file_name("").display()));
    }
    let session = Session {
        id,
        bus,
        clock: context.clock.clone(),
        cancel: context.cancel.clone(),
        messages: Some(folder.messages()),
        journal: Some(journal),
        gateway_folder: Some(args.runs.clone()),
        metrics,
        background: Some(background.clone()),
    };
    let report = session.run(pace, configuration, |told| display.tell(told)).await;
    drop(display);
    Ok((report?, folder))
}

/// Better now than after the run.
fn can_be_written(path: &Path) -> anyhow::Result<()> {
    if is_special(path) && !path.is_dir() {
        return Ok(());
    }
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).with_context(|| format!("cannot write the report {}", path.display()))
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
