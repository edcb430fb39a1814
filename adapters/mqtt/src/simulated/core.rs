//! What a simulated device does with commands: [`DeviceCore`], without I/O, over a [`Body`], which is the plant.

use super::SimulatedSettings;
use crate::session::Publication;
use crate::wire::{
    About, Ack, Action, FailSafeNameplate, FallBack, Held, LONGEST_VALIDITY, Order, Outcome, Part,
    PowerNameplate, Presence, Status, Telemetry, Topics, VERSION, id_of, to_json,
};
use gridloop_clock::{MonoTime, Utc};
use gridloop_device::{PointName, Quality, Unit, point};
use gridloop_plant::{Battery, CommandError, LivePlant, PvInverter, Revert};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Commands that are remembered, so that one that comes twice has one effect.
const REMEMBERED: usize = 64;

type Points = Vec<(PointName, f64, Unit, Quality)>;

/// A plant, as far as its firmware knows it.
pub(super) trait Body: Send + Sync {
    fn identity(&self) -> &'static str;
    fn nameplate(&self) -> PowerNameplate;
    fn points(&self) -> Points;
    fn held(&self) -> Option<Held>;
    fn hold(&self, power: Held, revert: Option<Fallback>) -> Result<(), CommandError>;
    fn release(&self) -> Result<(), CommandError>;
}

/// What a command gives way to, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fallback {
    after: Duration,
    to_w: f64,
}

impl Fallback {
    fn reverts(self) -> (Revert, Revert) {
        let Self { after, to_w } = self;
        (Revert { after, to: Some(to_w) }, Revert { after, to: Some(0.0) })
    }
}

/// The firmware of a simulated device.
pub(super) struct DeviceCore {
    settings: SimulatedSettings,
    topics: Topics,
    plant: Arc<dyn Body>,
    session: String,
    seq: u64,
    due: MonoTime,
    /// The date of the newest command that was accepted.
    newest: Option<Utc>,
    answered: VecDeque<Ack>,
    effects: u64,
}

impl DeviceCore {
    pub(super) fn new(settings: SimulatedSettings, plant: Arc<dyn Body>) -> Self {
        let topics = Topics::new(&settings.prefix, &settings.device_id);
        Self {
            settings,
            topics,
            plant,
            session: String::new(),
            seq: 0,
            due: MonoTime::default(),
            newest: None,
            answered: VecDeque::new(),
            effects: 0,
        }
    }

    pub(super) fn effects(&self) -> u64 {
        self.effects
    }

    /// A new connection; gives its last will.
    pub(super) fn begin_session(&mut self, session: String) -> Publication {
        self.session = session;
        self.seq = 0;
        self.status(Presence::Offline)
    }

    pub(super) fn connected(&mut self, now: MonoTime, utc: Utc) -> Vec<Publication> {
        self.due = now + self.settings.telemetry_interval;
        vec![self.about(), self.status(Presence::Online), self.telemetry(utc, None)]
    }

    pub(super) fn due(&self) -> MonoTime {
        self.due
    }

    pub(super) fn tick(&mut self, now: MonoTime, utc: Utc) -> Vec<Publication> {
        self.due = now + self.settings.telemetry_interval;
        vec![self.telemetry(utc, None)]
    }

    /// Takes a command, or says why not.
    pub(super) fn command(
        &mut self,
        payload: &[u8],
        retained: bool,
        _now: MonoTime,
        utc: Utc,
    ) -> Vec<Publication> {
        if let Some(id) = id_of(payload)
            && let Some(before) = self.answered.iter().find(|ack| ack.id == id)
        {
            return vec![self.publish(Part::Ack, to_json(before), false)];
        }
        let order = match Order::parse(payload) {
            Ok(order) => order,
            Err(flaw) => {
                tracing::warn!(%flaw, "a command that makes no sense");
                return id_of(payload).map(|id| self.answer(id, Err(flaw))).into_iter().collect();
            }
        };
        if let Err(reason) = self.acceptable(&order, retained, utc) {
            return vec![self.answer(order.id, Err(reason))];
        }
        let done = match order.action {
            Action::Report => return vec![self.telemetry(utc, Some(order.id))],
            Action::Release => self.plant.release(),
            Action::Power { power, keep } => {
                let valid_for = (order.valid_until - utc).to_std().unwrap_or_default();
                let after = valid_for.min(self.settings.hold_for);
                let revert = (!keep).then_some(Fallback { after, to_w: self.settings.fall_back_w });
                self.plant.hold(power, revert)
            }
        };
        if done.is_ok() {
            self.newest = Some(order.issued_at);
            self.effects += 1;
        }
        vec![self.answer(order.id, done.map_err(|error| error.to_string()))]
    }

    fn acceptable(&self, order: &Order, retained: bool, utc: Utc) -> Result<(), String> {
        if retained {
            return Err("a retained command is of unknown age".to_owned());
        }
        if utc >= order.valid_until {
            return Err(format!("it expired at {}; it is {utc} here", order.valid_until));
        }
        // What was issued longer ago than any command can be valid has expired.
        let newest = self.newest.filter(|newest| utc - *newest < chrono::Duration::seconds(VALIDITY_S));
        match newest {
            Some(newest) if order.issued_at < newest && order.action != Action::Report => {
                Err(format!("it was issued before the command in force, at {}", order.issued_at))
            }
            _ => Ok(()),
        }
    }

    fn answer(&mut self, id: String, done: Result<(), String>) -> Publication {
        let result = if done.is_ok() { Outcome::Accepted } else { Outcome::Refused };
        let ack = Ack { id, result, reason: done.err(), held: self.plant.held() };
        if self.answered.len() >= REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back(ack.clone());
        self.publish(Part::Ack, to_json(&ack), false)
    }

    fn about(&self) -> Publication {
        let about = About {
            gridloop: VERSION,
            identity: self.plant.identity().to_owned(),
            power: Some(self.plant.nameplate()),
            fail_safe: Some(FailSafeNameplate {
                after_s: self.settings.hold_for.as_secs_f64(),
                to: FallBack::Value,
            }),
            reports: true,
            interval_s: Some(self.settings.telemetry_interval.as_secs_f64()),
        };
        self.publish(Part::About, to_json(&about), true)
    }

    fn status(&self, status: Presence) -> Publication {
        self.publish(Part::Status, to_json(&Status { status, session: self.session.clone() }), true)
    }

    fn telemetry(&mut self, ts: Utc, request: Option<String>) -> Publication {
        self.seq += 1;
        let telemetry = Telemetry {
            ts,
            session: self.session.clone(),
            seq: self.seq,
            request,
            held: self.plant.held(),
            points: self.plant.points(),
        };
        Publication { assured: false, ..self.publish(Part::Telemetry, telemetry.to_json(), false) }
    }

    fn publish(&self, part: Part, payload: Vec<u8>, retained: bool) -> Publication {
        Publication { topic: self.topics.of(part), payload, retained, assured: true }
    }
}

/// [`LONGEST_VALIDITY`] in seconds.
const VALIDITY_S: i64 = LONGEST_VALIDITY.as_secs().cast_signed();

fn good(name: &str, value: f64, unit: Unit) -> (PointName, f64, Unit, Quality) {
    (name.into(), value, unit, Quality::Good)
}

impl Body for LivePlant<Battery> {
    fn identity(&self) -> &'static str {
        "gridloop simulated battery"
    }

    fn nameplate(&self) -> PowerNameplate {
        self.with(|battery| {
            let settings = battery.settings();
            PowerNameplate {
                min_w: -settings.rated_charge_power_w,
                max_w: settings.rated_discharge_power_w,
                max_var: settings.max_reactive_power_var,
                released_w: 0.0,
            }
        })
    }

    fn points(&self) -> Points {
        let outputs = self.with(|battery| battery.outputs());
        vec![
            good(point::REAL_POWER, outputs.real_power_w, Unit::Watt),
            good(point::REACTIVE_POWER, outputs.reactive_power_var, Unit::Var),
            good(point::VOLTAGE, outputs.voltage_v, Unit::Volt),
            good("current", outputs.current_a * 3.0, Unit::Ampere),
            good(point::FREQUENCY, outputs.frequency_hz, Unit::Hertz),
            good(point::STATE_OF_CHARGE, outputs.state_of_charge_percent, Unit::Percent),
            good("discharged_energy", outputs.discharged_wh, Unit::WattHour),
            good("charged_energy", outputs.charged_wh, Unit::WattHour),
        ]
    }

    fn held(&self) -> Option<Held> {
        self.with(|battery| held(battery.power_command().value(), battery.reactive_command().value()))
    }

    fn hold(&self, power: Held, fallback: Option<Fallback>) -> Result<(), CommandError> {
        let (real, reactive) = fallback.map(Fallback::reverts).unzip();
        self.with(|battery| {
            let mut next = battery.clone();
            next.command_power(Some(power.real_power_w), real)?;
            next.command_reactive(Some(power.reactive_power_var), reactive)?;
            *battery = next;
            Ok(())
        })
    }

    fn release(&self) -> Result<(), CommandError> {
        self.with(|battery| {
            battery.command_power(None, None)?;
            battery.command_reactive(None, None)
        })
    }
}

impl Body for LivePlant<PvInverter> {
    fn identity(&self) -> &'static str {
        "gridloop simulated PV inverter"
    }

    fn nameplate(&self) -> PowerNameplate {
        let rating = self.with(|inverter| inverter.settings().rated_power_w);
        PowerNameplate { min_w: 0.0, max_w: rating, max_var: rating, released_w: rating }
    }

    fn points(&self) -> Points {
        let outputs = self.with(|inverter| inverter.outputs());
        vec![
            good(point::REAL_POWER, outputs.real_power_w, Unit::Watt),
            good(point::REACTIVE_POWER, outputs.reactive_power_var, Unit::Var),
            good(point::VOLTAGE, outputs.voltage_v, Unit::Volt),
            good("current", outputs.current_a * 3.0, Unit::Ampere),
            good(point::FREQUENCY, outputs.frequency_hz, Unit::Hertz),
            good("energy", outputs.energy_wh, Unit::WattHour),
        ]
    }

    fn held(&self) -> Option<Held> {
        self.with(|inverter| held(inverter.power_limit().value(), inverter.reactive_command().value()))
    }

    fn hold(&self, power: Held, fallback: Option<Fallback>) -> Result<(), CommandError> {
        let (real, reactive) = fallback.map(Fallback::reverts).unzip();
        self.with(|inverter| {
            let mut next = inverter.clone();
            next.limit_power(Some(power.real_power_w), real)?;
            next.command_reactive(Some(power.reactive_power_var), reactive)?;
            *inverter = next;
            Ok(())
        })
    }

    fn release(&self) -> Result<(), CommandError> {
        self.with(|inverter| {
            inverter.limit_power(None, None)?;
            inverter.command_reactive(None, None)
        })
    }
}

fn held(real_power_w: Option<f64>, reactive_power_var: Option<f64>) -> Option<Held> {
    Some(Held { real_power_w: real_power_w?, reactive_power_var: reactive_power_var? })
}

#[cfg(test)]
mod tests;
