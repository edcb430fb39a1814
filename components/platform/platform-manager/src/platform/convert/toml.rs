//! Text of TOML: [`Table`], and how values are spelled.

use std::fmt::Write as _;

/// The table of a component: its keys in order, and the tables below it.
#[derive(Debug)]
pub(super) struct Table {
    keys: Vec<(&'static str, String)>,
    below: Vec<(&'static str, String, Table)>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { keys: Vec::new(), below: Vec::new() }
    }

    /// The table of a component of this kind.
    pub(super) fn of(kind: &str) -> Self {
        Self::new().text("kind", kind)
    }

    /// With a value that is spelled already.
    pub(super) fn key(mut self, key: &'static str, value: impl ToString) -> Self {
        self.keys.push((key, value.to_string()));
        self
    }

    pub(super) fn text(self, key: &'static str, value: &str) -> Self {
        self.key(key, quoted(value))
    }

    pub(super) fn number(self, key: &'static str, value: f64) -> Self {
        self.key(key, format!("{value:?}"))
    }

    pub(super) fn texts<'s>(self, key: &'static str, values: impl IntoIterator<Item = &'s String>) -> Self {
        self.key(key, list(values.into_iter()))
    }

    /// With what `add` adds for a value, if there is one.
    pub(super) fn with<T>(self, value: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => add(self, value),
            None => self,
        }
    }

    /// With a table `[....GROUP.NAME]` below it.
    pub(super) fn below(mut self, group: &'static str, name: &str, table: Self) -> Self {
        self.below.push((group, name.to_owned(), table));
        self
    }

    /// The text, for the table of this path.
    pub(super) fn written(&self, path: &str) -> String {
        let mut text = format!("\n[{path}]\n");
        for (key, value) in &self.keys {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        }
        for (group, name, table) in &self.below {
            text.push_str(&table.written(&format!("{path}.{group}.{}", key_of(name))));
        }
        text
    }
}

/// A name as a key.
pub(super) fn key_of(name: &str) -> String {
    if is_bare(name) { name.to_owned() } else { quoted(name) }
}

pub(super) fn list<'s>(items: impl Iterator<Item = &'s String>) -> String {
    format!("[{}]", items.map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
