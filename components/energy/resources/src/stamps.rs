//! Points in time in a column `TimeIndex`: [`Stamps`] reads one after the other and insists that they ascend.
//!
//! A cell says which instant it means by `Z` or an offset, or it is a local time of the configured [`Zone`]. The rules
//! of the zones come with the program, so that a file means the same on every machine.

use crate::sheet::{Column, Row};
use gridloop_messages::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use std::sync::Arc;

/// A time zone of the IANA database, such as `Europe/Helsinki`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: Arc<str>,
    rules: TimeZone,
}

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the IANA database has no time zone {name:?}; a name is like \"Europe/Helsinki\" or \"UTC\"")]
pub struct ZoneError {
    name: String,
}

impl Zone {
    /// The zone of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        let rules = TimeZoneDatabase::bundled().get(name).map_err(|_| ZoneError { name: name.to_owned() })?;
        Ok(Self { name: name.into(), rules })
    }

    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The instants, in ms since 1970, that the local time can mean: one; two where clocks are set back; or none, and
    /// then what clocks do there.
    fn instants(&self, local: civil::DateTime) -> Result<(i64, Option<i64>), String> {
        let at = |offset: jiff::tz::Offset| offset.to_timestamp(local).map(jiff::Timestamp::as_millisecond);
        let beyond = |_| "a year that no calendar here reaches".to_owned();
        match self.rules.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => Ok((at(offset).map_err(beyond)?, None)),
            AmbiguousOffset::Fold { before, after } => {
                Ok((at(before).map_err(beyond)?, Some(at(after).map_err(beyond)?)))
            }
            AmbiguousOffset::Gap { before, after } => Err(format!(
                "a time that {} has; its clocks leave it out when they go from UTC{before} to UTC{after}",
                self.name
            )),
        }
    }
}

/// Reads the cells of one column, in their order.
#[derive(Debug)]
pub(crate) struct Stamps {
    zone: Option<Zone>,
    /// The last one, in ms since 1970, and its line.
    last: Option<(i64, u64)>,
}

impl Stamps {
    pub(crate) fn new(zone: Option<Zone>) -> Self {
        Self { zone, last: None }
    }

    /// The instant of the row in ms since 1970; what is none, or not after the one before, is a flaw.
    ///
    /// Where clocks are set back a local time comes twice: it is the earlier of the two unless that is not after the
    /// row before, so that a file that has the doubled hour twice is understood as it is meant.
    pub(crate) fn read(&mut self, row: &mut Row<'_>, column: Option<Column>) -> Option<i64> {
        let (first, second) = match self.instants(row.text(column)) {
            Ok(instants) => instants,
            Err(expected) => {
                row.reject(column, &expected);
                return None;
            }
        };
        let instant = match (self.last, second) {
            (Some((last, _)), Some(second)) if first <= last => second,
            _ => first,
        };
        if let Some((last, line)) = self.last
            && instant <= last
        {
            let order = if instant == last { "the same time again is not" } else { "this one is not" };
            row.reject(column, &format!("a time after {} in line {line} ({order})", canonical(last)));
            return None;
        }
        self.last = Some((instant, row.line()));
        Some(instant)
    }

    /// Whether the text is an instant.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        self.instants(text).is_ok()
    }

    fn instants(&self, text: &str) -> Result<(i64, Option<i64>), String> {
        const FORM: &str = "a time like 2026-03-29T01:00:00Z, with +02:00 in place of Z, or without it and with the key `time_zone`";
        let at = Timestamp::parse(text).map_err(|_| FORM.to_owned())?.as_datetime().timestamp_millis();
        if has_offset(text) {
            return Ok((at, None));
        }
        let Some(zone) = &self.zone else {
            return Err("a time with Z or an offset, or the key `time_zone` for a local time".to_owned());
        };
        let local = jiff::Timestamp::from_millisecond(at).map_err(|_| FORM.to_owned())?;
        zone.instants(TimeZone::UTC.to_datetime(local))
    }
}

/// Whether a sound time says which instant it is. The date before it has hyphens too.
fn has_offset(text: &str) -> bool {
    text.char_indices().skip(10).any(|(at, c)| at > 10 && matches!(c, 'Z' | '+' | '-'))
}

/// How messages spell an instant that was read.
pub(crate) fn canonical(unix_ms: i64) -> Timestamp {
    chrono::DateTime::from_timestamp_millis(unix_ms).unwrap_or_default().into()
}
