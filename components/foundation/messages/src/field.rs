//! What is wrong with a field: [`FieldError`], and the way it learns where it stands.
//!
//! Whoever finds the mistake knows what is expected but not where; [`Object::require`], [`Object::optional`] and the
//! writers add the name of the field on the way out, level by level, so that nothing is spent on names while all is
//! well. Reading and sending use the same error, because they keep the same rules.

use std::borrow::Cow;

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
pub(crate) type Written = Result<(), FieldError>;

impl FieldError {
    /// For a value that was received.
    pub(crate) fn new(expected: impl Into<Cow<'static, str>>, found: &Json<'_>) -> Self {
        Self::of(expected, found.describe())
    }

    /// For a value that `found` describes.
    pub(crate) fn of(expected: impl Into<Cow<'static, str>>, found: impl Into<String>) -> Self {
        Self { path: String::new(), expected: expected.into(), found: found.into() }
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

    /// Refuses a block that has any other key than these (wire contract, rule 8).
    pub(crate) fn only(&self, keys: &[&str]) -> Read<()> {
        match self.iter().find(|(key, _)| !keys.contains(key)) {
            None => Ok(()),
            Some((key, _)) => {
                let key: String = key.chars().take(40).collect();
                Err(FieldError::of(format!("no key but {}", keys.join(" and ")), format!("{key:?}")))
            }
        }
    }
}

pub(crate) fn object<'t, 'a>(json: &'t Json<'a>) -> Read<&'t Object<'a>> {
    match json {
        Json::Object(object) => Ok(object),
        other => Err(FieldError::new("an object", other)),
    }
}
