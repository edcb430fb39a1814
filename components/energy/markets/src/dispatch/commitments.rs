//! What has been promised to markets: [`Commitments`] keeps power by market and time.

use super::plan::Plan;
use std::collections::BTreeMap;

const DAY_MS: i64 = 24 * 3_600_000;

/// Promised power by market, then by the beginning of its interval; with the end of the interval.
#[derive(Debug, Default)]
pub(super) struct Commitments {
    markets: BTreeMap<String, BTreeMap<i64, (i64, f64)>>,
    /// Days that are promised, by their beginning.
    begun: bool,
}

impl Commitments {
    /// What is promised for the time from `from` to `to`, averaged; nothing where not all of it is.
    pub(super) fn kw(&self, market: &str, from: i64, to: i64) -> Option<f64> {
        let promised = self.markets.get(market)?;
        let (mut at, mut sum) = (from, 0.0);
        while at < to {
            let (_, (end, kw)) = promised.range(..=at).next_back()?;
            if *end <= at {
                return None;
            }
            let until = (*end).min(to);
            sum += kw * (until - at) as f64;
            at = until;
        }
        Some(sum / (to - from) as f64)
    }

    /// The time that becomes a promise in the epoch from `start_ms` to `end_ms` with the plan of that epoch: on the
    /// first one the rest of the day, or all until the end of the next day once `time_ms` of the day has passed; then
    /// the next day in the epoch in which that time comes.
    pub(super) fn due(&mut self, start_ms: i64, end_ms: i64, time_ms: i64) -> Option<(i64, i64)> {
        let day = start_ms.div_euclid(DAY_MS) * DAY_MS;
        if !std::mem::replace(&mut self.begun, true) {
            let days = if start_ms < day + time_ms { 1 } else { 2 };
            return Some((start_ms, day + days * DAY_MS));
        }
        let days = [day, day + DAY_MS];
        let comes = days.into_iter().find(|day| (start_ms..end_ms).contains(&(day + time_ms)))?;
        Some((comes + DAY_MS, comes + 2 * DAY_MS))
    }

    /// Promises what `plan`, which begins at `start_ms`, says for the time from `from` to `to`. What was promised
    /// before stays.
    pub(super) fn promise(&mut self, plan: &Plan, start_ms: i64, step_ms: i64, (from, to): (i64, i64)) {
        for market in &plan.markets {
            let promised = self.markets.entry(market.name.clone()).or_default();
            let mut begin = start_ms;
            for kw in &market.power_kw {
                let end = begin.saturating_add(step_ms);
                if begin >= from && end <= to {
                    promised.entry(begin).or_insert((end, *kw));
                }
                begin = end;
            }
        }
    }

    /// Forgets what is over at `now_ms`.
    pub(super) fn forget(&mut self, now_ms: i64) {
        for promised in self.markets.values_mut() {
            promised.retain(|_, (end, _)| *end > now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::MarketPlan;
    use super::*;

    const H: i64 = 3_600_000;

    fn plan(power_kw: &[f64]) -> Plan {
        let market = MarketPlan {
            name: "spot".into(),
            power_kw: power_kw.to_vec(),
            cost_eur: vec![0.0; power_kw.len()],
        };
        Plan {
            step_h: 1.0,
            storages: Vec::new(),
            markets: vec![market],
            market_eur: 0.0,
            cost_eur: 0.0,
            shortfalls: Vec::new(),
            binaries: 0,
            cut_short: false,
        }
    }

    #[test]
    fn the_first_epoch_promises_the_rest_of_its_day_or_also_the_next_day() {
        let twelve = 12 * H;
        assert_eq!(Commitments::default().due(6 * H, 7 * H, twelve), Some((6 * H, 24 * H)));
        assert_eq!(Commitments::default().due(12 * H, 13 * H, twelve), Some((12 * H, 48 * H)));
    }

    #[test]
    fn later_the_next_day_is_promised_in_the_epoch_in_which_the_time_comes() {
        let mut commitments = Commitments::default();
        commitments.due(6 * H, 7 * H, 12 * H);
        assert_eq!(commitments.due(11 * H, 12 * H, 12 * H), None);
        assert_eq!(commitments.due(12 * H, 13 * H, 12 * H), Some((24 * H, 48 * H)));
        assert_eq!(commitments.due(23 * H, 26 * H, H), Some((48 * H, 72 * H)), "over midnight");
    }

    #[test]
    fn promises_belong_to_times_whatever_the_length_of_an_epoch_is() {
        let mut commitments = Commitments::default();
        commitments.promise(&plan(&[1.0, 3.0, 5.0]), 0, H, (0, 2 * H));
        assert_eq!(commitments.kw("spot", H, 2 * H), Some(3.0));
        assert_eq!(commitments.kw("spot", 0, 2 * H), Some(2.0));
        assert_eq!(commitments.kw("spot", H / 2, H + H / 2), Some(2.0));
        assert_eq!(commitments.kw("spot", H, 3 * H), None, "only a part of it is promised");
        assert_eq!(commitments.kw("other", 0, H), None);
    }

    #[test]
    fn a_promise_is_not_changed_by_a_later_plan_and_ends_with_its_time() {
        let mut commitments = Commitments::default();
        commitments.promise(&plan(&[1.0, 3.0]), 0, H, (0, 2 * H));
        commitments.promise(&plan(&[9.0, 9.0]), 0, H, (0, 2 * H));
        assert_eq!(commitments.kw("spot", 0, H), Some(1.0));
        commitments.forget(H);
        assert_eq!((commitments.kw("spot", 0, H), commitments.kw("spot", H, 2 * H)), (None, Some(3.0)));
    }
}
