//! From TOML to a [`Mapping`].

use super::{Mapping, MappingError, ObjectName, PointMapping, SetpointMapping, TapMapping};
use crate::data::Fc;
use gridloop_device::Unit;
use serde::Deserialize;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// MMS names have at most 129 characters in a reference (IEC 61850-7-2).
const LONGEST_REFERENCE: usize = 129;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    name: Option<String>,
    defaults: Option<bool>,
    #[serde(default)]
    point: Vec<PointShape>,
    power_setpoint: Option<SetpointShape>,
    reactive_setpoint: Option<SetpointShape>,
    voltage_setpoint: Option<SetpointShape>,
    #[serde(default)]
    tap: TapShape,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointShape {
    name: Spanned<String>,
    object: Spanned<String>,
    attribute: Option<Spanned<String>>,
    fc: Option<Spanned<String>>,
    unit: Spanned<String>,
    scale: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetpointShape {
    object: Spanned<String>,
    scale: Option<Spanned<f64>>,
    min: Option<Spanned<f64>>,
    max: Option<Spanned<f64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TapShape {
    command: Option<Spanned<String>>,
    setpoint: Option<Spanned<String>>,
    position: Option<Spanned<String>>,
    lowest: Option<Spanned<i32>>,
    highest: Option<Spanned<i32>>,
    confirm_within_s: Option<Spanned<f64>>,
}

/// An error at a place in the text, which [`mapping`] turns into line and column.
struct Misfit {
    at: usize,
    message: String,
}

fn misfit<T>(at: &Range<usize>, message: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { at: at.start, message: message.into() })
}

pub(super) fn mapping(file: &str, text: &str) -> Result<Mapping, MappingError> {
    toml::from_str::<FileShape>(text)
        .map_err(|error| Misfit {
            at: error.span().map_or(0, |span| span.start),
            message: error.message().to_owned(),
        })
        .and_then(checked)
        .map_err(|Misfit { at, message }| {
            let before = text.get(..at).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            MappingError {
                file: file.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                message,
            }
        })
}

fn checked(shape: FileShape) -> Result<Mapping, Misfit> {
    let mut points: Vec<PointMapping> = Vec::new();
    for raw in shape.point {
        let span = raw.name.span();
        let point = checked_point(raw)?;
        if points.iter().any(|earlier| earlier.name == point.name) {
            return misfit(&span, format!("a second point named `{}`", point.name));
        }
        points.push(point);
    }
    let default = Mapping::default();
    Ok(Mapping {
        name: shape.name.unwrap_or(default.name),
        defaults: shape.defaults.unwrap_or(default.defaults),
        points,
        power_setpoint: shape.power_setpoint.map(checked_setpoint).transpose()?,
        reactive_setpoint: shape.reactive_setpoint.map(checked_setpoint).transpose()?,
        voltage_setpoint: shape.voltage_setpoint.map(checked_setpoint).transpose()?,
        tap: checked_tap(shape.tap)?,
    })
}

fn checked_point(raw: PointShape) -> Result<PointMapping, Misfit> {
    let name = raw.name.get_ref();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return misfit(&raw.name.span(), "expected a name of lower-case letters, digits and `_`");
    }
    let fc = match &raw.fc {
        None => None,
        Some(given) => match Fc::from_letters(given.get_ref()) {
            Some(fc @ (Fc::Mx | Fc::St | Fc::Sp | Fc::Sg | Fc::Cf)) => Some(fc),
            _ => return misfit(&given.span(), "expected one of `MX`, `ST`, `SP`, `SG`, `CF`"),
        },
    };
    if let Some(given) = &raw.attribute {
        let names = given.get_ref().split('.').all(is_name);
        if !names {
            return misfit(&given.span(), "expected names with points in between, such as `mag.f`");
        }
    }
    Ok(PointMapping {
        object: object(&raw.object)?,
        attribute: raw.attribute.map(Spanned::into_inner),
        fc,
        unit: unit(&raw.unit)?,
        scale: factor(raw.scale)?,
        name: raw.name.into_inner().into(),
    })
}

fn checked_setpoint(raw: SetpointShape) -> Result<SetpointMapping, Misfit> {
    let (min, max) = (finite(raw.min.as_ref())?, finite(raw.max.as_ref())?);
    if let (Some(low), Some(high), Some(given)) = (min, max, &raw.max)
        && low > high
    {
        return misfit(&given.span(), format!("expected at least `min`, which is {low}"));
    }
    Ok(SetpointMapping { object: object(&raw.object)?, scale: factor(raw.scale)?, min, max })
}

fn checked_tap(raw: TapShape) -> Result<TapMapping, Misfit> {
    if let (Some(_), Some(setpoint)) = (&raw.command, &raw.setpoint) {
        return misfit(&setpoint.span(), "expected either `command` or `setpoint`, not both");
    }
    if let (Some(lowest), Some(highest)) = (&raw.lowest, &raw.highest)
        && lowest.get_ref() >= highest.get_ref()
    {
        return misfit(
            &highest.span(),
            format!("expected more than `lowest`, which is {}", lowest.get_ref()),
        );
    }
    let confirm_within = match &raw.confirm_within_s {
        None => None,
        Some(given) if (0.001..=3600.0).contains(given.get_ref()) => {
            Some(Duration::from_secs_f64(*given.get_ref()))
        }
        Some(given) => return misfit(&given.span(), "expected a time from 0.001 to 3600 seconds"),
    };
    Ok(TapMapping {
        command: raw.command.as_ref().map(object).transpose()?,
        setpoint: raw.setpoint.as_ref().map(object).transpose()?,
        position: raw.position.as_ref().map(object).transpose()?,
        lowest: raw.lowest.map(Spanned::into_inner),
        highest: raw.highest.map(Spanned::into_inner),
        confirm_within,
    })
}

fn object(given: &Spanned<String>) -> Result<ObjectName, Misfit> {
    let text = given.get_ref();
    let parts = text.split_once('/').and_then(|(device, rest)| {
        let (node, path) = rest.split_once('.')?;
        let sound = text.len() <= LONGEST_REFERENCE
            && is_name(device)
            && is_name(node)
            && path.split('.').all(is_name);
        sound.then(|| ObjectName { device: device.into(), node: node.into(), path: path.into() })
    });
    match parts {
        Some(object) => Ok(object),
        None => misfit(
            &given.span(),
            format!(
                "`{text}` is no object, expected `LogicalDevice/LogicalNode.DataObject`, such as `INV/MMXU1.TotW`"
            ),
        ),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A factor: finite and not zero.
fn factor(given: Option<Spanned<f64>>) -> Result<Option<f64>, Misfit> {
    match given {
        None => Ok(None),
        Some(given) if given.get_ref().is_normal() => Ok(Some(given.into_inner())),
        Some(given) => misfit(&given.span(), "expected a finite number other than zero"),
    }
}

fn finite(given: Option<&Spanned<f64>>) -> Result<Option<f64>, Misfit> {
    match given {
        None => Ok(None),
        Some(given) if given.get_ref().is_finite() => Ok(Some(*given.get_ref())),
        Some(given) => misfit(&given.span(), "expected a finite number"),
    }
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
