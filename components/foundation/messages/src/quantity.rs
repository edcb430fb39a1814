//! Quantities: a number with its unit (wire contract 2.1, QuantityBlock), and numbers that come in other clothes.
//!
//! [`quantity`] reads one with all the shorthands that SimCES accepts; [`QuantityBlock`] is the one form that gridloop
//! writes. The unit is part of the field's meaning and compared letter by letter; nothing is converted here.

use serde::Serialize;

use crate::field::{FieldError, Read};
use crate::json::Json;

/// Units of the fields that have a fixed one (wire contract 2.1).
pub(crate) mod unit {
    /// Real power.
    pub(crate) const REAL_POWER: &str = "kW";
    /// Reactive power.
    pub(crate) const REACTIVE_POWER: &str = "kV.A{r}";
    /// State of charge.
    pub(crate) const PERCENT: &str = "%";
    /// Voltage on the bus plane.
    pub(crate) const VOLTAGE: &str = "kV";
    /// Age of a device point.
    pub(crate) const SECONDS: &str = "s";
}

/// The form in which every quantity is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QuantityBlock {
    pub(crate) value: f64,
    pub(crate) unit_of_measure: &'static str,
}

/// A quantity in this unit: the object form, or a bare float or numeric string with the unit implied. A bare integer
/// is refused, as by every SimCES component.
pub(crate) fn quantity(json: &Json<'_>, unit: &'static str) -> Read<f64> {
    /// From here on an integer does not fit in 64 bits and looks like a float.
    const LOOKS_LIKE_FLOAT: f64 = 9_223_372_036_854_775_808.0;
    match json {
        Json::Object(block) => {
            block.require("UnitOfMeasure", |found| same_unit(found, unit))?;
            block.require("Value", number)
        }
        Json::Text(_) => number(json),
        Json::Float(value) if value.abs() < LOOKS_LIKE_FLOAT => Ok(*value),
        _ => Err(FieldError::new(
            format!("a quantity in {unit} (an object, or a number with a decimal point)"),
            json,
        )),
    }
}

/// A finite number, or a string that spells one.
pub(crate) fn number(json: &Json<'_>) -> Read<f64> {
    let value = match json {
        // Beyond 2^53 the nearest double: as exact as any measured value.
        #[allow(clippy::cast_precision_loss)]
        Json::Unsigned(value) => Some(*value as f64),
        #[allow(clippy::cast_precision_loss)]
        Json::Negative(value) => Some(*value as f64),
        Json::Float(value) => Some(*value),
        Json::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    value.filter(|value| value.is_finite()).ok_or_else(|| FieldError::new("a finite number", json))
}

fn same_unit(json: &Json<'_>, unit: &'static str) -> Read<()> {
    match json {
        Json::Text(found) if found == unit => Ok(()),
        _ => Err(FieldError::new(format!("`{unit}`"), json)),
    }
}

/// `StateOfCharge`: 0 to 100 %.
pub(crate) fn state_of_charge(json: &Json<'_>) -> Read<f64> {
    let percent = quantity(json, unit::PERCENT)?;
    if (0.0..=100.0).contains(&percent) {
        return Ok(percent);
    }
    Err(FieldError { found: percent.to_string(), ..FieldError::new("0 to 100 %", json) })
}

/// `Age` of a point in s: 0 or more.
pub(crate) fn age(json: &Json<'_>) -> Read<f64> {
    let seconds = quantity(json, unit::SECONDS)?;
    if seconds >= 0.0 {
        return Ok(seconds);
    }
    Err(FieldError { found: seconds.to_string(), ..FieldError::new("0 s or more", json) })
}

/// `Node`: what Python's `int()` makes 1, 2 or 3 of, so that `"2"` and `2.7` pass (wire contract 2.4).
pub(crate) fn node(json: &Json<'_>) -> Read<u8> {
    let whole = match json {
        Json::Unsigned(value) => u8::try_from(*value).ok(),
        Json::Float(value) if (1.0..4.0).contains(value) => {
            [1, 2, 3].into_iter().rfind(|n| f64::from(*n) <= *value)
        }
        Json::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    whole.filter(|node| (1..=3).contains(node)).ok_or_else(|| FieldError::new("1, 2 or 3", json))
}
