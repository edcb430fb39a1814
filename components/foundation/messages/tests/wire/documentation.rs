//! `docs/messages.md` shows only messages that are true: each example is understood, and is what gridloop sends.

use gridloop_messages::{Decoded, decode};
use serde_json::Value;

use crate::sample::{messages, now};

const PAGE: &str = include_str!("../../../../../docs/messages.md");

/// The blocks of the page that are marked as JSON.
fn examples() -> Vec<&'static str> {
    PAGE.split("```json\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

#[test]
fn every_example_of_the_page_is_a_message_in_the_form_that_is_sent() {
    for example in examples() {
        let decoded = decode(example.as_bytes(), now()).unwrap_or_else(|error| panic!("{error}\n{example}"));
        if let Decoded::Message(message) = decoded {
            let sent: Value = serde_json::from_slice(&message.encode().unwrap()).unwrap();
            assert_eq!(sent, serde_json::from_str::<Value>(example).unwrap());
        }
    }
}

#[test]
fn the_page_has_an_example_of_every_type() {
    let shown: Vec<_> = examples()
        .iter()
        .map(|example| decode(example.as_bytes(), now()).unwrap().type_name().to_owned())
        .collect();
    for (message, _) in messages() {
        assert!(
            shown.iter().any(|name| name == message.type_name()),
            "no example of {}",
            message.type_name()
        );
    }
}
