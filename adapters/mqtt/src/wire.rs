//! The messages of the `gridloop` profile, to and from JSON: [`About`], [`Status`], [`Telemetry`], [`Order`], [`Ack`].
//!
//! docs/mqtt.md is the contract; this is its only implementation, for both sides. Decoding never trusts: sizes are
//! bounded, members must not repeat, numbers are finite (JSON has no others), and what does not fit is an error that
//! says what. A value that cannot be believed becomes absent, never a number that looks good.

mod json;

use chrono::{DateTime, SecondsFormat};
use gridloop_clock::Utc;
use gridloop_device::{Capabilities, Command, FailSafe, PointName, PowerRange, Quality, Unit, point};
use json::{Points, required};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of the contract in docs/mqtt.md.
pub(crate) const VERSION: u32 = 1;

/// The longest message that is looked at, in bytes.
pub(crate) const MOST_TEXT: usize = 64 * 1024;

/// The most points that one telemetry message may have.
pub(crate) const MOST_POINTS: usize = 128;

/// The longest time for which a command may be valid. What was issued earlier than that can no longer do harm.
pub(crate) const LONGEST_VALIDITY: Duration = Duration::from_hours(1);

/// What is wrong with a message.
pub(crate) type Flaw = String;

/// Topics of one device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Topics {
    root: String,
}

/// The parts of a device's topics, after its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    About,
    Status,
    Telemetry,
    Command,
    Ack,
}

impl Part {
    pub(crate) const ALL: [Self; 5] = [Self::About, Self::Status, Self::Telemetry, Self::Command, Self::Ack];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::About => "about",
            Self::Status => "status",
            Self::Telemetry => "telemetry",
            Self::Command => "cmd",
            Self::Ack => "ack",
        }
    }
}

/// Whether a payload is a message of the `gridloop` profile, by the last level of its topic: `about`, `status`,
/// `telemetry`, `cmd` or `ack` (docs/mqtt.md).
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_message(level: &str, payload: &[u8]) -> Result<(), String> {
    let checked = match level {
        "about" => About::parse(payload).map(drop),
        "status" => Status::parse(payload).map(drop),
        "telemetry" => Telemetry::parse(payload).map(drop),
        "cmd" => Order::parse(payload).map(drop),
        "ack" => Ack::parse(payload).map(drop),
        other => return Err(format!("no message of the profile has a topic that ends with {other:?}")),
    };
    checked.map_err(|flaw| flaw.to_string())
}

impl Topics {
    pub(crate) fn new(prefix: &str, device: &str) -> Self {
        Self { root: format!("{prefix}/{device}") }
    }

    pub(crate) fn of(&self, part: Part) -> String {
        format!("{}/{}", self.root, part.word())
    }

    pub(crate) fn part(&self, topic: &str) -> Option<Part> {
        let word = topic.strip_prefix(&self.root)?.strip_prefix('/')?;
        Part::ALL.into_iter().find(|part| part.word() == word)
    }
}

/// What a device says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The version of the contract.
    pub(crate) gridloop: u32,
    /// Manufacturer, model, serial number.
    pub(crate) identity: String,
    /// The powers that it can be told.
    #[serde(default)]
    pub(crate) power: Option<PowerNameplate>,
    /// What it does when commands cease.
    #[serde(default)]
    pub(crate) fail_safe: Option<FailSafeNameplate>,
    /// Whether it answers the command `report`.
    #[serde(default)]
    pub(crate) reports: bool,
    /// The longest time between two telemetry messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval_s: Option<f64>,
}

/// The range of powers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PowerNameplate {
    pub(crate) min_w: f64,
    pub(crate) max_w: f64,
    pub(crate) max_var: f64,
    /// The real power, or its ceiling, while nobody commands it.
    pub(crate) released_w: f64,
}

/// The device's own timer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct FailSafeNameplate {
    /// How long a command holds.
    pub(crate) after_s: f64,
    /// What comes then.
    pub(crate) to: FallBack,
}

/// What a command gives way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FallBack {
    /// A value that the device knows.
    Value,
    /// No command at all.
    Free,
}

impl About {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Flaw> {
        let about: Self = json::parse("about", payload)?;
        if about.gridloop != VERSION {
            return Err(format!(
                "about: version {} of the contract; this is version {VERSION}",
                about.gridloop
            ));
        }
        if let Some(power) = about.power {
            let PowerNameplate { min_w, max_w, max_var, released_w } = power;
            if !(min_w <= max_w && max_var >= 0.0 && (min_w..=max_w).contains(&released_w)) {
                return Err("about: power: expected min_w <= released_w <= max_w and max_var >= 0".to_owned());
            }
        }
        if about.fail_safe.is_some_and(|it| !(0.1..=86_400.0).contains(&it.after_s)) {
            return Err("about: fail_safe: after_s is not from 0.1 to 86400".to_owned());
        }
        if about.interval_s.is_some_and(|seconds| !(0.001..=3600.0).contains(&seconds)) {
            return Err("about: interval_s is not from 0.001 to 3600".to_owned());
        }
        Ok(about)
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        let power = self.power.map(|it| PowerRange { min_w: it.min_w, max_w: it.max_w, max_var: it.max_var });
        Capabilities { power, ..Capabilities::default() }
    }

    pub(crate) fn fail_safe(&self) -> FailSafe {
        let Some(FailSafeNameplate { after_s, to }) = self.fail_safe else { return FailSafe::None };
        let after = Duration::from_secs_f64(after_s);
        match to {
            FallBack::Value => FailSafe::RevertsToValue { after, to_w: None },
            FallBack::Free => FailSafe::RevertsToFree { after },
        }
    }
}

/// Whether a device is there. The last will says that it is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) status: Presence,
    /// The device's connection that this is about.
    pub(crate) session: String,
}

/// The two words of a [`Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    Online,
    Offline,
}

impl Status {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Flaw> {
        json::parse("status", payload)
    }
}

/// A power that a device holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) real_power_w: f64,
    pub(crate) reactive_power_var: f64,
}

impl From<Held> for Command {
    fn from(held: Held) -> Self {
        Self::Power { real_power_w: held.real_power_w, reactive_power_var: held.reactive_power_var }
    }
}

#[derive(Serialize, Deserialize)]
struct TelemetryShape {
    ts: String,
    session: String,
    seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quality: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(deserialize_with = "required")]
    held: Option<Held>,
    points: Points,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PointShape {
    #[serde(deserialize_with = "required")]
    value: Option<f64>,
    unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quality: Option<String>,
}

/// A reading of a device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Telemetry {
    /// When it was taken, by the device's clock.
    pub(crate) ts: Utc,
    pub(crate) session: String,
    /// It grows with every message of a session.
    pub(crate) seq: u64,
    /// The `report` that it answers.
    pub(crate) request: Option<String>,
    /// The command that the device holds; `None`: nobody commands it.
    pub(crate) held: Option<Held>,
    /// What can be believed.
    pub(crate) points: Vec<(PointName, f64, Unit, Quality)>,
}

impl Telemetry {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Flaw> {
        let shape: TelemetryShape = json::parse("telemetry", payload)?;
        let whole = shape.quality.as_deref().map_or(Quality::Good, quality);
        let points = shape.points.0.into_iter().filter_map(|(name, point)| believed(name, &point, whole));
        Ok(Self {
            ts: time("telemetry: ts", &shape.ts)?,
            points: points.collect(),
            session: shape.session,
            seq: shape.seq,
            request: shape.request,
            held: shape.held,
        })
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let points = self.points.iter().map(|(name, value, unit, quality)| {
            let unit = unit.ucum().to_owned();
            let quality = (*quality != Quality::Good).then(|| quality_word(*quality).to_owned());
            (name.to_string(), PointShape { value: Some(*value), unit, quality })
        });
        json::text(&TelemetryShape {
            ts: written(self.ts),
            session: self.session.clone(),
            seq: self.seq,
            quality: None,
            request: self.request.clone(),
            held: self.held,
            points: Points(points.collect()),
        })
    }
}

/// A point as far as it can be believed: without a value, with a name or a unit that it cannot have, it is absent.
fn believed(name: String, given: &PointShape, whole: Quality) -> Option<(PointName, f64, Unit, Quality)> {
    let value = given.value.filter(|value| value.is_finite())?;
    let unit = unit(&given.unit)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return None;
    }
    let mut quality = given.quality.as_deref().map_or(Quality::Good, quality).max(whole);
    if let Some((expected, lowest, highest)) = known(&name) {
        if unit != expected {
            return None;
        }
        if !(lowest..=highest).contains(&value) {
            quality = quality.max(Quality::OutOfRange);
        }
    }
    Some((name.into(), value, unit, quality))
}

/// The unit that a well-known point has, and between what it can be true.
pub(crate) fn known(name: &str) -> Option<(Unit, f64, f64)> {
    Some(match name {
        point::REAL_POWER => (Unit::Watt, -1e9, 1e9),
        point::REACTIVE_POWER => (Unit::Var, -1e9, 1e9),
        point::VOLTAGE => (Unit::Volt, 0.0, 1e6),
        point::FREQUENCY => (Unit::Hertz, 0.0, 1000.0),
        point::STATE_OF_CHARGE => (Unit::Percent, 0.0, 100.0),
        _ => return None,
    })
}

/// A unit by its UCUM code.
pub(crate) fn unit(code: &str) -> Option<Unit> {
    UNITS.into_iter().find(|unit| unit.ucum() == code)
}

/// All units.
pub(crate) const UNITS: [Unit; 11] = [
    Unit::Watt,
    Unit::Var,
    Unit::VoltAmpere,
    Unit::WattHour,
    Unit::Volt,
    Unit::Ampere,
    Unit::Hertz,
    Unit::Celsius,
    Unit::Percent,
    Unit::Second,
    Unit::One,
];

/// A quality by its word. A word that we do not know says that something is the matter.
fn quality(word: &str) -> Quality {
    match word {
        "good" => Quality::Good,
        "stale" => Quality::Stale,
        "out-of-range" => Quality::OutOfRange,
        "comm-lost" => Quality::CommLost,
        "substituted" => Quality::Substituted,
        _ => Quality::Questionable,
    }
}

fn quality_word(quality: Quality) -> &'static str {
    match quality {
        Quality::Good => "good",
        Quality::Stale => "stale",
        Quality::Questionable => "questionable",
        Quality::OutOfRange => "out-of-range",
        Quality::CommLost => "comm-lost",
        Quality::Substituted => "substituted",
    }
}

/// A command on its way to a device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: String,
    /// Commands of an earlier date than one that was accepted are refused: they were held up on the way.
    pub(crate) issued_at: Utc,
    /// After this the command must not be carried out, and no longer be held.
    pub(crate) valid_until: Utc,
    pub(crate) action: Action,
}

/// What a device is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Action {
    /// Hold this power; with `keep` it does not give way by itself.
    Power { power: Held, keep: bool },
    /// Hold no command.
    Release,
    /// Send telemetry now.
    Report,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderShape {
    id: String,
    issued_at: String,
    valid_until: String,
    command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    real_power_w: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reactive_power_var: Option<f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    keep: bool,
}

impl Order {
    /// Reads a command. It is strict: a member that this side does not know could change what the command means.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Flaw> {
        let shape: OrderShape = json::parse("cmd", payload)?;
        if shape.id.is_empty() || shape.id.len() > 64 || !shape.id.chars().all(|c| c.is_ascii_graphic()) {
            return Err("cmd: id: expected 1 to 64 printable characters".to_owned());
        }
        let action = match (shape.command.as_str(), shape.real_power_w, shape.reactive_power_var) {
            ("power", Some(real_power_w), Some(reactive_power_var)) => {
                Action::Power { power: Held { real_power_w, reactive_power_var }, keep: shape.keep }
            }
            ("power", _, _) => {
                return Err("cmd: power needs real_power_w and reactive_power_var".to_owned());
            }
            ("release", None, None) if !shape.keep => Action::Release,
            ("report", None, None) if !shape.keep => Action::Report,
            ("release" | "report", _, _) => return Err(format!("cmd: {} takes no power", shape.command)),
            (other, _, _) => {
                return Err(format!("cmd: unknown command `{other:.32}`, expected power, release or report"));
            }
        };
        let issued_at = time("cmd: issued_at", &shape.issued_at)?;
        let valid_until = time("cmd: valid_until", &shape.valid_until)?;
        if (valid_until - issued_at).to_std().is_ok_and(|validity| validity > LONGEST_VALIDITY) {
            return Err(format!("cmd: valid for longer than {LONGEST_VALIDITY:?}"));
        }
        Ok(Self { id: shape.id, issued_at, valid_until, action })
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let (command, power, keep) = match self.action {
            Action::Power { power, keep } => ("power", Some(power), keep),
            Action::Release => ("release", None, false),
            Action::Report => ("report", None, false),
        };
        json::text(&OrderShape {
            id: self.id.clone(),
            issued_at: written(self.issued_at),
            valid_until: written(self.valid_until),
            command: command.to_owned(),
            real_power_w: power.map(|power| power.real_power_w),
            reactive_power_var: power.map(|power| power.reactive_power_var),
            keep,
        })
    }
}

/// The id of a command that cannot be read otherwise, so that its refusal can be told.
pub(crate) fn id_of(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct OnlyId {
        id: String,
    }
    let only: OnlyId = json::parse("cmd", payload).ok()?;
    let fits = (1..=64).contains(&only.id.len()) && only.id.chars().all(|c| c.is_ascii_graphic());
    fits.then_some(only.id)
}

/// What a device did with a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ack {
    pub(crate) id: String,
    pub(crate) result: Outcome,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What the device holds now.
    #[serde(deserialize_with = "required")]
    pub(crate) held: Option<Held>,
}

/// The two words of an [`Ack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Accepted,
    Refused,
}

impl Ack {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Flaw> {
        json::parse("ack", payload)
    }
}

/// The JSON text of a message.
pub(crate) fn to_json(message: &impl Serialize) -> Vec<u8> {
    json::text(message)
}

fn time(what: &str, text: &str) -> Result<Utc, Flaw> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| format!("{what}: `{text:.40}` is no time such as 2026-06-21T12:00:00.000Z"))
}

fn written(time: Utc) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests;
