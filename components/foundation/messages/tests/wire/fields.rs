//! Every field of every type, spoiled in turn: whether it must be there, and what it may be, holds on receipt.
//!
//! The messages are the golden ones; what is asked of them comes from the published description of the types.

use std::sync::LazyLock;

use gridloop_messages::{DecodeError, Decoded, Field, Presence, Start, common_fields, decode, shapes};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::golden::files;
use crate::sample::now;

/// Type, own and common fields, and the message of each golden file.
fn golden() -> &'static [(String, Vec<Field>, Value)] {
    static GOLDEN: LazyLock<Vec<(String, Vec<Field>, Value)>> = LazyLock::new(read_golden);
    &GOLDEN
}

fn read_golden() -> Vec<(String, Vec<Field>, Value)> {
    let read = |(name, text): (String, String)| {
        let body: Value = serde_json::from_str(&text).unwrap();
        let type_name = body["Type"].as_str().unwrap().to_owned();
        let forms = shapes(&type_name).unwrap();
        let own = forms.into_iter().find(|shape| shape.name.is_none_or(|form| name.contains(form))).unwrap();
        let fields = common_fields(&type_name).into_iter().chain(own.fields).collect();
        (type_name, fields, body)
    };
    files().into_iter().map(read).collect()
}

/// The error of a message, with Start taken as what it is.
fn error(body: &Value) -> Option<DecodeError> {
    let bytes = body.to_string().into_bytes();
    if body["Type"] == "Start" { Start::decode(&bytes, now()).err() } else { decode(&bytes, now()).err() }
}

/// The field that the error names.
fn named(error: Option<DecodeError>) -> Option<String> {
    match error {
        Some(DecodeError::Field { field, .. }) => Some(field),
        Some(other) => panic!("{other}"),
        None => None,
    }
}

fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut changed = body.clone();
    changed[name] = value;
    changed
}

fn without(body: &Value, name: &str) -> Value {
    let mut changed = body.clone();
    changed.as_object_mut().unwrap().remove(name);
    changed
}

#[test]
fn a_field_that_must_be_there_is_missed_and_any_other_is_not() {
    for (type_name, fields, body) in golden() {
        for field in fields {
            // The time of receipt stands in for a Timestamp.
            let needed = field.presence == Presence::Required && field.name != "Timestamp";
            for changed in [without(body, field.name), with(body, field.name, Value::Null)] {
                // The name that tells the two forms of NetworkState apart is missed as part of the form.
                let expected = match field.name {
                    "MagnitudeSendingEnd" if changed.get(field.name).is_none() => "Magnitude",
                    name => name,
                };
                let found = named(error(&changed));
                assert_eq!(found.as_deref(), needed.then_some(expected), "{type_name}: {changed}");
            }
        }
    }
}

#[test]
fn no_field_takes_a_value_of_a_kind_that_it_cannot_have() {
    for (type_name, fields, body) in golden() {
        for field in fields {
            for alien in [json!(true), json!([[[]]]), json!({"?": 5}), json!("\u{0}?")] {
                let may_be_text = body[field.name].is_string() || body[field.name].is_null();
                if may_be_text && alien.is_string() {
                    continue;
                }
                let found = named(error(&with(body, field.name, alien.clone())));
                if field.presence == Presence::Hint {
                    assert_eq!(found, None, "{type_name}: {} is no reason to refuse anything", field.name);
                    continue;
                }
                let found = found.unwrap_or_else(|| panic!("{type_name}: {} takes {alien}", field.name));
                assert_eq!(found.split('.').next(), Some(field.name), "{type_name}: {alien}");
            }
        }
    }
}

#[test]
fn a_unit_is_compared_letter_by_letter() {
    for (type_name, fields, body) in golden() {
        for field in fields.iter().filter(|field| field.unit.is_some() && !body[field.name].is_null()) {
            for unit in ["", "MW", &field.unit.unwrap().to_lowercase(), &format!("{} ", field.unit.unwrap())]
            {
                if Some(unit) == field.unit {
                    continue;
                }
                let mut changed = body.clone();
                changed[field.name]["UnitOfMeasure"] = unit.into();
                let refused = field.presence != Presence::Hint;
                let expected = refused.then(|| format!("{}.UnitOfMeasure", field.name));
                assert_eq!(named(error(&changed)), expected, "{type_name}: {unit:?}");
            }
        }
    }
}

/// JSON pointers to every value inside `value`, its own included.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, inner)| pointers(inner, &format!("{here}/{}", escaped(name)), all));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, inner)| pointers(inner, &format!("{here}/{at}"), all));
        }
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!("")),
        Just(json!("1.5")),
        Just(json!("2024-03-01T06:00:00.000Z")),
        any::<String>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!({"Value": 1, "UnitOfMeasure": "kW"})),
    ]
}

/// Puts a value somewhere, takes one away, or repeats an item of an array.
fn spoil(body: &mut Value, place: Index, action: u8, value: Value) {
    let mut all = Vec::new();
    pointers(body, "", &mut all);
    let pointer = all[place.index(all.len())].clone();
    let target = body.pointer_mut(&pointer).unwrap();
    match (action, target) {
        (0, Value::Object(members)) => {
            drop(members.remove(&members.keys().next().cloned().unwrap_or_default()))
        }
        (0, Value::Array(items)) => drop(items.pop()),
        (1, Value::Object(members)) => drop(members.insert("Extra".to_owned(), value)),
        (1, Value::Array(items)) => items.extend(items.first().cloned()),
        (_, target) => *target = value,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What is accepted keeps every rule that sending checks, but for those that are only checked before sending; and
    /// it is sent in a form that is accepted again and means the same.
    #[test]
    fn a_spoiled_message_is_refused_or_means_what_it_says(
        which in any::<Index>(),
        spoilings in prop::collection::vec((any::<Index>(), 0_u8..4, any_value()), 1..4),
    ) {
        let (_, _, mut body) = golden()[which.index(golden().len())].clone();
        for (place, action, value) in spoilings {
            spoil(&mut body, place, action, value);
        }
        if let Ok(Decoded::Message(message)) = decode(body.to_string().as_bytes(), now())
            && let Ok(sent) = message.encode()
        {
            prop_assert_eq!(decode(&sent, now()).unwrap(), Decoded::Message(message));
        }
    }
}
