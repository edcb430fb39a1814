//! A value of a YAML file and where it was written: [`Node`].

use super::python;
use serde_json::{Map, Number, Value as Json};
use std::ops::Range;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands in its file, in bytes; an alias stands where it is used.
    pub place: Range<usize>,
    /// What it is.
    pub value: Value,
}

/// What a YAML value is, by the rules of YAML 1.1 as PyYAML has them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~`, `null`.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number with a point.
    Number(f64),
    /// A text.
    Text(String),
    /// A date or a date with a time, as written, without quotes around it.
    Date(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file; the keys are not lists, mappings or dates, and differ.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// A value that was not written in the file, at the place of what it stands for.
    pub(crate) fn made(place: &Range<usize>, value: Value) -> Self {
        Self { place: place.clone(), value }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    #[must_use]
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a text key of a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        let mut entries = self.entries()?.iter();
        entries.find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// What it is called in an error: `the text "home1"`, `a list`.
    #[must_use]
    pub fn found(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Boolean(value) => format!("the boolean {value}"),
            Value::Integer(value) => format!("the number {value}"),
            Value::Number(value) => format!("the number {}", python::float(*value)),
            Value::Text(text) if text.chars().count() > 40 => "a long text".to_owned(),
            Value::Text(text) => format!("the text {text:?}"),
            Value::Date(text) => format!("the date {text}"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The text of an environment variable for it (wire contract 4.3): what Python's `str()` gives; a list is its
    /// items, joined by commas.
    #[must_use]
    pub fn variable(&self) -> String {
        match &self.value {
            Value::List(items) => items.iter().map(python::str).collect::<Vec<_>>().join(","),
            _ => python::str(self),
        }
    }

    /// The same value in a JSON message, with its type kept. Keys become texts as Python's `json` makes them.
    #[must_use]
    pub fn json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Boolean(value) => Json::Bool(*value),
            Value::Integer(value) => Json::from(*value),
            // Only finite numbers are read.
            Value::Number(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Text(text) | Value::Date(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::json).collect()),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|(key, value)| (key.json_key(), value.json())).collect::<Map<_, _>>(),
            ),
        }
    }

    fn json_key(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Boolean(value) => value.to_string(),
            _ => python::str(self),
        }
    }
}
