//! `docs/messages.md` is true and complete: each example is understood and is what gridloop sends, and each type has an
//! example and a table of its fields with presence and unit.

use gridloop_messages::{Decoded, Field, Presence, Start, common_fields, decode, shapes, topic, types};
use serde_json::Value;

use crate::sample::now;

const PAGE: &str = include_str!("../../../../../docs/messages.md");

/// The blocks of a text that are marked as JSON.
fn examples(text: &str) -> Vec<&str> {
    text.split("```json\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// The part of the page below a heading, up to the next one.
fn section(heading: &str) -> &'static str {
    let below = [format!("\n## {heading}\n"), format!("\n## {heading} (extension)\n")]
        .iter()
        .find_map(|heading| PAGE.split_once(heading.as_str()))
        .unwrap_or_else(|| panic!("the page has no section {heading}"))
        .1;
    let end = ["\n# ", "\n## "].iter().filter_map(|next| below.find(next)).min();
    &below[..end.unwrap_or(below.len())]
}

#[test]
fn every_example_of_the_page_is_a_message_in_the_form_that_is_sent() {
    for example in examples(PAGE) {
        let decoded = decode(example.as_bytes(), now()).unwrap_or_else(|error| panic!("{error}\n{example}"));
        let sent = match decoded {
            Decoded::Message(message) => message.encode().unwrap(),
            Decoded::General(general) if general.type_name == "Start" => {
                Start::decode(example.as_bytes(), now()).unwrap().encode().unwrap()
            }
            Decoded::General(_) => continue,
        };
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent, serde_json::from_str::<Value>(example).unwrap());
    }
}

#[test]
fn every_form_of_every_type_has_an_example_in_its_section() {
    for type_name in types() {
        let examples = examples(section(type_name));
        assert!(examples.len() >= shapes(type_name).unwrap().len(), "{type_name} has too few examples");
        for example in examples {
            let body: Value = serde_json::from_str(example).unwrap();
            assert_eq!(body["Type"], type_name);
        }
    }
}

/// The first columns of the table row of a field and of the fields inside it.
fn rows(prefix: &str, fields: &[Field], units: bool) -> Vec<String> {
    let row = |field: &Field| {
        let presence = match field.presence {
            Presence::Required => "always",
            Presence::Optional => "optional",
            Presence::Hint => "hint",
            Presence::Nullable => "or null",
        };
        let name = format!("{prefix}{}", field.name);
        let unit = match field.unit {
            Some(unit) if units => format!(" `{unit}` |"),
            None if units => "  |".to_owned(),
            _ => String::new(),
        };
        let mut all = vec![format!("| `{name}` | {presence} |{unit}")];
        all.extend(rows(&format!("{name}."), &field.members, units));
        all
    };
    fields.iter().flat_map(row).collect()
}

#[track_caller]
fn check_rows(section: &str, expected: &[String]) {
    let found: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(found.len(), expected.len(), "expected rows: {expected:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected.as_str()), "expected {expected}, found {found}");
        assert!(found.len() > expected.len() + 4, "{found} does not say what the field means");
    }
}

#[test]
fn every_field_of_every_type_is_in_its_table_with_presence_and_unit() {
    for type_name in types() {
        let forms = shapes(type_name).unwrap();
        let expected: Vec<_> = forms.iter().flat_map(|form| rows("", &form.fields, true)).collect();
        check_rows(section(type_name), &expected);
    }
}

#[test]
fn the_fields_of_every_message_are_in_their_tables() {
    let kind = "| `Type` | always |".to_owned();
    let expected: Vec<_> = [kind].into_iter().chain(rows("", &common_fields("Epoch"), false)).collect();
    check_rows(section("Fields of every message"), &expected);
}

#[test]
fn every_topic_is_named() {
    let fixed = [
        topic::START,
        topic::SIM_STATE,
        topic::EPOCH,
        topic::EPOCH_OVERRUN,
        topic::STATUS_READY,
        topic::STATUS_ERROR,
        topic::RESULT,
        topic::DISPATCH,
        topic::NETWORK_BUS_INFO,
        topic::NETWORK_COMPONENT_INFO,
        topic::CUSTOMER_INFO,
        topic::DMS_VOLTAGE,
        topic::DMS_CURRENT,
    ];
    for topic in fixed.iter().chain(topic::PATTERNS) {
        assert!(PAGE.contains(&format!("`{topic}`")), "the page does not name the topic {topic}");
    }
}
