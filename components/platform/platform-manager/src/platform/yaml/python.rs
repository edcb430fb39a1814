//! Values as Python spells them: `str()` outside, `repr()` inside of lists and mappings (wire contract 4.3).

use super::node::{Node, Value};

/// As `str(value)`.
pub(crate) fn str(node: &Node) -> String {
    match &node.value {
        Value::Text(text) | Value::Date(text) => text.clone(),
        _ => repr(node),
    }
}

/// As `repr(value)`.
fn repr(node: &Node) -> String {
    match &node.value {
        Value::Null => "None".to_owned(),
        Value::Boolean(true) => "True".to_owned(),
        Value::Boolean(false) => "False".to_owned(),
        Value::Integer(value) => value.to_string(),
        Value::Number(value) => float(*value),
        Value::Text(text) | Value::Date(text) => quoted(text),
        Value::List(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let spelled = |(key, value): &(Node, Node)| format!("{}: {}", repr(key), repr(value));
            format!("{{{}}}", entries.iter().map(spelled).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A float: the shortest digits that give it back, with an exponent below 1e-4 and from 1e16 on.
pub(crate) fn float(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&power) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.unsigned_abs())
}

/// A text in single quotes, or in double ones if it has single and no double ones itself.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut spelled = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => spelled.push_str("\\\\"),
            '\n' => spelled.push_str("\\n"),
            '\r' => spelled.push_str("\\r"),
            '\t' => spelled.push_str("\\t"),
            same if same == quote => spelled.extend(['\\', same]),
            printable if is_printable(printable) => spelled.push(printable),
            other => spelled.push_str(&escaped(u32::from(other))),
        }
    }
    spelled.push(quote);
    spelled
}

fn escaped(code: u32) -> String {
    match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    }
}

/// As `str.isprintable()`: no control, format, private, unassigned or separating character but the blank.
///
/// Rust's `escape_debug` escapes the same ones (and the first character of a text if it is a combining one, hence the
/// letter before it).
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    !format!("a{character}").escape_debug().any(|c| c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelled_with_a_point_or_an_exponent() {
        for (value, spelled) in [
            (120.0, "120.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (5e-324, "5e-324"),
            (123_456_789.123, "123456789.123"),
        ] {
            assert_eq!(float(value), spelled);
        }
    }

    #[test]
    fn texts_inside_of_lists_are_quoted_the_way_python_prefers() {
        assert_eq!(quoted("plain"), "'plain'");
        assert_eq!(quoted("it's"), "\"it's\"");
        assert_eq!(quoted("\"it's\""), "'\"it\\'s\"'");
        assert_eq!(
            quoted("a\tb\\\n\u{1}\u{a0}\u{2028}ä\u{e000}\u{1f600}"),
            "'a\\tb\\\\\\n\\x01\\xa0\\u2028ä\\ue000\u{1f600}'"
        );
    }
}
