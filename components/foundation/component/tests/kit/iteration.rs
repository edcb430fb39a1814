//! Iteration within one epoch (wire contract 3.6): rounds on `<topic>.Iter`, the end on the plain topic.

use crate::probe::{Diary, Probe};
use crate::rig::{Rig, Said, epoch, input, summary};
use gridloop_clock::MonoTime;
use gridloop_component::{Change, Component, Fault, Input, OpenEpoch, Output, Round, Step, iteration_topic};
use gridloop_messages::{Body, IterationStatus, Message, PowerSetpoint, StatusValue, topic};
use std::num::NonZeroU32;

const PLAIN: &str = "ControlState.PowerSetpoint.a";
const ITER: &str = "ControlState.PowerSetpoint.a.Iter";

/// Halves a value with every input until it is below 1; `rounds_max` is what it says of itself.
struct Halver {
    rounds_max: Option<NonZeroU32>,
    value: f64,
    unanswered: bool,
    diary: Diary,
}

impl Halver {
    fn rig(from: f64, rounds_max: Option<u32>) -> Rig<Self> {
        let diary = Diary::default();
        let rounds_max = rounds_max.and_then(NonZeroU32::new);
        Rig::of(Self { rounds_max, value: from, unanswered: false, diary: diary.clone() }, diary).in_epoch(0)
    }
}

impl Component for Halver {
    fn inputs(&self) -> Vec<String> {
        vec!["ControlState.#".into()]
    }

    fn rounds_max(&self) -> Option<NonZeroU32> {
        self.rounds_max
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.unanswered = true;
        Ok(())
    }

    fn take(&mut self, _: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        self.diary.write(format!("take {}", message.header.message_id));
        self.unanswered = true;
        Ok(())
    }

    fn step(&mut self, _: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        if !std::mem::take(&mut self.unanswered) {
            return Ok(Step::Waiting);
        }
        let by = -self.value / 2.0;
        self.value += by;
        let setpoint = PowerSetpoint { real_power_kw: self.value, reactive_power_kvar: 0.0 };
        let outputs = vec![Output::new(PLAIN.into(), Body::PowerSetpoint(setpoint))];
        let change = Some(Change { of: "real power", by, unit: "kW" });
        Ok(if self.value < 1.0 { Step::Done(outputs) } else { Step::Round(Round { outputs, change }) })
    }

    fn round_published(&mut self, message_ids: &[String]) {
        self.diary.write(format!("published {}", message_ids.join(",")));
    }
}

/// An input of the iteration.
fn round(id: &str, status: IterationStatus) -> Message {
    let mut message = input("ctl", id, 1, 1.0);
    message.header.epoch.as_mut().unwrap().iteration_status = Some(status);
    message
}

fn status_of(said: &Said) -> Option<IterationStatus> {
    said.message.header.epoch.as_ref().unwrap().iteration_status
}

#[test]
fn intermediate_results_go_to_the_iter_topic_at_once_and_the_epoch_stays_open() {
    let mut rig = Halver::rig(8.0, Some(10));
    let first = rig.epoch("Clock-2", 1);
    assert_eq!(summary(&first), [format!("{ITER} probe-2")]);
    assert_eq!(status_of(&first[0]), Some(IterationStatus::Intermediate));
    assert_eq!(first[0].triggers(), ["Clock-2"]);
    let second = rig.hear(&round("ctl-1", IterationStatus::Intermediate));
    assert_eq!(summary(&second), [format!("{ITER} probe-3")]);
    assert_eq!(second[0].triggers(), ["Clock-2", "ctl-1"]);
}

#[test]
fn a_component_is_told_the_message_ids_of_its_rounds_to_know_the_answers_by() {
    let mut rig = Halver::rig(3.0, Some(10));
    rig.epoch("Clock-2", 1);
    rig.hear(&round("ctl-1", IterationStatus::Intermediate));
    assert_eq!(rig.diary.of("published"), ["probe-2"], "not of the final results");
}

#[test]
fn the_last_result_goes_to_the_plain_topic_as_final_and_ready_follows_it_without_an_iteration_status() {
    let mut rig = Halver::rig(3.0, Some(10));
    rig.epoch("Clock-2", 1);
    let said = rig.hear(&round("ctl-1", IterationStatus::Intermediate));
    assert_eq!(summary(&said), [format!("{PLAIN} probe-3"), format!("{} probe-4", topic::STATUS_READY)]);
    let statuses: Vec<_> = said.iter().map(status_of).collect();
    assert_eq!(statuses, [Some(IterationStatus::Final), None]);
    assert_eq!(said[0].triggers(), said[1].triggers());
}

#[test]
fn an_iteration_that_needs_no_round_is_final_all_the_same() {
    let said = Halver::rig(1.0, Some(10)).epoch("Clock-2", 1);
    assert_eq!((said.len(), status_of(&said[0])), (2, Some(IterationStatus::Final)));
}

#[test]
fn results_of_a_component_that_does_not_iterate_have_no_iteration_status() {
    for said in Rig::new(Probe::default()).in_epoch(0).epoch("Clock-2", 1) {
        assert_eq!(status_of(&said), None);
        assert!(!String::from_utf8_lossy(&said.body).contains("IterationStatus"));
    }
}

#[test]
fn a_component_that_does_not_iterate_is_given_final_results_only() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(1);
    assert!(rig.hear(&round("ctl-1", IterationStatus::Intermediate)).is_empty());
    assert!(rig.diary.of("take").is_empty());
    let said = rig.hear(&round("ctl-2", IterationStatus::Final));
    assert_eq!(said.last().unwrap().triggers(), ["Clock-e1", "ctl-2"]);
    assert_eq!(rig.core.refusals(), 0);
}

#[test]
fn an_iteration_beyond_its_bound_is_an_error_that_names_component_epoch_rounds_and_last_change() {
    let mut rig = Halver::rig(1000.0, Some(3));
    let mut said = rig.epoch("Clock-2", 1);
    for n in 1..=3 {
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].topic, ITER);
        said = rig.hear(&round(&format!("ctl-{n}"), IterationStatus::Intermediate));
    }
    assert_eq!(said.len(), 1, "the fourth round is not published");
    assert_eq!(said[0].topic, topic::STATUS_ERROR);
    let expected = "probe did not converge in epoch 1 within 3 rounds; the last change was of the real power \
                    by -62.5 kW";
    assert_eq!(said[0].description(), expected);
    assert!(rig.hear(&round("ctl-9", IterationStatus::Intermediate)).is_empty());
}

#[test]
fn the_rounds_are_counted_afresh_in_every_epoch() {
    let mut rig = Halver::rig(64.0, Some(2));
    for number in 1..=2 {
        assert_eq!(rig.epoch(&format!("Clock-e{number}"), number).len(), 1);
        let said = rig.hear(&input("ctl", &format!("ctl-{number}"), number, 1.0));
        assert_eq!(said[0].topic, ITER, "{said:?}");
    }
}

#[test]
fn a_round_of_a_component_that_names_no_bound_is_an_error() {
    let said = Halver::rig(8.0, None).epoch("Clock-2", 1);
    assert_eq!((said.len(), said[0].topic.as_str()), (1, topic::STATUS_ERROR));
    assert!(said[0].description().contains("names no bound of rounds"), "{}", said[0].description());
}

#[test]
fn a_round_that_comes_twice_is_taken_and_answered_once() {
    let mut rig = Halver::rig(64.0, Some(10));
    rig.epoch("Clock-2", 1);
    let again = round("ctl-1", IterationStatus::Intermediate);
    assert_eq!(rig.hear(&again).len(), 1);
    assert!(rig.hear(&again).is_empty());
    assert_eq!(rig.diary.of("take").len(), 1);
}

#[test]
fn a_round_before_its_epoch_is_kept_and_answered_when_the_epoch_opens() {
    let mut rig = Halver::rig(64.0, Some(10));
    assert!(rig.hear(&round("ctl-1", IterationStatus::Intermediate)).is_empty());
    let said = rig.epoch("Clock-2", 1);
    assert_eq!((said.len(), said[0].triggers()), (1, vec!["Clock-2", "ctl-1"]));
}

#[test]
fn an_epoch_repeated_in_the_middle_of_a_round_is_answered_with_that_round_word_for_word() {
    let mut rig = Halver::rig(64.0, Some(10));
    rig.epoch("Clock-2", 1);
    let latest = rig.hear(&round("ctl-1", IterationStatus::Intermediate));
    assert_eq!(rig.hear(&epoch("Clock-3", 1, &["x-1"])), latest);
    let next = rig.hear(&round("ctl-2", IterationStatus::Intermediate));
    assert_eq!(next[0].triggers(), ["Clock-3", "ctl-1", "ctl-2"], "nothing is taken away");
}

#[test]
fn after_a_restored_bus_the_latest_round_is_said_again_word_for_word() {
    let mut rig = Halver::rig(64.0, Some(10));
    rig.epoch("Clock-2", 1);
    let latest = rig.hear(&round("ctl-1", IterationStatus::Intermediate));
    assert_eq!(rig.handle(Input::BusRestored), latest);
}

#[test]
fn a_passive_component_copies_the_status_that_it_answers() {
    let copied = |status| Step::copying(status, Vec::new(), None);
    let intermediate = Step::Round(Round { outputs: Vec::new(), change: None });
    assert_eq!(copied(Some(IterationStatus::Intermediate)), intermediate);
    assert_eq!(copied(Some(IterationStatus::Final)), Step::Done(Vec::new()));
    assert_eq!(copied(None), Step::Done(Vec::new()), "what is not iterated is final");
}

#[test]
fn the_topic_of_intermediate_results_is_the_plain_one_with_iter_behind_it() {
    assert_eq!(iteration_topic("NetworkState.valley.Voltage.b1"), "NetworkState.valley.Voltage.b1.Iter");
}

#[test]
fn a_component_chosen_at_run_time_or_failed_to_be_made_keeps_its_bound_of_rounds() {
    let halver = |rounds_max| Halver { rounds_max, value: 8.0, unanswered: false, diary: Diary::default() };
    let boxed: Box<dyn Component> = Box::new(halver(NonZeroU32::new(4)));
    assert_eq!(boxed.rounds_max(), NonZeroU32::new(4));
    assert_eq!(Ok::<_, Fault>(boxed).rounds_max(), NonZeroU32::new(4));
    assert_eq!(Err::<Halver, _>(Fault::new("no file")).rounds_max(), None);
}

#[test]
fn a_component_with_an_error_answers_no_round() {
    let mut rig = Halver::rig(64.0, None);
    let said = rig.epoch("Clock-2", 1);
    assert!(matches!(&said[0].message.body, Body::Status(status) if status.value == StatusValue::Error));
    assert!(rig.hear(&round("ctl-1", IterationStatus::Intermediate)).is_empty());
}
