//! A distribution as a report has it: [`Distribution`].

use crate::BOUNDS_S;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// A distribution of durations, in microseconds to one tenth. Without samples there are no values.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Distribution {
    /// How many were measured.
    pub samples: u64,
    /// The smallest sample.
    pub min: Option<f64>,
    /// Half of the samples are at most this.
    pub p50: Option<f64>,
    /// 9 of 10 samples are at most this.
    pub p90: Option<f64>,
    /// 99 of 100 samples are at most this.
    pub p99: Option<f64>,
    /// 999 of 1000 samples are at most this.
    pub p999: Option<f64>,
    /// The largest sample.
    pub max: Option<f64>,
    /// How many samples lie at most at this, in microseconds, and above the boundary before it; only where there are
    /// any. What lies above a minute has no boundary.
    pub buckets: Vec<(Option<f64>, u64)>,
}

/// What the report says of a histogram of nanoseconds.
#[must_use]
pub fn distribution(histogram: &Histogram<u64>) -> Distribution {
    if histogram.is_empty() {
        return Distribution::default();
    }
    let at = |quantile| Some(microseconds(histogram.value_at_quantile(quantile).min(histogram.max())));
    Distribution {
        samples: histogram.len(),
        min: Some(microseconds(histogram.min())),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: Some(microseconds(histogram.max())),
        buckets: buckets(histogram),
    }
}

fn buckets(histogram: &Histogram<u64>) -> Vec<(Option<f64>, u64)> {
    let mut buckets: Vec<(Option<f64>, u64)> = Vec::new();
    for step in histogram.iter_recorded() {
        // The histogram keeps values of three digits together; the least of them decides.
        let value = Duration::from_nanos(histogram.lowest_equivalent(step.value_iterated_to()));
        let bound = BOUNDS_S.into_iter().find(|bound| value.as_secs_f64() <= *bound);
        let bound = bound.map(|bound| (bound * 1e7).round() / 10.0);
        match buckets.last_mut() {
            Some((last, count)) if *last == bound => *count += step.count_at_value(),
            _ => buckets.push((bound, step.count_at_value())),
        }
    }
    buckets
}

/// To one tenth.
fn microseconds(nanos: u64) -> f64 {
    (Duration::from_nanos(nanos).as_secs_f64() * 1e7).round() / 10.0
}
