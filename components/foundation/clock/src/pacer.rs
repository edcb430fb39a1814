//! The grid of epoch instants: `start + n * period`, in integers, so that nothing accumulates.

use crate::MonoTime;
use std::time::Duration;

/// What the grid does when an instant has been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOverrun {
    /// The grid moves by the overrun: every later instant is as much later (SimCES semantics: time waits).
    Stretch,
    /// The grid stays; whole periods are passed over, so that no burst of late epochs follows.
    Skip,
}

/// One instant of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Number of the tick, from 0 and without gaps.
    pub index: u64,
    /// The instant to start at. Never before the grid's instant; the present when that one has passed.
    pub due: MonoTime,
    /// How long ago the grid's own instant for this tick had passed when it was asked for.
    pub late_by: Duration,
    /// Whole periods passed over just before this tick.
    pub skipped: u64,
}

/// Deals out the instants at which epochs start.
#[derive(Debug, Clone)]
pub struct Pacer {
    start: MonoTime,
    period_nanos: u64,
    on_overrun: OnOverrun,
    next_index: u64,
    next_slot: u64,
}

impl Pacer {
    /// A grid that starts at `start`. A `period` of zero means unpaced: every tick is due at once and never late.
    #[must_use]
    pub fn new(start: MonoTime, period: Duration, on_overrun: OnOverrun) -> Self {
        let period_nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        Self { start, period_nanos, on_overrun, next_index: 0, next_slot: 0 }
    }

    /// The instant that the next tick has on the grid as it lies now.
    #[must_use]
    pub fn upcoming(&self) -> MonoTime {
        self.instant(self.next_slot)
    }

    /// Takes the next tick. `now` is the instant at which everything that must precede it was done.
    pub fn next(&mut self, now: MonoTime) -> Tick {
        let index = self.next_index;
        self.next_index += 1;
        if self.period_nanos == 0 {
            return Tick { index, due: now, late_by: Duration::ZERO, skipped: 0 };
        }
        let nominal = self.upcoming();
        let late_by = now.since(nominal);
        let skipped = match self.on_overrun {
            OnOverrun::Stretch => {
                self.start = self.start + late_by;
                0
            }
            OnOverrun::Skip => {
                let late_nanos = now.as_nanos().saturating_sub(nominal.as_nanos());
                late_nanos.div_euclid(self.period_nanos)
            }
        };
        let slot = self.next_slot + skipped;
        self.next_slot = slot + 1;
        Tick { index, due: self.instant(slot).max(now), late_by, skipped }
    }

    fn instant(&self, slot: u64) -> MonoTime {
        self.start + Duration::from_nanos(self.period_nanos.saturating_mul(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: MonoTime = MonoTime::from_nanos(1_000_000);
    const PERIOD: Duration = Duration::from_nanos(333_333_333);

    #[test]
    fn a_million_ticks_do_not_drift() {
        let mut pacer = Pacer::new(START, PERIOD, OnOverrun::Stretch);
        let mut due = START;
        for _ in 0..=1_000_000 {
            due = pacer.next(due).due;
        }
        assert_eq!(due.as_nanos(), START.as_nanos() + 1_000_000 * 333_333_333);
    }

    #[test]
    fn stretch_moves_the_grid_by_the_overrun() {
        let mut pacer = Pacer::new(START, PERIOD, OnOverrun::Stretch);
        pacer.next(START);
        let late = START + PERIOD + Duration::from_millis(40);
        let tick = pacer.next(late);
        assert_eq!((tick.due, tick.late_by, tick.skipped), (late, Duration::from_millis(40), 0));
        assert_eq!(pacer.next(late).due, late + PERIOD);
    }

    #[test]
    fn skip_keeps_the_grid_and_never_bursts() {
        let mut pacer = Pacer::new(START, PERIOD, OnOverrun::Skip);
        pacer.next(START);
        let late = START + PERIOD * 4 + Duration::from_millis(1);
        let tick = pacer.next(late);
        assert_eq!((tick.index, tick.due, tick.skipped), (1, late, 3));
        let next = pacer.next(late);
        assert_eq!((next.due, next.late_by, next.skipped), (START + PERIOD * 5, Duration::ZERO, 0));
    }

    #[test]
    fn unpaced_ticks_are_due_at_once_and_never_late() {
        let mut pacer = Pacer::new(START, Duration::ZERO, OnOverrun::Skip);
        let now = START + Duration::from_secs(9);
        assert_eq!(pacer.next(now), Tick { index: 0, due: now, late_by: Duration::ZERO, skipped: 0 });
    }
}
