//! Topics of existing equipment as data: a [`Profile`] is read from TOML and says which topic carries which
//! [`PointSpec`], where in its JSON, in which scale and unit, and how a command is written and read back. Errors say
//! where in the file they are and what was expected there.

mod parse;

use gridloop_device::{FailSafe, PointName, PowerRange, Quality, Unit};
use std::time::Duration;

/// What the topics of one kind of equipment mean. `{prefix}` and `{device}` stand for what the configuration says.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The name of the kind of equipment, for people.
    pub name: String,
    /// How it says that it is there, if it does.
    pub status: Option<StatusSpec>,
    /// What it wants to hear so that it goes on talking, if anything.
    pub keepalive: Option<KeepAlive>,
    /// Its points, in the order of the file.
    pub points: Vec<PointSpec>,
    /// How it takes a power, if it does.
    pub power: Option<PowerCommand>,
}

/// A place where a value is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// Where in the JSON of the message (RFC 6901); `None`: the message is the value.
    pub pointer: Option<String>,
}

/// How equipment says that it is there.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusSpec {
    /// Where.
    pub place: Place,
    /// What it says then; anything else means that it is not.
    pub online: String,
}

/// What equipment wants to hear.
#[derive(Debug, Clone, PartialEq)]
pub struct KeepAlive {
    /// The topic.
    pub topic: String,
    /// The message.
    pub payload: String,
    /// How often.
    pub interval: Duration,
}

/// One point. Its value is `raw * scale + offset`, in `unit`.
#[derive(Debug, Clone, PartialEq)]
pub struct PointSpec {
    /// Its name in snapshots.
    pub name: PointName,
    /// Where it is told.
    pub place: Place,
    /// What one raw unit is worth.
    pub scale: f64,
    /// What raw zero is worth.
    pub offset: f64,
    /// The unit of the value.
    pub unit: Unit,
    /// The raw number that means "no value".
    pub sentinel: Option<f64>,
    /// The lowest and highest value that can be true.
    pub valid: Option<(f64, f64)>,
    /// From which age on it is no longer good.
    pub stale_after: Duration,
}

/// How equipment takes a real power, in W: the raw number is `(W - offset) / scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerCommand {
    /// The topic of the command.
    pub topic: String,
    /// The message; `{value}` stands for the raw number.
    pub payload: String,
    /// What one raw unit is worth, in W.
    pub scale: f64,
    /// What raw zero is worth, in W.
    pub offset: f64,
    /// Digits after the point.
    pub decimals: usize,
    /// Where it tells what it holds, raw.
    pub readback: Place,
    /// How far that may be from what it was told, in W.
    pub tolerance_w: f64,
    /// How long it may take to tell it.
    pub confirm_within: Duration,
    /// What gives control back, in W.
    pub release_w: f64,
    /// What it can be told, from `[limits]`.
    pub range: PowerRange,
    /// What it does when it is no longer told anything.
    pub fail_safe: FailSafe,
}

/// What a message says of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// No value.
    Absent,
    /// A value in the point's unit; [`Quality::OutOfRange`] outside the valid range, else [`Quality::Good`].
    Value(f64, Quality),
}

/// Where a profile is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ProfileError {
    /// The file, as it was named to [`Profile::parse`].
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1 in characters.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Profile {
    /// Reads a profile. `file` is only named in errors.
    ///
    /// # Errors
    /// The first thing in the file that is not as it must be.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        parse::profile(file, text)
    }

    /// The profile with the placeholders of its topics filled in.
    #[must_use]
    pub fn filled(mut self, prefix: &str, device: &str) -> Self {
        let fill =
            |topic: &mut String| *topic = topic.replace("{prefix}", prefix).replace("{device}", device);
        self.points.iter_mut().for_each(|point| fill(&mut point.place.topic));
        if let Some(status) = &mut self.status {
            fill(&mut status.place.topic);
        }
        if let Some(keepalive) = &mut self.keepalive {
            fill(&mut keepalive.topic);
        }
        if let Some(power) = &mut self.power {
            fill(&mut power.topic);
            fill(&mut power.readback.topic);
        }
        self
    }
}

impl Place {
    /// The text that a message has at this place; numbers and truth values as JSON writes them. `None`: nothing.
    pub(crate) fn text(&self, payload: &[u8]) -> Option<String> {
        if payload.len() > crate::wire::MOST_TEXT {
            return None;
        }
        let Some(pointer) = &self.pointer else {
            return std::str::from_utf8(payload).ok().map(|text| text.trim().to_owned());
        };
        let message: serde_json::Value = serde_json::from_slice(payload).ok()?;
        match message.pointer(pointer)? {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The number that a message has at this place. In JSON it must be a number, not a text that looks like one.
    pub(crate) fn number(&self, payload: &[u8]) -> Option<f64> {
        if payload.len() > crate::wire::MOST_TEXT {
            return None;
        }
        let number = match &self.pointer {
            None => std::str::from_utf8(payload).ok()?.trim().parse().ok()?,
            Some(pointer) => {
                let message: serde_json::Value = serde_json::from_slice(payload).ok()?;
                message.pointer(pointer)?.as_f64()?
            }
        };
        Some(number).filter(|number: &f64| number.is_finite())
    }
}

impl PointSpec {
    /// What a message says of it.
    #[must_use]
    pub fn decode(&self, payload: &[u8]) -> Reading {
        let Some(raw) = self.place.number(payload).filter(|raw| self.sentinel != Some(*raw)) else {
            return Reading::Absent;
        };
        let value = raw * self.scale + self.offset;
        if !value.is_finite() {
            return Reading::Absent;
        }
        let inside = self.valid.is_none_or(|(low, high)| (low..=high).contains(&value));
        Reading::Value(value, if inside { Quality::Good } else { Quality::OutOfRange })
    }
}

impl PowerCommand {
    /// The message for a power, and the power that it really asks for: the nearest one that can be told and is in the
    /// range. `None`: neither the power nor what it rounds to is.
    #[must_use]
    pub fn encode(&self, watts: f64) -> Option<(String, f64)> {
        let PowerRange { min_w, max_w, .. } = self.range;
        if !(min_w..=max_w).contains(&watts) {
            return None;
        }
        let raw: f64 = self.number((watts - self.offset) / self.scale).parse().ok()?;
        let step = 0.1_f64.powi(i32::try_from(self.decimals).ok()?);
        // What the arithmetic of the computer adds is no power.
        let slack = min_w.abs().max(max_w.abs()) * 1e-12;
        let mut told = [raw, raw - step, raw + step].into_iter().map(|raw| {
            let text = self.number(raw);
            let asked_w = text.parse::<f64>().unwrap_or(f64::NAN) * self.scale + self.offset;
            (text, asked_w)
        });
        let (text, asked_w) = told.find(|(_, asked_w)| (min_w - slack..=max_w + slack).contains(asked_w))?;
        Some((self.payload.replace("{value}", &text), asked_w))
    }

    /// A raw number in the digits of the command.
    fn number(&self, raw: f64) -> String {
        let text = format!("{raw:.*}", self.decimals);
        // What rounds to nothing is nothing, without a sign.
        let zero = text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.'));
        if zero { text.trim_start_matches('-').to_owned() } else { text }
    }

    /// The power that a message of the read-back topic tells, in W.
    #[must_use]
    pub fn decode(&self, payload: &[u8]) -> Option<f64> {
        self.readback.number(payload).map(|raw| raw * self.scale + self.offset)
    }
}

#[cfg(test)]
mod tests;
