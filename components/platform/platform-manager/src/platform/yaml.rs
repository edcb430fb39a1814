//! YAML as the Python platform reads it: a [`Node`] is a value with its place, [`read`] makes one of a [`Text`].
//!
//! Run configurations and manifests are read there by PyYAML, which follows YAML 1.1: `yes` is true, `010` is eight and
//! `1e3` a text. Both platforms must take one file the same way, so the parser gives the words as written and
//! `scalar` decides what they are by PyYAML's rules. `python` spells values as Python's `str()` does, because
//! that is how they reach environment variables.
//!
//! Where PyYAML would take something in silence that cannot be meant (a key twice, an infinite number), or build
//! something that SimCES cannot carry (a date, a set), reading ends in an error with its place. Size, depth and the
//! expansion of aliases are bounded.

mod node;
mod parse;
mod python;
mod scalar;

pub use node::{Node, Value};
pub use parse::read;

use gridloop_service::{Diagnostic, Text};
use std::ops::Range;

/// More errors than this of one file are not collected.
const NOTED_MAX: usize = 1000;

/// The errors of one file so far, in any order.
pub(crate) struct Notes<'t> {
    text: &'t Text,
    list: Vec<(usize, Diagnostic)>,
}

impl<'t> Notes<'t> {
    pub(crate) fn new(text: &'t Text) -> Self {
        Self { text, list: Vec::new() }
    }

    /// Notes that what stands there is wrong.
    pub(crate) fn wrong(&mut self, place: &Range<usize>, message: impl Into<String>, expected: &str) {
        self.add(place, |diagnostic| diagnostic.expecting(expected), message.into());
    }

    /// As [`Notes::wrong`], with what to try instead of what was expected.
    pub(crate) fn wrong_try(&mut self, place: &Range<usize>, message: impl Into<String>, help: String) {
        self.add(place, |diagnostic| diagnostic.helped(help), message.into());
    }

    fn add(&mut self, place: &Range<usize>, finish: impl FnOnce(Diagnostic) -> Diagnostic, message: String) {
        if self.list.len() < NOTED_MAX {
            self.list.push((place.start, finish(self.text.diagnostic(place.clone(), message))));
        }
    }

    /// All of them, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|(at, _)| *at);
        self.list.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }
}
