//! No input makes the library panic: every text is either read or refused with a place inside it.

use crate::sample::{SAMPLE, check, check_with, read};
use gridloop_service::{Diagnostics, Document};
use proptest::prelude::*;

/// Every error has a line and a column that exist in `text`, and can be rendered.
fn is_inside(errors: &Diagnostics, text: &str) {
    assert!(!errors.is_empty());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').collect();
    for error in errors.iter() {
        let (line, column) = (error.line().expect("a line"), error.column().expect("a column"));
        let length = lines.get(line - 1).expect("the line exists").chars().count();
        assert!(column >= 1 && column <= length + 1, "{error}");
    }
    assert!(errors.to_string().contains("error"));
    assert_eq!(errors.to_json()["count"], errors.len());
}

fn is_read_or_refused(text: &str) {
    if let Err(errors) = check(text) {
        is_inside(&errors, text);
    }
}

/// A piece of TOML, right or wrong.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[device.pv1]".to_owned()),
        Just("[[device]]".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("{ a.b = [".to_owned()),
        Just(" = nan".to_owned()),
        Just("= 0x7fffffffffffffffff".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("\n\"\\u0000\" = 1\n".to_owned()),
        "\\PC{0,8}",
        "[\\[\\]{}=.,\"'#\n a1]{0,12}",
    ]
}

proptest! {
    #[test]
    fn arbitrary_text_is_read_or_refused_with_a_place(text in "(?s).{0,200}") {
        is_read_or_refused(&text);
    }

    #[test]
    fn arbitrary_fragments_of_toml_are_read_or_refused_with_a_place(parts in prop::collection::vec(fragment(), 0..20)) {
        is_read_or_refused(&parts.concat());
    }

    #[test]
    fn arbitrary_edits_of_a_right_file_are_read_or_refused_with_a_place(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, fragment()), 1..6),
    ) {
        let mut characters: Vec<char> = SAMPLE.chars().collect();
        for (at, dropped, inserted) in edits {
            let start = at.index(characters.len() + 1);
            let end = (start + dropped).min(characters.len());
            characters.splice(start..end, inserted.chars());
        }
        is_read_or_refused(&characters.into_iter().collect::<String>());
    }

    #[test]
    fn arbitrary_bytes_of_a_file_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("any.toml");
        std::fs::write(&path, &bytes).expect("a file");
        match Document::load(&path) {
            Err(errors) => is_inside(&errors, &String::from_utf8_lossy(&bytes)),
            Ok(document) => {
                let _ = read(&document.root());
                prop_assert!(document.finish().is_err(), "no arbitrary file has a [simulation]");
            }
        }
    }

    #[test]
    fn arbitrary_overrides_are_taken_or_refused(
        key in "[a-z.\"= ]{0,12}|device\\.pv1(\\.limits)?|simulation\\.name", value in fragment(),
    ) {
        if let Err(errors) = check_with(SAMPLE, &[&format!("{key}={value}")]) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.to_string().contains("error"));
        }
    }
}

#[test]
fn nesting_as_deep_as_the_parser_allows_is_refused_and_not_a_stack_overflow() {
    let path = vec!["a"; 79].join(".");
    let mut text = format!("[{path}]\n{path}=");
    for _ in 0..78 {
        text.push_str(&format!("{{{path}="));
    }
    text.push('1');
    text.push_str(&"}".repeat(78));
    let errors = check(&text).expect_err("too deep");
    is_inside(&errors, &text);
    assert!(errors.to_string().contains("nested too deeply"), "{errors}");
    for brackets in ["[", "{a=", "a.", "[["] {
        is_read_or_refused(&format!("x = {}", brackets.repeat(100_000)));
        is_read_or_refused(&brackets.repeat(100_000));
    }
}

#[test]
fn many_errors_are_counted_and_the_first_hundred_shown() {
    let text: String = (0..1000).map(|key| format!("key{key} = 1\n")).collect();
    let document = Document::parse("t.toml", &text).expect("valid TOML");
    let errors = document.finish().expect_err("nobody asked for any");
    assert_eq!(errors.len(), 1000);
    let shown = errors.to_string();
    assert_eq!(shown.matches(": error: ").count(), 100);
    assert!(shown.ends_with("and 900 more\n\n1000 errors"), "{shown}");
}
