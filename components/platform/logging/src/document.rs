//! The stored form of a message (wire contract 5.1): [`Document`].
//!
//! A document is the message as a JSON object with its `SimulationId` and dates in their canonical spelling, and its
//! `Topic`. Both stores hold the same: MongoDB the document itself, SQLite the body as published, from which the
//! document is made on reading.
//!
//! Numbers survive. What a double or a signed integer of 64 bits cannot hold exactly, and what JSON does not have (the
//! `NaN` and `Infinity` that Python writes), becomes a string of the same characters.

use gridloop_clock::Utc;
use gridloop_messages::{SimulationId, Timestamp};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The fields that are dates (wire contract 5.1), where they hold a text that is one.
pub const DATE_FIELDS: [&str; 3] = ["Timestamp", "StartTime", "EndTime"];

/// A message as it is stored and served.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    fields: Map<String, Value>,
    /// Set where the message itself does not say when it was made.
    #[cfg(feature = "mongodb")]
    timestamp_is_ours: bool,
}

impl Document {
    /// The stored form of a valid message. `body` is what was published, `heard_at` its `Timestamp` if it has none.
    ///
    /// `None` when the body is no object of JSON; such a message was not valid.
    #[must_use]
    pub fn of_message(topic: &str, body: &str, heard_at: Utc) -> Option<Self> {
        let mut fields = object(body)?;
        if let Some(Value::String(id)) = fields.get_mut("SimulationId")
            && let Ok(canonical) = SimulationId::parse(id)
        {
            *id = canonical.to_string();
        }
        for name in DATE_FIELDS {
            if let Some(Value::String(text)) = fields.get_mut(name)
                && let Ok(time) = Timestamp::parse(text)
            {
                *text = time.to_string();
            }
        }
        Some(Self::finished(fields, topic, heard_at))
    }

    /// The stored form of an invalid message: under `InvalidMessage` what is an object, under `InvalidJsonMessage` any
    /// other text, and the `Reason`. Bytes that are not UTF-8 are written as `\xff`.
    #[must_use]
    pub fn of_invalid(topic: &str, body: &[u8], reason: &str, heard_at: Utc) -> Self {
        let mut fields = Map::new();
        let parsed = std::str::from_utf8(body).ok().and_then(object);
        match parsed {
            Some(message) => {
                if let Some(made_at) = message.get("Timestamp").and_then(date) {
                    fields.insert("Timestamp".into(), made_at.to_string().into());
                }
                fields.insert("InvalidMessage".into(), message.into());
            }
            None => {
                fields.insert("InvalidJsonMessage".into(), readable(body).into());
            }
        }
        fields.insert("Reason".into(), reason.into());
        Self::finished(fields, topic, heard_at)
    }

    fn finished(mut fields: Map<String, Value>, topic: &str, heard_at: Utc) -> Self {
        fields.insert("Topic".into(), topic.into());
        if !fields.get("Warnings").is_some_and(says_something) {
            fields.remove("Warnings");
        }
        let timestamp_is_ours = matches!(fields.get("Timestamp"), None | Some(Value::Null));
        if timestamp_is_ours {
            fields.insert("Timestamp".into(), Timestamp::from(heard_at).to_string().into());
        }
        Self {
            fields,
            #[cfg(feature = "mongodb")]
            timestamp_is_ours,
        }
    }

    /// Its fields. Dates are texts in the canonical spelling `YYYY-MM-DDTHH:MM:SS.mmmZ`; see [`Document::date`].
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Its fields, for whoever takes them apart.
    #[must_use]
    pub fn into_fields(self) -> Map<String, Value> {
        self.fields
    }

    /// The date in a top-level field; `None` when the field is not one of [`DATE_FIELDS`] or holds no date.
    #[must_use]
    pub fn date(&self, field: &str) -> Option<Timestamp> {
        if !DATE_FIELDS.contains(&field) {
            return None;
        }
        self.fields.get(field).and_then(date)
    }

    /// Whether its `Timestamp` is when it was heard, because the message does not say when it was made. Such a
    /// `Timestamp` differs each time the message is delivered.
    #[cfg(feature = "mongodb")]
    pub(crate) fn timestamp_is_ours(&self) -> bool {
        self.timestamp_is_ours
    }
}

/// Whether there are warnings: none and an empty array are the same as no field (wire contract 2.2).
pub(crate) fn says_something(warnings: &Value) -> bool {
    !warnings.is_null() && !warnings.as_array().is_some_and(Vec::is_empty)
}

/// The date that a field holds.
fn date(value: &Value) -> Option<Timestamp> {
    Timestamp::parse(value.as_str()?).ok()
}

/// The object in `text`, of a repeated key the last value.
fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(&quote_what_json_cannot_hold(text)).ok()
}

/// Bytes as text that a person can read and every store can hold.
fn readable(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The text with quotes around every number outside strings that would not survive: `NaN`, infinities, and integers
/// that neither 64 bits with a sign nor a double hold exactly.
fn quote_what_json_cannot_hold(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut quoted = String::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b'"' => {
                in_string = !in_string;
                1
            }
            b'\\' if in_string => 2,
            b'N' | b'I' | b'-' | b'0'..=b'9' if !in_string => {
                let token = token(&text[at..]);
                if !survives(token) {
                    quoted.push_str(&text[copied..at]);
                    quoted.push('"');
                    quoted.push_str(token);
                    quoted.push('"');
                    copied = at + token.len();
                }
                token.len()
            }
            _ => 1,
        };
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(&text[copied..]);
    Cow::Owned(quoted)
}

/// What stands at the beginning of `text` up to the next delimiter of JSON; at least one byte.
fn token(text: &str) -> &str {
    let belongs = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    let length = text.bytes().take_while(|&byte| belongs(byte)).count();
    &text[..length.max(1)]
}

/// Whether a token can stay as it is: everything but the special numbers, and integers that would change.
fn survives(token: &str) -> bool {
    const ALWAYS_FITS: usize = 18;
    if matches!(token, "NaN" | "Infinity" | "-Infinity") {
        return false;
    }
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.len() <= ALWAYS_FITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    // Without a fraction, `{:.0}` writes a double out to its last digit. Digits of any length parse.
    token.parse::<i64>().is_ok() || token.parse().is_ok_and(|nearest: f64| format!("{nearest:.0}") == token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn heard() -> Utc {
        Timestamp::parse("2026-01-01T00:00:09.500Z").unwrap().as_datetime()
    }

    fn stored(body: &str) -> Value {
        Document::of_message("T", body, heard()).unwrap().into_fields().into()
    }

    #[test]
    fn a_message_is_stored_as_it_is_with_canonical_dates_and_its_topic() {
        let body = r#"{"Type": "X", "SimulationId": "2026-01-01T02:00:00.000+02:00", "Timestamp": "2026-01-01T00:00:01Z",
            "StartTime": "2026-01-01", "EndTime": "soon", "TimeIndex": ["2026-01-01T00:00:00Z"], "a.b": 1, "Power": 1.0}"#;
        let expected = json!({"Type": "X", "SimulationId": "2026-01-01T00:00:00.000Z",
            "Timestamp": "2026-01-01T00:00:01.000Z", "StartTime": "2026-01-01T00:00:00.000Z", "EndTime": "soon",
            "TimeIndex": ["2026-01-01T00:00:00Z"], "a.b": 1, "Power": 1.0, "Topic": "T"});
        assert_eq!(stored(body), expected);
        let document = Document::of_message("T", body, heard()).unwrap();
        assert_eq!(document.date("StartTime").unwrap().to_string(), "2026-01-01T00:00:00.000Z");
        assert_eq!((document.date("EndTime"), document.date("SimulationId")), (None, None));
    }

    #[test]
    fn a_message_without_a_time_has_the_time_at_which_it_was_heard() {
        for body in ["{}", r#"{"Timestamp": null}"#] {
            assert_eq!(stored(body)["Timestamp"], "2026-01-01T00:00:09.500Z");
        }
    }

    #[test]
    fn no_warnings_are_no_field() {
        for body in [r#"{"Warnings": []}"#, r#"{"Warnings": null}"#] {
            assert_eq!(stored(body).get("Warnings"), None);
        }
        assert_eq!(stored(r#"{"Warnings": ["warning.other"]}"#)["Warnings"], json!(["warning.other"]));
    }

    #[test]
    fn numbers_that_json_readers_would_change_become_strings() {
        let body = r#"{"a": 9223372036854775807, "b": -9223372036854775808, "c": 9223372036854775809,
            "d": 100000000000000000000, "e": 123456789012345678901234567890, "f": NaN, "g": [-Infinity, Infinity],
            "h": "NaN 123456789012345678901", "i": 0.1, "j": 9223372036854775808, "k\"123456789012345678901": -0.0}"#;
        let stored = stored(body);
        assert_eq!(stored["a"], json!(i64::MAX));
        assert_eq!(stored["b"], json!(i64::MIN));
        assert_eq!(stored["c"], json!("9223372036854775809"));
        assert_eq!(stored["d"], json!(1e20));
        assert_eq!(stored["e"], json!("123456789012345678901234567890"));
        assert_eq!((&stored["f"], &stored["g"]), (&json!("NaN"), &json!(["-Infinity", "Infinity"])));
        assert_eq!(stored["h"], json!("NaN 123456789012345678901"));
        assert_eq!(stored["i"], json!(0.1));
        assert_eq!(stored["j"], json!(9_223_372_036_854_775_808_u64));
        assert_eq!(stored["k\"123456789012345678901"], json!(-0.0));
    }

    #[test]
    fn invalid_messages_keep_their_content_their_time_and_the_reason() {
        let object = Document::of_invalid("T", br#"{"Timestamp": "2026-01-01T00:00:01Z"}"#, "why", heard());
        let expected = json!({"InvalidMessage": {"Timestamp": "2026-01-01T00:00:01Z"}, "Topic": "T",
            "Timestamp": "2026-01-01T00:00:01.000Z", "Reason": "why"});
        assert_eq!(Value::from(object.into_fields()), expected);
        for (body, text) in [(&b"[1]"[..], "[1]"), (b"a\xff\xfeb", "a\\xff\\xfeb"), (b"", "")] {
            let expected = json!({"InvalidJsonMessage": text, "Topic": "T",
                "Timestamp": "2026-01-01T00:00:09.500Z", "Reason": "why"});
            let document = Document::of_invalid("T", body, "why", heard());
            assert_eq!(Value::from(document.into_fields()), expected);
        }
    }

    proptest! {
        #[test]
        fn every_integer_comes_back_to_the_digit(high in any::<i64>(), low in any::<u64>()) {
            let digits = format!("{high}{low}");
            let found = stored(&format!(r#"{{"n": {digits}}}"#))["n"].clone();
            let exact = match &found {
                Value::String(text) => text.clone(),
                Value::Number(number) if number.is_f64() => format!("{:.0}", number.as_f64().unwrap()),
                number => number.to_string(),
            };
            prop_assert_eq!(exact, digits);
        }

        #[test]
        fn every_double_comes_back_to_the_bit(value in any::<f64>().prop_filter("JSON has it", |v| v.is_finite())) {
            let found = stored(&format!(r#"{{"n": {value:?}}}"#))["n"].as_f64().unwrap();
            prop_assert_eq!(found.to_bits(), value.to_bits());
        }

        #[test]
        fn any_bytes_have_a_stored_form(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let document = Document::of_invalid("T", &body, "why", heard());
            prop_assert!(document.date("Timestamp").is_some());
        }

        #[test]
        fn any_json_like_text_is_read_or_refused_but_never_breaks(body in r#"[\[\]{}",:\\NaIé0-9eE.+ -]{0,40}"#) {
            let _ = Document::of_message("T", &body, heard());
        }
    }
}
