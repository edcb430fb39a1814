//! The reading side of both stores: [`Archive`].
//!
//! A [`Select`] says which messages of a run are wanted; they come as [`Documents`], a stream of batches behind a small
//! bounded queue, so that memory does not grow with the run. Whoever stops reading stops the store.
//!
//! Everything is served as JSON objects in the stored form of wire contract 5.1. Dates are texts in their canonical
//! spelling, in the fields of [`DATE_FIELDS`](crate::DATE_FIELDS) only.

#[cfg(feature = "mongodb")]
mod mongo;
mod select;
mod sqlite;
mod topic;

#[cfg(feature = "mongodb")]
pub use mongo::MongoArchive;
pub use select::{Cursor, EpochSpan, Epochs, Order, Select};
pub use sqlite::SqliteArchive;
pub use topic::TopicPattern;

use crate::location::StoreUrl;
use crate::store::StoreError;
use gridloop_messages::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

/// A message or a run as JSON.
pub type Fields = Map<String, Value>;

/// Batches that may wait for the reader.
const QUEUE: usize = 2;
/// Messages in one batch at most.
const BATCH_MESSAGES: usize = 256;
/// Bytes of bodies after which a batch is full.
const BATCH_BYTES: usize = 1 << 18;

/// Stored runs.
#[derive(Debug, Clone)]
pub enum Archive {
    /// A folder of run folders.
    Sqlite(SqliteArchive),
    /// A database in the layout of wire contract 5.1.
    #[cfg(feature = "mongodb")]
    Mongo(MongoArchive),
}

/// The store did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A run's file.
    #[error("read {path}: {source}")]
    Store {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: StoreError,
    },
    /// SQLite, in the middle of reading.
    #[error("read the run log: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The folder of runs.
    #[error("list the runs in {path}: {source}")]
    Folder {
        /// The folder.
        path: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// MongoDB.
    #[cfg(feature = "mongodb")]
    #[error("MongoDB: {0}")]
    Mongo(#[from] mongodb::error::Error),
    /// This program was built without MongoDB.
    #[cfg(not(feature = "mongodb"))]
    #[error("this gridloop was built without MongoDB; build it with `--features mongodb`")]
    NoMongoDb,
    /// The reading thread ended without a word.
    #[error("the reading was broken off")]
    BrokenOff,
}

impl Archive {
    /// The store at this address. Nothing is asked of it yet: a folder or a server may still be missing.
    ///
    /// # Errors
    /// When the address is none, or of a store that this gridloop was built without.
    pub async fn open(store: &StoreUrl) -> Result<Self, ArchiveError> {
        match store {
            StoreUrl::Sqlite(runs) => Ok(Self::Sqlite(SqliteArchive::new(runs.clone()))),
            #[cfg(feature = "mongodb")]
            StoreUrl::MongoDb(settings) => Ok(Self::Mongo(MongoArchive::connect(settings).await?)),
            #[cfg(not(feature = "mongodb"))]
            StoreUrl::MongoDb(_) => Err(ArchiveError::NoMongoDb),
        }
    }

    /// The metadata documents of all runs, by SimulationId in SQLite, as they come in MongoDB.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(&self, started: &Started) -> Result<Vec<Fields>, ArchiveError> {
        match self {
            Self::Sqlite(archive) => archive.runs(started).await,
            #[cfg(feature = "mongodb")]
            Self::Mongo(archive) => archive.runs(started).await,
        }
    }

    /// The metadata document of one run; `None` if there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn run(&self, id: &str) -> Result<Option<Fields>, ArchiveError> {
        match self {
            Self::Sqlite(archive) => archive.run(id).await,
            #[cfg(feature = "mongodb")]
            Self::Mongo(archive) => archive.run(id).await,
        }
    }

    /// Whether the run has messages, valid or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has(&self, id: &str) -> Result<bool, ArchiveError> {
        match self {
            Self::Sqlite(archive) => Ok(archive.has(id)),
            #[cfg(feature = "mongodb")]
            Self::Mongo(archive) => archive.has(id).await,
        }
    }

    /// The selected messages of a run that is there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn messages(&self, id: &str, select: Select) -> Result<Documents, ArchiveError> {
        match self {
            Self::Sqlite(archive) => Ok(archive.messages(id, select)),
            #[cfg(feature = "mongodb")]
            Self::Mongo(archive) => archive.messages(id, select).await,
        }
    }

    /// The messages of a run that broke the wire contract, by time. Of `select`, the topic, the place and the limit
    /// count.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn invalid_messages(&self, id: &str, select: Select) -> Result<Documents, ArchiveError> {
        match self {
            Self::Sqlite(archive) => Ok(archive.invalid_messages(id, select)),
            #[cfg(feature = "mongodb")]
            Self::Mongo(archive) => archive.invalid_messages(id, select).await,
        }
    }

    /// Where the page that `select` limits ends, if more follows behind it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page_end(
        &self,
        id: &str,
        select: &Select,
        kind: Kind,
    ) -> Result<Option<Cursor>, ArchiveError> {
        let Some(limit) = select.limit else { return Ok(None) };
        match self {
            Self::Sqlite(archive) => archive.page_end(id, select, kind, limit).await,
            #[cfg(feature = "mongodb")]
            Self::Mongo(archive) => archive.page_end(id, select, kind, limit).await,
        }
    }

    /// The epochs of a run in the order of their messages; an Epoch message that was sent again comes again.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn epochs(&self, id: &str, epochs: Epochs) -> Result<Vec<EpochSpan>, ArchiveError> {
        match self {
            Self::Sqlite(archive) => archive.epochs(id, epochs).await,
            #[cfg(feature = "mongodb")]
            Self::Mongo(archive) => archive.epochs(id, epochs).await,
        }
    }

    /// The highest EpochNumber of a run's messages.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn last_epoch(&self, id: &str) -> Result<Option<i64>, ArchiveError> {
        match self {
            Self::Sqlite(archive) => archive.last_epoch(id).await,
            #[cfg(feature = "mongodb")]
            Self::Mongo(archive) => archive.last_epoch(id).await,
        }
    }
}

/// Valid messages or those kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Messages that keep the wire contract.
    Valid,
    /// Messages that break it.
    Invalid,
}

/// A range of wall-clock time in which a run started: `from` included, `to` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Started {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

impl Started {
    /// Whether the range has this start. A run without one is in no limited range.
    fn has(&self, start: Option<Timestamp>) -> bool {
        let late_enough = self.from.is_none_or(|from| start.is_some_and(|start| start >= from));
        let early_enough = self.to.is_none_or(|to| start.is_some_and(|start| start < to));
        late_enough && early_enough
    }
}

/// The messages that were asked for, in batches, read while they are taken.
#[derive(Debug)]
pub struct Documents {
    batches: mpsc::Receiver<Result<Vec<Fields>, ArchiveError>>,
}

impl Documents {
    /// The next batch, never an empty one; `None` behind the last. After an error nothing comes.
    ///
    /// # Errors
    /// When the store cannot be read any further: what came is not all.
    pub async fn next(&mut self) -> Result<Option<Vec<Fields>>, ArchiveError> {
        self.batches.recv().await.transpose()
    }
}

/// The end at which a store puts its batches.
struct Sender {
    batches: mpsc::Sender<Result<Vec<Fields>, ArchiveError>>,
    batch: Vec<Fields>,
    bytes: usize,
}

impl Sender {
    fn new() -> (Self, Documents) {
        let (batches, receiver) = mpsc::channel(QUEUE);
        (Self { batches, batch: Vec::new(), bytes: 0 }, Documents { batches: receiver })
    }

    /// Puts a message that was so many bytes long; gives a batch when it is full.
    fn put(&mut self, fields: Fields, bytes: usize) -> Option<Vec<Fields>> {
        self.batch.push(fields);
        self.bytes += bytes;
        (self.batch.len() >= BATCH_MESSAGES || self.bytes >= BATCH_BYTES).then(|| {
            self.bytes = 0;
            std::mem::take(&mut self.batch)
        })
    }

    /// What is left.
    fn rest(&mut self) -> Option<Vec<Fields>> {
        (!self.batch.is_empty()).then(|| std::mem::take(&mut self.batch))
    }
}
