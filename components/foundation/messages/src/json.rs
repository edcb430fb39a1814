//! A parsed body: [`Json`] values with [`Object`]s that still show every key, in the order received.
//!
//! `serde_json::Value` would hide repeated keys and copy every string; this tree borrows from the body and can tell
//! whether a control message says one thing twice. [`parse`] also gets past the `NaN` and `Infinity` that Python
//! writes into JSON, so that the field that has one can be named.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON value, or one of the numbers that JSON does not have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// A whole number from 0 to 2^64 - 1, written without point or exponent.
    Unsigned(u64),
    /// A whole number from -2^63 to -1, written without point or exponent.
    Negative(i64),
    /// Every other number, also whole ones that do not fit in 64 bits.
    Float(f64),
    /// One of [`NON_FINITE`].
    NonFinite(&'static str),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The members of an object in the order received; a key may be there twice.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// The value of a key; of the last one where it is repeated, as in Python.
    pub(crate) fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub(crate) fn into_map(self) -> serde_json::Map<String, serde_json::Value> {
        self.0.into_iter().map(|(key, value)| (key.into_owned(), value.into())).collect()
    }

    /// A key that this object or any object inside it has twice.
    pub(crate) fn repeated_key(&self) -> Option<&str> {
        let mut keys: Vec<&str> = self.0.iter().map(|(key, _)| &**key).collect();
        keys.sort_unstable();
        let here = keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        here.or_else(|| self.0.iter().find_map(|(_, value)| value.repeated_key()))
    }
}

impl Json<'_> {
    fn repeated_key(&self) -> Option<&str> {
        match self {
            Self::Object(object) => object.repeated_key(),
            Self::Array(items) => items.iter().find_map(Json::repeated_key),
            _ => None,
        }
    }

    /// What was found, in a few words for an error.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Unsigned(value) => format!("the integer {value}"),
            Self::Negative(value) => format!("the integer {value}"),
            Self::Float(value) => format!("the number {value:?}"),
            Self::NonFinite(token) => (*token).to_owned(),
            Self::Text(text) => describe_text(text),
            Self::Array(items) if items.is_empty() => "an empty array".to_owned(),
            Self::Array(_) => "an array".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

fn describe_text(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?} and more", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// As `serde_json` would have parsed it; a number that JSON does not have becomes the text that Python writes for it.
impl From<Json<'_>> for serde_json::Value {
    fn from(json: Json<'_>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => value.into(),
            Json::Unsigned(value) => value.into(),
            Json::Negative(value) => value.into(),
            Json::Float(value) => value.into(),
            Json::NonFinite(token) => token.into(),
            Json::Text(text) => text.into_owned().into(),
            Json::Array(items) => items.into_iter().map(Self::from).collect(),
            Json::Object(object) => Self::Object(object.into_map()),
        }
    }
}

/// The numbers that Python writes and JSON does not have.
const NON_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Stands before one of [`NON_FINITE`] in a string that [`quote_non_finite`] put there.
const MARK: char = '\0';

/// The most values (array items and object members) that a body may have, so that a body of [`MAX_BODY_BYTES`] takes
/// at most some 120 MiB of memory while it is read. A year of quarter hours for seven resources are half as many.
///
/// [`MAX_BODY_BYTES`]: crate::MAX_BODY_BYTES
pub(crate) const MAX_VALUES: usize = 1 << 19;

/// Why a text gives no value.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// It is no JSON.
    NotJson(serde_json::Error),
    /// It has more than [`MAX_VALUES`].
    TooManyValues,
}

/// Hands the value of `text` to `then`.
pub(crate) fn parse<T>(text: &str, then: impl FnOnce(Json<'_>) -> T) -> Result<T, ParseError> {
    match parse_json(text) {
        Ok(json) => Ok(then(json)),
        Err(ParseError::TooManyValues) => Err(ParseError::TooManyValues),
        Err(error) => {
            let Some(quoted) = quote_non_finite(text) else { return Err(error) };
            match parse_json(&quoted) {
                Ok(json) => Ok(then(json)),
                Err(ParseError::TooManyValues) => Err(ParseError::TooManyValues),
                Err(ParseError::NotJson(_)) => Err(error),
            }
        }
    }
}

fn parse_json(text: &str) -> Result<Json<'_>, ParseError> {
    let left = Cell::new(MAX_VALUES);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = Tree { left: &left }.deserialize(&mut deserializer);
    parsed.and_then(|json| deserializer.end().map(|()| json)).map_err(|error| match left.get() {
        0 => ParseError::TooManyValues,
        _ => ParseError::NotJson(error),
    })
}

/// The text with every NaN and Infinity outside strings made a marked string; none if there is none.
fn quote_non_finite(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut quoted = String::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => at += 1,
            b'N' | b'I' | b'-' if !in_string => {
                if let Some(token) = NON_FINITE.iter().find(|token| text[at..].starts_with(**token)) {
                    quoted.push_str(&text[copied..at]);
                    quoted.push_str("\"\\u0000");
                    quoted.push_str(token);
                    quoted.push('"');
                    at += token.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    quoted.push_str(&text[copied..]);
    (copied > 0).then_some(quoted)
}

/// A string, unless it is one that [`quote_non_finite`] made.
fn text_or_mark(text: Cow<'_, str>) -> Json<'_> {
    let marked = text.strip_prefix(MARK).and_then(|rest| NON_FINITE.into_iter().find(|token| *token == rest));
    marked.map_or(Json::Text(text), Json::NonFinite)
}

/// A key that borrows where it can.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Builds the tree, as long as there are values left to be had.
#[derive(Clone, Copy)]
struct Tree<'c> {
    left: &'c Cell<usize>,
}

impl Tree<'_> {
    /// Takes one value; the last one is never given, so that 0 tells of the refusal.
    fn take<E: serde::de::Error>(self) -> Result<(), E> {
        let left = self.left.get().saturating_sub(1);
        self.left.set(left);
        if left == 0 { Err(E::custom("too many values")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(u64::try_from(value).map_or(Json::Negative(value), Json::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(text_or_mark(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(text_or_mark(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            self.take()?;
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            self.take()?;
            members.push((key, map.next_value_seed(self)?));
        }
        Ok(Json::Object(Object(members)))
    }
}
