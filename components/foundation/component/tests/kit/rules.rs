//! The rules of the wire contract 3.5 and 3.6, and what gridloop does better (7.2, 7.4), one test each.

use crate::probe::{Failing, Probe};
use crate::rig::{NAME, Rig, Said, epoch, input, message, run_id, sim_state, summary, utc};
use gridloop_clock::MonoTime;
use gridloop_component::{ComponentCore, Ended, Fault, Identity, Input};
use gridloop_messages::{Body, DecodeError, SimulationId, SimulationState, Status, StatusValue, topic};
use std::sync::Arc;
use std::time::Duration;

const SETPOINT_A: &str = "ControlState.PowerSetpoint.a";
const SETPOINT_B: &str = "ControlState.PowerSetpoint.b";

fn status(said: &[Said]) -> &Said {
    assert_eq!(said.len(), 1, "one status alone: {said:?}");
    &said[0]
}

fn error(said: &[Said]) -> &Said {
    let error = status(said);
    assert_eq!(error.topic, topic::STATUS_ERROR);
    assert!(matches!(&error.message.body, Body::Status(status) if status.value == StatusValue::Error));
    error
}

#[test]
fn running_is_answered_ready_for_epoch_0_with_the_sim_state_as_trigger() {
    let mut rig = Rig::new(Probe::default());
    let said = rig.running("Clock-1");
    let ready = status(&said);
    assert_eq!((ready.topic.as_str(), ready.id(), ready.epoch()), (topic::STATUS_READY, "probe-1", 0));
    assert_eq!(ready.triggers(), ["Clock-1"]);
}

#[test]
fn every_repetition_of_running_is_answered_while_no_epoch_has_begun() {
    let mut rig = Rig::new(Probe::default());
    rig.running("Clock-1");
    let said = rig.running("Clock-2");
    assert_eq!((status(&said).id(), status(&said).triggers()), ("probe-2", vec!["Clock-2"]));
}

#[test]
fn running_is_not_answered_once_an_epoch_has_begun() {
    let mut rig = Rig::new(Probe::default()).in_epoch(1);
    assert!(rig.running("Clock-9").is_empty());
}

#[test]
fn a_component_that_knows_its_manager_obeys_nobody_else() {
    let obeying = |manager: &str| {
        let mut rig = Rig::new(Probe::default());
        let manager = Some(manager.to_owned());
        let identity = Identity { name: NAME.into(), simulation_id: run_id(), manager, numbered_from: 0 };
        rig.core = ComponentCore::new(Probe::default(), identity);
        rig
    };
    let mut wary = obeying("another");
    assert!(wary.running("Clock-1").is_empty() && wary.epoch("Clock-2", 1).is_empty());
    wary.hear(&sim_state("Clock-3", SimulationState::Stopped));
    assert_eq!(wary.ended, None);
    let sender = sim_state("Clock-1", SimulationState::Running).header.source_process_id;
    assert_eq!(obeying(&sender).running("Clock-1").len(), 1);
}

#[test]
fn messages_of_another_run_are_ignored() {
    let mut rig = Rig::new(Probe::default()).in_epoch(1);
    let other = SimulationId::new(utc().plus(Duration::from_secs(1)));
    for mut foreign in [
        sim_state("Clock-1", SimulationState::Stopped),
        epoch("Clock-2", 2, &["x-1"]),
        input("ctl", "ctl-1", 1, 1.0),
    ] {
        foreign.header.simulation_id = other.clone();
        assert!(rig.hear(&foreign).is_empty());
    }
    assert_eq!(rig.ended, None);
    assert!(rig.diary.of("take").is_empty());
}

#[test]
fn an_epoch_acts_on_whatever_topic_it_arrives() {
    let mut rig = Rig::new(Probe::default()).in_epoch(0);
    let message = epoch("Clock-2", 1, &["someone-1"]);
    let (topic, body) = ("ControlState.x".into(), message.encode().unwrap());
    let said = rig.handle(Input::Message { topic: &topic, message: &Arc::new(message), body: &body });
    assert_eq!(said.len(), 3);
}

#[test]
fn message_ids_are_the_name_and_one_count_over_all_types() {
    let mut rig = Rig::new(Probe::default());
    let mut said = rig.running("Clock-1");
    said.extend(rig.epoch("Clock-2", 1));
    said.extend(rig.epoch("Clock-3", 1));
    said.extend(rig.epoch("Clock-4", 2));
    let ids: Vec<&str> = said.iter().map(Said::id).collect();
    let expected: Vec<String> = (1..=8).map(|n| format!("{NAME}-{n}")).collect();
    assert_eq!(ids, expected);
}

#[test]
fn own_messages_echoed_back_are_ignored() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(1);
    assert!(rig.hear(&input(NAME, "probe-1", 1, 1.0)).is_empty());
    assert!(rig.diary.of("take").is_empty());
}

#[test]
fn results_are_published_in_order_before_ready_and_share_its_triggers() {
    let mut rig = Rig::new(Probe::needing(2)).in_epoch(1);
    assert!(rig.input("ctl-1", 1).is_empty());
    let said = rig.input("ctl-2", 1);
    let expected = [
        format!("{SETPOINT_A} probe-2"),
        format!("{SETPOINT_B} probe-3"),
        format!("{} probe-4", topic::STATUS_READY),
    ];
    assert_eq!(summary(&said), expected);
    for said in &said {
        assert_eq!((said.epoch(), said.triggers()), (1, vec!["Clock-e1", "ctl-1", "ctl-2"]));
        assert_eq!(said.message.header.source_process_id, NAME);
        assert_eq!(said.message.header.simulation_id, run_id());
    }
}

#[test]
fn an_epoch_opens_even_if_running_was_missed() {
    let mut rig = Rig::new(Probe::default());
    assert_eq!(rig.epoch("Clock-7", 7).len(), 3);
}

#[test]
fn an_epoch_of_number_0_opens_nothing() {
    let mut rig = Rig::new(Probe::default()).in_epoch(0);
    assert!(rig.epoch("Clock-2", 0).is_empty());
}

#[test]
fn an_input_before_its_epoch_is_given_once_the_epoch_opens() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(0);
    rig.now = MonoTime::from_nanos(5);
    assert!(rig.input("ctl-1", 1).is_empty());
    assert!(rig.diary.of("take").is_empty());
    rig.now = MonoTime::from_nanos(9);
    let said = rig.epoch("Clock-2", 1);
    assert_eq!(said.last().unwrap().triggers(), ["Clock-2", "ctl-1"]);
    assert_eq!(rig.diary.lines(), ["open 1", "take ctl-1 at 5", "step 1 at 9"]);
}

#[test]
fn inputs_for_the_far_future_are_kept_too() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(0);
    rig.input("ctl-5", 5);
    rig.input("ctl-2", 2);
    assert!(rig.epoch("Clock-1", 1).is_empty());
    assert_eq!(rig.epoch("Clock-2", 2).len(), 3);
    assert_eq!(rig.epoch("Clock-5", 5).len(), 3);
    assert_eq!(rig.diary.of("take"), ["ctl-2 at 0", "ctl-5 at 0"]);
}

#[test]
fn early_inputs_beyond_the_bound_of_an_epoch_are_refused_and_may_come_again_in_time() {
    let mut rig = Rig::new(Probe::needing(usize::MAX)).in_epoch(0);
    for n in 0..1_025 {
        rig.input(&format!("ctl-{n}"), 1);
    }
    assert_eq!(rig.diary.of("refused").len(), 1);
    assert!(rig.diary.of("refused")[0].contains("ctl-1024"), "{:?}", rig.diary.of("refused"));
    rig.epoch("Clock-2", 1);
    assert_eq!(rig.diary.of("take").len(), 1_024);
    rig.input("ctl-1024", 1);
    assert_eq!(rig.diary.of("take").len(), 1_025);
}

#[test]
fn early_inputs_beyond_the_bound_of_all_epochs_are_refused_and_room_comes_back() {
    let mut rig = Rig::new(Probe::needing(usize::MAX)).in_epoch(0);
    for n in 0..4_097 {
        rig.input(&format!("ctl-{n}"), 1 + n);
    }
    assert_eq!(rig.diary.of("refused").len(), 1);
    rig.epoch("Clock-2", 1);
    rig.input("ctl-x", 9);
    assert_eq!(rig.diary.of("refused").len(), 1, "epoch 1 made room");
}

#[test]
fn an_epoch_has_a_bound_of_inputs() {
    let mut rig = Rig::new(Probe::needing(usize::MAX)).in_epoch(1);
    for n in 0..16_385 {
        rig.input(&format!("ctl-{n}"), 1);
    }
    assert_eq!(rig.diary.of("take").len(), 16_384);
    assert_eq!(rig.diary.of("refused").len(), 1);
}

#[test]
fn a_component_that_knows_of_more_senders_has_a_bound_of_its_own() {
    let mut rig = Rig::new(Probe { inputs_max: 16_400, ..Probe::needing(usize::MAX) }).in_epoch(1);
    for n in 0..16_401 {
        rig.input(&format!("ctl-{n}"), 1);
    }
    assert_eq!(rig.diary.of("take").len(), 16_400);
    assert_eq!(rig.diary.of("refused").len(), 1);
}

#[test]
fn a_repeated_epoch_takes_no_inputs_away() {
    let mut rig = Rig::new(Probe::needing(2)).in_epoch(1);
    rig.input("ctl-1", 1);
    assert!(rig.epoch("Clock-again", 1).is_empty());
    let said = rig.input("ctl-2", 1);
    assert_eq!(said.last().unwrap().triggers(), ["Clock-again", "ctl-1", "ctl-2"]);
    assert_eq!(rig.diary.of("open"), ["1"]);
}

#[test]
fn a_repeated_epoch_is_answered_ready_with_a_new_id_and_without_results_when_it_is_completed() {
    let mut rig = Rig::new(Probe::default()).in_epoch(1);
    let said = rig.epoch("Clock-again", 1);
    let ready = status(&said);
    assert_eq!((ready.topic.as_str(), ready.id()), (topic::STATUS_READY, "probe-5"));
    assert_eq!((ready.epoch(), ready.triggers()), (1, vec!["Clock-again"]));
    assert_eq!(rig.diary.of("step").len(), 1);
}

#[test]
fn a_repeated_epoch_that_names_the_own_last_status_is_ignored() {
    let mut rig = Rig::new(Probe::default());
    rig.running("Clock-1");
    let own = rig.epoch("Clock-2", 1).last().unwrap().id().to_owned();
    assert!(rig.hear(&epoch("Clock-3", 1, &["other-2", &own])).is_empty());
}

#[test]
fn a_lower_epoch_is_never_answered() {
    let mut rig = Rig::new(Probe::default()).in_epoch(3);
    assert!(rig.epoch("Clock-late", 2).is_empty());
    assert_eq!(rig.diary.of("open"), ["1", "2", "3"]);
}

#[test]
fn an_epoch_that_was_left_open_is_passed_over_for_the_next() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(1);
    assert!(rig.epoch("Clock-3", 3).is_empty());
    let said = rig.input("ctl-1", 3);
    assert_eq!((said.len(), said[0].epoch(), said[0].triggers()), (3, 3, vec!["Clock-3", "ctl-1"]));
}

#[test]
fn an_input_that_arrives_twice_is_taken_once() {
    let mut rig = Rig::new(Probe::needing(3)).in_epoch(0);
    rig.input("ctl-1", 1);
    rig.input("ctl-1", 1);
    rig.epoch("Clock-2", 1);
    rig.input("ctl-1", 1);
    rig.hear(&input("other", "ctl-1", 1, 1.0));
    assert_eq!(rig.diary.of("take").len(), 2, "the same id of another sender is another message");
    assert!(rig.diary.of("refused").is_empty());
}

#[test]
fn an_input_taken_in_time_that_arrives_again_in_the_next_epoch_is_no_refusal() {
    let mut rig = Rig::new(Probe::default()).in_epoch(1);
    rig.input("ctl-1", 1);
    rig.epoch("Clock-3", 2);
    rig.input("ctl-1", 1);
    assert_eq!((rig.diary.of("take").len(), rig.core.refusals()), (1, 0));
}

#[test]
fn other_content_under_a_known_id_is_refused() {
    let mut rig = Rig::new(Probe::needing(2)).in_epoch(1);
    rig.input("ctl-1", 1);
    rig.hear(&input("ctl", "ctl-1", 1, 999.0));
    assert_eq!(rig.diary.of("take").len(), 1);
    let expected = "ctl-1 on ControlState.PowerSetpoint.probe repeats the id of a message with other content";
    assert_eq!(rig.diary.of("refused"), [expected]);
}

#[test]
fn an_input_of_an_older_epoch_is_refused_and_never_taken() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(2);
    assert!(rig.input("ctl-1", 1).is_empty());
    assert!(rig.diary.of("take").is_empty());
    let expected = "ctl-1 on ControlState.PowerSetpoint.probe is for epoch 1, the run is in epoch 2";
    assert_eq!(rig.diary.of("refused"), [expected]);
}

#[test]
fn inputs_kept_for_an_epoch_that_is_passed_over_are_refused() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(1);
    rig.input("ctl-2", 2);
    rig.epoch("Clock-9", 3);
    assert!(rig.diary.of("take").is_empty());
    assert_eq!(rig.diary.of("refused").len(), 1);
}

#[test]
fn a_late_input_of_the_completed_epoch_is_given_and_opens_nothing() {
    let mut rig = Rig::new(Probe::default()).in_epoch(1);
    assert!(rig.input("ctl-1", 1).is_empty());
    assert_eq!((rig.diary.of("take").len(), rig.diary.of("step").len()), (1, 1));
    let again = rig.epoch("Clock-again", 1);
    assert_eq!(again[0].triggers(), ["Clock-again"], "it took no part in the results");
}

#[test]
fn a_fault_in_a_step_ends_in_status_error_now_and_in_every_epoch_after() {
    let mut rig = Rig::new(Probe::failing(Failing::Step)).in_epoch(0);
    let said = rig.epoch("Clock-2", 1);
    assert_eq!((error(&said).epoch(), error(&said).triggers()), (1, vec!["Clock-2"]));
    assert_eq!(error(&said).description(), "power flow did not converge");
    let again = rig.epoch("Clock-again", 1);
    assert_ne!(error(&again).id(), error(&said).id());
    let next = rig.epoch("Clock-3", 2);
    assert_eq!((error(&next).epoch(), error(&next).description()), (2, "power flow did not converge"));
    assert_eq!(rig.diary.of("step").len(), 1, "a failed component is left alone");
}

#[test]
fn every_fault_and_every_panic_ends_in_status_error_with_a_description() {
    let cases = [
        (Failing::Open, "cannot open"),
        (Failing::Take, "cannot take"),
        (Failing::PanicInTake, "internal error: the taker broke"),
        (Failing::PanicInStep, "internal error: the stepper broke"),
        (Failing::PanicInRefused, "internal error: the reader of refusals broke"),
    ];
    for (failing, description) in cases {
        let mut rig = Rig::new(Probe { needs: 1, ..Probe::failing(failing) }).in_epoch(0);
        let mut said = rig.epoch("Clock-2", 1);
        said.extend(rig.input("old-1", 0));
        said.extend(rig.input("ctl-1", 1));
        assert_eq!(error(&said).description(), description, "{failing:?}");
        assert_eq!(error(&rig.epoch("Clock-3", 2)).description(), description, "{failing:?}");
        assert!(rig.input("ctl-2", 2).is_empty());
    }
}

#[test]
fn a_result_that_may_not_be_sent_is_a_fault_and_no_part_of_the_set_is_sent() {
    let mut rig = Rig::new(Probe::failing(Failing::Output)).in_epoch(0);
    let said = rig.epoch("Clock-2", 1);
    let description = error(&said).description();
    assert!(
        description.starts_with(&format!("the result for {SETPOINT_B} cannot be sent: ")),
        "{description}"
    );
    assert_eq!(rig.handle(Input::BusRestored).len(), 1, "nor is it when the bus is restored");
}

#[test]
fn a_fault_in_a_late_input_is_told_at_once_and_in_the_next_epoch() {
    let mut rig = Rig::new(Probe::failing(Failing::Take)).in_epoch(1);
    let said = rig.input("ctl-1", 1);
    assert_eq!((error(&said).epoch(), error(&said).description()), (1, "cannot take"));
    assert_eq!(error(&rig.epoch("Clock-3", 2)).epoch(), 2);
}

#[test]
fn a_fault_before_the_first_sim_state_is_answered_to_it() {
    let mut rig = Rig::new(Probe::failing(Failing::Take));
    assert!(rig.input("ctl-1", 0).is_empty());
    assert_eq!(error(&rig.running("Clock-1")).description(), "cannot take");
}

#[test]
fn a_component_that_could_not_start_answers_running_with_error() {
    let mut rig = Rig::new(Probe::failing(Failing::Start));
    let said = rig.running("Clock-1");
    assert_eq!((error(&said).epoch(), error(&said).triggers()), (0, vec!["Clock-1"]));
    assert_eq!(error(&said).description(), "no data file");
    assert_eq!(error(&rig.running("Clock-2")).id(), "probe-2");
    assert_eq!(error(&rig.epoch("Clock-3", 1)).epoch(), 1);
}

#[test]
fn a_component_that_could_not_be_constructed_answers_running_with_error() {
    let diary = crate::probe::Diary::default();
    let mut rig = Rig::of(Err::<Probe, _>(Fault::from("loads.csv: cannot be read")), diary);
    assert_eq!(error(&rig.running("Clock-1")).description(), "loads.csv: cannot be read");
    assert_eq!(rig.core.patterns(), [topic::SIM_STATE, topic::EPOCH]);
}

#[test]
fn an_empty_fault_has_a_description_all_the_same() {
    assert!(!Fault::from("").description().is_empty());
}

#[test]
fn a_fault_tells_the_whole_chain_of_its_cause() {
    let cause = std::io::Error::other(DecodeError::NotAnObject { found: "a list".into() });
    assert_eq!(Fault::caused_by(&cause).description(), "expected an object, found a list");
    let utf8 = String::from_utf8(vec![0xff]).unwrap_err().utf8_error();
    let description = Fault::caused_by(&DecodeError::NotUtf8(utf8)).description().to_owned();
    assert!(description.starts_with("the body is not UTF-8: invalid utf-8"), "{description}");
}

#[test]
fn undecodable_messages_are_counted_and_told_and_never_fatal() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(1);
    for _ in 0..3 {
        let reason = DecodeError::NotAnObject { found: "a list".into() };
        assert!(rig.handle(Input::Undecodable { topic: "ControlState.x", reason }).is_empty());
    }
    assert_eq!(rig.core.refusals(), 3);
    let expected = "a message on ControlState.x cannot be decoded: expected an object, found a list";
    assert_eq!(rig.diary.of("refused"), [expected; 3]);
    assert_eq!(rig.input("ctl-1", 1).len(), 3);
}

#[test]
fn after_a_restored_bus_the_epoch_is_said_again_word_for_word_and_nothing_older() {
    let mut rig = Rig::new(Probe::default()).in_epoch(1);
    let said = rig.epoch("Clock-3", 2);
    assert_eq!(rig.handle(Input::BusRestored), said);
    let again = rig.epoch("Clock-again", 2);
    let restored = rig.handle(Input::BusRestored);
    assert_eq!(restored[..2], said[..2]);
    assert_eq!(restored[2..], again[..], "of several statuses the last");
}

#[test]
fn after_a_restored_bus_an_open_epoch_has_nothing_to_say() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(0);
    assert_eq!(rig.handle(Input::BusRestored).len(), 1, "ready for epoch 0");
    rig.epoch("Clock-2", 1);
    assert!(rig.handle(Input::BusRestored).is_empty());
}

#[test]
fn a_poke_leads_to_a_step_while_an_epoch_is_open_only() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(0);
    rig.handle(Input::Poke);
    assert!(rig.diary.of("step").is_empty());
    rig.epoch("Clock-2", 1);
    rig.handle(Input::Poke);
    assert_eq!(rig.diary.of("step").len(), 2);
}

#[test]
fn a_component_is_woken_at_the_instant_it_asked_for_and_not_before() {
    let instant = MonoTime::from_nanos(100);
    let mut rig = Rig::new(Probe { wake_at: Some(instant), ..Probe::default() }).in_epoch(1);
    assert_eq!(rig.core.wake_at(), Some(instant));
    rig.now = MonoTime::from_nanos(99);
    assert!(rig.handle(Input::WakeUp).is_empty());
    assert_eq!(rig.diary.of("step").len(), 1, "an alarm that is early is no wake-up");
    rig.now = instant;
    assert_eq!(rig.handle(Input::WakeUp).len(), 3);
    assert_eq!(rig.core.wake_at(), None);
}

#[test]
fn a_wake_up_that_is_due_is_not_put_off_by_messages_that_mean_nothing() {
    let instant = MonoTime::from_nanos(100);
    let mut rig = Rig::new(Probe { wake_at: Some(instant), ..Probe::default() }).in_epoch(1);
    rig.now = instant;
    let said = rig.hear(&input(NAME, "probe-1", 1, 1.0));
    assert_eq!(said.len(), 3);
}

#[test]
fn the_next_epoch_forgets_the_wake_up_of_the_last() {
    let instant = MonoTime::from_nanos(100);
    let mut rig = Rig::new(Probe { wake_at: Some(instant), needs: 1, ..Probe::default() }).in_epoch(1);
    rig.input("ctl-1", 1);
    assert_eq!(rig.core.wake_at(), Some(instant));
    rig.epoch("Clock-3", 2);
    assert_eq!(rig.core.wake_at(), None);
}

#[test]
fn a_stopped_run_ends_the_component_once() {
    let mut rig = Rig::new(Probe::default()).in_epoch(1);
    assert!(rig.hear(&sim_state("Clock-9", SimulationState::Stopped)).is_empty());
    assert_eq!(rig.ended, Some(Ended::Stopped));
    assert!(rig.handle(Input::Stop).is_empty());
    assert!(rig.epoch("Clock-10", 2).is_empty());
    assert_eq!(rig.diary.of("stopped").len(), 1);
}

#[test]
fn a_component_is_stopped_after_a_fault_too() {
    let mut rig = Rig::new(Probe::failing(Failing::PanicInStep)).in_epoch(1);
    rig.handle(Input::Stop);
    assert_eq!(rig.ended, Some(Ended::Cancelled));
    assert_eq!(rig.diary.of("stopped").len(), 1);
}

#[test]
fn a_status_of_another_component_is_an_input_like_any_other() {
    let mut rig = Rig::new(Probe::needing(1)).in_epoch(1);
    let body = Body::Status(Status::READY);
    let ready = message("pgo", "pgo-1", Some((1, &["Clock-e1"])), body);
    assert_eq!(rig.hear(&ready).len(), 3);
}

#[test]
fn triggers_of_a_flooded_epoch_stay_within_what_others_accept() {
    let mut rig = Rig::new(Probe::needing(600)).in_epoch(1);
    let mut said = Vec::new();
    for n in 0..600 {
        said = rig.input(&format!("ctl-{n}-{}", "x".repeat(1_000)), 1);
    }
    assert!(said.last().unwrap().body.len() < 300 * 1024);
    assert!(said.last().unwrap().triggers().len() > 200);
}
