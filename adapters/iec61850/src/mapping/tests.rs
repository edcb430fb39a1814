use super::*;
use proptest::prelude::*;

const WHOLE: &str = r#"
name = "an inverter"
defaults = false

[[point]]
name = "real_power"
object = "INV/MMXU1.TotW"
unit = "W"
scale = -1000

[[point]]
name = "cabinet_temperature"
object = "AUX/STMP1.Tmp"
attribute = "mag.f"
fc = "MX"
unit = "Cel"

[power_setpoint]
object = "INV/DWMX1.WMaxSpt"
min = 0
max = 8000

[tap]
command = "OLTC/ATCC1.TapChg"
lowest = -8
highest = 8
confirm_within_s = 12.5
"#;

#[test]
fn a_mapping_is_read_as_it_is_written() {
    let mapping = Mapping::parse("ied.toml", WHOLE).unwrap();
    assert_eq!((mapping.name.as_str(), mapping.defaults, mapping.points.len()), ("an inverter", false, 2));
    assert_eq!(mapping.points[0].scale, Some(-1000.0));
    assert_eq!(mapping.points[1].fc, Some(Fc::Mx));
    let power = mapping.power_setpoint.unwrap();
    assert_eq!(power.object.to_string(), "INV/DWMX1.WMaxSpt");
    assert_eq!((power.min, power.max), (Some(0.0), Some(8000.0)));
    assert_eq!(mapping.tap.confirm_within, Some(Duration::from_millis(12_500)));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let wrong = |from: &str, to: &str| {
        let text = WHOLE.replacen(from, to, 1);
        assert_ne!(text, WHOLE);
        Mapping::parse("ied.toml", &text).unwrap_err().to_string()
    };
    let error = wrong("INV/MMXU1.TotW", "INV.MMXU1.TotW");
    assert!(error.starts_with("ied.toml:7:10: `INV.MMXU1.TotW` is no object"), "{error}");
    assert!(wrong("\"W\"", "\"kW\"").starts_with("ied.toml:8:8: unknown unit `kW`"));
    assert!(wrong("-1000", "0").contains("other than zero"));
    assert!(wrong("max = 8000", "max = -1").contains("at least `min`"));
    assert!(wrong("highest = 8", "highest = -8").contains("more than `lowest`"));
    assert!(wrong("fc = \"MX\"", "fc = \"CO\"").contains("expected one of `MX`"));
    assert!(wrong("12.5", "nan").contains("0.001 to 3600"));
    assert!(wrong("mag.f", "mag..f").contains("such as `mag.f`"));
    assert!(wrong("lowest", "lowset").contains("unknown field `lowset`"));
    assert!(wrong("cabinet_temperature", "real_power").contains("a second point named"));
    let both = wrong("lowest = -8", "setpoint = \"OLTC/YLTC1.TapPos\"\nlowest = -8");
    assert!(both.contains("not both"), "{both}");
}

#[test]
fn what_a_file_names_comes_before_what_is_found() {
    let own = Mapping::parse("ied.toml", WHOLE).unwrap();
    let mut other = Mapping::parse("other.toml", &WHOLE.replace("INV/", "PV/")).unwrap();
    other.points[1].name = "other".into();
    let both = own.clone().or(other);
    assert_eq!(both.points.len(), 3);
    assert_eq!(both.points[0].object.device, "INV");
    assert_eq!(both.power_setpoint, own.power_setpoint);
}

#[test]
fn a_mapping_that_was_shown_reads_back() {
    let mapping = Mapping::parse("ied.toml", WHOLE).unwrap();
    assert_eq!(Mapping::parse("shown.toml", &mapping.to_string()), Ok(mapping));
    let odd = Mapping { name: "a \"b\" \\ c".into(), ..Mapping::default() };
    assert_eq!(Mapping::parse("shown.toml", &odd.to_string()), Ok(odd));
    let found = crate::scl::Scl::parse(crate::simulated::ICD).unwrap().ieds[0].mapping(None);
    assert_eq!(Mapping::parse("shown.toml", &found.to_string()), Ok(found));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = Mapping::parse("ied.toml", &text);
    }

    #[test]
    fn no_damage_to_a_mapping_makes_the_parser_panic(at in 0..WHOLE.len(), with in any::<char>()) {
        let mut text = WHOLE.to_owned();
        text.replace_range(at..=at, &with.to_string());
        if let Err(error) = Mapping::parse("ied.toml", &text) {
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }
}
