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
    /// The last command that passed, and when.
    passed: Option<(Command, MonoTime)>,
    readings: u64,
    held_order: u64,
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
            interlock: Interlock::new(settings.interlock),
            effect: Effect::new(settings.effect),
            budget,
            total,
            audit,
            ageing,
            dead_man,
            passed: None,
            readings: 0,
            held_order: 0,
        }
    }

    /// Decides about a setpoint that arrived at `now` for a device in this mode with these capabilities.
    pub(crate) fn decide(
        &mut self,
        asked: Command,
        mode: Mode,
        capabilities: &Capabilities,
        now: MonoTime,
    ) -> Decision {
        if mode == Mode::ReadOnly {
            let how = format!("set its mode to armed, or say `gridloop device arm {}`", self.device);
            return Decision::Refused(format!("the device is read-only; {how}"));
        }
        if let Some(refusal) = self.audit.trouble().or_else(|| self.interlock.refusal()) {
            return Decision::Refused(refusal);
        }
        let room_w = self.total.room(&self.device);
        let decision = self.limits.decide(asked, capabilities, self.passed, room_w, now);
        let (Decision::Pass(command) | Decision::Clamped { command, .. }) = &decision else {
            return decision;
        };
        if let Command::TapPosition(target) = command
            && let Err(refusal) = self.budget.allows(*target, &self.audit.today())
        {
            return Decision::Refused(refusal);
        }
        self.passed = Some((*command, now));
        if let Command::Power { real_power_w, .. } = command {
            self.total.put(&self.device, *real_power_w);
        }
        decision
    }

    /// The device is driven again after its twin has stood in: its ramp begins at what it does, `since` it is back.
    pub(crate) fn begin_from(&mut self, does: Option<Command>, since: MonoTime) {
        self.passed = does.map(|command| (command, since));
    }

    /// Takes what is known of the device at `now`.
    pub(crate) fn observe(&mut self, image: &ProcessImage, now: MonoTime) -> Vec<Notice> {
        let mut notices = Vec::new();
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
            let in_force = self.passed.filter(|(_, at)| now.since(*at) < self.dead_man);
            if !matches!(in_force, Some((Command::Power { .. }, _))) {
                self.total.put(&self.device, real_power_w);
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
        Some(match self.interlock.judge(at_now, now)? {
            Turn::Opened(why) => {
                self.passed = None;
                self.audit.tell(&self.device, "interlock-opened", json!({ "why": &why }));
                Notice::TakeBack(format!("interlock: {why}"))
            }
            Turn::Closed => {
                self.audit.tell(&self.device, "interlock-closed", json!({}));
                Notice::MayBeDriven
            }
        })
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
