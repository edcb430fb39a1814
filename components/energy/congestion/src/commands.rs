//! What a controller sends: [`Commands`] makes the control messages of an epoch.

use gridloop_clock::MonoTime;
use gridloop_component::{OpenEpoch, Output};
use gridloop_messages::{Body, PowerSetpoint, TapPosition, Warning, WarningKind, topic};
use std::collections::BTreeMap;
use std::time::Duration;

/// Real power in W and reactive power in var of a resource.
pub(crate) type Setpoint = (String, f64, f64);

/// Remembers what was sent, for messages say since when they have not changed (wire contract 3.6).
#[derive(Debug, Default)]
pub(crate) struct Commands {
    /// By topic: what was sent last, and in which epoch for the first time.
    sent: BTreeMap<String, (Body, u64)>,
}

impl Commands {
    /// The messages of an epoch: powers in W and var, and positions.
    pub(crate) fn outputs(
        &mut self,
        epoch: u64,
        setpoints: &[Setpoint],
        positions: &[(String, i32)],
        warnings: &[String],
    ) -> Vec<Output> {
        let powers = setpoints.iter().map(|(name, real_w, reactive_var)| {
            let setpoint = PowerSetpoint {
                real_power_kw: rounded(*real_w) / 1000.0,
                reactive_power_kvar: rounded(*reactive_var) / 1000.0,
            };
            (topic::power_setpoint(name), Body::PowerSetpoint(setpoint))
        });
        let positions = positions.iter().map(|(name, position)| {
            (topic::tap_position(name), Body::TapPosition(TapPosition { tap_position: *position }))
        });
        let mut outputs: Vec<Output> =
            powers.chain(positions).map(|(topic, body)| self.output(epoch, topic, body)).collect();
        for warning in warnings {
            tracing::warn!(epoch, "{warning}");
        }
        if let Some(first) = outputs.first_mut() {
            first.warnings = warned(warnings);
        }
        outputs
    }

    fn output(&mut self, epoch: u64, topic: String, body: Body) -> Output {
        let since = match self.sent.get(&topic) {
            Some((before, since)) if *before == body => *since,
            _ => epoch,
        };
        self.sent.insert(topic.clone(), (body.clone(), since));
        Output { last_updated_in_epoch: (since < epoch).then_some(since), ..Output::new(topic, body) }
    }

    /// The last messages once more.
    pub(crate) fn again(&self) -> Vec<Output> {
        let again = |(topic, (body, since)): (&String, &(Body, u64))| Output {
            last_updated_in_epoch: Some(*since),
            ..Output::new(topic.clone(), body.clone())
        };
        self.sent.iter().map(again).collect()
    }
}

/// Warnings as messages carry them.
pub(crate) fn warned(warnings: &[String]) -> Vec<Warning> {
    warnings.iter().map(|warning| Warning::new(WarningKind::Other, warning)).collect()
}

/// Whole watts: what is less says nothing, and would make every message a new one.
fn rounded(watts: f64) -> f64 {
    // No negative zero on the wire.
    watts.round() + 0.0
}

/// Until when inputs are waited for: for `timeout`, but only so long that there is time to answer.
pub(crate) fn give_up_at(epoch: &OpenEpoch, timeout: Duration) -> MonoTime {
    let usual = epoch.opened_at + timeout;
    match epoch.deadline {
        Some(deadline) if deadline > epoch.opened_at => {
            usual.min(deadline.before(deadline.since(epoch.opened_at) / 10))
        }
        _ => usual,
    }
}

/// The first of a list, and how many more there are.
pub(crate) fn listed(items: &[String]) -> String {
    let first: Vec<&str> = items.iter().take(3).map(String::as_str).collect();
    let more = items.len().saturating_sub(first.len());
    if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
}
