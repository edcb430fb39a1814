//! What is watched of the machine during a run in wall-clock time: [`Watch`].

use crate::clocks::{ClockReport, ClockWatcher, stolen_ms};
use crate::pace::Pace;
use crate::rt::{Synchronisation, clock_synchronisation};
use gridloop_clock::Anchor;

/// What is watched of the machine during a run in wall-clock time.
pub(super) struct Watch {
    clocks: ClockWatcher,
    /// At the start.
    synchronisation: Option<Synchronisation>,
    /// Up to the start.
    stolen_ms: Option<u64>,
}

impl Watch {
    pub(super) fn start(pace: &Pace, anchor: Anchor) -> std::io::Result<Option<Self>> {
        let Pace::Thread(_) = pace else { return Ok(None) };
        let (synchronisation, stolen_ms) = (clock_synchronisation().ok(), stolen_ms());
        Ok(Some(Self { clocks: ClockWatcher::start(anchor)?, synchronisation, stolen_ms }))
    }

    /// Since the start.
    pub(super) fn stolen_ms(&self) -> Option<u64> {
        Some(stolen_ms()?.saturating_sub(self.stolen_ms?))
    }

    /// What the clocks did.
    pub(super) fn clocks(&self) -> ClockReport {
        self.clocks.report(self.synchronisation)
    }
}
