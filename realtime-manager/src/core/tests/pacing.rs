//! Epochs on the grid, and what an overrun does under each policy.

use super::*;

/// Instants at which epochs began, in milliseconds after epoch 1.
fn nominal_ms(rig: &Rig) -> Vec<u128> {
    let instants: Vec<_> = rig.starts.iter().filter_map(|start| start.nominal).collect();
    instants.iter().map(|instant| instant.since(instants[0]).as_millis()).collect()
}

#[test]
fn an_epoch_begins_at_its_instant_although_everybody_is_ready_before() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.both_ready(0);
    assert!(rig.collects(1));
    rig.now = rig.now + MS * 300;
    rig.both_ready(1);
    assert_eq!(rig.starts.len(), 1);
    rig.instant(Duration::ZERO);
    assert!(rig.collects(2));
    assert_eq!(nominal_ms(&rig), [0, 1000]);
}

#[test]
fn an_epoch_message_is_ready_before_its_instant_and_labelled_with_it() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.both_ready(0);
    rig.now = rig.now + MS * 300;
    rig.both_ready(1);
    rig.instant(MS);
    assert_eq!(rig.last(), "Clock-3 ep2 trig[A-1,B-1]");
    assert_eq!(rig.published[2].header.timestamp, timestamp("2024-03-01T08:00:01.000Z"));
}

#[test]
fn waking_late_does_not_move_the_grid() {
    for overrun in [Overrun::Stretch, Overrun::Skip, Overrun::Abort] {
        let mut rig = Rig::started(Settings { epochs: 100, ..paced(overrun) });
        rig.both_ready(0);
        for epoch in 1..100 {
            rig.both_ready(epoch);
            rig.instant(MS * 7);
        }
        assert_eq!(nominal_ms(&rig).last(), Some(&99_000));
    }
}

#[test]
fn an_hour_at_ten_milliseconds_does_not_drift_by_a_nanosecond() {
    const EPOCHS: u32 = 360_000;
    // Ten milliseconds do not divide by seven: each instant is one that a sum of floats would miss.
    let period = Duration::from_nanos(9_999_999);
    let speed = Speed::Times(3600.0 / period.as_secs_f64());
    let components = vec!["A".to_owned()];
    let mut rig =
        Rig::started(Settings { epochs: u64::from(EPOCHS), speed, components, ..paced(Overrun::Stretch) });
    assert_eq!(rig.core.period, Some(period));
    rig.ready("A", 0);
    let first = rig.starts[0].nominal.unwrap();
    for epoch in 1..u64::from(EPOCHS) {
        rig.ready("A", epoch);
        // Always awake a little late, and never as late twice.
        rig.instant(Duration::from_nanos(epoch % 977));
        rig.published.clear();
        rig.wire.clear();
    }
    let last = rig.starts.last().unwrap().nominal.unwrap();
    assert_eq!(last.since(first), period * (EPOCHS - 1));
}

#[test]
fn the_last_epoch_ends_when_everybody_is_ready() {
    let mut rig = Rig::started(Settings { epochs: 1, ..paced(Overrun::Stretch) });
    rig.both_ready(0);
    rig.both_ready(1);
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 1 }));
}

#[test]
fn an_instant_that_is_not_waited_for_changes_nothing() {
    let mut rig = Rig::started(paced(Overrun::Abort));
    rig.both_ready(0);
    rig.give(Input::Instant(rig.now));
    assert!(rig.collects(1));
}

#[test]
fn the_first_epoch_begins_at_the_next_multiple_of_the_alignment_once_everybody_is_ready() {
    let mut rig = Rig::started(Settings { start_at: StartAt::Aligned(S * 60), ..paced(Overrun::Stretch) });
    rig.now = rig.now + MS * 1500;
    rig.both_ready(0);
    assert!(rig.starts.is_empty());
    assert_eq!(rig.awaited, Some(rig.now + MS * 58_500));
    rig.instant(Duration::ZERO);
    assert_eq!(rig.published[1].header.timestamp, timestamp("2024-03-01T08:01:00.000Z"));
    assert_eq!(rig.awaited, Some(rig.now + S));
}

#[test]
fn a_present_that_is_a_multiple_of_the_alignment_is_not_waited_away() {
    let mut rig = Rig::started(Settings { start_at: StartAt::Aligned(S * 60), ..paced(Overrun::Stretch) });
    rig.both_ready(0);
    assert!(rig.collects(1));
}

#[test]
fn the_first_epoch_begins_at_the_time_asked_for() {
    let at = timestamp("2024-03-01T08:00:05.250Z");
    let mut rig = Rig::started(Settings { start_at: StartAt::At(at), ..paced(Overrun::Stretch) });
    rig.both_ready(0);
    assert_eq!(rig.awaited, Some(rig.now + MS * 5250));
}

#[test]
fn a_start_time_that_has_passed_is_noted_and_the_first_epoch_begins_at_once() {
    let at = timestamp("2024-03-01T07:59:59.000Z");
    let mut rig = Rig::started(Settings { start_at: StartAt::At(at), ..paced(Overrun::Skip) });
    rig.both_ready(0);
    assert!(rig.collects(1));
    assert_eq!((&rig.notes[..], rig.starts[0].skipped), (&[Note::StartMissed { by: S }][..], 0));
}

#[test]
fn an_unpaced_run_can_be_aligned_and_waits_for_no_other_instant() {
    let mut rig = Rig::started(Settings { start_at: StartAt::Aligned(S * 7), ..settings() });
    rig.both_ready(0);
    rig.instant(Duration::ZERO);
    assert_eq!((rig.starts[0].nominal, rig.awaited), (None, None));
    rig.both_ready(1);
    assert!(rig.collects(2));
}

#[test]
fn stretch_waits_for_everybody_and_moves_the_grid() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.both_ready(0);
    rig.ready("A", 1);
    rig.instant(MS);
    assert!(rig.collects(1));
    let overran = Progress::EpochOverran { number: 1, missing: vec!["B".into()], noticed_after: MS };
    assert_eq!(rig.progress.last(), Some(&overran));
    rig.now = rig.now + MS * 399;
    rig.ready("B", 1);
    assert_eq!(rig.last(), "Clock-5 ep2 trig[A-1,B-1]");
    rig.both_ready(2);
    rig.instant(Duration::ZERO);
    assert_eq!(nominal_ms(&rig), [0, 1400, 2400]);
}

#[test]
fn stretch_sends_again_and_gives_up_as_an_unpaced_run_does() {
    let mut rig = Rig::started(Settings { max_resends: 1, ..paced(Overrun::Stretch) });
    rig.both_ready(0);
    rig.instant(Duration::ZERO);
    rig.ring();
    assert_eq!(rig.last(), "Clock-4 ep1 trig[A-0,B-0]");
    rig.ring();
    assert!(matches!(rig.ending, Some(Ending::NoAnswer { epoch: 1, .. })));
}

#[test]
fn skip_leaves_the_missing_behind_and_keeps_the_grid() {
    let mut rig = Rig::started(paced(Overrun::Skip));
    rig.both_ready(0);
    rig.ready("A", 1);
    rig.instant(MS);
    assert_eq!(rig.ends, [(1, vec!["B".to_owned()])]);
    assert_eq!(rig.last(), "Clock-4 ep2 trig[A-1]");
    assert_eq!(nominal_ms(&rig), [0, 1000]);
    assert_eq!(rig.starts[1].skipped, 0);
}

#[test]
fn skip_records_a_late_answer_without_counting_it_for_the_present_epoch() {
    let mut rig = Rig::started(paced(Overrun::Skip));
    rig.both_ready(0);
    rig.ready("A", 1);
    rig.instant(Duration::ZERO);
    rig.ready("B", 1);
    assert_eq!(rig.notes, [Note::Late { component: "B".into(), epoch: 1, current: 2 }]);
    rig.ready("A", 2);
    assert!(rig.collects(2));
    rig.ready("B", 2);
    rig.instant(Duration::ZERO);
    assert_eq!(rig.last(), "Clock-6 ep3 trig[A-2,B-2]");
}

#[test]
fn skip_has_triggers_even_if_nobody_answers() {
    let mut rig = Rig::started(paced(Overrun::Skip));
    rig.both_ready(0);
    rig.instant(Duration::ZERO);
    rig.instant(Duration::ZERO);
    assert_eq!(
        rig.wire.iter().filter(|line| !line.contains("overran")).skip(1).collect::<Vec<_>>(),
        ["Clock-2 ep1", "Clock-4 ep2", "Clock-6 ep3"]
            .map(|s| format!("{s} trig[A-0,B-0]"))
            .iter()
            .collect::<Vec<_>>()
    );
}

#[test]
fn skip_ends_the_last_epoch_at_its_own_end_instant() {
    let mut rig = Rig::started(Settings { epochs: 1, ..paced(Overrun::Skip) });
    rig.both_ready(0);
    rig.instant(Duration::ZERO);
    assert_eq!(rig.ends, [(1, vec!["A".to_owned(), "B".to_owned()])]);
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 1 }));
}

#[test]
fn skip_waits_for_initialisation_and_gives_it_up_as_simces_does() {
    let mut rig = Rig::started(Settings { max_resends: 0, ..paced(Overrun::Skip) });
    assert_eq!(rig.awaited, None);
    rig.ring();
    assert!(matches!(rig.ending, Some(Ending::NoAnswer { epoch: 0, .. })));
}

#[test]
fn skip_lets_the_instant_decide_when_nothing_is_sent_again_any_more() {
    let settings = Settings { max_resends: 1, resend_interval: MS * 10, ..paced(Overrun::Skip) };
    let mut rig = Rig::started(settings);
    rig.both_ready(0);
    rig.ring();
    rig.ring();
    assert_eq!((rig.timer, &rig.notes[..]), (None, &[Note::NoMoreResends { epoch: 1 }][..]));
    rig.instant(Duration::ZERO);
    assert!(rig.collects(2));
}

#[test]
fn skip_passes_over_whole_periods_after_a_stall_and_never_bursts() {
    let mut rig = Rig::started(paced(Overrun::Skip));
    rig.both_ready(0);
    rig.both_ready(1);
    rig.instant(MS * 2500);
    let start = &rig.starts[1];
    assert_eq!((start.number, start.skipped), (2, 2));
    assert_eq!(
        start.nominal.map(|nominal| rig.now.since(nominal)),
        Some(MS * 2500),
        "the stall is not hidden"
    );
    assert_eq!(rig.awaited, Some(rig.now + MS * 500), "back on the grid");
}

#[test]
fn stretch_moves_the_grid_after_a_stall_and_does_not_hide_it() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.both_ready(0);
    rig.both_ready(1);
    rig.instant(MS * 2500);
    let nominal = rig.starts[1].nominal;
    assert_eq!(nominal.map(|nominal| rig.now.since(nominal)), Some(MS * 2500));
    assert_eq!(rig.awaited, Some(rig.now + S));
}

#[test]
fn abort_fails_the_run_and_names_the_missing() {
    let mut rig = Rig::started(paced(Overrun::Abort));
    rig.both_ready(0);
    rig.ready("A", 1);
    rig.instant(Duration::ZERO);
    assert_eq!(rig.last(), "Clock-4 stopped");
    assert_eq!(rig.ending, Some(Ending::Overrun { epoch: 1, missing: vec!["B".into()] }));
}

#[test]
fn abort_lets_a_punctual_run_complete() {
    let mut rig = Rig::started(paced(Overrun::Abort));
    rig.both_ready(0);
    for epoch in 1..3 {
        rig.both_ready(epoch);
        rig.instant(Duration::ZERO);
    }
    rig.both_ready(3);
    assert_eq!(rig.ending, Some(Ending::AllEpochs { epochs: 3 }));
}
