//! When to pulse a tap changer that only knows relative commands: [`TapSequencer`], a state machine without I/O.
//!
//! A relative command must never be sent twice by mistake, and a lost answer does not tell whether it was carried
//! out. So there is one pulse in flight at most; only the position confirms it; and a pulse that the position does
//! not confirm in time is never sent again for the same target. Another target may be given then. It is served when
//! twice the time has passed, in which a late pulse would have shown, and from the position that is read by then.

use gridloop_clock::MonoTime;
use std::time::Duration;

/// The rules of one kind of tap changer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapRules {
    /// The most steps that one pulse may ask for; at least 1.
    pub max_step: u16,
    /// How long after a pulse the position may take to show it. After twice that time it counts as never carried out.
    pub confirm_within: Duration,
}

/// What a tap changer says of itself, all of one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapReading {
    /// Its position.
    pub position: i32,
    /// The lowest position it has.
    pub lowest: i32,
    /// The highest position it has.
    pub highest: i32,
    /// Whether it takes commands from outside at present.
    pub remote: bool,
    /// Whether its motor has to rest.
    pub resting: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapAction {
    /// Send one pulse of this many steps, now and once.
    Pulse(i32),
    /// Nothing: a pulse is under way, or the motor rests.
    Wait,
    /// Nothing: the position is the target.
    Reached,
    /// Nothing, and the target will not be reached.
    Failed(TapFailure),
}

/// Why a target is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TapFailure {
    /// The target lies beyond an end stop.
    #[error("position {target} is outside {lowest} to {highest}")]
    BeyondEndStop {
        /// The position asked for.
        target: i32,
        /// The lowest position.
        lowest: i32,
        /// The highest position.
        highest: i32,
    },
    /// The device reports a position that its own end stops exclude.
    #[error("the device reports position {position}, outside its own end stops {lowest} to {highest}")]
    Implausible {
        /// The position it reports.
        position: i32,
        /// The lowest position it reports.
        lowest: i32,
        /// The highest position it reports.
        highest: i32,
    },
    /// It is in a mode in which it takes no commands from outside.
    #[error("the tap changer is not under remote control")]
    NotRemote,
    /// A pulse had no visible effect in time. It is not repeated.
    #[error("a pulse of {steps:+} from position {from} was not confirmed: the position is {position}")]
    Unconfirmed {
        /// The position before the pulse.
        from: i32,
        /// The steps it asked for.
        steps: i32,
        /// The position when its time was up.
        position: i32,
    },
}

/// The state machine for one tap changer. It outlives the connection to it.
#[derive(Debug, Clone)]
pub struct TapSequencer {
    rules: TapRules,
    in_flight: Option<Pulse>,
    failed: Option<(i32, TapFailure)>,
}

#[derive(Debug, Clone, Copy)]
struct Pulse {
    target: i32,
    from: i32,
    steps: i32,
    sent_at: MonoTime,
}

impl TapSequencer {
    /// A sequencer that has sent nothing yet.
    #[must_use]
    pub fn new(rules: TapRules) -> Self {
        Self { rules, in_flight: None, failed: None }
    }

    /// What to do about `target`, given a reading taken at `now`. After [`TapAction::Pulse`] the pulse counts as
    /// sent, whatever becomes of the request that carries it, unless [`TapSequencer::not_sent`] is called.
    pub fn step(&mut self, now: MonoTime, reading: &TapReading, target: i32) -> TapAction {
        if let Some(pulse) = self.in_flight
            && let Some(action) = self.unsettled(pulse, now, reading, target)
        {
            return action;
        }
        if target == reading.position {
            self.failed = None;
            return TapAction::Reached;
        }
        match self.failed {
            Some((failed_target, failure)) if failed_target == target => return TapAction::Failed(failure),
            _ => self.failed = None,
        }
        match self.next_pulse(reading, target) {
            Err(failure) => TapAction::Failed(failure),
            Ok(None) => TapAction::Wait,
            Ok(Some(steps)) => {
                self.in_flight = Some(Pulse { target, from: reading.position, steps, sent_at: now });
                TapAction::Pulse(steps)
            }
        }
    }

    /// Takes the last [`TapAction::Pulse`] back: the device certainly did not get it, or refused it before acting.
    pub fn not_sent(&mut self) {
        self.in_flight = None;
    }

    /// What the pulse in flight leaves to do, or `None` when it is over: confirmed, or too old to come any more.
    fn unsettled(
        &mut self,
        pulse: Pulse,
        now: MonoTime,
        reading: &TapReading,
        target: i32,
    ) -> Option<TapAction> {
        let Pulse { from, steps, .. } = pulse;
        if reading.position == from.saturating_add(steps) {
            self.in_flight = None;
            return None;
        }
        let age = now.since(pulse.sent_at);
        if age < self.rules.confirm_within {
            return Some(TapAction::Wait);
        }
        let failure = TapFailure::Unconfirmed { from, steps, position: reading.position };
        self.failed = Some((pulse.target, failure));
        if age >= self.rules.confirm_within.saturating_mul(2) {
            self.in_flight = None;
            return None;
        }
        Some(if pulse.target == target { TapAction::Failed(failure) } else { TapAction::Wait })
    }

    /// The steps of the next pulse, or `None` while the motor rests.
    fn next_pulse(&self, reading: &TapReading, target: i32) -> Result<Option<i32>, TapFailure> {
        let &TapReading { position, lowest, highest, remote, resting } = reading;
        let inside = lowest..=highest;
        if !inside.contains(&position) {
            return Err(TapFailure::Implausible { position, lowest, highest });
        }
        if !inside.contains(&target) {
            return Err(TapFailure::BeyondEndStop { target, lowest, highest });
        }
        if !remote {
            return Err(TapFailure::NotRemote);
        }
        if resting {
            return Ok(None);
        }
        let most = i32::from(self.rules.max_step);
        let steps = target.saturating_sub(position).clamp(-most, most);
        Ok(Some(steps))
    }
}

#[cfg(test)]
mod tests {
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
        let failure = TapFailure::Unconfirmed { from: 9, steps: 1, position: 9 };
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
    }
}
