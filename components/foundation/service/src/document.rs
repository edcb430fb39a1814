//! A configuration file as a [`Document`]: its text, its tree, the overrides of the command line, and everything that
//! was asked of it and was wrong with it.

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::ledger::{Asked, Ledger, Problem, ScopeId};
use crate::section::Section;
use crate::source::{Place, Source};
use crate::suggest;
use crate::tree::{self, Entry, Node, SyntaxError, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest configuration file that is read, in bytes.
pub const SIZE_MAX_BYTES: usize = 1 << 20;

/// A `=` inside a quoted key is possible; this many are tried as the end of the key.
const KEY_ENDS_TRIED: usize = 8;

/// A parsed TOML text whose values know where they were written.
#[derive(Debug)]
pub struct Document {
    sources: Vec<Source>,
    root: Node,
    directory: PathBuf,
    /// Nothing is looked up, nothing is an error: only what is asked for matters.
    pub(crate) recording: bool,
    pub(crate) ledger: RefCell<Ledger>,
}

impl Document {
    /// Reads and parses a file. What cannot be read, is larger than [`SIZE_MAX_BYTES`] or is not UTF-8 is a diagnostic
    /// like any other.
    pub fn load(path: &Path) -> Result<Document, Diagnostics> {
        let name = path.display().to_string();
        let bytes = read_capped(path).map_err(|error| {
            Diagnostic::without_place(&name, format!("cannot read the file: {error}"), None)
        })?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Document::parse(&name, text),
            Err(_) if bytes.len() > SIZE_MAX_BYTES => Err(too_large(&name).into()),
            Err(error) => Err(not_utf8(&name, &bytes, error.valid_up_to(), "TOML").into()),
        }
    }

    /// Parses a text; `name` is what its errors are prefixed with, and its folder is what file names are relative to.
    pub fn parse(name: &str, text: &str) -> Result<Document, Diagnostics> {
        if text.len() > SIZE_MAX_BYTES {
            return Err(too_large(name).into());
        }
        let source = Source::file(name, text.strip_prefix('\u{feff}').unwrap_or(text));
        match tree::parse(&source.text, 0) {
            Ok(entries) => Ok(Document::new(vec![source], entries, false)),
            Err(errors) => Err(syntax_errors(&source, errors)),
        }
    }

    /// A document without values, over which reading functions tell what they would read.
    pub(crate) fn recording() -> Document {
        Document::new(Vec::new(), Vec::new(), true)
    }

    fn new(sources: Vec<Source>, entries: Vec<Entry>, recording: bool) -> Document {
        let name = sources.first().map(|source| Path::new(&source.name));
        let directory = name.and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default();
        let root = Node { place: Place::START, value: Value::Table(entries) };
        Document { sources, root, directory, recording, ledger: RefCell::new(Ledger::new()) }
    }

    /// Overrides one value: `device.pv1.address=tcp://127.0.0.1:502`.
    ///
    /// The value is TOML if it is valid TOML (`3`, `true`, `["a"]`, `{ x = 1 }`), else it is the text as it stands.
    /// A date is taken as text. Tables on the way are made as needed. A later override wins over an earlier one.
    pub fn set(&mut self, assignment: &str) -> Result<(), Diagnostics> {
        let index = self.sources.len();
        let Some((key, entry)) = parse_assignment(assignment, index) else {
            let message = "this is not an assignment".to_owned();
            return Err(Diagnostic {
                origin: format!("--set {assignment:?}"),
                position: None,
                message,
                expected: Some("key.path=value, such as device.pv1.address=tcp://192.0.2.10:502".to_owned()),
                help: None,
            }
            .into());
        };
        self.sources.push(Source::assignment(format!("--set {key}"), assignment));
        merge(&mut self.root, entry, "").map_err(|(place, path)| {
            let message = format!("this key cannot be set: `{path}` is not a table");
            let expected = Some("a key of a table".to_owned());
            self.diagnostic(Some(place), message, expected, Some(format!("set `{path}` as a whole"))).into()
        })
    }

    /// The folder of the file: relative file names in the configuration are relative to it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The text of the file, without the overrides.
    pub fn text(&self) -> &str {
        self.sources.first().map_or("", |source| &source.text)
    }

    /// The top-level table.
    pub fn root(&self) -> Section<'_> {
        Section::root(self, &self.root)
    }

    /// Ends the reading: adds the keys and tables nobody asked for, and returns every error in the order of the file,
    /// then those of overrides, then those of other documents.
    pub fn finish(&self) -> Result<(), Diagnostics> {
        let mut unknown = Vec::new();
        self.unknown_keys(&self.root, 0, "", &mut unknown);
        let ledger = self.ledger.borrow();
        let mut problems: Vec<&Problem> = ledger.problems.iter().chain(&unknown).collect();
        problems.sort_by_key(|problem| (problem.place.is_none(), problem.place));
        let mut seen = BTreeSet::new();
        // A key that two functions read is wrong twice, and reported once.
        problems.retain(|problem| seen.insert(&problem.diagnostic));
        let list: Vec<Diagnostic> = problems.into_iter().map(|problem| problem.diagnostic.clone()).collect();
        if list.is_empty() { Ok(()) } else { Err(Diagnostics::new(list)) }
    }

    fn unknown_keys(&self, node: &Node, scope: ScopeId, path: &str, problems: &mut Vec<Problem>) {
        let ledger = self.ledger.borrow();
        let asked = &ledger.scopes[scope];
        for entry in node.entries().unwrap_or_default() {
            let entry_path = join(path, &entry.key);
            match asked.asked.iter().find(|(key, _)| *key == entry.key) {
                Some((_, Asked::Value(_))) => {}
                Some((_, Asked::Table { scope, .. })) => {
                    self.unknown_keys(&entry.node, *scope, &entry_path, problems);
                }
                Some((_, Asked::Named { members, .. })) => {
                    let tables = entry.node.entries().unwrap_or_default().iter();
                    for (named, scope) in tables.filter_map(|named| {
                        members.iter().find(|(name, _)| *name == named.key).map(|(_, scope)| (named, *scope))
                    }) {
                        self.unknown_keys(&named.node, scope, &join(&entry_path, &named.key), problems);
                    }
                }
                Some((_, Asked::Listed { members, .. })) => {
                    for (item, scope) in entry.node.items().unwrap_or_default().iter().zip(members) {
                        self.unknown_keys(item, *scope, &entry_path, problems);
                    }
                }
                None if asked.undecided => {}
                None => {
                    let known: Vec<&str> = asked.asked.iter().map(|(key, _)| key.as_str()).collect();
                    problems.push(self.unknown(entry, path, &known));
                }
            }
        }
    }

    fn unknown(&self, entry: &Entry, path: &str, known: &[&str]) -> Problem {
        let message = match (entry.node.entries(), path) {
            (Some(_), _) => format!("unknown table `[{}]`", join(path, &entry.key)),
            (None, "") => format!("unknown key `{}`", entry.key),
            (None, _) => format!("unknown key `{}` in `[{path}]`", entry.key),
        };
        let listed = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let expected = match known.len() {
            0 => "nothing here: this table has no keys".to_owned(),
            1 => listed,
            _ => format!("one of {listed}"),
        };
        let help =
            suggest::nearest(&entry.key, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        Problem {
            place: Some(entry.place),
            diagnostic: self.diagnostic(Some(entry.place), message, Some(expected), help),
        }
    }

    pub(crate) fn diagnostic(
        &self,
        place: Option<Place>,
        message: String,
        expected: Option<String>,
        help: Option<String>,
    ) -> Diagnostic {
        let located = place.and_then(|place| self.sources.get(place.source).map(|source| (place, source)));
        match located {
            Some((place, source)) => Diagnostic {
                origin: source.name.clone(),
                position: Some(source.position(place.start, place.end)),
                message,
                expected,
                help,
            },
            None => Diagnostic { origin: String::new(), position: None, message, expected, help },
        }
    }
}

pub(crate) fn read_capped(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know that there is too much.
    let limit = u64::try_from(SIZE_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn too_large(name: &str) -> Diagnostic {
    let message = format!("the file is larger than {SIZE_MAX_BYTES} bytes");
    Diagnostic::without_place(name, message, Some("is this a configuration file?".to_owned()))
}

pub(crate) fn not_utf8(name: &str, bytes: &[u8], valid_up_to: usize, format: &str) -> Diagnostic {
    let source = Source::file(name, &String::from_utf8_lossy(bytes));
    Diagnostic {
        origin: name.to_owned(),
        position: Some(source.position(valid_up_to, valid_up_to + 1)),
        message: "this is not UTF-8 text".to_owned(),
        expected: Some(format!("a {format} file in UTF-8")),
        help: Some("save the file in UTF-8, or replace this character".to_owned()),
    }
}

fn syntax_errors(source: &Source, errors: Vec<SyntaxError>) -> Diagnostics {
    let list = errors.into_iter().map(|error| Diagnostic {
        origin: source.name.clone(),
        position: Some(source.position(error.place.start, error.place.end)),
        message: error.message,
        expected: error.expected,
        help: error.help,
    });
    Diagnostics::new(list.collect())
}

/// Splits `key.path=value` into the key path as written and an entry nested as deeply as the path has parts.
fn parse_assignment(assignment: &str, source: usize) -> Option<(&str, Entry)> {
    if assignment.len() > SIZE_MAX_BYTES {
        return None;
    }
    let key_ends = assignment.match_indices('=').map(|(at, _)| at).take(KEY_ENDS_TRIED);
    let (key_end, mut entry) =
        key_ends.filter(|key_end| !assignment[..*key_end].contains(['\n', '\r', '#'])).find_map(
            |key_end| Some((key_end, single_entry(&format!("{}=0", &assignment[..key_end]), source)?)),
        )?;
    let value = assignment[key_end + 1..].trim();
    let as_toml = if assignment.contains(['\n', '\r']) { None } else { single_entry(assignment, source) };
    match as_toml {
        Some(parsed) => {
            entry = parsed;
            dates_to_texts(&mut entry.node);
        }
        None => {
            let start = assignment.len() - assignment[key_end + 1..].trim_start().len();
            let place = Place { source, start, end: start + value.len() };
            replace_leaf(&mut entry, Node { place, value: Value::Text(value.to_owned()) });
        }
    }
    Some((assignment[..key_end].trim(), entry))
}

/// The one assignment that `text` is.
fn single_entry(text: &str, source: usize) -> Option<Entry> {
    let mut entries = tree::parse(text, source).ok()?;
    let entry = entries.pop()?;
    (entries.is_empty() && !text.trim_start().starts_with('[')).then_some(entry)
}

/// Whether the table was made by a dot in a key: the parser then gives it the place of the key.
fn is_path(entry: &Entry) -> bool {
    entry.node.place == entry.place && entry.node.entries().is_some()
}

/// Replaces the value at the end of the key path.
fn replace_leaf(entry: &mut Entry, leaf: Node) {
    let path = is_path(entry);
    match &mut entry.node.value {
        Value::Table(entries) if path => {
            entries.iter_mut().for_each(|entry| replace_leaf(entry, leaf.clone()))
        }
        _ => entry.node = leaf,
    }
}

/// Dates cannot be meant: the configuration has none, and the command line has eaten the quotes.
fn dates_to_texts(node: &mut Node) {
    match &mut node.value {
        Value::Date(date) => node.value = Value::Text(std::mem::take(date)),
        Value::Array(items) => items.iter_mut().for_each(dates_to_texts),
        Value::Table(entries) => entries.iter_mut().for_each(|entry| dates_to_texts(&mut entry.node)),
        Value::Text(_) | Value::Integer(_) | Value::Number(..) | Value::Boolean(_) => {}
    }
}

/// Puts an override into the tree: through the tables of its path, then in place of what was there. The error is the
/// place of the key that cannot be set, and the path of what is no table.
fn merge(table: &mut Node, new: Entry, path: &str) -> Result<(), (Place, String)> {
    let Value::Table(entries) = &mut table.value else {
        return Err((new.place, path.to_owned()));
    };
    let through = is_path(&new);
    let path = join(path, &new.key);
    match (entries.iter_mut().find(|entry| entry.key == new.key), new.node.value) {
        (Some(old), Value::Table(inner)) if through => {
            inner.into_iter().try_for_each(|entry| merge(&mut old.node, entry, &path))
        }
        (Some(old), value) => {
            *old = Entry { node: Node { value, ..new.node }, ..new };
            Ok(())
        }
        (None, value) => {
            entries.push(Entry { node: Node { value, ..new.node }, ..new });
            Ok(())
        }
    }
}

/// Adds a key to a path, in quotes where TOML wants them.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
