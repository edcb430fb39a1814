//! How much power all devices of a gateway may have together: [`Total`], shared by their bridges.
//!
//! A device counts with what it was told, and with what it does while it is told nothing. A command has to leave the
//! sum inside; what the others do afterwards of their own is not known then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The limits of the sum of the real powers in W, positive towards the grid. Absent: none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TotalLimits {
    /// Lowest.
    pub min_real_power_w: Option<f64>,
    /// Highest.
    pub max_real_power_w: Option<f64>,
}

/// What all devices have together. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Total {
    limits: TotalLimits,
    shares_w: Arc<Mutex<BTreeMap<String, f64>>>,
}

impl Total {
    pub(crate) fn new(limits: TotalLimits) -> Self {
        Self { limits, shares_w: Arc::default() }
    }

    /// What a device has at present.
    pub(crate) fn put(&self, device: &str, real_power_w: f64) {
        self.shares().insert(device.to_owned(), real_power_w);
    }

    /// Decides about a command of `device`, to whose real power the others leave this room, lowest and highest in W. What
    /// `decide` gives beside its decision is what the device has from then on. Two devices never decide at the same time.
    pub(crate) fn decide<T>(&self, device: &str, decide: impl FnOnce((f64, f64)) -> (T, Option<f64>)) -> T {
        let mut shares = self.shares();
        let others: f64 = shares.iter().filter(|(name, _)| *name != device).map(|(_, share)| share).sum();
        let TotalLimits { min_real_power_w, max_real_power_w } = self.limits;
        let lowest = min_real_power_w.map_or(f64::NEG_INFINITY, |limit| limit - others);
        let highest = max_real_power_w.map_or(f64::INFINITY, |limit| limit - others);
        let (decision, share) = decide((lowest, highest));
        if let Some(share) = share {
            shares.insert(device.to_owned(), share);
        }
        decision
    }

    fn shares(&self) -> MutexGuard<'_, BTreeMap<String, f64>> {
        self.shares_w.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(total: &Total, device: &str) -> (f64, f64) {
        total.decide(device, |room| (room, None))
    }

    #[test]
    fn the_room_is_what_the_others_leave() {
        let limits = TotalLimits { min_real_power_w: Some(-2000.0), max_real_power_w: Some(10_000.0) };
        let total = Total::new(limits);
        assert_eq!(room(&total, "a"), (-2000.0, 10_000.0));
        total.decide("a", |_| ((), Some(6000.0)));
        total.clone().put("b", 3000.0);
        assert_eq!(room(&total, "a"), (-5000.0, 7000.0));
        assert_eq!(room(&total, "c"), (-11_000.0, 1000.0));
        assert_eq!(room(&Total::default(), "a"), (f64::NEG_INFINITY, f64::INFINITY));
    }
}
