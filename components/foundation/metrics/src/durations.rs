//! Measured durations: [`Durations`].

use crate::{Distribution, distribution};
use hdrhistogram::Histogram;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Durations of one kind, to three digits. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    /// None is kept before there is a first sample.
    samples: Arc<Mutex<Option<Histogram<u64>>>>,
    shown: Option<prometheus::Histogram>,
}

impl Durations {
    pub(crate) fn new(shown: Option<prometheus::Histogram>) -> Self {
        Self { samples: Arc::default(), shown }
    }

    /// Adds a sample.
    pub fn add(&self, sample: Duration) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.is_none() {
            *samples = Histogram::new(3).ok();
        }
        if let Some(histogram) = &mut *samples {
            // It grows as needed up to 584 years, to which samples are cut, so it takes every one.
            histogram.record(u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX)).ok();
        }
        drop(samples);
        if let Some(shown) = &self.shown {
            shown.observe(sample.as_secs_f64());
        }
    }

    /// All of them.
    #[must_use]
    pub fn distribution(&self) -> Distribution {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.as_ref().map(distribution).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_samples_there_are_no_values() {
        let json = serde_json::to_value(Durations::default().distribution()).unwrap();
        assert_eq!((&json["samples"], &json["p50"], &json["max"]), (&0.into(), &().into(), &().into()));
    }

    #[test]
    fn percentiles_are_within_a_thousandth_of_the_samples() {
        let durations = Durations::default();
        for us in 1..=1000 {
            durations.add(Duration::from_micros(us));
        }
        let found = durations.distribution();
        let values = [(found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0), (found.max, 1000.0)];
        for (found, exact) in values {
            let found = found.unwrap();
            assert!((found - exact).abs() <= exact / 1000.0, "{found} instead of {exact}");
        }
        assert_eq!(found.buckets.iter().map(|(_, count)| count).sum::<u64>(), 1000);
        assert_eq!(found.buckets.last().map(|(bound, _)| *bound), Some(Some(1000.0)));
    }

    #[test]
    fn a_sample_beyond_every_boundary_is_kept() {
        let durations = Durations::default();
        durations.add(Duration::MAX);
        durations.add(Duration::ZERO);
        let found = durations.distribution();
        assert_eq!(found.buckets, [(Some(10.0), 1), (None, 1)]);
    }
}
