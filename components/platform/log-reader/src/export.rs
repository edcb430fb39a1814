//! A whole run, written without a server: [`jsonl`] and [`csv()`]. Nothing of it is held but the message at hand, the
//! starts of the epochs and, for CSV, the names of the columns.

use crate::format::csv;
use crate::http::{Lines, starts};
use crate::series::{Attributes, Row, Series};
use gridloop_logging::archive::{Archive, ArchiveError, Epochs, Order, Select};
use serde_json::Value;
use std::io::{self, Write};

/// The run was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such run.
    #[error("there is no run {0} in this store")]
    NoRun(String),
    /// The store.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Where it is written to.
    #[error("write: {0}")]
    Write(#[from] io::Error),
    /// The run went on while it was read, with values that have no column.
    #[error("the run went on while it was read and has new columns now: export it again")]
    Grew,
    /// A path that goes on below a single value.
    #[error("{at} is a single value in messages on {topic}: ask for {at} instead of what is below it")]
    BelowAValue {
        /// The path as far as there was something.
        at: String,
        /// The topic of the message.
        topic: String,
    },
}

/// Writes every valid message of a run by time, one JSON object a line; gives how many there were.
///
/// # Errors
/// When there is no such run, or it cannot be read or written.
pub async fn jsonl(archive: &Archive, run: &str, out: &mut impl Write) -> Result<u64, ExportError> {
    known(archive, run).await?;
    let mut documents = archive.messages(run, Select::default()).await?;
    let mut count = 0;
    while let Some(batch) = documents.next().await? {
        for message in batch {
            serde_json::to_writer(&mut *out, &Value::Object(message)).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            count += 1;
        }
    }
    out.flush()?;
    Ok(count)
}

/// Writes the time series of a run, a row for each point in time: of these attributes, or of everything that is one.
/// Messages of one process are told apart by the field `by`. Gives the number of rows, and how many values gave way to
/// a later one of the same epoch.
///
/// # Errors
/// When there is no such run, it cannot be read or written, or a path goes on below a single value.
pub async fn csv(
    archive: &Archive,
    run: &str,
    attributes: Option<&str>,
    by: Option<&str>,
    out: &mut impl Write,
) -> Result<(u64, u64), ExportError> {
    known(archive, run).await?;
    let attributes = attributes.map_or(Attributes::All, Attributes::parse);
    let starts = starts(archive, run, Epochs::default()).await?;
    let select = Select { order: Order::Epoch, ..Select::default() };
    // Twice: for the header, and for the rows.
    let (mut lines, mut columns, mut rows, mut replaced) = (None, 0, 0, 0);
    for _ in 0..2 {
        let mut series = Series::new(attributes.clone(), by.map(str::to_owned));
        let mut documents = archive.messages(run, select.clone()).await?;
        while let Some(batch) = documents.next().await? {
            for message in &batch {
                let found = series.take(message, |epoch| starts.get(&epoch).copied());
                let found =
                    found.map_err(|dive| ExportError::BelowAValue { at: dive.at, topic: dive.topic })?;
                rows += write_rows(lines.as_ref(), &found, out)?;
            }
        }
        rows += write_rows(lines.as_ref(), &series.finish(), out)?;
        replaced = series.replaced();
        if lines.is_none() {
            let ready = Lines::new(&series);
            out.write_all(&ready.header(&series))?;
            lines = Some(ready);
            columns = series.tree().header().len();
        } else if series.tree().header().len() != columns {
            return Err(ExportError::Grew);
        }
    }
    out.flush()?;
    Ok((rows, replaced))
}

async fn known(archive: &Archive, run: &str) -> Result<(), ExportError> {
    if archive.has(run).await? { Ok(()) } else { Err(ExportError::NoRun(run.to_owned())) }
}

fn write_rows(lines: Option<&Lines>, rows: &[Row], out: &mut impl Write) -> io::Result<u64> {
    let Some(lines) = lines else { return Ok(0) };
    let mut text = Vec::new();
    lines.write(&mut text, rows);
    out.write_all(&text)?;
    Ok(rows.len() as u64)
}

/// One row; `places` tells where each column stands.
pub(crate) fn csv_line(out: &mut Vec<u8>, row: &Row, places: &[usize]) {
    out.extend_from_slice(row.epoch.to_string().as_bytes());
    out.push(csv::NEXT);
    if let Some(time) = row.time {
        out.extend_from_slice(time.to_string().as_bytes());
    }
    let mut cells = vec![&Value::Null; places.len()];
    for (column, value) in &row.cells {
        if let Some(place) = places.get(*column) {
            cells[*place] = value;
        }
    }
    for cell in cells {
        out.push(csv::NEXT);
        csv::value(out, cell);
    }
    out.extend_from_slice(csv::END);
}
