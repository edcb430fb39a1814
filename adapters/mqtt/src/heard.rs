//! What has been heard of a device of the `gridloop` profile: [`Heard`], a state machine without I/O.
//!
//! It takes messages as they come, late, twice, out of order, retained from another day or senseless, and keeps of them
//! what is the device's present word. A reading counts once: its number must be higher than every earlier one of the
//! same connection of the device. It is as old as it is late: how much later than its own date it arrived than the
//! promptest one did. What was retained has no known age, and is never good.

use crate::wire::{About, Ack, Flaw, Part, Presence, Status, Telemetry};
use gridloop_clock::MonoTime;
use gridloop_device::{Quality, Snapshot};
use std::collections::VecDeque;
use std::time::Duration;

/// How fast a device's clock may run away from ours, in parts of the time passed: ten times what quartz does.
const DRIFT_PER_MILLION: i128 = 1000;

/// A reading, and when it was taken by our own clock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken {
    pub(crate) telemetry: Telemetry,
    pub(crate) arrived_at: MonoTime,
    /// Not later than `arrived_at`.
    pub(crate) sampled_at: MonoTime,
    /// The broker had kept it; nobody knows for how long.
    pub(crate) retained: bool,
}

impl Taken {
    /// Its values, dated as given.
    pub(crate) fn snapshot(&self, sampled_at: MonoTime) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (name, value, unit, quality) in &self.telemetry.points {
            let quality = if self.retained { (*quality).max(Quality::Stale) } else { *quality };
            snapshot.put_as(name, *value, *unit, quality, sampled_at);
        }
        snapshot
    }
}

/// The promptest arrival so far: the least difference between our monotonic clock and the device's date.
#[derive(Debug, Clone, Copy)]
struct Promptest {
    offset_ns: i128,
    at: MonoTime,
}

/// The present word of a device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    about: Option<About>,
    status: Option<Status>,
    taken: Option<Taken>,
    /// The requests of this connection of the device that a reading has answered, the latest last.
    answered: VecDeque<String>,
    acks: Vec<Ack>,
    promptest: Option<Promptest>,
    last_flaw: Option<Flaw>,
}

/// Acknowledgements that are kept until somebody asks for them.
const MOST_ACKS: usize = 8;
/// Requests that are remembered as answered.
const MOST_ANSWERED: usize = 8;

impl Heard {
    /// Takes a message.
    pub(crate) fn take(&mut self, part: Part, payload: &[u8], retained: bool, now: MonoTime) {
        let taken = match part {
            Part::About => About::parse(payload).map(|about| self.about = Some(about)),
            Part::Status => Status::parse(payload).map(|status| self.take_status(status)),
            Part::Telemetry => Telemetry::parse(payload).map(|it| self.take_telemetry(it, retained, now)),
            Part::Ack if retained => Ok(()),
            Part::Ack => Ack::parse(payload).map(|ack| self.take_ack(ack)),
            Part::Command => Ok(()),
        };
        if let Err(flaw) = taken {
            self.last_flaw = Some(flaw);
        }
    }

    /// The nameplate, as it was said last.
    pub(crate) fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    /// Whether the device says that it is there; `None` when it has said nothing.
    pub(crate) fn online(&self) -> Option<bool> {
        self.status.as_ref().map(|status| status.status == Presence::Online)
    }

    /// The newest reading.
    pub(crate) fn taken(&self) -> Option<&Taken> {
        self.taken.as_ref()
    }

    /// The newest reading, once one has answered this request: it is that one, or one that the device took after it.
    pub(crate) fn answer_to(&self, request: &str) -> Option<&Taken> {
        self.taken().filter(|_| self.answered.iter().any(|answered| answered == request))
    }

    /// The acknowledgement of a command, once.
    pub(crate) fn acknowledged(&mut self, id: &str) -> Option<Ack> {
        let place = self.acks.iter().position(|ack| ack.id == id)?;
        Some(self.acks.remove(place))
    }

    /// What was wrong with a message since this was asked last.
    pub(crate) fn flaw(&mut self) -> Option<Flaw> {
        self.last_flaw.take()
    }

    /// A will of an earlier connection may come late; it says nothing of the present one.
    fn take_status(&mut self, status: Status) {
        let same = self.status.as_ref().is_some_and(|known| known.session == status.session);
        if status.status == Presence::Offline && self.status.is_some() && !same {
            return;
        }
        if !same {
            self.taken = None;
            self.answered.clear();
            self.acks.clear();
            self.promptest = None;
        }
        self.status = Some(status);
    }

    fn take_telemetry(&mut self, telemetry: Telemetry, retained: bool, now: MonoTime) {
        let present = self
            .status
            .as_ref()
            .is_some_and(|status| status.status == Presence::Online && status.session == telemetry.session);
        let newer = self.taken.as_ref().is_none_or(|known| telemetry.seq > known.telemetry.seq);
        if !present || !newer {
            return;
        }
        if let Some(request) = telemetry.request.clone().filter(|_| !retained) {
            if self.answered.len() >= MOST_ANSWERED {
                self.answered.pop_front();
            }
            self.answered.push_back(request);
        }
        let late = if retained { Duration::ZERO } else { self.lateness(&telemetry, now) };
        self.taken = Some(Taken { telemetry, arrived_at: now, sampled_at: now.before(late), retained });
    }

    /// How much longer this reading took to get here than the promptest did. The two clocks need not agree, only go
    /// equally fast; a device's clock that was put back begins anew.
    fn lateness(&mut self, telemetry: &Telemetry, now: MonoTime) -> Duration {
        let dated_ns = i128::from(telemetry.ts.timestamp()) * 1_000_000_000
            + i128::from(telemetry.ts.timestamp_subsec_nanos());
        let offset_ns = i128::from(now.as_nanos()) - dated_ns;
        let put_back = self.taken.as_ref().is_some_and(|known| telemetry.ts < known.telemetry.ts);
        let least_ns = match self.promptest {
            Some(Promptest { offset_ns: least_ns, at }) if !put_back => {
                let passed_ns = i128::from(now.nanos_since(at));
                least_ns + passed_ns * DRIFT_PER_MILLION / 1_000_000
            }
            _ => offset_ns,
        };
        if offset_ns <= least_ns {
            self.promptest = Some(Promptest { offset_ns, at: now });
            return Duration::ZERO;
        }
        Duration::from_nanos(u64::try_from(offset_ns - least_ns).unwrap_or(u64::MAX))
    }

    fn take_ack(&mut self, ack: Ack) {
        if self.acks.len() >= MOST_ACKS {
            self.acks.remove(0);
        }
        self.acks.push(ack);
    }
}

#[cfg(test)]
mod tests;
