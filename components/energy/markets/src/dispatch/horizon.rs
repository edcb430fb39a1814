//! When the steps of a plan begin and end: a [`Horizon`].

use gridloop_messages::Timestamp;

/// Steps that follow each other. Whole ones are all of one length; some are cut, or begin with the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Horizon {
    /// Beginning of each step and the end of the last, ascending, in ms since 1970. Never empty.
    edges_ms: Vec<i64>,
    /// Length of a whole step.
    step_ms: i64,
}

impl Horizon {
    /// `count` whole steps from `start_ms` on.
    pub(super) fn even(start_ms: i64, step_ms: i64, count: usize) -> Self {
        let mut edges_ms = vec![start_ms];
        for _ in 0..count {
            let Some(next) = edges_ms[edges_ms.len() - 1].checked_add(step_ms) else { break };
            edges_ms.push(next);
        }
        Self { edges_ms, step_ms }
    }

    pub(super) fn len(&self) -> usize {
        self.edges_ms.len() - 1
    }

    pub(super) fn start_ms(&self) -> i64 {
        self.edges_ms[0]
    }

    pub(super) fn end_ms(&self) -> i64 {
        self.edges_ms[self.len()]
    }

    /// Beginning and end of each step.
    pub(super) fn spans(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.edges_ms.windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// Length of a whole step, in h.
    pub(super) fn step_h(&self) -> f64 {
        self.step_ms as f64 / 3_600_000.0
    }

    /// How much of a whole step each is.
    pub(super) fn parts(&self) -> Vec<f64> {
        self.spans().map(|(from, to)| (to - from) as f64 / self.step_ms as f64).collect()
    }

    /// When each step begins.
    pub(super) fn times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let time = |(from, _)| chrono::DateTime::from_timestamp_millis(from).map(Timestamp::from);
        self.spans().filter_map(time)
    }

    /// What begins before `until_ms` is one step until then: in an epoch, units have one power.
    pub(super) fn join_until(&mut self, until_ms: i64) {
        if self.edges_ms.iter().skip(1).any(|edge| *edge < until_ms) && until_ms <= self.end_ms() {
            let start = self.start_ms();
            self.edges_ms.retain(|edge| *edge > until_ms);
            self.edges_ms.splice(0..0, [start, until_ms]);
        }
    }

    /// A step begins at `at_ms`. Says which step was cut for that, and where, as a share of it; nothing if none was.
    pub(super) fn cut(&mut self, at_ms: i64) -> Option<(usize, f64)> {
        let step = self.spans().position(|(from, to)| from < at_ms && at_ms < to)?;
        let (from, to) = (self.edges_ms[step], self.edges_ms[step + 1]);
        self.edges_ms.insert(step + 1, at_ms);
        Some((step, (at_ms - from) as f64 / (to - from) as f64))
    }

    /// The first `count` steps.
    pub(super) fn truncate(&mut self, count: usize) {
        self.edges_ms.truncate(count + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(horizon: &Horizon) -> Vec<(i64, i64)> {
        horizon.spans().collect()
    }

    #[test]
    fn a_step_is_cut_where_another_is_to_begin_and_nowhere_else() {
        let mut horizon = Horizon::even(100, 40, 2);
        assert_eq!(horizon.cut(110), Some((0, 0.25)));
        assert_eq!(spans(&horizon), [(100, 110), (110, 140), (140, 180)]);
        assert_eq!(horizon.parts(), [0.25, 0.75, 1.0]);
        for edge in [90, 100, 110, 140, 180, 200] {
            assert_eq!(horizon.cut(edge), None, "{edge}");
        }
        horizon.truncate(2);
        assert_eq!((horizon.len(), horizon.end_ms()), (2, 140));
    }

    #[test]
    fn an_epoch_that_is_longer_than_a_step_is_one_step() {
        let joined = |until| {
            let mut horizon = Horizon::even(0, 10, 4);
            horizon.join_until(until);
            spans(&horizon)
        };
        assert_eq!(joined(15), [(0, 15), (15, 20), (20, 30), (30, 40)]);
        assert_eq!(joined(20), [(0, 20), (20, 30), (30, 40)]);
        assert_eq!(joined(40), [(0, 40)]);
        for shorter in [5, 10] {
            assert_eq!(joined(shorter), [(0, 10), (10, 20), (20, 30), (30, 40)], "{shorter}");
        }
    }
}
