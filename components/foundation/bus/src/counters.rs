//! What a session counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a session has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages taken over for publishing.
    pub published: u64,
    /// Answers of the broker to publications, repetitions of returned messages included.
    pub confirmed: u64,
    /// Messages that reached nobody, repetitions included.
    pub returned: u64,
    /// Publications repeated, after a loss of the session or because they reached nobody.
    pub resent: u64,
    /// Times the session was lost and came back.
    pub reconnects: u64,
    /// Times the broker stopped taking messages because it was short of memory or disk.
    pub blocks: u64,
    /// Whether the session is up now.
    pub connected: bool,
    /// Whether the broker takes no messages now, being short of memory or disk.
    pub blocked: bool,
}

/// The counters behind [`Statistics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) published: AtomicU64,
    pub(crate) confirmed: AtomicU64,
    pub(crate) returned: AtomicU64,
    pub(crate) resent: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) blocks: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, connected: bool) -> Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            published: get(&self.published),
            confirmed: get(&self.confirmed),
            returned: get(&self.returned),
            resent: get(&self.resent),
            reconnects: get(&self.reconnects),
            blocks: get(&self.blocks),
            connected,
            blocked: false,
        }
    }
}
