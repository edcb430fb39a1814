//! A controller that follows a script: which resource is to do what from which epoch on.

use crate::SeriesError;
use crate::sheet::{Column, Flaws, Row, Sheet, flaw};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Message, PowerSetpoint, TapPosition, VoltageSetpoint, topic};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a [`SetpointSeries`] takes its commands from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetpointSeriesSettings {
    /// The CSV file.
    pub file: PathBuf,
    /// What stands between its cells; usually `,`.
    pub delimiter: char,
}

/// Publishes ControlState messages from a CSV file.
///
/// The header row has the columns `Epoch` and `Resource` and any of `RealPower` (kW, positive towards the grid),
/// `ReactivePower` (kV.A{r}, the same sign; 0 if empty), `TapPosition` (a whole number) and `Voltage` (kV, line to
/// neutral). A row gives one resource one command: power, tap position or voltage. From that epoch on the command is
/// published in every epoch, as SimCES wants results to be (wire contract 3.6), with the epoch of its row as
/// LastUpdatedInEpoch, until another row for the resource replaces it or a row without a command ends it. Rows may
/// stand in any order.
#[derive(Debug)]
pub struct SetpointSeries {
    /// By epoch.
    rows: Vec<Entry>,
    next: usize,
    /// What is published now and since which epoch, by resource, so that the order of messages does not change
    /// between runs.
    active: BTreeMap<String, (Command, u64)>,
}

#[derive(Debug)]
struct Entry {
    epoch: u64,
    resource: String,
    line: u64,
    /// `None`: release.
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy)]
enum Command {
    Power { real_power_kw: f64, reactive_power_kvar: f64 },
    TapPosition(i32),
    VoltageKv(f64),
}

impl SetpointSeries {
    /// The series in the file, which is read and checked whole.
    ///
    /// # Errors
    /// When the file cannot be read or has any flaw.
    pub fn new(settings: &SetpointSeriesSettings) -> Result<Self, SeriesError> {
        let mut sheet = Sheet::open(&settings.file, settings.delimiter)?;
        let file = sheet.file();
        let columns = Columns {
            epoch: sheet.required("Epoch"),
            resource: sheet.required("Resource"),
            real_power: sheet.optional("RealPower"),
            reactive_power: sheet.optional("ReactivePower"),
            tap_position: sheet.optional("TapPosition"),
            voltage: sheet.optional("Voltage"),
        };
        sheet.check_header()?;
        let mut rows = Vec::new();
        sheet.read_rows(|row| rows.extend(columns.entry(row)))?;
        rows.sort_by_key(|entry: &Entry| entry.epoch);
        let mut flaws = Flaws::default();
        let mut last: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in &rows {
            let resource = &entry.resource;
            let place = (entry.line, 1);
            match last.insert(resource, entry) {
                Some(before) if before.epoch == entry.epoch => {
                    let expected = format!("one row for {resource} in epoch {}", entry.epoch);
                    flaws.push(flaw(&file, place, expected, format!("another in line {}", before.line)));
                }
                Some(Entry { command: Some(_), .. }) => {}
                _ if entry.command.is_some() => {}
                _ => {
                    let expected = format!("a command for {resource}");
                    flaws.push(flaw(&file, place, expected, "a release of what has no command"));
                }
            }
        }
        flaws.none_or_error()?;
        Ok(Self { rows, next: 0, active: BTreeMap::new() })
    }

    /// The resources that the series ever commands, in the order of their names.
    #[must_use]
    pub fn resources(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.rows.iter().map(|entry| entry.resource.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Applies the rows up to `epoch`; those of epochs that were passed over count.
    fn advance(&mut self, epoch: u64) {
        while let Some(entry) = self.rows.get(self.next).filter(|entry| entry.epoch <= epoch) {
            match entry.command {
                Some(command) => self.active.insert(entry.resource.clone(), (command, entry.epoch)),
                None => self.active.remove(&entry.resource),
            };
            self.next += 1;
        }
    }
}

impl Command {
    fn output(self, resource: &str) -> Output {
        match self {
            Self::Power { real_power_kw, reactive_power_kvar } => {
                let setpoint = PowerSetpoint { real_power_kw, reactive_power_kvar };
                Output::new(topic::power_setpoint(resource), Body::PowerSetpoint(setpoint))
            }
            Self::TapPosition(tap_position) => {
                Output::new(topic::tap_position(resource), Body::TapPosition(TapPosition { tap_position }))
            }
            Self::VoltageKv(voltage_kv) => {
                let setpoint = VoltageSetpoint { voltage_kv };
                Output::new(topic::voltage_setpoint(resource), Body::VoltageSetpoint(setpoint))
            }
        }
    }
}

struct Columns {
    epoch: Option<Column>,
    resource: Option<Column>,
    real_power: Option<Column>,
    reactive_power: Option<Column>,
    tap_position: Option<Column>,
    voltage: Option<Column>,
}

impl Columns {
    fn entry(&self, row: &mut Row<'_>) -> Option<Entry> {
        let epoch = row.text(self.epoch).parse().ok().filter(|epoch| *epoch > 0);
        if epoch.is_none() {
            row.reject(self.epoch, "a whole number from 1");
        }
        let resource = row.text(self.resource).to_owned();
        let nameable = is_nameable(&resource);
        if !nameable {
            row.reject(self.resource, "a name without blanks and `.`, `,`, `#`, `*`");
        }
        let command = self.command(row);
        Some(Entry {
            epoch: epoch?,
            resource: nameable.then_some(resource)?,
            line: row.line(),
            command: command?,
        })
    }

    /// The command of the row, `Some(None)` for a release, `None` for a flaw.
    fn command(&self, row: &mut Row<'_>) -> Option<Option<Command>> {
        let has = |column, row: &Row<'_>| !row.text(column).is_empty();
        let power = has(self.real_power, row) || has(self.reactive_power, row);
        match (power, has(self.tap_position, row), has(self.voltage, row)) {
            (false, false, false) => Some(None),
            (true, false, false) => self.power(row).map(Some),
            (false, true, false) => {
                let position = row.text(self.tap_position).parse().ok();
                if position.is_none() {
                    row.reject(self.tap_position, "a whole number of 32 bits");
                }
                position.map(|position| Some(Command::TapPosition(position)))
            }
            (false, false, true) => row.number(self.voltage, "kV").map(|kv| Some(Command::VoltageKv(kv))),
            _ => {
                row.reject_row("one of power, TapPosition and Voltage", "more than one");
                None
            }
        }
    }

    fn power(&self, row: &mut Row<'_>) -> Option<Command> {
        if self.real_power.is_none() {
            row.reject_row("a RealPower beside the ReactivePower", "no such column");
        }
        let real_power_kw = row.number(self.real_power, "kW");
        let given = !row.text(self.reactive_power).is_empty();
        let reactive_power_kvar = if given { row.number(self.reactive_power, "kV.A{r}") } else { Some(0.0) };
        Some(Command::Power { real_power_kw: real_power_kw?, reactive_power_kvar: reactive_power_kvar? })
    }
}

/// Whether SimCES can carry the name in a topic (wire contract 7.2, "Naming traps").
pub(crate) fn is_nameable(name: &str) -> bool {
    let trap = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | ',' | '#' | '*');
    !name.is_empty() && !name.contains(trap)
}

impl Component for SetpointSeries {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        self.advance(epoch.number);
        let output = |(resource, (command, since)): (&String, &(Command, u64))| Output {
            last_updated_in_epoch: (*since < epoch.number).then_some(*since),
            ..command.output(resource)
        };
        Ok(Step::Done(self.active.iter().map(output).collect()))
    }
}
