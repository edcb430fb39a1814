//! When a market is open: [`OpeningHours`].

use gridloop_messages::Timestamp;
use gridloop_service::Section;

/// Hours of the day, UTC, of which the closing hour is the last open one (wire contract 6.11).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpeningHours {
    /// The first.
    pub opening_h: f64,
    /// The last: an epoch that begins within it is still open. Not before the first.
    pub closing_h: f64,
}

impl OpeningHours {
    /// Whether the market is open in an epoch that begins at this simulated time. As on the Python platform only the
    /// hour counts, not the minute.
    #[must_use]
    pub fn is_open(&self, epoch_start: Timestamp) -> bool {
        use chrono::Timelike as _;
        let hour = f64::from(epoch_start.as_datetime().hour());
        self.opening_h <= hour && hour <= self.closing_h
    }

    /// Reads `opening_hour` and `closing_hour`.
    pub fn read(section: &Section<'_>) -> Self {
        let hours = Self {
            opening_h: section
                .number("opening_hour", "First hour of the day, UTC, in which the market is open.")
                .within(0.0..=23.0)
                .or(0.0),
            closing_h: section
                .number("closing_hour", "Last hour of the day, UTC, in which the market is open.")
                .within(0.0..=23.0)
                .or(23.0),
        };
        if hours.closing_h < hours.opening_h {
            section.error(Some("closing_hour"), "an hour that is not before `opening_hour`", None);
        }
        hours
    }
}
