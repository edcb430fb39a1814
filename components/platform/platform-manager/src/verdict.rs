//! Whether a run kept its deadlines: [`Verdict`], one of four words and the reasons for it. A run that overran is never
//! called a normal one.

use gridloop_gateway::DeviceReport;
use gridloop_logging::LogCounts;
use gridloop_realtime_manager::{Lateness, Outcome, Report, Speed, StartAt};
use serde::Serialize;
use std::fmt;

use crate::parts::Findings;
use crate::report::BusReport;
use crate::unseen::all_not_seen;

/// Whether the deadlines of a run were kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deadlines {
    /// All of them, and nothing happened that an operator should know before trusting the run.
    Met,
    /// All of them, but.
    MetWithExceptions,
    /// Not all of them, or the run did not reach its end by itself.
    NotMet,
    /// There were none: the run was not paced.
    NotPaced,
}

/// The judgement on a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The word.
    pub deadlines: Deadlines,
    /// What was missed; anything here makes it [`Deadlines::NotMet`].
    pub missed: Vec<String>,
    /// What else an operator should know before trusting the run.
    pub exceptions: Vec<String>,
}

impl fmt::Display for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::MetWithExceptions => "MET WITH EXCEPTIONS",
            Self::NotMet => "NOT MET",
            Self::NotPaced => "none: the run was not paced",
        })
    }
}

impl Verdict {
    /// Judges a run by what is reported of it. `start_at` is when it was to begin.
    pub(crate) fn on(
        manager: &Report,
        start_at: StartAt,
        devices: &[DeviceReport],
        components: &Findings,
        log: &LogCounts,
        bus: &BusReport,
    ) -> Self {
        let paced = matches!(manager.pacing.speed, Speed::Times(_));
        let missed = missed(manager, paced);
        let mut exceptions = of_the_run(manager, paced);
        exceptions.extend(of_the_clock(manager, start_at));
        exceptions.extend(of_devices(devices));
        exceptions.extend(of_components(components));
        exceptions.extend(of_log_and_bus(log, bus));
        exceptions.extend(all_not_seen(components));
        let deadlines = match (missed.is_empty(), paced, exceptions.is_empty()) {
            (false, _, _) => Deadlines::NotMet,
            (true, false, _) => Deadlines::NotPaced,
            (true, true, true) => Deadlines::Met,
            (true, true, false) => Deadlines::MetWithExceptions,
        };
        Self { deadlines, missed, exceptions }
    }
}

fn missed(manager: &Report, paced: bool) -> Vec<String> {
    let mut missed = Vec::new();
    let (epochs, pacing) = (&manager.epochs, &manager.pacing);
    if epochs.late > 0 {
        missed.push(format!(
            "{} of {} epochs were late: {} started more than {} ms after their instant, in {} somebody was missing at \
             the end",
            epochs.late, epochs.planned, pacing.started_late, pacing.late_tolerance_ms, pacing.overran
        ));
    }
    for (component, Lateness { epochs, longest_ms }) in &manager.late_components {
        let longest =
            longest_ms.map_or("no answer in time at all".to_owned(), |ms| format!("up to {ms:.1} ms"));
        missed.push(format!("{component} was late in {epochs} epochs, {longest}"));
    }
    if epochs.skipped > 0 {
        missed.push(format!("{} whole periods were passed over", epochs.skipped));
    }
    for resumed in &manager.resumed {
        let again = if resumed.repeated { ", which was sent again as it was" } else { "" };
        let (at, epoch) = (&resumed.at, resumed.epoch);
        missed.push(format!("the run broke off, and was resumed at {at} with epoch {epoch}{again}"));
    }
    if paced && manager.outcome == Outcome::Failed {
        missed.push(format!("the run failed after {} of {} epochs", epochs.completed, epochs.planned));
    }
    missed
}

fn of_the_run(manager: &Report, paced: bool) -> Vec<String> {
    let mut exceptions = Vec::new();
    let epochs = &manager.epochs;
    if paced && manager.outcome == Outcome::Stopped {
        exceptions.push(format!("stopped after {} of {} epochs", epochs.completed, epochs.planned));
    }
    if manager.resends > 0 {
        exceptions.push(format!("{} messages were sent again for missing answers", manager.resends));
    }
    for (name, count) in &manager.other_managers {
        exceptions.push(format!("ANOTHER MANAGER, `{name}`, spoke {count} times in this run"));
    }
    exceptions
}

fn of_the_clock(manager: &Report, start_at: StartAt) -> Vec<String> {
    let Some(clock) = &manager.clock else { return Vec::new() };
    let mut exceptions: Vec<String> = clock.events.iter().map(ToString::to_string).collect();
    if clock.more_events > 0 {
        exceptions.push(format!("the system's clock was changed {} more times", clock.more_events));
    }
    let synchronised = clock.synchronisation_at_start.is_some_and(|it| it.synchronised);
    let aligned = matches!(start_at, StartAt::Aligned(_) | StartAt::At(_));
    if aligned && !synchronised {
        exceptions.push(
            "a start by UTC was asked for, but the system's clock was not known to be synchronised"
                .to_owned(),
        );
    }
    exceptions
}

fn of_devices(devices: &[DeviceReport]) -> Vec<String> {
    let mut exceptions = Vec::new();
    for device in devices {
        let id = &device.id;
        if device.unreliable_epochs > 0 {
            exceptions.push(format!(
                "{id} was not good in {} epochs, {} of them substituted by its twin",
                device.unreliable_epochs, device.fallback_epochs
            ));
        }
        if device.epochs_without_network > 0 {
            exceptions.push(format!(
                "{id} had no voltage of the network to follow in {} epochs",
                device.epochs_without_network
            ));
        }
        if device.network_states_ignored > 0 {
            exceptions
                .push(format!("{id} did not follow {} states of the network", device.network_states_ignored));
        }
        if device.dead_man_releases > 0 {
            exceptions
                .push(format!("{id} was released {} times by the dead-man timer", device.dead_man_releases));
        }
        if device.left.starts_with("unknown") {
            exceptions.push(format!("{id} was left {}", device.left));
        }
    }
    exceptions
}

/// What of the findings of a component an operator should know: its kind, the name of a counter, and what it means that
/// this is not 0, behind the name of the component.
const COUNTED: [(&str, &str, &str); 7] = [
    ("grid", "unreliable_epochs", "solved the network for states that may not be right, in epochs:"),
    ("grid", "refused_tap_orders", "was told tap positions that there are not:"),
    (
        "economic-dispatch",
        "epochs_with_missed_promises",
        "did not plan all that it had promised to a flexibility market, in epochs:",
    ),
    (
        "predictive-grid-optimization",
        "epochs_without_forecast",
        "asked for nothing, for want of a forecast that can be relied on, in epochs:",
    ),
    (
        "predictive-grid-optimization",
        "epochs_without_market",
        "gave up waiting for the flexibility market, in epochs:",
    ),
    (
        "state-monitoring",
        "unreliable_epochs",
        "judged voltages and currents that may not be right, in epochs:",
    ),
    (
        "real-time-congestion-management",
        "epochs_without_state",
        "was blind, for want of a state of the network that can be relied on, in epochs:",
    ),
];

fn of_components(components: &Findings) -> Vec<String> {
    let mut exceptions = Vec::new();
    for (name, findings) in components {
        let counted = COUNTED.iter().filter(|(kind, ..)| findings.get("kind").is_some_and(|it| it == kind));
        for (_, counter, meaning) in counted {
            if let Some(count) =
                findings.get(counter).and_then(serde_json::Value::as_u64).filter(|it| *it > 0)
            {
                exceptions.push(format!("{name} {meaning} {count}"));
            }
        }
    }
    exceptions
}

fn of_log_and_bus(log: &LogCounts, bus: &BusReport) -> Vec<String> {
    let mut exceptions = Vec::new();
    if log.shed > 0 {
        exceptions.push(format!("{} messages are missing from the log", log.shed));
    }
    if let Some(error) = &log.error {
        exceptions.push(format!("the log broke off: {error}"));
    }
    if bus.reconnects > 0 {
        exceptions.push(format!("the broker was lost and found again {} times", bus.reconnects));
    }
    if bus.blocks > 0 {
        exceptions.push(format!("the broker took no messages for a while, {} times", bus.blocks));
    }
    exceptions
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(findings: serde_json::Value) -> Vec<String> {
        of_components(&Findings::from([("part".to_owned(), findings)]))
    }

    #[test]
    fn a_control_that_was_blind_and_a_network_that_was_doubted_are_exceptions() {
        let control = json!({"kind": "real-time-congestion-management", "epochs_with_state": 4, "epochs_without_state": 36});
        assert_eq!(
            told(control),
            ["part was blind, for want of a state of the network that can be relied on, in epochs: 36"]
        );
        let grid = json!({"kind": "grid", "epochs": 40, "unreliable_epochs": 35, "refused_tap_orders": 1});
        assert_eq!(
            told(grid),
            [
                "part solved the network for states that may not be right, in epochs: 35",
                "part was told tap positions that there are not: 1"
            ]
        );
    }

    #[test]
    fn a_promise_that_was_not_kept_and_a_need_that_was_not_asked_for_are_exceptions() {
        let dispatch = json!({"kind": "economic-dispatch", "epochs_with_missed_promises": 2});
        assert_eq!(
            told(dispatch),
            ["part did not plan all that it had promised to a flexibility market, in epochs: 2"]
        );
        let buyer = json!({"kind": "predictive-grid-optimization", "epochs_without_forecast": 3, "epochs_without_market": 1});
        assert_eq!(
            told(buyer),
            [
                "part asked for nothing, for want of a forecast that can be relied on, in epochs: 3",
                "part gave up waiting for the flexibility market, in epochs: 1"
            ]
        );
    }

    #[test]
    fn what_is_zero_and_what_means_something_else_is_none() {
        assert!(told(json!({"kind": "grid", "unreliable_epochs": 0, "refused_tap_orders": 0})).is_empty());
        assert!(told(json!({"kind": "of somebody", "unreliable_epochs": 3})).is_empty());
        assert!(told(json!("grid")).is_empty());
    }
}
