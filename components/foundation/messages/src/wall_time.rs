//! Points in wall-clock time finer than a [`Timestamp`](crate::Timestamp): [`WallTime`], for the instants of paced epochs.

use chrono::{DateTime, Datelike, SubsecRound, Utc};
use std::fmt;

/// A point in wall-clock time: UTC, whole microseconds (what is finer is cut off), years 1 to 9999.
///
/// `Display` is `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(DateTime<Utc>);

impl WallTime {
    /// The time that `text` spells, by RFC 3339; none if it spells none or one outside the years 1 to 9999.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
        (1..=9999).contains(&time.year()).then(|| Self::from(time))
    }

    /// The same point in time for calculations with `chrono`.
    #[must_use]
    pub const fn as_datetime(self) -> DateTime<Utc> {
        self.0
    }
}

/// Cuts to microseconds. Beyond the years 1 to 9999 it is 1970: no clock is there.
impl From<DateTime<Utc>> for WallTime {
    fn from(time: DateTime<Utc>) -> Self {
        let time = if (1..=9999).contains(&time.year()) { time } else { DateTime::UNIX_EPOCH };
        Self(time.trunc_subsecs(6))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_its_text_says_to_the_microsecond() {
        let time = DateTime::from_timestamp(1_767_225_600, 123_456_789).unwrap();
        let wall = WallTime::from(time);
        assert_eq!(wall.to_string(), "2026-01-01T00:00:00.123456Z");
        assert_eq!(WallTime::parse(&wall.to_string()), Some(wall));
        assert_eq!(WallTime::parse("2026-01-01T02:00:00.123456+02:00"), Some(wall));
    }

    #[test]
    fn what_no_clock_shows_is_no_time() {
        for text in ["", "soon", "2026-01-01", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00"] {
            assert_eq!(WallTime::parse(text), None, "{text}");
        }
        assert_eq!(WallTime::from(DateTime::<Utc>::MAX_UTC).to_string(), "1970-01-01T00:00:00.000000Z");
    }
}
