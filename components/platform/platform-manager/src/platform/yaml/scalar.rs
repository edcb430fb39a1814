//! What a word without quotes is, by the rules of YAML 1.1 as PyYAML has them: [`resolve`].
//!
//! These are the regular expressions of PyYAML's resolver, written as small scanners. They differ from YAML 1.2 in
//! ways that bite: `on` is true, `0o17` a text, `017` fifteen, `1:30` ninety, `1e3` a text and `1.0e+3` a number.

use super::node::Value;

/// Why a word cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A whole number beyond 64 bits.
    TooLarge,
    /// `.inf`, `.nan`, or a number that is infinite in 64 bits.
    NotFinite,
}

/// What the word is.
pub(crate) fn resolve(word: &str) -> Result<Value, Refused> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Boolean(true));
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Boolean(false));
        }
        _ => {}
    }
    if is_date(word) {
        return Ok(Value::Date(word.to_owned()));
    }
    if let Some(integer) = integer(word) {
        return integer.map(Value::Integer);
    }
    match float(word) {
        Some(float) => float.map(Value::Number),
        None => Ok(Value::Text(word.to_owned())),
    }
}

fn split_sign(word: &str) -> (bool, &str) {
    match word.strip_prefix(['-', '+']) {
        Some(rest) => (word.starts_with('-'), rest),
        None => (false, word),
    }
}

fn all(text: &str, good: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(good)
}

/// Binary, octal, hexadecimal, decimal or base 60, with underscores anywhere after the first digit.
fn integer(word: &str) -> Option<Result<i64, Refused>> {
    let (negative, digits) = split_sign(word);
    let within = |radix: u32| move |c: char| c == '_' || c.is_digit(radix);
    let value = if let Some(binary) = digits.strip_prefix("0b").filter(|it| all(it, within(2))) {
        from_radix(binary, 2)?
    } else if let Some(hexadecimal) = digits.strip_prefix("0x").filter(|it| all(it, within(16))) {
        from_radix(hexadecimal, 16)?
    } else if digits.starts_with('0') && all(digits, within(8)) {
        from_radix(digits, 8)?
    } else if digits.starts_with(|c: char| matches!(c, '1'..='9')) && all(digits, within(10)) {
        from_radix(digits, 10)?
    } else {
        sexagesimal(digits)?
    };
    let signed = value.map(|value| if negative { -value } else { value });
    Some(signed.and_then(|value| i64::try_from(value).ok()).ok_or(Refused::TooLarge))
}

/// `None`: no digit at all, so a text. `Some(None)`: too large.
fn from_radix(digits: &str, radix: u32) -> Option<Option<i128>> {
    let mut sum = None;
    for digit in digits.chars().filter_map(|c| c.to_digit(radix)) {
        let next = sum.unwrap_or(0_i128) * i128::from(radix) + i128::from(digit);
        if next > i128::from(u64::MAX) {
            return Some(None);
        }
        sum = Some(next);
    }
    sum.map(Some)
}

/// `1:30` is ninety.
fn sexagesimal(digits: &str) -> Option<Option<i128>> {
    let (first, rest) = digits.split_once(':')?;
    if !first.starts_with(|c: char| matches!(c, '1'..='9')) || !all(first, |c| c == '_' || c.is_ascii_digit())
    {
        return None;
    }
    let mut sum = from_radix(first, 10)?;
    for part in rest.split(':') {
        let value = minutes(part)?;
        sum = sum.map(|sum| sum * 60 + value).filter(|sum| *sum <= i128::from(u64::MAX));
    }
    Some(sum)
}

/// 0 to 59, of one or two digits.
fn minutes(part: &str) -> Option<i128> {
    let good = all(part, |c| c.is_ascii_digit()) && part.len() <= 2;
    part.parse().ok().filter(|value| good && *value < 60)
}

/// A number with a point. An exponent needs its sign.
fn float(word: &str) -> Option<Result<f64, Refused>> {
    let (negative, digits) = split_sign(word);
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(word, ".nan" | ".NaN" | ".NAN") {
        return Some(Err(Refused::NotFinite));
    }
    let value = match digits.rsplit_once(':') {
        Some((_, seconds)) if seconds.contains('.') => sexagesimal_float(digits)?,
        _ => point_float(word, digits)?,
    };
    if !value.is_finite() {
        return Some(Err(Refused::NotFinite));
    }
    Some(Ok(if negative { -value } else { value }))
}

fn point_float(word: &str, digits: &str) -> Option<f64> {
    let (whole, rest) = digits.split_once('.')?;
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let number = |text: &str| text.chars().all(|c| c == '_' || c.is_ascii_digit());
    let begins = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    // Without a whole part there is no sign, and a digit comes first.
    let sound = if whole.is_empty() { word == digits && begins(fraction) } else { begins(whole) };
    let exponent_sound = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['+', '-']).is_some_and(|digits| all(digits, |c| c.is_ascii_digit()))
    });
    if !sound || !number(whole) || !number(fraction) || !exponent_sound {
        return None;
    }
    digits.replace('_', "").parse().ok()
}

/// `1:30.5` is 90.5.
fn sexagesimal_float(digits: &str) -> Option<f64> {
    let mut parts = digits.split(':');
    let first = parts.next().filter(|it| it.starts_with(|c: char| c.is_ascii_digit()))?;
    if !all(first, |c| c == '_' || c.is_ascii_digit()) {
        return None;
    }
    let mut sum: f64 = first.replace('_', "").parse().ok()?;
    for part in parts {
        let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
        minutes(whole)?;
        if !fraction.chars().all(|c| c == '_' || c.is_ascii_digit()) {
            return None;
        }
        sum = sum * 60.0 + part.replace('_', "").parse::<f64>().ok()?;
    }
    Some(sum)
}

/// `2026-06-21`, or with a time behind it.
fn is_date(word: &str) -> bool {
    let parts: Vec<&str> = word.splitn(3, '-').collect();
    let &[year, month, rest] = parts.as_slice() else { return false };
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(year, 4..=4) || !digits(month, 1..=2) {
        return false;
    }
    let day_end = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (day, time) = rest.split_at(day_end);
    if time.is_empty() {
        return digits(month, 2..=2) && digits(day, 2..=2);
    }
    digits(day, 1..=2) && is_time(time)
}

/// `T12:30:00.5 +02:00`: a separator, a time to the second, perhaps a zone.
fn is_time(text: &str) -> bool {
    let blank = |c: char| c == ' ' || c == '\t';
    let time = match text.strip_prefix(['T', 't']) {
        Some(time) => time,
        None if text.starts_with(blank) => text.trim_start_matches(blank),
        None => return false,
    };
    let (clock, zone) = match time.find(|c: char| blank(c) || matches!(c, 'Z' | '+' | '-')) {
        Some(at) => (&time[..at], time[at..].trim_start_matches(blank)),
        None => (time, ""),
    };
    let digits = |text: &str, least: usize| {
        (least..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<&str> = whole.split(':').collect();
    let sound = matches!(parts.as_slice(), [h, m, s] if digits(h, 1) && digits(m, 2) && digits(s, 2));
    let offset = zone.strip_prefix(['+', '-']).map(|it| it.split_once(':').unwrap_or((it, "00")));
    let zone_sound = match offset {
        Some((hours, minutes)) => digits(hours, 1) && digits(minutes, 2),
        None => zone == "Z" || time.len() == clock.len(),
    };
    sound && zone_sound && fraction.bytes().all(|b| b.is_ascii_digit())
}
