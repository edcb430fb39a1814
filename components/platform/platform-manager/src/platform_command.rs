//! `gridloop platform` and `gridloop convert`: SimCES run configurations on the command line.
//!
//! The screen of `gridloop platform RUN.yml --manifests DIR --wait`:
//!
//! ```text
//! gridloop 0.1.0  2026-11-22T20:05:03.926Z
//! Valley feeder: 4 epochs of 900 s; 3 components on localhost:5672, exchange procem.20261122-200503-926
//!   log_writer   LogWriter                 pid 4711
//!   home1        StaticTimeSeriesResource  pid 4712
//!   grid         Grid                      external: it joins by Start
//!   Clock        SimulationManager         pid 4713
//! waiting for grid, home1 to be ready
//! epoch 1/4: everybody ready after 12 ms
//!
//! completed: all 4 epochs were run
//! logs        runs/20261122-200503-926/logs
//! ```

use crate::check::refuse;
use crate::cli::{ConvertArgs, PlatformArgs, PlatformInputs, RunnerArg};
use crate::context::{BAD_CONFIGURATION, Context, FAILED, runtime};
use crate::display::{Display, print_line};
use anyhow::Context as _;
use gridloop_bus::BusUrl;
use gridloop_clock::Clock;
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_platform_manager::Told as RunTold;
use gridloop_platform_manager::environment::{EnvironmentErrors, Reader, Variables};
use gridloop_platform_manager::platform::convert::{Folders, convert as convert_run};
use gridloop_platform_manager::platform::plan::{Kind, Launch, Places, Plan, shown};
use gridloop_platform_manager::platform::runner::Runner;
use gridloop_platform_manager::platform::session::{News, Session, start_text, write_start_file};
use gridloop_platform_manager::platform::surroundings::{Store, Surroundings};
use gridloop_platform_manager::platform::watch::{Told, Verdict};
use gridloop_platform_manager::platform::{Manifests, Processes, RunFile};
use gridloop_realtime_manager::{Outcome, Progress};
use gridloop_service::{Diagnostics, Text};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Where containers have their resources, unless the environment says otherwise.
const RESOURCES: &str = "/resources";

/// Why there is nothing to start.
enum Refused {
    Configuration(Diagnostics),
    Environment(EnvironmentErrors),
    Argument(String),
}

impl From<Diagnostics> for Refused {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Configuration(diagnostics)
    }
}

impl From<EnvironmentErrors> for Refused {
    fn from(errors: EnvironmentErrors) -> Self {
        Self::Environment(errors)
    }
}

impl Refused {
    fn tell(&self) -> ExitCode {
        match self {
            Self::Configuration(diagnostics) => return refuse(diagnostics, false),
            Self::Environment(errors) => eprintln!("{errors}"),
            Self::Argument(text) => eprintln!("{text}"),
        }
        ExitCode::from(BAD_CONFIGURATION)
    }
}

/// Run configuration and manifests, read.
struct Inputs {
    text: Text,
    run: RunFile,
    manifests: Manifests,
    folder: PathBuf,
}

impl Inputs {
    fn read(inputs: &PlatformInputs) -> Result<Self, Refused> {
        let text = Text::load(&inputs.run_file, "YAML")?;
        let mut problems = Diagnostics::default();
        let run = RunFile::read(&text).map_err(|found| problems.append(found)).ok();
        let manifests = Manifests::load(&inputs.manifests).map_err(|found| problems.append(found)).ok();
        let (Some(run), Some(manifests)) = (run, manifests) else { return Err(problems.into()) };
        let folder = absolute(inputs.run_file.parent().unwrap_or(Path::new("")))?;
        Ok(Self { text, run, manifests, folder })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Refused> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let told = |error| Refused::Argument(format!("{} cannot be used: {error}", path.display()));
    std::path::absolute(path).map(|path| path.components().collect()).map_err(told)
}

/// Everything that is decided before something happens.
struct Prepared {
    plan: Plan,
    surroundings: Surroundings,
    kind: Kind,
    /// `<runs>/<compact id>`
    folder: PathBuf,
    /// The Start file's folder as the started processes see it.
    start_folder: PathBuf,
    run_text: String,
}

/// `gridloop platform RUN.yml --manifests DIR`
pub(crate) fn platform(args: &PlatformArgs) -> anyhow::Result<ExitCode> {
    let context = Context::new()?;
    let prepared = match prepare(args, Timestamp::from(context.wall.utc())) {
        Ok(prepared) => prepared,
        Err(refused) => return Ok(refused.tell()),
    };
    for remark in &prepared.plan.remarks {
        eprintln!("{}", remark.to_string().replacen(": error: ", ": note: ", 1));
    }
    if args.dry_run {
        print_line(describe(&prepared)?.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = runtime()?;
    let code = runtime.block_on(run(args, &prepared, &context))?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(code)
}

fn prepare(args: &PlatformArgs, now: Timestamp) -> Result<Prepared, Refused> {
    let inputs = Inputs::read(&args.inputs)?;
    let variables: Variables = std::env::vars_os().collect();
    let runs = absolute(&args.runs)?;
    let broker = match args.broker.as_deref().map(str::parse::<BusUrl>).transpose() {
        Ok(None) => None,
        Ok(Some(BusUrl::Amqp(url))) if url.vhost == "/" => Some(url),
        Ok(Some(_)) => {
            let text = "--broker: expected amqp://user:password@host:port; SimCES processes always use the virtual host /";
            return Err(Refused::Argument(text.to_owned()));
        }
        Err(error) => return Err(Refused::Argument(format!("--broker: {error}"))),
    };
    let usual = match args.runner {
        RunnerArg::Process => runs.as_path(),
        // In the volume of the logs, for a container's own files are gone with it.
        RunnerArg::Docker => Path::new("/logs/runs"),
    };
    let store = store(args.store.as_deref(), usual)?;
    let mut surroundings = Surroundings::read(&variables, broker.as_ref(), &store)?;
    if args.runner == RunnerArg::Process {
        // What waits for a database that is away stays with the runs.
        let spool = runs.join("spool").display().to_string();
        surroundings.store.push(("LOG_SPOOL".to_owned(), std::env::var("LOG_SPOOL").unwrap_or(spool)));
    }
    let id = SimulationId::new(now);
    let folder = runs.join(id.compact());
    let places = places(args, &inputs, &variables, &folder)?;
    let plan = Plan::make(&inputs.text, &inputs.run, &inputs.manifests, &surroundings, &places, now)?;
    let run_text = inputs.text.as_str().to_owned();
    Ok(Prepared {
        plan,
        surroundings,
        kind: places.kind,
        folder,
        start_folder: places.start_folder,
        run_text,
    })
}

fn store(url: Option<&str>, runs: &Path) -> Result<Store, Refused> {
    match url {
        None if ["MONGODB_HOST", "LOG_STORE"].iter().any(|name| std::env::var_os(name).is_some()) => {
            Ok(Store::Environment)
        }
        None => Ok(Store::Sqlite(runs.to_path_buf())),
        Some(url) => Store::parse(url).map_err(|error| Refused::Argument(format!("--store: {error}"))),
    }
}

/// Where processes and containers find what they share.
fn places(
    args: &PlatformArgs,
    inputs: &Inputs,
    variables: &Variables,
    folder: &Path,
) -> Result<Places, Refused> {
    let reader = Reader::new(variables);
    let path = |name| reader.text(name).map(PathBuf::from);
    let kind = if args.runner == RunnerArg::Docker { Kind::Containers } else { Kind::Processes };
    let (logs, start) = match kind {
        Kind::Processes => (folder.join("logs"), folder.to_path_buf()),
        Kind::Containers => ("/logs".into(), "/logs/start".into()),
    };
    let target = reader.text("DOCKER_VOLUME_TARGET_RESOURCES").unwrap_or_else(|| RESOURCES.to_owned());
    let resources = match (&args.inputs.resources, kind) {
        (Some(folder), Kind::Processes) => Some((target, absolute(folder)?)),
        _ => None,
    };
    let log_file = path("SIMULATION_LOG_FILE").unwrap_or_else(|| logs.join("simces.log"));
    let start_folder = path("START_MESSAGE_FOLDER").unwrap_or(start);
    reader.finish()?;
    let (log_file, start_folder) = match kind {
        Kind::Processes => (absolute(&log_file)?, absolute(&start_folder)?),
        Kind::Containers => (log_file, start_folder),
    };
    Ok(Places { kind, folder: inputs.folder.clone(), log_file, start_folder, resources })
}

/// The plan for people, without passwords.
fn describe(prepared: &Prepared) -> anyhow::Result<String> {
    let Prepared { plan, surroundings, kind, .. } = prepared;
    let mut text = headline(plan, surroundings) + "\n";
    for launch in &plan.launches {
        let how = match kind {
            Kind::Processes => launch.command.as_ref().map(|words| words.join(" ")),
            Kind::Containers => launch.image.as_ref().map(|image| image.reference()),
        };
        text += &format!("\n{}: {}, {}\n", launch.name, launch.component_type, how.unwrap_or_default());
        for (name, value) in &launch.environment {
            text += &format!("    {name}={}\n", shown(name, value));
        }
    }
    for (name, component_type) in &plan.externals {
        text += &format!("\n{name}: {component_type}, external: it joins by Start\n");
    }
    let (topic, exchange) = (&surroundings.start_topic, &surroundings.management_exchange);
    Ok(text + &format!("\n{topic}, to be published on {exchange}:\n{}", start_text(plan)?))
}

fn headline(plan: &Plan, surroundings: &Surroundings) -> String {
    let length = &plan.start["ProcessParameters"]["SimulationManager"]["EpochLength"];
    format!(
        "gridloop {}  {}\n{}: {} epochs of {length} s; {} components on {}, exchange {}",
        env!("CARGO_PKG_VERSION"),
        plan.simulation_id,
        plan.name,
        plan.epochs,
        plan.components.len(),
        surroundings.broker(),
        plan.exchange
    )
}

async fn run(args: &PlatformArgs, prepared: &Prepared, context: &Context) -> anyhow::Result<ExitCode> {
    let Prepared { plan, surroundings, folder, .. } = prepared;
    let mut stop = watch_signals()?;
    std::fs::create_dir_all(&args.runs)
        .and_then(|()| std::fs::create_dir(folder))
        .with_context(|| format!("cannot make the folder {} for this run", folder.display()))?;
    let copy = folder.join("configuration.yml");
    std::fs::write(&copy, &prepared.run_text).with_context(|| format!("cannot write {}", copy.display()))?;
    let mut display = Display::start(&context.terminal, plan.epochs, false)?;
    display.line(headline(plan, surroundings));
    let runner = runner(args, prepared, context).await?;
    let mut session = Session::open(plan, surroundings, runner, context.clock.clone(), args.wait).await?;
    let width = plan.launches.iter().map(|launch| launch.name.len()).max().unwrap_or(0);
    let types = plan.launches.iter().map(|launch| launch.component_type.len()).max().unwrap_or(0);
    let started = |launch: &Launch, place: &str| {
        display.line(format!("  {:<width$}  {:<types$}  {place}", launch.name, launch.component_type));
    };
    session.start(started).await?;
    for (name, component_type) in &plan.externals {
        display.line(format!("  {name:<width$}  {component_type:<types$}  external: it joins by Start"));
    }
    let logs = folder.join("logs");
    if !args.wait {
        session.leave().await?;
        display.line(format!("started; the run goes on by itself, its logs are in {}", logs.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let verdict = session.follow(&mut stop, |news| show(&mut display, &news)).await?;
    Ok(conclude(display, &verdict, &logs, context))
}

fn show(display: &mut Display, news: &News<'_>) {
    match news {
        News::Told(Told::Progress(progress)) => display.tell(RunTold::Progress(progress.clone())),
        News::Told(Told::Line(line)) => display.line(line.as_str()),
        News::Told(Told::Died { name, ended, .. }) => display.line(format!("{name} {ended} before its time")),
        News::LastLines(name, []) => display.line(format!("  {name} has written nothing")),
        News::LastLines(name, lines) => {
            display.line(format!("  the last lines of {name}:"));
            for line in *lines {
                display.line(format!("  | {}", printable(line)));
            }
        }
    }
}

/// What others have written must not move the cursor.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn conclude(mut display: Display, verdict: &Verdict, logs: &Path, context: &Context) -> ExitCode {
    let outcome = match verdict.outcome {
        Outcome::Completed => "completed",
        Outcome::Stopped => "stopped",
        Outcome::Failed => "FAILED",
    };
    let finished = Progress::Finished { outcome: verdict.outcome, reason: verdict.reason.clone() };
    display.tell(RunTold::Progress(finished));
    drop(display);
    context.end_log();
    let last = format!("\n{outcome}: {}\nlogs        {}", verdict.reason, logs.display());
    let shown = print_line(&last).inspect_err(|error| eprintln!("{error:#}"));
    if verdict.outcome == Outcome::Failed || shown.is_err() {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    }
}

/// Ctrl-C and TERM, as often as they come.
fn watch_signals() -> std::io::Result<mpsc::UnboundedReceiver<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            // Either means the same.
            tokio::select! {
                biased;
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

async fn runner(
    args: &PlatformArgs,
    prepared: &Prepared,
    context: &Context,
) -> anyhow::Result<Box<dyn Runner>> {
    let logs = prepared.folder.join("logs");
    match prepared.kind {
        Kind::Processes => {
            write_start_file(&prepared.plan, &prepared.start_folder)?;
            let ourselves = std::env::current_exe().context("cannot tell where gridloop itself is")?;
            Ok(Box::new(Processes::new(logs, ourselves)))
        }
        Kind::Containers => containers(args, prepared, context, logs).await,
    }
}

#[cfg(feature = "docker")]
async fn containers(
    args: &PlatformArgs,
    prepared: &Prepared,
    context: &Context,
    logs: PathBuf,
) -> anyhow::Result<Box<dyn Runner>> {
    use gridloop_platform_manager::platform::docker::{DockerRunner, DockerSettings};
    use gridloop_platform_manager::platform::plan::start_file_name;
    let Prepared { plan, start_folder, folder, .. } = prepared;
    let variables: Variables = std::env::vars_os().collect();
    let reader = Reader::new(&variables);
    let settings = DockerSettings::read(&reader, args.pull);
    reader.finish()?;
    write_start_file(plan, folder)?;
    let path = start_folder.join(start_file_name(&plan.exchange)).display().to_string();
    let runner =
        DockerRunner::connect(settings, plan.simulation_id.clone(), logs, context.clock.clone()).await?;
    Ok(Box::new(runner.with_file(path, start_text(plan)?)))
}

#[cfg(not(feature = "docker"))]
async fn containers(
    _: &PlatformArgs,
    _: &Prepared,
    _: &Context,
    _: PathBuf,
) -> anyhow::Result<Box<dyn Runner>> {
    anyhow::bail!(
        "this gridloop was built without Docker: build it with `cargo build --release --features docker`"
    )
}

/// `gridloop convert RUN.yml --manifests DIR`
pub(crate) fn convert(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let converted = || -> Result<String, Refused> {
        let inputs = Inputs::read(&args.inputs)?;
        let output = args.output.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let resources = match &args.inputs.resources {
            Some(folder) => Some((RESOURCES.to_owned(), absolute(folder)?)),
            None => None,
        };
        let folders = Folders { run: inputs.folder.clone(), toml: absolute(output)?, resources };
        Ok(convert_run(&inputs.text, &inputs.run, &inputs.manifests, &folders)?)
    };
    let toml = match converted() {
        Ok(toml) => toml,
        Err(refused) => return Ok(refused.tell()),
    };
    match &args.output {
        None => print_line(toml.trim_end())?,
        Some(path) => {
            std::fs::write(path, toml).with_context(|| format!("cannot write {}", path.display()))?;
            print_line(&format!(
                "{}: `gridloop check {0}` tells whether everything is there",
                path.display()
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
