//! A quantity over time: [`Curve`], of which epochs and forecasts take means.
//!
//! Between its points a curve holds the value of the point before, or goes straight from one to the next
//! ([`Interpolation`]). The mean over a span is weighted by time, so that the energy of the span is that of the series
//! whatever the lengths of epochs and rows are.

use crate::stamps::canonical;
use gridloop_messages::Timestamp;
use std::sync::Arc;

/// What a series is between its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interpolation {
    /// The value of the point before. The last one holds as long as the one before it did; one alone, for ever.
    #[default]
    Hold,
    /// A straight line from point to point. The series ends at its last point.
    Linear,
}

/// Why a curve has no mean over a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outside {
    /// It begins only then.
    Before(i64),
    /// It ends already then.
    After(i64),
}

/// The points in time of several quantities, in ms since 1970, ascending.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    at: Arc<[i64]>,
    interpolation: Interpolation,
}

impl Times {
    pub(crate) fn new(ascending: Vec<i64>, interpolation: Interpolation) -> Self {
        Self { at: ascending.into(), interpolation }
    }

    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// The first instant that the curve does not know any more; `None`: it has no end.
    fn end(&self) -> Option<i64> {
        match (self.interpolation, &*self.at) {
            (_, []) => Some(i64::MIN),
            (Interpolation::Linear, [.., last]) => Some(*last),
            (Interpolation::Hold, [_]) => None,
            (Interpolation::Hold, [.., before, last]) => Some(last.saturating_add(last - before)),
        }
    }

    /// The shortest time from one point to the next, if there are two points.
    pub(crate) fn shortest_step(&self) -> Option<i64> {
        self.at.windows(2).map(|pair| pair[1] - pair[0]).min()
    }

    /// The index of the last point at or before `from`, if the curve is known from there to `to`.
    pub(crate) fn locate(&self, from: i64, to: i64) -> Result<usize, Outside> {
        let first = self.at.first().copied().unwrap_or(i64::MAX);
        let behind = self.at.partition_point(|at| *at <= from);
        let index = behind.checked_sub(1).ok_or(Outside::Before(first))?;
        match self.end() {
            Some(end) if to > end => Err(Outside::After(end)),
            _ => Ok(index),
        }
    }

    /// The mean of `values`, one for each point, from `from` to `to`; the value at `from` if that is the same instant.
    pub(crate) fn mean(&self, values: &[f64], from: i64, to: i64) -> Result<f64, Outside> {
        let start = self.locate(from, to)?;
        if to <= from {
            return Ok(self.value(values, start, from));
        }
        let (mut sum, mut at, mut index) = (0.0, from, start);
        // One value all along is itself, not a sum that is near it.
        if self.interpolation == Interpolation::Hold && self.at.get(index + 1).is_none_or(|next| *next >= to)
        {
            return Ok(self.value(values, index, from));
        }
        while at < to {
            let until = self.at.get(index + 1).map_or(to, |next| (*next).min(to));
            let mean = match self.interpolation {
                Interpolation::Hold => self.value(values, index, at),
                Interpolation::Linear => {
                    f64::midpoint(self.value(values, index, at), self.value(values, index, until))
                }
            };
            sum += mean * (until - at) as f64;
            (at, index) = (until, index + 1);
        }
        Ok(sum / (to - from) as f64)
    }

    /// The value at an instant between the points `index` and the next.
    fn value(&self, values: &[f64], index: usize, at: i64) -> f64 {
        let value = values.get(index).copied().unwrap_or_default();
        match (self.interpolation, self.at.get(index..).unwrap_or_default(), values.get(index + 1)) {
            (Interpolation::Linear, [before, after, ..], Some(next)) => {
                let part = (at - before) as f64 / (after - before) as f64;
                value + (next - value) * part
            }
            _ => value,
        }
    }

    /// Means over steps of one length from `from` on: for every step that begins before `from + horizon`, and one more.
    /// The end of the series makes it shorter.
    pub(crate) fn window(
        &self,
        values: &[f64],
        from: i64,
        horizon: i64,
        step: i64,
        points_max: usize,
    ) -> Result<Vec<(Timestamp, f64)>, Outside> {
        let mut points = Vec::new();
        let mut at = from;
        while points.len() < points_max {
            match self.mean(values, at, at.saturating_add(step)) {
                Ok(mean) => points.push((canonical(at), mean)),
                Err(outside) if points.is_empty() => return Err(outside),
                Err(_) => break,
            }
            if at >= from.saturating_add(horizon) {
                break;
            }
            at = at.saturating_add(step);
        }
        Ok(points)
    }
}

/// How long it is from one instant to the other, in h.
pub(crate) fn hours(from: Timestamp, to: Timestamp) -> f64 {
    millis(to).saturating_sub(millis(from)) as f64 / 3_600_000.0
}

/// In ms since 1970.
pub(crate) fn millis(time: Timestamp) -> i64 {
    time.as_datetime().timestamp_millis()
}
