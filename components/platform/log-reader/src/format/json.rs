//! JSON as Python's `json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False)` writes it.

use super::{Moment, push_float};
use gridloop_logging::DATE_FIELDS;
use gridloop_logging::archive::Fields;
use gridloop_messages::Timestamp;
use serde_json::{Number, Value};

/// Begins a line at a depth of nesting.
pub(crate) fn line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 4 * depth, b' ');
}

/// A string with its quotes. Only what JSON demands is escaped.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // Writing a string into a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Any value; `depth` is that of the line it stands on.
pub(crate) fn value(out: &mut Vec<u8>, value: &Value, depth: usize) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => self::number(out, number),
        Value::String(text) => string(out, text),
        Value::Array(items) => list(out, items.iter(), depth, self::value),
        Value::Object(fields) => object(out, fields, depth, self::value),
    }
}

/// A stored message or run: a value whose top-level dates are written as dates.
pub(crate) fn document(out: &mut Vec<u8>, fields: &Fields, depth: usize) {
    object_with_names(out, fields, depth, |out, name, field, depth| match date(name, field) {
        Some(moment) => string(out, &moment.to_string()),
        None => value(out, field, depth),
    });
}

fn date(name: &str, field: &Value) -> Option<Moment> {
    let text = field.as_str().filter(|_| DATE_FIELDS.contains(&name))?;
    Some(Moment::from(Timestamp::parse(text).ok()?))
}

pub(crate) fn number(out: &mut Vec<u8>, number: &Number) {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => push_float(out, float),
        None => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

/// An array with each item on lines of its own.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    depth: usize,
    write: impl Fn(&mut Vec<u8>, T, usize),
) {
    out.push(b'[');
    let mut empty = true;
    for item in items {
        if !std::mem::take(&mut empty) {
            out.push(b',');
        }
        line(out, depth + 1);
        write(out, item, depth + 1);
    }
    if !empty {
        line(out, depth);
    }
    out.push(b']');
}

fn object(out: &mut Vec<u8>, fields: &Fields, depth: usize, write: impl Fn(&mut Vec<u8>, &Value, usize)) {
    object_with_names(out, fields, depth, |out, _, field, depth| write(out, field, depth));
}

fn object_with_names(
    out: &mut Vec<u8>,
    fields: &Fields,
    depth: usize,
    write: impl Fn(&mut Vec<u8>, &str, &Value, usize),
) {
    // Whether a map sorts its keys depends on how serde_json was built.
    let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    out.push(b'{');
    for (index, (name, field)) in sorted.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        line(out, depth + 1);
        string(out, name);
        out.extend_from_slice(b": ");
        write(out, name, field, depth + 1);
    }
    if !sorted.is_empty() {
        line(out, depth);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(field: &Value) -> String {
        let mut out = Vec::new();
        value(&mut out, field, 0);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_are_sorted_and_four_spaces_indent() {
        let shown = json!({"b": [1, 1.0, []], "a": {"ä": null, "Z": true}, "c": {}});
        let expected = "{\n    \"a\": {\n        \"Z\": true,\n        \"ä\": null\n    },\n    \"b\": [\n        1,\n        \
                        1.0,\n        []\n    ],\n    \"c\": {}\n}";
        assert_eq!(written(&shown), expected);
    }

    #[test]
    fn strings_are_escaped_where_json_demands_it_and_nowhere_else() {
        assert_eq!(
            written(&json!("\"\\\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}é漢😀/")),
            "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}é漢😀/\""
        );
    }

    #[test]
    fn dates_of_a_document_lose_a_fraction_of_zero() {
        let fields = json!({"Timestamp": "2024-03-01T08:00:12.000Z", "StartTime": "2024-03-01T08:00:12.655Z",
            "EndTime": "soon", "Made": "2024-03-01T08:00:12.000Z"});
        let mut out = Vec::new();
        document(&mut out, fields.as_object().unwrap(), 0);
        let expected = "{\n    \"EndTime\": \"soon\",\n    \"Made\": \"2024-03-01T08:00:12.000Z\",\n    \
                        \"StartTime\": \"2024-03-01T08:00:12.655000Z\",\n    \"Timestamp\": \"2024-03-01T08:00:12Z\"\n}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
