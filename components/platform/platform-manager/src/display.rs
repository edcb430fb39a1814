//! What a run shows while it goes on: a bar on a terminal, plain lines elsewhere.

use gridloop_platform_manager::Told;
use gridloop_realtime_manager::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};

/// A display of [`Progress`].
pub(crate) struct Display {
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
    pub(crate) fn new(terminal: &MultiProgress, epochs: u64, silent: bool) -> Self {
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
    pub(crate) fn line(&self, text: &str) {
        match &self.form {
            Form::Bar(bar) => bar.suspend(|| print_line(text)),
            Form::Lines { .. } => print_line(text),
            Form::Silent => {}
        }
    }

    pub(crate) fn tell(&mut self, told: &Told) {
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
            Progress::EpochOverran { number, missing } => {
                self.late += 1;
                self.line(&format!(
                    "epoch {number}: its end has come, still waiting for {}",
                    missing.join(", ")
                ));
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
                print_line(&format!(
                    "epoch {number}/{epochs}: everybody ready after {turnaround_ms:.0} ms{late}"
                ));
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

/// Prints a line. A reader that has gone away is no reason to stop a run.
pub(crate) fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
