//! The SQLite file of a run: [`Store`].

mod insert;
mod schema;
mod simulation;

pub(crate) use insert::Filed;
#[cfg(feature = "mongodb")]
pub(crate) use insert::REPEATED_ID;
pub(crate) use simulation::{metadata_of, metadata_of_all};

use gridloop_messages::SimulationId;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Another process that writes into the same file is waited for this long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A run's messages on disk.
pub struct Store {
    connection: Connection,
    /// Messages of other runs are kept apart.
    run: Option<SimulationId>,
}

/// The store could not do as told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite, or the disk below it.
    #[error("{operation}: {source}")]
    Sqlite {
        /// What was being done.
        operation: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file has other tables than this gridloop writes.
    #[error(
        "the run log was written by another version of gridloop (layout {found}, here {})",
        schema::VERSION
    )]
    Version {
        /// The layout of the file.
        found: i64,
    },
}

fn failed(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| StoreError::Sqlite { operation, source }
}

impl Store {
    /// Opens or makes the file, with a write-ahead log, for the log inside a run's own process: what was written last
    /// may be missing after a power cut, and nothing after the end of the process.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no such store.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, "NORMAL", None)
    }

    /// Opens or makes a file for a writer that acknowledges what it has stored: a transaction that is done is on the
    /// disk, whatever happens next. Messages of other runs than `run`, if that is given, are kept apart.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no such store.
    pub fn open_durable(path: &Path, run: Option<SimulationId>) -> Result<Self, StoreError> {
        Self::open_with(path, "FULL", run)
    }

    fn open_with(path: &Path, synchronous: &str, run: Option<SimulationId>) -> Result<Self, StoreError> {
        let connection = Connection::open(path).map_err(failed("open the run log"))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("set the waiting time"))?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(failed("turn on the write-ahead log"))?;
        connection.pragma_update(None, "synchronous", synchronous).map_err(failed("set synchronous"))?;
        schema::make(&connection)?;
        Ok(Self { connection, run })
    }

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// When there is no such file, or it is no store.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let plain = Self::read_with(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let settled = !sibling(path, "-wal").exists();
        match plain {
            // Whoever may not write beside the file cannot follow a log. Where there is none, the file says it all.
            Err(StoreError::Sqlite { .. }) if settled && path.exists() => Self::read_with(
                &unchanging(path),
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
            ),
            plain => plain,
        }
    }

    fn read_with(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, flags).map_err(failed("open the run log"))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("set the waiting time"))?;
        schema::check(&connection)?;
        Ok(Self { connection, run: None })
    }

    /// The connection, for the reading side.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
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

    /// Every message that was kept apart, in its order: topic, reason and bytes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn invalid_messages(&self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        let mut select = self
            .connection
            .prepare("SELECT topic, reason, body FROM invalid_messages ORDER BY seq")
            .map_err(failed("read the run log"))?;
        let rows = select
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(failed("read the run log"))?;
        rows.collect::<Result<_, _>>().map_err(failed("read the run log"))
    }

    /// Moves what is in the write-ahead log into the file.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(failed("settle the write-ahead log"))
    }
}

/// The file of the same name with something behind it.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file as SQLite is told of one that nobody writes.
fn unchanging(path: &Path) -> PathBuf {
    let mut name = String::from("file:");
    for character in path.to_string_lossy().chars() {
        match character {
            '%' | '?' | '#' => name += &format!("%{:02x}", u32::from(character)),
            other => name.push(other),
        }
    }
    name += "?immutable=1";
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_file_is_read_without_a_trace_beside_it_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b?c=d#e%20f.sqlite");
        drop(Store::open(&path).unwrap());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let store = Store::read_with(&unchanging(&path), flags).unwrap();
        assert_eq!(store.messages().unwrap(), []);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Store::read(&folder.path().join("none.sqlite")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
