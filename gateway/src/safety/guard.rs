//! Everything that stands between messages and one device: [`Guard`].
//!
//! The bridge asks it about every setpoint. Whoever watches the device shows it every reading, also between epochs and
//! when the bus is silent, and does what it says: an open interlock does not wait for an epoch.

use super::audit::{self, Audit};
use super::budget::Budget;
use super::effect::{Effect, EffectSettings};
use super::interlock::{Interlock, InterlockSettings, Turn};
use super::limits::{Decision, Limits};
use super::total::Total;
use crate::convert;
use gridloop_clock::MonoTime;
use gridloop_device::{Ageing, Capabilities, Command, Link, Mode, ProcessImage, Quality, point};
use serde_json::json;
use std::time::Duration;

/// What protects one device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SafetySettings {
    /// What it may be told.
    pub limits: Limits,
    /// On what grid it may be driven.
    pub interlock: InterlockSettings,
    /// How obedience is judged.
    pub effect: EffectSettings,
    /// The most steps of a tap changer in a UTC day; `None`: no limit.
    pub operations_per_day: Option<u32>,
}

/// The guard of one device.
pub(crate) struct Guard {
    device: String,
    limits: Limits,
    interlock: Interlock,
    effect: Effect,
    budget: Budget,
    total: Total,
    audit: Audit,
    ageing: Ageing,
    dead_man: Duration,
    /// The last command that passed.
    passed: Option<Passed>,
    /// What the device did when it was last read, while no command was in force.
    does: Option<(Command, MonoTime)>,
    readings: u64,
    held_order: u64,
}

#[derive(Debug, Clone, Copy)]
struct Passed {
    command: Command,
    at: MonoTime,
    /// Whether it went to the device, not to its twin or into a log alone.
    driven: bool,
}

/// What an observation asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Notice {
    /// Take the setpoint in force back, for this reason.
    TakeBack(String),
    /// Setpoints may pass again.
    MayBeDriven,
    /// The device does not do what it holds.
    NotObeyed {
        /// What it holds.
        held: Command,
        /// What it does instead, in words.
        what: String,
    },
}

impl Guard {
    pub(crate) fn new(
        device: &str,
        settings: SafetySettings,
        ageing: Ageing,
        dead_man: Duration,
        total: Total,
        audit: Audit,
    ) -> Self {
        let budget = Budget::new(settings.operations_per_day, &audit.today(), audit.steps_today(device));
        Self {
            device: device.to_owned(),
            limits: settings.limits,
            interlock: Interlock::new(settings.interlock, ageing.lost_after),
            effect: Effect::new(settings.effect),
            budget,
            total,
            audit,
            ageing,
            dead_man,
            passed: None,
            does: None,
            readings: 0,
            held_order: 0,
        }
    }

    /// Decides about a setpoint that arrived at `now` for a device in this mode with these capabilities. `driven`: what
    /// passes goes to the device, and not to its twin alone. It is not in force before [`Guard::passed`] is told.
    pub(crate) fn decide(
        &mut self,
        asked: Command,
        mode: Mode,
        driven: bool,
        capabilities: &Capabilities,
        now: MonoTime,
    ) -> Decision {
        if mode == Mode::ReadOnly {
            let how = format!("set its mode to armed, or say `gridloop device arm {}`", self.device);
            return Decision::Refused(format!("the device is read-only; {how}"));
        }
        // Neither stands between a message and the twin.
        if driven && let Some(refusal) = self.audit.trouble().or_else(|| self.interlock.refusal()) {
            return Decision::Refused(refusal);
        }
        let driven = driven && mode == Mode::Armed;
        let (limits, before) = (self.limits, self.before(now));
        let decision = self.total.decide(&self.device, |room_w| {
            let decision = limits.decide(asked, capabilities, before, room_w, now);
            let share = match &decision {
                Decision::Pass(Command::Power { real_power_w, .. })
                | Decision::Clamped { command: Command::Power { real_power_w, .. }, .. }
                    if driven =>
                {
                    Some(*real_power_w)
                }
                _ => None,
            };
            (decision, share)
        });
        let (Decision::Pass(command) | Decision::Clamped { command, .. }) = &decision else {
            return decision;
        };
        if let Command::TapPosition(target) = command
            && let Err(refusal) = self.budget.allows(*target, &self.audit.today())
        {
            return Decision::Refused(refusal);
        }
        decision
    }

    /// What was decided is written down and handed over: from `now` on it is in force, and a ramp begins at it.
    pub(crate) fn passed(&mut self, command: Command, mode: Mode, driven: bool, now: MonoTime) {
        self.passed = Some(Passed { command, at: now, driven: driven && mode == Mode::Armed });
    }

    /// What a ramp begins at: the command in force, else what the device does; nothing before the first command.
    fn before(&self, now: MonoTime) -> Option<(Command, MonoTime)> {
        match self.passed {
            Some(passed) if now.since(passed.at) < self.dead_man => Some((passed.command, passed.at)),
            _ => self.does,
        }
    }

    /// The device is driven again after its twin has stood in: its ramp begins at what it does, `since` it is back.
    pub(crate) fn begin_from(&mut self, does: Option<Command>, since: MonoTime) {
        self.passed = None;
        self.does = does.map(|command| (command, since));
    }

    /// Takes what is known of the device at `now`.
    pub(crate) fn observe(&mut self, image: &ProcessImage, now: MonoTime) -> Vec<Notice> {
        let mut notices = Vec::new();
        if image.link == Link::Down {
            notices.extend(self.interlock.link_is_down().map(|turn| self.turned(turn)));
        }
        if image.link == Link::Up && image.readings != self.readings {
            self.readings = image.readings;
            self.count(image, now);
            notices.extend(self.judge_interlock(image, now));
        }
        notices.extend(self.judge_effect(image, now));
        notices
    }

    fn count(&mut self, image: &ProcessImage, now: MonoTime) {
        let good = |name| {
            let (sample, _) = image.point(name, self.ageing, now)?;
            (sample.quality == Quality::Good).then_some(sample.value)
        };
        if let Some(real_power_w) = good(point::REAL_POWER) {
            let in_force = self.passed.filter(|passed| now.since(passed.at) < self.dead_man);
            let told = matches!(in_force, Some(Passed { command: Command::Power { .. }, driven: true, .. }));
            if !told {
                self.total.put(&self.device, real_power_w);
            }
            if in_force.is_none() && (self.passed.is_some() || self.does.is_some()) {
                let reactive_power_var = good(point::REACTIVE_POWER).unwrap_or(0.0);
                self.does = Some((Command::Power { real_power_w, reactive_power_var }, now));
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and a position is far inside")]
        let position = good(point::TAP_POSITION).map(|position| position.round() as i32);
        if let Some(moved) = position.and_then(|it| self.budget.observe(it, &self.audit.today())) {
            let details = json!({ "from": moved.from, "to": moved.to, "steps": moved.steps() });
            self.audit.tell(&self.device, "moved", details);
        }
    }

    fn judge_interlock(&mut self, image: &ProcessImage, now: MonoTime) -> Option<Notice> {
        let at_now = |name: &str| image.point(name, self.ageing, now).map(|(sample, _)| sample);
        let turn = self.interlock.judge(at_now, now)?;
        Some(self.turned(turn))
    }

    fn turned(&mut self, turn: Turn) -> Notice {
        match turn {
            Turn::Opened(why) => {
                // Whatever comes after it begins at what the device does then.
                self.does = self.passed.take().map(|passed| (passed.command, passed.at)).or(self.does);
                self.audit.tell(&self.device, "interlock-opened", json!({ "why": &why }));
                Notice::TakeBack(format!("interlock: {why}"))
            }
            Turn::Closed => {
                self.audit.tell(&self.device, "interlock-closed", json!({}));
                Notice::MayBeDriven
            }
        }
    }

    fn judge_effect(&mut self, image: &ProcessImage, now: MonoTime) -> Option<Notice> {
        match image.held {
            Some(held) if image.held_order != self.held_order => {
                self.held_order = image.held_order;
                self.effect.holds(image.held_order, held, now);
            }
            Some(_) => {}
            None => self.effect.forget(),
        }
        let at_now = |name: &str| image.point(name, self.ageing, now).map(|(sample, _)| sample);
        let verdict = self.effect.judge(at_now, now)?;
        let seconds = verdict.after.as_secs_f64();
        self.audit.tell(
            &self.device,
            if verdict.obeyed { "obeyed" } else { "not-obeyed" },
            json!({ "order": verdict.order, "command": audit::command(&verdict.command),
                    "measured": verdict.measured, "after_s": seconds }),
        );
        if verdict.obeyed {
            return None;
        }
        let does = match (verdict.measured, verdict.command) {
            (None, _) => "nothing that can be told".to_owned(),
            (Some(position), Command::TapPosition(_)) => format!("tap {position:.0}"),
            (Some(watts), _) => format!("{:.2} kW", watts / 1000.0),
        };
        let held = convert::describe(&verdict.command);
        let what = format!("holds {held} for {seconds:.1} s and does not obey: it does {does}");
        Some(Notice::NotObeyed { held: verdict.command, what })
    }

    /// When [`Guard::observe`] has to be asked at the latest, whether or not more is known.
    pub(crate) fn due(&self) -> Option<MonoTime> {
        self.effect.due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safety::total::TotalLimits;
    use gridloop_clock::{SharedClock, SimulatedClock, Utc};
    use gridloop_device::PowerRange;
    use std::sync::Arc;

    fn guard() -> Guard {
        let clock: SharedClock = Arc::new(SimulatedClock::new(Utc::default()));
        let limits = Limits { ramp_w_per_s: Some(100.0), ..Limits::default() };
        let second = Duration::from_secs(1);
        let interlock = InterlockSettings { voltage_v: None, frequency_hz: None, back_after: second };
        let effect = EffectSettings { within: second, tolerance_w: None, follows: false };
        let settings = SafetySettings { limits, interlock, effect, operations_per_day: None };
        let ageing = Ageing { stale_after: second, lost_after: second * 3 };
        Guard::new(
            "pv1",
            settings,
            ageing,
            second * 60,
            Total::new(TotalLimits::default()),
            Audit::none(clock),
        )
    }

    #[test]
    fn a_setpoint_that_was_decided_and_never_handed_over_is_not_what_a_ramp_begins_at() {
        let power = |real_power_w| Command::Power { real_power_w, reactive_power_var: 0.0 };
        let range = PowerRange { min_w: 0.0, max_w: 8000.0, max_var: 0.0 };
        let capabilities = Capabilities { power: Some(range), ..Capabilities::default() };
        let at = |seconds: u64| MonoTime::from_nanos(seconds * 1_000_000_000);
        let mut guard = guard();
        let decide =
            |guard: &mut Guard, watts, now| guard.decide(power(watts), Mode::Armed, true, &capabilities, now);
        assert_eq!(decide(&mut guard, 1000.0, at(1)), Decision::Pass(power(1000.0)));
        assert_eq!(decide(&mut guard, 5000.0, at(2)), Decision::Pass(power(5000.0)), "nothing is in force");
        guard.passed(power(5000.0), Mode::Armed, true, at(2));
        let next = decide(&mut guard, 1000.0, at(3));
        assert!(
            matches!(next, Decision::Clamped { command, .. } if command == power(4900.0)),
            "{next:?}: 100 W in a second"
        );
    }
}
