//! The JSON Schema says what the reading functions read.

use crate::sample::{SAMPLE, read};
use gridloop_service::{Section, schema};
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

fn sample_schema() -> Value {
    schema("sample", |root| {
        read(root);
    })
}

/// Whether `value` fits `schema`, judged by the keywords that the generator uses.
fn fits(schema: &Value, value: &Value) -> bool {
    let kind = match schema.get("type").and_then(Value::as_str) {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some(other) => panic!("the generator does not use the type {other}"),
        None => true,
    };
    let list = |key: &str| schema.get(key).and_then(Value::as_array);
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    kind && list("enum").is_none_or(|words| words.contains(value))
        && schema.get("const").is_none_or(|word| word == value)
        && list("anyOf").is_none_or(|any| any.iter().any(|one| fits(one, value)))
        && list("oneOf").is_none_or(|any| any.iter().filter(|one| fits(one, value)).count() == 1)
        && list("required")
            .is_none_or(|keys| keys.iter().all(|key| value.get(key.as_str().unwrap_or("")).is_some()))
        && number("minimum").is_none_or(|lowest| value.as_f64().is_some_and(|number| number >= lowest))
        && number("exclusiveMinimum")
            .is_none_or(|lowest| value.as_f64().is_some_and(|number| number > lowest))
        && number("maximum").is_none_or(|highest| value.as_f64().is_some_and(|number| number <= highest))
        && schema
            .get("items")
            .is_none_or(|items| value.as_array().is_some_and(|all| all.iter().all(|v| fits(items, v))))
        && value
            .as_object()
            .is_none_or(|object| object.iter().all(|(key, value)| member_fits(schema, key, value)))
}

/// Whether a key is declared by the table or one of its variants, or else allowed.
fn member_fits(schema: &Value, key: &str, value: &Value) -> bool {
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let mut declared =
        std::iter::once(schema).chain(variants).filter_map(|one| one["properties"].get(key)).peekable();
    if declared.peek().is_some() {
        return declared.any(|property| fits(property, value));
    }
    match schema.get("additionalProperties").or_else(|| schema.get("unevaluatedProperties")) {
        Some(Value::Bool(allowed)) => *allowed,
        Some(named) => fits(named, value),
        None => true,
    }
}

fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Table(table) => table_to_json(table),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Integer(integer) => json!(integer.as_str().parse::<i64>().expect("small")),
        DeValue::Float(float) => json!(float.as_str().parse::<f64>().expect("finite")),
        DeValue::Boolean(boolean) => json!(boolean),
        DeValue::String(text) => json!(text),
        DeValue::Datetime(date) => json!(date.to_string()),
    }
}

fn table_to_json(table: &DeTable<'_>) -> Value {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref()))).collect()
}

fn json_of(text: &str) -> Value {
    table_to_json(DeTable::parse(text).expect("valid TOML").get_ref())
}

#[test]
fn a_right_file_fits_the_schema() {
    assert!(fits(&sample_schema(), &json_of(SAMPLE)));
}

#[test]
fn a_wrong_file_does_not_fit_the_schema() {
    for (right, wrong) in [
        ("name = ", "nmae = "),
        ("epochs = 60", "epochs = 0"),
        ("epochs = 60", "epochs = 1.5"),
        ("\"max\"", "\"min\""),
        ("\"max\"", "0"),
        ("\"skip\"", "\"skipp\""),
        ("[manager]", "[managers]"),
        ("address = ", "profile = "),
        ("driver = \"sunspec\"", "driver = \"sunspecs\""),
        ("8000", "-1"),
        ("2.5", "\"2.5\""),
        ("[\"a\", \"b\"]", "[\"a\", 1]"),
    ] {
        let text = SAMPLE.replacen(right, wrong, 1);
        assert_ne!(text, SAMPLE, "{right}");
        assert!(!fits(&sample_schema(), &json_of(&text)), "{wrong}");
        assert!(crate::sample::check(&text).is_err(), "the reader and the schema agree on {wrong}");
    }
}

#[test]
fn the_schema_tells_type_meaning_limits_and_default() {
    let schema = sample_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], json!(["simulation"]));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        schema["properties"]["simulation"]["properties"]["epochs"],
        json!({ "type": "integer", "description": "how many epochs are run", "minimum": 1, "default": 60 })
    );
    assert_eq!(
        schema["properties"]["manager"]["properties"]["speed"],
        json!({
            "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, { "enum": ["max"] }],
            "description": "1 is wall clock",
            "default": 1,
        })
    );
    assert_eq!(
        schema["properties"]["manager"]["properties"]["overrun"],
        json!({
            "type": "string",
            "enum": ["stretch", "skip"],
            "description": "what to do when somebody is late",
            "default": "stretch",
        })
    );
}

#[test]
fn named_tables_share_one_schema_with_a_variant_per_kind() {
    let schema = sample_schema();
    let device = &schema["properties"]["device"]["additionalProperties"];
    assert_eq!(device["properties"]["driver"]["enum"], json!(["sunspec", "register-map"]));
    assert_eq!(device["required"], json!(["driver"]));
    assert_eq!(device["unevaluatedProperties"], false);
    assert_eq!(
        device["oneOf"][0],
        json!({
            "properties": {
                "driver": { "const": "sunspec" },
                "address": {
                    "type": "string",
                    "description": "where the device listens",
                    "examples": ["tcp://192.0.2.10:502"],
                },
            },
            "required": ["address"],
        })
    );
    assert!(device["properties"]["limits"]["properties"]["dead_man_s"].is_object(), "{device}");
}

#[test]
fn recording_reports_nothing_and_finds_every_table() {
    let declare = |root: &Section<'_>| {
        let absent = root.required_section("a", "a").section("b", "b");
        assert!(absent.is_present());
        let _ = absent.file("csv", "a file").must_exist().required();
        absent.error(None, "nothing", None);
    };
    let schema = schema("t", declare);
    let b = &schema["properties"]["a"]["properties"]["b"];
    assert_eq!(b["properties"]["csv"], json!({ "type": "string", "description": "a file" }));
}

#[test]
fn an_array_of_tables_is_an_array_of_objects() {
    let schema = schema("x", |root: &Section<'_>| {
        for point in root.listed_sections("point", "a point") {
            let _ = point.text("name", "its name").required();
            let _ = point.numbers("valid", "what it may be").optional();
        }
    });
    let point = &schema["properties"]["point"];
    assert_eq!((&point["type"], &point["description"]), (&json!("array"), &json!("a point")));
    assert_eq!(point["items"]["required"], json!(["name"]));
    assert_eq!(point["items"]["properties"]["valid"]["items"], json!({ "type": "number" }));
}
