//! What a device task counts.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Counters of one device over one run.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Readings that were whole.
    pub reads: u64,
    /// Commands newly written and confirmed by read-back. Refreshes of a device's own timer are not counted.
    pub writes: u64,
    /// Calls of the driver that failed.
    pub errors: u64,
    /// Connects after the first.
    pub reconnects: u64,
    /// How long readings took.
    pub read: Spread,
    /// From the arrival of a setpoint in this process to its confirmation by read-back, first writes only.
    pub setpoint_to_device: Spread,
}

/// A distribution of durations, kept in microseconds.
#[derive(Debug, Clone)]
pub struct Spread(Histogram<u64>);

/// Percentiles in microseconds, to three digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Half of the values are no larger.
    pub p50: u64,
    /// 99 of 100 values are no larger.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    const HIGHEST_US: u64 = 3_600_000_000;

    /// No values.
    #[must_use]
    pub fn new() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants")]
        Self(Histogram::new_with_bounds(1, Self::HIGHEST_US, 3).expect("valid bounds"))
    }

    /// Adds a value; one above an hour counts as an hour.
    pub fn add(&mut self, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.min(Self::HIGHEST_US));
    }

    /// The percentiles; `None` when there are no values.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        (!self.0.is_empty()).then(|| Percentiles {
            p50: self.0.value_at_quantile(0.5),
            p99: self.0.value_at_quantile(0.99),
            max: self.0.max(),
        })
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self::new()
    }
}
