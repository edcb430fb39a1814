//! Contract 3.3: the timer, re-sends and giving up; and what a restored bus session is told.

use super::*;
use proptest::prelude::*;

/// Seconds after the start at which the timer rings until the run is given up.
fn rings(rig: &mut Rig) -> Vec<u64> {
    let begun = rig.now;
    let mut rings = Vec::new();
    while rig.timer.is_some() {
        rig.ring();
        rings.push(rig.now.since(begun).as_secs());
    }
    rings
}

#[test]
fn each_wait_is_longer_by_one_interval_and_the_run_is_given_up_after_42_minutes() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.ready("B", 1);
    assert_eq!(rings(&mut rig), [120, 360, 720, 1200, 1800, 2520]);
    let missing = vec!["A".to_owned()];
    assert_eq!(rig.ending, Some(Ending::NoAnswer { epoch: 1, missing, resends: 5 }));
    assert_eq!(rig.last(), "Clock-8 stopped");
}

#[test]
fn initialisation_has_the_same_timer_and_sends_running_again() {
    let mut rig = Rig::started(Settings { max_resends: 2, ..settings() });
    assert_eq!(rings(&mut rig), [120, 360, 720]);
    assert_eq!(rig.wire, ["Clock-1 running", "Clock-2 running", "Clock-3 running", "Clock-4 stopped"]);
    let missing = vec!["A".to_owned(), "B".to_owned()];
    assert_eq!(rig.ending, Some(Ending::NoAnswer { epoch: 0, missing, resends: 2 }));
}

#[test]
fn a_resent_sim_state_has_a_new_id_and_timestamp() {
    let mut rig = Rig::started(settings());
    rig.ring();
    let [first, again] = [&rig.published[0], &rig.published[1]];
    assert_eq!(first.body, again.body);
    assert_eq!((&first.header.message_id[..], &again.header.message_id[..]), ("Clock-1", "Clock-2"));
    assert_eq!(again.header.timestamp, timestamp("2024-03-01T08:02:00.000Z"));
}

#[test]
fn without_resends_the_run_is_given_up_after_one_interval() {
    let mut rig = Rig::started(Settings { max_resends: 0, ..settings() });
    assert_eq!(rings(&mut rig), [120]);
    assert_eq!(rig.wire, ["Clock-1 running", "Clock-2 stopped"]);
}

proptest! {
    /// Re-sends at T, T + 2T, T + 2T + 3T ... and the end at T (R + 1)(R + 2) / 2, in epoch 0 as in any other.
    #[test]
    fn resends_come_after_sums_of_growing_waits_and_the_end_after_t_times_r_plus_1_times_r_plus_2_over_2(
        interval in 1..500_u64,
        max_resends in 0..20_u32,
        answered in 0..3_u64,
    ) {
        let resend_interval = S * u32::try_from(interval).unwrap();
        let mut rig = Rig::started(Settings { resend_interval, max_resends, epochs: 10, ..settings() });
        (0..answered).for_each(|epoch| rig.both_ready(epoch));
        let said = rig.wire.len();
        let most = u64::from(max_resends);
        let sums: Vec<u64> = (1..=most + 1).map(|n| interval * n * (n + 1) / 2).collect();
        prop_assert_eq!(sums.last(), Some(&(interval * (most + 1) * (most + 2) / 2)));
        prop_assert_eq!(rings(&mut rig), sums);
        let said: Vec<&String> = rig.wire[said..].iter().collect();
        let (stopped, resent) = said.split_last().unwrap();
        prop_assert!(stopped.ends_with("stopped"));
        prop_assert_eq!(resent.len() as u64, most);
        let expected = if answered == 0 { " running".to_owned() } else { format!(" ep{answered} ") };
        prop_assert!(resent.iter().all(|text| text.contains(&expected)), "{:?}", resent);
    }
}

#[test]
fn a_resent_epoch_has_the_same_number_and_window_and_a_new_id_and_timestamp() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.ring();
    let [first, again] = [&rig.published[1], &rig.published[2]];
    assert_eq!(first.body, again.body);
    assert_eq!((first.epoch_number(), again.epoch_number()), (Some(1), Some(1)));
    assert_eq!((&first.header.message_id[..], &again.header.message_id[..]), ("Clock-2", "Clock-3"));
    assert_eq!(again.header.timestamp, timestamp("2024-03-01T08:02:00.000Z"));
}

#[test]
fn a_resend_is_triggered_by_the_answers_so_far_or_by_those_before_if_there_are_none() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.ring();
    assert_eq!(rig.last(), "Clock-3 ep1 trig[A-0,B-0]");
    rig.ready("B", 1);
    rig.ring();
    assert_eq!(rig.last(), "Clock-4 ep1 trig[B-1]");
    rig.ready("A", 1);
    assert_eq!(rig.last(), "Clock-5 ep2 trig[B-1,A-1]");
}

#[test]
fn an_answer_to_a_resend_by_somebody_who_had_answered_counts_nothing() {
    let mut rig = Rig::started(settings());
    rig.both_ready(0);
    rig.ready("B", 1);
    rig.ring();
    rig.status("B", 1, "B-again", READY);
    rig.ready("A", 1);
    assert_eq!(rig.last(), "Clock-4 ep2 trig[B-1,A-1]");
    assert_eq!(rig.notes, [Note::Repeated { component: "B".into(), epoch: 1 }]);
}

#[test]
fn the_resends_are_counted_afresh_in_every_epoch() {
    let mut rig = Rig::started(settings());
    rig.ring();
    rig.ring();
    rig.both_ready(0);
    assert_eq!(rig.timer, Some(rig.now + S * 120));
    rig.ring();
    let attempt =
        |number, attempt| Progress::Resent { number, attempt, missing: vec!["A".to_owned(), "B".to_owned()] };
    assert_eq!(rig.progress, [running(), attempt(0, 1), attempt(0, 2), attempt(1, 1)]);
}

#[test]
fn the_timer_is_stopped_while_the_manager_itself_waits() {
    let mut rig = Rig::started(Settings { resend_interval: MS * 10, ..paced(Overrun::Stretch) });
    rig.both_ready(0);
    assert!(rig.timer.is_some());
    rig.both_ready(1);
    assert_eq!(rig.timer, None);
    rig.instant(Duration::ZERO);
    assert_eq!(rig.timer, Some(rig.now + MS * 10));
}

#[test]
fn a_timer_that_was_on_its_way_changes_nothing_while_the_manager_waits() {
    let mut rig = Rig::started(paced(Overrun::Stretch));
    rig.both_ready(0);
    rig.both_ready(1);
    let published = rig.wire.len();
    rig.give(Input::Timer);
    assert_eq!((rig.wire.len(), rig.ending), (published, None));
}

#[test]
fn a_restored_bus_is_told_the_present_message_under_its_old_id() {
    let mut rig = Rig::started(settings());
    rig.give(Input::BusRestored);
    assert_eq!(rig.wire, ["Clock-1 running", "Clock-1 running"]);
    rig.both_ready(0);
    rig.give(Input::BusRestored);
    assert_eq!(rig.published[2], rig.published[3], "byte for byte the same");
    rig.ring();
    rig.give(Input::BusRestored);
    assert_eq!(rig.last(), "Clock-3 ep1 trig[A-0,B-0]", "the re-sent one, not the one before");
}

#[test]
fn a_restored_bus_is_told_nothing_before_the_start() {
    let mut rig = Rig::started(Settings { start_delay: S, ..settings() });
    rig.give(Input::BusRestored);
    assert!(rig.wire.is_empty());
}
