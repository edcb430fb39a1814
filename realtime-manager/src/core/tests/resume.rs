//! Going on with a run that another process left.

use super::*;
use crate::journal::Resumption;

/// The process before sent epoch 4, of `period` 1 s, at second 900, by a clock that goes on.
fn resumption(pending: bool) -> Resumption {
    let window = gridloop_messages::Epoch {
        start_time: timestamp("2023-02-01T03:00:00.000Z"),
        end_time: timestamp("2023-02-01T04:00:00.000Z"),
        pacing: None,
    };
    let fields = EpochFields {
        epoch_number: 4,
        triggering_message_ids: vec!["A-3".into(), "B-3".into()],
        ..EpochFields::default()
    };
    let header = Header {
        simulation_id: settings().simulation_id,
        timestamp: timestamp("2024-03-01T07:58:20.000Z"),
        source_process_id: "Clock".into(),
        message_id: "Clock-5".into(),
        epoch: Some(fields),
    };
    Resumption {
        completed: if pending { 3 } else { 4 },
        pending: pending.then_some(Message { header, body: Body::Epoch(window) }),
        last_nominal: Some(MonoTime::default() + S * 900 + MS * 250),
        process: 1,
    }
}

fn resumed(settings: Settings, pending: bool) -> Rig {
    let mut rig = Rig::of(ManagerCore::resumed(settings, resumption(pending)));
    rig.give(Input::Start);
    rig
}

#[test]
fn an_epoch_that_had_begun_is_sent_again_as_it_was_and_the_next_one_follows() {
    for overrun in [Overrun::Stretch, Overrun::Skip, Overrun::Abort, Overrun::CatchUp(2)] {
        let mut rig = resumed(Settings { epochs: 8, ..paced(overrun) }, true);
        assert_eq!(rig.last(), "Clock-1000000001 running");
        rig.both_ready(0);
        if rig.starts.is_empty() {
            rig.instant(Duration::ZERO);
        }
        assert_eq!(rig.last(), "Clock-5 ep4 trig[A-3,B-3]", "{overrun}");
        rig.both_ready(4);
        if rig.starts.len() == 1 {
            rig.instant(Duration::ZERO);
        }
        assert_eq!(rig.last(), "Clock-1000000002 ep5 trig[A-4,B-4]", "{overrun}");
        let Body::Epoch(window) = &rig.published.last().unwrap().body else { panic!("an epoch") };
        assert_eq!(window.start_time, timestamp("2023-02-01T04:00:00.000Z"));
        assert_eq!(rig.ends, [(4, Vec::<String>::new())], "initialisation is no epoch");
    }
}

#[test]
fn after_an_epoch_that_was_over_the_next_one_begins() {
    let mut rig = resumed(Settings { epochs: 8, ..paced(Overrun::Stretch) }, false);
    rig.both_ready(0);
    assert_eq!(rig.last(), "Clock-1000000002 ep5 trig[A-0,B-0]");
    let Body::Epoch(window) = &rig.published.last().unwrap().body else { panic!("an epoch") };
    assert_eq!(window.start_time, timestamp("2023-02-01T04:00:00.000Z"));
}

#[test]
fn a_run_of_which_everything_was_over_ends_when_everybody_is_there() {
    let mut rig = resumed(Settings { epochs: 4, ..paced(Overrun::Skip) }, false);
    rig.both_ready(0);
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 4 }));
    assert!(rig.starts.is_empty() && rig.ends.is_empty());
}

#[test]
fn the_grid_is_kept_or_moved_as_the_policy_says() {
    let begun = |overrun, pending| {
        let mut rig = resumed(Settings { epochs: 300, ..paced(overrun) }, pending);
        rig.both_ready(0);
        if rig.starts.is_empty() {
            rig.instant(Duration::ZERO);
        }
        let nominal = rig.starts[0].nominal.unwrap().since(MonoTime::default()).as_millis();
        (rig.now.since(MonoTime::default()).as_millis(), nominal, rig.starts[0].skipped)
    };
    // It is second 1000; epoch 4 was due at 900.25, so the next instant of the grid is 1000.25.
    assert_eq!(begun(Overrun::Stretch, true), (1_000_000, 1_000_000, 0));
    assert_eq!(begun(Overrun::Skip, true), (1_000_250, 1_000_250, 100));
    assert_eq!(begun(Overrun::Skip, false), (1_000_250, 1_000_250, 99));
    assert_eq!(begun(Overrun::Abort, true), (1_000_250, 1_000_250, 100));
    // Two of the hundred periods are caught up: those due at 998.25 and 999.25.
    assert_eq!(begun(Overrun::CatchUp(2), true), (1_000_000, 998_250, 98));
    assert_eq!(begun(Overrun::CatchUp(200), true), (1_000_000, 900_250, 0));
}

#[test]
fn a_component_that_lived_on_does_not_answer_the_start_and_is_waited_for_in_the_epoch() {
    let mut rig = resumed(Settings { epochs: 8, ..paced(Overrun::Stretch) }, true);
    rig.ready("A", 0);
    rig.ring();
    assert_eq!(rig.last(), "Clock-5 ep4 trig[A-3,B-3]");
    assert!(rig.collects(4));
    rig.both_ready(4);
    assert_eq!(rig.ends.len(), 1);
}

#[test]
fn an_error_while_everybody_is_beginning_again_ends_the_run() {
    let mut rig = resumed(Settings { epochs: 8, ..paced(Overrun::Stretch) }, true);
    rig.error("A", 0);
    rig.ready("B", 0);
    assert!(matches!(rig.ending, Some(Ending::ComponentErrors { .. })));
}
