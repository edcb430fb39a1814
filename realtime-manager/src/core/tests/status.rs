//! Contract 3.2: what a status does, in the order of its checks, and what contract 7.2 would have better.

use super::*;

#[test]
fn a_status_of_another_run_is_ignored() {
    let mut rig = Rig::started(settings());
    let mut stray = message("A", 0, "A-0", error("broken"));
    stray.header.simulation_id = SimulationId::new(timestamp("2024-03-01T08:00:00.001Z"));
    rig.give(Input::Message(stray));
    rig.both_ready(0);
    assert!(rig.collects(1));
    assert!(matches!(rig.notes[..], [Note::OtherRun { .. }]));
}

#[test]
fn a_status_under_the_managers_own_name_is_not_processed() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.error("Clock", 1);
    assert!(rig.collects(1));
}

#[test]
fn a_message_that_is_no_status_is_noted() {
    let mut rig = Rig::started(settings());
    let mut stray = message("A", 0, "A-0", READY);
    stray.body = Body::PowerSetpoint(gridloop_messages::PowerSetpoint {
        real_power_kw: 1.0,
        reactive_power_kvar: 0.0,
    });
    rig.give(Input::Message(stray));
    assert!(matches!(rig.notes[..], [Note::NotAStatus { .. }]));
    assert_eq!(rig.core.roster.missing(), ["A", "B"]);
}

#[test]
fn warnings_are_noted_and_have_no_other_effect() {
    let mut rig = Rig::started(settings());
    let mut status = message("A", 0, "A-0", READY);
    if let Some(fields) = &mut status.header.epoch {
        fields.warnings = vec![Warning::new(WarningKind::InputRange, "clamped")];
    }
    rig.give(Input::Message(status));
    let warnings = vec!["warning.input-range: clamped".to_owned()];
    assert_eq!(rig.notes, [Note::Warnings { source: "A".into(), warnings }]);
    assert_eq!(rig.core.roster.missing(), ["B"]);
}

#[test]
fn the_value_decides_and_an_error_after_initialisation_stops_at_once() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.error("B", 1);
    assert_eq!(rig.last(), "Clock-3 stopped");
    let errors = vec![component_error("B", Some("broken"), true)];
    assert_eq!(rig.ending, Some(Ending::ComponentErrors { epoch: 1, errors }));
}

#[test]
fn an_error_without_a_description_stops_the_run_too() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.status("A", 1, "A-1", Status { value: StatusValue::Error, ..READY });
    let errors = vec![component_error("A", None, true)];
    assert_eq!(rig.ending, Some(Ending::ComponentErrors { epoch: 1, errors }));
}

#[test]
fn an_error_of_a_stranger_is_noted_and_stops_the_run() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.error("mallory", 1);
    assert_eq!(rig.notes, [Note::Unlisted { source: "mallory".into() }]);
    let errors = vec![component_error("mallory", Some("broken"), false)];
    assert_eq!(rig.ending, Some(Ending::ComponentErrors { epoch: 1, errors }));
}

#[test]
fn strangers_do_not_matter_during_initialisation() {
    let mut rig = Rig::started(settings());
    rig.error("mallory", 0);
    rig.ready("mallory", 0);
    rig.both_ready(0);
    assert!(rig.collects(1));
    assert_eq!(rig.notes.len(), 2);
}

#[test]
fn an_error_during_initialisation_stops_the_run_when_everybody_has_reported() {
    let mut rig = Rig::started(settings());
    rig.error("A", 0);
    assert!(rig.collects(0));
    rig.ready("B", 0);
    assert_eq!(rig.wire, ["Clock-1 running", "Clock-2 stopped"]);
    let errors = vec![component_error("A", Some("broken"), true)];
    assert_eq!(rig.ending, Some(Ending::ComponentErrors { epoch: 0, errors }));
}

#[test]
fn an_error_after_ready_for_the_same_epoch_is_not_lost() {
    let mut rig = Rig::started(settings());
    rig.ready("A", 0);
    rig.error("A", 0);
    rig.ready("B", 0);
    let errors = vec![component_error("A", Some("broken"), true)];
    assert_eq!(rig.ending, Some(Ending::ComponentErrors { epoch: 0, errors }));
}

#[test]
fn an_error_stops_the_run_while_the_manager_waits_for_the_first_instant() {
    let mut rig = Rig::started(Settings { start_at: StartAt::Aligned(S * 7), ..paced(Overrun::Skip) });
    rig.both_ready(0);
    rig.error("B", 0);
    assert!(matches!(rig.ending, Some(Ending::ComponentErrors { epoch: 0, .. })));
}

#[test]
fn ready_does_not_heal_an_error() {
    let mut rig = Rig::started(settings());
    rig.error("A", 0);
    rig.ready("A", 0);
    assert!(rig.notes.contains(&Note::ReadyAfterError { component: "A".into() }));
    rig.ready("B", 0);
    assert!(matches!(rig.ending, Some(Ending::ComponentErrors { .. })));
}

#[test]
fn a_status_that_comes_twice_counts_once() {
    let mut rig = Rig::started(settings());
    rig.ready("A", 0);
    rig.ready("A", 0);
    assert!(rig.collects(0));
    rig.ready("B", 0);
    assert_eq!(rig.last(), "Clock-2 ep1 trig[A-0,B-0]");
}

#[test]
fn a_component_that_uses_one_message_id_in_every_epoch_is_heard() {
    let mut rig = Rig::started(settings());
    for epoch in 0..=2 {
        rig.status("A", epoch, "PGO1", READY);
        rig.ready("B", epoch);
    }
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 2 }));
}

#[test]
fn triggers_are_in_the_order_of_arrival() {
    let mut rig = Rig::started(settings());
    rig.ready("B", 0);
    rig.ready("A", 0);
    assert_eq!(rig.last(), "Clock-2 ep1 trig[B-0,A-0]");
}

#[test]
fn a_component_ahead_does_not_stall_the_run_and_is_noted() {
    let mut rig = Rig::started(Settings { epochs: 3, ..settings() });
    rig.both_ready(0);
    rig.ready("A", 3);
    rig.ready("B", 1);
    assert_eq!(rig.last(), "Clock-3 ep2 trig[A-3,B-1]");
    rig.ready("B", 2);
    assert_eq!(rig.last(), "Clock-4 ep3 trig[A-3,B-2]");
    rig.ready("B", 3);
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 3 }));
    assert_eq!(rig.notes, [Note::Ahead { component: "A".into(), epoch: 3, current: 1 }]);
}

#[test]
fn everybody_ahead_by_a_world_costs_one_epoch_per_input() {
    let mut rig = Rig::started(Settings { epochs: 5, ..settings() });
    rig.ready("A", u64::MAX);
    rig.ready("B", u64::MAX);
    for epoch in 1..=5 {
        assert!(rig.collects(epoch));
        assert_eq!(rig.timer, Some(rig.now));
        rig.ring();
    }
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 5 }));
}
