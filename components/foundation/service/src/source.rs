//! Where a value was written: a [`Source`] is a text with its line starts, a [`Place`] a range of bytes in one of them.

use crate::diagnostics::{Position, harmless};

/// Longest piece of a source line that is shown with an error, in characters.
const SHOWN_MAX: usize = 120;

/// Characters shown before the place when a long line is cut.
const SHOWN_BEFORE: usize = 40;

/// A range of bytes in one of a document's sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index of the source: 0 is the file, the others are the overrides in the order they were given.
    pub(crate) source: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Place {
    /// The very start of the file, for what is missing from the document as a whole.
    pub(crate) const START: Place = Place { source: 0, start: 0, end: 0 };
}

/// One text that values come from: the file, or one override of the command line.
#[derive(Debug)]
pub(crate) struct Source {
    /// What errors are prefixed with: the file name, or `--set device.pv1.address`.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Byte offset of the start of every line; empty for an override, which has no lines worth counting.
    line_starts: Vec<usize>,
}

impl Source {
    pub(crate) fn file(name: &str, text: &str) -> Source {
        let after_newlines =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Source { name: name.to_owned(), text: text.to_owned(), line_starts }
    }

    pub(crate) fn assignment(name: String, text: &str) -> Source {
        Source { name, text: text.to_owned(), line_starts: Vec::new() }
    }

    /// Turns a range of bytes into what a reader needs: line, column in characters, and the line to show.
    pub(crate) fn position(&self, start: usize, end: usize) -> Position {
        let start = self.floor(start);
        let end = self.floor(end).max(start);
        let line = self.line_starts.partition_point(|line_start| *line_start <= start);
        let line_start = if line == 0 { 0 } else { self.line_starts[line - 1] };
        let rest = &self.text[line_start..];
        let shown = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let before = self.text[line_start..start].chars().count();
        let width = self.text[start..end].chars().take_while(|c| *c != '\n' && *c != '\r').count();
        cut(shown, (line > 0).then_some(line), before, width)
    }

    /// The nearest character boundary at or before `at`.
    fn floor(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        (0..=at).rev().find(|index| self.text.is_char_boundary(*index)).unwrap_or(0)
    }
}

/// Keeps a readable piece of the line around the place, and nothing a terminal would obey.
fn cut(line: &str, number: Option<usize>, before: usize, width: usize) -> Position {
    let length = line.chars().count();
    let before_shown = if length > SHOWN_MAX { before.min(SHOWN_BEFORE) } else { before };
    let skipped = before - before_shown;
    let shown: String = line.chars().skip(skipped).take(SHOWN_MAX).collect();
    let mut text = harmless(&shown);
    let mut indent = before_shown;
    if skipped > 0 {
        text.insert(0, '…');
        indent += 1;
    }
    if skipped + SHOWN_MAX < length {
        text.push('…');
    }
    let room = text.chars().count().saturating_sub(indent);
    Position { line: number, column: before + 1, text, indent, width: width.min(room).max(1) }
}
