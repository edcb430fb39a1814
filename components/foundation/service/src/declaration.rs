//! What a key is declared to be: its type, meaning, limits and default. The same [`Declaration`] words the errors
//! ("expected: ...") and becomes the key's JSON Schema.

use serde_json::{Map, Value, json};

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Integer,
    Boolean,
    Seconds,
    Texts,
    Numbers,
    File,
    /// A number, or one of the words of the declaration.
    NumberOrWord,
}

/// A lower limit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Lowest {
    AtLeast(Value),
    Above(Value),
}

/// Everything the reading of one key says about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declaration {
    pub(crate) kind: Kind,
    /// The meaning of the key, for people.
    pub(crate) about: String,
    /// The words that are accepted; empty when any text is.
    pub(crate) words: Vec<String>,
    pub(crate) lowest: Option<Lowest>,
    pub(crate) highest: Option<Value>,
    /// A value that would be accepted, for texts with a form of their own.
    pub(crate) example: Option<String>,
    pub(crate) default: Option<Value>,
    pub(crate) required: bool,
}

impl Declaration {
    pub(crate) fn new(kind: Kind, about: &str) -> Declaration {
        Declaration {
            kind,
            about: about.to_owned(),
            words: Vec::new(),
            lowest: None,
            highest: None,
            example: None,
            default: None,
            required: false,
        }
    }

    /// What would be right, for the `expected:` line of an error.
    pub(crate) fn expected(&self) -> String {
        let words = self.words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        let range = self.range();
        let base = match self.kind {
            Kind::Text if words.is_empty() => "a text in quotes".to_owned(),
            Kind::Text if self.words.len() == 1 => words,
            Kind::Text => format!("one of {words}"),
            Kind::Number => format!("a number{range}"),
            Kind::Integer => format!("a whole number{range}"),
            Kind::Boolean => "true or false".to_owned(),
            Kind::Seconds => format!("a number of seconds{range}"),
            Kind::Texts => "an array of texts in quotes".to_owned(),
            Kind::Numbers => "an array of numbers".to_owned(),
            Kind::File => "a file name in quotes".to_owned(),
            Kind::NumberOrWord => format!("a number{range} or {words}"),
        };
        match &self.example {
            Some(example) => format!("{base}, such as {example:?}"),
            None => base,
        }
    }

    fn range(&self) -> String {
        match (&self.lowest, &self.highest) {
            (None, None) => String::new(),
            (Some(Lowest::AtLeast(lowest)), None) => format!(", {lowest} or more"),
            (Some(Lowest::Above(lowest)), None) => format!(" above {lowest}"),
            (None, Some(highest)) => format!(", {highest} or less"),
            (Some(Lowest::AtLeast(lowest)), Some(highest)) => format!(" from {lowest} to {highest}"),
            (Some(Lowest::Above(lowest)), Some(highest)) => format!(" above {lowest}, up to {highest}"),
        }
    }

    /// The key's JSON Schema.
    pub(crate) fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text | Kind::File => self.text_schema(),
            Kind::Number | Kind::Seconds => self.number_schema("number"),
            Kind::Integer => self.number_schema("integer"),
            Kind::Boolean => object(json!({ "type": "boolean" })),
            Kind::Texts => object(json!({ "type": "array", "items": { "type": "string" } })),
            Kind::Numbers => object(json!({ "type": "array", "items": { "type": "number" } })),
            Kind::NumberOrWord => {
                object(json!({ "anyOf": [self.number_schema("number"), { "enum": self.words }] }))
            }
        };
        schema.insert("description".to_owned(), self.about.clone().into());
        if let Some(default) = &self.default {
            schema.insert("default".to_owned(), default.clone());
        }
        if let Some(example) = &self.example {
            schema.insert("examples".to_owned(), json!([example]));
        }
        Value::Object(schema)
    }

    fn text_schema(&self) -> Map<String, Value> {
        if self.words.is_empty() {
            object(json!({ "type": "string" }))
        } else {
            object(json!({ "type": "string", "enum": self.words }))
        }
    }

    fn number_schema(&self, kind: &str) -> Map<String, Value> {
        let mut schema = object(json!({ "type": kind }));
        match &self.lowest {
            Some(Lowest::AtLeast(lowest)) => schema.insert("minimum".to_owned(), lowest.clone()),
            Some(Lowest::Above(lowest)) => schema.insert("exclusiveMinimum".to_owned(), lowest.clone()),
            None => None,
        };
        if let Some(highest) = &self.highest {
            schema.insert("maximum".to_owned(), highest.clone());
        }
        schema
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A number as JSON, without a fraction when it has none.
pub(crate) fn json_number(number: impl std::fmt::Display) -> Value {
    number.to_string().parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}
