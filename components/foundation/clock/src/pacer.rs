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
    /// The grid stays; ticks come at once, one after the other, until the grid is reached again. At most so many of
    /// them: what the delay is longer is passed over in whole periods.
    CatchUp(u32),
}

/// One instant of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Number of the tick, from 0 and without gaps.
    pub index: u64,
    /// The grid's own instant for this tick; with `Stretch`, after the grid has moved.
    pub nominal: MonoTime,
    /// The instant to start at. Never before `nominal`; the present when that one has passed.
    pub due: MonoTime,
    /// How long ago the grid's instant had passed when the tick was asked for, before anything was passed over.
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
            return Tick { index, nominal: now, due: now, late_by: Duration::ZERO, skipped: 0 };
        }
        let late_by = now.since(self.upcoming());
        let late_nanos = now.as_nanos().saturating_sub(self.upcoming().as_nanos());
        let whole_periods = late_nanos.div_euclid(self.period_nanos);
        let skipped = match self.on_overrun {
            OnOverrun::Stretch => {
                self.start = self.start + late_by;
                0
            }
            OnOverrun::Skip => whole_periods,
            // This tick is one of those that come faster, and each whole period of delay makes one more.
            OnOverrun::CatchUp(most) => (whole_periods + 1).saturating_sub(u64::from(most.max(1))),
        };
        let slot = self.next_slot + skipped;
        self.next_slot = slot + 1;
        let nominal = self.instant(slot);
        Tick { index, nominal, due: nominal.max(now), late_by, skipped }
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
    fn catching_up_runs_late_ticks_at_once_until_the_grid_is_reached_again() {
        let mut pacer = Pacer::new(START, PERIOD, OnOverrun::CatchUp(5));
        pacer.next(START);
        // Two and a half periods late: ticks 1, 2 and 3 come at once, tick 4 on the grid.
        let late = START + PERIOD * 3 + PERIOD / 2;
        let dues: Vec<_> = (0..4).map(|_| pacer.next(late)).map(|tick| (tick.due, tick.skipped)).collect();
        assert_eq!(dues, [(late, 0), (late, 0), (late, 0), (START + PERIOD * 4, 0)]);
    }

    #[test]
    fn no_more_than_the_bound_is_caught_up_and_the_rest_is_passed_over_in_whole_periods() {
        for bound in 1..=4 {
            let mut pacer = Pacer::new(START, PERIOD, OnOverrun::CatchUp(bound));
            pacer.next(START);
            let late = START + PERIOD * 7 + PERIOD / 2;
            let ticks: Vec<_> = (0..10).map(|_| pacer.next(late)).collect();
            let fast = ticks.iter().filter(|tick| tick.due == late).count();
            assert_eq!(u32::try_from(fast).unwrap(), bound);
            assert_eq!(ticks.iter().map(|tick| tick.skipped).sum::<u64>(), 7 - u64::from(bound));
            for tick in &ticks {
                let on_grid = tick.nominal.since(START).as_nanos() % PERIOD.as_nanos();
                assert_eq!(on_grid, 0, "the grid stays");
            }
        }
    }

    #[test]
    fn unpaced_ticks_are_due_at_once_and_never_late() {
        let mut pacer = Pacer::new(START, Duration::ZERO, OnOverrun::Skip);
        let now = START + Duration::from_secs(9);
        let expected = Tick { index: 0, nominal: now, due: now, late_by: Duration::ZERO, skipped: 0 };
        assert_eq!(pacer.next(now), expected);
    }
}
