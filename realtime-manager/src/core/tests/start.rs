//! Contract 3.1 and 3.4: how a run begins and ends.

use super::*;

#[test]
fn a_run_of_two_epochs_is_the_trace_of_the_contract() {
    let mut rig = Rig::started(settings());
    for epoch in 0..=2 {
        rig.both_ready(epoch);
    }
    let trace =
        ["Clock-1 running", "Clock-2 ep1 trig[A-0,B-0]", "Clock-3 ep2 trig[A-1,B-1]", "Clock-4 stopped"];
    assert_eq!(rig.wire, trace);
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 2 }));
    assert_eq!(rig.timer, None);
}

#[test]
fn an_empty_list_is_stopped_at_once_and_never_running() {
    let rig = Rig::started(Settings { components: vec![], start_delay: S, ..settings() });
    assert_eq!(rig.wire, ["Clock-1 stopped"]);
    assert_eq!(rig.ending, Some(Ending::NoComponents));
    assert_eq!(rig.timer, None);
}

#[test]
fn running_waits_for_the_start_delay() {
    let mut rig = Rig::started(Settings { start_delay: S * 10, ..settings() });
    assert!(rig.wire.is_empty());
    assert_eq!(rig.timer, Some(rig.now + S * 10));
    rig.ring();
    assert_eq!(rig.wire, ["Clock-1 running"]);
}

#[test]
fn whoever_is_missing_is_named_when_the_run_begins() {
    let mut rig = Rig::started(Settings { start_delay: S * 10, ..settings() });
    rig.ready("A", 0);
    assert!(rig.progress.is_empty());
    rig.ring();
    assert_eq!(rig.progress, [Progress::Running { missing: vec!["B".into()] }]);
}

#[test]
fn readiness_from_before_the_start_counts_but_the_next_status_begins_epoch_1() {
    let mut rig = Rig::started(Settings { start_delay: S * 10, ..settings() });
    rig.both_ready(0);
    assert!(rig.wire.is_empty());
    rig.ring();
    assert_eq!(rig.wire, ["Clock-1 running"]);
    rig.status("B", 0, "B-again", READY);
    assert_eq!(rig.last(), "Clock-2 ep1 trig[A-0,B-0]");
}

#[test]
fn sim_state_carries_name_and_description() {
    let rig = Rig::started(settings());
    let expected = SimState {
        simulation_state: SimulationState::Running,
        name: Some("Valley feeder".into()),
        description: Some("two homes".into()),
    };
    assert_eq!(rig.published[0].body, Body::SimState(expected));
    assert_eq!(rig.published[0].header.timestamp, timestamp("2024-03-01T08:00:00.000Z"));
}

#[test]
fn each_epoch_begins_where_the_one_before_ends() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.both_ready(1);
    let windows: Vec<_> = rig.starts.iter().map(|start| start.message.body.clone()).collect();
    let window = |start, end| {
        Body::Epoch(gridloop_messages::Epoch {
            start_time: timestamp(start),
            end_time: timestamp(end),
            pacing: None,
        })
    };
    let first = window("2023-02-01T00:00:00.000Z", "2023-02-01T01:00:00.000Z");
    let second = window("2023-02-01T01:00:00.000Z", "2023-02-01T02:00:00.000Z");
    assert_eq!(windows, [first, second]);
}

#[test]
fn a_component_listed_twice_is_noted_and_answers_once() {
    let components = vec!["A".into(), "B".into(), "A".into()];
    let mut rig = Rig::started(Settings { components, ..settings() });
    assert_eq!(rig.notes, [Note::ListedTwice { component: "A".into() }]);
    rig.both_ready(0);
    assert!(rig.collects(1));
}

#[test]
fn a_run_of_no_epochs_is_complete_after_initialisation() {
    let mut rig = Rig::started(Settings { epochs: 0, ..settings() });
    rig.both_ready(0);
    assert_eq!(rig.wire, ["Clock-1 running", "Clock-2 stopped"]);
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 0 }));
}

#[test]
fn a_stop_is_announced_whatever_the_manager_waits_for() {
    let delayed = Settings { start_delay: S, ..settings() };
    let mut idle = Rig::started(delayed);
    let mut collecting = Rig::started(settings());
    let mut waiting = Rig::started(Settings { start_at: StartAt::Aligned(S * 7), ..paced(Overrun::Stretch) });
    waiting.both_ready(0);
    assert_eq!(waiting.core.phase, Phase::Waiting);
    for rig in [&mut idle, &mut collecting, &mut waiting] {
        rig.give(Input::Stop(Ending::Cancelled));
        assert_eq!(rig.wire.iter().filter(|text| text.ends_with("stopped")).count(), 1);
        assert_eq!(rig.ending, Some(Ending::Cancelled));
    }
}

#[test]
fn nothing_follows_the_end() {
    let mut rig = Rig::started(settings());
    rig.give(Input::Stop(Ending::Cancelled));
    let published = rig.wire.len();
    for input in [Input::Start, Input::Timer, Input::BusRestored, Input::Stop(Ending::BusClosed)] {
        rig.give(input);
    }
    rig.both_ready(0);
    assert_eq!(rig.wire.len(), published);
}
