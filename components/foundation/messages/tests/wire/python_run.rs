//! A recorded run of the public Python platform (`tests/data/README.md`): every message is understood, and what
//! gridloop would send in its place is the same but for blanks. If this fails, revert your change, not this test.

use gridloop_messages::{Decoded, decode};
use serde_json::Value;

use crate::sample::now;

const RUN: &str = include_str!("../data/python-run.jsonl");

/// Routing key and body of every message.
fn run() -> impl Iterator<Item = (String, String)> {
    RUN.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let member = |name: &str| line[name].as_str().unwrap().to_owned();
        (member("routing_key"), member("body"))
    })
}

#[test]
fn every_message_of_a_python_run_is_understood_and_would_be_sent_with_the_same_letters() {
    for (routing_key, body) in run() {
        let message = match decode(body.as_bytes(), now()) {
            Ok(Decoded::Message(message)) => message,
            other => panic!("{routing_key}: {other:?}"),
        };
        let sent = String::from_utf8(message.encode().unwrap()).unwrap();
        assert_eq!(sent, body.replace(": ", ":").replace(", ", ","), "{routing_key}");
    }
}

#[test]
fn the_run_has_every_type_that_its_platform_sends() {
    let mut types: Vec<_> =
        run().map(|(_, body)| decode(body.as_bytes(), now()).unwrap().type_name().to_owned()).collect();
    assert_eq!(types.len(), 40);
    types.sort();
    types.dedup();
    assert_eq!(types, ["Epoch", "ResourceState", "SimState", "Status"]);
}
