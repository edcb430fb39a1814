//! The power of a resource over time from a CSV file: [`PowerSeries`], read by the settings [`SeriesFile`].

use crate::SeriesError;
use crate::curve::{Interpolation, Outside, Times, millis};
use crate::sheet::{Column, Row, Sheet, flaw};
use crate::stamps::{Stamps, Zone, canonical};
use gridloop_clock::MonoTime;
use gridloop_component::{Fault, OpenEpoch};
use gridloop_messages::Timestamp;
use gridloop_service::Section;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A CSV file with the power of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFile {
    /// The CSV file.
    pub file: PathBuf,
    /// What stands between its cells; usually `,`.
    pub delimiter: char,
    /// The zone of times without an offset.
    pub time_zone: Option<Zone>,
    /// What is between the rows of a file that has times.
    pub interpolation: Interpolation,
    /// What a column `TimeIndex` means.
    pub time_index: TimeIndex,
}

/// What a column `TimeIndex` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeIndex {
    /// Rows stand for the times in it.
    #[default]
    Obeyed,
    /// Nothing, as in SimCES: rows stand for epochs.
    Ignored,
}

impl SeriesFile {
    /// A file with commas whose times say their offsets.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            delimiter: ',',
            time_zone: None,
            interpolation: Interpolation::Hold,
            time_index: TimeIndex::Obeyed,
        }
    }

    /// Notes in the table that names the file what it lacks for a run. A file that cannot be read has been told already.
    pub fn check_run(&self, section: &Section<'_>, start: Timestamp, epoch_length: Duration, epochs: u64) {
        let Ok(series) = PowerSeries::open(self) else { return };
        if let Some(lack) = series.lacks(start, epoch_length, epochs) {
            section.error(Some("file"), format!("a series for all {epochs} epochs of the run: {lack}"), None);
        }
    }
}

/// What a resource does in one epoch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values {
    pub(crate) real_power_kw: f64,
    pub(crate) reactive_power_kvar: f64,
    pub(crate) customer_id: Arc<str>,
    pub(crate) node: Option<u8>,
}

/// The rows of a file, by epoch or by time.
#[derive(Debug)]
pub(crate) struct PowerSeries {
    file: Arc<str>,
    real_power_kw: Vec<f64>,
    reactive_power_kvar: Vec<f64>,
    owners: Vec<(Arc<str>, Option<u8>)>,
    /// The times of the rows, if the file has them.
    times: Option<Times>,
    end_line: u64,
}

impl PowerSeries {
    /// The series in the file, which is read and checked whole.
    pub(crate) fn open(settings: &SeriesFile) -> Result<Self, SeriesError> {
        let mut sheet = Sheet::open(&settings.file, settings.delimiter)?;
        let file = sheet.file();
        let time_index = match settings.time_index {
            TimeIndex::Obeyed => sheet.optional("TimeIndex"),
            TimeIndex::Ignored => None,
        };
        let columns = Columns {
            real_power: sheet.required("RealPower"),
            reactive_power: sheet.required("ReactivePower"),
            customer_id: sheet.required("CustomerId"),
            node: sheet.optional("Node"),
        };
        let timed = settings.time_zone.is_some() || settings.interpolation != Interpolation::Hold;
        if time_index.is_none() && timed {
            sheet.reject_header("a column TimeIndex, which `time_zone` and `interpolation` are for", "none");
        }
        sheet.check_header()?;
        let mut stamps = Stamps::new(settings.time_zone.clone());
        let mut rows: Vec<Values> = Vec::new();
        let mut at: Vec<i64> = Vec::new();
        let mut end_line = 2;
        sheet.read_rows(|row| {
            end_line = row.line() + 1;
            if time_index.is_some() {
                at.extend(stamps.read(row, time_index));
            }
            let customer_id = rows.last().map(|values| Arc::clone(&values.customer_id));
            rows.extend(columns.values(row, customer_id));
        })?;
        let times = time_index.map(|_| Times::new(at, settings.interpolation));
        Ok(Self {
            file,
            real_power_kw: rows.iter().map(|row| row.real_power_kw).collect(),
            reactive_power_kvar: rows.iter().map(|row| row.reactive_power_kvar).collect(),
            owners: rows.into_iter().map(|row| (row.customer_id, row.node)).collect(),
            times,
            end_line,
        })
    }

    /// What it lacks for a run of so many epochs, each of this length, from this instant on.
    pub(crate) fn lacks(&self, start: Timestamp, length: Duration, epochs: u64) -> Option<Fault> {
        let step_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let epoch = |number: u64| {
            let before = i64::try_from(number.saturating_sub(1)).unwrap_or(i64::MAX);
            let from = millis(start).saturating_add(step_ms.saturating_mul(before));
            OpenEpoch {
                number,
                start_time: canonical(from),
                end_time: canonical(from.saturating_add(step_ms)),
                nominal_start: MonoTime::default(),
                deadline: None,
                opened_at: MonoTime::default(),
            }
        };
        let first_beyond = u64::try_from(self.rows()).unwrap_or(u64::MAX).saturating_add(1);
        let last = if self.times.is_some() { epochs } else { epochs.min(first_beyond) };
        [1, last].into_iter().find_map(|number| self.values(&epoch(number)).err())
    }

    pub(crate) fn rows(&self) -> usize {
        self.owners.len()
    }

    /// What the file says for the epoch: its row, or the mean of what lies in its time. Customer and node are those of
    /// the row in which it begins.
    pub(crate) fn values(&self, epoch: &OpenEpoch) -> Result<Values, Fault> {
        let (real, reactive, row) = match &self.times {
            None => {
                let index = usize::try_from(epoch.number).ok().and_then(|number| number.checked_sub(1));
                let row = index.filter(|index| *index < self.rows()).ok_or_else(|| self.no_row(epoch))?;
                (self.real_power_kw.get(row).copied(), self.reactive_power_kvar.get(row).copied(), row)
            }
            Some(times) => {
                let (from, to) = (millis(epoch.start_time), millis(epoch.end_time));
                let outside = |outside| self.outside(epoch, outside);
                let row = times.locate(from, to).map_err(outside)?;
                let real = times.mean(&self.real_power_kw, from, to).map_err(outside)?;
                let reactive = times.mean(&self.reactive_power_kvar, from, to).map_err(outside)?;
                (Some(real), Some(reactive), row)
            }
        };
        let owner = self.owners.get(row).ok_or_else(|| self.no_row(epoch))?;
        Ok(Values {
            real_power_kw: real.unwrap_or_default(),
            reactive_power_kvar: reactive.unwrap_or_default(),
            customer_id: Arc::clone(&owner.0),
            node: owner.1,
        })
    }

    fn no_row(&self, epoch: &OpenEpoch) -> Fault {
        let found = format!("the end of the file after {} rows", self.rows());
        let expected = format!("a row for epoch {}", epoch.number);
        flaw(&self.file, (self.end_line, 1), expected, found).to_string().into()
    }

    fn outside(&self, epoch: &OpenEpoch, outside: Outside) -> Fault {
        let expected =
            format!("values for epoch {}, {} to {}", epoch.number, epoch.start_time, epoch.end_time);
        outside_fault(&self.file, self.end_line, &expected, outside, self.rows())
    }
}

/// A series of a file does not have what is `expected` of it.
pub(crate) fn outside_fault(
    file: &Arc<str>,
    end_line: u64,
    expected: &str,
    outside: Outside,
    rows: usize,
) -> Fault {
    let (line, found) = match outside {
        _ if rows == 0 => (end_line, "no rows".to_owned()),
        Outside::Before(first) => (2, format!("a series that begins at {}", canonical(first))),
        Outside::After(end) => (end_line, format!("the end of the series at {}", canonical(end))),
    };
    flaw(file, (line, 1), expected, found).to_string().into()
}

struct Columns {
    real_power: Option<Column>,
    reactive_power: Option<Column>,
    customer_id: Option<Column>,
    node: Option<Column>,
}

impl Columns {
    /// What `row` says. Most rows have the customer of the row before; its name is shared.
    fn values(&self, row: &mut Row<'_>, last_customer_id: Option<Arc<str>>) -> Option<Values> {
        let real_power_kw = row.number(self.real_power, "kW");
        let reactive_power_kvar = row.number(self.reactive_power, "kV.A{r}");
        let customer_id = match (row.text(self.customer_id), last_customer_id) {
            ("", _) => {
                row.reject(self.customer_id, "a name");
                None
            }
            (id, Some(last)) if *last == *id => Some(last),
            (id, _) => Some(id.into()),
        };
        let node = match row.text(self.node) {
            "" => None,
            "1" => Some(1),
            "2" => Some(2),
            "3" => Some(3),
            _ => {
                row.reject(self.node, "1, 2, 3 or an empty cell");
                None
            }
        };
        Some(Values {
            real_power_kw: real_power_kw?,
            reactive_power_kvar: reactive_power_kvar?,
            customer_id: customer_id?,
            node,
        })
    }
}
