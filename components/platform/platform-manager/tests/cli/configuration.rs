//! What is wrong with a configuration is said at once, all of it, and nothing is started.

use crate::{config, entries, feeder, folder, gridloop};
use serde_json::Value;
use std::collections::BTreeSet;

const BROKEN: &str = r#"[simulation]
name = "broken"
initial_start_time = "yesterday"
epoch_length_s = 0
epochs = 3

[manager]
sped = 1
overrun = "stretchy"

[bus]
url = "http://localhost"

[component.load1]
kind = "static-time-serie"

[device.pv1]
driver = "sunspek"
address = "simulated"
"#;

/// Every finding of `BROKEN`: where it is, and what it is about.
const FINDINGS: [(&str, &str); 8] = [
    ("3:22", "`initial_start_time`"),
    ("4:18", "`epoch_length_s`: 0"),
    ("8:1", "unknown key `sped` in `[manager]`"),
    ("9:11", "`overrun`: \"stretchy\""),
    ("12:7", "`url`"),
    ("15:8", "`kind`: \"static-time-serie\""),
    ("18:10", "`driver`: \"sunspek\""),
    ("19:11", "`address`: \"simulated\""),
];

#[test]
fn every_error_is_shown_with_its_place_and_a_suggestion_and_nothing_is_made() {
    for subcommand in ["check", "run"] {
        let folder = folder();
        std::fs::write(folder.path().join("broken.toml"), BROKEN).expect("the file");
        let done = gridloop(folder.path(), &[subcommand, "broken.toml"]);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{}", done.stderr);
        let heads: Vec<&str> = done.stderr.lines().filter(|line| line.starts_with("broken.toml:")).collect();
        assert_eq!(heads.len(), FINDINGS.len(), "{}", done.stderr);
        for (head, (place, about)) in heads.into_iter().zip(FINDINGS) {
            assert!(head.starts_with(&format!("broken.toml:{place}: error: ")), "{head}");
            assert!(head.contains(about), "{head}");
        }
        for suggestion in ["`speed`", "\"stretch\"", "\"static-time-series\"", "\"sunspec\""] {
            let help = format!("= help: did you mean {suggestion}?");
            assert!(done.stderr.contains(&help), "{help}: {}", done.stderr);
        }
        assert_eq!(entries(folder.path()), ["broken.toml"]);
    }
}

#[test]
fn the_same_errors_can_be_had_as_json() {
    let folder = folder();
    std::fs::write(folder.path().join("broken.toml"), BROKEN).expect("the file");
    let done = gridloop(folder.path(), &["check", "--json", "broken.toml"]);
    assert_eq!((done.code, done.stderr.as_str()), (2, ""));
    let said = done.json();
    assert_eq!(said["count"], FINDINGS.len());
    let errors = said["errors"].as_array().expect("a list");
    for (error, (place, about)) in errors.iter().zip(FINDINGS) {
        assert_eq!(error["origin"], "broken.toml");
        assert_eq!(format!("{}:{}", error["line"], error["column"]), place, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(about)), "{error}");
        assert!(error["expected"].is_string(), "{error}");
    }
    assert_eq!(errors[2]["help"], "did you mean `speed`?");
}

#[test]
fn a_sound_configuration_is_said_to_be_sound() {
    let folder = folder();
    let feeder = feeder();
    let done = gridloop(folder.path(), &["check", &feeder]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(
        done.stdout.contains("sound; 60 epochs, 10 components, 3 devices, bus memory:"),
        "{}",
        done.stdout
    );
    let said = gridloop(folder.path(), &["check", "--json", &feeder]).json();
    assert_eq!(said["errors"], serde_json::json!([]));
    assert!(said["components"].as_array().is_some_and(|names| names.contains(&"PV_large".into())), "{said}");
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn what_the_command_line_sets_is_checked_like_the_file() {
    let folder = folder();
    let feeder = feeder();
    let cases: [(&[&str], &str, &str); 5] = [
        (&["--set", "device.PV_large.adress=x"], "--set device.PV_large.adress", "did you mean `address`?"),
        (&["--set", "nonsense"], "nonsense", "="),
        (&["--bus", "http://localhost"], "--set bus.url", "amqp://user:password@host:port/vhost"),
        (&["--speed", "fast"], "--set manager.speed", "a number or \"max\""),
        (&["--epochs", "0"], "--set simulation.epochs", "epochs"),
    ];
    for (arguments, place, hint) in cases {
        let done = gridloop(folder.path(), &[&["run", &feeder], arguments].concat());
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(place) && done.stderr.contains(hint), "{arguments:?}: {}", done.stderr);
    }
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let folder = folder();
    let done = gridloop(folder.path(), &["run", "missing.toml"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("missing.toml") && done.stderr.contains("No such file"), "{}", done.stderr);
}

#[test]
fn a_speed_that_nothing_can_follow_is_refused() {
    let folder = folder();
    for command in ["run", "check"] {
        let done = gridloop(folder.path(), &[command, "--speed", "1e9", &feeder()]);
        assert_eq!(done.code, 2);
        assert!(done.stderr.contains("this one makes epochs of 0.000000001 s"), "{}", done.stderr);
    }
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn the_schema_knows_every_key_of_the_configuration_that_runs_when_none_is_named() {
    let folder = folder();
    let done = gridloop(folder.path(), &["schema"]);
    assert_eq!(done.code, 0);
    let mut known = BTreeSet::new();
    property_names(&done.json(), &mut known);
    let text = std::fs::read_to_string(feeder()).expect("the configuration");
    let keys = text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
    let keys: BTreeSet<&str> = keys.filter(|key| !key.contains([' ', '#'])).collect();
    assert!(keys.len() > 20, "{keys:?}");
    let unknown: Vec<&&str> = keys.iter().filter(|key| !known.contains(**key)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not in {known:?}");
}

#[test]
fn the_schema_of_a_message_is_the_one_that_is_shipped() {
    let folder = folder();
    let types = gridloop(folder.path(), &["schema", "message"]);
    assert!(types.stdout.lines().any(|name| name == "Epoch"), "{}", types.stdout);
    let shipped = std::fs::read_to_string(config("schema/messages/Epoch.json")).expect("the schema");
    let printed = gridloop(folder.path(), &["schema", "message", "Epoch"]);
    assert_eq!(printed.json(), serde_json::from_str::<Value>(&shipped).expect("JSON"));
    let unknown = gridloop(folder.path(), &["schema", "message", "Weather"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("no message has the type `Weather`"), "{}", unknown.stderr);
}

/// The names of all properties of all objects in a schema.
fn property_names(schema: &Value, names: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        names.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(members) => members.values().for_each(|member| property_names(member, names)),
        Value::Array(members) => members.iter().for_each(|member| property_names(member, names)),
        _ => {}
    }
}
