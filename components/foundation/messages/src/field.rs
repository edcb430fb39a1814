//! Reading one field: a reader turns a [`Json`] value into what it means or into a [`FieldError`].
//!
//! Readers know what they expect but not where they stand; [`Object::require`] and [`Object::optional`] add the name
//! of the field on the way out, level by level, so that nothing is spent on names while all is well.

use std::borrow::Cow;

use crate::Timestamp;
use crate::json::{Json, Object};

/// A field that is not what it must be.
#[derive(Debug)]
pub(crate) struct FieldError {
    /// Names from the top of the message, joined by points.
    pub(crate) path: String,
    pub(crate) expected: Cow<'static, str>,
    pub(crate) found: String,
}

pub(crate) type Read<T> = Result<T, FieldError>;

impl FieldError {
    pub(crate) fn new(expected: impl Into<Cow<'static, str>>, found: &Json<'_>) -> Self {
        Self { path: String::new(), expected: expected.into(), found: found.describe() }
    }

    /// The same error, seen from the object or array that has the field.
    pub(crate) fn inside(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }
}

impl<'a> Object<'a> {
    /// A field that must be there and not null (contract 2.2, "req"). Every reader refuses null.
    pub(crate) fn require<T>(&self, name: &str, read: impl FnOnce(&Json<'a>) -> Read<T>) -> Read<T> {
        match self.get(name) {
            Some(value) => read(value).map_err(|error| error.inside(name)),
            None => read(&Json::Null)
                .map_err(|error| FieldError { found: "nothing".to_owned(), ..error }.inside(name)),
        }
    }

    /// A field that may be missing or null (contract 2.2, "opt").
    pub(crate) fn optional<T>(&self, name: &str, read: impl FnOnce(&Json<'a>) -> Read<T>) -> Read<Option<T>> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|error| error.inside(name)),
        }
    }
}

pub(crate) fn object<'t, 'a>(json: &'t Json<'a>) -> Read<&'t Object<'a>> {
    match json {
        Json::Object(object) => Ok(object),
        other => Err(FieldError::new("an object", other)),
    }
}

pub(crate) fn text(json: &Json<'_>) -> Read<String> {
    match json {
        Json::Text(text) => Ok(text.clone().into_owned()),
        other => Err(FieldError::new("a string", other)),
    }
}

pub(crate) fn non_empty_text(json: &Json<'_>) -> Read<String> {
    match json {
        Json::Text(text) if !text.is_empty() => Ok(text.clone().into_owned()),
        other => Err(FieldError::new("a non-empty string", other)),
    }
}

/// An epoch number: written as an integer, 0 or more (contract rule 5: `1.0` is none).
pub(crate) fn epoch_number(json: &Json<'_>) -> Read<u64> {
    match *json {
        Json::Unsigned(value) => Ok(value),
        _ => Err(FieldError::new("an integer from 0 to 2^64 - 1", json)),
    }
}

pub(crate) fn integer(json: &Json<'_>) -> Read<i32> {
    let value = match *json {
        Json::Unsigned(value) => i32::try_from(value).ok(),
        Json::Negative(value) => i32::try_from(value).ok(),
        _ => None,
    };
    value.ok_or_else(|| FieldError::new("an integer from -2^31 to 2^31 - 1", json))
}

pub(crate) fn timestamp(json: &Json<'_>) -> Read<Timestamp> {
    let parsed = match json {
        Json::Text(text) => Timestamp::parse(text).ok(),
        _ => None,
    };
    parsed.ok_or_else(|| FieldError::new("a timestamp such as 2024-03-01T08:00:12.410Z", json))
}

/// An array, each item read by the same reader.
pub(crate) fn array<'a, T>(json: &Json<'a>, read: impl Fn(&Json<'a>) -> Read<T>) -> Read<Vec<T>> {
    let Json::Array(items) = json else { return Err(FieldError::new("an array", json)) };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| read(item).map_err(|error| error.inside(&index.to_string())))
        .collect()
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(json: &Json<'_>, choices: &[T], spelling: fn(T) -> &'static str) -> Read<T> {
    let chosen = match json {
        Json::Text(text) => choices.iter().find(|choice| spelling(**choice) == text),
        _ => None,
    };
    chosen.copied().ok_or_else(|| {
        let words: Vec<_> = choices.iter().map(|choice| format!("`{}`", spelling(*choice))).collect();
        FieldError::new(words.join(" or "), json)
    })
}
