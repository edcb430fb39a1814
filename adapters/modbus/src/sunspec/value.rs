//! One value of a model to registers and back: sentinels, scale factors, text.
//!
//! A point that the device marks as not implemented is absent, never a number; so is a number whose scale factor is
//! not implemented. A scale factor outside -10 to 10 is an error, because every number it scales would be wrong.

use super::models::Kind;
use crate::registers::{Scale, Unencodable, joined, signed16, signed32, word, words};

/// The number in these registers as it stands, before scaling; `None` when it is not implemented or no number.
pub(crate) fn raw_number(kind: Kind, registers: &[u16]) -> Option<f64> {
    let number = match (kind, registers) {
        (Kind::Int16, &[bits]) if bits != 0x8000 => f64::from(signed16(bits)),
        (Kind::Uint16 | Kind::Count | Kind::Enum16 | Kind::Bitfield16, &[bits]) if bits != 0xFFFF => {
            bits.into()
        }
        (Kind::Int32, &[high, low]) if joined(high, low) != 0x8000_0000 => {
            f64::from(signed32(joined(high, low)))
        }
        (Kind::Uint32 | Kind::Bitfield32, &[high, low]) if joined(high, low) != 0xFFFF_FFFF => {
            f64::from(joined(high, low))
        }
        (Kind::Uint64, &[a, b, c, d]) if [a, b, c, d] != [0xFFFF; 4] => long(a, b, c, d),
        (Kind::Acc32, &[high, low]) if joined(high, low) != 0 => f64::from(joined(high, low)),
        (Kind::Acc64, &[a, b, c, d]) if [a, b, c, d] != [0; 4] => long(a, b, c, d),
        (Kind::Float32, &[high, low]) => f64::from(f32::from_bits(joined(high, low))),
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Four registers as one number, high word first.
fn long(a: u16, b: u16, c: u16, d: u16) -> f64 {
    f64::from(joined(a, b)) * 2_f64.powi(32) + f64::from(joined(c, d))
}

/// The exponent of ten in a scale factor register: `Ok(None)` when it is not implemented.
///
/// # Errors
/// The number that stands there, when it is outside -10 to 10.
pub(crate) fn scale_factor(register: u16) -> Result<Option<i8>, i16> {
    if register == 0x8000 {
        return Ok(None);
    }
    let exponent = signed16(register);
    match i8::try_from(exponent) {
        Ok(fits @ -10..=10) => Ok(Some(fits)),
        _ => Err(exponent),
    }
}

/// A raw number times ten to the exponent.
pub(crate) fn scaled(raw: f64, exponent: i8) -> f64 {
    Scale::power_of_ten(exponent).value(raw)
}

/// The text in these registers, without what follows the first NUL; `None` when there is none. Bytes that are not
/// printable ASCII become `?`.
pub(crate) fn text(registers: &[u16]) -> Option<String> {
    let bytes = registers.iter().flat_map(|register| register.to_be_bytes());
    let text: String = bytes
        .take_while(|byte| *byte != 0)
        .map(|byte| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '?' })
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The registers that hold the number nearest to `value`, given the exponent of its scale factor (0 without one).
///
/// # Errors
/// When there is none: not finite, outside the range of the type, or no number type. It never wraps or clamps, and it
/// never gives the pattern that means "not implemented".
pub(crate) fn encode(kind: Kind, exponent: i8, value: f64) -> Result<Vec<u16>, Unencodable> {
    let scale = Scale::power_of_ten(exponent);
    let short = |low: i64, high: i64| Ok(vec![word(scale.whole(value, low, high)?)]);
    let long = |low: i64, high: i64| Ok(words(scale.whole(value, low, high)?).to_vec());
    match kind {
        Kind::Int16 => short(i64::from(i16::MIN) + 1, i16::MAX.into()),
        Kind::Uint16 | Kind::Count | Kind::Enum16 | Kind::Bitfield16 => short(0, i64::from(u16::MAX) - 1),
        Kind::Int32 => long(i64::from(i32::MIN) + 1, i32::MAX.into()),
        Kind::Uint32 | Kind::Bitfield32 => long(0, i64::from(u32::MAX) - 1),
        _ => Err(Unencodable::NotANumber),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WRITABLE: [Kind; 6] =
        [Kind::Int16, Kind::Uint16, Kind::Int32, Kind::Uint32, Kind::Enum16, Kind::Bitfield32];

    #[test]
    fn what_is_not_implemented_is_absent() {
        let absent: [(Kind, &[u16]); 11] = [
            (Kind::Int16, &[0x8000]),
            (Kind::Uint16, &[0xFFFF]),
            (Kind::Enum16, &[0xFFFF]),
            (Kind::Bitfield16, &[0xFFFF]),
            (Kind::Int32, &[0x8000, 0]),
            (Kind::Uint32, &[0xFFFF, 0xFFFF]),
            (Kind::Bitfield32, &[0xFFFF, 0xFFFF]),
            (Kind::Acc32, &[0, 0]),
            (Kind::Acc64, &[0, 0, 0, 0]),
            (Kind::Float32, &[0x7FC0, 0]),
            (Kind::Float32, &[0x7F80, 0]),
        ];
        for (kind, registers) in absent {
            assert_eq!(raw_number(kind, registers), None, "{kind:?}");
        }
        assert_eq!(scale_factor(0x8000), Ok(None));
        assert_eq!(text(&[0; 8]), None);
    }

    #[test]
    fn values_next_to_a_sentinel_are_values() {
        assert_eq!(raw_number(Kind::Int16, &[0x8001]), Some(-32767.0));
        assert_eq!(raw_number(Kind::Uint16, &[0xFFFE]), Some(65534.0));
        assert_eq!(raw_number(Kind::Acc64, &[0, 1, 0, 1]), Some(4_294_967_297.0));
        assert_eq!(raw_number(Kind::Int32, &[0xFFFF, 0xFFFF]), Some(-1.0));
    }

    #[test]
    fn registers_of_another_number_than_the_type_has_are_absent() {
        for kind in WRITABLE {
            assert_eq!(raw_number(kind, &[]), None);
            assert_eq!(raw_number(kind, &[1, 2, 3]), None);
        }
    }

    #[test]
    fn a_scale_factor_outside_ten_is_an_error() {
        assert_eq!(scale_factor(0xFFF6), Ok(Some(-10)));
        assert_eq!(scale_factor(10), Ok(Some(10)));
        assert_eq!(scale_factor(11), Err(11));
        assert_eq!(scale_factor(0xFFF5), Err(-11));
        assert_eq!(scale_factor(0x0100), Err(256));
    }

    #[test]
    fn text_ends_at_the_first_nul() {
        assert_eq!(text(&[0x6772, 0x6964, 0x2000, 0x4141]).as_deref(), Some("grid"));
        assert_eq!(text(&[0x41FF, 0x4207]).as_deref(), Some("A?B?"));
    }

    proptest! {
        #[test]
        fn a_number_comes_back_within_half_a_step(
            kind in prop::sample::select(WRITABLE.to_vec()), exponent in -10..=10_i8, value in -1e12..1e12_f64,
        ) {
            let step = 10_f64.powi(exponent.into());
            match encode(kind, exponent, value) {
                Ok(registers) => {
                    let raw = raw_number(kind, &registers);
                    prop_assert!(raw.is_some(), "encoded as not implemented");
                    let back = scaled(raw.unwrap_or(f64::NAN), exponent);
                    prop_assert!((back - value).abs() <= step * 0.500_001 + value.abs() * 1e-12, "{back}");
                }
                Err(refused) => {
                    prop_assert!(matches!(refused, Unencodable::OutOfRange { low, high, .. }
                        if value < low || value > high), "{refused}");
                }
            }
        }

        #[test]
        fn every_pattern_that_is_a_number_encodes_to_itself(
            kind in prop::sample::select(WRITABLE.to_vec()), exponent in -10..=10_i8, high: u16, low: u16,
        ) {
            let registers = if kind.registers() == 1 { vec![low] } else { vec![high, low] };
            if let Some(raw) = raw_number(kind, &registers) {
                prop_assert_eq!(encode(kind, exponent, scaled(raw, exponent)), Ok(registers));
            }
        }

        #[test]
        fn numbers_that_are_not_finite_are_refused(kind in prop::sample::select(WRITABLE.to_vec()), exponent in -10..=10_i8) {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                prop_assert!(matches!(encode(kind, exponent, value), Err(Unencodable::NotFinite(_))));
            }
        }

        #[test]
        fn arbitrary_registers_never_panic(registers in prop::collection::vec(any::<u16>(), 0..6)) {
            for kind in [Kind::Acc32, Kind::Acc64, Kind::Float32, Kind::Pad, Kind::Text(3), Kind::ScaleFactor] {
                let number = raw_number(kind, &registers);
                prop_assert!(number.is_none_or(f64::is_finite));
            }
            prop_assert!(text(&registers).is_none_or(|text| text.is_ascii()));
        }
    }
}
