//! Which networks say that their values may not be right, as people are told it: [`NetworkDoubts`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the devices of a run hear of the networks that they follow. A network doubts all its results together; the log has
/// one line when that begins and one when it is over, however many devices hear it of however many phases. Clones share
/// it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetworkDoubts {
    /// By grid, the newest epoch with a doubt.
    doubted: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// A network begins to doubt its values.
    Begins,
    /// A whole epoch was without a doubt.
    Ends,
}

impl NetworkDoubts {
    /// A grid said something of an epoch, with a warning that this may not be right or without one.
    pub(crate) fn hears(&self, grid: &str, epoch: u64, doubt: Option<&str>) {
        match (self.change(grid, epoch, doubt.is_some()), doubt) {
            (Some(Change::Begins), Some(why)) => {
                tracing::warn!(grid, epoch, "the network says that its values may not be right: {why}");
            }
            (Some(Change::Ends), _) => tracing::info!(grid, epoch, "the network no longer doubts its values"),
            _ => {}
        }
    }

    fn change(&self, grid: &str, epoch: u64, doubted: bool) -> Option<Change> {
        let mut all = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = all.get(grid).copied();
        if doubted {
            all.insert(grid.to_owned(), newest.unwrap_or(epoch).max(epoch));
            return newest.is_none().then_some(Change::Begins);
        }
        // Devices do not hear an epoch at the same time: one may be at its end yet.
        newest.filter(|newest| epoch > newest.saturating_add(1))?;
        all.remove(grid);
        Some(Change::Ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_is_told_once_when_it_begins_and_once_when_it_is_over() {
        let doubts = NetworkDoubts::default();
        let of_another_device = doubts.clone();
        assert_eq!(doubts.change("grid", 5, false), None);
        assert_eq!(doubts.change("grid", 6, true), Some(Change::Begins));
        assert_eq!(of_another_device.change("grid", 6, true), None);
        assert_eq!(of_another_device.change("grid", 7, true), None);
        assert_eq!(doubts.change("north", 7, true), Some(Change::Begins), "each network for itself");
        assert_eq!(doubts.change("grid", 8, false), None, "another device may be at epoch 7 yet");
        assert_eq!(of_another_device.change("grid", 7, true), None);
        assert_eq!(doubts.change("grid", 9, false), Some(Change::Ends));
        assert_eq!(of_another_device.change("grid", 9, false), None);
        assert_eq!(doubts.change("grid", 10, true), Some(Change::Begins));
    }
}
