//! Files that nobody means well with: refused with a place, in bounded time and memory, never a panic.

use gridloop_platform_manager::platform::yaml::read;
use gridloop_platform_manager::platform::{Manifest, RunFile};
use gridloop_service::Text;
use proptest::prelude::*;

/// The error of a text that must be refused.
fn refused(text: &str) -> String {
    let text = Text::new("run.yml", text).expect("it is small enough");
    match RunFile::read(&text) {
        Ok(_) => panic!("it was taken: {}", text.as_str()),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn aliases_that_multiply_are_stopped_where_they_become_too_many() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", "));
    }
    let told = refused(&bomb);
    assert!(told.contains("more than 100000 values"), "{told}");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(200_000), ["*a"; 100].join(", "));
    let told = refused(&long);
    assert!(told.contains("8388608 bytes"), "{told}");
}

#[test]
fn an_alias_of_what_it_is_a_part_of_is_refused() {
    let told = refused("a: &a [1, *a]\n");
    assert!(told.contains("a part of"), "{told}");
}

#[test]
fn nesting_has_a_bound_in_both_notations() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(50_000),
        (0..500).map(|level| format!("{}a:\n", " ".repeat(level))).collect(),
        "- ".repeat(10_000),
    ] {
        let told = refused(&text);
        assert!(told.contains("run.yml:"), "{told}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_where_it_stands() {
    for (text, place, words) in [
        ("Simulation: {}\nSimulation: {}\n", "run.yml:2:1", "a second time"),
        ("a: 1\n---\nb: 2\n", "run.yml:2:1", "a second document"),
        ("Simulation:\n\tName: x\n", "run.yml:2:", "no YAML"),
        ("a: [1, 2\n", "run.yml:", "no YAML"),
        ("a: \"x\n", "run.yml:", "no YAML"),
        ("a: *nobody\n", "run.yml:1:4", "no YAML"),
        ("? [a, b]\n: c\n", "run.yml:1:3", "cannot be a key"),
        ("<<: 5\n", "run.yml:1:5", "takes over the keys of a mapping"),
        ("{true: a, 1: b}", "run.yml:1:11", "a second time"),
        ("", "run.yml:1:1", "nothing in this file"),
        ("# only a comment\n", "run.yml:1:1", "nothing in this file"),
    ] {
        let told = refused(text);
        assert!(told.contains(place) && told.contains(words), "{text:?}: {told}");
    }
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_refused_unread() {
    let large = Text::new("run.yml", &"#".repeat(2 << 20)).expect_err("too large").to_string();
    assert!(large.contains("larger than 1048576 bytes"), "{large}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.yml");
    std::fs::write(&path, b"Simulation:\n  Name: \xff\xfe\n").expect("a file");
    let told = Text::load(&path, "YAML").expect_err("no text").to_string();
    assert!(told.contains("run.yml:2:9") && told.contains("YAML file in UTF-8"), "{told}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_taken() {
    let text = Text::new("run.yml", "\u{feff}a: 1\r\nb: two\r\n").expect("a text");
    let root = read(&text).expect("YAML");
    assert_eq!(root.get("b").and_then(|node| node.text()), Some("two"));
}

#[test]
fn an_error_in_one_long_line_shows_a_piece_of_it() {
    let text = format!("Simulation: {{a: {}, b: .inf}}\n", "x".repeat(300_000));
    let told = refused(&text);
    assert!(told.len() < 2_000, "{} bytes", told.len());
}

#[test]
fn as_many_errors_as_values_stay_bounded() {
    let processes: String = (0..20_000).map(|number| format!("    a.{number}: 5\n")).collect();
    let text = Text::new("run.yml", &format!("Components:\n  Dummy:\n{processes}")).expect("a text");
    let problems = RunFile::read(&text).expect_err("errors");
    assert!(problems.len() <= 1000, "{}", problems.len());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let text = Text::new("run.yml", &text).expect("small");
        let _ = RunFile::read(&text);
        let _ = Manifest::read(&text);
    }

    #[test]
    fn no_yaml_makes_it_panic(text in "([ \\n]{1,3}|[-:?\\[\\]{},&*!|>'\"%@#]|a|Simulation|Components|Name|<<|1\\.5|~){0,60}") {
        let text = Text::new("run.yml", &text).expect("small");
        let _ = RunFile::read(&text);
        let _ = Manifest::read(&text);
    }
}
