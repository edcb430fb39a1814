//! Register-map profiles: what the files in `configs/devices` say, and how wrong files are told so.

use gridloop_device::Quality;
use gridloop_modbus::{Profile, Reading, Unencodable};
use proptest::prelude::*;
use std::path::Path;

/// A profile with one point, to which a test adds lines.
fn with(lines: &str) -> String {
    format!("name = \"x\"\n\n[[point]]\nname = \"p\"\ntable = \"holding\"\naddress = 3\n{lines}\n")
}

fn point(lines: &str) -> gridloop_modbus::PointSpec {
    Profile::parse("x.toml", &with(lines)).unwrap().points.remove(0)
}

#[test]
fn every_profile_that_is_shipped_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/devices");
    let mut profiles = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let profile = Profile::parse(&path.display().to_string(), &text).unwrap();
        assert!(!profile.points.is_empty(), "{}", path.display());
        profiles += 1;
    }
    assert!(profiles >= 2);
}

#[test]
fn errors_say_where_they_are_and_what_was_expected() {
    let cases: &[(&str, usize, &str)] = &[
        ("type = \"u16\"\nunit = \"furlong\"", 8, "unknown unit `furlong`, expected one of"),
        ("type = \"u24\"\nunit = \"1\"", 7, "unknown variant `u24`, expected one of"),
        ("type = \"u16\"\nunit = \"1\"\nscale = 0", 9, "finite number other than zero"),
        ("type = \"u16\"\nunit = \"1\"\nscale = inf", 9, "finite number other than zero"),
        ("type = \"u16\"\nunit = \"1\"\nadress = 4", 9, "unknown field `adress`"),
        ("type = \"u16\"\nunit = \"1\"\nsentinel = 0x18000", 9, "16 bits"),
        ("type = \"f32\"\nunit = \"1\"\nsentinel = 0", 9, "NaN always"),
        ("type = \"u16\"\nunit = \"1\"\nvalid = [3, 2]", 9, "[lowest, highest]"),
        (
            "type = \"u16\"\nunit = \"1\"\n[commands.voltage_setpoint]\npoint = \"q\"",
            10,
            "no point named `q`",
        ),
        (
            "type = \"u16\"\nunit = \"V\"\n[commands.voltage_setpoint]\npoint = \"p\"",
            10,
            "a writable point in V",
        ),
        ("unit = \"1\"", 3, "missing field `type`"),
    ];
    for (lines, line, text) in cases {
        let error = Profile::parse("devices/x.toml", &with(lines)).unwrap_err();
        assert_eq!(error.line, *line, "{error}");
        assert!(error.to_string().starts_with(&format!("devices/x.toml:{line}:")), "{error}");
        assert!(error.message.contains(text), "{error}");
    }
}

#[test]
fn points_must_have_one_name_each_and_lie_within_the_address_space() {
    let twice = with(
        "type = \"u16\"\nunit = \"1\"\n[[point]]\nname = \"p\"\ntable = \"input\"\naddress = 3\ntype = \"u16\"\nunit = \"1\"",
    );
    assert!(Profile::parse("x", &twice).unwrap_err().message.contains("a second point named `p`"));
    let beyond = with("type = \"u32\"\nunit = \"1\"").replace("address = 3", "address = 65535");
    assert!(Profile::parse("x", &beyond).unwrap_err().message.contains("beyond register 65535"));
    let written = with("type = \"u16\"\nunit = \"1\"\nwritable = true").replace("holding", "input");
    assert!(Profile::parse("x", &written).unwrap_err().message.contains("cannot be written"));
}

#[test]
fn words_are_joined_in_the_order_the_profile_states() {
    let high_first = point("type = \"u32\"\nunit = \"1\"");
    let low_first = point("type = \"u32\"\nunit = \"1\"\nword_order = \"low-first\"");
    assert_eq!(high_first.decode(&[1, 2]), Reading::Value(65_538.0, Quality::Good));
    assert_eq!(low_first.decode(&[2, 1]), Reading::Value(65_538.0, Quality::Good));
    assert_eq!(low_first.encode(65_538.0), Ok(vec![2, 1]));
}

#[test]
fn a_value_outside_its_valid_range_is_not_good_and_a_sentinel_is_absent() {
    let point = point("type = \"i16\"\nunit = \"V\"\nscale = 0.1\nvalid = [0, 300]\nsentinel = 0x8000");
    assert_eq!(point.decode(&[2305]), Reading::Value(230.5, Quality::Good));
    assert_eq!(point.decode(&[0xFFFF]), Reading::Value(-0.1, Quality::OutOfRange));
    assert_eq!(point.decode(&[0x8000]), Reading::Absent);
    assert_eq!(point.decode(&[1, 2]), Reading::Absent);
    assert_eq!(point.encode(-3276.8), Err(Unencodable::Sentinel(-3276.8)));
}

proptest! {
    #[test]
    fn a_value_comes_back_within_half_a_step_or_is_refused(
        kind in prop::sample::select(vec!["u16", "i16", "u32", "i32"]),
        scale in prop::sample::select(vec![0.001_f64, 0.1, 1.0, 2.0, 10.0, -0.5]),
        offset in -1e3..1e3_f64, value in -1e10..1e10_f64,
    ) {
        let point = point(&format!("type = \"{kind}\"\nunit = \"W\"\nscale = {scale:?}\noffset = {offset:?}"));
        match point.encode(value) {
            Ok(registers) => {
                let Reading::Value(back, _) = point.decode(&registers) else { panic!("absent") };
                prop_assert!((back - value).abs() <= scale.abs() * 0.5 + 1e-5, "{back} for {value}");
            }
            Err(error) => prop_assert!(matches!(error, Unencodable::OutOfRange { low, high, .. }
                if value < low || value > high), "{error}"),
        }
    }

    #[test]
    fn every_number_encodes_to_the_registers_it_came_from(
        kind in prop::sample::select(vec!["u16", "i16", "u32", "i32", "f32"]), order in any::<bool>(), a: u16, b: u16,
    ) {
        let order = if order { "high-first" } else { "low-first" };
        let point = point(&format!("type = \"{kind}\"\nunit = \"W\"\nword_order = \"{order}\""));
        let registers = if point.kind.registers() == 1 { vec![a] } else { vec![a, b] };
        if let Reading::Value(value, _) = point.decode(&registers) {
            prop_assert_eq!(point.encode(value), Ok(registers));
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused(kind in prop::sample::select(vec!["u16", "i32", "f32"])) {
        let point = point(&format!("type = \"{kind}\"\nunit = \"W\""));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            prop_assert!(matches!(point.encode(value), Err(Unencodable::NotFinite(_))));
        }
        let huge = matches!(point.encode(1e300), Err(Unencodable::OutOfRange { .. }));
        prop_assert!(huge);
    }

    #[test]
    fn arbitrary_text_is_a_profile_or_an_error_with_a_place(text in "\\PC{0,200}") {
        if let Err(error) = Profile::parse("x", &text) {
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }
}
