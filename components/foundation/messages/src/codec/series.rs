//! Blocks of many values: QuantityArrayBlock, ValueArrayBlock and TimeSeriesBlock (wire contract 2.1).
//!
//! SimCES refuses a block with any further key and with it the whole message, so these are exact in both directions.

use serde_json::{Map, Value, json};

use super::number::{Number, bare_number};
use super::{Codec, List, MapOf, Text, Time, list};
use crate::field::{FieldError, Read, Written, object};
use crate::json::Json;
use crate::record::Members;
use crate::{TimeSeries, ValueArray, Values};

const VALUES: List<Number> = list(Number);
const UNIT_AND_VALUES: [&str; 2] = ["UnitOfMeasure", "Values"];

/// Numbers that share a fixed unit.
pub(crate) struct ArrayIn(pub(crate) &'static str);

impl Codec for ArrayIn {
    type Value = Vec<f64>;

    /// The object form, or a bare array of floats with the unit implied. In a bare array an integer is refused.
    fn read(&self, json: &Json<'_>) -> Read<Vec<f64>> {
        let block = match json {
            Json::Object(block) => block,
            Json::Array(items) => return items.iter().enumerate().map(bare_float).collect(),
            other => {
                let expected = format!("an array in {} (an object, or an array of floats)", self.0);
                return Err(FieldError::new(expected, other));
            }
        };
        block.only(&UNIT_AND_VALUES)?;
        block.require("UnitOfMeasure", |found| match found {
            Json::Text(found) if found == self.0 => Ok(()),
            other => Err(FieldError::new(format!("`{}`", self.0), other)),
        })?;
        block.require("Values", |values| match read_values(values)? {
            Values::Numbers(numbers) => Ok(numbers),
            _ => Err(FieldError::new("an array of numbers", values)),
        })
    }

    fn write(&self, values: &Vec<f64>, out: &mut Vec<u8>) -> Written {
        Members::object(out, |block| {
            block.literal("UnitOfMeasure", self.0)?;
            block.member("Values", &VALUES, values)
        })
    }

    fn schema(&self) -> Value {
        numbers_schema(self.0)
    }

    fn unit(&self) -> Option<&'static str> {
        Some(self.0)
    }
}

fn bare_float((at, json): (usize, &Json<'_>)) -> Read<f64> {
    match json {
        Json::Float(value) => Ok(*value),
        other => Err(FieldError::new("a number with a decimal point", other).inside(&format!("{at}"))),
    }
}

/// One series: numbers, strings or booleans in a unit of the sender's choice.
struct AnyArray;

impl Codec for AnyArray {
    type Value = ValueArray;

    fn read(&self, json: &Json<'_>) -> Read<ValueArray> {
        let block = object(json)?;
        block.only(&UNIT_AND_VALUES)?;
        let unit = block.require("UnitOfMeasure", |unit| Text.read(unit))?;
        Ok(ValueArray { unit, values: block.require("Values", read_values)? })
    }

    fn write(&self, array: &ValueArray, out: &mut Vec<u8>) -> Written {
        Members::object(out, |block| {
            block.member("UnitOfMeasure", &Text, &array.unit)?;
            match &array.values {
                Values::Numbers(numbers) => block.member("Values", &VALUES, numbers),
                Values::Texts(texts) => block.literal("Values", texts),
                Values::Flags(flags) => block.literal("Values", flags),
            }
        })
    }

    fn schema(&self) -> Value {
        let all = |kind: &str| json!({"type": "array", "items": {"type": kind}});
        json!({
            "type": "object",
            "required": UNIT_AND_VALUES,
            "properties": {
                "UnitOfMeasure": {"type": "string"},
                "Values": {"anyOf": [all("number"), all("string"), all("boolean")]},
            },
            "additionalProperties": false,
        })
    }
}

/// Values that are all of the kind of the first one.
fn read_values(json: &Json<'_>) -> Read<Values> {
    fn all<T>(items: &[Json<'_>], kind: &'static str, take: impl Fn(&Json<'_>) -> Option<T>) -> Read<Vec<T>> {
        let read =
            |(at, item)| take(item).ok_or_else(|| FieldError::new(kind, item).inside(&format!("{at}")));
        items.iter().enumerate().map(read).collect()
    }
    let Json::Array(items) = json else { return Err(FieldError::new("an array", json)) };
    match items.first() {
        Some(Json::Text(_)) => {
            let text = |item: &Json<'_>| match item {
                Json::Text(text) => Some(text.clone().into_owned()),
                _ => None,
            };
            all(items, "a string like the first value", text).map(Values::Texts)
        }
        Some(Json::Bool(_)) => {
            let flag = |item: &Json<'_>| match item {
                Json::Bool(flag) => Some(*flag),
                _ => None,
            };
            all(items, "true or false like the first value", flag).map(Values::Flags)
        }
        _ => all(items, "a finite number", bare_number).map(Values::Numbers),
    }
}

/// A time series and what it must have.
pub(crate) struct Series {
    /// Series that must be there, as numbers, and their units.
    needed: &'static [(&'static str, &'static str)],
    /// Whether there may be others.
    others: bool,
    /// The unit of every series, where the field has one.
    unit: Option<&'static str>,
    /// The fewest points in time.
    least_points: usize,
}

impl Series {
    /// Any series.
    pub(crate) const ANY: Self = Self { needed: &[], others: true, unit: None, least_points: 0 };

    /// These series at least.
    pub(crate) const fn with(needed: &'static [(&'static str, &'static str)]) -> Self {
        Self { needed, ..Self::ANY }
    }

    /// These series and no other.
    pub(crate) const fn only(needed: &'static [(&'static str, &'static str)]) -> Self {
        Self { needed, others: false, ..Self::ANY }
    }

    /// Any series of numbers in this unit.
    pub(crate) const fn all_in(unit: &'static str) -> Self {
        Self { unit: Some(unit), ..Self::ANY }
    }

    /// With so many points in time at least.
    pub(crate) const fn at_least(self, least_points: usize) -> Self {
        Self { least_points, ..self }
    }

    fn check(&self, found: &TimeSeries) -> Written {
        let points = found.time_index.len();
        if points < self.least_points {
            let expected = format!("at least {} points in time", self.least_points);
            return Err(FieldError::of(expected, points.to_string()).inside("TimeIndex"));
        }
        if found.series.is_empty() {
            return Err(FieldError::of("at least one series", "none").inside("Series"));
        }
        for (name, unit) in self.needed {
            let Some(array) = found.series.get(*name) else {
                let missing = FieldError::of(format!("a series in {unit}"), "nothing");
                return Err(in_series(missing.inside(name)));
            };
            numbers_in(array, unit).map_err(|error| in_series(error.inside(name)))?;
        }
        for (name, array) in &found.series {
            self.check_one(name, array, points).map_err(|error| in_series(error.inside(name)))?;
        }
        Ok(())
    }

    fn check_one(&self, name: &str, array: &ValueArray, points: usize) -> Written {
        if name.is_empty() {
            return Err(FieldError::of("series with names", "an empty name"));
        }
        if !self.others && !self.needed.iter().any(|(needed, _)| *needed == name) {
            let needed: Vec<_> = self.needed.iter().map(|(needed, _)| *needed).collect();
            return Err(FieldError::of(format!("no series but {}", needed.join(" and ")), "another one"));
        }
        if let Some(unit) = self.unit {
            numbers_in(array, unit)?;
        }
        if array.values.len() != points {
            let expected = format!("as many values as there are points in time, {points}");
            return Err(FieldError::of(expected, array.values.len().to_string()).inside("Values"));
        }
        Ok(())
    }
}

fn in_series(error: FieldError) -> FieldError {
    error.inside("Series")
}

fn numbers_in(array: &ValueArray, unit: &str) -> Written {
    if array.unit != unit {
        let found: String = array.unit.chars().take(40).collect();
        return Err(FieldError::of(format!("`{unit}`"), format!("{found:?}")).inside("UnitOfMeasure"));
    }
    match array.values {
        Values::Numbers(_) => Ok(()),
        Values::Texts(_) => Err(FieldError::of("numbers", "strings").inside("Values")),
        Values::Flags(_) => Err(FieldError::of("numbers", "booleans").inside("Values")),
    }
}

const INDEX: List<Time> = list(Time);
const SERIES: MapOf<AnyArray> = MapOf(AnyArray);
const INDEX_AND_SERIES: [&str; 2] = ["TimeIndex", "Series"];

impl Codec for Series {
    type Value = TimeSeries;

    fn read(&self, json: &Json<'_>) -> Read<TimeSeries> {
        let block = object(json)?;
        block.only(&INDEX_AND_SERIES)?;
        let time_index = block.require("TimeIndex", |index| INDEX.read(index))?;
        let series = block.require("Series", |series| SERIES.read(series))?;
        let found = TimeSeries { time_index, series };
        self.check(&found)?;
        Ok(found)
    }

    /// Besides the rules of reading, points in time must ascend: SimCES documents it, and checks nothing.
    fn write(&self, value: &TimeSeries, out: &mut Vec<u8>) -> Written {
        self.check(value)?;
        if let Some(pair) = value.time_index.windows(2).find(|pair| pair[0] >= pair[1]) {
            let expected = format!("points in time that ascend, after {}", pair[0]);
            return Err(FieldError::of(expected, pair[1].to_string()).inside("TimeIndex"));
        }
        Members::object(out, |block| {
            block.member("TimeIndex", &INDEX, &value.time_index)?;
            block.member("Series", &SERIES, &value.series)
        })
    }

    fn schema(&self) -> Value {
        let needed = self.needed.iter().map(|(name, unit)| ((*name).to_owned(), numbers_schema(unit)));
        let needed: Map<_, _> = needed.collect();
        let names: Vec<_> = self.needed.iter().map(|(name, _)| *name).collect();
        let others = match self.unit {
            Some(unit) => numbers_schema(unit),
            None if self.others => AnyArray.schema(),
            None => false.into(),
        };
        json!({
            "type": "object",
            "required": INDEX_AND_SERIES,
            "properties": {
                "TimeIndex": {"type": "array", "items": Time.schema(), "minItems": self.least_points},
                "Series": {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": {"minLength": 1},
                    "required": names,
                    "properties": needed,
                    "additionalProperties": others,
                },
            },
            "additionalProperties": false,
        })
    }
}

/// Schema of numbers in a unit.
fn numbers_schema(unit: &str) -> Value {
    json!({
        "type": "object",
        "required": UNIT_AND_VALUES,
        "properties": {"UnitOfMeasure": {"const": unit}, "Values": VALUES.schema()},
        "additionalProperties": false,
    })
}
