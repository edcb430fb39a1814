//! `report.json`: [`RunReport`].

use anyhow::Context as _;
use gridloop_bus::Statistics;
use gridloop_gateway::DeviceReport;
use gridloop_logging::LogCounts;
use gridloop_realtime_manager::{Outcome, Report};
use serde::Serialize;
use std::path::Path;

/// Everything a run leaves to be trusted by. Field names are explained in docs/report.md.
#[derive(Debug, Serialize)]
pub(crate) struct RunReport {
    pub(crate) gridloop: &'static str,
    pub(crate) simulation_id: String,
    pub(crate) name: String,
    /// When the run began and ended, wall-clock UTC.
    pub(crate) started_at: String,
    pub(crate) ended_at: String,
    #[serde(flatten)]
    pub(crate) manager: Report,
    pub(crate) devices: Vec<DeviceReport>,
    /// Setpoints for resources that nobody in this process has: topic and count.
    pub(crate) setpoints_for_nobody: std::collections::BTreeMap<String, u64>,
    pub(crate) log: LogCounts,
    pub(crate) bus: BusReport,
}

/// How the bus was (`bus`).
#[derive(Debug, Serialize)]
pub(crate) struct BusReport {
    pub(crate) url: String,
    pub(crate) published: u64,
    pub(crate) confirmed: u64,
    pub(crate) returned: u64,
    pub(crate) resent: u64,
    pub(crate) reconnects: u64,
}

impl BusReport {
    pub(crate) fn new(url: String, statistics: &Statistics) -> Self {
        Self {
            url,
            published: statistics.published,
            confirmed: statistics.confirmed,
            returned: statistics.returned,
            resent: statistics.resent,
            reconnects: statistics.reconnects,
        }
    }
}

impl RunReport {
    /// Whether an epoch was late or passed over, or the run did not get to its end.
    pub(crate) fn missed_deadlines(&self) -> bool {
        self.manager.epochs.late > 0 || self.manager.epochs.skipped > 0
    }

    /// Whether the run reached its end and nothing of it was lost, and every device was left as it should be.
    pub(crate) fn is_sound(&self) -> bool {
        let left = self.devices.iter().all(|device| !device.left.starts_with("unknown"));
        self.manager.outcome != Outcome::Failed && left && self.log.shed == 0 && self.log.error.is_none()
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write the report {}", path.display()))
    }
}
