//! One key of a table while it is read: a [`Field`] carries the value, or what is wrong with it, through the checks of
//! the caller to a plain value.
//!
//! The checks come first, the end last: `section.number("speed", "...").within(0.1..=100.0).or(1.0)`. A field that was
//! wrong once stays wrong, and gives one error.

use crate::declaration::{Declaration, Kind, Lowest, json_number};
use crate::section::Section;
use crate::source::Place;
use crate::suggest;
use crate::tree::{Node, Value};
use crate::value::{Quantity, Secret};
use serde_json::Value as Json;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// A key that has been looked up and waits for its checks and its end: `required`, `or` or `optional`.
#[must_use = "end the reading with `required`, `or` or `optional`"]
pub struct Field<'a, T> {
    section: Section<'a>,
    key: String,
    declaration: Declaration,
    /// Where the value is and how it reads, when there is one.
    written: Option<(Place, String)>,
    read: Read<T>,
    /// How a default is written in the schema.
    shown: Show<'a, T>,
    /// The value must not be repeated in an error.
    secret: bool,
}

type Show<'a, T> = Box<dyn Fn(&T) -> Option<Json> + 'a>;

enum Read<T> {
    Missing,
    Value(T),
    /// `reason` replaces the value as it was found in the message.
    Wrong {
        reason: Option<String>,
        help: Option<String>,
    },
}

impl<'a, T: 'a> Field<'a, T> {
    pub(crate) fn new(
        section: Section<'a>,
        key: &str,
        declaration: Declaration,
        found: Option<(&Node, Option<T>)>,
        shown: fn(&T) -> Option<Json>,
    ) -> Field<'a, T> {
        let written = found.as_ref().map(|(node, _)| (node.place, node.found()));
        let read = match found {
            None => Read::Missing,
            Some((_, Some(value))) => Read::Value(value),
            Some((node, None)) => Read::Wrong { reason: None, help: type_help(&declaration, node) },
        };
        Field {
            section,
            key: key.to_owned(),
            declaration,
            written,
            read,
            shown: Box::new(shown),
            secret: false,
        }
    }

    /// Checks the value; `check` says in its error what is wrong with it.
    pub fn matching(mut self, check: impl FnOnce(&T) -> Result<(), String>) -> Self {
        if let Read::Value(value) = &self.read
            && let Err(reason) = check(value)
        {
            self.read = Read::Wrong { reason: Some(reason), help: None };
        }
        self
    }

    /// Names a value that would be accepted, for values with a form of their own, such as addresses and dates.
    pub fn such_as(mut self, example: &str) -> Self {
        self.declaration.example = Some(example.to_owned());
        self
    }

    /// Ends the reading of a key that must be there. An error gives the type's default, which nobody will see: the
    /// configuration is refused.
    #[must_use]
    pub fn required(self) -> T
    where
        T: Default,
    {
        self.required_option().unwrap_or_default()
    }

    /// As [`required`](Self::required), for types without a default: `None` means that an error has been noted.
    #[must_use]
    pub fn required_option(mut self) -> Option<T> {
        self.declaration.required = true;
        if matches!(self.read, Read::Missing) {
            self.section.report_missing(&self.key, &self.declaration);
        }
        self.end()
    }

    /// Ends the reading of a key with a default.
    #[must_use]
    pub fn or(mut self, default: T) -> T {
        self.declaration.default = (self.shown)(&default);
        self.end().unwrap_or(default)
    }

    /// Ends the reading of a key that may be absent.
    #[must_use]
    pub fn optional(self) -> Option<T> {
        self.end()
    }

    fn end(self) -> Option<T> {
        let Field { section, key, declaration, written, read, secret, .. } = self;
        let value = match (read, written) {
            (Read::Value(value), _) => Some(value),
            (Read::Wrong { reason, help }, Some((place, found))) => {
                let message = format!("wrong value for `{key}`: {}", reason.unwrap_or(found));
                let problem = section.diagnostic(place, message, Some(declaration.expected()), help);
                section.report(place, if secret { problem.without_line() } else { problem });
                None
            }
            (Read::Wrong { .. } | Read::Missing, _) => None,
        };
        section.declare(&key, declaration);
        value
    }

    /// Replaces the value by what `convert` makes of it.
    fn map<U>(
        self,
        shown: impl Fn(&U) -> Option<Json> + 'a,
        convert: impl FnOnce(T) -> Result<U, Read<U>>,
    ) -> Field<'a, U> {
        let Field { section, key, declaration, written, read, secret, .. } = self;
        let read = match read {
            Read::Missing => Read::Missing,
            Read::Wrong { reason, help } => Read::Wrong { reason, help },
            Read::Value(value) => convert(value).map_or_else(|wrong| wrong, Read::Value),
        };
        Field { section, key, declaration, written, read, shown: Box::new(shown), secret }
    }
}

impl<'a> Field<'a, String> {
    /// Accepts these words only.
    pub fn one_of(mut self, words: &[&str]) -> Self {
        self.declaration.words = words.iter().map(|word| (*word).to_owned()).collect();
        if let Read::Value(word) = &self.read
            && !words.contains(&word.as_str())
        {
            let near = suggest::nearest(word, words.iter().copied());
            self.read =
                Read::Wrong { reason: None, help: near.map(|near| format!("did you mean {near:?}?")) };
        }
        self
    }

    /// Accepts these words only, each standing for a value.
    pub fn choice<U: Clone + PartialEq + 'a>(self, choices: &[(&str, U)]) -> Field<'a, U> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let table: Vec<(String, U)> =
            choices.iter().map(|(word, value)| ((*word).to_owned(), value.clone())).collect();
        let word_of = move |value: &U| {
            table.iter().find(|(_, choice)| choice == value).map(|(word, _)| Json::from(word.clone()))
        };
        self.one_of(&words).map(word_of, |word| {
            let chosen = choices.iter().find(|(choice, _)| *choice == word);
            chosen.map(|(_, value)| value.clone()).ok_or(Read::Wrong { reason: None, help: None })
        })
    }

    /// Makes a value of the text; `parse` says in its error what is wrong with it. A default given afterwards is not
    /// shown in the schema, for nobody knows its text.
    pub fn parsed<U: 'a>(self, parse: impl FnOnce(&str) -> Result<U, String>) -> Field<'a, U> {
        self.map(
            |_| None,
            |text| parse(&text).map_err(|reason| Read::Wrong { reason: Some(reason), help: None }),
        )
    }

    /// As [`Field::parsed`], for texts of which most are one of `words`: what is none is told the nearest of them.
    pub fn parsed_near<U: 'a>(
        self,
        words: &[&str],
        parse: impl FnOnce(&str) -> Result<U, String>,
    ) -> Field<'a, U> {
        self.map(
            |_| None,
            |text| {
                parse(&text).map_err(|reason| match suggest::nearest(&text, words.iter().copied()) {
                    Some(near) => Read::Wrong { reason: None, help: Some(format!("did you mean {near:?}?")) },
                    None => Read::Wrong { reason: Some(reason), help: None },
                })
            },
        )
    }

    /// A secret may be part of the value: errors do not repeat it.
    pub fn sensitive(mut self) -> Self {
        if let Some((_, found)) = &mut self.written {
            "a value that is not shown, for a password may be in it".clone_into(found);
        }
        self.secret = true;
        self
    }

    /// Takes the text as a secret. `"${env:NAME}"` stands for the environment variable `NAME`.
    pub fn secret(mut self) -> Field<'a, Secret> {
        if let Some((_, found)) = &mut self.written {
            "a secret".clone_into(found);
        }
        self.secret = true;
        self.map(
            |_| None,
            |text| {
                let name = text.strip_prefix("${env:").and_then(|rest| rest.strip_suffix('}'));
                match name.map(|name| (name, std::env::var(name))) {
                    None => Ok(Secret::new(text)),
                    Some((_, Ok(value))) => Ok(Secret::new(value)),
                    Some((name, Err(_))) => Err(Read::Wrong {
                        reason: Some(format!("the environment has no variable {name}")),
                        help: Some(format!("set {name} before starting gridloop")),
                    }),
                }
            },
        )
    }
}

impl<'a> Field<'a, i64> {
    /// Takes the number as another integer type, refusing what does not fit it.
    pub fn fits<U: TryFrom<i64> + fmt::Display + 'a>(self) -> Field<'a, U> {
        self.map(
            |value| Some(json_number(value)),
            |integer| {
                U::try_from(integer).map_err(|_| Read::Wrong {
                    reason: Some(format!("{integer} is not in the range of this key")),
                    help: None,
                })
            },
        )
    }
}

impl<'a> Field<'a, PathBuf> {
    /// Accepts only a file that exists.
    pub fn must_exist(self) -> Self {
        self.matching(|path| match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(()),
            Ok(_) => Err(format!("{} is not a file", path.display())),
            Err(error) => Err(format!("{}: {error}", path.display())),
        })
    }
}

impl<'a, T: Quantity + 'a> Field<'a, T> {
    /// Accepts `lowest` and everything above it.
    pub fn at_least(mut self, lowest: T::Bound) -> Self {
        self.declaration.lowest = Some(Lowest::AtLeast(json_number(lowest)));
        self.bounded(|value| value >= lowest)
    }

    /// Accepts `highest` and everything below it.
    pub fn at_most(mut self, highest: T::Bound) -> Self {
        self.declaration.highest = Some(json_number(highest));
        self.bounded(|value| value <= highest)
    }

    /// Accepts the range, both ends included.
    pub fn within(self, range: RangeInclusive<T::Bound>) -> Self {
        self.at_least(*range.start()).at_most(*range.end())
    }

    /// Accepts what is greater than zero.
    pub fn positive(mut self) -> Self {
        self.declaration.lowest = Some(Lowest::Above(json_number(0)));
        self.bounded(|value| value > T::Bound::default())
    }

    fn bounded(mut self, accepts: impl FnOnce(T::Bound) -> bool) -> Self {
        if let Read::Value(value) = &self.read
            && let Some(measure) = value.measure()
            && !accepts(measure)
        {
            self.read = Read::Wrong { reason: None, help: None };
        }
        self
    }
}

/// The commonest slip of each type.
fn type_help(declaration: &Declaration, node: &Node) -> Option<String> {
    match (declaration.kind, &node.value) {
        (Kind::NumberOrWord, Value::Text(word)) => {
            let near = suggest::nearest(word, declaration.words.iter().map(String::as_str));
            near.map(|near| format!("did you mean {near:?}?"))
        }
        (
            Kind::Text | Kind::File,
            Value::Integer(_) | Value::Number(..) | Value::Boolean(_) | Value::Date(_),
        ) => Some("put it in double quotes".to_owned()),
        (Kind::Number | Kind::Integer | Kind::Seconds, Value::Text(text))
            if text.trim().parse::<f64>().is_ok() =>
        {
            Some("write the number without quotes".to_owned())
        }
        (Kind::Boolean, Value::Text(text)) if text == "true" || text == "false" => {
            Some(format!("write {text} without quotes"))
        }
        (Kind::Texts, Value::Text(text)) => Some(format!("write [{text:?}]")),
        _ => None,
    }
}
