//! The texts of the errors, as people see them. They are the interface of `gridloop check`: change them on purpose.

use crate::sample::{SAMPLE, check, check_with};
use gridloop_service::{Diagnostics, Document, Section};

fn rendered<T>(result: Result<T, Diagnostics>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

/// Reads `text` with one function and renders what is wrong.
fn errors_of(text: &str, read: impl FnOnce(&Section<'_>)) -> String {
    let document = Document::parse("t.toml", text).expect("valid TOML");
    read(&document.root());
    rendered(document.finish())
}

#[test]
fn every_error_is_reported_at_once_in_the_order_of_the_file() {
    let text = r#"[simulation]
epochs = 0
nmae = "x"

[manager]
speed = "mx"
overrun = "strech"

[device.pv1]
driver = "sunspec"
address = "127.0.0.1:502"
limits = { max_real_power_w = "8000", dead_man_s = -1 }

[device.oltc1]
driver = "registermap"
anything = 1

[devise.pv2]
driver = "sunspec"
"#;
    let expected = r#"demo.toml:1:1: error: missing key `name` in `[simulation]`
  1 | [simulation]
    | ^^^^^^^^^^^^
    = expected: a text in quotes
    = help: name: what people call the run

demo.toml:2:10: error: wrong value for `epochs`: 0
  2 | epochs = 0
    |          ^
    = expected: a whole number, 1 or more

demo.toml:3:1: error: unknown key `nmae` in `[simulation]`
  3 | nmae = "x"
    | ^^^^
    = expected: one of `name`, `epochs`
    = help: did you mean `name`?

demo.toml:6:9: error: wrong value for `speed`: "mx"
  6 | speed = "mx"
    |         ^^^^
    = expected: a number above 0 or "max"

demo.toml:7:11: error: wrong value for `overrun`: "strech"
  7 | overrun = "strech"
    |           ^^^^^^^^
    = expected: one of "stretch", "skip"
    = help: did you mean "stretch"?

demo.toml:11:11: error: wrong value for `address`: an address starts with tcp://
  11 | address = "127.0.0.1:502"
     |           ^^^^^^^^^^^^^^^
     = expected: a text in quotes, such as "tcp://192.0.2.10:502"

demo.toml:12:31: error: wrong value for `max_real_power_w`: "8000"
  12 | limits = { max_real_power_w = "8000", dead_man_s = -1 }
     |                               ^^^^^^
     = expected: a number from 0 to 1000000
     = help: write the number without quotes

demo.toml:12:52: error: wrong value for `dead_man_s`: -1
  12 | limits = { max_real_power_w = "8000", dead_man_s = -1 }
     |                                                    ^^
     = expected: a number of seconds, 0 or more

demo.toml:15:10: error: wrong value for `driver`: "registermap"
  15 | driver = "registermap"
     |          ^^^^^^^^^^^^^
     = expected: one of "sunspec", "register-map"
     = help: did you mean "register-map"?

demo.toml:18:2: error: unknown table `[devise]`
  18 | [devise.pv2]
     |  ^^^^^^
     = expected: one of `simulation`, `manager`, `device`
     = help: did you mean `device`?

10 errors"#;
    assert_eq!(rendered(check(text)), expected);
}

#[test]
fn syntax_errors_have_their_place_and_one_per_line() {
    let text = "[simulation]\nname = sunny\n[manager]\nspeed = 1\nspeed = 2\n[device\n";
    let expected = r#"demo.toml:2:8: error: string values must be quoted
  2 | name = sunny
    |        ^^^^^
    = expected: a text in quotes, a number, true, false, [...] or {...}
    = help: put the text in double quotes

demo.toml:5:1: error: duplicate key
  5 | speed = 2
    | ^^^^^
    = help: a key or table may be given once: remove one, or merge the two

demo.toml:6:8: error: unclosed table
  6 | [device
    |        ^
    = expected: `]`

3 errors"#;
    assert_eq!(rendered(check(text)), expected);
}

#[test]
fn a_missing_table_is_one_error_whatever_would_be_missing_from_it() {
    let expected = r#"demo.toml:1:1: error: missing table `[simulation]`
  1 | [manager]
    | ^
    = expected: a table `[simulation]`
    = help: [simulation]: the run

1 error"#;
    assert_eq!(rendered(check("[manager]\n")), expected);
}

#[test]
fn a_key_missing_from_an_absent_table_is_reported_at_the_table_around_it() {
    let read = |root: &Section<'_>| {
        let _ = root
            .section("bus", "the bus")
            .section("broker", "the broker")
            .text("url", "its address")
            .required();
    };
    let expected = r#"t.toml:1:1: error: missing key `url` in `[bus.broker]`
  1 | [bus]
    | ^^^^^
    = expected: a text in quotes
    = help: url: its address

1 error"#;
    assert_eq!(errors_of("[bus]\n", read), expected);
}

#[test]
fn a_table_where_a_value_belongs_and_a_value_where_a_table_belongs_are_errors() {
    let text = "manager = 3\ndevice = { pv1 = 4 }\nsimulation.name = { x = 1 }\n";
    let errors = check(text).expect_err("all three are wrong");
    let messages: Vec<&str> = errors.iter().map(|error| error.message()).collect();
    assert_eq!(
        messages,
        ["`manager` is not a table: 3", "`device.pv1` is not a table: 4", "wrong value for `name`: a table"]
    );
}

/// A text, the reading of `x` in it, what the error says was found and expected, and its hint.
type Case = (&'static str, fn(&Section<'_>), &'static str, &'static str, Option<&'static str>);

#[test]
fn a_value_of_another_type_is_named_with_the_remedy() {
    let cases: [Case; 12] = [
        (
            "x = 2026-01-02",
            text,
            "the date or time 2026-01-02",
            "a text in quotes",
            Some("put it in double quotes"),
        ),
        (
            "x = 12:30:00",
            text,
            "the date or time 12:30:00",
            "a text in quotes",
            Some("put it in double quotes"),
        ),
        ("x = 5", text, "5", "a text in quotes", Some("put it in double quotes")),
        ("x = []", text, "an array", "a text in quotes", None),
        ("x = nan", number, "nan", "a number", None),
        ("x = -inf", number, "-inf", "a number", None),
        ("x = 1e999", number, "1e999", "a number", None),
        ("x = true", number, "true", "a number", None),
        ("x = 1.5", integer, "1.5", "a whole number", None),
        ("x = 9223372036854775808", integer, "9223372036854775808", "a whole number", None),
        ("x = \"true\"", boolean, "\"true\"", "true or false", Some("write true without quotes")),
        ("x = \"a\"", texts, "\"a\"", "an array of texts in quotes", Some("write [\"a\"]")),
    ];
    for (input, read, found, expected, help) in cases {
        let document = Document::parse("t.toml", input).expect("valid TOML");
        read(&document.root());
        let errors = document.finish().expect_err(input);
        let error = errors.iter().next().expect("an error");
        assert_eq!(error.message(), format!("wrong value for `x`: {found}"), "{input}");
        assert_eq!(error.expected(), Some(expected), "{input}");
        assert_eq!(error.help(), help, "{input}");
        assert_eq!((errors.len(), error.line(), error.column()), (1, Some(1), Some(5)), "{input}");
    }

    fn text(section: &Section<'_>) {
        let _ = section.text("x", "x").required();
    }
    fn number(section: &Section<'_>) {
        let _ = section.number("x", "x").required();
    }
    fn integer(section: &Section<'_>) {
        let _ = section.integer("x", "x").or(1);
    }
    fn boolean(section: &Section<'_>) {
        let _ = section.boolean("x", "x").optional();
    }
    fn texts(section: &Section<'_>) {
        let _ = section.texts("x", "x").required();
    }
}

#[test]
fn numbers_outside_their_range_are_refused_and_the_ends_of_the_range_are_not() {
    let within = |text: &str| {
        errors_of(text, |root| {
            let _ = root.number("x", "x").within(0.5..=2.0).optional();
        })
    };
    for inside in ["x = 0.5", "x = 1", "x = 2"] {
        assert_eq!(within(inside), "no error", "{inside}");
    }
    for outside in ["x = 0.49", "x = 2.01", "x = -1e300"] {
        assert!(within(outside).contains("expected: a number from 0.5 to 2"), "{}", within(outside));
    }
    let small = errors_of("x = 300", |root| {
        let _: Option<u8> = root.integer("x", "x").fits().optional();
    });
    assert!(small.contains("300 is not in the range of this key"), "{small}");
    let long = errors_of("x_s = 1e30", |root| {
        let _ = root.duration_s("x_s", "x").required();
    });
    assert!(long.contains("expected: a number of seconds, 0 or more"), "{long}");
}

#[test]
fn columns_count_characters_and_the_underline_keeps_the_tabs() {
    let text = "# grün\n\t\"größe\" = \"weiß\"\t# ü\n";
    let read = |root: &Section<'_>| {
        let _ = root.number("größe", "size").required();
    };
    let expected = "t.toml:2:12: error: wrong value for `größe`: \"weiß\"
  2 | \t\"größe\" = \"weiß\"\t# ü
    | \t          ^^^^^^
    = expected: a number

1 error";
    assert_eq!(errors_of(text, read), expected);
}

#[test]
fn carriage_returns_and_a_byte_order_mark_shift_no_column() {
    let read = |root: &Section<'_>| {
        let _ = (root.number("a", "a").required(), root.number("b", "b").required());
    };
    let errors = errors_of("\u{feff}a = true\r\nb = \"x\"\r\n", read);
    assert!(errors.contains("t.toml:1:5: error"), "{errors}");
    assert!(errors.contains("t.toml:2:5: error"), "{errors}");
    assert!(!errors.contains('\r') && !errors.contains('\u{feff}'), "{errors:?}");
}

#[test]
fn a_long_line_is_cut_around_the_place_and_a_value_of_many_lines_is_underlined_on_its_first() {
    let read = |root: &Section<'_>| {
        let _ = root.number("x", "x").required();
    };
    let long = errors_of(&format!("{:200}x = [{}]", "", "1,".repeat(500)), read);
    let shown = long.lines().nth(1).expect("the source line");
    assert!(long.starts_with("t.toml:1:205: error"), "{long}");
    assert!(shown.starts_with("  1 | … ") && shown.ends_with('…') && shown.chars().count() < 140, "{shown}");
    assert!(long.lines().nth(2).is_some_and(|line| line.chars().count() <= shown.chars().count()), "{long}");
    let tall = errors_of("x = [\n  1,\n  2,\n]\n", read);
    assert!(tall.contains("  1 | x = [\n    |     ^\n"), "{tall}");
}

#[test]
fn control_characters_of_the_file_do_not_reach_the_terminal() {
    let errors = rendered(check("x = \"\u{1b}[31mred\u{7}\"\n"));
    assert!(!errors.contains('\u{1b}') && !errors.contains('\u{7}'), "{errors:?}");
    let quoted = errors_of("x = \"\\u001b[31m\"\n\"\\u001b\" = 1\n", |root| {
        let _ = root.number("x", "x").required();
    });
    assert!(!quoted.contains('\u{1b}'), "{quoted:?}");
}

#[test]
fn errors_of_overrides_name_the_override() {
    let overrides = ["manager.overrun=strech", "device.pv1.limits.max_real_power=1", "simulation.name=5"];
    let expected = r#"--set manager.overrun: error: wrong value for `overrun`: "strech"
   | manager.overrun=strech
   |                 ^^^^^^
   = expected: one of "stretch", "skip"
   = help: did you mean "stretch"?

--set device.pv1.limits.max_real_power: error: unknown key `max_real_power` in `[device.pv1.limits]`
   | device.pv1.limits.max_real_power=1
   |                   ^^^^^^^^^^^^^^
   = expected: one of `max_real_power_w`, `dead_man_s`
   = help: did you mean `max_real_power_w`?

--set simulation.name: error: wrong value for `name`: 5
   | simulation.name=5
   |                 ^
   = expected: a text in quotes
   = help: put it in double quotes

3 errors"#;
    assert_eq!(rendered(check_with(SAMPLE, &overrides)), expected);
}

#[test]
fn an_override_that_cannot_be_made_is_an_error_of_its_own() {
    for broken in ["", "=", "x", "=1", "[x]=1", "a..b=1", "a b=1", "#x=1", "a\n=1", "x\n[y]\nz=1"] {
        let mut document = Document::parse("t.toml", "").expect("valid TOML");
        let errors = document.set(broken).expect_err(broken);
        assert!(errors.to_string().contains("expected: key.path=value"), "{errors}");
    }
    let expected = "--set simulation.name.x: error: this key cannot be set: `simulation.name` is not a table
   | simulation.name.x=1
   |                 ^
   = expected: a key of a table
   = help: set `simulation.name` as a whole

1 error";
    assert_eq!(rendered(check_with(SAMPLE, &["simulation.name.x=1"])), expected);
}

#[test]
fn what_only_the_caller_can_judge_is_placed_like_any_other_error() {
    let errors = errors_of("[a]\nx = 1\n", |root| {
        let table = root.section("a", "a");
        let _ = table.integer("x", "x").required();
        table.error(Some("x"), "an even number", Some("try 2".to_owned()));
        table.error(Some("y"), "y where x is odd", None);
        table.error(None, "a table that makes sense", None);
        root.error(None, "at least one device", None);
    });
    let expected = "t.toml:1:1: error: this configuration cannot be used
  1 | [a]
    | ^
    = expected: at least one device

t.toml:1:1: error: missing key `y` in `[a]`
  1 | [a]
    | ^^^
    = expected: y where x is odd

t.toml:1:1: error: `[a]` cannot be used
  1 | [a]
    | ^^^
    = expected: a table that makes sense

t.toml:2:5: error: wrong value for `x`: 1
  2 | x = 1
    |     ^
    = expected: an even number
    = help: try 2

4 errors";
    assert_eq!(errors, expected);
}

#[test]
fn a_key_read_twice_is_wrong_once_and_finishing_twice_tells_the_same() {
    let document = Document::parse("t.toml", "x = 1\ny = 2\n").expect("valid TOML");
    for _ in 0..2 {
        let _ = (document.root().text("x", "x").required(), document.root().text("z", "z").required());
    }
    let first = document.finish().expect_err("x is wrong, y unknown and z missing");
    assert_eq!(first.len(), 3);
    assert_eq!(document.finish().expect_err("still wrong"), first);
}

#[test]
fn errors_of_another_document_are_added_after_those_of_this_one() {
    let errors = errors_of("zz = 1\n", |root| {
        let profile = Document::parse("profile.toml", "x = \n").expect_err("not TOML");
        root.absorb(profile);
    });
    let this = errors.find("t.toml:1:1").expect("the unknown key");
    let other = errors.find("profile.toml:1:").expect("the syntax error");
    assert!(this < other, "{errors}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_like_any_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let absent = folder.path().join("absent.toml");
    let errors = Document::load(&absent).expect_err("it is not there");
    assert!(errors.to_string().starts_with(&format!("{}: error: cannot read the file: ", absent.display())));
    assert!(Document::load(folder.path()).is_err(), "a folder");
    let big = folder.path().join("big.toml");
    std::fs::write(&big, vec![0xff; gridloop_service::SIZE_MAX_BYTES + 1]).expect("a file");
    let errors = Document::load(&big).expect_err("too large").to_string();
    assert!(errors.contains("larger than 1048576 bytes"), "{errors}");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_at_the_first_wrong_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("latin1.toml");
    std::fs::write(&path, b"a = 1\nname = \"gr\xfcn\"\n").expect("a file");
    let errors = Document::load(&path).expect_err("not UTF-8");
    let error = errors.iter().next().expect("an error");
    assert_eq!((error.line(), error.column()), (Some(2), Some(11)));
    assert_eq!(error.message(), "this is not UTF-8 text");
}

#[test]
fn a_file_that_must_exist_and_does_not_is_named() {
    let errors = errors_of("x = \"no/such/file.csv\"\n", |root| {
        let _ = root.file("x", "x").must_exist().required();
    });
    assert!(errors.contains("wrong value for `x`: no/such/file.csv: "), "{errors}");
    assert!(errors.contains("expected: a file name in quotes"), "{errors}");
}

#[test]
fn a_secret_that_the_environment_does_not_have_is_named_and_a_wrong_one_is_not_repeated() {
    let errors = errors_of("x = \"${env:GRIDLOOP_NO_SUCH_VARIABLE}\"\n", |root| {
        let _ = root.text("x", "x").secret().required();
    });
    assert!(errors.contains("the environment has no variable GRIDLOOP_NO_SUCH_VARIABLE"), "{errors}");
    let errors = errors_of("x = 4711\n", |root| {
        let _ = root.text("x", "x").secret().required();
    });
    assert!(!errors.contains("4711"), "{errors}");
}

#[test]
fn errors_for_programs_have_the_same_facts() {
    let errors = check("[simulation]\nname = 1\n").expect_err("a wrong type");
    let expected = serde_json::json!({ "count": 1, "errors": [{
        "origin": "demo.toml", "line": 2, "column": 8,
        "message": "wrong value for `name`: 1",
        "expected": "a text in quotes",
        "help": "put it in double quotes",
    }]});
    assert_eq!(errors.to_json(), expected);
}

#[test]
fn every_table_of_an_array_is_judged_at_its_own_place() {
    let text = "[[point]]\nname = 1\n[[point]]\nvalid = [1, \"x\"]\nnmae = \"a\"\n";
    let found = errors_of(text, |root| {
        for point in root.listed_sections("point", "a point") {
            let _ = point.text("name", "its name").required();
            let _ = point.numbers("valid", "what it may be").optional();
        }
    });
    for told in [
        "2:8: error: wrong value for `name`: 1",
        "3:1: error: missing key `name` in `[point]`",
        "4:9: error: wrong value for `valid`: an array",
        "5:1: error: unknown key `nmae` in `[point]`",
        "did you mean `name`?",
    ] {
        assert!(found.contains(told), "{told} in {found}");
    }
    let found = errors_of("point = 3", |root| {
        assert!(root.listed_sections("point", "a point").is_empty());
    });
    assert!(found.contains("`point` is not an array of tables: 3"), "{found}");
    assert!(found.contains("expected: tables `[[point]]`"), "{found}");
}
