//! Numbers with a decimal point, with and without a unit (wire contract 2.1, QuantityBlock), and phases.
//!
//! The unit is part of a field's meaning and compared letter by letter; nothing is converted here. A number is always
//! written with a point or an exponent, because SimCES refuses a bare integer.

use serde_json::{Value, json};

use super::{Codec, Name, write_json};
use crate::field::{FieldError, Read, Written, object};
use crate::json::Json;
use crate::record::Members;
use crate::{Conductor, Quantity};

/// From here on an integer does not fit in 64 bits and looks like a float.
const LOOKS_LIKE_FLOAT: f64 = 9_223_372_036_854_775_808.0;

/// A quantity in a fixed unit.
pub(crate) struct In {
    unit: &'static str,
    least: f64,
    most: f64,
    bare_integer: bool,
}

/// Real power, positive towards the grid.
pub(crate) const KW: In = In::unit("kW");
/// Reactive power, positive towards the grid.
pub(crate) const KVAR: In = In::unit("kV.A{r}");
/// Voltage on the bus plane.
pub(crate) const KV: In = In::unit("kV");
/// Current of a branch.
pub(crate) const AMPERE: In = In::unit("A");
/// Angle of a phasor.
pub(crate) const DEGREE: In = In::unit("deg");
/// Base of per-unit values.
pub(crate) const KVA: In = In::unit("kV.A");
/// State of charge.
pub(crate) const PERCENT: In = In::unit("%").within(0.0, 100.0);
/// Age of a device point.
pub(crate) const SECONDS: In = In::unit("s").within(0.0, f64::INFINITY);
/// Time left, which may be negative.
pub(crate) const SIGNED_SECONDS: In = In::unit("s");
/// Offered or needed power of the flexibility market (wire contract 2.6).
pub(crate) const MARKET_KW: In = In::unit("kW").within(0.0, f64::INFINITY).or_integer();
/// How long flexibility is needed.
pub(crate) const MINUTES: In = In::unit("Minute").within(0.0, f64::INFINITY).or_integer();
/// Price of an offer.
pub(crate) const EUR: In = In::unit("EUR").within(0.0, f64::INFINITY).or_integer();

impl In {
    const fn unit(unit: &'static str) -> Self {
        Self { unit, least: f64::NEG_INFINITY, most: f64::INFINITY, bare_integer: false }
    }

    const fn within(self, least: f64, most: f64) -> Self {
        Self { least, most, ..self }
    }

    const fn or_integer(self) -> Self {
        Self { bare_integer: true, ..self }
    }

    fn in_range(&self, value: f64) -> Read<f64> {
        if self.least <= value && value <= self.most {
            return Ok(value);
        }
        let Self { unit, least, most, .. } = self;
        let expected = if most.is_finite() {
            format!("{least} to {most} {unit}")
        } else {
            format!("{least} {unit} or more")
        };
        Err(FieldError::of(expected, value.to_string()))
    }
}

impl Codec for In {
    type Value = f64;

    /// The object form, or a bare float or numeric string with the unit implied. A bare integer is refused as by every
    /// SimCES component, but for those market fields that convert it (wire contract 2.1).
    fn read(&self, json: &Json<'_>) -> Read<f64> {
        let value = match json {
            Json::Object(block) => {
                block.require("UnitOfMeasure", |found| match found {
                    Json::Text(found) if found == self.unit => Ok(()),
                    other => Err(FieldError::new(format!("`{}`", self.unit), other)),
                })?;
                block.require("Value", number)?
            }
            Json::Text(_) => number(json)?,
            Json::Float(value) if self.bare_integer || value.abs() < LOOKS_LIKE_FLOAT => *value,
            Json::Unsigned(_) | Json::Negative(_) if self.bare_integer => number(json)?,
            _ => {
                let form = if self.bare_integer { "a number" } else { "a number with a decimal point" };
                let expected = format!("a quantity in {} (an object, or {form})", self.unit);
                return Err(FieldError::new(expected, json));
            }
        };
        self.in_range(value)
    }

    fn write(&self, value: &f64, out: &mut Vec<u8>) -> Written {
        Members::object(out, |block| {
            block.member("Value", &Number, value)?;
            self.in_range(*value)?;
            block.literal("UnitOfMeasure", self.unit)
        })
    }

    fn schema(&self) -> Value {
        let mut value = json!({"type": "number"});
        if self.least.is_finite() {
            value["minimum"] = self.least.into();
        }
        if self.most.is_finite() {
            value["maximum"] = self.most.into();
        }
        json!({
            "type": "object",
            "required": ["Value", "UnitOfMeasure"],
            "properties": {"Value": value, "UnitOfMeasure": {"const": self.unit}},
        })
    }

    fn unit(&self) -> Option<&'static str> {
        Some(self.unit)
    }
}

/// A finite number, or a string that spells one.
pub(crate) fn number(json: &Json<'_>) -> Read<f64> {
    let value = match json {
        Json::Text(text) => text.trim().parse().ok(),
        other => bare_number(other),
    };
    value.filter(|value: &f64| value.is_finite()).ok_or_else(|| FieldError::new("a finite number", json))
}

/// A number, whether written with a point or without.
pub(crate) fn bare_number(json: &Json<'_>) -> Option<f64> {
    // Beyond 2^53 the nearest double: as exact as any measured value.
    #[allow(clippy::cast_precision_loss)]
    match json {
        Json::Unsigned(value) => Some(*value as f64),
        Json::Negative(value) => Some(*value as f64),
        Json::Float(value) => Some(*value),
        _ => None,
    }
}

/// A number without unit.
pub(crate) struct Number;

impl Codec for Number {
    type Value = f64;

    fn read(&self, json: &Json<'_>) -> Read<f64> {
        number(json)
    }

    fn write(&self, value: &f64, out: &mut Vec<u8>) -> Written {
        if !value.is_finite() {
            return Err(FieldError::of("a finite number", value.to_string()));
        }
        write_json(value, out)
    }

    fn schema(&self) -> Value {
        json!({"type": "number"})
    }
}

/// A number that must be written with a point or an exponent (wire contract 2.3, `SimpleValue`).
pub(crate) struct Float;

impl Codec for Float {
    type Value = f64;

    fn read(&self, json: &Json<'_>) -> Read<f64> {
        match json {
            Json::Float(value) => Ok(*value),
            other => Err(FieldError::new("a number with a decimal point", other)),
        }
    }

    fn write(&self, value: &f64, out: &mut Vec<u8>) -> Written {
        Number.write(value, out)
    }

    fn schema(&self) -> Value {
        Number.schema()
    }
}

/// A quantity whose unit is the sender's choice.
pub(crate) struct AnyUnit;

impl Codec for AnyUnit {
    type Value = Quantity;

    fn read(&self, json: &Json<'_>) -> Read<Quantity> {
        let block = object(json)?;
        let unit = block.require("UnitOfMeasure", |unit| Name.read(unit))?;
        Ok(Quantity { value: block.require("Value", number)?, unit })
    }

    fn write(&self, quantity: &Quantity, out: &mut Vec<u8>) -> Written {
        Members::object(out, |block| {
            block.member("Value", &Number, &quantity.value)?;
            block.member("UnitOfMeasure", &Name, &quantity.unit)
        })
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "required": ["Value", "UnitOfMeasure"],
            "properties": {"Value": Number.schema(), "UnitOfMeasure": Name.schema()},
        })
    }
}

/// A phase: what Python's `int()` makes 1, 2 or 3 of, so that `"2"` and `2.7` pass (wire contract 2.4).
pub(crate) struct Phase;

impl Codec for Phase {
    type Value = u8;

    fn read(&self, json: &Json<'_>) -> Read<u8> {
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

    fn write(&self, phase: &u8, out: &mut Vec<u8>) -> Written {
        if !(1..=3).contains(phase) {
            return Err(FieldError::of("1, 2 or 3", phase.to_string()));
        }
        write_json(phase, out)
    }

    fn schema(&self) -> Value {
        json!({"enum": [1, 2, 3]})
    }
}

/// A phase or the neutral conductor (wire contract 2.5).
pub(crate) struct PhaseOrNeutral;

impl Codec for PhaseOrNeutral {
    type Value = Conductor;

    fn read(&self, json: &Json<'_>) -> Read<Conductor> {
        if matches!(json, Json::Text(text) if text == "neutral") {
            return Ok(Conductor::Neutral);
        }
        match Phase.read(json) {
            Ok(1) => Ok(Conductor::Phase1),
            Ok(2) => Ok(Conductor::Phase2),
            Ok(_) => Ok(Conductor::Phase3),
            Err(_) => Err(FieldError::new("1, 2, 3 or `neutral`", json)),
        }
    }

    fn write(&self, conductor: &Conductor, out: &mut Vec<u8>) -> Written {
        match conductor {
            Conductor::Phase1 => Phase.write(&1, out),
            Conductor::Phase2 => Phase.write(&2, out),
            Conductor::Phase3 => Phase.write(&3, out),
            Conductor::Neutral => write_json("neutral", out),
        }
    }

    fn schema(&self) -> Value {
        json!({"enum": [1, 2, 3, "neutral"]})
    }
}
