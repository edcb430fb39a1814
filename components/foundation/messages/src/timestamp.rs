//! Points in time as the bus spells them: [`Timestamp`] is UTC in whole milliseconds, within the years 1 to 9999.
//!
//! [`Timestamp::parse`] takes every spelling of wire contract 2.1, `Display` gives the one canonical spelling
//! (contract rule 7). The two meet in [`SimulationId`](crate::SimulationId), which is a timestamp by its spelling.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use serde::{Serialize, Serializer};

/// First and last millisecond that four digits of year can spell, counted from 1970.
const EARLIEST_MS: i64 = -62_135_596_800_000;
const LATEST_MS: i64 = 253_402_300_799_999;

/// A point in time: UTC, whole milliseconds (what is finer is cut off, never rounded), years 1 to 9999.
///
/// `Display` is the canonical spelling `YYYY-MM-DDTHH:MM:SS.mmmZ`; order in time is order of spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_ms: i64,
}

/// A text that is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no timestamp; expected YYYY-MM-DDTHH:MM:SS.mmmZ")]
pub struct TimestampError {
    /// The beginning of the text.
    pub found: String,
}

impl Timestamp {
    /// The timestamp that `text` spells, by wire contract 2.1: `YYYY-MM-DD`, then optionally any one separator and
    /// `HH[:MM[:SS[.fff|.ffffff]]]`, then optionally `Z` or `+HH:MM` or `-HH:MM`.
    ///
    /// A time without a zone is taken as UTC. SimCES takes it in the zone of the receiving machine, so that the same
    /// message means different times on different machines; gridloop deviates on purpose.
    ///
    /// # Errors
    /// The text has another form, or names a day, time or year that does not exist.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        parse(text).ok_or_else(|| TimestampError { found: text.chars().take(40).collect() })
    }

    /// The same point in time for calculations with `chrono`.
    #[must_use]
    pub fn as_datetime(self) -> DateTime<Utc> {
        // chrono covers some 260,000 years to either side, so the default is never taken.
        DateTime::from_timestamp_millis(self.unix_ms).unwrap_or_default()
    }

    /// This time and `span` (cut to milliseconds) together; at most the end of year 9999.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self { unix_ms: self.unix_ms.saturating_add(span_ms).min(LATEST_MS) }
    }
}

/// Cuts to milliseconds and to the years 1 to 9999.
impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self { unix_ms: time.timestamp_millis().clamp(EARLIEST_MS, LATEST_MS) }
    }
}

impl Timestamp {
    /// The canonical spelling. Written digit by digit: every message has several, and the formatter of the standard
    /// library would take most of the time of writing one.
    fn spelling(self) -> [u8; 24] {
        let time = self.as_datetime();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let parts = [
            (0..4, u32::try_from(time.year()).unwrap_or_default()),
            (5..7, time.month()),
            (8..10, time.day()),
            (11..13, time.hour()),
            (14..16, time.minute()),
            (17..19, time.second()),
            (20..23, time.timestamp_subsec_millis()),
        ];
        for (place, mut rest) in parts {
            for digit in text[place].iter_mut().rev() {
                *digit = b"0123456789"[rest as usize % 10];
                rest /= 10;
            }
        }
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.spelling();
        // Digits and punctuation only, so it is text.
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// As a string in the canonical spelling.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let date = parse_date(date.as_bytes())?;
    let mut rest = rest.chars();
    let (time, offset_min) = match rest.next() {
        None => ([0; 4], 0),
        Some('Z') => return None,
        Some(_separator) => {
            let (time, offset_min) = split_zone(rest.as_str())?;
            (parse_time(time.as_bytes())?, offset_min)
        }
    };
    let [hour, minute, second, millis] = time;
    let local_ms = date.and_hms_milli_opt(hour, minute, second, millis)?.and_utc().timestamp_millis();
    let unix_ms = local_ms - offset_min * 60_000;
    (EARLIEST_MS..=LATEST_MS).contains(&unix_ms).then_some(Timestamp { unix_ms })
}

/// `YYYY-MM-DD`
fn parse_date(date: &[u8]) -> Option<NaiveDate> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let year = two_digits(y1, y2)? * 100 + two_digits(y3, y4)?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, two_digits(m1, m2)?, two_digits(d1, d2)?)
}

/// What stands before the zone, and the zone in minutes east of UTC.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, 0)) };
    let (time, zone) = text.split_at(at);
    let &[sign, h1, h2, b':', m1, m2] = zone.as_bytes() else { return None };
    let (hours, minutes) = (two_digits(h1, h2)?, two_digits(m1, m2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset_min = i64::from(hours * 60 + minutes);
    Some((time, if sign == b'-' { -offset_min } else { offset_min }))
}

/// Hour, minute, second and millisecond of `HH[:MM[:SS[.fff|.ffffff]]]`; their ranges are left to chrono.
fn parse_time(time: &[u8]) -> Option<[u32; 4]> {
    let (h, m, s, fraction): (_, _, _, &[u8]) = match *time {
        [h1, h2] => ([h1, h2], *b"00", *b"00", b""),
        [h1, h2, b':', m1, m2] => ([h1, h2], [m1, m2], *b"00", b""),
        [h1, h2, b':', m1, m2, b':', s1, s2] => ([h1, h2], [m1, m2], [s1, s2], b""),
        [h1, h2, b':', m1, m2, b':', s1, s2, b'.', ref fraction @ ..] if matches!(fraction.len(), 3 | 6) => {
            ([h1, h2], [m1, m2], [s1, s2], fraction)
        }
        _ => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = fraction.iter().take(3).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some([two_digits(h[0], h[1])?, two_digits(m[0], m[1])?, two_digits(s[0], s[1])?, millis])
}

fn two_digits(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}
