//! What the plans of a run come to: [`Totals`].

use super::horizon::Horizon;
use super::plan::Plan;
use super::problem::Problem;
use super::profile::ms;
use gridloop_component::OpenEpoch;
use serde_json::{Value, json};

/// Sums over the epochs of a run, for its report. Each plan is counted for its own epoch.
#[derive(Debug, Default)]
pub(super) struct Totals {
    cost_eur: f64,
    bought_kwh: f64,
    sold_kwh: f64,
    pub(super) planned: u64,
    pub(super) relaxed: u64,
    /// Plans that do not keep all that was promised to a flexibility market.
    pub(super) promises_missed: u64,
    /// What they do not deliver in their epochs.
    pub(super) promises_missed_kwh: f64,
    pub(super) shortened: u64,
    pub(super) repeated: u64,
    pub(super) storages_late: u64,
    pub(super) with_binaries: u64,
    pub(super) cut_short: u64,
}

impl Totals {
    /// Counts the part of `plan` that lies in the epoch.
    pub(super) fn count(&mut self, epoch: &OpenEpoch, horizon: &Horizon, plan: &Plan) {
        let (from, to) = (ms(epoch.start_time), ms(epoch.end_time));
        for market in &plan.markets {
            let steps = market.power_kw.iter().zip(&market.cost_eur);
            for ((kw, eur), (begin, end)) in steps.zip(horizon.spans()) {
                let overlap_ms = (end.min(to) - begin.max(from)).max(0) as f64;
                let kwh = kw * overlap_ms / 3_600_000.0;
                self.cost_eur += eur * overlap_ms / (end - begin) as f64;
                self.bought_kwh += kwh.max(0.0);
                self.sold_kwh += (-kwh).max(0.0);
            }
        }
    }

    /// Counts a plan that does not keep all promises.
    pub(super) fn miss(&mut self, epoch: &OpenEpoch, horizon: &Horizon, problem: &Problem, plan: &Plan) {
        self.promises_missed += 1;
        let end = ms(epoch.end_time);
        for regulation in &problem.regulations {
            let spans = horizon.spans().skip(regulation.steps.start);
            let missing = spans.zip(regulation.missing_kw(plan));
            let kwh = missing.map(|((from, to), kw)| kw * (to.min(end) - from).max(0) as f64 / 3_600_000.0);
            self.promises_missed_kwh += kwh.sum::<f64>();
        }
    }

    /// For the report of the run.
    pub(super) fn findings(&self) -> Value {
        json!({
            "kind": "economic-dispatch",
            "cost_eur": self.cost_eur,
            "bought_kwh": self.bought_kwh,
            "sold_kwh": self.sold_kwh,
            "epochs_planned": self.planned,
            "epochs_relaxed": self.relaxed,
            "epochs_shortened": self.shortened,
            "epochs_by_last_plan": self.repeated,
            "epochs_without_all_storages": self.storages_late,
            "epochs_with_binaries": self.with_binaries,
            "epochs_cut_short": self.cut_short,
        })
    }
}
