//! The JSON Schemas in `configs/schema/messages` are those of this version.
//!
//! A foreign validator judges them with the golden messages in `hil-tests/peers`.

use std::path::Path;

use gridloop_messages::{schema, types};
use serde_json::Value;

/// How to bring the files up to date.
const REGENERATE: &str = "for type in $(gridloop schema message); do \
    gridloop schema message $type > configs/schema/messages/$type.json; done";

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../configs/schema/messages"))
}

#[test]
fn the_shipped_schemas_are_those_of_this_version() {
    for type_name in types() {
        let file = std::fs::read_to_string(folder().join(format!("{type_name}.json"))).unwrap_or_default();
        let shipped = serde_json::from_str::<Value>(&file).ok();
        assert!(shipped == schema(type_name), "the schema of {type_name} is old; run: {REGENERATE}");
    }
}

#[test]
fn no_schema_is_left_over() {
    let mut shipped: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let mut expected: Vec<_> = types().map(|type_name| format!("{type_name}.json")).collect();
    shipped.sort();
    expected.sort();
    assert_eq!(shipped, expected);
}

#[test]
fn there_is_no_schema_of_what_is_not_known() {
    assert_eq!(schema("WeatherState"), None);
}

#[test]
fn a_schema_tells_the_unit_the_meaning_and_what_must_be_there() {
    let schema = schema("ResourceState").unwrap();
    assert_eq!(schema["properties"]["Type"]["const"], "ResourceState");
    let charge = &schema["properties"]["StateOfCharge"];
    assert_eq!(charge["properties"]["UnitOfMeasure"]["const"], "%");
    assert_eq!(charge["properties"]["Value"]["maximum"], 100.0);
    assert_eq!(charge["description"], "How full a storage is, 0 to 100; storages only.");
    let required = schema["required"].as_array().unwrap();
    assert!(required.contains(&"RealPower".into()) && !required.contains(&"StateOfCharge".into()));
}
