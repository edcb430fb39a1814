//! What the messages look like, and what is not taken for one.

use super::*;
use proptest::prelude::*;

fn utc(text: &str) -> Utc {
    time("test", text).unwrap()
}

fn telemetry(json: &str) -> Result<Telemetry, Flaw> {
    Telemetry::parse(json.as_bytes())
}

const TELEMETRY: &str = r#"{"ts":"2026-06-21T12:00:00.000000Z","session":"a1","seq":7,
    "held":{"real_power_w":1000.0,"reactive_power_var":-20.0},
    "points":{"real_power":{"value":998.5,"unit":"W"},"state_of_charge":{"value":61.0,"unit":"%"}}}"#;

#[test]
fn telemetry_reads_as_the_contract_prints_it() {
    let read = telemetry(TELEMETRY).unwrap();
    assert_eq!((read.seq, read.session.as_str(), read.request.as_ref()), (7, "a1", None));
    assert_eq!(read.held, Some(Held { real_power_w: 1000.0, reactive_power_var: -20.0 }));
    assert_eq!(
        read.points,
        [
            ("real_power".into(), 998.5, Unit::Watt, Quality::Good),
            ("state_of_charge".into(), 61.0, Unit::Percent, Quality::Good)
        ]
    );
    assert_eq!(telemetry(std::str::from_utf8(&read.to_json()).unwrap()), Ok(read));
}

#[test]
fn an_order_reads_as_it_was_written_and_looks_as_the_contract_prints_it() {
    let order = Order {
        id: "42-1".into(),
        issued_at: utc("2026-06-21T12:00:00Z"),
        valid_until: utc("2026-06-21T12:00:03Z"),
        action: Action::Power { power: Held { real_power_w: -1500.0, reactive_power_var: 0.0 }, keep: false },
    };
    let text = String::from_utf8(order.to_json()).unwrap();
    assert_eq!(
        text,
        r#"{"id":"42-1","issued_at":"2026-06-21T12:00:00.000000Z","valid_until":"2026-06-21T12:00:03.000000Z","command":"power","real_power_w":-1500.0,"reactive_power_var":0.0}"#
    );
    assert_eq!(Order::parse(text.as_bytes()), Ok(order));
}

#[test]
fn an_order_that_is_not_understood_whole_is_none() {
    let head = r#""id":"1","issued_at":"2026-06-21T12:00:00Z","valid_until":"2026-06-21T12:00:03Z""#;
    let bad = [
        format!(r#"{{{head},"command":"power","real_power_w":1.0}}"#),
        format!(r#"{{{head},"command":"power","real_power_w":1.0,"reactive_power_var":0,"ramp":5}}"#),
        format!(r#"{{{head},"command":"power","real_power_w":1.0,"real_power_w":2.0,"reactive_power_var":0}}"#),
        format!(r#"{{{head},"command":"power","real_power_w":1e999,"reactive_power_var":0}}"#),
        format!(r#"{{{head},"command":"power","real_power_w":"1","reactive_power_var":0}}"#),
        format!(r#"{{{head},"command":"release","real_power_w":1.0}}"#),
        format!(r#"{{{head},"command":"explode"}}"#),
        r#"{"id":"1","command":"release"}"#.to_owned(),
        r#"{"id":"","issued_at":"2026-06-21T12:00:00Z","valid_until":"2026-06-21T12:00:03Z","command":"report"}"#
            .to_owned(),
        r#"{"id":"1","issued_at":"yesterday","valid_until":"2026-06-21T12:00:03Z","command":"report"}"#.to_owned(),
        r#"{"id":"1","issued_at":"2026-06-21T12:00:00Z","valid_until":"2036-06-21T12:00:03Z","command":"release"}"#
            .to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        "[".repeat(100_000),
        "x".repeat(MOST_TEXT + 1),
    ];
    for text in bad {
        assert!(Order::parse(text.as_bytes()).is_err(), "{text:.200}");
    }
}

#[test]
fn a_value_that_cannot_be_believed_is_absent_or_not_good() {
    let point = |json: &str| {
        let text = format!(
            r#"{{"ts":"2026-06-21T12:00:00Z","session":"a","seq":1,"held":null,"points":{{{json}}}}}"#
        );
        telemetry(&text).map(|read| read.points.first().map(|(_, value, _, quality)| (*value, *quality)))
    };
    assert_eq!(point(r#""real_power":{"value":null,"unit":"W"}"#), Ok(None));
    assert_eq!(point(r#""real_power":{"value":5,"unit":"kW"}"#), Ok(None));
    assert_eq!(point(r#""real_power":{"value":5,"unit":"V"}"#), Ok(None));
    assert_eq!(point(r#""Real Power":{"value":5,"unit":"W"}"#), Ok(None));
    let soc = |value: &str| point(&format!(r#""state_of_charge":{{"value":{value},"unit":"%"}}"#));
    assert_eq!(soc("101"), Ok(Some((101.0, Quality::OutOfRange))));
    assert!(soc("1e999").is_err() && soc("NaN").is_err() && soc("\"50\"").is_err());
    let said = |word: &str| point(&format!(r#""x":{{"value":1,"unit":"1","quality":"{word}"}}"#));
    assert_eq!(said("good"), Ok(Some((1.0, Quality::Good))));
    assert_eq!(said("stale"), Ok(Some((1.0, Quality::Stale))));
    assert_eq!(said("superb"), Ok(Some((1.0, Quality::Questionable))));
    assert!(point(r#""x":{"value":1,"unit":"1"},"x":{"value":2,"unit":"1"}"#).is_err());
}

#[test]
fn the_quality_of_the_whole_is_that_of_every_point_at_best() {
    let text = TELEMETRY.replace(r#""seq":7"#, r#""seq":7,"quality":"questionable""#);
    assert!(
        telemetry(&text).unwrap().points.iter().all(|(_, _, _, quality)| *quality == Quality::Questionable)
    );
}

#[test]
fn telemetry_that_does_not_say_what_it_must_is_none() {
    for missing in [r#""ts":"2026-06-21T12:00:00.000000Z","#, r#""session":"a1","#, r#""seq":7,"#] {
        assert!(telemetry(&TELEMETRY.replace(missing, "")).is_err(), "{missing}");
    }
    let without_held = r#"{"ts":"2026-06-21T12:00:00Z","session":"a","seq":1,"points":{}}"#;
    assert!(telemetry(without_held).is_err());
    assert!(telemetry(&TELEMETRY.replace("\"seq\":7", "\"seq\":-7")).is_err());
}

#[test]
fn a_nameplate_that_makes_no_sense_is_none() {
    let about =
        |power: &str| About::parse(format!(r#"{{"gridloop":1,"identity":"x","power":{power}}}"#).as_bytes());
    assert!(about(r#"{"min_w":-1,"max_w":1,"max_var":0,"released_w":0}"#).is_ok());
    assert!(about(r#"{"min_w":1,"max_w":-1,"max_var":0,"released_w":0}"#).is_err());
    assert!(about(r#"{"min_w":-1,"max_w":1,"max_var":-1,"released_w":0}"#).is_err());
    assert!(about(r#"{"min_w":-1,"max_w":1,"max_var":0,"released_w":2}"#).is_err());
    assert!(About::parse(br#"{"gridloop":2,"identity":"x"}"#).is_err());
}

#[test]
fn a_topic_belongs_to_its_device_only() {
    let topics = Topics::new("lab", "bat1");
    assert_eq!(topics.of(Part::Command), "lab/bat1/cmd");
    assert_eq!(topics.part("lab/bat1/status"), Some(Part::Status));
    for other in ["lab/bat12/status", "lab/bat1", "lab/bat1/", "lab/bat1/status/x", "status"] {
        assert_eq!(topics.part(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Telemetry::parse(&bytes), Order::parse(&bytes), Ack::parse(&bytes));
        let _ = (About::parse(&bytes), Status::parse(&bytes), id_of(&bytes));
    }

    #[test]
    fn telemetry_reads_back_as_it_was_written(
        seq: u64, sixteenths: i32, request in proptest::option::of("[a-z0-9]{1,20}"), held: i16,
    ) {
        let (value, held) = (f64::from(sixteenths) / 16.0, f64::from(held));
        let written = Telemetry {
            ts: utc("2026-06-21T12:00:00.123456Z"),
            session: "s".into(),
            seq,
            request,
            held: Some(Held { real_power_w: held, reactive_power_var: -held }),
            points: vec![("real_power".into(), value, Unit::Watt, Quality::Good),
                         ("energy".into(), value, Unit::WattHour, Quality::Stale)],
        };
        prop_assert_eq!(Telemetry::parse(&written.to_json()), Ok(written));
    }
}
