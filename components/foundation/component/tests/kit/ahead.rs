//! Results that are published before the epoch is completed.

use crate::probe::Diary;
use crate::rig::{Rig, epoch, input, summary};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, Input, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Message, PowerSetpoint, topic};

const PLAN: &str = "ControlState.PowerSetpoint.plan";
const EFFECT: &str = "ControlState.PowerSetpoint.effect";

/// Publishes a plan, waits for one input, and completes the epoch.
struct Planner {
    published: bool,
    answered: bool,
    endless: bool,
    plan_kw: f64,
}

impl Planner {
    fn rig(endless: bool, plan_kw: f64) -> Rig<Self> {
        let planner = Self { published: false, answered: false, endless, plan_kw };
        Rig::of(planner, Diary::default()).in_epoch(0)
    }
}

fn output(topic: &str, real_power_kw: f64) -> Vec<Output> {
    let setpoint = PowerSetpoint { real_power_kw, reactive_power_kvar: 0.0 };
    vec![Output::new(topic.into(), Body::PowerSetpoint(setpoint))]
}

impl Component for Planner {
    fn inputs(&self) -> Vec<String> {
        vec!["ControlState.#".into()]
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        (self.published, self.answered) = (false, false);
        Ok(())
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        self.answered = true;
        Ok(())
    }

    fn step(&mut self, _: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        Ok(if !std::mem::replace(&mut self.published, true) || self.endless {
            Step::Publish(output(PLAN, self.plan_kw))
        } else if self.answered {
            Step::Done(output(EFFECT, 2.0))
        } else {
            Step::Waiting
        })
    }
}

#[test]
fn a_result_may_be_published_before_the_epoch_is_completed() {
    let mut rig = Planner::rig(false, 1.0);
    assert_eq!(summary(&rig.epoch("Clock-2", 1)), [format!("{PLAN} probe-2")]);
    let said = rig.hear(&input("battery", "battery-1", 1, 1.0));
    assert_eq!(summary(&said), [format!("{EFFECT} probe-3"), format!("{} probe-4", topic::STATUS_READY)]);
    assert_eq!(said[1].triggers(), ["Clock-2", "battery-1"]);
}

#[test]
fn a_component_that_has_all_it_waits_for_completes_the_epoch_in_the_same_turn() {
    let mut rig = Planner::rig(false, 1.0);
    assert!(rig.hear(&input("battery", "battery-1", 1, 1.0)).is_empty());
    let ready = format!("{} probe-4", topic::STATUS_READY);
    let said = rig.epoch("Clock-2", 1);
    assert_eq!(summary(&said), [format!("{PLAN} probe-2"), format!("{EFFECT} probe-3"), ready]);
}

#[test]
fn what_was_published_ahead_is_repeated_word_for_word_with_the_rest() {
    let mut rig = Planner::rig(false, 1.0);
    let ahead = rig.epoch("Clock-2", 1);
    assert_eq!(rig.hear(&epoch("Clock-3", 1, &["x-1"])), ahead);
    let rest = rig.hear(&input("battery", "battery-1", 1, 1.0));
    let all: Vec<_> = ahead.into_iter().chain(rest).collect();
    assert_eq!(rig.handle(Input::BusRestored), all);
}

#[test]
fn what_was_published_ahead_is_forgotten_with_its_epoch() {
    let mut rig = Planner::rig(false, 1.0);
    rig.epoch("Clock-2", 1);
    rig.hear(&input("battery", "battery-1", 1, 1.0));
    let second = rig.epoch("Clock-3", 2);
    assert_eq!(rig.handle(Input::BusRestored), second);
}

#[test]
fn a_result_ahead_that_cannot_be_sent_is_an_error() {
    let said = Planner::rig(false, f64::NAN).epoch("Clock-2", 1);
    assert_eq!((said.len(), said[0].topic.as_str()), (1, topic::STATUS_ERROR));
    assert!(said[0].description().contains(PLAN), "{}", said[0].description());
}

#[test]
fn a_component_that_publishes_without_end_ends_in_an_error() {
    let said = Planner::rig(true, 1.0).epoch("Clock-2", 1);
    let last = said.last().unwrap();
    assert_eq!(last.topic, topic::STATUS_ERROR);
    assert!(last.description().contains("publishes without end in epoch 1"), "{}", last.description());
}
