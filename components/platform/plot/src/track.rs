//! A value over the epochs of a run: [`Track`] as it is collected, [`Step`] as it is drawn.

use std::collections::BTreeMap;

/// Larger numbers are drawn as this one, so that no sum of two overflows.
const LARGEST: f64 = 1e300;

/// When an epoch begins and ends, in milliseconds since 1970 of simulated time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

/// The value of one epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    pub(crate) value: f64,
    /// It came with a warning, or its quality was not good.
    pub(crate) doubtful: bool,
}

/// A value over epochs. Of several in one epoch the last counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Track(BTreeMap<u64, Reading>);

/// A value that is held for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) value: f64,
    pub(crate) doubtful: bool,
}

impl Track {
    pub(crate) fn put(&mut self, epoch: u64, value: f64, doubtful: bool) {
        if value.is_finite() {
            self.0.insert(epoch, Reading { value: value.clamp(-LARGEST, LARGEST), doubtful });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn at(&self, epoch: u64) -> Option<f64> {
        self.0.get(&epoch).map(|reading| reading.value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Reading)> {
        self.0.iter().map(|(epoch, reading)| (*epoch, *reading))
    }

    /// What it is drawn from: the epochs of which the time is known.
    pub(crate) fn steps(&self, epochs: &BTreeMap<u64, Span>, scale: f64) -> Vec<Step> {
        let step = |(epoch, reading): (u64, Reading)| {
            let span = epochs.get(&epoch)?;
            let value = (reading.value * scale).clamp(-LARGEST, LARGEST);
            Some(Step { from_ms: span.from_ms, to_ms: span.to_ms, value, doubtful: reading.doubtful })
        };
        let mut steps: Vec<Step> = self.iter().filter_map(step).collect();
        // Simulated time may run another way than the numbers only in a broken run; a line has to go forward.
        steps.sort_by_key(|step| step.from_ms);
        steps
    }

    /// The largest amount, 0 without any.
    pub(crate) fn peak(&self) -> f64 {
        self.0.values().map(|reading| reading.value.abs()).fold(0.0, f64::max)
    }
}
