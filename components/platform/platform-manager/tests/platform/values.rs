//! Values of run configurations as environment variables and in the Start message, held against the foreign judge:
//! PyYAML reads the same text, Python's `str()` and `json` spell it.

use gridloop_hil_tests::peers::python;
use gridloop_platform_manager::platform::yaml::read;
use gridloop_service::Text;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::io::Write;
use std::process::{Command, Stdio};

/// One value each; what Python cannot put into JSON or reads as a date is not here.
const VALUES: &[&str] = &[
    // nothing
    "",
    "~",
    "null",
    "Null",
    "NULL",
    "nULL",
    "\"\"",
    "''",
    // booleans, and what is none
    "true",
    "True",
    "TRUE",
    "yes",
    "Yes",
    "on",
    "ON",
    "false",
    "no",
    "No",
    "off",
    "OFF",
    "y",
    "n",
    "tRue",
    "\"true\"",
    // whole numbers
    "0",
    "-0",
    "+1",
    "900",
    "-17",
    "1_000",
    "_1",
    "1_",
    "0x1F",
    "0xG",
    "0b101",
    "0b2",
    "017",
    "08",
    "0o17",
    "00",
    "0_",
    "1:30",
    "1:30:00",
    "-1:30",
    "1:60",
    "1:5",
    "01:30",
    "190:20:30",
    "9223372036854775807",
    "-9223372036854775808",
    "0b",
    "0x",
    // numbers with a point, and what is none
    "120.0",
    "1.",
    ".5",
    "+.5",
    "-.5",
    "-1.5",
    "1e3",
    "1.0e3",
    "1.0e+3",
    "1.0E-3",
    "6.02e+23",
    "1_0.5",
    "1.5_",
    "1._5",
    "0.1",
    "-0.0",
    "1e-05",
    "0.00001",
    "1.0e-7",
    "1.0e+15",
    "1.0e+16",
    "123456789012345678.0",
    "1:30.5",
    "-1:30.5",
    "0.1e+1",
    ".",
    "+",
    ".e+1",
    "1.2.3",
    "1..2",
    "685.230_15e+03",
    "190:20:30.15",
    "._1",
    "5e-324",
    "4.9e-324",
    "1.7976931348623157e+308",
    "2.5e+0",
    "12e03",
    // texts
    "plain",
    "two words",
    "it's",
    "\"it's\"",
    "'it''s'",
    "\"tab\\there\"",
    "\"nl\\nthere\"",
    "\"\\x07\"",
    "ä",
    "日本",
    "\"\\u00a0\"",
    "\"\\u200b\"",
    "\"\\U0001f600\"",
    "\"\\\\\"",
    "12abc",
    "1.5h",
    "/resources/a.csv",
    "PT36H",
    "null and void",
    "\"\\u0301\"",
    "\"a\\u0301\"",
    "'2026-06-21'",
    "!!str 12",
    "!!int \"12\"",
    "!!float \"1.5\"",
    "2026-6-21",
    "12:30:00 uhr",
    // lists
    "[]",
    "[a, 2, true]",
    "[1.0, null, ~]",
    "[[StaticTimeSeriesResource, load1], [StorageResource, b]]",
    "[a, [b, [c]]]",
    "['it''s', 'a \"b\"', \"both ' and \\\"\"]",
    "[\"\\t\", \"\\x7f\", \"\\xad\", \"\\u2028\", ä, \"\\ue000\"]",
    "[{a: 1}, {b: [x]}]",
    "[on, 1e3, 0x10]",
    "[\"a\\u0301\", \"\\u0301\"]",
    "['']",
    "[1.0e+16, 1.0e-5]",
    // mappings
    "{}",
    "{a: 1}",
    "{a: {b: c}, d: [1, x]}",
    "{default: {TerminalSOCBound: 40, TerminalWeight: 0.5}}",
    "{2: a, 2.5: b, true: c, ~: d}",
    "{a: 'it''s'}",
    "{\"k\\n\": v}",
    "{x: null, y: no}",
];

/// Reads a JSON array of texts; answers with an array of `[variable, json]`, or null for what Python cannot read.
const JUDGE: &str = r#"
import json, sys, yaml
answers = []
for text in json.load(sys.stdin):
    try:
        value = yaml.safe_load("v: " + text)["v"]
        variable = ",".join(str(item) for item in value) if isinstance(value, list) else str(value)
        answers.append([variable, json.dumps(value)])
    except (yaml.YAMLError, ValueError, TypeError):
        answers.append(None)
json.dump(answers, sys.stdout)
"#;

fn judged(texts: &[String]) -> Vec<Option<(String, serde_json::Value)>> {
    let mut python = Command::new(python().expect("the peers"))
        .args(["-c", JUDGE])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python");
    let mut stdin = python.stdin.take().expect("a pipe");
    stdin.write_all(serde_json::to_string(texts).expect("JSON").as_bytes()).expect("a question");
    drop(stdin);
    let output = python.wait_with_output().expect("an answer");
    assert!(output.status.success(), "PyYAML is needed: hil-tests/run installs it");
    let answers: Vec<Option<(String, String)>> = serde_json::from_slice(&output.stdout).expect("JSON");
    let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let answer = |(variable, value): (String, String)| (variable, json(&value));
    answers.into_iter().map(|one| one.map(answer)).collect()
}

fn ours(text: &str) -> Result<(String, serde_json::Value), String> {
    let text = Text::new("values", &format!("v: {text}")).expect("a text");
    let root = read(&text).map_err(|error| error.to_string())?;
    let value = root.get("v").ok_or("no value")?;
    Ok((value.variable(), value.json()))
}

#[test]
fn every_value_is_spelled_as_python_spells_it() {
    let texts: Vec<String> = VALUES.iter().map(|&text| text.to_owned()).collect();
    let mut wrong = Vec::new();
    for (text, judged) in texts.iter().zip(judged(&texts)) {
        match ours(text) {
            Ok(ours) if Some(&ours) == judged.as_ref() => {}
            other => wrong.push(format!("{text}: Python {judged:?}, we {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
}

#[test]
fn random_numbers_and_texts_are_spelled_as_python_spells_them() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let number = prop_oneof![
        "[-+]?[0-9_]{1,6}(\\.[0-9_]{0,4})?([eE][-+]?[0-9]{1,2})?",
        "[-+]?(0x|0b|0o|0)?[0-9a-f_]{1,5}",
        "[-+]?[0-9]{1,3}(:[0-9]{1,2}){1,2}(\\.[0-9]{0,2})?",
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| {
            let text = format!("{value:e}");
            let (digits, power) = text.split_once('e').expect("an exponent");
            let digits = if digits.contains('.') { digits.to_owned() } else { format!("{digits}.0") };
            let sign = if power.starts_with('-') { "" } else { "+" };
            format!("{digits}e{sign}{power}")
        }),
    ];
    let text = "[^\\x00-\\x1f\\x7f-\\x9f\u{feff}\u{2028}\u{2029}\u{85}\u{fffe}\u{ffff}]{0,12}"
        .prop_map(|text: String| format!("[{}]", serde_json::to_string(&text).expect("JSON")));
    let mut texts = Vec::new();
    for _ in 0..3000 {
        texts.push(number.new_tree(&mut runner).expect("a number").current());
        texts.push(text.new_tree(&mut runner).expect("a text").current());
    }
    // Beyond 64 bits and beyond finite numbers we refuse where Python goes on.
    texts.retain(|text| ours(text).is_ok());
    let mut wrong = Vec::new();
    // Python fails over words such as `0x_`, which its own rules take for numbers.
    let judged: Vec<_> =
        texts.iter().zip(judged(&texts)).filter_map(|(text, one)| Some((text, one?))).collect();
    assert!(judged.len() > 5000, "{}", judged.len());
    for (text, judged) in judged {
        let ours = ours(text).expect("it was");
        if ours != judged {
            wrong.push(format!("{text}: Python {judged:?}, we {ours:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        texts.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

#[test]
fn what_messages_cannot_carry_is_refused_with_its_place() {
    for (text, words) in [
        (".inf", "no number that a message can carry"),
        ("-.INF", "no number that a message can carry"),
        (".nan", "no number that a message can carry"),
        ("1.0e+999", "no number that a message can carry"),
        ("9223372036854775808", "does not fit into 64 bits"),
        ("0xffffffffffffffffffff", "does not fit into 64 bits"),
        ("!!set {a}", "the tag"),
        ("!python/object:os.system x", "the tag"),
    ] {
        let error = ours(text).expect_err(text);
        assert!(error.contains(words) && error.starts_with("values:1:"), "{text}: {error}");
    }
}
