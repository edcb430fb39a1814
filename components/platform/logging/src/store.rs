//! The SQLite file of a run: [`Store`].

use crate::record::Record;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;

/// Table and column names are part of what users query; see docs/run-log.md.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY,
    heard_at TEXT NOT NULL,
    topic TEXT NOT NULL,
    type TEXT NOT NULL,
    simulation_id TEXT NOT NULL,
    source_process_id TEXT,
    message_id TEXT,
    epoch_number INTEGER,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS once ON messages (simulation_id, source_process_id, message_id);
CREATE TABLE IF NOT EXISTS invalid_messages (
    seq INTEGER PRIMARY KEY,
    heard_at TEXT NOT NULL,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
";

/// A run's messages on disk.
pub struct Store {
    connection: Connection,
}

/// The store could not do as told.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct StoreError {
    operation: &'static str,
    source: rusqlite::Error,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filed {
    Stored,
    Duplicate,
    Invalid,
}

fn failed(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| StoreError { operation, source }
}

impl Store {
    /// Opens or makes the file, with a write-ahead log.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no such store.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path).map_err(failed("open the run log"))?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(failed("turn on the write-ahead log"))?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed("set synchronous"))?;
        connection.execute_batch(SCHEMA).map_err(failed("make the tables"))?;
        Ok(Self { connection })
    }

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// When there is no such file, or it is no store.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(failed("open the run log"))?;
        Ok(Self { connection })
    }

    /// Stores records in one transaction, in their order.
    pub(crate) fn append(
        &mut self,
        records: &[Record],
        mut filed: impl FnMut(Filed),
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(failed("begin"))?;
        {
            let mut store = transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO messages (heard_at, topic, type, simulation_id, source_process_id, \
                     message_id, epoch_number, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )
                .map_err(failed("prepare"))?;
            let mut keep = transaction
                .prepare_cached(
                    "INSERT INTO invalid_messages (heard_at, topic, reason, body) VALUES (?1, ?2, ?3, ?4)",
                )
                .map_err(failed("prepare"))?;
            let mut known = transaction
                .prepare_cached(
                    "SELECT body FROM messages WHERE simulation_id = ?1 AND source_process_id = ?2 \
                     AND message_id = ?3",
                )
                .map_err(failed("prepare"))?;
            for record in records {
                let heard_at = gridloop_messages::Timestamp::from(record.heard_at).to_string();
                match (record.index(), std::str::from_utf8(&record.body)) {
                    (Ok(index), Ok(body)) => {
                        let rows = store
                            .execute(params![
                                heard_at,
                                &*record.topic,
                                index.type_name,
                                &index.simulation_id,
                                &index.source_process_id,
                                &index.message_id,
                                index.epoch_number,
                                body
                            ])
                            .map_err(failed("store a message"))?;
                        if rows > 0 {
                            filed(Filed::Stored);
                            continue;
                        }
                        let known: String = known
                            .query_row(
                                params![&index.simulation_id, &index.source_process_id, &index.message_id],
                                |row| row.get(0),
                            )
                            .map_err(failed("look up a message"))?;
                        if known == body {
                            filed(Filed::Duplicate);
                        } else {
                            let reason = "repeats the MessageId of another message of its sender";
                            keep.execute(params![heard_at, &*record.topic, reason, &*record.body])
                                .map_err(failed("keep an invalid message"))?;
                            filed(Filed::Invalid);
                        }
                    }
                    (index, text) => {
                        let reason = index.err().or(text.err().map(|e| e.to_string())).unwrap_or_default();
                        keep.execute(params![heard_at, &*record.topic, reason, &*record.body])
                            .map_err(failed("keep an invalid message"))?;
                        filed(Filed::Invalid);
                    }
                }
            }
        }
        transaction.commit().map_err(failed("commit"))
    }

    /// Every stored message in its order: topic and body.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn messages(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut select = self
            .connection
            .prepare("SELECT topic, body FROM messages ORDER BY seq")
            .map_err(failed("read the run log"))?;
        let rows =
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed("read the run log"))?;
        rows.collect::<Result<_, _>>().map_err(failed("read the run log"))
    }

    /// Moves what is in the write-ahead log into the file.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(failed("settle the write-ahead log"))
    }
}
