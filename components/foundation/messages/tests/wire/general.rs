//! Messages of types that gridloop does not know pass through untouched.

use gridloop_messages::{Decoded, General};

use crate::sample::{Sample, now, status, time};

fn general(sample: &Sample) -> General {
    match sample.decode() {
        Ok(Decoded::General(general)) => general,
        other => panic!("{}: {other:?}", sample.text()),
    }
}

fn weather() -> Sample {
    status().with("Type", r#""WeatherState""#).with("Irradiance", r#"{"Value":412.5,"UnitOfMeasure":"W/m2"}"#)
}

#[test]
fn an_unknown_type_is_kept_with_every_field() {
    let general = general(&weather());
    assert_eq!(general.type_name, "WeatherState");
    assert_eq!(general.simulation_id.as_str(), "2025-06-01T11:59:00.000Z");
    assert_eq!(general.timestamp, time("2025-06-01T11:59:30.250Z"));
    assert_eq!(general.source_process_id.as_deref(), Some("sender"));
    assert_eq!(general.message_id.as_deref(), Some("sender-7"));
    assert_eq!(general.epoch_number, Some(3));
    let expected = serde_json::json!({
        "SourceProcessId": "sender", "MessageId": "sender-7", "EpochNumber": 3,
        "TriggeringMessageIds": ["clock-4", "other-2"], "Value": "error", "Description": "no answer from pv1",
        "Irradiance": {"Value": 412.5, "UnitOfMeasure": "W/m2"},
    });
    assert_eq!(serde_json::Value::Object(general.fields), expected);
}

#[test]
fn only_the_run_is_needed() {
    let bare =
        weather().without("SourceProcessId").without("MessageId").without("EpochNumber").without("Timestamp");
    let general = general(&bare);
    assert_eq!((general.source_process_id, general.message_id, general.epoch_number), (None, None, None));
    assert_eq!(general.timestamp, now());
    let error = bare.without("SimulationId").decode().unwrap_err().to_string();
    assert!(error.starts_with("WeatherState: SimulationId: expected a timestamp"), "{error}");
}

#[test]
fn odd_values_of_the_usual_fields_are_kept_but_not_believed() {
    let odd = weather().with("SourceProcessId", "5").with("MessageId", "null").with("EpochNumber", "1.0");
    let general = general(&odd);
    assert_eq!((general.source_process_id, general.message_id, general.epoch_number), (None, None, None));
    assert_eq!(general.fields["SourceProcessId"], 5);
    assert_eq!(general.fields["EpochNumber"], 1.0);
}

#[test]
fn numbers_that_json_cannot_say_become_text() {
    let general =
        general(&weather().with("Irradiance", r#"[NaN, {"a\"NaN": -Infinity}, Infinity, "NaN", -1]"#));
    let expected = serde_json::json!(["NaN", {"a\"NaN": "-Infinity"}, "Infinity", "NaN", -1]);
    assert_eq!(general.fields["Irradiance"], expected);
}

#[test]
fn an_integer_beyond_64_bits_becomes_the_nearest_float() {
    let general = general(&weather().with("Irradiance", "100000000000000000000"));
    assert_eq!(general.fields["Irradiance"], 1e20);
}

#[test]
fn the_common_accessors_see_both_kinds() {
    for (sample, type_name) in [(status(), "Status"), (weather(), "WeatherState")] {
        let decoded = sample.decode().unwrap();
        assert_eq!(decoded.type_name(), type_name);
        assert_eq!(decoded.simulation_id().as_str(), "2025-06-01T11:59:00.000Z");
    }
}
