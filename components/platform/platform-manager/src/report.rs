//! `report.json`: [`RunReport`].

use crate::output::write_whole;
use crate::parts::Findings;
use crate::verdict::{Deadlines, Verdict};
use anyhow::Context as _;
use gridloop_bus::Statistics;
use gridloop_gateway::DeviceReport;
use gridloop_logging::LogCounts;
use gridloop_realtime_manager::{Outcome, Report};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything a run leaves to be trusted by.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The version that made it.
    pub gridloop: &'static str,
    /// The run's id.
    pub simulation_id: String,
    /// The run's name.
    pub name: String,
    /// What was changed in the configuration for this run, `KEY.PATH=VALUE`.
    pub overrides: Vec<String>,
    /// When it began, wall-clock UTC.
    pub started_at: String,
    /// When it ended, wall-clock UTC.
    pub ended_at: String,
    /// Whether its deadlines were kept.
    pub verdict: Verdict,
    /// Outcome, reason, epochs and pacing.
    #[serde(flatten)]
    pub manager: Report,
    /// What components found out, by their names: each an object that says its `kind`.
    #[serde(skip_serializing_if = "Findings::is_empty")]
    pub components: Findings,
    /// The devices, in the order of the configuration.
    pub devices: Vec<DeviceReport>,
    /// Setpoints for resources that nobody in this process has: topic and count.
    pub setpoints_for_nobody: BTreeMap<String, u64>,
    /// What was stored.
    pub log: LogCounts,
    /// How the bus was.
    pub bus: BusReport,
}

/// How the bus was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BusReport {
    /// Where it was, without the password.
    pub url: String,
    /// Messages that reached nobody.
    pub returned: u64,
    /// Messages sent again after a loss or a return.
    pub resent: u64,
    /// Times the broker was lost and found again.
    pub reconnects: u64,
    /// Times it took no messages for a while because it was short of memory or disk.
    pub blocks: u64,
}

impl BusReport {
    pub(crate) fn new(url: String, statistics: &Statistics) -> Self {
        let Statistics { returned, resent, reconnects, blocks, .. } = *statistics;
        Self { url, returned, resent, reconnects, blocks }
    }
}

impl RunReport {
    /// Whether an epoch was late, periods were passed over, or the run broke off.
    #[must_use]
    pub fn missed_deadlines(&self) -> bool {
        self.verdict.deadlines == Deadlines::NotMet
    }

    /// Whether the run did not fail, nothing of its log was lost and every device was left as it should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let left = self.devices.iter().all(|device| !device.left.starts_with("unknown"));
        self.manager.outcome != Outcome::Failed && left && self.log.shed == 0 && self.log.error.is_none()
    }

    /// Writes it as JSON, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write_whole(path, &(text + "\n"))
            .with_context(|| format!("cannot write the report {}", path.display()))
    }
}
