//! What a run leaves behind. A [`Recorder`] is told every step; [`Recorder::report`] makes the [`Report`] of it, whose
//! fields are a part of `report.json`.

use crate::clocks::ClockReport;
use crate::ending::{Ending, Outcome};
use crate::measures::Measures;
use crate::rt::Refusal;
use crate::settings::{Overrun, Settings, Speed};
use gridloop_metrics::Distribution;
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
    /// Components that were missing at the end of an epoch.
    pub late_components: BTreeMap<String, Lateness>,
    /// Epochs that were late, the first of them, and why.
    pub late_epochs: Vec<LateEpoch>,
    /// How time was kept.
    pub pacing: Pacing,
    /// How the system's UTC was; absent where nothing was watched.
    pub clock: Option<ClockReport>,
    /// Where other processes of this run broke off and were followed by the next.
    pub resumed: Vec<Resumed>,
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

/// How late a component was.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Lateness {
    /// In how many epochs it was missing at the end.
    pub epochs: u64,
    /// The longest time from an epoch's end to its answer, in milliseconds; absent if none came.
    pub longest_ms: Option<f64>,
}

/// An epoch that was late.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct LateEpoch {
    /// Its number.
    pub epoch: u64,
    /// By how much it started later than its instant, in milliseconds, where that is more than tolerated.
    pub started_late_ms: Option<f64>,
    /// Who was missing at its end, and how long after it each answered in milliseconds; no time: not until the end of
    /// the run.
    pub missing: BTreeMap<String, Option<f64>>,
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
    /// Whether no page of the process could be taken out of memory.
    pub memory_locked: bool,
    /// The processor that the pacer's thread was bound to.
    pub cpu: Option<usize>,
    /// What the operating system refused, and what helps.
    pub refused: Vec<Refusal>,
    /// How late an epoch may start without being called late, in milliseconds.
    pub late_tolerance_ms: f64,
    /// How long before its instant an Epoch was published, in milliseconds.
    pub release_lead_ms: f64,
    /// Processor time that the hypervisor gave to others during the run, in milliseconds, all processors together;
    /// absent where the kernel does not say.
    pub stolen_ms: Option<u64>,
    /// Epochs that started later than tolerated; the cause lies in this process, the machine or the bus, or in an epoch
    /// before that is caught up.
    pub started_late: u64,
    /// Epochs at whose end instant components were missing.
    pub overran: u64,
    /// From the instant at which an epoch's message was to be published to its publishing, in microseconds.
    pub start_lateness_us: Distribution,
    /// From an epoch's start to its end, in microseconds.
    pub turnaround_us: Distribution,
    /// From the end of an epoch to the moment at which the missing were known and told, in microseconds.
    pub overrun_detected_us: Distribution,
    /// From the last answer to the next Epoch where nothing is waited for: the manager's own time, in microseconds.
    pub handling_us: Distribution,
    /// From each component's answer to the end of the epoch, punctual answers only, in microseconds.
    pub slack_us: BTreeMap<String, Distribution>,
}

/// A process that followed another in the same run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resumed {
    /// When it took the run over, wall-clock UTC.
    pub at: String,
    /// The epoch that it began with.
    pub epoch: u64,
    /// That epoch had been begun before, and was sent again as it was.
    pub repeated: bool,
}

/// Names of other managers that are told apart; beyond it they are counted together.
const MOST_MANAGERS: usize = 20;

/// Late epochs that are told one by one; beyond it they are only counted.
const MOST_LATE_EPOCHS: usize = 100;

/// Collects what the report needs.
pub(crate) struct Recorder {
    tolerance: Duration,
    epochs: EpochCounts,
    /// The newest epoch counted as late, so that it is counted once.
    newest_late: Option<u64>,
    newest_overran: Option<u64>,
    started_late: u64,
    overran: u64,
    late_components: BTreeMap<String, Lateness>,
    late_epochs: Vec<LateEpoch>,
    resumed: Vec<Resumed>,
    resends: u64,
    invalid_messages: u64,
    other_managers: BTreeMap<String, u64>,
    measures: Measures,
}

/// What the report knows besides what was recorded.
pub(crate) struct Surroundings {
    pub(crate) scheduler: String,
    pub(crate) memory_locked: bool,
    pub(crate) cpu: Option<usize>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) stolen_ms: Option<u64>,
    pub(crate) clock: Option<ClockReport>,
}

impl Recorder {
    pub(crate) fn new(settings: &Settings, measures: Measures) -> Self {
        Self {
            tolerance: settings.tolerance(),
            epochs: EpochCounts { planned: settings.epochs, ..EpochCounts::default() },
            newest_late: None,
            newest_overran: None,
            started_late: 0,
            overran: 0,
            late_components: BTreeMap::new(),
            late_epochs: Vec::new(),
            resumed: Vec::new(),
            resends: 0,
            invalid_messages: 0,
            other_managers: BTreeMap::new(),
            measures,
        }
    }

    /// The measurements, for those that nothing is counted from.
    pub(crate) const fn measures(&self) -> &Measures {
        &self.measures
    }

    pub(crate) fn started(&mut self, number: u64, late_by: Option<Duration>, skipped: u64) {
        self.epochs.skipped += skipped;
        self.measures.started(number, late_by, skipped);
        let Some(late_by) = late_by else { return };
        if late_by > self.tolerance {
            self.started_late += 1;
            self.measures.started_late();
            if let Some(epoch) = self.count_late(number) {
                epoch.started_late_ms = Some(milliseconds(late_by));
            }
        }
    }

    pub(crate) fn overran(&mut self, number: u64, missing: &[String]) {
        if self.newest_overran != Some(number) {
            self.newest_overran = Some(number);
            self.overran += 1;
        }
        if let Some(epoch) = self.count_late(number) {
            epoch.missing.extend(missing.iter().map(|component| (component.clone(), None)));
        }
        for component in missing {
            self.late_components.entry(component.clone()).or_default().epochs += 1;
            self.measures.component_missing(component);
        }
    }

    /// A component that was missing at the end of this epoch has answered.
    pub(crate) fn answered_late(&mut self, component: &str, epoch: u64, by: Duration) {
        let by_ms = milliseconds(by);
        if let Some(late) = self.late_components.get_mut(component) {
            late.longest_ms = Some(late.longest_ms.map_or(by_ms, |longest| longest.max(by_ms)));
        }
        let epoch = self.late_epochs.iter_mut().rev().find(|late| late.epoch == epoch);
        if let Some(found) = epoch.and_then(|epoch| epoch.missing.get_mut(component)) {
            *found = Some(by_ms);
        }
        self.measures.component_late(component, by);
    }

    pub(crate) fn ended(&mut self, turnaround: Duration) {
        self.epochs.completed += 1;
        self.measures.ended(turnaround);
    }

    pub(crate) fn resumed(&mut self, resumed: Resumed) {
        self.resumed.push(resumed);
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

    pub(crate) fn report(self, ending: &Ending, settings: &Settings, surroundings: Surroundings) -> Report {
        let Surroundings { scheduler, memory_locked, cpu, refused, stolen_ms, clock } = surroundings;
        Report {
            outcome: ending.outcome(),
            reason: ending.to_string(),
            epochs: self.epochs,
            late_components: self.late_components,
            late_epochs: self.late_epochs,
            pacing: Pacing {
                speed: settings.speed,
                policy: settings.overrun,
                scheduler,
                memory_locked,
                cpu,
                refused,
                late_tolerance_ms: milliseconds(self.tolerance),
                release_lead_ms: milliseconds(settings.release_lead),
                stolen_ms,
                started_late: self.started_late,
                overran: self.overran,
                start_lateness_us: self.measures.start_lateness.distribution(),
                turnaround_us: self.measures.turnaround.distribution(),
                overrun_detected_us: self.measures.overrun_detected.distribution(),
                handling_us: self.measures.handling.distribution(),
                slack_us: self.measures.slack(),
            },
            clock,
            resumed: self.resumed,
            resends: self.resends,
            invalid_messages: self.invalid_messages,
            other_managers: self.other_managers,
        }
    }

    /// Counts the epoch as late, once, and gives its place in the list, if the list is not full.
    fn count_late(&mut self, number: u64) -> Option<&mut LateEpoch> {
        if self.newest_late != Some(number) {
            self.newest_late = Some(number);
            self.epochs.late += 1;
            self.measures.late();
            if self.late_epochs.len() < MOST_LATE_EPOCHS {
                self.late_epochs.push(LateEpoch { epoch: number, ..LateEpoch::default() });
            }
        }
        self.late_epochs.last_mut().filter(|epoch| epoch.epoch == number)
    }
}

/// To one thousandth.
fn milliseconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    const MS: Duration = Duration::from_millis(1);

    fn paced() -> Settings {
        Settings { speed: Speed::Times(3600.0), ..settings() }
    }

    fn recorder(settings: &Settings) -> Recorder {
        Recorder::new(settings, Measures::new(&settings.components, &gridloop_metrics::Metrics::default()))
    }

    fn surroundings() -> Surroundings {
        Surroundings {
            scheduler: "none".into(),
            memory_locked: false,
            cpu: None,
            refused: Vec::new(),
            stolen_ms: None,
            clock: None,
        }
    }

    #[test]
    fn an_epoch_late_for_both_causes_is_counted_once_and_the_causes_are_kept_apart() {
        let mut recorder = recorder(&paced());
        recorder.started(1, Some(MS * 10), 0);
        recorder.started(2, Some(MS * 11), 0);
        recorder.overran(2, &["A".to_owned()]);
        recorder.answered_late("A", 2, MS * 40);
        recorder.started(3, Some(MS), 2);
        recorder.overran(3, &["A".to_owned(), "B".to_owned()]);
        recorder.answered_late("A", 3, MS * 30);
        let report = recorder.report(&Ending::Cancelled, &paced(), surroundings());
        let expected = EpochCounts { planned: 2, completed: 0, late: 2, skipped: 2 };
        assert_eq!(report.epochs, expected);
        assert_eq!((report.pacing.started_late, report.pacing.overran), (1, 2));
        let late: Vec<_> = report.late_components.into_iter().collect();
        let of = |epochs, longest_ms| Lateness { epochs, longest_ms };
        assert_eq!(late, [("A".to_owned(), of(2, Some(40.0))), ("B".to_owned(), of(1, None))]);
        let missing = |late: &[(&str, Option<f64>)]| {
            late.iter().map(|(name, by)| ((*name).to_owned(), *by)).collect::<BTreeMap<_, _>>()
        };
        let second =
            LateEpoch { epoch: 2, started_late_ms: Some(11.0), missing: missing(&[("A", Some(40.0))]) };
        let third = missing(&[("A", Some(30.0)), ("B", None)]);
        let third = LateEpoch { epoch: 3, started_late_ms: None, missing: third };
        assert_eq!(report.late_epochs, [second, third]);
    }

    #[test]
    fn late_epochs_beyond_the_hundredth_are_counted_and_not_listed() {
        let mut recorder = recorder(&paced());
        for number in 1..=1000 {
            recorder.overran(number, &["A".to_owned()]);
            recorder.answered_late("A", number, MS);
        }
        let report = recorder.report(&Ending::Cancelled, &paced(), surroundings());
        assert_eq!((report.epochs.late, report.late_epochs.len()), (1000, MOST_LATE_EPOCHS));
        assert_eq!(report.late_components["A"].epochs, 1000);
    }

    #[test]
    fn other_managers_are_counted_by_name_and_the_first_word_of_each_is_told() {
        let mut recorder = recorder(&settings());
        assert!(recorder.another_manager("manager"));
        assert!(!recorder.another_manager("manager"));
        for n in 0..1000 {
            recorder.another_manager(&format!("m{n}"));
        }
        let report = recorder.report(&Ending::Cancelled, &settings(), surroundings());
        assert_eq!(report.other_managers["manager"], 2);
        assert_eq!(report.other_managers.len(), MOST_MANAGERS + 1);
        assert_eq!(report.other_managers.values().sum::<u64>(), 1002);
    }

    #[test]
    fn the_report_spells_speed_policy_and_outcome_as_the_configuration_does() {
        let settings = Settings { overrun: Overrun::CatchUp(3), ..settings() };
        let report = recorder(&settings).report(&Ending::Cancelled, &settings, surroundings());
        let json = serde_json::to_value(report).unwrap();
        assert_eq!((&json["outcome"], &json["reason"]), (&"stopped".into(), &"stopped on request".into()));
        assert_eq!(
            (&json["pacing"]["speed"], &json["pacing"]["policy"]),
            (&"max".into(), &"catch-up 3".into())
        );
        let paced = serde_json::to_value(paced().speed).unwrap();
        assert_eq!(paced, 3600.0);
    }
}
