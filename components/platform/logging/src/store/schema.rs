//! The tables of a run's file. Their names and columns are part of what users query; see docs/run-log.md.

use super::{StoreError, failed};
use rusqlite::Connection;

/// The layout that this code writes and reads (`PRAGMA user_version`).
pub(crate) const VERSION: i64 = 2;

const SCHEMA: &str = "
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY,
    heard_at TEXT NOT NULL,
    topic TEXT NOT NULL,
    type TEXT NOT NULL,
    simulation_id TEXT NOT NULL,
    source_process_id TEXT,
    message_id TEXT,
    epoch_number INTEGER,
    body TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    warnings INTEGER NOT NULL,
    identity BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS messages_once ON messages (identity);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages (timestamp);
CREATE INDEX IF NOT EXISTS messages_by_epoch ON messages (epoch_number) WHERE epoch_number IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_of_epochs ON messages (epoch_number) WHERE type = 'Epoch';
CREATE TABLE IF NOT EXISTS invalid_messages (
    seq INTEGER PRIMARY KEY,
    heard_at TEXT NOT NULL,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    timestamp TEXT NOT NULL,
    identity BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS invalid_messages_by_time ON invalid_messages (timestamp);
CREATE UNIQUE INDEX IF NOT EXISTS invalid_messages_once ON invalid_messages (identity);
CREATE TABLE IF NOT EXISTS simulation (
    simulation_id TEXT PRIMARY KEY,
    start_time TEXT,
    end_time TEXT,
    name TEXT,
    description TEXT,
    epochs INTEGER NOT NULL,
    processes TEXT NOT NULL,
    latest TEXT,
    stopped INTEGER NOT NULL
) STRICT;
PRAGMA user_version = 2;
COMMIT;
";

/// Makes the tables that are missing.
pub(super) fn make(connection: &Connection) -> Result<(), StoreError> {
    match version(connection)? {
        VERSION => return Ok(()),
        0 if !has_messages(connection)? => {}
        found => return Err(StoreError::Version { found }),
    }
    // Two processes that begin at once make the same tables one after the other.
    connection.execute_batch(SCHEMA).map_err(failed("make the tables"))
}

/// Refuses a file with other tables.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    match version(connection)? {
        VERSION => Ok(()),
        found => Err(StoreError::Version { found }),
    }
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed("read the run log"))
}

fn has_messages(connection: &Connection) -> Result<bool, StoreError> {
    let question = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'messages')";
    connection.query_row(question, [], |row| row.get(0)).map_err(failed("read the run log"))
}
