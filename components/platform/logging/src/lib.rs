//! The run log and the Log Writer: every message of a run, in order, in SQLite or MongoDB.
//!
//! [`RunLog`] is the log inside a run's own process: it listens to `#` and hands what it hears to a writer thread
//! through a bounded queue, so that the disk never holds up a run. Messages are stored as they were sent; one that
//! comes twice is stored once; one that breaks the wire contract is kept apart, with the reason. [`run_log_writer`] is
//! the Log Writer, a process of its own that loses nothing.

pub mod archive;
#[cfg(feature = "bare")]
#[doc(hidden)]
pub mod bare;
mod document;
mod location;
mod metadata;
#[cfg(feature = "mongodb")]
mod mongo;
mod record;
mod service;
mod store;
mod writer;

pub use document::{DATE_FIELDS, Document};
pub use location::{Collections, MongoParts, MongoSettings, StoreUrl, StoreUrlError};
pub use metadata::Metadata;
pub use record::{Identity, Record};
#[cfg(feature = "mongodb")]
pub use service::SpoolError;
pub use service::{Counts, Ended, SpoolSummary, Summary, WriterError, WriterSettings, run as run_log_writer};
pub use store::{Store, StoreError};
pub use writer::{LogCounts, LogError, RunLog};
