//! `/simulations/{id}/timeseries`: a series in JSON out of memory, or in CSV while the store is read.
//!
//! JSON is told column by column, so that the whole series has to be known first; how much of it is held is limited.
//! CSV is told row by row; only its header has to be known first, so that the messages are read twice and never held.

use super::{Id, Reader, Turn, answer, id_of};
use crate::export::csv_line;
use crate::format::{Moment, csv};
use crate::problem::Problem;
use crate::query::{self, Format, SeriesQuestion};
use crate::series::{Dive, Row, Series, Table};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gridloop_logging::archive::{Archive, ArchiveError, Documents, Epochs, Select};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How many values gave way to a later one.
const REPLACED: HeaderName = HeaderName::from_static("x-replaced-values");
/// Chunks that may wait for the client.
const QUEUE: usize = 2;

/// When epochs begin, by their numbers.
pub(crate) type Starts = HashMap<i64, Moment>;

pub(super) async fn time_series(
    State(reader): State<Arc<Reader>>,
    uri: Uri,
    id: Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = id_of(id)?;
    let question = query::time_series(query.as_deref())?;
    let turn = reader.turn().await?;
    reader.known(&id).await?;
    let mut select = reader.resolved(&id, question.messages.clone()).await?;
    let next = page(&reader.archive, &id, &question, &mut select.epochs).await?;
    let starts = starts(&reader.archive, &id, select.epochs).await?;
    let mut response = match question.format {
        Format::Json => json(&reader, &id, select, &question, starts, turn).await?,
        Format::Csv => csv_rows(&reader.archive, &id, select, &question, starts, turn).await?,
    };
    if let Some(next) = next {
        answer::link(&mut response, &uri, &next.to_string());
    }
    Ok(response)
}

/// Narrows the epochs to the page that is wanted; the last one of it if more follow.
async fn page(
    archive: &Archive,
    id: &str,
    question: &SeriesQuestion,
    epochs: &mut Epochs,
) -> Result<Option<i64>, Problem> {
    if let Some(after) = question.after {
        epochs.first = epochs.first.max(Some(after.saturating_add(1)));
    }
    let Some(limit) = question.limit else { return Ok(None) };
    let end = match epochs.last {
        Some(last) => last,
        None => archive.last_epoch(id).await?.unwrap_or(0),
    };
    let first = *epochs.first.get_or_insert(0);
    let last = first.saturating_add(limit - 1);
    epochs.last = Some(last.min(end));
    Ok((last < end).then_some(last))
}

/// When the epochs begin; of an Epoch message that was sent again, the last one counts.
pub(crate) async fn starts(archive: &Archive, id: &str, epochs: Epochs) -> Result<Starts, ArchiveError> {
    let spans = archive.epochs(id, epochs).await?;
    Ok(spans.into_iter().filter_map(|span| Some((span.number, span.start?.into()))).collect())
}

/// Reads a series to its end, showing its rows.
async fn read(
    documents: &mut Documents,
    series: &mut Series,
    starts: &Starts,
    mut rows_are: impl FnMut(Vec<Row>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    while let Some(batch) = documents.next().await? {
        for message in &batch {
            rows_are(series.take(message, |epoch| starts.get(&epoch).copied()).map_err(below_a_value)?)?;
        }
    }
    rows_are(series.finish())
}

fn below_a_value(dive: Dive) -> Problem {
    let Dive { at, topic } = dive;
    let description = format!("{at} is a single value in messages on {topic}: ask for attrs={at}.");
    Problem::bad("Invalid attribute", description)
}

async fn json(
    reader: &Reader,
    id: &str,
    select: Select,
    question: &SeriesQuestion,
    starts: Starts,
    turn: Turn,
) -> Result<Response, Problem> {
    let mut documents = reader.archive.messages(id, select).await?;
    let mut series = Series::new(question.attributes.clone(), question.by.clone());
    let mut table = Table::default();
    let most = reader.limits.series_values;
    read(&mut documents, &mut series, &starts, |rows| {
        table.add(rows);
        if table.held() <= most {
            return Ok(());
        }
        let description = format!(
            "This series has more than {most} points and values. Ask for format=csv, for fewer epochs, or page by page \
             with limit."
        );
        Err(Problem::bad("Too many values", description))
    })
    .await?;
    let replaced = series.replaced();
    let (chunks, body) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        table.write(series.tree(), |chunk| chunks.blocking_send(Bytes::from(chunk)).is_ok());
        drop(turn);
    });
    let body = stream::unfold(body, |mut body| async move {
        let chunk: Bytes = body.recv().await?;
        Some((Ok::<_, ArchiveError>(chunk), body))
    });
    Ok(counted(answer::of_type("application/json", Body::from_stream(body.fuse())), replaced))
}

async fn csv_rows(
    archive: &Archive,
    id: &str,
    select: Select,
    question: &SeriesQuestion,
    starts: Starts,
    turn: Turn,
) -> Result<Response, Problem> {
    let series = || Series::new(question.attributes.clone(), question.by.clone());
    let mut first = series();
    let mut documents = archive.messages(id, select.clone()).await?;
    read(&mut documents, &mut first, &starts, |_| Ok(())).await?;
    let lines = Lines::new(&first);
    let replaced = first.replaced();
    let documents = archive.messages(id, select).await?;
    let state =
        CsvState { header: Some(lines.header(&first)), lines, documents, series: series(), starts, turn };
    let body = stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(state))),
            Ok(None) => None,
            // The connection is cut, so that nobody takes a part for the whole.
            Err(error) => {
                tracing::error!("an answer was broken off: {error}");
                Some((Err(error), None))
            }
        }
    });
    Ok(counted(answer::of_type("text/csv", Body::from_stream(body.fuse())), replaced))
}

/// Tells that values are missing because a later message of the same epoch took their place.
fn counted(mut response: Response, replaced: u64) -> Response {
    if replaced > 0 {
        response.headers_mut().insert(REPLACED, HeaderValue::from(replaced));
    }
    response
}

/// Where each column of a series stands in a line. Columns that come up later, in a run that goes on, stand nowhere.
pub(crate) struct Lines {
    places: Vec<usize>,
}

impl Lines {
    pub(crate) fn new(series: &Series) -> Self {
        let mut places = vec![0; series.tree().width()];
        for (place, (column, _)) in series.tree().header().into_iter().enumerate() {
            places[column] = place;
        }
        Self { places }
    }

    pub(crate) fn header(&self, series: &Series) -> Vec<u8> {
        let mut out = b"epoch;timestamp".to_vec();
        for (_, title) in series.tree().header() {
            out.push(csv::NEXT);
            csv::text(&mut out, &title);
        }
        out.extend_from_slice(csv::END);
        out
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>, rows: &[Row]) {
        for row in rows {
            csv_line(out, row, &self.places);
        }
    }
}

struct CsvState {
    header: Option<Vec<u8>>,
    lines: Lines,
    documents: Documents,
    series: Series,
    starts: Starts,
    turn: Turn,
}

impl CsvState {
    /// The next lines; `None` behind the last.
    async fn chunk(&mut self) -> Result<Option<Bytes>, ArchiveError> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header.into()));
        }
        let _held_while_reading = &self.turn;
        let mut out = Vec::new();
        while let Some(batch) = self.documents.next().await? {
            for message in &batch {
                // Whatever the first reading refused has not come; what came since is left out if it is refused.
                let rows = self.series.take(message, |epoch| self.starts.get(&epoch).copied());
                self.lines.write(&mut out, &rows.unwrap_or_default());
            }
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
        self.lines.write(&mut out, &self.series.finish());
        Ok((!out.is_empty()).then(|| out.into()))
    }
}
