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
        // Those of other protocols are their adapters'.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("mqtt-") || !name.ends_with(".toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let profile = Profile::parse(&path.display().to_string(), &text).unwrap();
        assert!(!profile.points.is_empty(), "{}", path.display());
        profiles += 1;
    }
    assert!(profiles >= 3);
}

#[test]
fn the_profile_that_the_how_to_page_builds_up_is_sound() {
    let page = include_str!("../../../../docs/how-to/a-new-register-map-profile.md");
    let fenced = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let text: Vec<&str> = fenced.collect();
    let profile = Profile::parse("a-new-register-map-profile.md", &text.join("\n")).unwrap();
    assert_eq!(profile.points.len(), 5);
    assert_eq!(profile.identity.len(), 1);
    let power = profile.power.unwrap();
    assert_eq!((power.after.len(), power.release.len()), (1, 2));
    assert!(power.watchdog.is_some());
}

/// Every error of a profile: its line, and all that it says.
fn errors(text: &str) -> Vec<(usize, String)> {
    let errors = Profile::parse("devices/x.toml", text).unwrap_err();
    let told = |error: &gridloop_service::Diagnostic| {
        let line = error.line().unwrap();
        let text = error.to_string();
        assert!(text.starts_with(&format!("devices/x.toml:{line}:")), "{text}");
        (line, text)
    };
    errors.iter().map(told).collect()
}

#[test]
fn errors_say_where_they_are_and_what_was_expected() {
    let point = "type = \"u16\"\nunit = \"1\"\n";
    let volts = "type = \"u16\"\nunit = \"V\"\n";
    let cases: &[(&str, &str, usize, &str)] = &[
        ("type = \"u16\"\nunit = \"furlong\"", "", 8, "expected: one of \"W\""),
        ("type = \"u24\"\nunit = \"1\"", "", 7, "expected: one of \"u16\""),
        (point, "scale = 0", 9, "0 cannot be undone"),
        (point, "scale = inf", 9, "expected: a number"),
        (point, "adress = 4", 9, "did you mean `address`?"),
        (point, "sentinel = 0x18000", 9, "16 bits"),
        (point, "sentinel = -32769", 9, "16 bits"),
        ("type = \"f32\"\nunit = \"1\"\n", "sentinel = 0", 9, "NaN always"),
        (point, "valid = [3, 2]", 9, "[lowest, highest]"),
        (point, "valid = [1, 2, 3]", 9, "[lowest, highest]"),
        (point, "limits = [0, 1]", 9, "the point cannot be written"),
        (point, "access = \"read-write\"\nlimits = [0, 65536]", 10, "65536 is outside 0 to 65535"),
        (point, "access = \"read-write\"\nvalid = [-1, 5]", 10, "-1 is outside"),
        (point, "access = \"read-write\"\nwritable = true", 10, "either `access` or `writable`"),
        (point, "bits = [0, 16]", 9, "from 0 to 15"),
        ("type = \"i16\"\nunit = \"1\"\n", "bits = [0, 3]", 9, "of an unsigned type"),
        (point, "bits = [0, 3]\naccess = \"read-write\"", 10, "a part of a register cannot be written"),
        (point, "[commands.voltage_setpoint]\npoint = \"q\"", 10, "no point named `q`"),
        (volts, "[commands.voltage_setpoint]\npoint = \"p\"", 10, "a point in V with access"),
        (
            volts,
            "access = \"read-write\"\n[commands.voltage_setpoint]\npoint = \"p\"",
            11,
            "with `limits` or a `valid` range",
        ),
        ("unit = \"1\"", "", 3, "missing key `type`"),
    ];
    for (lines, more, line, text) in cases {
        let found = errors(&with(&format!("{lines}{more}")));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, *line, "{found:?}");
        assert!(found[0].1.contains(text), "{found:?} {text}");
    }
}

#[test]
fn points_must_have_one_name_each_and_lie_within_the_address_space() {
    let only = |text: &str| errors(text).into_iter().map(|(_, text)| text).collect::<String>();
    let twice = with(
        "type = \"u16\"\nunit = \"1\"\n[[point]]\nname = \"p\"\ntable = \"input\"\naddress = 3\ntype = \"u16\"\nunit = \"1\"",
    );
    assert!(only(&twice).contains("a name of its own: `p` is at 3 already"));
    let beyond = with("type = \"u32\"\nunit = \"1\"").replace("address = 3", "address = 65535");
    assert!(only(&beyond).contains("ends at register 65535"));
    let written = with("type = \"u16\"\nunit = \"1\"\nwritable = true").replace("holding", "input");
    assert!(only(&written).contains("input registers cannot be written"));
    let single = with("type = \"u32\"\nunit = \"1\"\naccess = \"write\"");
    let single = format!("write_function = \"single\"\n{single}");
    assert!(only(&single).contains("a point of one register"));
}

#[test]
fn a_name_that_the_gateway_knows_has_its_unit() {
    for (name, unit, other) in
        [("real_power", "W", "V"), ("voltage", "V", "kV"), ("state_of_charge", "%", "1")]
    {
        let named = |unit: &str| {
            with(&format!("type = \"u16\"\nunit = \"{unit}\""))
                .replace("name = \"p\"", &format!("name = \"{name}\""))
        };
        assert!(Profile::parse("x", &named(unit)).is_ok());
        assert_eq!(errors(&named(other))[0].0, 8, "{name} in {other}");
    }
}

#[test]
fn registers_that_two_points_claim_are_an_error_unless_they_are_different_bits() {
    let two = |first: &str, second: &str| {
        let second = second.replace("at ", "address = ");
        with(&format!(
            "unit = \"1\"\n{first}\n[[point]]\nname = \"q\"\ntable = \"holding\"\nunit = \"1\"\n{second}"
        ))
    };
    let u32_at_3 = "type = \"u32\"";
    for (second, overlaps) in [
        ("at 2\ntype = \"u16\"", false),
        ("at 2\ntype = \"u32\"", true),
        ("at 4\ntype = \"u16\"", true),
        ("at 5\ntype = \"u64\"", false),
        ("at 0\ntype = \"f64\"", true),
    ] {
        let text = two(u32_at_3, second);
        assert_eq!(Profile::parse("x", &text).is_err(), overlaps, "{second}");
        if overlaps {
            let found = errors(&text);
            assert!(found[0].1.contains("`p` has 3 to 4 of the same table"), "{found:?}");
        }
    }
    let low = "type = \"u16\"\nbits = [0, 3]";
    assert!(Profile::parse("x", &two(low, "at 3\ntype = \"u16\"\nbits = [4, 7]")).is_ok());
    assert!(Profile::parse("x", &two(low, "at 3\ntype = \"u16\"\nbits = [3, 7]")).is_err());
    assert!(Profile::parse("x", &two(low, "at 3\ntype = \"u16\"")).is_err());
}

const POWER: &str = r#"
name = "x"
[[point]]
name = "setpoint"
table = "holding"
address = 1
type = "i16"
unit = "W"
access = "read-write"
[[point]]
name = "mode"
table = "holding"
address = 2
type = "u16"
unit = "1"
access = "read-write"
[[point]]
name = "timer"
table = "holding"
address = 3
type = "u16"
unit = "s"
access = "read-write"
[[point]]
name = "rating"
table = "input"
address = 3
type = "u16"
unit = "W"
[commands.power]
real_power = "setpoint"
min_power = -5000
max_power = 5000
before = [{ point = "mode", value = 1 }]
release = [{ point = "mode", value = 0 }]
[commands.power.watchdog]
time = "timer"
after_s = 10
"#;

#[test]
fn a_power_command_that_cannot_be_given_is_told_by_its_reason() {
    assert!(Profile::parse("x", POWER).is_ok());
    let cases: &[(&str, &str, &str)] = &[
        ("real_power = \"setpoint\"", "real_power = \"set\"", "no point named `set`"),
        ("real_power = \"setpoint\"", "real_power = \"rating\"", "what is written is read back"),
        ("real_power = \"setpoint\"", "real_power = \"mode\"", "a point in W or %"),
        ("real_power = \"setpoint\"\n", "", "missing key `real_power`"),
        ("min_power = -5000", "min_power = 6000", "no more than max_power"),
        ("min_power = -5000", "min_power = \"timer\"", "a point in W that can be read"),
        ("min_power = -5000", "min_power = \"ratings\"", "wrong value for `min_power`"),
        ("max_power = 5000", "max_power = 40000", "outside -32768 to 32767"),
        ("max_power = 5000", "max_power = 5000\nmax_reactive_power = 3", "no `reactive_power` to limit"),
        ("value = 1 }]", "value = -1 }]", "a value that `mode` can hold"),
        ("[{ point = \"mode\", value = 1 }]", "[{ point = \"rating\", value = 1 }]", "may be written"),
        ("release = [{ point = \"mode\", value = 0 }]", "", "missing key `release`"),
        ("time = \"timer\"", "time = \"mode\"", "a point in s with access"),
        ("after_s = 10", "after_s = 70000", "a value that `timer` can hold"),
        ("after_s = 10", "after_s = 0", "from 1 to 86400"),
        ("after_s = 10", "after_s = 1.5", "a time that `timer` can hold exactly"),
        ("unit = \"s\"", "unit = \"s\"\nscale = 60", "a time that `timer` can hold exactly"),
        ("after_s = 10", "after_s = 10\nnever = -1", "a value that `timer` can hold"),
        ("unit = \"1\"\naccess = \"read-write\"", "unit = \"1\"\naccess = \"write\"", "at least one point"),
        ("unit = \"W\"\naccess", "unit = \"%\"\naccess", "what 100 % are"),
    ];
    for (old, new, told) in cases {
        assert!(POWER.contains(old), "{old}");
        let found = errors(&POWER.replacen(old, new, 1));
        assert_eq!(found.len(), 1, "{old} {new}: {found:?}");
        assert!(found[0].1.contains(told), "{found:?} {told}");
    }
}

#[test]
fn a_fallback_that_cannot_be_read_back_is_an_error() {
    let point =
        "[[point]]\nname = \"goes_to\"\ntable = \"holding\"\naddress = 9\ntype = \"i16\"\nunit = \"W\"\n";
    let with = |access: &str| {
        let point = format!("{point}access = \"{access}\"\n[commands.power]");
        let text = POWER.replace("[commands.power]\n", &format!("{point}\n"));
        format!("{text}fallback = {{ point = \"goes_to\", value = 0 }}\n")
    };
    assert!(Profile::parse("x", &with("read-write")).is_ok());
    let found = errors(&with("write"));
    assert!(found.len() == 1 && found[0].1.contains("what is written is read back"), "{found:?}");
}

#[test]
fn all_errors_of_a_profile_are_told_at_once() {
    let text = POWER
        .replace("type = \"i16\"", "type = \"i15\"")
        .replace("unit = \"1\"", "unit = \"one\"")
        .replace("address = 3\ntype = \"u16\"\nunit = \"s\"", "address = 70000\ntype = \"u16\"\nunit = \"s\"")
        .replace("after_s = 10", "after = 10")
        .replace("real_power = \"setpoint\"", "real_power = \"setpoints\"");
    let found = errors(&text);
    let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [7, 15, 20, 31, 36, 38], "{found:?}");
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

#[test]
fn long_numbers_and_swapped_bytes_are_read_as_the_manual_says() {
    let long = point("type = \"u64\"\nunit = \"1\"\nsentinel = -1");
    assert_eq!(long.decode(&[0, 1, 0, 2]), Reading::Value(4_294_967_298.0, Quality::Good));
    assert_eq!(long.decode(&[0xFFFF; 4]), Reading::Absent);
    assert_eq!(long.encode(4_294_967_298.0), Ok(vec![0, 1, 0, 2]));
    assert!(matches!(long.encode(1e16), Err(Unencodable::OutOfRange { .. })));
    let signed = point("type = \"i64\"\nunit = \"1\"\nword_order = \"low-first\"");
    assert_eq!(signed.decode(&[0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF]), Reading::Value(-2.0, Quality::Good));
    assert_eq!(signed.encode(-2.0), Ok(vec![0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF]));
    let double = point("type = \"f64\"\nunit = \"1\"");
    assert_eq!(double.decode(&[0x3FF8, 0, 0, 0]), Reading::Value(1.5, Quality::Good));
    assert_eq!(double.decode(&[0x7FF0, 0, 0, 0]), Reading::Absent);
    let swapped = point("type = \"u16\"\nunit = \"1\"\nbyte_order = \"low-first\"");
    assert_eq!(swapped.decode(&[0x3412]), Reading::Value(f64::from(0x1234), Quality::Good));
    let flag = point("type = \"u16\"\nunit = \"1\"\nbits = [4, 6]");
    assert_eq!(flag.decode(&[0xFFDF]), Reading::Value(5.0, Quality::Good));
    assert_eq!(flag.encode(5.0), Err(Unencodable::NotANumber));
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
        kind in prop::sample::select(vec!["u16", "i16", "u32", "i32", "f32", "f64"]), order in any::<bool>(),
        swapped in any::<bool>(), four: [u16; 4],
    ) {
        let order = if order { "high-first" } else { "low-first" };
        let bytes = if swapped { "low-first" } else { "high-first" };
        let text = format!("type = \"{kind}\"\nunit = \"W\"\nword_order = \"{order}\"\nbyte_order = \"{bytes}\"");
        let point = point(&text);
        let registers = four[..usize::from(point.kind.registers())].to_vec();
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
        if let Err(errors) = Profile::parse("x", &text) {
            prop_assert!(errors.iter().all(|error| error.line() >= Some(1) && error.column() >= Some(1)));
        }
    }
}
