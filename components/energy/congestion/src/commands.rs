//! What a controller sends: [`Commands`] makes the control messages of an epoch.

use gridloop_clock::MonoTime;
use gridloop_component::{OpenEpoch, Output};
use gridloop_messages::{Body, Message, PowerSetpoint, TapPosition, Warning, WarningKind, topic};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Real power in W and reactive power in var of a resource.
pub(crate) type Setpoint = (String, f64, f64);

/// Remembers what was sent, for messages say since when they have not changed (wire contract 3.6).
#[derive(Debug, Default)]
pub(crate) struct Commands {
    /// By topic: what was sent last, and in which epoch for the first time.
    sent: BTreeMap<String, (Body, u64)>,
    /// Topics on which somebody else commands.
    disputed: BTreeSet<String>,
    /// What is to be told with the next messages.
    untold: Vec<Warning>,
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
        self.untold.extend(warned(warnings));
        if let Some(first) = outputs.first_mut() {
            first.warnings = std::mem::take(&mut self.untold);
        }
        outputs
    }

    /// Takes a message of somebody else. Commands for what is commanded here are told of, once for each topic.
    pub(crate) fn hear(&mut self, topic: &str, message: &Message) {
        let command = matches!(message.body, Body::PowerSetpoint(_) | Body::TapPosition(_));
        if command && !self.disputed.contains(topic) {
            self.disputed.insert(topic.to_owned());
            let source = &message.header.source_process_id;
            let warning =
                format!("{source} sends {topic} too: of two commanders of one resource neither is obeyed");
            tracing::warn!("{warning}");
            self.untold.extend(warned(&[warning]));
        }
    }

    /// Leaves out what is sent again as the next epoch begins, because it is waited for then and comes too late now.
    pub(crate) fn leave_to_renewal<'a>(
        &mut self,
        epoch: u64,
        outputs: Vec<Output>,
        names: impl Iterator<Item = &'a str>,
    ) -> Vec<Output> {
        let topics: BTreeSet<String> = names.map(topic::power_setpoint).collect();
        let (left, mut outputs): (Vec<Output>, Vec<Output>) =
            outputs.into_iter().partition(|output| topics.contains(&output.topic));
        let mut warnings = Vec::new();
        for output in left {
            warnings.extend(output.warnings);
            if let Some((_, since)) = self.sent.get_mut(&output.topic).filter(|(_, since)| *since == epoch) {
                *since = epoch.saturating_add(1);
            }
        }
        match outputs.first_mut() {
            Some(first) => first.warnings.extend(warnings),
            None => self.untold.extend(warnings),
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

    /// The last messages once more, as `epoch` begins.
    pub(crate) fn again(&mut self, epoch: u64) -> Vec<Output> {
        let again = |(topic, (body, since)): (&String, &(Body, u64))| Output {
            last_updated_in_epoch: (*since < epoch).then_some(*since),
            ..Output::new(topic.clone(), body.clone())
        };
        let mut outputs: Vec<Output> = self.sent.iter().map(again).collect();
        if let Some(first) = outputs.first_mut() {
            first.warnings = std::mem::take(&mut self.untold);
        }
        outputs
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

/// The topics on which a commander of these resources and tap changers hears whether there is another one.
pub(crate) fn command_topics<'a>(
    resources: impl Iterator<Item = &'a str>,
    taps: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    resources.map(topic::power_setpoint).chain(taps.map(topic::tap_position)).collect()
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
