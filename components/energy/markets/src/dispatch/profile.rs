//! Values over time that hold until the next: a [`Profile`] is averaged over the steps of a horizon.

use super::horizon::Horizon;
use gridloop_messages::{TimeSeries, Timestamp};

/// A step function of time. The last value holds as long as the one before it did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    /// Ascending, in ms since 1970; one more than values: the end.
    times_ms: Vec<i64>,
    values: Vec<f64>,
}

impl Profile {
    /// Of the series `name`, whose values are multiplied by `factor`. A single value holds for `usual_ms`.
    pub(super) fn of(series: &TimeSeries, name: &str, factor: f64, usual_ms: i64) -> Result<Self, String> {
        let Some(numbers) = series.numbers(name) else {
            return Err(format!("there is no series `{name}` of numbers in it"));
        };
        let mut times_ms: Vec<i64> = series.time_index.iter().map(|time| ms(*time)).collect();
        if times_ms.is_empty() || times_ms.len() != numbers.len() {
            return Err(format!("`{name}` has {} values for {} times", numbers.len(), times_ms.len()));
        }
        if let Some(at) = times_ms.windows(2).position(|pair| pair[0] >= pair[1]) {
            let (one, next) = (series.time_index[at], series.time_index[at + 1]);
            return Err(format!("its times do not ascend: {next} follows {one}"));
        }
        let last = times_ms[times_ms.len() - 1];
        let holds = times_ms.len().checked_sub(2).map_or(usual_ms, |before| last - times_ms[before]);
        times_ms.push(last.saturating_add(holds));
        let values: Vec<f64> = numbers.iter().map(|value| value * factor).collect();
        if !values.iter().all(|value| value.is_finite()) {
            return Err(format!("`{name}` has values that are not finite"));
        }
        Ok(Self { times_ms, values })
    }

    /// First instant, and first after it.
    pub(super) fn span_ms(&self) -> (i64, i64) {
        let first = self.times_ms.first().copied().unwrap_or_default();
        (first, self.times_ms.last().copied().unwrap_or(first))
    }

    /// Time-weighted average from `from` to `to`; nothing where it does not cover that.
    pub(super) fn mean(&self, from: i64, to: i64) -> Option<f64> {
        let (first, end) = self.span_ms();
        if from < first || to > end || from >= to {
            return None;
        }
        let begin = self.times_ms.partition_point(|time| *time <= from).saturating_sub(1);
        let mut sum = 0.0;
        for (n, value) in self.values.iter().enumerate().skip(begin) {
            let overlap = self.times_ms[n + 1].min(to) - self.times_ms[n].max(from);
            if overlap <= 0 {
                break;
            }
            sum += value * overlap as f64;
        }
        Some(sum / (to - from) as f64)
    }

    /// The average of each step, as far as it covers them.
    pub(super) fn steps(&self, horizon: &Horizon) -> Vec<f64> {
        horizon.spans().map_while(|(from, to)| self.mean(from, to)).collect()
    }
}

/// In ms since 1970.
pub(super) fn ms(time: Timestamp) -> i64 {
    time.as_datetime().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(times: &[&str], values: &[f64]) -> TimeSeries {
        let times = times.iter().map(|time| Timestamp::parse(time).unwrap()).collect();
        TimeSeries::single(times, "RealPower", "kW", values.to_vec())
    }

    fn profile(times: &[&str], values: &[f64]) -> Profile {
        Profile::of(&series(times, values), "RealPower", 1.0, 3_600_000).unwrap()
    }

    const MINUTE: i64 = 60_000;

    #[test]
    fn values_are_averaged_over_a_step_by_the_time_that_they_hold() {
        let hours =
            profile(&["2023-02-01T00:00Z", "2023-02-01T01:00Z", "2023-02-01T02:00Z"], &[1.0, 3.0, 5.0]);
        let start = hours.span_ms().0;
        let steps = |start, step, count| hours.steps(&Horizon::even(start, step, count));
        assert_eq!(steps(start, 60 * MINUTE, 9), [1.0, 3.0, 5.0], "the last holds for an hour");
        assert_eq!(steps(start, 90 * MINUTE, 9), [(60.0 + 90.0) / 90.0, (90.0 + 300.0) / 90.0]);
        assert_eq!(steps(start + 30 * MINUTE, 15 * MINUTE, 3), [1.0, 1.0, 3.0]);
        assert!(steps(start - 1, 60 * MINUTE, 9).is_empty(), "it begins too late");
    }

    #[test]
    fn unequal_distances_are_weighed() {
        let uneven = profile(&["2023-02-01T00:00Z", "2023-02-01T00:45Z"], &[4.0, 8.0]);
        assert_eq!(uneven.mean(uneven.span_ms().0, uneven.span_ms().0 + 60 * MINUTE), Some(5.0));
        assert_eq!(uneven.span_ms().1 - uneven.span_ms().0, 90 * MINUTE);
    }

    #[test]
    fn a_single_value_holds_for_a_step() {
        let one = profile(&["2023-02-01T00:00Z"], &[2.0]);
        assert_eq!(one.steps(&Horizon::even(one.span_ms().0, 60 * MINUTE, 5)), [2.0]);
    }

    #[test]
    fn times_that_do_not_ascend_are_told() {
        let twice = series(&["2023-02-01T00:00Z", "2023-02-01T00:00Z"], &[1.0, 2.0]);
        let error = Profile::of(&twice, "RealPower", 1.0, 1).unwrap_err();
        assert!(error.contains("2023-02-01T00:00:00.000Z follows"), "{error}");
    }
}
