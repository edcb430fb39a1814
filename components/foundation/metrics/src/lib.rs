//! What is measured during a run: [`Durations`] keep a whole distribution (an HDR histogram) for the report, and, where
//! a [`Metrics`] registry was passed in, the same as a Prometheus histogram.
//!
//! Everything here is cheap enough for the control path: adding a sample takes a lock that nobody holds for long, and
//! allocates only when the largest sample so far is exceeded.

mod distribution;
mod durations;

pub use distribution::{Distribution, distribution};
pub use durations::Durations;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, IntCounter, IntGauge, Opts, Registry, TextEncoder};

/// Where measurements are shown while the run goes on; nowhere, unless asked for. Clones are the same registry.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Option<Registry>,
}

/// A label and its value.
pub type Label<'a> = (&'a str, &'a str);

/// The boundaries of all histograms, in seconds: from 10 us to a minute.
pub(crate) const BOUNDS_S: [f64; 21] = [
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
    10.0, 20.0, 60.0,
];

impl Metrics {
    /// A registry that [`Metrics::text`] shows.
    #[must_use]
    pub fn shown() -> Self {
        Self { registry: Some(Registry::new()) }
    }

    /// Durations under this name, which ends in `_seconds`.
    #[must_use]
    pub fn durations(&self, name: &str, help: &str, labels: &[Label<'_>]) -> Durations {
        let opts = HistogramOpts { common_opts: opts(name, help, labels), buckets: BOUNDS_S.to_vec() };
        Durations::new(self.register(prometheus::Histogram::with_opts(opts)))
    }

    /// A number that only grows; its name ends in `_total`.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str, labels: &[Label<'_>]) -> Counter {
        Counter(self.register(IntCounter::with_opts(opts(name, help, labels))))
    }

    /// A number that may change in any way.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str, labels: &[Label<'_>]) -> Gauge {
        Gauge(self.register(IntGauge::with_opts(opts(name, help, labels))))
    }

    /// Everything in the Prometheus text format.
    #[must_use]
    pub fn text(&self) -> String {
        let Some(registry) = &self.registry else { return String::new() };
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default()
    }

    /// A name that is taken already, or no name at all, shows nothing: what is measured still reaches the report.
    fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> Option<C> {
        let (registry, collector) = (self.registry.as_ref()?, made.ok()?);
        registry.register(Box::new(collector.clone())).ok()?;
        Some(collector)
    }
}

fn opts(name: &str, help: &str, labels: &[Label<'_>]) -> Opts {
    let opts = Opts::new(name, help);
    labels.iter().fold(opts, |opts, (label, value)| opts.const_label(*label, *value))
}

/// Counts.
#[derive(Debug, Clone, Default)]
pub struct Counter(Option<IntCounter>);

impl Counter {
    /// Counts `more`.
    pub fn add(&self, more: u64) {
        if let Some(counter) = &self.0 {
            counter.inc_by(more);
        }
    }
}

/// Shows a number.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Option<IntGauge>);

impl Gauge {
    /// It is this now.
    pub fn set(&self, value: i64) {
        if let Some(gauge) = &self.0 {
            gauge.set(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_measured_is_in_the_report_and_on_the_page() {
        let metrics = Metrics::shown();
        let labels = |component| [("component", component)];
        let slack = |component| metrics.durations("gridloop_slack_seconds", "Slack.", &labels(component));
        let (a, b) = (slack("a"), slack("b \"quoted\""));
        a.add(Duration::from_millis(3));
        b.add(Duration::from_micros(15));
        metrics.counter("gridloop_late_total", "Late.", &[]).add(2);
        metrics.gauge("gridloop_epoch", "Epoch.", &[]).set(7);
        let page = metrics.text();
        for line in [
            "gridloop_slack_seconds_bucket{component=\"a\",le=\"0.002\"} 0",
            "gridloop_slack_seconds_bucket{component=\"a\",le=\"0.005\"} 1",
            "gridloop_slack_seconds_bucket{component=\"b \\\"quoted\\\"\",le=\"0.00002\"} 1",
            "gridloop_late_total 2",
            "gridloop_epoch 7",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        let max = a.distribution().max.unwrap();
        assert!((max - 3000.0).abs() < 3.0, "{max}");
    }

    #[test]
    fn without_a_registry_and_under_a_name_that_is_taken_everything_still_measures() {
        for metrics in [Metrics::default(), Metrics::shown()] {
            let twice = [0, 1].map(|_| metrics.durations("same_seconds", "The same.", &[]));
            twice[1].add(Duration::from_secs(1));
            assert_eq!(twice[1].distribution().samples, 1);
            metrics.durations("not a name!", "", &[]).add(Duration::ZERO);
            metrics.counter("not a name!", "", &[]).add(1);
        }
        assert_eq!(Metrics::default().text(), "");
    }
}
