//! What was done to devices, for whoever asks later: [`Audit`], an append-only log of JSON lines.
//!
//! There is one file for each UTC day, shared by all runs of a folder; every line is one event of one device. A write
//! to a device has a line before it (`writing`) and one after it (`held`, `refused` or `unknown`), so that a process
//! that was killed in between leaves the first. A line that cannot be written stops further setpoints: see
//! [`Audit::trouble`].

use gridloop_clock::SharedClock;
use gridloop_device::Command;
use gridloop_messages::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The audit log of a run. Clones are the same.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    /// Absent where no log is kept.
    folder: Option<PathBuf>,
    run: String,
    clock: SharedClock,
    orders: AtomicU64,
    page: Mutex<Page>,
}

/// One line. The details come last.
#[derive(Serialize)]
struct Line<'a> {
    at: &'a str,
    run: &'a str,
    device: &'a str,
    event: &'a str,
    #[serde(flatten)]
    details: Value,
}

#[derive(Default)]
struct Page {
    day: String,
    file: Option<File>,
    trouble: Option<String>,
}

impl Audit {
    /// A log that nobody keeps, for runs that leave nothing behind.
    #[must_use]
    pub fn none(clock: SharedClock) -> Self {
        Self::new(None, String::new(), clock)
    }

    /// The log in `folder`, which is made if it is missing. `run` is the id of the run that its lines will name.
    ///
    /// # Errors
    /// When today's file cannot be opened for appending.
    pub fn open(folder: &Path, run: &str, clock: SharedClock) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let audit = Self::new(Some(folder.to_owned()), run.to_owned(), clock);
        audit.0.turn_to(&audit.0.today(), &mut audit.0.page())?;
        Ok(audit)
    }

    fn new(folder: Option<PathBuf>, run: String, clock: SharedClock) -> Self {
        let orders = AtomicU64::new(1);
        Self(Arc::new(Inner { folder, run, clock, orders, page: Mutex::default() }))
    }

    /// The number of a new order.
    pub(crate) fn order(&self) -> u64 {
        self.0.orders.fetch_add(1, Ordering::Relaxed)
    }

    /// The UTC day, as `2026-06-21`.
    pub(crate) fn today(&self) -> String {
        self.0.today()
    }

    /// Why the log cannot be written; nothing is to be driven then that would not be in it.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.page().trouble.clone()
    }

    /// Writes down an event of a device. `details` is a JSON object.
    pub(crate) fn tell(&self, device: &str, event: &str, details: Value) {
        let inner = &self.0;
        if inner.folder.is_none() {
            return;
        }
        let at = Timestamp::from(inner.clock.utc()).to_string();
        let line = Line { at: &at, run: &inner.run, device, event, details };
        let text = serde_json::to_string(&line).unwrap_or_default() + "\n";
        let mut page = inner.page();
        let written = inner.turn_to(&day(&at), &mut page).and_then(|()| match &mut page.file {
            Some(file) => file.write_all(text.as_bytes()),
            None => Ok(()),
        });
        match written {
            Ok(()) => page.trouble = None,
            Err(error) => {
                let trouble = format!("the audit log cannot be written: {error}");
                if page.trouble.is_none() {
                    tracing::error!("{trouble}; no setpoint passes until it can");
                }
                page.trouble = Some(trouble);
                // Opened anew next time: the folder may have come back.
                *page = Page { trouble: page.trouble.take(), ..Page::default() };
            }
        }
    }

    /// The steps that a tap changer has made today, as far as the log knows.
    pub(crate) fn steps_today(&self, device: &str) -> u32 {
        let Some(folder) = &self.0.folder else { return 0 };
        let Ok(bytes) = fs::read(path(folder, &self.today())) else { return 0 };
        // A line that was torn by a crash is none.
        let events =
            bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        events
            .filter(|event| event["event"] == "moved" && event["device"] == device)
            .filter_map(|event| u32::try_from(event["steps"].as_u64()?).ok())
            .fold(0, u32::saturating_add)
    }
}

impl Inner {
    fn today(&self) -> String {
        day(&Timestamp::from(self.clock.utc()).to_string())
    }

    /// Makes sure that the file of that day is open. A last line that was torn by a crash is ended first.
    fn turn_to(&self, day: &str, page: &mut Page) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        if page.file.is_some() && page.day == day {
            return Ok(());
        }
        let path = path(folder, day);
        let torn = fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if torn {
            file.write_all(b"\n")?;
        }
        page.file = Some(file);
        day.clone_into(&mut page.day);
        Ok(())
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn day(timestamp: &str) -> String {
    timestamp.chars().take(10).collect()
}

fn path(folder: &Path, day: &str) -> PathBuf {
    folder.join(format!("{day}.jsonl"))
}

/// A command as a JSON object, with its units in its names.
pub(crate) fn command(command: &Command) -> Value {
    match command {
        Command::Power { real_power_w, reactive_power_var } => {
            json!({ "real_power_w": real_power_w, "reactive_power_var": reactive_power_var })
        }
        Command::TapPosition(position) => json!({ "tap_position": position }),
        Command::Voltage { voltage_v } => json!({ "voltage_v": voltage_v }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_clock::SimulatedClock;

    fn clock() -> SharedClock {
        Arc::new(SimulatedClock::new(gridloop_clock::Utc::default()))
    }

    #[test]
    fn lines_are_appended_and_name_run_device_and_event() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::open(folder.path(), "run 1", clock()).expect("a log");
        audit.tell("pv1", "held", json!({ "order": 3 }));
        Audit::open(folder.path(), "run 2", clock()).expect("a log").tell("pv1", "released", json!({}));
        let file = folder.path().join(audit.today() + ".jsonl");
        let text = fs::read_to_string(file).expect("the file");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[0]["run"], &lines[0]["event"], &lines[0]["order"]),
            (&json!("run 1"), &json!("held"), &json!(3))
        );
        assert_eq!(lines[1]["run"], "run 2");
    }

    #[test]
    fn steps_are_counted_over_runs_and_a_torn_line_harms_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::open(folder.path(), "run 1", clock()).expect("a log");
        audit.tell("oltc1", "moved", json!({ "from": 5, "to": 8, "steps": 3 }));
        audit.tell("oltc2", "moved", json!({ "from": 5, "to": 6, "steps": 1 }));
        let file = folder.path().join(audit.today() + ".jsonl");
        OpenOptions::new()
            .append(true)
            .open(file)
            .expect("the file")
            .write_all(b"{\"torn\xff")
            .expect("written");
        let later = Audit::open(folder.path(), "run 2", clock()).expect("a log");
        later.tell("oltc1", "moved", json!({ "from": 8, "to": 7, "steps": 1 }));
        assert_eq!(later.steps_today("oltc1"), 4);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_trouble_until_it_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("audit");
        let audit = Audit::open(&inside, "run 1", clock()).expect("a log");
        // Written to a full device, as far as the log can tell.
        audit.0.page().file = Some(OpenOptions::new().write(true).open("/dev/full").expect("a full device"));
        audit.tell("pv1", "held", json!({}));
        assert!(audit.trouble().is_some_and(|it| it.contains("audit log")));
        audit.tell("pv1", "held", json!({}));
        assert_eq!(audit.trouble(), None);
    }
}
