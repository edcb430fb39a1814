//! Values out of environment variables, with every error at once: [`Reader`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Environment variables by name.
#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<OsString, OsString>);

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// One variable that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableError {
    /// The variable.
    pub name: String,
    /// What belongs there.
    pub expected: String,
    /// What is there; `None` when it is not set.
    pub found: Option<String>,
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, ", self.name, self.expected)?;
        match &self.found {
            None => f.write_str("but it is not set"),
            Some(found) if found.is_empty() => f.write_str("but it is empty"),
            Some(found) => write!(f, "found {found:?}"),
        }
    }
}

/// Everything that is wrong, in the order in which it was looked for; one variable a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct EnvironmentErrors(pub Vec<VariableError>);

/// Takes values out of [`Variables`] and remembers what it was asked for and what was wrong. Where a value is wrong, or
/// a required one is missing, what is made of it is a stand-in, of no use once [`Reader::finish`] has told the errors.
#[derive(Debug)]
pub struct Reader<'a> {
    variables: &'a Variables,
    asked: RefCell<BTreeSet<&'static str>>,
    errors: RefCell<Vec<VariableError>>,
}

impl<'a> Reader<'a> {
    /// A reader that has found nothing wrong yet.
    #[must_use]
    pub fn new(variables: &'a Variables) -> Self {
        Self { variables, asked: RefCell::default(), errors: RefCell::default() }
    }

    /// Every error that was found.
    ///
    /// # Errors
    /// When there was any.
    pub fn finish(self) -> Result<(), EnvironmentErrors> {
        let errors = self.errors.into_inner();
        if errors.is_empty() { Ok(()) } else { Err(EnvironmentErrors(errors)) }
    }

    /// The variables that were asked for so far, set or not.
    #[must_use]
    pub fn asked(&self) -> Vec<&'static str> {
        self.asked.borrow().iter().copied().collect()
    }

    /// Whether the variable has a value that counts.
    #[must_use]
    pub fn is_given(&self, name: &'static str) -> bool {
        self.given(name).is_some()
    }

    /// Whether something has been found wrong with the variable.
    #[must_use]
    pub fn is_wrong(&self, name: &'static str) -> bool {
        self.errors.borrow().iter().any(|error| error.name == name)
    }

    /// Notes that the variable is not as `expected`.
    pub fn reject(&self, name: &'static str, expected: impl Into<String>) {
        let found = self.variables.0.get(&OsString::from(name));
        let found = found.map(|value| value.to_string_lossy().trim().to_owned());
        self.errors.borrow_mut().push(VariableError { name: name.into(), expected: expected.into(), found });
    }

    /// As [`Reader::reject`], for a value that nobody may see.
    pub(crate) fn reject_secret(&self, name: &'static str, expected: impl Into<String>) {
        let found = Some("***".to_owned());
        self.errors.borrow_mut().push(VariableError { name: name.into(), expected: expected.into(), found });
    }

    /// The text exactly as it is set, an empty one too; `None` when it is not set.
    pub fn verbatim(&self, name: &'static str) -> Option<String> {
        self.asked.borrow_mut().insert(name);
        let value = self.variables.0.get(&OsString::from(name))?;
        match value.to_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.reject(name, "text in UTF-8");
                None
            }
        }
    }

    /// The value without the blanks around it, unless it is empty or Python's `None`.
    fn given(&self, name: &'static str) -> Option<String> {
        let text = self.verbatim(name)?.trim().to_owned();
        let absent = text.is_empty() || text.eq_ignore_ascii_case("none");
        (!absent).then_some(text)
    }

    /// A text, if one is given.
    pub fn text(&self, name: &'static str) -> Option<String> {
        self.given(name)
    }

    /// What `parse` makes of the value, if one is given. Where it gives up, the value is not as `expected`.
    pub fn parsed<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.given(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.reject(name, expected);
        }
        value
    }

    /// As [`Reader::parsed`], for a value without which the process cannot work.
    pub fn required<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if !self.is_given(name) {
            // A value that is not UTF-8 has been told already.
            if !self.is_wrong(name) {
                self.reject(name, expected);
            }
            return None;
        }
        self.parsed(name, expected, parse)
    }

    /// As [`Reader::text`], for a text without which the process cannot work; empty where there is none.
    pub fn required_text(&self, name: &'static str, expected: &str) -> String {
        self.required(name, expected, |text| Some(text.to_owned())).unwrap_or_default()
    }

    /// `true` or `false`. Whatever else Python takes for false is more likely a mistake.
    pub fn flag(&self, name: &'static str) -> Option<bool> {
        self.parsed(name, "true or false", |text| text.to_ascii_lowercase().parse().ok())
    }

    /// One of `words`, spelled exactly so.
    pub fn choice<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.parsed(name, &one_of(words), |text| chosen(text, words))
    }

    /// As [`Reader::choice`], for a word without which the process cannot work.
    pub fn required_choice<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.required(name, &one_of(words), |text| chosen(text, words))
    }

    /// A whole number within `range`.
    pub fn whole<T>(&self, name: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(name, &expected, |text| text.parse().ok().filter(|value| range.contains(value)))
    }

    /// A number within `range`; infinity and `nan` are none.
    pub fn number(&self, name: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.parsed(name, &expected, |text| text.parse().ok().filter(|value| range.contains(value)))
    }

    /// As [`Reader::number`], for a number without which the process cannot work.
    pub fn required_number(&self, name: &'static str, range: RangeInclusive<f64>) -> f64 {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let number = |text: &str| text.parse().ok().filter(|value| range.contains(value));
        self.required(name, &expected, number).unwrap_or(*range.start())
    }

    /// A time in s, within `range`.
    pub fn seconds(&self, name: &'static str, range: RangeInclusive<f64>) -> Option<Duration> {
        let expected = format!("a number of seconds from {} to {}", range.start(), range.end());
        self.parsed(name, &expected, |text| {
            let seconds = text.parse().ok().filter(|value| range.contains(value))?;
            Duration::try_from_secs_f64(seconds).ok()
        })
    }

    /// The items of a comma-separated list, without blanks around them and without empty ones.
    pub fn list(&self, name: &'static str) -> Vec<String> {
        let text = self.given(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(ToOwned::to_owned).collect()
    }
}

fn one_of<T>(words: &[(&str, T)]) -> String {
    words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ")
}

fn chosen<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}
