//! A query string taken apart: [`Raw`].

use super::parameters::{Kind, LIMIT_MAX, Parameter};
use crate::format::Moment;
use crate::problem::Problem;
use std::fmt::Display;
use std::str::FromStr;

/// Names and values, all of them known names. An empty value counts as none.
#[derive(Debug)]
pub(super) struct Raw {
    pairs: Vec<(String, String)>,
}

impl Raw {
    /// Takes a query string apart.
    pub(super) fn read(query: Option<&str>, known: &[Parameter]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
                let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let description = format!("There is no parameter {}; there are: {there}.", short(&name));
                return Err(Problem::bad("Unknown parameter", description));
            };
            if value.is_empty() {
                continue;
            }
            if parameter.kind != Kind::List && pairs.iter().any(|(before, _)| *before == name) {
                return Err(Problem::bad("Repeated parameter", format!("{name} is given more than once.")));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// Every value of a list.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of anything else.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        Ok(self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()))
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, &str> {
        match self.pairs.iter().find(|(known, _)| known == name) {
            Some((_, value)) => value.trim().parse().map(Some).map_err(|_| value.as_str()),
            None => Ok(None),
        }
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Problem> {
        self.parsed(name).map_err(|found| invalid("integer", name, found, "expected a whole number"))
    }

    pub(super) fn limit(&self) -> Result<Option<usize>, Problem> {
        let limit = self.parsed::<usize>("limit");
        let within =
            limit.as_ref().is_ok_and(|limit| limit.is_none_or(|limit| (1..=LIMIT_MAX).contains(&limit)));
        limit.ok().filter(|_| within).ok_or_else(|| {
            let found = self.all("limit").next().unwrap_or_default();
            invalid("integer", "limit", found, format_args!("expected 1 to {LIMIT_MAX}"))
        })
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool, Problem> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(found) => Err(invalid("boolean", name, found, "expected true or false")),
        }
    }

    pub(super) fn moment(&self, name: &str) -> Result<Option<Moment>, Problem> {
        let expected = "expected ISO 8601 such as 2023-02-01T00:15:00Z; in a URL, + is written %2B";
        let read = |text: &str| Moment::parse(text).ok_or_else(|| invalid("datetime", name, text, expected));
        self.one(name)?.map(read).transpose()
    }
}

fn invalid(kind: &str, name: &str, found: &str, expected: impl Display) -> Problem {
    let description = format!("Invalid {kind} value for {name}: {}; {expected}.", short(found));
    Problem::bad(format!("Invalid {kind} value"), description)
}

/// The beginning of a text that somebody sent.
fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
