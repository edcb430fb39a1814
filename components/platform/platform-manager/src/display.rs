//! What a run shows while it goes on: a bar on a terminal, plain lines elsewhere. [`Display`] hands everything to a thread
//! and never waits: a reader that does not read holds up neither a run nor the release of its devices.

use anyhow::Context as _;
use gridloop_platform_manager::Told;
use gridloop_realtime_manager::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// What may wait to be shown.
const QUEUE: usize = 4096;

/// A reader that takes nothing for so long at the end of a run sees no more of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The thread that shows. When this is dropped, what waits is still shown, for a while.
pub(crate) struct Display {
    queue: Option<SyncSender<Shown>>,
    ended: Receiver<()>,
    lost: u64,
}

enum Shown {
    Line(String),
    Told(Told),
}

/// A display of [`Progress`], on its thread.
struct Screen {
    epochs: u64,
    late: u64,
    form: Form,
}

enum Form {
    Bar(ProgressBar),
    Lines { every: u64 },
    Silent,
}

/// Components that a line names at most.
const NAMED: usize = 20;

/// About this many lines are printed in a run where there is no bar.
const LINES: u64 = 12;

impl Display {
    pub(crate) fn start(terminal: &MultiProgress, epochs: u64, silent: bool) -> std::io::Result<Self> {
        let mut screen = Screen::new(terminal, epochs, silent);
        let (queue, waiting) = sync_channel(QUEUE);
        let (end, ended) = sync_channel::<()>(0);
        thread::Builder::new().name("display".into()).spawn(move || {
            while let Ok(shown) = waiting.recv() {
                match shown {
                    Shown::Line(text) => screen.line(&text),
                    Shown::Told(told) => screen.tell(&told),
                }
            }
            drop(end);
        })?;
        Ok(Self { queue: Some(queue), ended, lost: 0 })
    }

    /// Shows a line.
    pub(crate) fn line(&mut self, text: impl Into<String>) {
        self.show(Shown::Line(text.into()));
    }

    /// Shows what happened.
    pub(crate) fn tell(&mut self, told: Told) {
        self.show(Shown::Told(told));
    }

    fn show(&mut self, shown: Shown) {
        let taken = self.queue.as_ref().is_some_and(|queue| queue.try_send(shown).is_ok());
        self.lost += u64::from(!taken);
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.queue = None;
        let shown = !matches!(self.ended.recv_timeout(PATIENCE), Err(RecvTimeoutError::Timeout));
        if self.lost > 0 || !shown {
            let lost = self.lost;
            tracing::warn!(lost, "the reader of this run's output was too slow: it has not seen everything");
        }
    }
}

impl Screen {
    fn new(terminal: &MultiProgress, epochs: u64, silent: bool) -> Self {
        let form = if silent {
            Form::Silent
        } else if std::io::stderr().is_terminal() {
            let bar = terminal.add(ProgressBar::new(epochs));
            if let Ok(style) =
                ProgressStyle::with_template("epoch {pos}/{len} {bar:40} {elapsed_precise}  {msg}")
            {
                bar.set_style(style);
            }
            Form::Bar(bar)
        } else {
            Form::Lines { every: epochs.div_ceil(LINES).max(1) }
        };
        Self { epochs, late: 0, form }
    }

    /// Prints a line, above the bar where there is one.
    fn line(&self, text: &str) {
        match &self.form {
            Form::Bar(bar) => bar.suspend(|| show(text)),
            Form::Lines { .. } => show(text),
            Form::Silent => {}
        }
    }

    fn tell(&mut self, told: &Told) {
        match told {
            Told::Device { name, headline, remarks } => {
                self.line(&format!("  {name:<8} {headline}"));
                for remark in remarks {
                    self.line(&format!("  {name:<8} NOTE: {remark}"));
                }
            }
            Told::Progress(progress) => self.show(progress),
        }
    }

    fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::EpochCompleted { number, turnaround, missing } => {
                self.completed(*number, turnaround.as_secs_f64() * 1000.0, missing);
            }
            Progress::EpochOverran { number, missing, .. } => {
                self.late += 1;
                self.line(&format!(
                    "epoch {number}: its end has come, still waiting for {}",
                    missing.join(", ")
                ));
            }
            Progress::ComponentLate { component, epoch, by } => {
                let ms = by.as_secs_f64() * 1000.0;
                self.line(&format!("epoch {epoch}: {component} answered {ms:.1} ms after its end"));
            }
            Progress::EpochStarted { number, skipped, .. } if *skipped > 0 => {
                self.line(&format!("epoch {number}: {skipped} periods were passed over before it"));
            }
            Progress::Resent { number, attempt, missing } => {
                let missing = missing.join(", ");
                self.line(&format!("epoch {number}: sent again ({attempt}), waiting for {missing}"));
            }
            Progress::Finished { .. } => {
                if let Form::Bar(bar) = &self.form {
                    bar.finish_and_clear();
                }
            }
            Progress::Running { missing } => self.line(&format!("waiting for {}", some(missing))),
            Progress::EpochStarted { .. } => {}
        }
    }

    fn completed(&mut self, number: u64, turnaround_ms: f64, missing: &[String]) {
        if !missing.is_empty() {
            self.line(&format!("epoch {number}: left behind: {}", missing.join(", ")));
        }
        let late = if self.late > 0 { format!(", {} overran", self.late) } else { String::new() };
        match &self.form {
            Form::Bar(bar) => {
                bar.set_position(number);
                bar.set_message(format!("ready after {turnaround_ms:.0} ms{late}"));
            }
            Form::Lines { every } if number.is_multiple_of(*every) || number == self.epochs => {
                let epochs = self.epochs;
                show(&format!("epoch {number}/{epochs}: everybody ready after {turnaround_ms:.0} ms{late}"));
            }
            Form::Lines { .. } | Form::Silent => {}
        }
    }
}

/// The first of the names, and how many there are besides.
fn some(names: &[String]) -> String {
    match names.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}

/// Prints a line on the way. That it cannot be seen is no reason to stop a run; the last lines tell whether.
fn show(text: &str) {
    drop(print_line(text));
}

/// Prints a line. A reader that has gone away has had enough, and is no failure.
///
/// # Errors
/// When the output takes no more, as on a full disk.
pub(crate) fn print_line(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}
