//! Whose turn it is on a link: [`Queue`], without I/O.
//!
//! Requests that write come before those that read; among either, units take turns. A unit that did not answer is left
//! alone for a while, during which its requests fail at once, and the first one afterwards is a probe. The time doubles
//! with every probe in vain. A link with one unit only knows no such rest: there is nobody to be spared, and the
//! device's task backs off by itself.

use gridloop_clock::MonoTime;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How many requests of one unit may wait. A driver has one at a time; others were abandoned by it.
const PER_UNIT: usize = 8;
/// The longest rest, unless a request in vain takes longer. A device that is to be released at the end of a run is
/// tried for longer than this, so that one that is back is found.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Requests that wait, and what is known of the units that they are for.
#[derive(Debug)]
pub(super) struct Queue<J> {
    units: BTreeMap<u8, Unit<J>>,
    /// The unit that was served last.
    served: u8,
    /// The units that waited when another was last asked in vain: they are served before the next probe.
    owed: BTreeSet<u8>,
}

#[derive(Debug)]
struct Unit<J> {
    writes: VecDeque<J>,
    reads: VecDeque<J>,
    rest: Option<Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: MonoTime,
    length: Duration,
}

/// Why a request may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwelcome {
    /// The unit did not answer, and is asked again after this time.
    Resting(Duration),
    /// Too many wait already.
    Full,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self { units: BTreeMap::new(), served: u8::MAX, owed: BTreeSet::new() }
    }
}

impl<J> Queue<J> {
    /// Takes a request in, or gives it back.
    pub(super) fn push(
        &mut self,
        unit: u8,
        writes: bool,
        job: J,
        now: MonoTime,
    ) -> Result<(), (J, Unwelcome)> {
        let shared = self.units.keys().any(|other| *other != unit);
        let unit = self.units.entry(unit).or_insert_with(|| Unit {
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            rest: None,
        });
        if let Some(rest) = unit.rest.filter(|rest| shared && now < rest.until) {
            return Err((job, Unwelcome::Resting(rest.until.since(now))));
        }
        if unit.writes.len() + unit.reads.len() >= PER_UNIT {
            return Err((job, Unwelcome::Full));
        }
        if writes {
            unit.writes.push_back(job)
        } else {
            unit.reads.push_back(job)
        }
        Ok(())
    }

    /// Drops the requests that wait and of which `keep` is not true.
    pub(super) fn retain(&mut self, keep: impl Fn(&J) -> bool) {
        for unit in self.units.values_mut() {
            unit.writes.retain(&keep);
            unit.reads.retain(&keep);
        }
    }

    /// The next request to be carried out.
    pub(super) fn pop(&mut self) -> Option<(u8, J)> {
        let after = self.units.range(self.served.saturating_add(1)..).filter(|_| self.served != u8::MAX);
        let order: Vec<u8> =
            after.chain(&self.units).filter(|(_, unit)| unit.waits()).map(|(number, _)| *number).collect();
        let owed: Vec<u8> = order.iter().copied().filter(|number| self.owed.contains(number)).collect();
        let pool = if owed.is_empty() { order } else { owed };
        let writes = |number: &&u8| self.units.get(number).is_some_and(|unit| !unit.writes.is_empty());
        let number = *pool.iter().find(writes).or(pool.first())?;
        self.owed.remove(&number);
        let unit = self.units.get_mut(&number)?;
        let job = unit.writes.pop_front().or_else(|| unit.reads.pop_front())?;
        self.served = number;
        Some((number, job))
    }

    /// Everything that waits.
    pub(super) fn drain(&mut self) -> Vec<J> {
        let units = self.units.values_mut();
        units.flat_map(|unit| unit.writes.drain(..).chain(unit.reads.drain(..)).collect::<Vec<_>>()).collect()
    }

    /// The unit has answered.
    pub(super) fn answered(&mut self, unit: u8) {
        if let Some(unit) = self.units.get_mut(&unit) {
            unit.rest = None;
        }
    }

    /// The unit was asked in vain, which took `cost`. Its requests that wait are given back where the link is shared.
    pub(super) fn in_vain(&mut self, unit: u8, cost: Duration, now: MonoTime) -> Vec<J> {
        let waiting =
            self.units.iter().filter(|(other, it)| **other != unit && it.rest.is_none() && it.waits());
        self.owed = waiting.map(|(other, _)| *other).collect();
        let shared = self.units.len() > 1;
        let Some(unit) = self.units.get_mut(&unit) else { return Vec::new() };
        let length = unit.rest.map_or(cost, |rest| (rest.length * 2).min(LONGEST_REST.max(cost)));
        unit.rest = Some(Rest { until: now + length, length });
        if !shared {
            return Vec::new();
        }
        unit.writes.drain(..).chain(unit.reads.drain(..)).collect()
    }

    /// How long the unit is left alone yet.
    pub(super) fn rest(&self, unit: u8, now: MonoTime) -> Duration {
        let rest = self.units.get(&unit).and_then(|unit| unit.rest);
        rest.map_or(Duration::ZERO, |rest| rest.until.since(now))
    }
}

impl<J> Unit<J> {
    fn waits(&self) -> bool {
        !(self.writes.is_empty() && self.reads.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_nanos(millis * 1_000_000)
    }

    fn popped(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop().map(|(_, job)| job)).collect()
    }

    #[test]
    fn units_take_turns_and_write_before_they_read() {
        let mut queue = Queue::default();
        for (unit, job) in [(1, "1 a"), (1, "1 b"), (2, "2 a"), (255, "255 a")] {
            queue.push(unit, false, job, at(0)).unwrap();
        }
        for (unit, job) in [(2, "2 w"), (1, "1 w")] {
            queue.push(unit, true, job, at(0)).unwrap();
        }
        assert_eq!(popped(&mut queue), ["1 w", "2 w", "255 a", "1 a", "2 a", "1 b"]);
    }

    #[test]
    fn a_unit_that_did_not_answer_rests_ever_longer_and_is_probed_in_between() {
        let mut queue = Queue::default();
        queue.push(2, false, "sibling", at(0)).unwrap();
        let mut now = at(0);
        for rest in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            queue.push(1, false, "probe", now).unwrap();
            assert!(queue.in_vain(1, COST, now).len() == 1 || rest == 100);
            let refused = queue.push(1, true, "early", now).unwrap_err();
            assert_eq!(refused.1, Unwelcome::Resting(Duration::from_millis(rest)));
            now = now + Duration::from_millis(rest);
        }
        queue.push(1, false, "probe", now).unwrap();
        queue.answered(1);
        queue.push(1, false, "again", now).unwrap();
    }

    #[test]
    fn the_only_unit_of_a_link_never_rests() {
        let mut queue = Queue::default();
        queue.push(1, false, "a", at(0)).unwrap();
        assert_eq!(queue.in_vain(1, COST, at(0)), [""; 0]);
        queue.push(1, false, "b", at(0)).unwrap();
        assert_eq!(popped(&mut queue), ["a", "b"]);
    }

    #[test]
    fn after_a_request_in_vain_those_who_waited_are_served_before_the_next_probe() {
        let mut queue = Queue::default();
        for unit in [1, 2, 3, 4] {
            queue.push(unit, false, "first", at(0)).unwrap();
        }
        queue.in_vain(2, COST, at(0));
        queue.push(2, false, "probe", at(1000)).unwrap();
        assert_eq!(queue.pop(), Some((1, "first")));
        queue.in_vain(1, COST, at(1000));
        queue.push(1, false, "probe", at(3000)).unwrap();
        for unit in [3, 4] {
            assert_eq!(queue.pop(), Some((unit, "first")), "units 1 and 2 have been in vain before");
            queue.answered(unit);
        }
        assert_eq!(queue.pop(), Some((1, "probe")));
        assert_eq!(queue.pop(), Some((2, "probe")));
    }

    #[test]
    fn what_a_driver_abandons_does_not_pile_up() {
        let mut queue = Queue::default();
        for _ in 0..PER_UNIT {
            queue.push(1, false, "abandoned", at(0)).unwrap();
        }
        assert_eq!(queue.push(1, true, "one more", at(0)), Err(("one more", Unwelcome::Full)));
        assert_eq!(queue.drain().len(), PER_UNIT);
    }
}
