//! From TOML to a [`Profile`]: the file's own shape, then what must hold between its parts.

use super::{KeepAlive, Place, PointSpec, PowerCommand, Profile, ProfileError, StatusSpec};
use crate::wire::{UNITS, known, unit as unit_of};
use gridloop_device::{FailSafe, PowerRange, Unit};
use serde::Deserialize;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// Points that a profile may have.
const MOST_POINTS: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    name: String,
    status: Option<StatusShape>,
    keepalive: Option<KeepAliveShape>,
    #[serde(default)]
    point: Vec<PointShape>,
    power: Option<PowerShape>,
    limits: Option<Spanned<LimitsShape>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusShape {
    topic: Spanned<String>,
    pointer: Option<Spanned<String>>,
    online: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepAliveShape {
    topic: Spanned<String>,
    payload: String,
    interval_s: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointShape {
    name: Spanned<String>,
    topic: Spanned<String>,
    pointer: Option<Spanned<String>>,
    scale: Option<Spanned<f64>>,
    offset: Option<Spanned<f64>>,
    unit: Spanned<String>,
    sentinel: Option<f64>,
    valid: Option<Spanned<(f64, f64)>>,
    stale_after_s: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerShape {
    topic: Spanned<String>,
    payload: Spanned<String>,
    scale: Option<Spanned<f64>>,
    offset: Option<Spanned<f64>>,
    decimals: Option<Spanned<u8>>,
    readback_topic: Spanned<String>,
    readback_pointer: Option<Spanned<String>>,
    tolerance_w: Spanned<f64>,
    confirm_within_s: Spanned<f64>,
    release_w: Spanned<f64>,
    reverts_after_s: Option<Spanned<f64>>,
    reverts_to: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsShape {
    min_w: f64,
    max_w: f64,
}

/// An error at a place in the text, which [`profile`] turns into line and column.
struct Misfit {
    at: usize,
    message: String,
}

fn misfit<T>(at: &Range<usize>, message: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { at: at.start, message: message.into() })
}

pub(super) fn profile(file: &str, text: &str) -> Result<Profile, ProfileError> {
    toml::from_str::<FileShape>(text)
        .map_err(|error| Misfit {
            at: error.span().map_or(0, |span| span.start),
            message: error.message().to_owned(),
        })
        .and_then(checked)
        .map_err(|Misfit { at, message }| {
            let before = text.get(..at).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            ProfileError {
                file: file.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                message,
            }
        })
}

fn checked(shape: FileShape) -> Result<Profile, Misfit> {
    let mut points: Vec<PointSpec> = Vec::new();
    for raw in shape.point {
        let span = raw.name.span();
        let point = checked_point(raw)?;
        if points.iter().any(|earlier| earlier.name == point.name) {
            return misfit(&span, format!("a second point named `{}`", point.name));
        }
        if points.len() >= MOST_POINTS {
            return misfit(&span, format!("more than {MOST_POINTS} points"));
        }
        points.push(point);
    }
    if points.is_empty() {
        return misfit(&(0..0), "expected a [[point]] at least");
    }
    let status = shape.status.map(|raw| {
        let place = place(&raw.topic, raw.pointer.as_ref())?;
        Ok(StatusSpec { place, online: raw.online })
    });
    let keepalive = shape.keepalive.map(|raw| {
        let interval = seconds(&raw.interval_s, 1.0, 3600.0)?;
        Ok(KeepAlive { topic: topic(&raw.topic)?, payload: raw.payload, interval })
    });
    let power = match (shape.power, shape.limits) {
        (Some(raw), Some(limits)) => Some(checked_power(raw, &limits)?),
        (Some(raw), None) => {
            return misfit(&raw.topic.span(), "a command needs [limits] with min_w and max_w");
        }
        (None, Some(limits)) => return misfit(&limits.span(), "limits of what? there is no [power]"),
        (None, None) => None,
    };
    Ok(Profile {
        name: shape.name,
        status: status.transpose()?,
        keepalive: keepalive.transpose()?,
        points,
        power,
    })
}

fn checked_point(raw: PointShape) -> Result<PointSpec, Misfit> {
    let name = raw.name.get_ref();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return misfit(&raw.name.span(), "expected a name of lower-case letters, digits and `_`");
    }
    let unit = unit(&raw.unit)?;
    let valid = raw.valid.as_ref().map(|valid| {
        let (low, high) = *valid.get_ref();
        if low.is_finite() && high.is_finite() && low <= high {
            return Ok((low, high));
        }
        misfit(&valid.span(), "expected [lowest, highest], both finite and in this order")
    });
    let mut valid = valid.transpose()?;
    if let Some((expected, lowest, highest)) = known(name) {
        if unit != expected {
            let message = format!("the point `{name}` is in `{}`; use scale to convert it", expected.ucum());
            return misfit(&raw.unit.span(), message);
        }
        valid = Some(valid.map_or((lowest, highest), |(low, high)| (low.max(lowest), high.min(highest))));
    }
    Ok(PointSpec {
        place: place(&raw.topic, raw.pointer.as_ref())?,
        scale: factor(raw.scale)?,
        offset: finite(raw.offset)?,
        unit,
        sentinel: raw.sentinel,
        valid,
        stale_after: seconds(&raw.stale_after_s, 0.1, 86_400.0)?,
        name: raw.name.into_inner().into(),
    })
}

fn checked_power(raw: PowerShape, limits: &Spanned<LimitsShape>) -> Result<PowerCommand, Misfit> {
    let LimitsShape { min_w, max_w } = *limits.get_ref();
    if !(min_w.is_finite() && max_w.is_finite() && min_w <= max_w) {
        return misfit(&limits.span(), "expected min_w <= max_w, both finite");
    }
    if raw.payload.get_ref().matches("{value}").count() != 1 {
        return misfit(&raw.payload.span(), "expected `{value}` once, where the number goes");
    }
    let decimals = raw.decimals.as_ref().map_or(0, |decimals| *decimals.get_ref());
    if let Some(given) = raw.decimals.filter(|given| *given.get_ref() > 9) {
        return misfit(&given.span(), "expected 0 to 9 digits");
    }
    if !(min_w..=max_w).contains(raw.release_w.get_ref()) {
        return misfit(&raw.release_w.span(), format!("not from {min_w} to {max_w} W, the [limits]"));
    }
    if !(0.0..=1e6).contains(raw.tolerance_w.get_ref()) {
        return misfit(&raw.tolerance_w.span(), "expected 0 to 1e6 W");
    }
    let topic = topic(&raw.topic)?;
    let readback = place(&raw.readback_topic, raw.readback_pointer.as_ref())?;
    if topic == readback.topic {
        return misfit(
            &raw.readback_topic.span(),
            "this is the command's own topic: it would read back itself",
        );
    }
    let release = raw.release_w.span();
    let command = PowerCommand {
        topic,
        payload: raw.payload.into_inner(),
        scale: factor(raw.scale)?,
        offset: finite(raw.offset)?,
        decimals: decimals.into(),
        readback,
        tolerance_w: raw.tolerance_w.into_inner(),
        confirm_within: seconds(&raw.confirm_within_s, 0.1, 600.0)?,
        release_w: raw.release_w.into_inner(),
        range: PowerRange { min_w, max_w, max_var: 0.0 },
        fail_safe: fail_safe(raw.reverts_after_s.as_ref(), raw.reverts_to.as_ref())?,
    };
    if command.encode(command.release_w).is_none() {
        return misfit(&release, "rounded to scale and decimals, it is outside the [limits]");
    }
    Ok(command)
}

fn fail_safe(after: Option<&Spanned<f64>>, to: Option<&Spanned<String>>) -> Result<FailSafe, Misfit> {
    match (after, to) {
        (None, None) => Ok(FailSafe::None),
        (Some(after), Some(to)) => {
            let time = seconds(after, 0.1, 86_400.0)?;
            match to.get_ref().as_str() {
                "value" => Ok(FailSafe::RevertsToValue { after: time, to_w: None }),
                "free" => Ok(FailSafe::RevertsToFree { after: time }),
                _ => misfit(
                    &to.span(),
                    "expected \"value\" (it goes to one of its own) or \"free\" (no command)",
                ),
            }
        }
        (Some(lonely), None) => misfit(&lonely.span(), "needs reverts_to beside it"),
        (None, Some(lonely)) => misfit(&lonely.span(), "needs reverts_after_s beside it"),
    }
}

fn place(at: &Spanned<String>, pointer: Option<&Spanned<String>>) -> Result<Place, Misfit> {
    if let Some(pointer) = pointer
        && !pointer.get_ref().is_empty()
        && !pointer.get_ref().starts_with('/')
    {
        return misfit(&pointer.span(), "expected a JSON pointer such as \"/value\"");
    }
    Ok(Place { topic: topic(at)?, pointer: pointer.map(|pointer| pointer.get_ref().clone()) })
}

/// A topic: no wildcards, and no placeholders but the two.
fn topic(given: &Spanned<String>) -> Result<String, Misfit> {
    let text = given.get_ref();
    let bare = text.replace("{prefix}", "p").replace("{device}", "d");
    if bare.contains(['{', '}']) {
        return misfit(&given.span(), "the placeholders of a topic are {prefix} and {device}");
    }
    if bare.is_empty() || bare.len() > 512 || bare.contains(['+', '#']) || bare.chars().any(char::is_control)
    {
        return misfit(&given.span(), "expected a topic without wildcards, of 1 to 512 characters");
    }
    Ok(text.clone())
}

fn seconds(given: &Spanned<f64>, lowest: f64, highest: f64) -> Result<Duration, Misfit> {
    let value = *given.get_ref();
    if (lowest..=highest).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    misfit(&given.span(), format!("expected a time from {lowest} to {highest} seconds"))
}

fn factor(given: Option<Spanned<f64>>) -> Result<f64, Misfit> {
    let Some(given) = given else { return Ok(1.0) };
    if given.get_ref().is_normal() {
        return Ok(given.into_inner());
    }
    misfit(&given.span(), "expected a finite number other than zero")
}

fn finite(given: Option<Spanned<f64>>) -> Result<f64, Misfit> {
    let Some(given) = given else { return Ok(0.0) };
    if given.get_ref().is_finite() {
        return Ok(given.into_inner());
    }
    misfit(&given.span(), "expected a finite number")
}

fn unit(given: &Spanned<String>) -> Result<Unit, Misfit> {
    if let Some(unit) = unit_of(given.get_ref()) {
        return Ok(unit);
    }
    let known = UNITS.map(Unit::ucum).join("`, `");
    misfit(&given.span(), format!("unknown unit `{}`, expected one of `{known}`", given.get_ref()))
}
