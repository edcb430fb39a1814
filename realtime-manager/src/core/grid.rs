//! The grid of epoch instants under the manager: where it begins, how it goes on after an overrun, a stall or another
//! process, and what the Epoch messages say of it.

use super::{Action, ManagerCore, Present};
use crate::progress::Note;
use crate::settings::{Overrun, Speed, StartAt};
use gridloop_clock::{Anchor, MonoTime, Pacer, Utc};
use gridloop_messages::EpochPacing;
use std::time::Duration;

/// The system's UTC and the labels of the run differ by more than this only if it was set.
const STEPPED: Duration = Duration::from_millis(1);

impl ManagerCore {
    /// The grid begins with epoch 1. The UTC instant, if one is asked for, is looked up once; from then on the
    /// monotonic clock alone counts.
    pub(super) fn lay_grid(&mut self, present: Present, out: &mut Vec<Action>) {
        if (present.utc - self.label(present)).abs()
            > chrono::TimeDelta::from_std(STEPPED).unwrap_or_default()
        {
            // UTC was set while the run was beginning; no epoch has a label yet.
            self.anchor = Anchor { at: present.now, utc: present.utc };
        }
        let lead = self.settings.release_lead;
        if let Some(start) = self.old_grid(present) {
            self.grid =
                Some(Pacer::new(start, self.period.unwrap_or_default(), self.settings.overrun.on_grid()));
            if start.before(lead) > present.now {
                self.awaited = Some(start.before(lead));
                out.extend(self.awaited.map(Action::WaitFor));
            } else {
                self.overran = true;
            }
            return;
        }
        let wait = match self.settings.start_at {
            StartAt::Now => Duration::ZERO,
            StartAt::In(wait) => wait,
            // The next instant that leaves room for the lead.
            StartAt::Aligned(to) => lead + until_multiple(present.utc + lead, to),
            StartAt::At(time) => {
                let wait = time.as_datetime() - present.utc;
                if let Ok(by) = (-wait).to_std()
                    && !by.is_zero()
                {
                    out.push(Action::Note(Note::StartMissed { by }));
                }
                let wait = wait.to_std().unwrap_or_default();
                if !wait.is_zero() && wait < lead {
                    out.push(Action::Note(Note::StartMissed { by: lead - wait }));
                }
                wait
            }
        };
        // The message goes out at once, or when the wait is over; the epoch itself begins by the lead later, unless the
        // time asked for leaves room for the lead before it.
        let release = present.now + wait.saturating_sub(lead);
        let start = release + lead;
        self.grid = Some(Pacer::new(start, self.period.unwrap_or_default(), self.settings.overrun.on_grid()));
        if release > present.now {
            self.awaited = Some(release);
            out.push(Action::WaitFor(release));
        }
    }

    /// Where the grid of a run that broke off goes on: on its own instants, but for the policy that lets time wait.
    /// Nothing is caught up unless the policy says so.
    fn old_grid(&mut self, present: Present) -> Option<MonoTime> {
        let resumption = self.resumption.as_ref()?;
        let (last, period) = (resumption.last_nominal?, self.period?);
        let next = if resumption.pending.is_some() { last } else { last + period };
        match self.settings.overrun {
            Overrun::Stretch => None,
            Overrun::CatchUp(_) => Some(next),
            Overrun::Skip | Overrun::Abort => {
                let behind = (present.now + self.settings.release_lead).since(next).as_nanos();
                let passed = u64::try_from(behind.div_ceil(period.as_nanos().max(1))).unwrap_or(u64::MAX);
                self.passed_over = passed;
                Some(next + period.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX)))
            }
        }
    }

    /// The grid instant at which the next epoch begins, none when unpaced, and the periods passed over before it.
    ///
    /// That the manager wakes some microseconds late must not move the grid, so the instant itself counts as the
    /// present; unless time was stretched for components, or the manager was stalled for a period and more.
    pub(super) fn take_tick(&mut self, now: MonoTime) -> (Option<MonoTime>, u64) {
        let (Some(grid), Some(period)) = (&mut self.grid, self.period) else { return (None, 0) };
        let upcoming = grid.upcoming();
        let now = now + self.settings.release_lead;
        let moved = self.overran || now.since(upcoming) >= period;
        let tick = grid.next(if moved { now } else { upcoming });
        // The lateness of a stall is the manager's own; that of an overrun has been put down to the components. An epoch
        // that catches up is late all the same.
        let nominal = if self.overran { tick.nominal } else { upcoming };
        (Some(nominal), tick.skipped)
    }

    /// When answers to the present epoch must be there: when the next one is published. Taken from the grid as it lies
    /// after the present epoch's tick.
    pub(super) fn end_of_epoch(&self, nominal: Option<MonoTime>) -> Option<MonoTime> {
        let upcoming = nominal.and(self.grid.as_ref().map(Pacer::upcoming))?;
        Some(upcoming.before(self.settings.release_lead))
    }

    /// What an Epoch message says of wall-clock time.
    pub(super) fn pacing(&self, nominal: MonoTime) -> Option<EpochPacing> {
        let (Speed::Times(speed), Some(period)) = (self.settings.speed, self.period) else { return None };
        let deadline = (nominal + period).before(self.settings.release_lead);
        let time = |instant| self.anchor.utc_of(instant).into();
        Some(EpochPacing { nominal_start: time(nominal), deadline: time(deadline), speed })
    }
}

/// Time from `utc` to the next multiple of `to`, counted from 1970; none if `utc` is one.
fn until_multiple(utc: Utc, to: Duration) -> Duration {
    let to = i128::try_from(to.as_nanos()).unwrap_or(i128::MAX).max(1);
    let nanos = i128::from(utc.timestamp()) * 1_000_000_000 + i128::from(utc.timestamp_subsec_nanos());
    let wait = (-nanos).rem_euclid(to);
    Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
}
