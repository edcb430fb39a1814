//! The types of values that TOML has no name for, and what a [`Field`](crate::Field) must know of every type: how it
//! compares with a limit ([`Quantity`]) and how a default is written in the schema ([`Shown`]).

use crate::declaration::json_number;
use serde_json::Value as Json;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A number, or a word in its place.
#[derive(Clone, Debug, PartialEq)]
pub enum NumberOrWord {
    /// The finite number.
    Number(f64),
    /// The word, one of those declared.
    Word(String),
}

impl Default for NumberOrWord {
    fn default() -> NumberOrWord {
        NumberOrWord::Number(0.0)
    }
}

/// A text that must not be printed: `Debug` hides it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(***)")
    }
}

/// What can be compared with a limit.
pub trait Quantity {
    /// The type of the limits.
    type Bound: Copy + PartialOrd + Default + fmt::Display;
    /// The value in the unit of the limits; `None` when limits do not apply to it.
    fn measure(&self) -> Option<Self::Bound>;
}

impl Quantity for f64 {
    type Bound = f64;
    fn measure(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Quantity for i64 {
    type Bound = i64;
    fn measure(&self) -> Option<i64> {
        Some(*self)
    }
}

/// Limits are in seconds.
impl Quantity for Duration {
    type Bound = f64;
    fn measure(&self) -> Option<f64> {
        Some(self.as_secs_f64())
    }
}

/// Limits apply to the number; a word is accepted or not by itself.
impl Quantity for NumberOrWord {
    type Bound = f64;
    fn measure(&self) -> Option<f64> {
        match self {
            NumberOrWord::Number(number) => Some(*number),
            NumberOrWord::Word(_) => None,
        }
    }
}

/// How a default is written in the schema.
pub(crate) trait Shown {
    fn shown(&self) -> Option<Json>;
}

impl Shown for String {
    fn shown(&self) -> Option<Json> {
        Some(self.clone().into())
    }
}

impl Shown for f64 {
    fn shown(&self) -> Option<Json> {
        Some(json_number(self))
    }
}

impl Shown for i64 {
    fn shown(&self) -> Option<Json> {
        Some((*self).into())
    }
}

impl Shown for bool {
    fn shown(&self) -> Option<Json> {
        Some((*self).into())
    }
}

impl Shown for Duration {
    fn shown(&self) -> Option<Json> {
        Some(json_number(self.as_secs_f64()))
    }
}

impl Shown for Vec<String> {
    fn shown(&self) -> Option<Json> {
        Some(self.clone().into())
    }
}

impl Shown for Vec<f64> {
    fn shown(&self) -> Option<Json> {
        Some(self.iter().map(json_number).collect())
    }
}

impl Shown for PathBuf {
    fn shown(&self) -> Option<Json> {
        Some(self.display().to_string().into())
    }
}

impl Shown for NumberOrWord {
    fn shown(&self) -> Option<Json> {
        match self {
            NumberOrWord::Number(number) => number.shown(),
            NumberOrWord::Word(word) => word.shown(),
        }
    }
}
