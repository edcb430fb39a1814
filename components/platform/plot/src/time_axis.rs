//! The axis of simulated time: [`TimeAxis`] finds ticks on round instants for anything between a second and centuries.

use crate::track::Span;
use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// More would run into each other.
const MOST: i64 = 9;

/// Distances of ticks up to four weeks, in milliseconds. All but weeks divide a day or are whole days.
const STEPS: [i64; 26] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
];
const DAYS: [i64; 4] = [1, 2, 7, 14];
const MONTHS: [u32; 4] = [1, 2, 3, 6];
const YEARS: [u32; 9] = [1, 2, 5, 10, 20, 50, 100, 500, 1000];

/// A tick: where it is, what it says, and below that the larger unit where it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) at_ms: i64,
    pub(crate) label: String,
    pub(crate) below: Option<String>,
}

/// A range of time with ticks.
#[derive(Debug, Clone)]
pub(crate) struct TimeAxis {
    pub(crate) span: Span,
    pub(crate) ticks: Vec<Tick>,
}

impl TimeAxis {
    pub(crate) fn new(span: Span) -> Self {
        let length = span.to_ms - span.from_ms;
        let ticks = if let Some(step) = STEPS.into_iter().find(|step| length / step <= MOST) {
            let label = if step < SECOND {
                "%H:%M:%S%.3f"
            } else if step < MINUTE {
                "%H:%M:%S"
            } else {
                "%H:%M"
            };
            labelled(multiples(span, step, 0), label, "%Y-%m-%d")
        } else if let Some(days) = DAYS.into_iter().find(|days| length / (days * DAY) <= MOST) {
            // 1970 began on a Thursday; weeks begin on Mondays.
            let shift = if days % 7 == 0 { 4 * DAY } else { 0 };
            labelled(multiples(span, days * DAY, shift), "%b %-d", "%Y")
        } else {
            let month = 30 * DAY;
            match MONTHS.into_iter().find(|months| length / (i64::from(*months) * month) <= MOST + 3) {
                Some(months) => labelled(month_starts(span, months), "%b", "%Y"),
                None => {
                    let years =
                        YEARS.into_iter().find(|years| length / (i64::from(*years) * 365 * DAY) <= MOST);
                    labelled(month_starts(span, years.unwrap_or(1000) * 12), "%Y", "")
                }
            }
        };
        Self { span, ticks }
    }

    /// Where an instant lies, 0 at the beginning and 1 at the end.
    pub(crate) fn place(&self, at_ms: i64) -> f64 {
        // Both fit a double to the millisecond: the years 1 to 9999.
        let (at, length) = ((at_ms - self.span.from_ms) as f64, (self.span.to_ms - self.span.from_ms) as f64);
        (at / length).clamp(0.0, 1.0)
    }

    /// An instant as text for a mark: as much of it as tells it apart within this range.
    pub(crate) fn instant(&self, at_ms: i64) -> String {
        let length = self.span.to_ms - self.span.from_ms;
        let time = if at_ms % SECOND != 0 {
            "%H:%M:%S%.3f"
        } else if at_ms % MINUTE != 0 {
            "%H:%M:%S"
        } else {
            "%H:%M"
        };
        let same_day = day_of(self.span.from_ms) == day_of(self.span.to_ms - 1);
        if same_day {
            shown(at_ms, time)
        } else if length < 300 * DAY {
            shown(at_ms, &format!("%b %-d, {time}"))
        } else {
            shown(at_ms, &format!("%Y-%m-%d {time}"))
        }
    }
}

/// From here to there in words.
pub(crate) fn range_in_words(span: Span) -> String {
    let format = if span.from_ms % MINUTE == 0 && span.to_ms % MINUTE == 0 {
        "%H:%M"
    } else if span.from_ms % SECOND == 0 && span.to_ms % SECOND == 0 {
        "%H:%M:%S"
    } else {
        "%H:%M:%S%.3f"
    };
    let whole = format!("%Y-%m-%d {format}");
    let end = if day_of(span.from_ms) == day_of(span.to_ms) { format } else { &whole };
    format!("{} to {} UTC", shown(span.from_ms, &whole), shown(span.to_ms, end))
}

/// A length of time in the largest unit that it is a whole number of.
pub(crate) fn length_in_words(length_ms: i64) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"), (1, "ms")];
    let (size, unit) = units.into_iter().find(|(size, _)| length_ms % size == 0).unwrap_or((1, "ms"));
    format!("{} {unit}", length_ms / size)
}

fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY)
}

fn time(at_ms: i64) -> DateTime<Utc> {
    // Within the years 1 to 9999 there is no instant that chrono does not have.
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default()
}

fn shown(at_ms: i64, format: &str) -> String {
    time(at_ms).format(format).to_string()
}

fn multiples(span: Span, step: i64, shift: i64) -> Vec<i64> {
    let first = (span.from_ms - shift).div_euclid(step) * step + shift;
    let instants = std::iter::successors(Some(first), |at| Some(at + step));
    instants.skip_while(|at| *at < span.from_ms).take_while(|at| *at <= span.to_ms).collect()
}

fn month_starts(span: Span, months: u32) -> Vec<i64> {
    let from = time(span.from_ms);
    let every = i32::try_from(months).unwrap_or(1);
    // Multiples of the distance, counted in months from the year 0.
    let month0 = i32::try_from(from.month0()).unwrap_or_default();
    let first = (from.year() * 12 + month0).div_euclid(every) * every;
    let month = u32::try_from(first.rem_euclid(12)).unwrap_or_default() + 1;
    let Some(first) = NaiveDate::from_ymd_opt(first.div_euclid(12), month, 1) else { return Vec::new() };
    let starts = std::iter::successors(Some(first), |day| day.checked_add_months(Months::new(months)));
    let instants = starts.filter_map(|day| Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis()));
    instants.skip_while(|at| *at < span.from_ms).take_while(|at| *at <= span.to_ms).collect()
}

fn labelled(instants: Vec<i64>, label: &str, below: &str) -> Vec<Tick> {
    let mut last = String::new();
    let tick = |at_ms: i64| {
        let larger = shown(at_ms, below);
        let below = (larger != last).then(|| larger.clone());
        last = larger;
        let label = shown(at_ms, label);
        // Parts of a second without zeros that say nothing.
        let label = label.strip_suffix(".000").map_or(label.clone(), ToOwned::to_owned);
        Tick { at_ms, label, below }
    };
    instants.into_iter().map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_messages::Timestamp;

    fn axis(from: &str, to: &str) -> TimeAxis {
        let ms = |text: &str| Timestamp::parse(text).unwrap().as_datetime().timestamp_millis();
        TimeAxis::new(Span { from_ms: ms(from), to_ms: ms(to) })
    }

    fn labels(from: &str, to: &str) -> Vec<String> {
        axis(from, to).ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_instants_from_a_second_to_a_year() {
        let second = labels("2026-06-21T12:00:00Z", "2026-06-21T12:00:01Z");
        assert_eq!(
            second,
            ["12:00:00", "12:00:00.200", "12:00:00.400", "12:00:00.600", "12:00:00.800", "12:00:01"]
        );
        let minute = labels("2026-06-21T12:00:03Z", "2026-06-21T12:01:00Z");
        assert_eq!(minute, ["12:00:10", "12:00:20", "12:00:30", "12:00:40", "12:00:50", "12:01:00"]);
        let day = labels("2026-06-21T00:00:00Z", "2026-06-22T00:00:00Z");
        assert_eq!(day, ["00:00", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "00:00"]);
        let week = labels("2026-06-21T12:00:00Z", "2026-06-28T12:00:00Z");
        assert_eq!(week, ["Jun 22", "Jun 23", "Jun 24", "Jun 25", "Jun 26", "Jun 27", "Jun 28"]);
        let year = labels("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert_eq!(year.len(), 13);
        assert_eq!(year[..3], ["Jan", "Feb", "Mar"]);
    }

    #[test]
    fn the_date_stands_below_where_it_changes() {
        let ticks = axis("2026-06-21T18:00:00Z", "2026-06-22T06:00:00Z").ticks;
        let below: Vec<_> = ticks.iter().filter_map(|tick| tick.below.as_deref()).collect();
        assert_eq!(below, ["2026-06-21", "2026-06-22"]);
    }

    #[test]
    fn no_range_has_many_ticks() {
        let from_ms = 1_782_043_200_123;
        let mut length = 1;
        while length < 200_000_000_000_000 {
            let axis = TimeAxis::new(Span { from_ms, to_ms: from_ms + length });
            assert!(axis.ticks.len() <= 14, "{length} ms: {}", axis.ticks.len());
            length = length * 3 / 2 + 1;
        }
    }

    #[test]
    fn a_run_is_told_in_words() {
        let span = axis("2026-06-21T12:00:00Z", "2026-06-21T12:01:00Z").span;
        assert_eq!(range_in_words(span), "2026-06-21 12:00 to 12:01 UTC");
        assert_eq!([length_in_words(60_000), length_in_words(1500)], ["1 min", "1500 ms"]);
    }
}
