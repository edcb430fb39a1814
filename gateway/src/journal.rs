//! What a device was asked and what it did: [`Journal`], kept during the run and told at its end.

use crate::convert;
use crate::measures::Measures;
use crate::safety::guard::Notice;
use gridloop_device::{Command, Disarmed, Occurrence, Percentiles, Statistics};
use gridloop_messages::WarningKind;
use gridloop_metrics::Distribution;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The story of one device. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    story: Arc<Mutex<Story>>,
}

#[derive(Debug, Default)]
struct Story {
    steps: Vec<Step>,
    asked_messages: u64,
    clamped: u64,
    refused: u64,
    fallback_epochs: u64,
    lost_epochs: u64,
    dead_man_releases: u64,
    restored: u64,
    interlocked: u64,
    not_obeyed: u64,
    followed: u64,
    network_ignored: u64,
    without_network: u64,
    warnings: Vec<(WarningKind, String)>,
}

#[derive(Debug)]
struct Step {
    epoch: u64,
    asked: Command,
    passed: Option<Command>,
    held: Option<Command>,
    after: Option<Duration>,
    measured: Option<String>,
    /// Why the limits changed or refused it.
    limited: Option<String>,
    remark: Option<String>,
}

/// One change of what was asked, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// The epoch it was first asked in.
    pub epoch: u64,
    /// What was asked.
    pub asked: String,
    /// What the limits let pass; absent when it was refused.
    pub passed: Option<String>,
    /// What the device held at the read-back; absent when it never confirmed.
    pub held: Option<String>,
    /// From the message's arrival to that read-back, in milliseconds.
    pub confirmed_after_ms: Option<f64>,
    /// What the device did at the end of the last epoch in which this was asked.
    pub measured: Option<String>,
    /// Why it was changed, refused or not confirmed.
    pub remark: Option<String>,
}

/// One device in the report of a run (design of `report.json`: `devices[]`).
#[derive(Debug, Clone, Serialize)]
pub struct DeviceReport {
    /// Name in the configuration.
    pub id: String,
    /// Driver.
    pub protocol: String,
    /// Where it was reached.
    pub address: String,
    /// `field` or `simulated`.
    pub source: String,
    /// `read-only`, `dry-run` or `armed`.
    pub mode: String,
    /// Manufacturer, model and serial number.
    pub identity: String,
    /// The blocks or registers found.
    pub profile: String,
    /// What the device does by itself when it is no longer told anything.
    pub fail_safe: String,
    /// What it held when the run began, left by an earlier controller.
    pub standing_at_start: Option<String>,
    /// Times the dead-man timer released it during the run.
    pub dead_man_releases: u64,
    /// Times it had lost a command that it had confirmed, and was told again.
    pub restored: u64,
    /// Times the interlock opened: voltage or frequency was outside its window, or not known.
    pub interlocked: u64,
    /// Commands that were confirmed by read-back and not obeyed, as a measurement showed.
    pub not_obeyed: u64,
    /// Readings.
    pub reads: u64,
    /// Confirmed writes.
    pub writes: u64,
    /// Failed calls.
    pub errors: u64,
    /// Connects after the first.
    pub reconnects: u64,
    /// Epochs in which the twin stood in.
    pub fallback_epochs: u64,
    /// Epochs published with a value that was not good.
    pub unreliable_epochs: u64,
    /// Setpoint messages taken.
    pub setpoints: u64,
    /// Setpoints moved to a limit.
    pub clamped: u64,
    /// Setpoints refused, by the gateway or by the device.
    pub refused: u64,
    /// Voltages of the network that the device followed.
    pub network_states_followed: u64,
    /// States of the network that it did not follow: late, incomplete, implausible, doubted by their sender,
    /// or refused as a setpoint.
    pub network_states_ignored: u64,
    /// Epochs whose results warn that the network has said no voltage for too long.
    pub epochs_without_network: u64,
    /// How long readings took, in microseconds.
    pub read_us: Option<Percentiles>,
    /// From a setpoint's arrival to its confirmation, in microseconds.
    pub setpoint_to_device_us: Option<Percentiles>,
    /// Age of the oldest published value when it was published, in microseconds.
    pub read_age_us: Distribution,
    /// From asking the device for the reading of an epoch to giving its values to the bus, in microseconds.
    pub device_to_bus_us: Distribution,
    /// How it was left: `untouched`, `released`, `holding its last command, as configured`, or `unknown: why`.
    pub left: String,
    /// The changes of what was asked.
    pub steps: Vec<StepReport>,
}

impl Journal {
    /// A setpoint arrived, and `passed` is what the limits made of it.
    pub(crate) fn asked(&self, epoch: u64, asked: Command, passed: Option<Command>, limited: Option<String>) {
        let mut story = self.story();
        story.asked_messages += 1;
        match passed {
            None => story.refused += 1,
            Some(passed) if passed != asked => story.clamped += 1,
            Some(_) => {}
        }
        let repeated = story.steps.last().is_some_and(|step| step.asked == asked && step.passed == passed);
        if !repeated {
            story.steps.push(Step {
                epoch,
                asked,
                passed,
                held: None,
                after: None,
                measured: None,
                limited,
                remark: None,
            });
        }
    }

    /// A message that may have been a setpoint was refused before it got here.
    pub(crate) fn refused_message(&self) {
        self.story().refused += 1;
    }

    /// The device follows a voltage of the network.
    pub(crate) fn followed(&self) {
        self.story().followed += 1;
    }

    /// A state of the network is not followed.
    pub(crate) fn network_state_ignored(&self) {
        self.story().network_ignored += 1;
    }

    /// Results warn that the network has said no voltage for too long.
    pub(crate) fn epoch_without_network(&self) {
        self.story().without_network += 1;
    }

    /// Something happened in the device's task; what concerns the current step is written down.
    pub(crate) fn occurred(&self, occurrence: &Occurrence, now: gridloop_clock::MonoTime) {
        let mut story = self.story();
        match occurrence {
            Occurrence::Applied { setpoint, readback, first: true } => {
                let step = story.steps.iter_mut().rev().find(|step| step.passed == Some(setpoint.command));
                if let Some(step) = step {
                    step.held = Some(*readback);
                    step.after.get_or_insert(now.since(setpoint.received_at));
                    step.remark = None;
                }
            }
            Occurrence::Refused { setpoint, reason } => {
                story.refused += 1;
                story.remark(setpoint.command, reason);
                let command = convert::describe(&setpoint.command);
                story.refusal(format!("the device refused {command}: {reason}"));
            }
            Occurrence::NotAccepted { setpoint, reason } => {
                story.refused += 1;
                story.remark(setpoint.command, &reason.to_string());
                story.refusal(format!("{} refused: {reason}", convert::describe(&setpoint.command)));
            }
            Occurrence::OutcomeUnknown(setpoint) => {
                story.remark(setpoint.command, "the outcome of a write was unknown");
                story.event(format!("outcome of {} unknown", convert::describe(&setpoint.command)));
            }
            Occurrence::Restored { setpoint, .. } => {
                story.restored += 1;
                let command = convert::describe(&setpoint.command);
                story.event(format!("the device no longer held {command}; it was written again"));
            }
            Occurrence::DeadMan(setpoint) => {
                story.dead_man_releases += 1;
                story.remark(setpoint.command, "released by the dead-man timer");
                story.event("no newer setpoint came: the device is being released".into());
            }
            Occurrence::ReleaseFailed(reason) => story.event(format!("release failed: {reason}")),
            Occurrence::WouldApply(setpoint) => story.remark(setpoint.command, "dry run: not written"),
            Occurrence::Disarmed(Disarmed::LeaseExpired) => {
                story.event("the time is up for which it was armed".into());
            }
            Occurrence::Disarmed(Disarmed::OnRequest) => story.event("it was disarmed".into()),
            Occurrence::Armed(_) => story.event("it was armed".into()),
            Occurrence::Connected(_)
            | Occurrence::LinkLost(_)
            | Occurrence::Writing { .. }
            | Occurrence::Applied { .. }
            | Occurrence::Releasing
            | Occurrence::Released => {}
        }
    }

    /// The guard of the device noticed something.
    pub(crate) fn noticed(&self, notice: Notice) {
        let mut story = self.story();
        let warning = match notice {
            Notice::TakeBack(why) => {
                story.interlocked += 1;
                format!("{why}; the device is being released")
            }
            Notice::MayBeDriven => "interlock closed: setpoints pass again".into(),
            Notice::NotObeyed { held, what } => {
                story.not_obeyed += 1;
                let step = story.steps.iter_mut().rev().find(|step| step.held == Some(held));
                if let Some(step) = step {
                    step.remark = Some("NOT OBEYED".to_owned());
                }
                what
            }
        };
        story.event(warning);
    }

    /// What the device did at the end of an epoch.
    pub(crate) fn epoch_ended(
        &self,
        measured: impl Fn(&Command) -> Option<String>,
        unreliable: bool,
        twin: bool,
    ) {
        let mut story = self.story();
        story.lost_epochs += u64::from(unreliable);
        story.fallback_epochs += u64::from(twin);
        if let Some(step) = story.steps.last_mut() {
            let doubt = match (twin, unreliable) {
                (true, _) => " (the twin)",
                (false, true) => " (NOT GOOD)",
                (false, false) => "",
            };
            let measured = measured(&step.asked).map(|measured| measured + doubt);
            if measured.is_some() {
                step.measured = measured;
            }
        }
    }

    /// What the next result must warn of. Each warning is given once.
    pub(crate) fn take_warnings(&self) -> Vec<(WarningKind, String)> {
        std::mem::take(&mut self.story().warnings)
    }

    /// Adds the story to the facts of the device.
    pub(crate) fn report(&self, facts: Facts, statistics: &Statistics, measures: &Measures) -> DeviceReport {
        let story = self.story();
        DeviceReport {
            id: facts.id,
            protocol: facts.protocol,
            address: facts.address,
            source: facts.source,
            mode: facts.mode,
            identity: facts.identity,
            profile: facts.profile,
            fail_safe: facts.fail_safe,
            standing_at_start: facts.standing,
            dead_man_releases: story.dead_man_releases,
            restored: story.restored,
            interlocked: story.interlocked,
            not_obeyed: story.not_obeyed,
            reads: statistics.reads,
            writes: statistics.writes,
            errors: statistics.errors,
            reconnects: statistics.reconnects,
            fallback_epochs: story.fallback_epochs,
            unreliable_epochs: story.lost_epochs,
            setpoints: story.asked_messages,
            clamped: story.clamped,
            refused: story.refused,
            network_states_followed: story.followed,
            network_states_ignored: story.network_ignored,
            epochs_without_network: story.without_network,
            read_us: statistics.read.percentiles(),
            setpoint_to_device_us: statistics.setpoint_to_device.percentiles(),
            read_age_us: measures.read_age.distribution(),
            device_to_bus_us: measures.device_to_bus.distribution(),
            left: facts.left,
            steps: story.steps.iter().map(Step::report).collect(),
        }
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the gateway knows of a device at the end of a run.
pub(crate) struct Facts {
    pub(crate) id: String,
    pub(crate) protocol: String,
    pub(crate) address: String,
    pub(crate) source: String,
    pub(crate) mode: String,
    pub(crate) identity: String,
    pub(crate) profile: String,
    pub(crate) fail_safe: String,
    pub(crate) standing: Option<String>,
    pub(crate) left: String,
}

impl Story {
    /// What was asked was not done: `warning.input`.
    fn refusal(&mut self, what: String) {
        self.warnings.push((WarningKind::Input, what));
    }

    /// Something happened that makes no measured value less true: `warning.other`.
    fn event(&mut self, what: String) {
        self.warnings.push((WarningKind::Other, what));
    }

    fn remark(&mut self, command: Command, remark: &str) {
        if let Some(step) = self.steps.iter_mut().rev().find(|step| step.passed == Some(command)) {
            step.remark = Some(remark.to_owned());
        }
    }
}

fn remarks(remarks: [Option<&str>; 2]) -> Option<String> {
    let remarks: Vec<&str> = remarks.into_iter().flatten().collect();
    (!remarks.is_empty()).then(|| remarks.join("; "))
}

impl Step {
    fn report(&self) -> StepReport {
        StepReport {
            epoch: self.epoch,
            asked: convert::describe(&self.asked),
            passed: self.passed.as_ref().map(convert::describe),
            held: self.held.as_ref().map(convert::describe),
            confirmed_after_ms: self.after.map(|after| after.as_secs_f64() * 1000.0),
            measured: self.measured.clone(),
            remark: remarks([self.limited.as_deref(), self.remark.as_deref()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_good_does_not_look_good_at_the_end() {
        let journal = Journal::default();
        let command = Command::TapPosition(3);
        journal.asked(1, command, Some(command), None);
        let measured = |unreliable, twin| {
            journal.epoch_ended(|_| Some("tap 3".into()), unreliable, twin);
            journal.story().steps[0].report().measured
        };
        assert_eq!(measured(false, false).as_deref(), Some("tap 3"));
        assert_eq!(measured(true, false).as_deref(), Some("tap 3 (NOT GOOD)"));
        assert_eq!(measured(true, true).as_deref(), Some("tap 3 (the twin)"));
    }
}
