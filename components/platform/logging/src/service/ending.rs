//! When a Log Writer has heard enough: [`Ending`].
//!
//! Not at the word `stopped`: components may still be answering. It ends when nothing has come for a while after it,
//! and at the latest some time later, whoever goes on talking.

use gridloop_clock::MonoTime;
use std::time::Duration;

/// Nothing may come for this long after `stopped`.
const QUIET: Duration = Duration::from_secs(2);
/// After this time it ends in any case.
const PATIENCE: Duration = Duration::from_secs(30);

/// The end of a run as its log sees it.
#[derive(Debug, Default)]
pub(super) struct Ending {
    stopped_at: Option<MonoTime>,
    heard_at: MonoTime,
}

impl Ending {
    /// The run was stopped; once is enough.
    pub(super) fn stopped(&mut self, now: MonoTime) {
        self.stopped_at.get_or_insert(now);
        self.heard(now);
    }

    /// Something was heard.
    pub(super) fn heard(&mut self, now: MonoTime) {
        self.heard_at = self.heard_at.max(now);
    }

    /// When it ends if nothing more is heard; `None` while the run goes on.
    pub(super) fn due(&self) -> Option<MonoTime> {
        let stopped_at = self.stopped_at?;
        Some((self.heard_at + QUIET).min(stopped_at + PATIENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> MonoTime {
        MonoTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_run_that_was_not_stopped_does_not_end_however_quiet_it_is() {
        let mut ending = Ending::default();
        ending.heard(at(5));
        assert_eq!(ending.due(), None);
    }

    #[test]
    fn late_messages_are_waited_for_but_not_for_ever() {
        let mut ending = Ending::default();
        ending.stopped(at(10));
        assert_eq!(ending.due(), Some(at(12)));
        ending.heard(at(11));
        assert_eq!(ending.due(), Some(at(13)));
        ending.stopped(at(39));
        assert_eq!(ending.due(), Some(at(40)));
    }
}
