//! A configuration without mistakes, read from a file, and with overrides.

use crate::sample::{Driver, Overrun, SAMPLE, check, check_with};
use gridloop_service::{Document, NumberOrWord, SIZE_MAX_BYTES, Secret};
use std::path::Path;
use std::time::Duration;

#[test]
fn values_are_read_and_what_is_absent_has_its_default() {
    let settings = check(SAMPLE).expect("the sample is right");
    assert_eq!(settings.name, "A sunny afternoon");
    assert_eq!(settings.epochs, 60);
    assert_eq!(settings.speed, NumberOrWord::Word("max".to_owned()));
    assert_eq!(settings.overrun, Overrun::Skip);
    let pv1 = &settings.devices[0];
    assert_eq!(pv1.driver, Some(Driver::SunSpec { address: "tcp://127.0.0.1:502".to_owned() }));
    assert_eq!(pv1.max_real_power_w, Some(8000.0));
    assert_eq!(pv1.dead_man, Duration::from_millis(2500));
    assert!(pv1.enabled);
    assert_eq!(settings.devices[1].dead_man, Duration::from_secs(3));
}

#[test]
fn named_tables_come_in_the_order_of_the_file_and_not_of_the_alphabet() {
    let settings = check(SAMPLE).expect("the sample is right");
    let ids: Vec<&str> = settings.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(ids, ["pv1", "oltc1"]);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_change_nothing() {
    let windows = format!("\u{feff}{}", SAMPLE.replace('\n', "\r\n"));
    assert_eq!(check(&windows).expect("the sample is right"), check(SAMPLE).expect("the sample is right"));
}

#[test]
fn an_empty_file_is_a_document_without_keys() {
    for text in ["", "\u{feff}", "\n", "# nothing\n"] {
        let document = Document::parse("empty.toml", text).expect("empty is valid TOML");
        assert_eq!(document.root().text("x", "x").optional(), None);
        assert!(document.finish().is_ok(), "{text:?}");
    }
}

#[test]
fn file_names_are_relative_to_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("demo.toml");
    std::fs::write(&path, "here = \"demo.toml\"\nroot = \"/etc/x\"\n").expect("a file");
    let document = Document::load(&path).expect("a right file");
    assert_eq!(document.directory(), folder.path());
    assert_eq!(document.root().file("here", "itself").must_exist().required(), path);
    assert_eq!(document.root().file("root", "absolute").required(), Path::new("/etc/x"));
    assert!(document.finish().is_ok());
}

#[test]
fn an_override_wins_over_the_file_and_the_last_one_over_the_others() {
    let overrides =
        ["manager.overrun=stretch", "manager.speed=2", "manager.speed=2.5", "simulation.name=\"x y\""];
    let settings = check_with(SAMPLE, &overrides).expect("the overrides are right");
    assert_eq!(settings.overrun, Overrun::Stretch);
    assert_eq!(settings.speed, NumberOrWord::Number(2.5));
    assert_eq!(settings.name, "x y");
}

#[test]
fn what_is_not_toml_is_text_in_an_override_and_so_is_a_date() {
    for (assignment, name) in [
        ("simulation.name=tcp://127.0.0.1:1502?x=1", "tcp://127.0.0.1:1502?x=1"),
        ("simulation.name=  spaces around  ", "spaces around"),
        ("simulation.name=", ""),
        ("simulation . \"name\" = a = b", "a = b"),
        ("simulation.name=2026-06-21T12:00:00Z", "2026-06-21T12:00:00Z"),
        ("simulation.name=two\nlines", "two\nlines"),
        ("simulation.name=memory:#1", "memory:#1"),
    ] {
        let settings = check_with(SAMPLE, &[assignment]).expect(assignment);
        assert_eq!(settings.name, name, "{assignment:?}");
    }
}

#[test]
fn an_override_makes_the_tables_it_needs_and_replaces_whole_tables() {
    let overrides = [
        "device.pv2.driver=sunspec",
        "device.pv2.address=tcp://h:1",
        "device.pv2.limits={ max_real_power_w = 5 }",
        "device.pv1.limits={ dead_man_s = 1 }",
        "device.\"odd = name\".driver=sunspec",
        "device.\"odd = name\".address=tcp://h:2",
    ];
    let settings = check_with(SAMPLE, &overrides).expect("the overrides are right");
    let ids: Vec<&str> = settings.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(ids, ["pv1", "oltc1", "pv2", "odd = name"]);
    assert_eq!(settings.devices[2].max_real_power_w, Some(5.0));
    assert_eq!(settings.devices[0].max_real_power_w, None, "the table was replaced, not merged");
}

#[test]
fn a_secret_comes_from_the_environment_and_is_never_shown() {
    let text = "plain = \"hunter2\"\nfrom_env = \"${env:CARGO_PKG_NAME}\"\nhalf = \"${env:CARGO_PKG_NAME\"\n";
    let document = Document::parse("s.toml", text).expect("valid TOML");
    let secret = |key: &str| -> Secret { document.root().text(key, "a secret").secret().required() };
    assert_eq!(secret("plain").expose(), "hunter2");
    assert_eq!(secret("from_env").expose(), "gridloop-service");
    assert_eq!(secret("half").expose(), "${env:CARGO_PKG_NAME");
    assert_eq!(format!("{:?}", secret("plain")), "Secret(***)");
    assert!(document.finish().is_ok());
}

#[test]
fn a_file_of_the_largest_size_is_read_and_one_byte_more_is_refused() {
    let largest = "#".repeat(SIZE_MAX_BYTES);
    assert!(Document::parse("big.toml", &largest).is_ok());
    assert!(Document::parse("big.toml", &format!("{largest}#")).is_err());
}

#[test]
fn tables_of_an_array_come_in_the_order_of_the_file_however_they_are_written() {
    let written = "[[point]]\nname = \"b\"\nvalid = [1, 2.5]\n[[point]]\nname = \"a\"\n";
    let inline = "point = [{ name = \"b\", valid = [1, 2.5] }, { name = \"a\" }]";
    for text in [written, inline] {
        let document = Document::parse("x.toml", text).unwrap();
        let points = document.root().listed_sections("point", "a point");
        let read = |section: &gridloop_service::Section<'_>| {
            (section.text("name", "").required(), section.numbers("valid", "").optional())
        };
        let found: Vec<_> = points.iter().map(read).collect();
        assert_eq!(found, [("b".to_owned(), Some(vec![1.0, 2.5])), ("a".to_owned(), None)]);
        document.finish().unwrap();
    }
}
