//! From TOML to a [`Profile`]: the file's own shape, then what must hold between its parts.

use super::{PointSpec, Profile, ProfileError, RegisterType, Table, TapPulse, VoltageSetpoint, WordOrder};
use gridloop_device::{PointName, Unit};
use serde::Deserialize;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    name: String,
    #[serde(default)]
    point: Vec<PointShape>,
    #[serde(default)]
    commands: CommandsShape,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointShape {
    name: Spanned<String>,
    table: Table,
    address: Spanned<u16>,
    #[serde(rename = "type")]
    kind: RegisterType,
    #[serde(default)]
    word_order: WordOrder,
    scale: Option<Spanned<f64>>,
    offset: Option<Spanned<f64>>,
    unit: Spanned<String>,
    sentinel: Option<Spanned<u32>>,
    valid: Option<Spanned<(f64, f64)>>,
    writable: Option<Spanned<bool>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct CommandsShape {
    tap_pulse: Option<TapPulseShape>,
    voltage_setpoint: Option<VoltageSetpointShape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TapPulseShape {
    address: u16,
    max_step: Spanned<u16>,
    position: Spanned<String>,
    lowest: Spanned<String>,
    highest: Spanned<String>,
    remote: Option<RemoteShape>,
    motor_pause: Option<Spanned<String>>,
    confirm_within_s: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoteShape {
    point: Spanned<String>,
    value: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VoltageSetpointShape {
    point: Spanned<String>,
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
        points.push(point);
    }
    let tap_pulse = shape.commands.tap_pulse.map(|raw| checked_tap_pulse(raw, &points)).transpose()?;
    let voltage_setpoint =
        shape.commands.voltage_setpoint.map(|raw| checked_voltage(&raw, &points)).transpose()?;
    Ok(Profile { name: shape.name, points, tap_pulse, voltage_setpoint })
}

fn checked_point(raw: PointShape) -> Result<PointSpec, Misfit> {
    let name = raw.name.get_ref();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return misfit(&raw.name.span(), "expected a name of lower-case letters, digits and `_`");
    }
    let address = *raw.address.get_ref();
    if u32::from(address) + u32::from(raw.kind.registers()) > 65_536 {
        return misfit(&raw.address.span(), "the point reaches beyond register 65535");
    }
    let scale = finite(raw.scale, 1.0)?;
    let writable = raw.writable.as_ref().is_some_and(|writable| *writable.get_ref());
    if let Some(at) = raw.writable.as_ref().filter(|_| writable && raw.table == Table::Input) {
        return misfit(&at.span(), "input registers cannot be written");
    }
    if let Some(valid) = &raw.valid {
        let (low, high) = *valid.get_ref();
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return misfit(&valid.span(), "expected [lowest, highest], both finite and in this order");
        }
    }
    if let Some(sentinel) = &raw.sentinel {
        let bits = *sentinel.get_ref();
        if raw.kind == RegisterType::F32 {
            return misfit(&sentinel.span(), "a float needs no sentinel: NaN always means \"no value\"");
        }
        if raw.kind.registers() == 1 && bits > u32::from(u16::MAX) {
            return misfit(&sentinel.span(), "expected a bit pattern of 16 bits, 0 to 0xFFFF");
        }
    }
    Ok(PointSpec {
        unit: unit(&raw.unit)?,
        name: raw.name.into_inner().into(),
        table: raw.table,
        address,
        kind: raw.kind,
        word_order: raw.word_order,
        scale,
        offset: finite_or_zero(raw.offset)?,
        sentinel: raw.sentinel.map(Spanned::into_inner),
        valid: raw.valid.map(Spanned::into_inner),
        writable,
    })
}

/// A factor: finite and not zero.
fn finite(given: Option<Spanned<f64>>, default: f64) -> Result<f64, Misfit> {
    let Some(given) = given else { return Ok(default) };
    if given.get_ref().is_normal() {
        return Ok(given.into_inner());
    }
    misfit(&given.span(), "expected a finite number other than zero")
}

fn finite_or_zero(given: Option<Spanned<f64>>) -> Result<f64, Misfit> {
    let Some(given) = given else { return Ok(0.0) };
    if given.get_ref().is_finite() {
        return Ok(given.into_inner());
    }
    misfit(&given.span(), "expected a finite number")
}

fn unit(given: &Spanned<String>) -> Result<Unit, Misfit> {
    const UNITS: [Unit; 11] = [
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
    if let Some(unit) = UNITS.into_iter().find(|unit| unit.ucum() == given.get_ref()) {
        return Ok(unit);
    }
    let known = UNITS.map(Unit::ucum).join("`, `");
    misfit(&given.span(), format!("unknown unit `{}`, expected one of `{known}`", given.get_ref()))
}

fn checked_tap_pulse(raw: TapPulseShape, points: &[PointSpec]) -> Result<TapPulse, Misfit> {
    if !(1..=100).contains(raw.max_step.get_ref()) {
        return misfit(&raw.max_step.span(), "expected 1 to 100 steps");
    }
    let seconds = *raw.confirm_within_s.get_ref();
    if !(0.001..=3600.0).contains(&seconds) {
        return misfit(&raw.confirm_within_s.span(), "expected a time from 0.001 to 3600 seconds");
    }
    let name_of = |given: &Spanned<String>| named(given, points).map(|point| point.name.clone());
    Ok(TapPulse {
        address: raw.address,
        max_step: raw.max_step.into_inner(),
        position: name_of(&raw.position)?,
        lowest: name_of(&raw.lowest)?,
        highest: name_of(&raw.highest)?,
        remote: raw
            .remote
            .map(|remote| Ok::<(PointName, i32), Misfit>((name_of(&remote.point)?, remote.value)))
            .transpose()?,
        motor_pause: raw.motor_pause.map(|pause| name_of(&pause)).transpose()?,
        confirm_within: Duration::from_secs_f64(seconds),
    })
}

fn checked_voltage(raw: &VoltageSetpointShape, points: &[PointSpec]) -> Result<VoltageSetpoint, Misfit> {
    let at = raw.point.span();
    let point = named(&raw.point, points)?;
    if !point.writable || point.unit != Unit::Volt {
        return misfit(&at, "expected a writable point in V");
    }
    let Some((min_v, max_v)) = point.valid else {
        return misfit(&at, "expected a point with a `valid` range, which limits the commands");
    };
    Ok(VoltageSetpoint { point: point.name.clone(), min_v, max_v })
}

fn named<'p>(given: &Spanned<String>, points: &'p [PointSpec]) -> Result<&'p PointSpec, Misfit> {
    points
        .iter()
        .find(|point| &*point.name == given.get_ref())
        .map_or_else(|| misfit(&given.span(), format!("there is no point named `{}`", given.get_ref())), Ok)
}
