//! Documents as MongoDB holds them, and what to do with those that it cannot hold.

use crate::document::{DATE_FIELDS, Document};
use crate::record::{Identity, Record};
use gridloop_messages::Timestamp;
use mongodb::bson::raw::{CStr, CString, RawArrayBuf, RawBson, RawDocumentBuf, cstr};
use mongodb::bson::{DateTime, RawBsonRef};
use serde_json::{Map, Number, Value};

/// MongoDB takes no larger documents.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// MongoDB promises 100 levels; two are left to itself.
const LEVELS_MAX: usize = 98;
/// A text is cut into parts of this size, which leaves room for the fields around it.
const PART_BYTES: usize = 15 * 1024 * 1024;

/// Why MongoDB cannot hold a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unholdable {
    #[error("MongoDB cannot hold it: a key has a NUL character")]
    NulInKey,
    #[error("MongoDB cannot hold it: it has a field `_id` of its own")]
    OwnId,
    #[error("MongoDB cannot hold it: it is nested deeper than {LEVELS_MAX} levels")]
    TooDeep,
    #[error("MongoDB cannot hold it: it would need more than 16 MiB there")]
    TooLarge,
    #[error("MongoDB refused it: {0}")]
    Refused(String),
}

/// The document with its `_id`.
pub(super) fn of_document(id: &str, document: &Document) -> Result<RawDocumentBuf, Unholdable> {
    let mut bson = RawDocumentBuf::new();
    bson.append(cstr!("_id"), id);
    for (name, value) in document.fields() {
        if name == "_id" {
            return Err(Unholdable::OwnId);
        }
        let key = key(name)?;
        match document.date(name) {
            Some(time) => bson.append(&key, date(time)),
            None => bson.append(&key, of_value(value, 2)?),
        }
    }
    if bson.as_bytes().len() > BYTES_MAX {
        return Err(Unholdable::TooLarge);
    }
    Ok(bson)
}

/// A message that no document can hold, as text: in as many documents as it takes, with the numbers `Part` and `Parts`
/// where that is more than one.
pub(super) fn of_unholdable(record: &Record, reason: &str) -> Vec<(Identity, RawDocumentBuf)> {
    let whole = Document::of_invalid(&record.topic, b"", reason, record.heard_at);
    let text = String::from_utf8_lossy(&record.body);
    let parts = parts(&text);
    let mut documents = Vec::with_capacity(parts.len());
    for (number, part) in parts.iter().enumerate() {
        let identity = record.identity_of_part(number);
        let mut bson = RawDocumentBuf::new();
        bson.append(cstr!("_id"), identity.to_string().as_str());
        bson.append(cstr!("InvalidJsonMessage"), *part);
        if parts.len() > 1 {
            bson.append(cstr!("Part"), of_count(number + 1));
            bson.append(cstr!("Parts"), of_count(parts.len()));
        }
        bson.append(cstr!("Reason"), reason);
        if let Some(time) = whole.date(DATE_FIELDS[0]) {
            bson.append(cstr!("Timestamp"), date(time));
        }
        bson.append(cstr!("Topic"), &*record.topic);
        documents.push((identity, bson));
    }
    documents
}

/// The text in parts that MongoDB can hold; at least one.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > PART_BYTES {
        let (part, behind) = rest.split_at(rest.floor_char_boundary(PART_BYTES));
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

/// A date as MongoDB has it.
pub(super) fn date(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_datetime().timestamp_millis())
}

fn of_count(count: usize) -> RawBson {
    i32::try_from(count).map_or(RawBson::Null, RawBson::Int32)
}

fn key(name: &str) -> Result<CString, Unholdable> {
    <&CStr>::try_from(name).map(CString::from).map_err(|_| Unholdable::NulInKey)
}

fn of_value(value: &Value, level: usize) -> Result<RawBson, Unholdable> {
    if level > LEVELS_MAX {
        return Err(Unholdable::TooDeep);
    }
    Ok(match value {
        Value::Null => RawBson::Null,
        Value::Bool(value) => RawBson::Boolean(*value),
        Value::Number(number) => of_number(number),
        Value::String(text) => RawBson::String(text.clone()),
        Value::Array(items) => {
            let mut array = RawArrayBuf::new();
            for item in items {
                array.push(of_value(item, level + 1)?);
            }
            RawBson::Array(array)
        }
        Value::Object(fields) => RawBson::Document(of_object(fields, level)?),
    })
}

fn of_object(fields: &Map<String, Value>, level: usize) -> Result<RawDocumentBuf, Unholdable> {
    let mut bson = RawDocumentBuf::new();
    for (name, value) in fields {
        bson.append(&key(name)?, of_value(value, level + 1)?);
    }
    Ok(bson)
}

/// The smallest type that has the number: as the Python driver does it.
fn of_number(number: &Number) -> RawBson {
    if let Some(whole) = number.as_i64() {
        return i32::try_from(whole).map_or(RawBson::Int64(whole), RawBson::Int32);
    }
    // A document has no integer beyond 64 bits with a sign that is not exactly a double.
    number.as_f64().map_or(RawBson::Null, RawBson::Double)
}

/// Whether two documents of one `_id` say the same, leaving aside a `Timestamp` that the message itself has not.
pub(super) fn says_the_same(stored: &RawDocumentBuf, again: &RawDocumentBuf, document: &Document) -> bool {
    if !document.timestamp_is_ours() {
        return stored == again;
    }
    let told = |bson: &RawDocumentBuf| -> Option<Vec<(String, Vec<u8>)>> {
        let mut fields = Vec::new();
        for element in bson.iter() {
            let (name, value) = element.ok()?;
            if name.as_str() != "Timestamp" {
                fields.push((name.as_str().to_owned(), bytes_of(value)));
            }
        }
        Some(fields)
    };
    told(stored).is_some_and(|fields| Some(fields) == told(again))
}

fn bytes_of(value: RawBsonRef<'_>) -> Vec<u8> {
    let mut alone = RawDocumentBuf::new();
    alone.append(cstr!("v"), value);
    alone.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_clock::Utc;
    use mongodb::bson::Bson;

    fn of_body(body: &str) -> Result<mongodb::bson::Document, Unholdable> {
        let document = Document::of_message("T", body, Utc::default()).unwrap();
        of_document("1", &document).map(|raw| raw.try_into().unwrap())
    }

    fn record(body: impl Into<bytes::Bytes>) -> Record {
        Record { topic: "T".into(), body: body.into(), heard_at: Utc::default() }
    }

    #[test]
    fn numbers_get_the_smallest_type_that_has_them_and_dates_are_dates() {
        let body = r#"{"a": 1, "b": 3000000000, "c": 1.0, "d": 9223372036854775808, "e": 9223372036854775809,
                       "x.y": [null, true, {"$k": "v"}], "Timestamp": "2026-01-01", "EndTime": "later"}"#;
        let bson = of_body(body).unwrap();
        assert_eq!(bson.get("_id"), Some(&Bson::String("1".into())));
        assert_eq!(bson.get("a"), Some(&Bson::Int32(1)));
        assert_eq!(bson.get("b"), Some(&Bson::Int64(3_000_000_000)));
        assert_eq!(bson.get("c"), Some(&Bson::Double(1.0)));
        assert_eq!(bson.get("d"), Some(&Bson::Double(9_223_372_036_854_775_808.0)));
        assert_eq!(bson.get("e"), Some(&Bson::String("9223372036854775809".into())));
        assert_eq!(bson.get("Timestamp"), Some(&Bson::DateTime(DateTime::from_millis(1_767_225_600_000))));
        assert_eq!(bson.get("EndTime"), Some(&Bson::String("later".into())));
        let items = bson.get_array("x.y").unwrap();
        assert_eq!(items[2].as_document().unwrap().get("$k"), Some(&Bson::String("v".into())));
    }

    #[test]
    fn what_mongodb_cannot_hold_is_told_apart() {
        assert_eq!(of_body(r#"{"a\u0000b": 1}"#), Err(Unholdable::NulInKey));
        assert_eq!(of_body(r#"{"_id": 1}"#), Err(Unholdable::OwnId));
        let nested = |levels: usize| format!(r#"{{"a": {}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(of_body(&nested(LEVELS_MAX - 1)).is_ok());
        assert_eq!(of_body(&nested(LEVELS_MAX)), Err(Unholdable::TooDeep));
        let many = format!(r#"{{"a": [{}0]}}"#, "0,".repeat(2_000_000));
        assert_eq!(of_body(&many), Err(Unholdable::TooLarge));
    }

    #[test]
    fn a_text_of_16_mib_is_held_in_parts() {
        let text = "é".repeat(BYTES_MAX / 2);
        let parts = of_unholdable(&record(text.clone()), "why");
        assert_eq!(parts.len(), 2);
        assert_ne!(parts[0].0, parts[1].0);
        let mut whole = String::new();
        for (number, (_, part)) in parts.iter().enumerate() {
            assert!(part.as_bytes().len() < BYTES_MAX);
            assert_eq!(part.get_i32("Part").unwrap(), i32::try_from(number).unwrap() + 1);
            assert_eq!(part.get_i32("Parts").unwrap(), 2);
            whole += part.get_str("InvalidJsonMessage").unwrap();
        }
        assert_eq!(whole, text);
        let short = of_unholdable(&record("{}"), "why");
        assert!(short.len() == 1 && short[0].1.get("Part").unwrap().is_none());
    }
}
