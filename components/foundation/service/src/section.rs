//! A table being read: [`Section`] hands out the table's values as fields and its tables as sections, and remembers
//! what was asked for.

use crate::declaration::{Declaration, Kind};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Document, join};
use crate::field::Field;
use crate::ledger::{Problem, ScopeId, Variants};
use crate::source::Place;
use crate::tree::{self, Entry, Node, Value};
use crate::value::{NumberOrWord, Shown};
use std::path::PathBuf;
use std::time::Duration;

/// The name of the one member a table of named tables has while a schema is recorded.
const RECORDED_NAME: &str = "NAME";

/// The function that reads a table of one kind; see [`Section::variants`].
pub type ReadKind<'r, 'a, T> = &'r dyn Fn(&Section<'a>) -> T;

/// A table of the configuration while it is read. It may be absent: then every key of it is.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    pub(crate) document: &'a Document,
    scope: ScopeId,
    /// The table, when it is there.
    node: Option<&'a Node>,
    /// Where to report what is missing: the table, or the nearest table around it that is there.
    place: Place,
    /// What is missing from this table has been reported with the table itself.
    quiet: bool,
    path: String,
    name: String,
}

impl<'a> Section<'a> {
    pub(crate) fn root(document: &'a Document, node: &'a Node) -> Section<'a> {
        Section {
            document,
            scope: 0,
            node: Some(node),
            place: node.place,
            quiet: document.recording,
            path: String::new(),
            name: String::new(),
        }
    }

    /// The keys that lead here, as they would be written in a header: `device.pv1`; empty for the top-level table.
    pub fn path(&self) -> String {
        self.path.clone()
    }

    /// The last key of the path; empty for the top-level table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the file has this table. While a schema is recorded, every table is there.
    pub fn is_present(&self) -> bool {
        self.node.is_some() || self.document.recording
    }

    /// A table of this table, which may be absent.
    pub fn section(&self, key: &str, about: &str) -> Section<'a> {
        self.table(key, about, false)
    }

    /// A table of this table; its absence is one error, whatever would be missing from it.
    pub fn required_section(&self, key: &str, about: &str) -> Section<'a> {
        self.table(key, about, true)
    }

    fn table(&self, key: &str, about: &str, required: bool) -> Section<'a> {
        let scope = self.document.ledger.borrow_mut().table(self.scope, key, about, required);
        let child = self.child(key, scope, self.entry(key).map(|entry| &entry.node));
        if required && child.node.is_none() && !child.quiet {
            let message = format!("missing table `[{}]`", child.path);
            let help = Some(format!("[{}]: {about}", child.path));
            self.problem(self.place, message, Some(format!("a table `[{}]`", child.path)), help);
            return Section { quiet: true, ..child };
        }
        child
    }

    /// The tables whose keys the user chooses, in the order of the file: `[device.pv1]`, `[device.oltc1]`.
    pub fn named_sections(&self, key: &str, about: &str) -> Vec<Section<'a>> {
        self.document.ledger.borrow_mut().names(self.scope, key, about);
        let around = self.child(key, self.scope, self.entry(key).map(|entry| &entry.node));
        let names: Vec<(&str, Option<&'a Node>)> = if self.document.recording {
            vec![(RECORDED_NAME, None)]
        } else {
            let entries = around.node.and_then(Node::entries).unwrap_or_default();
            entries.iter().map(|entry| (entry.key.as_str(), Some(&entry.node))).collect()
        };
        names
            .into_iter()
            .map(|(name, node)| {
                let scope = self.document.ledger.borrow_mut().named(self.scope, key, name);
                around.child(name, scope, node)
            })
            .collect()
    }

    /// The tables of an array, in the order of the file: `[[point]]`, or `point = [{ ... }]`.
    pub fn listed_sections(&self, key: &str, about: &str) -> Vec<Section<'a>> {
        let node = self.entry(key).map(|entry| &entry.node);
        let items: Vec<Option<&'a Node>> = match node {
            _ if self.document.recording => vec![None],
            None => Vec::new(),
            Some(node) => match node.items() {
                Some(items) => items.iter().map(Some).collect(),
                None => {
                    let path = join(&self.path, key);
                    let message = format!("`{path}` is not an array of tables: {}", node.found());
                    self.problem(node.place, message, Some(format!("tables `[[{path}]]`")), None);
                    Vec::new()
                }
            },
        };
        let scopes = self.document.ledger.borrow_mut().listed(self.scope, key, about, items.len());
        items.into_iter().zip(scopes).map(|(item, scope)| self.child(key, scope, item)).collect()
    }

    /// Reads `key`, which says of what kind this table is, and runs the reading function of that kind on this table.
    ///
    /// A missing or unknown word is an error and gives `None`; then the table's other keys are not judged. While a
    /// schema is recorded, every function is run and the result is `None`.
    pub fn variants<T>(&self, key: &str, about: &str, kinds: &[(&str, ReadKind<'_, 'a, T>)]) -> Option<T> {
        if self.document.recording {
            self.record_variants(key, about, kinds);
            return None;
        }
        let words: Vec<&str> = kinds.iter().map(|(word, _)| *word).collect();
        let chosen = self.text(key, about).one_of(&words).required_option();
        match kinds.iter().find(|(word, _)| Some(*word) == chosen.as_deref()) {
            Some((_, read)) => Some(read(self)),
            None => {
                self.document.ledger.borrow_mut().scopes[self.scope].undecided = true;
                None
            }
        }
    }

    fn record_variants<T>(&self, key: &str, about: &str, kinds: &[(&str, ReadKind<'_, 'a, T>)]) {
        let recorded = kinds.iter().map(|(word, read)| {
            let scope = self.document.ledger.borrow_mut().new_scope();
            read(&Section { scope, ..self.clone() });
            ((*word).to_owned(), scope)
        });
        let variants = Variants { key: key.to_owned(), about: about.to_owned(), kinds: recorded.collect() };
        self.document.ledger.borrow_mut().scopes[self.scope].variants = Some(variants);
    }

    /// A text.
    pub fn text(&self, key: &str, about: &str) -> Field<'a, String> {
        self.field(key, Declaration::new(Kind::Text, about), |node| match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// A finite number; an integer will do.
    pub fn number(&self, key: &str, about: &str) -> Field<'a, f64> {
        self.field(key, Declaration::new(Kind::Number, about), number)
    }

    /// A whole number of 64 bits. [`Field::fits`] makes other integer types of it.
    pub fn integer(&self, key: &str, about: &str) -> Field<'a, i64> {
        self.field(key, Declaration::new(Kind::Integer, about), |node| match node.value {
            Value::Integer(integer) => Some(integer),
            _ => None,
        })
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &str, about: &str) -> Field<'a, bool> {
        self.field(key, Declaration::new(Kind::Boolean, about), |node| match node.value {
            Value::Boolean(boolean) => Some(boolean),
            _ => None,
        })
    }

    /// A finite, non-negative number of seconds. By convention the key ends in `_s`.
    pub fn duration_s(&self, key: &str, about: &str) -> Field<'a, Duration> {
        self.field(key, Declaration::new(Kind::Seconds, about), |node| {
            number(node).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        })
        .at_least(0.0)
    }

    /// An array of texts.
    pub fn texts(&self, key: &str, about: &str) -> Field<'a, Vec<String>> {
        self.field(key, Declaration::new(Kind::Texts, about), |node| match &node.value {
            Value::Array(items) => items
                .iter()
                .map(|item| if let Value::Text(text) = &item.value { Some(text.clone()) } else { None })
                .collect(),
            _ => None,
        })
    }

    /// An array of finite numbers.
    pub fn numbers(&self, key: &str, about: &str) -> Field<'a, Vec<f64>> {
        self.field(key, Declaration::new(Kind::Numbers, about), |node| {
            node.items()?.iter().map(number).collect()
        })
    }

    /// The name of a file, made relative to the folder of the configuration file unless it is absolute.
    pub fn file(&self, key: &str, about: &str) -> Field<'a, PathBuf> {
        let directory = self.document.directory();
        self.field(key, Declaration::new(Kind::File, about), |node| match &node.value {
            Value::Text(text) if !text.is_empty() => Some(directory.join(text)),
            _ => None,
        })
    }

    /// A finite number, or one of `words`: `speed = 1`, `speed = "max"`.
    pub fn number_or_word(&self, key: &str, words: &[&str], about: &str) -> Field<'a, NumberOrWord> {
        let mut declaration = Declaration::new(Kind::NumberOrWord, about);
        declaration.words = words.iter().map(|word| (*word).to_owned()).collect();
        self.field(key, declaration, |node| match &node.value {
            Value::Text(text) if words.contains(&text.as_str()) => Some(NumberOrWord::Word(text.clone())),
            _ => number(node).map(NumberOrWord::Number),
        })
    }

    /// Reports what only the caller can judge: the value of `key`, or the table as a whole, is not `expected`.
    pub fn error(&self, key: Option<&str>, expected: impl Into<String>, help: Option<String>) {
        if self.document.recording {
            return;
        }
        let entry = key.and_then(|key| self.entry(key));
        let (place, message) = match (key, entry) {
            (Some(key), Some(entry)) => {
                (entry.node.place, format!("wrong value for `{key}`: {}", entry.node.found()))
            }
            (Some(key), None) => (self.place, self.missing(key)),
            (None, _) if self.path.is_empty() => (self.place, "this configuration cannot be used".to_owned()),
            (None, _) => (self.place, format!("`[{}]` cannot be used", self.path)),
        };
        self.problem(place, message, Some(expected.into()), help);
    }

    /// Adds the errors of another document, such as a file that this table names.
    pub fn absorb(&self, diagnostics: Diagnostics) {
        let problems = diagnostics.into_iter().map(|diagnostic| Problem { place: None, diagnostic });
        self.document.ledger.borrow_mut().problems.extend(problems);
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        tree::entry(self.node?.entries()?, key)
    }

    /// A table of this table. A value that is no table is an error, and reads as an absent table.
    fn child(&self, key: &str, scope: ScopeId, node: Option<&'a Node>) -> Section<'a> {
        let path = join(&self.path, key);
        let (table, quiet) = match node {
            Some(node) if node.entries().is_none() => {
                let message = format!("`{path}` is not a table: {}", node.found());
                self.problem(node.place, message, Some(format!("a table `[{path}]`")), None);
                (None, true)
            }
            other => (other, self.quiet),
        };
        let place = table.map_or(self.place, |table| table.place);
        Section { document: self.document, scope, node: table, place, quiet, path, name: key.to_owned() }
    }

    fn field<T: Shown + 'a>(
        &self,
        key: &str,
        declaration: Declaration,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> Field<'a, T> {
        let found = self.entry(key).map(|entry| (&entry.node, read(&entry.node)));
        Field::new(self.clone(), key, declaration, found, T::shown)
    }

    /// Notes how a field was declared, once its reading has ended.
    pub(crate) fn declare(&self, key: &str, declaration: Declaration) {
        self.document.ledger.borrow_mut().value(self.scope, key, declaration);
    }

    /// Reports a required key that is not there.
    pub(crate) fn report_missing(&self, key: &str, declaration: &Declaration) {
        if !self.quiet {
            let help = Some(format!("{key}: {}", declaration.about));
            self.problem(self.place, self.missing(key), Some(declaration.expected()), help);
        }
    }

    fn missing(&self, key: &str) -> String {
        if self.path.is_empty() {
            format!("missing key `{key}`")
        } else {
            format!("missing key `{key}` in `[{}]`", self.path)
        }
    }

    fn problem(&self, place: Place, message: String, expected: Option<String>, help: Option<String>) {
        self.report(place, self.diagnostic(place, message, expected, help));
    }

    pub(crate) fn diagnostic(
        &self,
        place: Place,
        message: String,
        expected: Option<String>,
        help: Option<String>,
    ) -> Diagnostic {
        self.document.diagnostic(Some(place), message, expected, help)
    }

    pub(crate) fn report(&self, place: Place, diagnostic: Diagnostic) {
        self.document.ledger.borrow_mut().problems.push(Problem { place: Some(place), diagnostic });
    }
}

/// A finite number; infinities and NaN are never meant.
fn number(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Number(number, _) if number.is_finite() => Some(*number),
        _ => None,
    }
}
