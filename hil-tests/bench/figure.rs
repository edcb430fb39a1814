//! What a benchmark gives: [`Figure`], and [`alternate`], which measures one.

use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Blocks of each side.
const RUNS: usize = 5;

pub(crate) const HEADLINE: &str =
    "figure                                  value        floor  ratio  unit, median of blocks";

/// One figure and its floor, both medians.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    floor: f64,
    /// `value / floor`.
    ratio: f64,
    /// Blocks measured of each side.
    runs: usize,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, unit, floor, ratio, runs } = self;
        write!(f, "{name:<34} {value:>10.1}   {floor:>10.1}  {ratio:>5.2}  {unit}, {runs} blocks")
    }
}

/// Measures blocks of the work and of its floor in turn. Both give the same quantity in `unit`.
pub(crate) async fn alternate(
    name: &str,
    unit: &'static str,
    mut work: impl AsyncFnMut() -> anyhow::Result<f64>,
    mut floor: impl AsyncFnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Figure> {
    let (mut values, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        values.push(work().await?);
        floors.push(floor().await?);
    }
    let (value, floor) = (median(values), median(floors));
    Ok(Figure { name: name.to_owned(), value, unit, floor, ratio: value / floor, runs: RUNS })
}

impl Figure {
    /// A figure whose two sides were measured in `runs` blocks each, in turn.
    pub(crate) fn new(name: &str, unit: &'static str, value: f64, floor: f64, runs: usize) -> Self {
        Self { name: name.to_owned(), value, unit, floor, ratio: value / floor, runs }
    }
}

/// The sample that so many of a hundred are at most, in microseconds.
pub(crate) fn percentile_us(samples: &[Duration], percent: usize) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e6)
}

/// How many of `count` fit into a second when all of them took `taken`.
pub(crate) fn per_second(count: u32, taken: Duration) -> f64 {
    f64::from(count) / taken.as_secs_f64()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
