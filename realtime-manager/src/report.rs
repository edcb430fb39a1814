//! What a run leaves behind. A [`Recorder`] is told every step; [`Recorder::report`] makes the [`Report`] of it, whose
//! fields are a part of `report.json`.

use crate::ending::{Ending, Outcome};
use crate::settings::{Overrun, Settings, Speed};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a run went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Whether it reached its end.
    pub outcome: Outcome,
    /// Why it ended.
    pub reason: String,
    /// How many epochs.
    pub epochs: EpochCounts,
    /// In how many epochs each component was missing at the end instant.
    pub late_components: BTreeMap<String, u64>,
    /// How time was kept.
    pub pacing: Pacing,
    /// How often SimState or Epoch was sent again because answers were missing.
    pub resends: u64,
    /// Messages on the manager's topics that could not be understood.
    pub invalid_messages: u64,
    /// Names of other managers that spoke in this run, and how many messages each sent. Anything here means that
    /// components may have obeyed somebody else.
    pub other_managers: BTreeMap<String, u64>,
}

/// How many epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct EpochCounts {
    /// To be run.
    pub planned: u64,
    /// That came to an end. With the policy `skip` components may have been left behind in some: those are late.
    pub completed: u64,
    /// That started later than tolerated, or at whose end instant components were missing.
    pub late: u64,
    /// Whole periods that were passed over.
    pub skipped: u64,
}

/// How time was kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pacing {
    /// Simulated time against wall-clock time.
    pub speed: Speed,
    /// What an overrun leads to.
    pub policy: Overrun,
    /// How the pacer's thread was really scheduled.
    pub scheduler: String,
    /// Epochs that started later than tolerated; the cause lies in this process, the machine or the bus.
    pub started_late: u64,
    /// Epochs at whose end instant components were missing.
    pub overran: u64,
    /// From an epoch's instant to the publishing of its message, in microseconds.
    pub start_lateness_us: Percentiles,
    /// From an epoch's start to its end, in microseconds.
    pub turnaround_us: Percentiles,
}

/// A distribution, in microseconds to one tenth. Without samples there are no values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Percentiles {
    /// Half of the samples are at most this.
    pub p50: Option<f64>,
    /// 99 of 100 samples are at most this.
    pub p99: Option<f64>,
    /// The largest sample.
    pub max: Option<f64>,
}

/// Names of other managers that are told apart; beyond it they are counted together.
const MOST_MANAGERS: usize = 20;

/// Collects what the report needs.
pub(crate) struct Recorder {
    tolerance: Duration,
    epochs: EpochCounts,
    /// The newest epoch counted as late, so that it is counted once.
    newest_late: Option<u64>,
    started_late: u64,
    overran: u64,
    late_components: BTreeMap<String, u64>,
    resends: u64,
    invalid_messages: u64,
    other_managers: BTreeMap<String, u64>,
    start_lateness: Samples,
    turnaround: Samples,
}

impl Recorder {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            tolerance: settings.tolerance(),
            epochs: EpochCounts { planned: settings.epochs, ..EpochCounts::default() },
            newest_late: None,
            started_late: 0,
            overran: 0,
            late_components: BTreeMap::new(),
            resends: 0,
            invalid_messages: 0,
            other_managers: BTreeMap::new(),
            start_lateness: Samples::default(),
            turnaround: Samples::default(),
        }
    }

    pub(crate) fn started(&mut self, number: u64, late_by: Option<Duration>, skipped: u64) {
        self.epochs.skipped += skipped;
        let Some(late_by) = late_by else { return };
        self.start_lateness.add(late_by);
        if late_by > self.tolerance {
            self.started_late += 1;
            self.count_late(number);
        }
    }

    pub(crate) fn overran(&mut self, number: u64, missing: &[String]) {
        self.overran += 1;
        self.count_late(number);
        for component in missing {
            *self.late_components.entry(component.clone()).or_default() += 1;
        }
    }

    pub(crate) fn ended(&mut self, turnaround: Duration) {
        self.epochs.completed += 1;
        self.turnaround.add(turnaround);
    }

    pub(crate) fn resent(&mut self) {
        self.resends += 1;
    }

    pub(crate) fn invalid(&mut self) {
        self.invalid_messages += 1;
    }

    /// Counts a message of another manager; whether it is the first of that name.
    pub(crate) fn another_manager(&mut self, name: &str) -> bool {
        let named = if self.other_managers.len() < MOST_MANAGERS { name } else { "others" };
        let count = self.other_managers.entry(named.to_owned()).or_default();
        *count += 1;
        *count == 1
    }

    pub(crate) fn report(self, ending: &Ending, settings: &Settings, scheduler: String) -> Report {
        Report {
            outcome: ending.outcome(),
            reason: ending.to_string(),
            epochs: self.epochs,
            late_components: self.late_components,
            pacing: Pacing {
                speed: settings.speed,
                policy: settings.overrun,
                scheduler,
                started_late: self.started_late,
                overran: self.overran,
                start_lateness_us: self.start_lateness.percentiles(),
                turnaround_us: self.turnaround.percentiles(),
            },
            resends: self.resends,
            invalid_messages: self.invalid_messages,
            other_managers: self.other_managers,
        }
    }

    fn count_late(&mut self, number: u64) {
        if self.newest_late != Some(number) {
            self.newest_late = Some(number);
            self.epochs.late += 1;
        }
    }
}

/// Durations, in nanoseconds to three digits. None is kept before there is a first one.
#[derive(Default)]
struct Samples(Option<Histogram<u64>>);

impl Samples {
    fn add(&mut self, sample: Duration) {
        if self.0.is_none() {
            self.0 = Histogram::new(3).ok();
        }
        if let Some(histogram) = &mut self.0 {
            // It grows as needed up to 584 years, to which samples are cut, so it takes every one.
            histogram.record(u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX)).ok();
        }
    }

    fn percentiles(&self) -> Percentiles {
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Percentiles::default();
        };
        let at = |quantile| Some(microseconds(histogram.value_at_quantile(quantile).min(histogram.max())));
        Percentiles { p50: at(0.5), p99: at(0.99), max: Some(microseconds(histogram.max())) }
    }
}

/// To one tenth.
fn microseconds(nanos: u64) -> f64 {
    (Duration::from_nanos(nanos).as_secs_f64() * 1e7).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    const MS: Duration = Duration::from_millis(1);

    fn paced() -> Settings {
        Settings { speed: Speed::Times(3600.0), ..settings() }
    }

    #[test]
    fn without_samples_there_are_no_percentiles() {
        let percentiles = Samples::default().percentiles();
        assert_eq!(serde_json::to_string(&percentiles).unwrap(), r#"{"p50":null,"p99":null,"max":null}"#);
    }

    #[test]
    fn percentiles_are_within_a_thousandth_of_the_samples() {
        let mut samples = Samples::default();
        for us in 1..=1000 {
            samples.add(Duration::from_micros(us));
        }
        let Percentiles { p50: Some(p50), p99: Some(p99), max: Some(max) } = samples.percentiles() else {
            panic!("there are samples")
        };
        for (found, exact) in [(p50, 500.0), (p99, 990.0), (max, 1000.0)] {
            assert!((found - exact).abs() <= exact / 1000.0, "{found} instead of {exact}");
        }
    }

    #[test]
    fn an_epoch_late_for_both_causes_is_counted_once_and_the_causes_are_kept_apart() {
        let mut recorder = Recorder::new(&paced());
        recorder.started(1, Some(MS * 10), 0);
        recorder.started(2, Some(MS * 11), 0);
        recorder.overran(2, &["A".to_owned()]);
        recorder.started(3, Some(MS), 2);
        recorder.overran(3, &["A".to_owned(), "B".to_owned()]);
        let report = recorder.report(&Ending::Cancelled, &paced(), "none".into());
        let expected = EpochCounts { planned: 2, completed: 0, late: 2, skipped: 2 };
        assert_eq!(report.epochs, expected);
        assert_eq!((report.pacing.started_late, report.pacing.overran), (1, 2));
        let late: Vec<_> = report.late_components.into_iter().collect();
        assert_eq!(late, [("A".to_owned(), 2), ("B".to_owned(), 1)]);
    }

    #[test]
    fn other_managers_are_counted_by_name_and_the_first_word_of_each_is_told() {
        let mut recorder = Recorder::new(&settings());
        assert!(recorder.another_manager("manager"));
        assert!(!recorder.another_manager("manager"));
        for n in 0..1000 {
            recorder.another_manager(&format!("m{n}"));
        }
        let report = recorder.report(&Ending::Cancelled, &settings(), "none".into());
        assert_eq!(report.other_managers["manager"], 2);
        assert_eq!(report.other_managers.len(), MOST_MANAGERS + 1);
        assert_eq!(report.other_managers.values().sum::<u64>(), 1002);
    }

    #[test]
    fn the_report_spells_speed_policy_and_outcome_as_the_configuration_does() {
        let report = Recorder::new(&settings()).report(&Ending::Cancelled, &settings(), "none".into());
        let json = serde_json::to_value(report).unwrap();
        assert_eq!((&json["outcome"], &json["reason"]), (&"stopped".into(), &"stopped on request".into()));
        assert_eq!((&json["pacing"]["speed"], &json["pacing"]["policy"]), (&"max".into(), &"stretch".into()));
        let paced = serde_json::to_value(paced().speed).unwrap();
        assert_eq!(paced, 3600.0);
    }
}
