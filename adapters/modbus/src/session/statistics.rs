//! What is counted on a link: [`LinkStatistics`], and the [`Tally`] that the link's task keeps them in.

use super::error::LinkError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What has happened on one link since this process first used it, whatever units it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStatistics {
    /// How often the connection was opened, or the serial port.
    pub opened: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Requests that were answered with an exception.
    pub exceptions: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Answers that were none to the request.
    pub malformed: u64,
    /// Frames whose CRC was wrong, on RTU.
    pub bad_checksums: u64,
    /// Requests during which the connection broke.
    pub lost: u64,
    /// Bytes that nobody had asked for, on RTU.
    pub discarded_bytes: u64,
}

/// The counters of one link. Clones count in the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(Arc<Mutex<LinkStatistics>>);

impl Tally {
    pub(super) fn read(&self) -> LinkStatistics {
        *self.lock()
    }

    pub(super) fn opened(&self) {
        self.lock().opened += 1;
    }

    pub(super) fn discarded(&self, bytes: usize) {
        self.lock().discarded_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Counts a request by its result.
    pub(super) fn asked<T>(&self, result: &Result<T, LinkError>) {
        let mut counts = self.lock();
        counts.requests += 1;
        match result {
            Ok(_) => {}
            Err(LinkError::Exception(_)) => counts.exceptions += 1,
            Err(LinkError::Timeout(_)) => counts.timeouts += 1,
            Err(LinkError::Malformed(_)) => counts.malformed += 1,
            Err(LinkError::BadChecksum) => counts.bad_checksums += 1,
            Err(LinkError::Lost(_)) => counts.lost += 1,
        }
    }

    fn lock(&self) -> MutexGuard<'_, LinkStatistics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LinkStatistics {
    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            opened: self.opened + other.opened,
            requests: self.requests + other.requests,
            exceptions: self.exceptions + other.exceptions,
            timeouts: self.timeouts + other.timeouts,
            malformed: self.malformed + other.malformed,
            bad_checksums: self.bad_checksums + other.bad_checksums,
            lost: self.lost + other.lost,
            discarded_bytes: self.discarded_bytes + other.discarded_bytes,
        }
    }
}
