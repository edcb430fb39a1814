//! What every running command needs: a clock, a runtime, a terminal that logs and progress share, and the signals.

use gridloop_clock::{Clock, SharedClock, WallClock};
use gridloop_messages::{SimulationId, Timestamp};
use indicatif::MultiProgress;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};

/// Exit code of a run that failed.
pub(crate) const FAILED: u8 = 1;
/// Exit code of a wrong configuration.
pub(crate) const BAD_CONFIGURATION: u8 = 2;
/// Exit code of missed deadlines under `--strict`.
pub(crate) const DEADLINES_MISSED: u8 = 3;

/// The surroundings of a running command.
pub(crate) struct Context {
    pub(crate) wall: WallClock,
    pub(crate) clock: SharedClock,
    pub(crate) terminal: MultiProgress,
    /// Cancelled by the first Ctrl-C or TERM.
    pub(crate) cancel: CancellationToken,
}

impl Context {
    /// Turns logging on and starts the clock.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::logging("warn", None)
    }

    /// As [`Context::new`], with everything from `level` on logged, unless `RUST_LOG` says otherwise, and into `file`
    /// as well.
    pub(crate) fn logging(level: &str, file: Option<File>) -> anyhow::Result<Self> {
        let terminal = MultiProgress::new();
        let usual = || EnvFilter::new(format!("{level},lapin=off"));
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| usual());
        let colours = file.is_none() && io::stderr().is_terminal();
        let beside = Beside(terminal.clone());
        let writer = match file {
            None => BoxMakeWriter::new(beside),
            Some(file) => BoxMakeWriter::new(beside.and(Arc::new(file))),
        };
        // A second context in one process keeps the first one's log.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_target(false)
            .with_ansi(colours)
            .with_writer(writer)
            .try_init();
        let wall = WallClock::start()?;
        Ok(Self { clock: Arc::new(wall.clone()), wall, terminal, cancel: CancellationToken::new() })
    }

    /// The id of a run: as given, or made of the present time.
    pub(crate) fn simulation_id(&self, given: Option<&str>) -> anyhow::Result<SimulationId> {
        match given {
            Some(text) => Ok(SimulationId::parse(text)?),
            None => Ok(SimulationId::new(Timestamp::from(self.wall.utc()))),
        }
    }

    /// Cancels on the first signal and says what follows from it; later ones change nothing.
    pub(crate) fn watch_signals(&self, said: &'static str) -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let cancel = self.cancel.clone();
        let terminal = self.terminal.clone();
        tokio::spawn(async move {
            loop {
                // Either ends the run the same way.
                tokio::select! {
                    biased;
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                terminal.suspend(|| eprintln!("{said}"));
                cancel.cancel();
            }
        });
        Ok(())
    }
}

/// Threads for tasks: two, whatever the machine has, for one process of a lab.
pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// Writes log lines beside a progress bar, not into it.
#[derive(Clone)]
struct Beside(MultiProgress);

impl Write for Beside {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Beside {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
