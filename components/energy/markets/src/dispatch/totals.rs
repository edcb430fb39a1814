//! What the plans of a run come to: [`Totals`].

use super::plan::Plan;
use super::profile::ms;
use gridloop_component::OpenEpoch;
use gridloop_messages::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Sums over the epochs of a run, for its report. Each plan is counted for its own epoch.
#[derive(Debug, Default)]
pub(super) struct Totals {
    cost_eur: f64,
    bought_kwh: f64,
    sold_kwh: f64,
    pub(super) planned: u64,
    pub(super) relaxed: u64,
    pub(super) shortened: u64,
    pub(super) repeated: u64,
    pub(super) storages_late: u64,
    pub(super) with_binaries: u64,
    pub(super) cut_short: u64,
}

impl Totals {
    /// Counts the part of `plan` that lies in the epoch. It begins at `start` and has steps of that length.
    pub(super) fn count(&mut self, epoch: &OpenEpoch, (start, step): (Timestamp, Duration), plan: &Plan) {
        let (from, to) = (ms(epoch.start_time), ms(epoch.end_time));
        let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        for market in &plan.markets {
            let mut begin = ms(start);
            for (kw, eur) in market.power_kw.iter().zip(&market.cost_eur) {
                let end = begin.saturating_add(step_ms);
                let overlap = (end.min(to) - begin.max(from)).max(0) as f64 / step_ms as f64;
                let kwh = kw * plan.step_h * overlap;
                self.cost_eur += eur * overlap;
                self.bought_kwh += kwh.max(0.0);
                self.sold_kwh += (-kwh).max(0.0);
                begin = end;
            }
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
