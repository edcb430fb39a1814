//! What is wrong with a configuration: [`Diagnostic`] is one error with its place, [`Diagnostics`] all of them.
//!
//! `Display` renders them for people (place, line, underline, what was expected, a hint), [`Diagnostics::to_json`] for
//! programs.

use serde_json::{Value, json};
use std::fmt;

/// Errors rendered in full for people; the rest is counted. `to_json` always has all of them.
const RENDERED_MAX: usize = 100;

/// Where in its source an error is, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Line from 1; none in an override of the command line.
    pub(crate) line: Option<usize>,
    /// Column from 1, in characters.
    pub(crate) column: usize,
    /// The line, or a piece of it.
    pub(crate) text: String,
    /// Characters of `text` before the place.
    pub(crate) indent: usize,
    /// Characters to underline, at least one.
    pub(crate) width: usize,
}

/// One error of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    pub(crate) origin: String,
    pub(crate) position: Option<Position>,
    pub(crate) message: String,
    pub(crate) expected: Option<String>,
    pub(crate) help: Option<String>,
}

impl Diagnostic {
    /// An error of a source as a whole, such as a file that cannot be read.
    pub(crate) fn without_place(origin: &str, message: String, help: Option<String>) -> Diagnostic {
        Diagnostic { origin: origin.to_owned(), position: None, message, expected: None, help }
    }

    /// The same error without the line of the source, which has a secret in it.
    pub(crate) fn without_line(mut self) -> Diagnostic {
        if let Some(position) = &mut self.position {
            position.text.clear();
        }
        self
    }

    /// What the value came from: the file name as it was given, or `--set key.path`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Line in the file, from 1; `None` for an override or a file that could not be read.
    pub fn line(&self) -> Option<usize> {
        self.position.as_ref().and_then(|position| position.line)
    }

    /// Column in the line, from 1, counted in characters.
    pub fn column(&self) -> Option<usize> {
        self.position.as_ref().map(|position| position.column)
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would have been right.
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// What to try.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    fn to_json(&self) -> Value {
        json!({
            "origin": self.origin,
            "line": self.line(),
            "column": self.column(),
            "message": self.message,
            "expected": self.expected,
            "help": self.help,
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", harmless(&self.origin))?;
        if let (Some(line), Some(column)) = (self.line(), self.column()) {
            write!(out, ":{line}:{column}")?;
        }
        writeln!(out, ": error: {}", harmless(&self.message))?;
        let number = self.line().map(|line| line.to_string()).unwrap_or_default();
        let gutter = number.len();
        if let Some(position) = self.position.as_ref().filter(|position| !position.text.is_empty()) {
            let underline: String = position.text.chars().take(position.indent).map(blank).collect();
            writeln!(out, "  {number} | {}", position.text)?;
            writeln!(out, "  {:gutter$} | {underline}{}", "", "^".repeat(position.width))?;
        }
        for (label, text) in [("expected", &self.expected), ("help", &self.help)] {
            if let Some(text) = text {
                writeln!(out, "  {:gutter$} = {label}: {}", "", harmless(text))?;
            }
        }
        Ok(())
    }
}

/// Control characters would move the cursor or recolour the terminal that shows the error.
pub(crate) fn harmless(text: &str) -> String {
    let replaced = |character: char| match character {
        '\t' => '\t',
        '\n' => ' ',
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        printable => printable,
    };
    text.chars().map(replaced).collect()
}

/// A tab stays a tab, so that the underline lines up whatever the width of a tab is.
fn blank(character: char) -> char {
    if character == '\t' { '\t' } else { ' ' }
}

/// Every error of a configuration, in the order of the file. Never empty when it is returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(list: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics { list }
    }

    /// The errors, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many errors there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no error.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Appends the errors of another document, such as a file named by this one.
    pub fn append(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// All errors for programs: `{"errors": [{origin, line, column, message, expected, help}], "count": n}`.
    pub fn to_json(&self) -> Value {
        let errors: Vec<Value> = self.iter().map(Diagnostic::to_json).collect();
        json!({ "count": errors.len(), "errors": errors })
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics { list: vec![diagnostic] }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in self.iter().take(RENDERED_MAX) {
            writeln!(out, "{diagnostic}")?;
        }
        let hidden = self.len().saturating_sub(RENDERED_MAX);
        if hidden > 0 {
            writeln!(out, "and {hidden} more\n")?;
        }
        match self.len() {
            1 => write!(out, "1 error"),
            count => write!(out, "{count} errors"),
        }
    }
}

impl std::error::Error for Diagnostics {}
