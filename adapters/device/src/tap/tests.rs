//! What a sequencer does to drives that lose commands, dawdle, go astray or are moved by somebody else.

use super::*;
use proptest::prelude::*;

const RULES: TapRules = TapRules { max_step: 3, confirm_within: Duration::from_secs(30) };

fn at(seconds: u64) -> MonoTime {
    MonoTime::from_nanos(seconds * 1_000_000_000)
}

fn reading(position: i32) -> TapReading {
    TapReading { position, lowest: 1, highest: 17, remote: true, resting: false }
}

#[test]
fn a_far_target_is_reached_in_pulses_of_the_largest_step_each_confirmed_first() {
    let mut tap = TapSequencer::new(RULES);
    assert_eq!(tap.step(at(0), &reading(9), 13), TapAction::Pulse(3));
    assert_eq!(tap.step(at(1), &reading(9), 13), TapAction::Wait);
    assert_eq!(tap.step(at(2), &reading(11), 13), TapAction::Wait);
    assert_eq!(tap.step(at(3), &reading(12), 13), TapAction::Pulse(1));
    assert_eq!(tap.step(at(4), &reading(13), 13), TapAction::Reached);
}

#[test]
fn a_pulse_without_effect_is_never_sent_again_for_its_target() {
    let mut tap = TapSequencer::new(RULES);
    assert_eq!(tap.step(at(0), &reading(9), 10), TapAction::Pulse(1));
    let failure = TapFailure::Unconfirmed { from: 9, expected: 10, position: 9 };
    for seconds in [30, 31, 1000] {
        assert_eq!(tap.step(at(seconds), &reading(9), 10), TapAction::Failed(failure));
    }
    assert_eq!(tap.step(at(1001), &reading(9), 8), TapAction::Pulse(-1));
}

#[test]
fn an_effect_that_comes_late_is_still_the_target_reached() {
    let mut tap = TapSequencer::new(RULES);
    tap.step(at(0), &reading(9), 10);
    assert!(matches!(tap.step(at(30), &reading(9), 10), TapAction::Failed(_)));
    assert_eq!(tap.step(at(31), &reading(10), 10), TapAction::Reached);
}

#[test]
fn another_target_waits_until_a_lost_pulse_can_no_longer_come() {
    let mut tap = TapSequencer::new(RULES);
    assert_eq!(tap.step(at(0), &reading(14), 16), TapAction::Pulse(2));
    assert!(matches!(tap.step(at(30), &reading(14), 16), TapAction::Failed(_)));
    assert_eq!(tap.step(at(31), &reading(14), 17), TapAction::Wait);
    assert_eq!(tap.step(at(59), &reading(14), 14), TapAction::Wait);
    assert_eq!(tap.step(at(60), &reading(14), 17), TapAction::Pulse(3));
}

#[test]
fn a_late_effect_frees_another_target_at_once() {
    let mut tap = TapSequencer::new(RULES);
    assert_eq!(tap.step(at(0), &reading(14), 16), TapAction::Pulse(2));
    assert_eq!(tap.step(at(31), &reading(14), 17), TapAction::Wait);
    assert_eq!(tap.step(at(32), &reading(16), 17), TapAction::Pulse(1));
}

#[test]
fn nothing_is_sent_while_the_motor_rests_or_the_mode_is_local() {
    let mut tap = TapSequencer::new(RULES);
    assert_eq!(tap.step(at(0), &TapReading { resting: true, ..reading(9) }, 10), TapAction::Wait);
    let local = TapReading { remote: false, ..reading(9) };
    assert_eq!(tap.step(at(0), &local, 10), TapAction::Failed(TapFailure::NotRemote));
    assert_eq!(tap.step(at(0), &local, 9), TapAction::Reached);
}

#[test]
fn targets_and_positions_beyond_the_end_stops_are_refused() {
    let mut tap = TapSequencer::new(RULES);
    for target in [0, 18, i32::MIN, i32::MAX] {
        let failed = tap.step(at(0), &reading(9), target);
        assert!(matches!(failed, TapAction::Failed(TapFailure::BeyondEndStop { .. })), "{target}");
    }
    let failed = tap.step(at(0), &reading(40), 9);
    assert!(matches!(failed, TapAction::Failed(TapFailure::Implausible { .. })));
}

#[test]
fn a_pulse_that_was_refused_may_be_asked_for_again() {
    let mut tap = TapSequencer::new(RULES);
    assert_eq!(tap.step(at(0), &reading(9), 10), TapAction::Pulse(1));
    tap.not_sent();
    assert_eq!(tap.step(at(1), &reading(9), 10), TapAction::Pulse(1));
}

#[test]
fn a_drive_that_moves_the_other_way_or_too_far_fails_at_once_and_for_good() {
    for astray in [8, 13, 17] {
        let mut tap = TapSequencer::new(RULES);
        assert_eq!(tap.step(at(0), &reading(9), 13), TapAction::Pulse(3));
        let failure = TapFailure::Astray { from: 9, expected: 12, position: astray };
        assert_eq!(tap.step(at(1), &reading(astray), 13), TapAction::Failed(failure));
        assert_eq!(tap.step(at(2), &reading(10), 13), TapAction::Failed(failure), "it stays failed");
        assert_eq!(tap.step(at(3), &reading(10), 5), TapAction::Wait, "the pulse may still come");
    }
}

#[test]
fn pulses_are_settled_when_the_position_has_confirmed_the_last_one() {
    let mut tap = TapSequencer::new(RULES);
    assert_eq!(tap.settled(at(0), &reading(9)), TapSettled::Quiet);
    assert_eq!(tap.step(at(0), &reading(9), 13), TapAction::Pulse(3));
    assert_eq!(tap.settled(at(1), &reading(11)), TapSettled::Moving);
    assert_eq!(tap.settled(at(2), &reading(12)), TapSettled::Quiet);
}

#[test]
fn a_pulse_that_failed_is_settled_only_by_its_effect_or_its_target() {
    let failure = TapFailure::Unconfirmed { from: 9, expected: 12, position: 9 };
    for (position, settled) in
        [(9, TapSettled::Failed(failure)), (12, TapSettled::Quiet), (13, TapSettled::Quiet)]
    {
        let mut tap = TapSequencer::new(RULES);
        assert_eq!(tap.step(at(0), &reading(9), 13), TapAction::Pulse(3));
        assert_eq!(tap.settled(at(30), &reading(9)), TapSettled::Failed(failure));
        assert_eq!(tap.settled(at(60), &reading(9)), TapSettled::Failed(failure));
        assert_eq!(tap.settled(at(1000), &reading(position)), settled);
    }
}

#[test]
fn a_failure_is_not_forgotten_by_asking_for_what_cannot_be_done() {
    let mut tap = TapSequencer::new(RULES);
    tap.step(at(0), &reading(9), 10);
    assert!(matches!(tap.step(at(60), &reading(9), 10), TapAction::Failed(_)));
    assert!(matches!(tap.step(at(61), &reading(9), 99), TapAction::Failed(_)));
    assert!(matches!(tap.settled(at(62), &reading(9)), TapSettled::Failed(_)));
}

/// A drive without end stops of its own, so that every excess shows. It loses some commands and takes its time.
struct Drive {
    position: i32,
    pending: Vec<(MonoTime, i32)>,
}

impl Drive {
    fn advance(&mut self, now: MonoTime) -> i32 {
        let position = &mut self.position;
        self.pending.retain(|(due, steps)| {
            let done = *due <= now;
            *position += if done { *steps } else { 0 };
            !done
        });
        self.position
    }
}

proptest! {
    /// Oracle: the drive never leaves its range; no pulse follows another before the position has confirmed it or
    /// its time is up; and no target sees a second pulse after one that was not confirmed.
    #[test]
    fn a_drive_that_loses_commands_and_dawdles_is_never_over_driven(
        start in 1..=17_i32,
        orders in prop::collection::vec((-1..=19_i32, 1..40_u64), 1..30),
        fates in prop::collection::vec(prop::option::weighted(0.7, 0..45_u64), 64),
        remote in prop::collection::vec(prop::bool::weighted(0.9), 64),
    ) {
        let mut tap = TapSequencer::new(RULES);
        let mut drive = Drive { position: start, pending: Vec::new() };
        let mut fates = fates.into_iter().cycle();
        let mut remote = remote.into_iter().cycle();
        let mut open: Option<(MonoTime, i32, i32)> = None;
        let mut lost_for: Option<i32> = None;
        let mut now = MonoTime::default();
        for (target, seconds) in orders {
            if lost_for.is_some_and(|lost| lost != target) {
                lost_for = None;
            }
            for _ in 0..seconds {
                now = now + Duration::from_secs(1);
                let position = drive.advance(now);
                prop_assert!((1..=17).contains(&position), "position {position}");
                if let Some((sent_at, expected, for_target)) = open {
                    if position == expected {
                        open = None;
                    } else if now.since(sent_at) >= RULES.confirm_within {
                        lost_for = (for_target == target).then_some(target);
                    }
                    if now.since(sent_at) >= RULES.confirm_within * 2 {
                        open = None;
                    }
                }
                if position == target {
                    lost_for = None;
                }
                let seen = TapReading { remote: remote.next().unwrap_or(true), ..reading(position) };
                if let TapAction::Pulse(steps) = tap.step(now, &seen, target) {
                    prop_assert!(steps != 0 && steps.abs() <= 3 && seen.remote);
                    prop_assert!(open.is_none(), "a second pulse before the first was settled");
                    prop_assert!(lost_for.is_none(), "a pulse was repeated blindly");
                    open = Some((now, position + steps, target));
                    if let Some(delay) = fates.next().flatten() {
                        drive.pending.push((now + Duration::from_secs(delay), steps));
                    }
                }
            }
        }
    }

    /// Oracle: while a pulse is in flight, a position on its way is waited for, its end confirms it, and any other
    /// position is a failure at once, after which no target gets a pulse until the first can no longer come.
    #[test]
    fn only_positions_on_the_way_of_a_pulse_are_waited_for(
        start in 1..=17_i32, target in 1..=17_i32, seen in 1..=17_i32, other in 1..=17_i32, seconds in 1..30_u64,
        later in 30..60_u64,
    ) {
        prop_assume!(start != target && other != target);
        let mut tap = TapSequencer::new(RULES);
        let TapAction::Pulse(steps) = tap.step(at(0), &reading(start), target) else {
            return Err(TestCaseError::fail("no pulse"));
        };
        let expected = start + steps;
        let on_the_way = (start.min(expected)..=start.max(expected)).contains(&seen);
        let (settled, action) = (tap.settled(at(seconds), &reading(seen)), tap.step(at(seconds), &reading(seen), target));
        if seen == expected {
            prop_assert_eq!(settled, TapSettled::Quiet);
            prop_assert_eq!(action == TapAction::Reached, seen == target);
            prop_assert!(matches!(action, TapAction::Reached | TapAction::Pulse(_)));
        } else if on_the_way {
            prop_assert_eq!((settled, action), (TapSettled::Moving, TapAction::Wait));
        } else {
            let failure = TapFailure::Astray { from: start, expected, position: seen };
            prop_assert_eq!((settled, action), (TapSettled::Failed(failure), TapAction::Failed(failure)));
            prop_assert_eq!(tap.step(at(later), &reading(seen), other), TapAction::Wait);
            prop_assert!(!matches!(tap.step(at(later), &reading(start), target), TapAction::Pulse(_) | TapAction::Wait));
        }
    }
}
