//! What a manager measures, for its report and for Prometheus: [`Measures`].

use gridloop_metrics::{Counter, Distribution, Durations, Gauge, Metrics};
use std::collections::BTreeMap;
use std::time::Duration;

/// The measurements of one run.
pub(crate) struct Measures {
    metrics: Metrics,
    pub(crate) start_lateness: Durations,
    pub(crate) turnaround: Durations,
    pub(crate) overrun_detected: Durations,
    pub(crate) handling: Durations,
    /// In the order of the list of components.
    slack: Vec<(String, Durations)>,
    epoch: Gauge,
    completed: Counter,
    late: Counter,
    started_late: Counter,
    skipped: Counter,
    /// Of components that have been late.
    late_components: BTreeMap<String, (Counter, Durations)>,
}

impl Measures {
    pub(crate) fn new(components: &[String], metrics: &Metrics) -> Self {
        let slack = |name: &String| {
            let help = "Time from a component's answer to the end of the epoch, punctual answers only.";
            let durations = metrics.durations("gridloop_slack_seconds", help, &[("component", name)]);
            (name.clone(), durations)
        };
        let durations = |name, help| metrics.durations(name, help, &[]);
        let counter = |name, help| metrics.counter(name, help, &[]);
        Self {
            start_lateness: durations(
                "gridloop_epoch_start_lateness_seconds",
                "From the instant at which an Epoch was to be published to its publishing.",
            ),
            turnaround: durations(
                "gridloop_epoch_turnaround_seconds",
                "From the start of an epoch to the last answer.",
            ),
            overrun_detected: durations(
                "gridloop_overrun_detected_seconds",
                "From the end of an epoch to the moment at which the missing were told.",
            ),
            handling: durations(
                "gridloop_manager_handling_seconds",
                "From the last answer to the next Epoch where nothing is waited for.",
            ),
            slack: components.iter().map(slack).collect(),
            epoch: metrics.gauge("gridloop_epoch", "The present epoch.", &[]),
            completed: counter("gridloop_epochs_completed_total", "Epochs that came to their end."),
            late: counter("gridloop_epochs_late_total", "Epochs that started or ended late."),
            started_late: counter("gridloop_epochs_started_late_total", "Epochs that started late."),
            skipped: counter("gridloop_periods_skipped_total", "Whole periods that were passed over."),
            late_components: BTreeMap::new(),
            metrics: metrics.clone(),
        }
    }

    pub(crate) fn started(&self, number: u64, late_by: Option<Duration>, skipped: u64) {
        self.epoch.set(i64::try_from(number).unwrap_or(i64::MAX));
        self.skipped.add(skipped);
        if let Some(late_by) = late_by {
            self.start_lateness.add(late_by);
        }
    }

    pub(crate) fn started_late(&self) {
        self.started_late.add(1);
    }

    pub(crate) fn late(&self) {
        self.late.add(1);
    }

    pub(crate) fn ended(&self, turnaround: Duration) {
        self.completed.add(1);
        self.turnaround.add(turnaround);
    }

    /// The component of this place answered so much before the end of the epoch.
    pub(crate) fn answered(&self, who: usize, slack: Duration) {
        if let Some((_, durations)) = self.slack.get(who) {
            durations.add(slack);
        }
    }

    pub(crate) fn component_missing(&mut self, component: &str) {
        self.of_late(component).0.add(1);
    }

    pub(crate) fn component_late(&mut self, component: &str, by: Duration) {
        self.of_late(component).1.add(by);
    }

    fn of_late(&mut self, component: &str) -> &(Counter, Durations) {
        let metrics = &self.metrics;
        self.late_components.entry(component.to_owned()).or_insert_with(|| {
            let label = [("component", component)];
            let missing = metrics.counter(
                "gridloop_component_late_epochs_total",
                "Epochs at whose end a component was missing.",
                &label,
            );
            let late = metrics.durations(
                "gridloop_component_late_seconds",
                "From the end of an epoch to the answer of a component that was missing.",
                &label,
            );
            (missing, late)
        })
    }

    /// By name, of those that were measured.
    pub(crate) fn slack(&self) -> BTreeMap<String, Distribution> {
        let measured = self.slack.iter().map(|(name, slack)| (name.clone(), slack.distribution()));
        measured.filter(|(_, distribution)| distribution.samples > 0).collect()
    }
}
