//! The Log Writer as a process of its own (wire contract 5.1): [`run`].
//!
//! It reads `#` from a queue that outlives it and acknowledges a message only when it is safe: in SQLite behind a
//! commit that is on the disk, in MongoDB behind a journaled insert or, while MongoDB is away, in a local spool. So a
//! writer that is killed at any moment and started again has stored what was sent, each message once.

#[cfg(feature = "mongodb")]
mod backed;
mod ending;
mod folders;
mod sink;
#[cfg(feature = "mongodb")]
mod spool;
mod writer;

#[cfg(feature = "mongodb")]
pub use spool::SpoolError;
pub use writer::run;

use crate::location::StoreUrl;
use crate::store::{Filed, StoreError};
use gridloop_bus::BusError;
use gridloop_messages::SimulationId;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What a Log Writer is to do.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// The run whose messages it stores. Without one it stores what is announced on the management exchange, until it
    /// is stopped.
    pub run: Option<SimulationId>,
    /// Where.
    pub store: StoreUrl,
    /// The folder of the files in which messages wait for a MongoDB that is away.
    pub spool: PathBuf,
    /// Such a file grows no larger; then messages wait at the broker.
    pub spool_bytes_max: u64,
    /// Between two lines about what it has done.
    pub statistics_interval: Duration,
}

impl WriterSettings {
    /// The size of a spool unless another is asked for: 1 GiB, some two million messages.
    pub const SPOOL_BYTES_MAX: u64 = 1 << 30;
    /// The interval unless another is asked for.
    pub const STATISTICS_INTERVAL: Duration = Duration::from_secs(60);

    /// A writer with the usual bounds.
    #[must_use]
    pub fn new(run: Option<SimulationId>, store: StoreUrl, spool: PathBuf) -> Self {
        Self {
            run,
            store,
            spool,
            spool_bytes_max: Self::SPOOL_BYTES_MAX,
            statistics_interval: Self::STATISTICS_INTERVAL,
        }
    }
}

/// What became of the messages that were stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Valid messages stored.
    pub stored: u64,
    /// Messages that were stored already.
    pub duplicates: u64,
    /// Messages kept apart, because they break the wire contract, belong to another run or do not fit the store.
    pub invalid: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: &Self) {
        self.stored += more.stored;
        self.duplicates += more.duplicates;
        self.invalid += more.invalid;
    }

    pub(crate) fn count(&mut self, filed: Filed) {
        match filed {
            Filed::Stored => self.stored += 1,
            Filed::Duplicate => self.duplicates += 1,
            Filed::Invalid => self.invalid += 1,
        }
    }
}

/// What a Log Writer tells at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The run; absent for the management exchange.
    pub simulation_id: Option<String>,
    /// The store, without its login.
    pub store: String,
    /// Why it ended.
    pub ended: Ended,
    /// Messages heard.
    pub received: u64,
    /// What became of them.
    #[serde(flatten)]
    pub counts: Counts,
    /// What waited for the store.
    pub spool: SpoolSummary,
}

/// What waited for a store that was away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SpoolSummary {
    /// Times the store was away.
    pub outages: u64,
    /// Messages that had to wait.
    pub spooled: u64,
    /// Those that still do. Anything but 0: start the Log Writer again when the store is back.
    pub waiting: u64,
    /// The size of the spool at its largest.
    pub bytes_peak: u64,
}

/// Why a Log Writer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// The run was stopped and everything of it is stored.
    Stopped,
    /// It was asked to. What comes later waits at the broker.
    Asked,
}

/// Why a Log Writer could not go on. Nothing of what it had not stored was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The bus.
    #[error("the bus: {0}")]
    Bus(#[from] BusError),
    /// Another one stores this run, or took over.
    #[error("another Log Writer is at work on this exchange: {0}")]
    Lease(#[source] BusError),
    /// The SQLite file, or the disk below it.
    #[error(
        "{store} cannot be written: {source}. Nothing more is acknowledged: the broker keeps the messages for a day. \
         Make room or repair the disk and start the Log Writer again"
    )]
    Store {
        /// The store.
        store: String,
        /// What is wrong.
        source: StoreError,
    },
    /// A folder cannot be made.
    #[error("the folder {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The spool, or the disk below it.
    #[cfg(feature = "mongodb")]
    #[error(
        "{0}. Nothing more is acknowledged: the broker keeps the messages for a day. Put it right and start the Log \
         Writer again"
    )]
    Spool(#[from] SpoolError),
    /// MongoDB refuses us, and will go on to.
    #[error("{store} cannot be used: {said}")]
    Refused {
        /// The store.
        store: String,
        /// What it or its driver said.
        said: String,
    },
    /// This program has no MongoDB in it.
    #[error(
        "this gridloop was built without MongoDB; build it with `--features mongodb` or use --store sqlite:DIR"
    )]
    NoMongoDb,
    /// A bug.
    #[error("the writing of messages broke off: a bug")]
    BrokeOff,
}
