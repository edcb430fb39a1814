//! The closing words of a run, for people.

use crate::findings;
use gridloop_gateway::{DeviceReport, StepReport};
use gridloop_metrics::Distribution;
use gridloop_platform_manager::RunReport;
use gridloop_realtime_manager::{Outcome, Pacing};
use std::fmt::Write as _;
use std::path::Path;

/// The summary as printed.
pub(crate) fn summary(report: &RunReport, file: &Path) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, report, file);
    text
}

fn write(text: &mut String, report: &RunReport, file: &Path) -> std::fmt::Result {
    let manager = &report.manager;
    let epochs = &manager.epochs;
    let outcome = match manager.outcome {
        Outcome::Completed => "completed",
        Outcome::Stopped => "stopped",
        Outcome::Failed => "FAILED",
    };
    writeln!(text, "\n{outcome}: {}", manager.reason)?;
    writeln!(text, "deadlines   {}", report.verdict.deadlines)?;
    for reason in report.verdict.missed.iter().chain(&report.verdict.exceptions) {
        writeln!(text, "            - {reason}")?;
    }
    writeln!(
        text,
        "epochs      {} of {} completed, {} late, {} skipped",
        epochs.completed, epochs.planned, epochs.late, epochs.skipped
    )?;
    let memory = if manager.pacing.memory_locked { ", memory locked" } else { "" };
    writeln!(text, "pacing      speed {}, {}{memory}", manager.pacing.speed, manager.pacing.scheduler)?;
    writeln!(
        text,
        "            epoch start after its instant: {}",
        micros(&manager.pacing.start_lateness_us)
    )?;
    writeln!(
        text,
        "            everybody ready after epoch start: {}",
        micros(&manager.pacing.turnaround_us)
    )?;
    if let Some((component, least)) = least_slack(&manager.pacing) {
        writeln!(
            text,
            "            least time left: {component}, {} before the end of an epoch",
            time(least)
        )?;
    }
    let bus = &report.bus;
    writeln!(
        text,
        "bus         {}, {} messages heard, {} re-sent, {} reconnects",
        bus.url, report.log.received, bus.resent, bus.reconnects
    )?;
    let log = &report.log;
    write!(text, "log         {} stored, {} repeated, {} invalid", log.stored, log.duplicates, log.invalid)?;
    if log.shed > 0 {
        write!(text, ", {} LOST: the disk could not keep up", log.shed)?;
    }
    if let Some(error) = &log.error {
        write!(text, ", BROKEN OFF: {error}")?;
    }
    writeln!(text)?;
    for line in findings::lines(&report.components) {
        writeln!(text, "{line}")?;
    }
    for device in &report.devices {
        write_device(text, device)?;
    }
    for (topic, count) in &report.setpoints_for_nobody {
        writeln!(text, "\n{count} setpoints on {topic} were for nobody in this process")?;
    }
    writeln!(text, "\nreport      {}", file.display())
}

fn write_device(text: &mut String, device: &DeviceReport) -> std::fmt::Result {
    writeln!(
        text,
        "\n{}  {} at {}, {}, {}",
        device.id, device.protocol, device.address, device.source, device.mode
    )?;
    writeln!(
        text,
        "  {} setpoints, {} clamped, {} refused; {} reads, {} writes, {} errors, {} reconnects; left: {}",
        device.setpoints,
        device.clamped,
        device.refused,
        device.reads,
        device.writes,
        device.errors,
        device.reconnects,
        device.left
    )?;
    if let (Some(age), Some(to_bus)) = (device.read_age_us.p99, device.device_to_bus_us.p99) {
        writeln!(
            text,
            "  99 of 100 values at most {} old when published, on the bus {} after the device was asked",
            time(age),
            time(to_bus)
        )?;
    }
    if device.unreliable_epochs > 0 {
        writeln!(
            text,
            "  NOT GOOD in {} epochs, {} of them substituted by the twin",
            device.unreliable_epochs, device.fallback_epochs
        )?;
    }
    if device.network_states_ignored + device.epochs_without_network > 0 {
        writeln!(
            text,
            "  followed the network {} times, did NOT follow {} states of it; without it for too long in {} epochs",
            device.network_states_followed, device.network_states_ignored, device.epochs_without_network
        )?;
    }
    if let Some(standing) = &device.standing_at_start {
        writeln!(text, "  held {standing} at the start, from an earlier controller")?;
    }
    if device.dead_man_releases > 0 {
        writeln!(text, "  RELEASED {} times by the dead-man timer during the run", device.dead_man_releases)?;
    }
    if device.interlocked > 0 {
        writeln!(text, "  INTERLOCK opened {} times", device.interlocked)?;
    }
    if device.not_obeyed > 0 {
        writeln!(text, "  did NOT OBEY {} commands that it held", device.not_obeyed)?;
    }
    if device.restored > 0 {
        writeln!(text, "  had LOST its command {} times; it was written again", device.restored)?;
    }
    if device.steps.is_empty() {
        return Ok(());
    }
    writeln!(text, "  {:>5}  {:<22}  {:<22}  {:>12}  then did", "epoch", "asked", "device holds", "after")?;
    for step in &device.steps {
        write_step(text, step)?;
    }
    Ok(())
}

fn write_step(text: &mut String, step: &StepReport) -> std::fmt::Result {
    let after = step.confirmed_after_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    let held =
        step.held.as_deref().unwrap_or(if step.passed.is_none() { "refused" } else { "not confirmed" });
    let measured = step.measured.as_deref().unwrap_or("-");
    let remark = step.remark.as_ref().map(|remark| format!("  ({remark})")).unwrap_or_default();
    writeln!(text, "  {:>5}  {:<22}  {held:<22}  {after:>12}  {measured}{remark}", step.epoch, step.asked)
}

/// Who came nearest to the end of an epoch, and by how much, in microseconds.
fn least_slack(pacing: &Pacing) -> Option<(&str, f64)> {
    let least = pacing.slack_us.iter().filter_map(|(name, slack)| Some((name.as_str(), slack.min?)));
    least.min_by(|(_, a), (_, b)| a.total_cmp(b))
}

fn micros(spread: &Distribution) -> String {
    let Distribution { p50: Some(p50), p99: Some(p99), max: Some(max), .. } = spread else {
        return "not measured".to_owned();
    };
    format!("p50 {}, p99 {}, max {}", time(*p50), time(*p99), time(*max))
}

fn time(micros: f64) -> String {
    if micros < 1000.0 { format!("{micros:.0} us") } else { format!("{:.1} ms", micros / 1000.0) }
}
