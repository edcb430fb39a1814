//! The first phase: TOML text to a tree in which every key and value knows its place.
//!
//! A [`Node`] is a value with its place, an [`Entry`] a key with its node; tables keep their entries in the order of
//! the text. The `toml` crate does the parsing; its tree is copied into ours so that nothing else depends on it.

use crate::source::Place;
use std::ops::Range;
use toml::de::{DeInteger, DeTable, DeValue, Error};

/// Nesting deeper than this is an error. Everything that walks the tree may recurse because of it.
const DEPTH_MAX: usize = 32;

/// Keys with dots inside inline tables inside tables reach some 6500 levels within the parser's own limits, too many
/// for the stack of an ordinary thread; the parser gets a thread with this much instead.
const PARSER_STACK_BYTES: usize = 64 << 20;

/// After a syntax error the parser guesses how to go on; beyond this many errors it guesses badly.
const SYNTAX_ERRORS_MAX: usize = 20;

/// A value and the range it was written in; for a table, its header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A key of a table and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// A TOML value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    /// A float, or an integer that does not fit 64 bits, and how it was written.
    Number(f64, String),
    Boolean(bool),
    /// A date, a time or both, as written. gridloop's configuration has none: dates are texts there.
    Date(String),
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

impl Node {
    /// The entries of a table; nothing for any other value.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The values of an array.
    pub(crate) fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The value for the end of "wrong value for `key`: ...".
    pub(crate) fn found(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("{:?}", shortened(text)),
            Value::Integer(integer) => integer.to_string(),
            Value::Number(_, written) => written.clone(),
            Value::Boolean(boolean) => boolean.to_string(),
            Value::Date(date) => format!("the date or time {date}"),
            Value::Array(_) => "an array".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

/// A long text is recognised by its beginning.
fn shortened(text: &str) -> String {
    const KEPT: usize = 60;
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A table's entry by its key.
pub(crate) fn entry<'e>(entries: &'e [Entry], key: &str) -> Option<&'e Entry> {
    entries.iter().find(|entry| entry.key == key)
}

/// An error of the first phase.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) expected: Option<String>,
    pub(crate) help: Option<String>,
}

/// Parses a whole document; `source` is the index its places carry.
pub(crate) fn parse(text: &str, source: usize) -> Result<Vec<Entry>, Vec<SyntaxError>> {
    let failed = |message: &str| {
        vec![SyntaxError { place: Place::START, message: message.to_owned(), expected: None, help: None }]
    };
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES);
        match parser.spawn_scoped(scope, || parse_here(text, source)) {
            Ok(thread) => {
                thread.join().unwrap_or_else(|_| Err(failed("the TOML parser failed on this text")))
            }
            Err(_) => Err(failed("there is no memory for a parser thread")),
        }
    })
}

fn parse_here(text: &str, source: usize) -> Result<Vec<Entry>, Vec<SyntaxError>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut errors: Vec<SyntaxError> = errors.into_iter().map(|error| explain(&error, source)).collect();
        errors.sort_by_key(|error| error.place.start);
        // The second error of a line is nearly always the first one's echo.
        errors.dedup_by(|second, first| {
            !text.get(first.place.start..second.place.start).is_some_and(|between| between.contains('\n'))
        });
        errors.truncate(SYNTAX_ERRORS_MAX);
        return Err(errors);
    }
    let mut deep = None;
    let entries = Copier { source, too_deep: &mut deep }.table(root.get_ref(), 0);
    match deep {
        None => Ok(entries),
        Some(place) => Err(vec![SyntaxError {
            place,
            message: "tables and arrays are nested too deeply".to_owned(),
            expected: Some(format!("at most {DEPTH_MAX} levels")),
            help: None,
        }]),
    }
}

/// The parser says "what, expected this, that": the two belong on lines of their own.
fn explain(error: &Error, source: usize) -> SyntaxError {
    let span = error.span().unwrap_or_default();
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected.to_owned())),
        None => (error.message(), None),
    };
    let help = match message {
        "string values must be quoted" => Some("put the text in double quotes".to_owned()),
        "duplicate key" => Some("a key or table may be given once: remove one, or merge the two".to_owned()),
        _ => None,
    };
    let expected = match message {
        "string values must be quoted" => {
            Some("a text in quotes, a number, true, false, [...] or {...}".to_owned())
        }
        _ => expected,
    };
    SyntaxError { place: place(source, span), message: message.to_owned(), expected, help }
}

fn place(source: usize, span: Range<usize>) -> Place {
    Place { source, start: span.start, end: span.end }
}

/// Copies the parser's tree, and notes the first place that is nested too deeply.
struct Copier<'c> {
    source: usize,
    too_deep: &'c mut Option<Place>,
}

impl Copier<'_> {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Vec<Entry> {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                place: place(self.source, key.span()),
                node: self.node(value.get_ref(), value.span(), depth + 1),
            })
            .collect();
        entries.sort_by_key(|entry| entry.place.start);
        entries
    }

    fn node(&mut self, value: &DeValue<'_>, span: Range<usize>, depth: usize) -> Node {
        let place = place(self.source, span);
        if depth > DEPTH_MAX {
            self.too_deep.get_or_insert(place);
            return Node { place, value: Value::Boolean(false) };
        }
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => whole(integer),
            DeValue::Float(float) => {
                Value::Number(float.as_str().parse().unwrap_or(f64::NAN), float.to_string())
            }
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(array) => Value::Array(
                array.iter().map(|item| self.node(item.get_ref(), item.span(), depth + 1)).collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table, depth)),
        };
        Node { place, value }
    }
}

/// TOML integers have no size; what 64 bits cannot hold becomes the nearest float and fails where an integer is wanted.
fn whole(integer: &DeInteger<'_>) -> Value {
    let (digits, radix) = (integer.as_str(), integer.radix());
    let wide = || match radix {
        10 => digits.parse().unwrap_or(f64::NAN),
        _ => u128::from_str_radix(digits, radix).map_or(f64::NAN, |wide| wide as f64),
    };
    i64::from_str_radix(digits, radix)
        .map_or_else(|_| Value::Number(wide(), integer.to_string()), Value::Integer)
}
