//! Who is told what happens to a device, and how each of them says it: [`Told`].

use crate::journal::Journal;
use crate::measures::Measures;
use crate::safety::audit::{self, Audit};
use gridloop_clock::SharedClock;
use gridloop_device::{Command, Disarmed, Observer, Occurrence};
use serde_json::json;

/// Whoever is told what happens to a device: journal, measurements, audit log, and the log for people.
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) journal: Journal,
    pub(crate) measures: Measures,
    pub(crate) audit: Audit,
    pub(crate) clock: SharedClock,
}

impl Told {
    pub(crate) fn observer(self) -> Observer {
        Box::new(move |occurrence| {
            self.write_down(occurrence);
            self.journal.occurred(occurrence, self.clock.now());
            if let Occurrence::Applied { setpoint, first: true, .. } = occurrence {
                self.measures.setpoint_to_device.add(self.clock.now().since(setpoint.received_at));
            }
            self.log(occurrence);
        })
    }

    fn write_down(&self, occurrence: &Occurrence) {
        let held = |event, order: u64, readback: &Command| {
            (event, json!({ "order": order, "held": audit::command(readback) }))
        };
        let (event, details) = match occurrence {
            Occurrence::Connected(description) => {
                let standing = description.standing.as_ref().map(audit::command);
                ("connected", json!({ "identity": &description.identity, "standing": standing }))
            }
            Occurrence::LinkLost(why) => ("link-lost", json!({ "why": why })),
            Occurrence::Writing { setpoint, before } => (
                "writing",
                json!({ "order": setpoint.order, "command": audit::command(&setpoint.command),
                        "before": before.as_ref().map(audit::command) }),
            ),
            Occurrence::Applied { setpoint, readback, first: true } => held("held", setpoint.order, readback),
            Occurrence::Applied { setpoint, readback, first: false } => {
                held("refreshed", setpoint.order, readback)
            }
            Occurrence::Restored { setpoint, readback } => held("restored", setpoint.order, readback),
            Occurrence::WouldApply(setpoint) => {
                ("dry-run", json!({ "order": setpoint.order, "command": audit::command(&setpoint.command) }))
            }
            Occurrence::NotAccepted { setpoint, reason } => {
                ("refused", json!({ "order": setpoint.order, "why": reason.to_string() }))
            }
            Occurrence::Refused { setpoint, reason } => {
                ("refused", json!({ "order": setpoint.order, "why": reason }))
            }
            Occurrence::OutcomeUnknown(setpoint) => ("unknown", json!({ "order": setpoint.order })),
            Occurrence::DeadMan(setpoint) => ("dead-man", json!({ "order": setpoint.order })),
            Occurrence::Armed(until) => {
                let left = until.since(self.clock.now()).as_secs_f64();
                ("armed", json!({ "for_s": left.round() }))
            }
            Occurrence::Disarmed(Disarmed::LeaseExpired) => ("disarmed", json!({ "why": "its time was up" })),
            Occurrence::Disarmed(Disarmed::OnRequest) => ("disarmed", json!({ "why": "on request" })),
            Occurrence::Releasing => ("releasing", json!({})),
            Occurrence::Released => ("released", json!({})),
            Occurrence::ReleaseFailed(why) => ("release-failed", json!({ "why": why })),
        };
        self.audit.tell(&self.name, event, details);
    }

    fn log(&self, occurrence: &Occurrence) {
        let name = &self.name;
        match occurrence {
            Occurrence::Connected(description) => {
                tracing::info!(device = %name, identity = %description.identity, "connected");
            }
            Occurrence::LinkLost(reason) => tracing::warn!(device = %name, %reason, "link lost"),
            Occurrence::Applied { readback, first: true, .. } => {
                tracing::debug!(device = %name, ?readback, "applied and read back");
            }
            Occurrence::Writing { .. } | Occurrence::Applied { .. } | Occurrence::Releasing => {}
            Occurrence::Restored { .. } => {
                tracing::warn!(device = %name, "it no longer held its command; written again");
            }
            Occurrence::WouldApply(setpoint) => {
                tracing::info!(device = %name, command = ?setpoint.command, "dry run: would apply");
            }
            Occurrence::NotAccepted { reason, .. } => {
                tracing::warn!(device = %name, %reason, "setpoint refused")
            }
            Occurrence::Refused { reason, .. } => tracing::warn!(device = %name, %reason, "setpoint refused"),
            Occurrence::OutcomeUnknown(_) => tracing::warn!(device = %name, "outcome of a write unknown"),
            Occurrence::DeadMan(_) => tracing::warn!(device = %name, "no newer setpoint: releasing"),
            Occurrence::Armed(_) => tracing::warn!(device = %name, "armed"),
            Occurrence::Disarmed(why) => tracing::warn!(device = %name, ?why, "disarmed"),
            Occurrence::Released => tracing::info!(device = %name, "safe state confirmed"),
            Occurrence::ReleaseFailed(reason) => tracing::error!(device = %name, %reason, "release failed"),
        }
    }
}
