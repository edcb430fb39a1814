//! How one value looks on the wire: a [`Codec`] reads it liberally, writes it strictly and describes what it writes.
//!
//! Here are the codecs of texts, whole numbers, words and containers; those with a decimal point are in [`number`],
//! the blocks of many values in [`series`]. Records of fields are made of codecs by [`crate::record`].

pub(crate) mod number;
pub(crate) mod series;

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::{Value, json};

use crate::describe::Field;
use crate::field::{FieldError, Read, Written, object};
use crate::json::Json;
use crate::record::{Members, Record};
use crate::{SimulationId, Timestamp, WallTime};

/// One kind of value.
pub(crate) trait Codec {
    /// What it is in Rust.
    type Value;

    /// The value, in any form that SimCES processes are known to send.
    fn read(&self, json: &Json<'_>) -> Read<Self::Value>;

    /// Appends the one strict form, or says which rule the value breaks.
    fn write(&self, value: &Self::Value, out: &mut Vec<u8>) -> Written;

    /// JSON Schema of the strict form.
    fn schema(&self) -> Value;

    /// The unit, where the value always has the same.
    fn unit(&self) -> Option<&'static str> {
        None
    }

    /// The fields inside, where the value is a record or a list of records.
    fn members(&self) -> Vec<Field> {
        Vec::new()
    }
}

/// Appends what serde makes of `value`; for values that JSON can always say.
pub(crate) fn write_json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) -> Written {
    serde_json::to_writer(out, value)
        .map_err(|error| FieldError::of("a value that JSON can say", error.to_string()))
}

/// Any string.
pub(crate) struct Text;

impl Codec for Text {
    type Value = String;

    fn read(&self, json: &Json<'_>) -> Read<String> {
        match json {
            Json::Text(text) => Ok(text.clone().into_owned()),
            other => Err(FieldError::new("a string", other)),
        }
    }

    fn write(&self, text: &String, out: &mut Vec<u8>) -> Written {
        write_json(text, out)
    }

    fn schema(&self) -> Value {
        json!({"type": "string"})
    }
}

/// A string that is not empty.
pub(crate) struct Name;

impl Codec for Name {
    type Value = String;

    fn read(&self, json: &Json<'_>) -> Read<String> {
        match json {
            Json::Text(text) if !text.is_empty() => Ok(text.clone().into_owned()),
            other => Err(FieldError::new("a non-empty string", other)),
        }
    }

    fn write(&self, text: &String, out: &mut Vec<u8>) -> Written {
        if text.is_empty() {
            return Err(FieldError::of("a non-empty string", "\"\""));
        }
        write_json(text, out)
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "minLength": 1})
    }
}

/// An integer from 0, written as one (wire contract, rule 5: `1.0` is none).
pub(crate) struct Natural;

impl Codec for Natural {
    type Value = u64;

    fn read(&self, json: &Json<'_>) -> Read<u64> {
        match *json {
            Json::Unsigned(value) => Ok(value),
            _ => Err(FieldError::new("an integer from 0 to 2^64 - 1", json)),
        }
    }

    fn write(&self, value: &u64, out: &mut Vec<u8>) -> Written {
        write_json(value, out)
    }

    fn schema(&self) -> Value {
        json!({"type": "integer", "minimum": 0})
    }
}

/// An integer from 0 that may also come as `"2"` or `2.0` (wire contract 2.6).
pub(crate) struct Count;

impl Codec for Count {
    type Value = u64;

    fn read(&self, json: &Json<'_>) -> Read<u64> {
        /// From here on a double may stand for several integers.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let count = match json {
            Json::Unsigned(value) => Some(*value),
            Json::Text(text) => text.trim().parse().ok(),
            // In range and whole, so nothing is lost.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Json::Float(value) if (0.0..EXACT).contains(value) && value.fract() == 0.0 => Some(*value as u64),
            _ => None,
        };
        count.ok_or_else(|| FieldError::new("an integer from 0", json))
    }

    fn write(&self, value: &u64, out: &mut Vec<u8>) -> Written {
        write_json(value, out)
    }

    fn schema(&self) -> Value {
        Natural.schema()
    }
}

/// An integer of 32 bits, written as one.
pub(crate) struct Integer;

impl Codec for Integer {
    type Value = i32;

    fn read(&self, json: &Json<'_>) -> Read<i32> {
        let value = match *json {
            Json::Unsigned(value) => i32::try_from(value).ok(),
            Json::Negative(value) => i32::try_from(value).ok(),
            _ => None,
        };
        value.ok_or_else(|| FieldError::new("an integer from -2^31 to 2^31 - 1", json))
    }

    fn write(&self, value: &i32, out: &mut Vec<u8>) -> Written {
        write_json(value, out)
    }

    fn schema(&self) -> Value {
        json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX})
    }
}

/// A point in time.
pub(crate) struct Time;

/// The canonical spelling of wire contract rule 7.
const CANONICAL_TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$";

impl Codec for Time {
    type Value = Timestamp;

    fn read(&self, json: &Json<'_>) -> Read<Timestamp> {
        let parsed = match json {
            Json::Text(text) => Timestamp::parse(text).ok(),
            _ => None,
        };
        parsed.ok_or_else(|| FieldError::new("a timestamp such as 2024-03-01T08:00:12.410Z", json))
    }

    fn write(&self, value: &Timestamp, out: &mut Vec<u8>) -> Written {
        write_json(value, out)
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "format": "date-time", "pattern": CANONICAL_TIME})
    }
}

/// A point in wall-clock time, in whole microseconds.
pub(crate) struct PreciseTime;

/// What [`WallTime`] is written as.
const PRECISE_TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$";

impl Codec for PreciseTime {
    type Value = WallTime;

    fn read(&self, json: &Json<'_>) -> Read<WallTime> {
        let parsed = match json {
            Json::Text(text) => WallTime::parse(text),
            _ => None,
        };
        parsed.ok_or_else(|| FieldError::new("a UTC time such as 2024-03-01T08:00:12.410250Z", json))
    }

    fn write(&self, value: &WallTime, out: &mut Vec<u8>) -> Written {
        write_json(&value.to_string(), out)
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "format": "date-time", "pattern": PRECISE_TIME})
    }
}

/// The id of a run.
pub(crate) struct RunId;

impl Codec for RunId {
    type Value = SimulationId;

    fn read(&self, json: &Json<'_>) -> Read<SimulationId> {
        let parsed = match json {
            Json::Text(text) => SimulationId::parse(text).ok(),
            _ => None,
        };
        parsed.ok_or_else(|| FieldError::new("a timestamp such as 2024-03-01T08:00:00.000Z", json))
    }

    fn write(&self, value: &SimulationId, out: &mut Vec<u8>) -> Written {
        write_json(value.as_str(), out)
    }

    fn schema(&self) -> Value {
        Time.schema()
    }
}

/// An enum whose variants are words on the wire; made by [`words!`](crate::record).
pub(crate) trait Word: Copy + 'static {
    /// Every word.
    fn all() -> &'static [Self];
    /// The spelling on the wire.
    fn spelling(self) -> &'static str;
}

/// One of a few words.
pub(crate) struct OneOf<W>(PhantomData<W>);

pub(crate) const fn one_of<W>() -> OneOf<W> {
    OneOf(PhantomData)
}

impl<W: Word> Codec for OneOf<W> {
    type Value = W;

    fn read(&self, json: &Json<'_>) -> Read<W> {
        let chosen = match json {
            Json::Text(text) => W::all().iter().find(|word| word.spelling() == text),
            _ => None,
        };
        chosen.copied().ok_or_else(|| {
            let words: Vec<_> = W::all().iter().map(|word| format!("`{}`", word.spelling())).collect();
            FieldError::new(words.join(" or "), json)
        })
    }

    fn write(&self, word: &W, out: &mut Vec<u8>) -> Written {
        write_json(word.spelling(), out)
    }

    fn schema(&self) -> Value {
        json!({"enum": W::all().iter().map(|word| word.spelling()).collect::<Vec<_>>()})
    }
}

/// An array of values of one kind.
pub(crate) struct List<C> {
    item: C,
    /// What there must be one of at least; `None` if the array may be empty.
    needs_one: Option<&'static str>,
}

pub(crate) const fn list<C>(item: C) -> List<C> {
    List { item, needs_one: None }
}

/// An array with at least one item; `what` is what the error calls an item.
pub(crate) const fn some<C>(item: C, what: &'static str) -> List<C> {
    List { item, needs_one: Some(what) }
}

impl<C> List<C> {
    fn check(&self, length: usize) -> Written {
        match self.needs_one {
            Some(what) if length == 0 => {
                Err(FieldError::of(format!("at least one {what}"), "an empty array"))
            }
            _ => Ok(()),
        }
    }
}

impl<C: Codec> Codec for List<C> {
    type Value = Vec<C::Value>;

    fn read(&self, json: &Json<'_>) -> Read<Self::Value> {
        let Json::Array(items) = json else { return Err(FieldError::new("an array", json)) };
        self.check(items.len())?;
        let read = |(at, item)| self.item.read(item).map_err(|error| error.inside(&format!("{at}")));
        items.iter().enumerate().map(read).collect()
    }

    fn write(&self, items: &Self::Value, out: &mut Vec<u8>) -> Written {
        self.check(items.len())?;
        out.push(b'[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            self.item.write(item, out).map_err(|error| error.inside(&format!("{at}")))?;
        }
        out.push(b']');
        Ok(())
    }

    fn schema(&self) -> Value {
        let mut schema = json!({"type": "array", "items": self.item.schema()});
        if self.needs_one.is_some() {
            schema["minItems"] = 1.into();
        }
        schema
    }

    fn unit(&self) -> Option<&'static str> {
        self.item.unit()
    }

    fn members(&self) -> Vec<Field> {
        self.item.members()
    }
}

/// An object whose keys are names of the sender's choice; of a repeated name the last value counts.
pub(crate) struct MapOf<C>(pub(crate) C);

impl<C: Codec> Codec for MapOf<C> {
    type Value = BTreeMap<String, C::Value>;

    fn read(&self, json: &Json<'_>) -> Read<Self::Value> {
        let entry = |(name, value): (&str, &Json<'_>)| {
            let value = self.0.read(value).map_err(|error| error.inside(name))?;
            Ok((name.to_owned(), value))
        };
        object(json)?.iter().map(entry).collect()
    }

    fn write(&self, map: &Self::Value, out: &mut Vec<u8>) -> Written {
        Members::object(out, |members| {
            map.iter().try_for_each(|(name, value)| members.member(name, &self.0, value))
        })
    }

    fn schema(&self) -> Value {
        json!({"type": "object", "additionalProperties": self.0.schema()})
    }
}

/// A record inside another one.
pub(crate) struct Nested<R>(PhantomData<R>);

pub(crate) const fn nested<R>() -> Nested<R> {
    Nested(PhantomData)
}

impl<R: Record> Codec for Nested<R> {
    type Value = R;

    fn read(&self, json: &Json<'_>) -> Read<R> {
        R::read(object(json)?)
    }

    fn write(&self, record: &R, out: &mut Vec<u8>) -> Written {
        Members::object(out, |members| record.write(members))
    }

    fn schema(&self) -> Value {
        crate::describe::object_schema(&R::shapes())
    }

    fn members(&self) -> Vec<Field> {
        R::shapes().into_iter().flat_map(|shape| shape.fields).collect()
    }
}
