//! Runs in SQLite: [`SqliteArchive`] serves a folder of run folders, each with a `messages.sqlite`.
//!
//! Reading happens in threads for blocking work, each on a connection of its own that only reads, so that a run is
//! served while it is written.

use super::select::{Cursor, EpochSpan, Epochs, Order, Select};
use super::{ArchiveError, Documents, Fields, Kind, Sender, Started};
use crate::document::Document;
use crate::metadata::Metadata;
use crate::store::{Store, metadata_of, metadata_of_all};
use gridloop_messages::{SimulationId, Timestamp};
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{OptionalExtension, Row};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// A folder of runs, `<compact SimulationId>/messages.sqlite` in it.
#[derive(Debug, Clone)]
pub struct SqliteArchive {
    runs: PathBuf,
}

impl SqliteArchive {
    /// The runs in this folder. It may come later; until then it cannot be listed.
    #[must_use]
    pub fn new(runs: PathBuf) -> Self {
        Self { runs }
    }

    /// The file of a run that is there. Only canonical ids name a run, so that no request leaves the folder.
    fn file(&self, id: &str) -> Option<RunFile> {
        let id = SimulationId::parse(id).ok().filter(|parsed| parsed.as_str() == id)?;
        let path = self.runs.join(id.compact()).join("messages.sqlite");
        path.is_file().then_some(RunFile { id, path })
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.file(id).is_some()
    }

    pub(super) async fn runs(&self, started: &Started) -> Result<Vec<Fields>, ArchiveError> {
        let (runs, started) = (self.runs.clone(), *started);
        blocking(move || {
            let mut found = Vec::new();
            for path in run_files(&runs)? {
                let metadata = match Store::read(&path).and_then(|store| metadata_of_all(store.connection()))
                {
                    Ok(metadata) => metadata,
                    Err(error) => {
                        tracing::warn!("left out of the list of runs: {}: {error}", path.display());
                        continue;
                    }
                };
                let folder = path.parent().and_then(|folder| folder.file_name());
                let own = |run: &Metadata| folder.is_some_and(|name| *name == *run.simulation_id.compact());
                let wanted = metadata.into_iter().filter(|run| own(run) && started.has(run.start_time));
                found.extend(wanted.map(fields_of));
            }
            Ok(found)
        })
        .await
    }

    pub(super) async fn run(&self, id: &str) -> Result<Option<Fields>, ArchiveError> {
        let Some(file) = self.file(id) else { return Ok(None) };
        blocking(move || {
            let store = file.open()?;
            let metadata = metadata_of(store.connection(), &file.id).map_err(|error| file.failed(error))?;
            Ok(metadata.map(fields_of))
        })
        .await
    }

    pub(super) fn messages(&self, id: &str, select: Select) -> Documents {
        self.stream(id, move |file, feed| {
            let store = file.open()?;
            let question = Question::new(&file.id, &select, "topic, body, heard_at");
            let mut left = select.limit.unwrap_or(usize::MAX);
            question.walk(&store, |row| {
                let topic = text(row, 2)?;
                if left == 0 {
                    return Ok(ControlFlow::Break(()));
                }
                if !on_topic(&select, topic) {
                    return Ok(ControlFlow::Continue(()));
                }
                let (body, heard_at) = (text(row, 3)?, text(row, 4)?);
                let Some(document) = Document::of_message(topic, body, utc(heard_at)) else {
                    return Ok(ControlFlow::Continue(()));
                };
                left -= 1;
                Ok(feed.give(document.into_fields(), body.len()))
            })?;
            feed.finish();
            Ok(())
        })
    }

    pub(super) fn invalid_messages(&self, id: &str, select: Select) -> Documents {
        self.stream(id, move |file, feed| {
            let store = file.open()?;
            let places = invalid_places(&store, &select)?;
            let end = select.limit.unwrap_or(usize::MAX);
            for (_, seq) in places.into_iter().take(end) {
                let Some((document, bytes)) = invalid_message(&store, seq)? else { continue };
                if feed.give(document.into_fields(), bytes).is_break() {
                    return Ok(());
                }
            }
            feed.finish();
            Ok(())
        })
    }

    pub(super) async fn page_end(
        &self,
        id: &str,
        select: &Select,
        kind: Kind,
        limit: usize,
    ) -> Result<Option<Cursor>, ArchiveError> {
        let Some(file) = self.file(id) else { return Ok(None) };
        let select = select.clone();
        blocking(move || {
            let store = file.open()?;
            if kind == Kind::Invalid {
                let places = invalid_places(&store, &select)?;
                let more = places.len() > limit;
                let last = limit.checked_sub(1).and_then(|index| places.get(index));
                return Ok(last.filter(|_| more).map(|(time, seq)| cursor(*time, *seq)));
            }
            let question = Question::new(&file.id, &select, "topic");
            let (mut count, mut last, mut more) = (0, None, false);
            question.walk(&store, |row| {
                if on_topic(&select, text(row, 2)?) {
                    if count == limit {
                        more = true;
                        return Ok(ControlFlow::Break(()));
                    }
                    count += 1;
                    last = Some((text(row, 1)?.to_owned(), row.get::<_, i64>(0)?));
                }
                Ok(ControlFlow::Continue(()))
            })?;
            let last = last.and_then(|(time, seq)| Some(cursor(Timestamp::parse(&time).ok()?, seq)));
            Ok(last.filter(|_| more))
        })
        .await
    }

    pub(super) async fn epochs(&self, id: &str, epochs: Epochs) -> Result<Vec<EpochSpan>, ArchiveError> {
        let Some(file) = self.file(id) else { return Ok(Vec::new()) };
        blocking(move || {
            let store = file.open()?;
            let mut select = store.connection().prepare(
                "SELECT epoch_number, body, heard_at FROM messages WHERE simulation_id = ?1 AND type = 'Epoch' \
                 AND topic = 'Epoch' AND epoch_number BETWEEN ?2 AND ?3 ORDER BY epoch_number, timestamp, seq",
            )?;
            let (first, last) = (epochs.first.unwrap_or(i64::MIN), epochs.last.unwrap_or(i64::MAX));
            let mut rows = select.query((file.id.as_str(), first, last))?;
            let mut spans = Vec::new();
            while let Some(row) = rows.next()? {
                let Some(document) = Document::of_message("Epoch", text(row, 1)?, utc(text(row, 2)?)) else {
                    continue;
                };
                let (start, end) = (document.date("StartTime"), document.date("EndTime"));
                spans.push(EpochSpan { number: row.get(0)?, start, end });
            }
            Ok(spans)
        })
        .await
    }

    pub(super) async fn last_epoch(&self, id: &str) -> Result<Option<i64>, ArchiveError> {
        let Some(file) = self.file(id) else { return Ok(None) };
        blocking(move || {
            let store = file.open()?;
            // The index answers it; the file of a run has no messages of others to speak of.
            let question = "SELECT max(epoch_number) FROM messages WHERE epoch_number IS NOT NULL";
            Ok(store.connection().query_row(question, [], |row| row.get(0))?)
        })
        .await
    }

    /// Runs `read` in a thread that feeds the stream.
    fn stream(
        &self,
        id: &str,
        read: impl FnOnce(RunFile, &mut Feed) -> Result<(), ArchiveError> + Send + 'static,
    ) -> Documents {
        let (sender, documents) = Sender::new();
        if let Some(file) = self.file(id) {
            tokio::task::spawn_blocking(move || {
                let mut feed = Feed(sender);
                if let Err(error) = read(file, &mut feed) {
                    // Nobody listens any more: then nobody wants the error either.
                    let _ = feed.0.batches.blocking_send(Err(error));
                }
            });
        }
        documents
    }
}

/// The sending end of a stream, in a thread that may wait.
struct Feed(Sender);

impl Feed {
    fn give(&mut self, fields: Fields, bytes: usize) -> ControlFlow<()> {
        let Some(batch) = self.0.put(fields, bytes) else { return ControlFlow::Continue(()) };
        match self.0.batches.blocking_send(Ok(batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn finish(&mut self) {
        if let Some(rest) = self.0.rest() {
            // Nobody listens any more: nothing is left to do anyway.
            let _ = self.0.batches.blocking_send(Ok(rest));
        }
    }
}

/// A run's file that was there a moment ago.
struct RunFile {
    id: SimulationId,
    path: PathBuf,
}

impl RunFile {
    fn open(&self) -> Result<Store, ArchiveError> {
        Store::read(&self.path).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: crate::store::StoreError) -> ArchiveError {
        ArchiveError::Store { path: self.path.display().to_string(), source }
    }
}

/// The files of all runs, by the names of their folders. A folder that is not there is an error: that there are no runs
/// would be said of a mistyped one too.
fn run_files(runs: &PathBuf) -> Result<Vec<PathBuf>, ArchiveError> {
    let failed = |source| ArchiveError::Folder { path: runs.display().to_string(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(runs).map_err(failed)? {
        let file = entry.map_err(failed)?.path().join("messages.sqlite");
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// A question about valid messages: the columns are seq, timestamp and what is asked for.
struct Question {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Question {
    fn new(run: &SimulationId, select: &Select, columns: &str) -> Self {
        let mut question = Self {
            sql: format!("SELECT seq, timestamp, {columns} FROM messages WHERE simulation_id = ?"),
            values: vec![Box::new(run.as_str().to_owned())],
        };
        if let Some(first) = select.epochs.first {
            question.also(" AND epoch_number >= ?", first);
        }
        if let Some(last) = select.epochs.last {
            question.also(" AND epoch_number <= ?", last);
        }
        if !select.processes.is_empty() {
            let names = serde_json::Value::from(select.processes.clone()).to_string();
            question.also(" AND source_process_id IN (SELECT value FROM json_each(?))", names);
        }
        if select.only_warnings {
            question.sql.push_str(" AND warnings");
        }
        if let Some(after) = &select.after {
            question.also(" AND (timestamp, seq) > (?, ", after.timestamp.to_string());
            // A key of another store is behind nothing.
            question.also("?)", after.key.parse::<i64>().unwrap_or(i64::MAX));
        }
        question.sql.push_str(match select.order {
            Order::Time => " ORDER BY timestamp, seq",
            Order::Epoch => " AND epoch_number IS NOT NULL ORDER BY epoch_number, seq",
        });
        question
    }

    fn also(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.sql.push_str(condition);
        self.values.push(Box::new(value));
    }

    /// Shows every row of the answer.
    fn walk(
        &self,
        store: &Store,
        mut row_is: impl FnMut(&Row<'_>) -> rusqlite::Result<ControlFlow<()>>,
    ) -> rusqlite::Result<()> {
        let mut select = store.connection().prepare(&self.sql)?;
        let mut rows = select.query(rusqlite::params_from_iter(self.values.iter()))?;
        while let Some(row) = rows.next()? {
            if row_is(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The places of the invalid messages on the selected topics behind the selected place, in order of time. What the
/// time is stands in the message, if it can be read.
fn invalid_places(store: &Store, select: &Select) -> Result<Vec<(Timestamp, i64)>, ArchiveError> {
    let mut query =
        store.connection().prepare("SELECT seq, topic, body, reason, heard_at FROM invalid_messages")?;
    let mut rows = query.query([])?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        if on_topic(select, text(row, 1)?) {
            places.push((time_of(&invalid_document(row)?), row.get(0)?));
        }
    }
    places.sort_unstable();
    if let Some(after) = &select.after {
        let behind = (after.timestamp, after.key.parse().unwrap_or(i64::MAX));
        places.retain(|place| *place > behind);
    }
    Ok(places)
}

fn invalid_message(store: &Store, seq: i64) -> Result<Option<(Document, usize)>, ArchiveError> {
    let question = "SELECT seq, topic, body, reason, heard_at FROM invalid_messages WHERE seq = ?1";
    let mut query = store.connection().prepare_cached(question)?;
    let found = query.query_row([seq], |row| Ok((invalid_document(row)?, bytes(row, 2)?.len())));
    Ok(found.optional()?)
}

/// The document of a row of seq, topic, body, reason and heard_at.
fn invalid_document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document::of_invalid(text(row, 1)?, bytes(row, 2)?, text(row, 3)?, utc(text(row, 4)?)))
}

fn time_of(document: &Document) -> Timestamp {
    document.date("Timestamp").unwrap_or_else(|| Timestamp::from(gridloop_clock::Utc::default()))
}

fn cursor(timestamp: Timestamp, seq: i64) -> Cursor {
    Cursor { timestamp, key: seq.to_string() }
}

fn on_topic(select: &Select, topic: &str) -> bool {
    select.topic.as_ref().is_none_or(|pattern| pattern.matches(topic))
}

/// A text column without a copy.
fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn bytes<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(bytes),
        _ => Ok(&[]),
    }
}

/// The time in a column that this program has written.
fn utc(text: &str) -> gridloop_clock::Utc {
    Timestamp::parse(text).map_or_else(|_| gridloop_clock::Utc::default(), Timestamp::as_datetime)
}

/// The metadata document of wire contract 5.1.
fn fields_of(metadata: Metadata) -> Fields {
    let end = metadata.end_time();
    let mut fields = Fields::new();
    fields.insert("SimulationId".into(), metadata.simulation_id.as_str().into());
    for (name, time) in [("StartTime", metadata.start_time), ("EndTime", end)] {
        if let Some(time) = time {
            fields.insert(name.into(), time.to_string().into());
        }
    }
    for (name, text) in [("Name", metadata.name), ("Description", metadata.description)] {
        if let Some(text) = text {
            fields.insert(name.into(), text.into());
        }
    }
    fields.insert("Epochs".into(), metadata.epochs.into());
    fields.insert("Processes".into(), metadata.processes.into_iter().collect::<Vec<_>>().into());
    fields
}

/// Runs blocking work in a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ArchiveError::BrokenOff))
}
