//! When to pulse a tap changer that only knows relative commands: [`TapSequencer`], a state machine without I/O.
//!
//! A relative command must never be sent twice by mistake, and a lost answer does not tell whether it was carried
//! out. So there is one pulse in flight at most; only the position confirms it; and a pulse that the position does
//! not confirm in time is never sent again for the same target. Another target may be given then. It is served when
//! twice the time has passed, in which a late pulse would have shown, and from the position that is read by then.
//! A position that does not lie on the way of the pulse ends the wait at once: something else moves the drive.

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
    /// A pulse did not have its effect in time. It is not repeated.
    #[error("tap {expected} was not confirmed: the position is {position} after a pulse from {from}")]
    Unconfirmed {
        /// The position before the pulse.
        from: i32,
        /// The position that it was to lead to.
        expected: i32,
        /// The position when its time was up.
        position: i32,
    },
    /// While a pulse was in flight the drive moved the other way, or further than the pulse asks for.
    #[error("tap {expected} was not confirmed: the position is {position}, not on the way there from {from}")]
    Astray {
        /// The position before the pulse.
        from: i32,
        /// The position that it was to lead to.
        expected: i32,
        /// The position that was found.
        position: i32,
    },
}

/// What has become of the pulses sent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapSettled {
    /// None was sent, or the position has confirmed the last one: the drive stands still of itself.
    Quiet,
    /// One is under way and may still be confirmed.
    Moving,
    /// The last one was not confirmed, and the position has not shown its effect since.
    Failed(TapFailure),
}

/// The state machine for one tap changer. It outlives the connection to it.
#[derive(Debug, Clone)]
pub struct TapSequencer {
    rules: TapRules,
    in_flight: Option<Pulse>,
    /// The last pulse, if it failed: the one in flight, if there is one.
    failed: Option<(Pulse, TapFailure)>,
}

#[derive(Debug, Clone, Copy)]
struct Pulse {
    target: i32,
    from: i32,
    expected: i32,
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
        self.observe(now, reading.position);
        let failure = self.failed.filter(|(pulse, _)| pulse.target == target).map(|(_, failure)| failure);
        if self.in_flight.is_some() {
            return failure.map_or(TapAction::Wait, TapAction::Failed);
        }
        if target == reading.position {
            self.failed = None;
            return TapAction::Reached;
        }
        if let Some(failure) = failure {
            return TapAction::Failed(failure);
        }
        match self.next_pulse(reading, target) {
            Err(failure) => TapAction::Failed(failure),
            Ok(None) => TapAction::Wait,
            Ok(Some(steps)) => {
                let from = reading.position;
                let expected = from.saturating_add(steps);
                self.failed = None;
                self.in_flight = Some(Pulse { target, from, expected, sent_at: now });
                TapAction::Pulse(steps)
            }
        }
    }

    /// Takes the last [`TapAction::Pulse`] back: the device certainly did not get it, or refused it before acting.
    pub fn not_sent(&mut self) {
        self.in_flight = None;
    }

    /// Whether anything is left of the pulses sent so far, given a reading taken at `now`. It asks for no pulse.
    pub fn settled(&mut self, now: MonoTime, reading: &TapReading) -> TapSettled {
        let position = reading.position;
        self.observe(now, position);
        match (self.in_flight, self.failed) {
            (Some(_), None) => TapSettled::Moving,
            (Some(_), Some((_, failure))) => TapSettled::Failed(failure),
            (None, Some((pulse, failure))) if position != pulse.expected && position != pulse.target => {
                TapSettled::Failed(failure)
            }
            (None, _) => TapSettled::Quiet,
        }
    }

    /// Judges the pulse in flight by a position. It is over when confirmed, or when too old to come any more; between
    /// failing and that it may still come.
    fn observe(&mut self, now: MonoTime, position: i32) {
        let Some(pulse) = self.in_flight else { return };
        let Pulse { from, expected, .. } = pulse;
        if position == expected {
            self.in_flight = None;
            return;
        }
        let age = now.since(pulse.sent_at);
        if !(from.min(expected)..=from.max(expected)).contains(&position) {
            self.failed = Some((pulse, TapFailure::Astray { from, expected, position }));
        } else if age >= self.rules.confirm_within {
            self.failed = Some((pulse, TapFailure::Unconfirmed { from, expected, position }));
        }
        if age >= self.rules.confirm_within.saturating_mul(2) {
            self.in_flight = None;
        }
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
mod tests;
