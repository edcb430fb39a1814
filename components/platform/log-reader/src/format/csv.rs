//! CSV as Python's `csv` module writes it with `;` as delimiter: CRLF, and quotes only where they are needed.

use super::push_float;
use serde_json::Value;

/// One cell that holds a value; nothing for null.
pub(crate) fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(true) => out.extend_from_slice(b"True"),
        Value::Bool(false) => out.extend_from_slice(b"False"),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => push_float(out, float),
            None => out.extend_from_slice(number.to_string().as_bytes()),
        },
        Value::String(text) => self::text(out, text),
        // A series has no lists and objects; whoever sends one sees it as JSON.
        other => self::text(out, &other.to_string()),
    }
}

/// One cell that holds a text.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    if !text.contains([';', '"', '\r', '\n']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// Between two cells.
pub(crate) const NEXT: u8 = b';';

/// Behind the last cell of a row.
pub(crate) const END: &[u8] = b"\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_look_as_in_python() {
        for (cell, expected) in [
            (json!(null), ""),
            (json!(true), "True"),
            (json!(-0.8), "-0.8"),
            (json!(1e-7), "1e-07"),
            (json!(7), "7"),
            (json!("plain, text"), "plain, text"),
            (json!("a;b"), "\"a;b\""),
            (json!("say \"a\""), "\"say \"\"a\"\"\""),
            (json!("two\nlines"), "\"two\nlines\""),
        ] {
            let mut out = Vec::new();
            value(&mut out, &cell);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
