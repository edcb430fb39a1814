//! Where an epoch lies on this process's clock, by what its message says of wall-clock time.
//!
//! The manager counts those times from its own anchor, this process from one of its own. Where both are on one host, or
//! on hosts whose clocks are kept, they agree; where they do not, the message is taken as if it said nothing.

use gridloop_clock::{Anchor, MonoTime};
use gridloop_messages::EpochPacing;
use std::time::Duration;

/// An epoch on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) nominal_start: MonoTime,
    pub(crate) deadline: Option<MonoTime>,
}

/// An epoch that is so many periods old is not one that somebody catches up with.
const OLDEST_PERIODS: u32 = 10;

/// The window of an epoch whose message has come `now`, and what is doubtful about it.
pub(crate) fn window(
    anchor: Option<Anchor>,
    pacing: Option<&EpochPacing>,
    now: MonoTime,
) -> (Window, Option<String>) {
    let (Some(anchor), Some(pacing)) = (anchor, pacing) else {
        return (Window { nominal_start: now, deadline: None }, None);
    };
    let nominal_start = anchor.instant_of(pacing.nominal_start.as_datetime());
    let deadline = anchor.instant_of(pacing.deadline.as_datetime());
    let length = deadline.since(nominal_start);
    // A release lead is less than half of an epoch.
    if nominal_start.since(now) > length || now.since(nominal_start) > length * OLDEST_PERIODS {
        let apart = seconds(now.nanos_since(nominal_start));
        let doubt = format!(
            "an epoch that was to begin {apart} s before it was heard of: the clocks of this host and of the manager's \
             differ, the manager is far behind, or the run was resumed; its deadline is counted from now"
        );
        return (Window { nominal_start: now, deadline: Some(now + length) }, Some(doubt));
    }
    let late = (deadline < now).then(|| {
        "an epoch whose deadline had passed before it was heard of; its results are late".to_owned()
    });
    (Window { nominal_start, deadline: Some(deadline) }, late)
}

fn seconds(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{:.3}", Duration::from_nanos(nanos.unsigned_abs()).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_clock::Utc;

    const MS: Duration = Duration::from_millis(1);

    fn utc(ms: i64) -> Utc {
        chrono::DateTime::from_timestamp_millis(1_767_225_600_000 + ms).unwrap()
    }

    /// This process's clock is at an hour when UTC is at 0 ms.
    fn anchor() -> Anchor {
        Anchor { at: MonoTime::default() + Duration::from_secs(3600), utc: utc(0) }
    }

    /// An epoch of a second from `start_ms` that is heard of at `heard_ms`: start and deadline relative to that.
    fn placed(start_ms: i64, heard_ms: u32) -> (i64, i64, bool) {
        let pacing = EpochPacing {
            nominal_start: utc(start_ms).into(),
            deadline: utc(start_ms + 1000).into(),
            speed: 1.0,
        };
        let now = anchor().at + MS * heard_ms;
        let (window, doubt) = window(Some(anchor()), Some(&pacing), now);
        let ms = |instant: MonoTime| instant.nanos_since(now) / 1_000_000;
        (ms(window.nominal_start), ms(window.deadline.unwrap()), doubt.is_some())
    }

    #[test]
    fn an_epoch_lies_where_its_message_says() {
        assert_eq!(placed(5000, 5000), (0, 1000, false));
        assert_eq!(placed(5000, 5300), (-300, 700, false));
        assert_eq!(placed(5000, 4900), (100, 1100, false), "released before its instant");
    }

    #[test]
    fn an_epoch_that_is_caught_up_with_has_no_time_left() {
        assert_eq!(placed(5000, 8000), (-3000, -2000, true));
    }

    #[test]
    fn what_cannot_be_is_counted_from_now() {
        assert_eq!(placed(5000, 3000), (0, 1000, true), "a manager whose clock is ahead");
        assert_eq!(placed(5000, 20_000), (0, 1000, true), "a manager whose clock is behind");
    }

    #[test]
    fn without_times_or_without_an_anchor_an_epoch_begins_now() {
        let now = anchor().at;
        assert_eq!(window(Some(anchor()), None, now).0, Window { nominal_start: now, deadline: None });
        let pacing = EpochPacing { nominal_start: utc(0).into(), deadline: utc(1).into(), speed: 1.0 };
        assert_eq!(window(None, Some(&pacing), now).0, Window { nominal_start: now, deadline: None });
    }
}
