//! Watching a device that is told nothing any more: [`Watch`] takes what it holds and what it measures, and says when
//! the fall-back has been seen, or can no longer be right.

use super::is_near;
use super::plan::{FallsBack, Plan};
use gridloop_clock::MonoTime;
use std::fmt;
use std::time::Duration;

/// How far a device may hold something else than it was told: the resolution of a whole per cent of the rating.
const HELD_SHARE: f64 = 0.01;

/// What was measured of a fall-back.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measured {
    /// From the last write to the fall-back: not before the first and not after the second. The time between them is
    /// the accuracy.
    pub fell_back_after: Option<(Duration, Duration)>,
    /// What the device held first after it had fallen back, in W; absent where it does not tell.
    pub held_w: Option<f64>,
    /// From the last write until its power had followed.
    pub followed_after: Option<Duration>,
    /// The power that was measured last, in W.
    pub power_w: Option<f64>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fell_back_after {
            None => write!(f, "it did not fall back")?,
            Some((not_before, not_after)) => write!(
                f,
                "it fell back between {:.2} s and {:.2} s after the last write",
                not_before.as_secs_f64(),
                not_after.as_secs_f64()
            )?,
        }
        if let Some(held_w) = self.held_w {
            write!(f, ", then held {held_w:.0} W")?;
        }
        if let (Some(after), Some(power_w)) = (self.followed_after, self.power_w) {
            write!(f, "; {:.2} s after the write it measured {power_w:.0} W", after.as_secs_f64())?;
        }
        Ok(())
    }
}

/// What a look at the device gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// Nothing new.
    Nothing,
    /// Something worth noting.
    Step(String),
    /// Everything that was to be seen.
    Passed(String),
    /// Something that cannot be right.
    Failed(String),
}

/// The watch over one device.
#[derive(Debug)]
pub(super) struct Watch {
    plan: Plan,
    /// What it held after the last write.
    written_w: f64,
    /// When the last write was begun and confirmed.
    write: (MonoTime, MonoTime),
    /// When the command was last seen to stand: the beginning of the look.
    stood_at: MonoTime,
    tells: bool,
    /// Asked in this turn; the reading is to come.
    asked: bool,
    measured: Measured,
}

impl Watch {
    pub(super) fn new(plan: Plan, written_w: f64, begun: MonoTime, done: MonoTime) -> Self {
        let measured = Measured::default();
        Self { plan, written_w, write: (begun, done), stood_at: done, tells: true, asked: false, measured }
    }

    pub(super) fn measured(&self) -> Measured {
        self.measured
    }

    /// Whether the next look is at what it holds; after that comes its measurement.
    pub(super) fn asks(&self) -> bool {
        self.tells && !self.asked
    }

    /// Whether it tells what it holds.
    pub(super) fn tells(&self) -> bool {
        self.tells
    }

    /// It does not tell what it holds.
    pub(super) fn tells_nothing(&mut self) {
        self.tells = false;
    }

    /// It holds this, asked from `begun` to `now`.
    pub(super) fn has_told(&mut self, held_w: f64, begun: MonoTime, now: MonoTime) -> Seen {
        self.asked = true;
        let resolution_w = self.plan.rating_w * HELD_SHARE;
        if self.measured.fell_back_after.is_some() {
            return Seen::Nothing;
        }
        if (held_w - self.written_w).abs() <= resolution_w {
            self.stood_at = begun;
            return Seen::Nothing;
        }
        self.measured.held_w = Some(held_w);
        self.has_fallen_back(now);
        match self.plan.falls_back {
            FallsBack::ToValue(value) if (held_w - value).abs() > resolution_w => {
                Seen::Failed(format!("it fell back to {held_w:.0} W, not to {value:.0} W"))
            }
            _ => self
                .untimely()
                .map_or_else(|| Seen::Step(format!("it fell back: it holds {held_w:.0} W")), Seen::Failed),
        }
    }

    /// It measures this; `None` when that is no good value.
    pub(super) fn has_read(&mut self, power_w: Option<f64>, now: MonoTime) -> Seen {
        self.asked = false;
        self.measured.power_w = power_w;
        let Plan { command_w, expected_w, rating_w, .. } = self.plan;
        // The sun may have moved: half of the way back tells a dropped limit from one that stands.
        let share = if self.plan.falls_back == FallsBack::ToFree { 0.5 } else { 0.1 };
        let follows = power_w.is_some_and(|power_w| is_near(power_w, expected_w, command_w, share, rating_w));
        if follows && !self.tells && self.measured.fell_back_after.is_none() {
            self.has_fallen_back(now);
            if let Some(reason) = self.untimely() {
                return Seen::Failed(reason);
            }
        } else if !follows && !self.tells {
            self.stood_at = now;
        }
        if follows && self.measured.fell_back_after.is_some() {
            self.measured.followed_after = Some(now.since(self.write.1));
            return Seen::Passed(format!("its power follows: {:.0} W measured", power_w.unwrap_or_default()));
        }
        if now.since(self.write.1) >= self.plan.within {
            return Seen::Failed(self.given_up(power_w, follows));
        }
        Seen::Nothing
    }

    fn has_fallen_back(&mut self, now: MonoTime) {
        let not_before = self.stood_at.since(self.write.1);
        self.measured.fell_back_after = Some((not_before, now.since(self.write.0)));
    }

    /// What is wrong with the time of the fall-back, if it is surely wrong.
    fn untimely(&self) -> Option<String> {
        let (not_before, not_after) = self.measured.fell_back_after?;
        let (after, tolerance) = (self.plan.after, self.plan.tolerance());
        let word = match (not_before > after + tolerance, not_after + tolerance < after) {
            (true, _) => "late",
            (_, true) => "early",
            _ => return None,
        };
        Some(format!("{}: too {word}, it states {} s", self.measured, after.as_secs_f64()))
    }

    /// Why it was watched in vain.
    fn given_up(&self, power_w: Option<f64>, follows: bool) -> String {
        let within = self.plan.within.as_secs_f64();
        let power =
            power_w.map_or("no good value of its power".to_owned(), |power_w| format!("{power_w:.0} W"));
        match self.measured.fell_back_after {
            Some(_) => {
                format!("{}, but within {within} s its power did not follow: {power} measured", self.measured)
            }
            None if follows => format!(
                "within {within} s its power went to {power}, but it still holds {:.0} W",
                self.written_w
            ),
            None => format!("it did not fall back within {within} s: {power} measured"),
        }
    }
}
