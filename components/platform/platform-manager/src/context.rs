//! What every running command needs: a clock, a runtime, a terminal that logs and progress share, and the signals.

use gridloop_clock::{Clock, SharedClock, WallClock};
use gridloop_messages::{SimulationId, Timestamp};
use indicatif::MultiProgress;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

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
    /// The thread that writes the log; the log ends with it.
    log: Mutex<Option<WorkerGuard>>,
}

/// Log lines that may wait for their reader. A flood beyond that loses lines; it never holds up a run.
const LOG_LINES: usize = 65_536;

impl Context {
    /// Turns logging on and starts the clock.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::logging("warn", None)
    }

    /// As [`Context::new`], with everything from `level` on logged, unless `RUST_LOG` says otherwise, and into `file`
    /// as well.
    pub(crate) fn logging(level: &str, file: Option<File>) -> anyhow::Result<Self> {
        let terminal = MultiProgress::new();
        let usual = || {
            EnvFilter::new(format!(
                "{level},lapin=off,iec61850_client=off,iec61850_mms=off,iec61850_server=off"
            ))
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| usual());
        let colours = file.is_none() && io::stderr().is_terminal();
        let beside = terminal.clone();
        // Whoever logs hands a line to a thread and goes on.
        let (writer, log) = NonBlockingBuilder::default()
            .buffered_lines_limit(LOG_LINES)
            .thread_name("log")
            .finish(Lines { beside, file });
        // A second context in one process keeps the first one's log.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_target(false)
            .with_ansi(colours)
            .with_writer(writer)
            .try_init();
        let wall = WallClock::start()?;
        let (clock, log) = (Arc::new(wall.clone()), Mutex::new(Some(log)));
        Ok(Self { clock, wall, terminal, cancel: CancellationToken::new(), log })
    }

    /// Writes what waits to be logged, and ends the log: what is said after this is the last of it.
    pub(crate) fn end_log(&self) {
        drop(self.log.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The id of a run: as given, or made of the present time.
    pub(crate) fn simulation_id(&self, given: Option<&str>) -> anyhow::Result<SimulationId> {
        match given {
            Some(text) => Ok(SimulationId::parse(text)?),
            None => Ok(SimulationId::new(Timestamp::from(self.wall.utc()))),
        }
    }

    /// Cancels on the first signal (Ctrl-C, TERM, or HUP of a terminal that is gone) and says what follows from it; later
    /// ones change nothing.
    pub(crate) fn watch_signals(&self, said: &'static str) -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let cancel = self.cancel.clone();
        let terminal = self.terminal.clone();
        tokio::spawn(async move {
            loop {
                // Each ends the run the same way.
                tokio::select! {
                    biased;
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                cancel.cancel();
                // On a thread of its own: whoever reads the terminal may not be reading.
                let terminal = terminal.clone();
                std::thread::spawn(move || terminal.suspend(|| writeln!(io::stderr(), "{said}")));
            }
        });
        Ok(())
    }
}

/// Threads for the tasks of a run: bus, manager, components, devices. Two, whatever the machine has, for one process of
/// a lab. They are scheduled as any other thread: real-time priorities for them were measured to slow devices down.
pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_name("run").worker_threads(2).enable_all().build()
}

/// A thread for everything that no part of a run waits for: log, watches, pages.
pub(crate) fn background() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("background")
        .worker_threads(1)
        .enable_all()
        .build()
}

/// Writes log lines beside a progress bar, not into it, and into a file if there is one.
struct Lines {
    beside: MultiProgress,
    file: Option<File>,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            // The terminal has it all the same, and there is nobody to tell.
            let _ = file.write_all(line);
        }
        self.beside.suspend(|| io::stderr().write_all(line)).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
