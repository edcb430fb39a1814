//! The run log: every message of a run, in order, in SQLite.
//!
//! [`RunLog`] listens to `#` and hands what it hears to a writer thread through a bounded queue, so that the disk never
//! holds up a run. Messages are stored as they were sent; one that comes twice (its sender and MessageId are known
//! already) is stored once; one that breaks the wire contract is kept apart, with the reason.

mod record;
mod store;
mod writer;

pub use record::Record;
pub use store::{Store, StoreError};
pub use writer::{LogCounts, LogError, RunLog};
