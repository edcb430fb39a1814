//! Files of another format than TOML, whose errors are told in the same way: [`Text`].

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{not_utf8, read_capped, too_large};
use crate::source::Source;
use crate::{SIZE_MAX_BYTES, suggest};
use std::ops::Range;
use std::path::Path;

/// The text of a file that somebody else parses, and where its lines begin.
#[derive(Debug)]
pub struct Text(Source);

impl Text {
    /// Reads a file. What cannot be read, is larger than [`SIZE_MAX_BYTES`] or is not UTF-8 is a diagnostic;
    /// `format` says in it what the file should have been: `YAML`.
    ///
    /// # Errors
    /// As above.
    pub fn load(path: &Path, format: &str) -> Result<Text, Diagnostics> {
        let name = path.display().to_string();
        let bytes = read_capped(path).map_err(|error| {
            Diagnostic::without_place(&name, format!("cannot read the file: {error}"), None)
        })?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Text::new(&name, text),
            Err(_) if bytes.len() > SIZE_MAX_BYTES => Err(too_large(&name).into()),
            Err(error) => Err(not_utf8(&name, &bytes, error.valid_up_to(), format).into()),
        }
    }

    /// A text that is there already; `name` is what its errors are prefixed with. A byte order mark is passed over.
    ///
    /// # Errors
    /// When it is larger than [`SIZE_MAX_BYTES`].
    pub fn new(name: &str, text: &str) -> Result<Text, Diagnostics> {
        if text.len() > SIZE_MAX_BYTES {
            return Err(too_large(name).into());
        }
        Ok(Text(Source::file(name, text.strip_prefix('\u{feff}').unwrap_or(text))))
    }

    /// What its errors are prefixed with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// An error at a range of bytes; a range beyond the text is moved into it.
    #[must_use]
    pub fn diagnostic(&self, place: Range<usize>, message: String) -> Diagnostic {
        let position = Some(self.0.position(place.start, place.end));
        Diagnostic { origin: self.0.name.clone(), position, message, expected: None, help: None }
    }
}

impl Diagnostic {
    /// An error of a file, or of anything else with a name, as a whole.
    #[must_use]
    pub fn about(origin: &str, message: String) -> Diagnostic {
        Diagnostic::without_place(origin, message, None)
    }

    /// With what would have been right.
    #[must_use]
    pub fn expecting(mut self, expected: impl Into<String>) -> Diagnostic {
        self.expected = Some(expected.into());
        self
    }

    /// With what to try.
    #[must_use]
    pub fn helped(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Diagnostics {
        Diagnostics::new(diagnostics.into_iter().collect())
    }
}

/// The candidate that a mistyped word was probably meant to be, if one is near enough.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    suggest::nearest(word, candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_line_and_what_to_do() {
        let text = Text::new("run.yml", "\u{feff}a: 1\nb: two\n").expect("a text");
        assert_eq!(text.as_str(), "a: 1\nb: two\n");
        let told =
            text.diagnostic(8..11, "wrong".to_owned()).expecting("a number").helped("try 2").to_string();
        let lines: Vec<&str> = told.lines().collect();
        let expected = [
            "run.yml:2:4: error: wrong",
            "  2 | b: two",
            "    |    ^^^",
            "    = expected: a number",
            "    = help: try 2",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_place_beyond_the_text_is_moved_into_it() {
        let text = Text::new("run.yml", "a").expect("a text");
        let told = text.diagnostic(90..99, "wrong".to_owned());
        assert_eq!((told.line(), told.column()), (Some(1), Some(2)));
    }

    #[test]
    fn a_file_of_other_bytes_is_said_to_be_no_text_of_that_format() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.yml");
        std::fs::write(&path, b"ab\xff").expect("a file");
        let told = Text::load(&path, "YAML").expect_err("no text").to_string();
        assert!(told.contains("run.yml:1:3") && told.contains("a YAML file in UTF-8"), "{told}");
    }
}
