//! The profiles that come with gridloop, and what a profile must not say.

use super::*;
use proptest::prelude::*;

const VICTRON: &str = include_str!("../../../../configs/devices/mqtt-victron-gx.toml");
const OPENDTU: &str = include_str!("../../../../configs/devices/mqtt-opendtu.toml");

fn victron() -> Profile {
    Profile::parse("victron", VICTRON).unwrap().filled("unused", "c0ffee")
}

#[test]
fn the_victron_profile_turns_the_sign_and_unpacks_the_value() {
    let profile = victron();
    let point = profile.points.iter().find(|point| &*point.name == "real_power").unwrap();
    assert_eq!(point.place.topic, "N/c0ffee/vebus/276/Ac/ActiveIn/P");
    assert_eq!(point.decode(br#"{"value": 936}"#), Reading::Value(-936.0, Quality::Good));
    for nothing in [&b"{\"value\": null}"[..], b"", b"936", b"{\"value\":\"936\"}", b"{\"value\":[]}", b"{"] {
        assert_eq!(point.decode(nothing), Reading::Absent);
    }
    let power = profile.power.unwrap();
    assert_eq!(power.encode(1500.4), Some((r#"{"value": -1500}"#.to_owned(), 1500.0)));
    assert_eq!(power.encode(0.3).unwrap().0, r#"{"value": 0}"#);
    assert_eq!(power.decode(br#"{"value": -1500}"#), Some(1500.0));
}

#[test]
fn the_opendtu_profile_reads_bare_numbers_and_writes_what_is_not_kept() {
    let profile = Profile::parse("opendtu", OPENDTU).unwrap().filled("solar", "116491132532");
    let point = profile.points.iter().find(|point| &*point.name == "real_power").unwrap();
    assert_eq!(point.place.topic, "solar/116491132532/0/power");
    assert_eq!(point.decode(b"243.7\n"), Reading::Value(243.7, Quality::Good));
    for nothing in [&b"nan"[..], b"inf", b"", b"1,5", b"\xff", b"1e999"] {
        assert_eq!(point.decode(nothing), Reading::Absent);
    }
    let power = profile.power.unwrap();
    assert_eq!(power.topic, "solar/116491132532/cmd/limit_nonpersistent_absolute");
    assert_eq!(power.encode(300.0).unwrap().0, "300");
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let cases = [
        ("unit = \"W\"", "unit = \"kW\"", "unknown unit `kW`"),
        ("unit = \"W\"", "unit = \"V\"", "is in `W`"),
        ("name = \"real_power\"", "name = \"Real Power\"", "lower-case"),
        ("stale_after_s = 65", "stale_after_s = 0", "expected a time"),
        ("pointer = \"/value\"", "pointer = \"value\"", "JSON pointer"),
        ("\"R/{device}/keepalive\"", "\"R/{portal}/keepalive\"", "{prefix} and {device}"),
        ("\"R/{device}/keepalive\"", "\"R/+/keepalive\"", "wildcards"),
        ("{\"value\": {value}}", "{\"value\": 5}", "`{value}` once"),
        ("[limits]", "[limit]", "unknown field"),
        ("scale = -1", "scale = 0", "other than zero"),
        ("reverts_to = \"free\"", "reverts_to = \"hell\"", "\"free\""),
        ("readback_topic = \"N/", "readback_topic = \"W/", "read back itself"),
    ];
    for (right, wrong, expected) in cases {
        let text = VICTRON.replacen(right, wrong, 1);
        assert_ne!(text, VICTRON, "{right}");
        let told = Profile::parse("victron", &text).unwrap_err();
        let place = text.lines().nth(told.line - 1).unwrap();
        assert!(told.message.contains(expected), "{wrong}: {told}");
        assert!(place.contains(wrong), "{wrong}: {told}");
    }
    let second = VICTRON[VICTRON.find("[[point]]").unwrap()..VICTRON.find("[power]").unwrap()].to_owned();
    let told =
        Profile::parse("victron", &VICTRON.replace("[power]", &format!("{second}[power]"))).unwrap_err();
    assert!(told.message.contains("a second point named `real_power`"), "{told}");
}

#[test]
fn a_power_is_rounded_into_its_range_or_not_told() {
    let range = |min_w, max_w| PowerRange { min_w, max_w, max_var: 0.0 };
    let coarse = |scale, min_w, max_w| PowerCommand {
        scale,
        range: range(min_w, max_w),
        payload: "{value}".into(),
        ..victron().power.unwrap()
    };
    for (told, text, asked) in [(550.0, "5", 500.0), (549.0, "5", 500.0), (-550.0, "-5", -500.0)] {
        assert_eq!(coarse(100.0, -550.0, 550.0).encode(told), Some((text.to_owned(), asked)));
        let turned = if let Some(text) = text.strip_prefix('-') { text.into() } else { format!("-{text}") };
        assert_eq!(coarse(-100.0, -550.0, 550.0).encode(told), Some((turned, asked)));
    }
    assert_eq!(coarse(100.0, 510.0, 590.0).encode(550.0), None);
    assert_eq!(coarse(0.1, 0.0, 600.3).encode(600.3).map(|(text, _)| text), Some("6003".into()));
    let narrow = VICTRON
        .replace("min_w = -3000", "min_w = 0.2")
        .replace("max_w = 3000", "max_w = 0.4")
        .replace("release_w = 0", "release_w = 0.3");
    let told = Profile::parse("victron", &narrow).unwrap_err();
    assert!(told.message.contains("outside the [limits]"), "{told}");
}

proptest! {
    #[test]
    fn nothing_makes_a_profile_panic_or_a_point_infinite(
        text in ".{0,300}", bytes in proptest::collection::vec(any::<u8>(), 0..100), number: f64,
    ) {
        let _ = Profile::parse("any", &text);
        let profile = victron();
        for payload in [bytes, format!("{{\"value\":{number}}}").into_bytes()] {
            for point in &profile.points {
                if let Reading::Value(value, _) = point.decode(&payload) {
                    prop_assert!(value.is_finite());
                }
            }
        }
    }

    #[test]
    fn a_power_reads_back_as_it_was_written_to_its_resolution(watts in -5000.0..5000.0_f64) {
        let power = victron().power.unwrap();
        let Some((message, asked)) = power.encode(watts) else {
            prop_assert!(!(-3000.0..=3000.0).contains(&watts));
            return Ok(());
        };
        prop_assert!((asked - watts).abs() <= 0.5);
        prop_assert_eq!(power.decode(message.as_bytes()), Some(asked));
    }
}
