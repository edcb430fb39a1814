//! Points in simulated or wall-clock time as requests and time indexes spell them: [`Moment`].

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use gridloop_messages::Timestamp;
use std::fmt;

/// A point in time to the microsecond, which remembers the zone in which it was written. Order and equality are those
/// of the points, not of their spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(DateTime<FixedOffset>);

impl Moment {
    /// The moment that an ISO 8601 text names: `YYYY[-MM[-DD]]` or `YYYYMMDD`, then optionally any one separator and
    /// `HH[:MM[:SS[.f...]]]` (the colons may be missing), then optionally `Z`, `+HH`, `+HHMM` or `+HH:MM`. Without a
    /// zone it is UTC. What is finer than a microsecond is cut off; 24:00 is the next midnight.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let date = take_date(&mut rest)?;
        let mut characters = rest.chars();
        let Some(_separator) = characters.next() else {
            return Self::at(date.and_time(NaiveTime::MIN), 0);
        };
        rest = characters.as_str();
        let (time, next_day) = take_time(&mut rest)?;
        let offset_min = take_zone(rest)?;
        let date = if next_day { date.checked_add_days(Days::new(1))? } else { date };
        Self::at(date.and_time(time), offset_min)
    }

    fn at(local: NaiveDateTime, offset_min: i32) -> Option<Self> {
        let zone = FixedOffset::east_opt(offset_min * 60)?;
        let moment = local.and_local_timezone(zone).single()?;
        (1..=9999).contains(&moment.naive_utc().year()).then_some(Self(moment))
    }

    /// The same point in the milliseconds of the stores; what is finer is cut off.
    #[must_use]
    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from(self.0.to_utc())
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.as_datetime().fixed_offset())
    }
}

/// As Python's `isoformat`: no fraction when it is zero, else six digits; `Z` for UTC.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0;
        let (year, month, day) = (time.year(), time.month(), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match time.nanosecond() / 1000 {
            0 => {}
            micros => write!(f, ".{micros:06}")?,
        }
        let offset_min = time.offset().local_minus_utc() / 60;
        match offset_min {
            0 => f.write_str("Z"),
            east => {
                let sign = if east < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", east.abs() / 60, east.abs() % 60)
            }
        }
    }
}

/// Takes so many digits from the front.
fn take_digits(rest: &mut &str, count: usize) -> Option<u32> {
    let (digits, behind) = rest.split_at_checked(count)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *rest = behind;
    digits.parse().ok()
}

fn take(rest: &mut &str, character: char) -> bool {
    rest.strip_prefix(character).map(|behind| *rest = behind).is_some()
}

fn take_date(rest: &mut &str) -> Option<NaiveDate> {
    let year = i32::try_from(take_digits(rest, 4)?).ok()?;
    if rest.is_empty() {
        return NaiveDate::from_ymd_opt(year, 1, 1);
    }
    let dashes = take(rest, '-');
    let month = take_digits(rest, 2)?;
    if dashes && rest.is_empty() {
        return NaiveDate::from_ymd_opt(year, month, 1);
    }
    if dashes && !take(rest, '-') {
        return None;
    }
    NaiveDate::from_ymd_opt(year, month, take_digits(rest, 2)?)
}

/// The time of day, and whether it is that of the next day.
fn take_time(rest: &mut &str) -> Option<(NaiveTime, bool)> {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(['Z', 'z', '+', '-']);
    let (mut parts, mut micros) = ([take_digits(rest, 2)?, 0, 0], 0);
    let colons = rest.starts_with(':');
    for part in &mut parts[1..] {
        if ends(rest) {
            break;
        }
        if colons && !take(rest, ':') {
            return None;
        }
        *part = take_digits(rest, 2)?;
    }
    if take(rest, '.') || take(rest, ',') {
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, behind) = rest.split_at(count);
        *rest = behind;
        micros = format!("{:0<6}", digits.get(..6).unwrap_or(digits)).parse().ok().filter(|_| count > 0)?;
    }
    let [hour, minute, second] = parts;
    let midnight = hour == 24 && (minute, second, micros) == (0, 0, 0);
    let hour = if midnight { 0 } else { hour };
    Some((NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?, midnight))
}

/// The zone in minutes east of UTC; nothing may follow it.
fn take_zone(mut rest: &str) -> Option<i32> {
    if matches!(rest, "" | "Z" | "z") {
        return Some(0);
    }
    let west = rest.starts_with('-');
    if !take(&mut rest, '+') && !take(&mut rest, '-') {
        return None;
    }
    let hours = take_digits(&mut rest, 2)?;
    let minutes = match rest {
        "" => 0,
        _ => {
            take(&mut rest, ':');
            take_digits(&mut rest, 2)?
        }
    };
    if hours > 23 || minutes > 59 || !rest.is_empty() {
        return None;
    }
    let east = i32::try_from(hours * 60 + minutes).ok()?;
    Some(if west { -east } else { east })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<String> {
        Moment::parse(text).map(|moment| moment.to_string())
    }

    #[test]
    fn every_usual_spelling_is_read_and_written_as_python_does() {
        for (text, expected) in [
            ("2023", "2023-01-01T00:00:00Z"),
            ("2023-02", "2023-02-01T00:00:00Z"),
            ("20230203", "2023-02-03T00:00:00Z"),
            ("2023-02-03", "2023-02-03T00:00:00Z"),
            ("2023-02-03T04", "2023-02-03T04:00:00Z"),
            ("2023-02-03 04:05", "2023-02-03T04:05:00Z"),
            ("20230203T040506", "2023-02-03T04:05:06Z"),
            ("2023-02-03T04:05:06.000Z", "2023-02-03T04:05:06Z"),
            ("2023-02-03T04:05:06.7Z", "2023-02-03T04:05:06.700000Z"),
            ("2023-02-03T04:05:06,123456789z", "2023-02-03T04:05:06.123456Z"),
            ("2023-02-03T04:05:06+02:00", "2023-02-03T04:05:06+02:00"),
            ("2023-02-03T04:05:06-0530", "2023-02-03T04:05:06-05:30"),
            ("2023-02-03T04:05:06+00:00", "2023-02-03T04:05:06Z"),
            ("2023-02-03T24:00", "2023-02-04T00:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "23",
            "2023-2-3",
            "2023-02-30",
            "2023-02-03T",
            "2023-02-03T25",
            "2023-02-03T04:0506",
            "2023-02-03T04:05:60",
            "2023-02-03T24:01",
            "2023-02-03T04:05:06 00:00",
            "2023-02-03T04Z1",
            "yesterday",
            "2023-02-03T04:05:06.",
            "2023-02-03T04+24:00",
            "0000-01-01",
            "2023-02-03é04",
            "２０２３",
        ] {
            let expected = (text == "2023-02-03é04").then_some("2023-02-03T04:00:00Z");
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn one_instant_in_two_zones_is_one_moment() {
        assert_eq!(Moment::parse("2023-02-03T04:00+02:00"), Moment::parse("2023-02-03T02:00Z"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Moment::parse(&text);
        }

        #[test]
        fn what_is_written_reads_back(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?[+-][01][0-9]:[0-5][0-9]") {
            if let Some(moment) = Moment::parse(&text) {
                prop_assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
            }
        }
    }
}
