//! What is accepted although gridloop would not send it (wire contract 2 and 7.4): every case means the same as a
//! strict sample.

use gridloop_messages::{Body, Decoded, IterationStatus, Message, Status, StatusValue, Warning};

use crate::sample::{
    POINTS, Sample, device_state, device_state_with_point, epoch, messages, now, power_setpoint,
    resource_state, sim_state, status, time, voltage_setpoint,
};

fn decoded(sample: &Sample) -> Message {
    match sample.decode() {
        Ok(Decoded::Message(message)) => message,
        other => panic!("{}: {other:?}", sample.text()),
    }
}

#[test]
fn a_strict_message_of_every_type_means_what_it_says() {
    for (message, sample) in messages() {
        assert_eq!(decoded(&sample), message);
    }
}

#[test]
fn a_liberal_spelling_means_the_same_as_the_strict_one() {
    let real_power = |raw: &str| resource_state().with("RealPower", raw);
    let node = |raw: &str| resource_state().with("Node", raw);
    let cases: Vec<(&str, Sample, Sample)> = vec![
        ("a bare float as a quantity", real_power("-3.25"), resource_state()),
        ("a bare float with an exponent", real_power("-325e-2"), resource_state()),
        ("a numeric string as a quantity", real_power(r#""-3.25""#), resource_state()),
        ("a numeric string with blanks", real_power(r#"" -3.25\n""#), resource_state()),
        (
            "a numeric string as Value",
            real_power(r#"{"Value":"-3.25","UnitOfMeasure":"kW"}"#),
            resource_state(),
        ),
        (
            "an integer as Value",
            real_power(r#"{"Value":-3,"UnitOfMeasure":"kW"}"#),
            real_power(r#"{"Value":-3.0,"UnitOfMeasure":"kW"}"#),
        ),
        (
            "a further key in a quantity",
            real_power(r#"{"Value":-3.25,"UnitOfMeasure":"kW","Note":[1]}"#),
            resource_state(),
        ),
        ("a setpoint of bare floats", power_setpoint().with("RealPower", "4.0"), power_setpoint()),
        ("a bare float as a voltage", voltage_setpoint().with("Voltage", "0.231"), voltage_setpoint()),
        ("Node as a string", node(r#""2""#), resource_state()),
        ("Node as a float", node("2.0"), resource_state()),
        ("Node with a fraction", node("2.7"), resource_state()),
        ("Node null", node("null"), resource_state().without("Node")),
        (
            "StateOfCharge null",
            resource_state().with("StateOfCharge", "null"),
            resource_state().without("StateOfCharge"),
        ),
        (
            "Name and Description null",
            sim_state().with("Name", "null").with("Description", "null"),
            sim_state().without("Name").without("Description"),
        ),
        ("Warnings null", epoch().with("Warnings", "null"), epoch()),
        ("no Warnings in an array", epoch().with("Warnings", "[]"), epoch()),
        ("LastUpdatedInEpoch null", epoch().with("LastUpdatedInEpoch", "null"), epoch()),
        ("IterationStatus null", epoch().with("IterationStatus", "null"), epoch()),
        ("an unknown field", epoch().with("Colour", r#"{"deep":[null,{}]}"#), epoch()),
        ("an unknown field that is NaN", epoch().with("Colour", "[NaN,-Infinity]"), epoch()),
        ("an epoch number on SimState", sim_state().with("EpochNumber", r#""none""#), sim_state()),
        (
            "a repeated key: the last one counts",
            epoch().with("EpochNumber", "9").and_again("EpochNumber", "3"),
            epoch(),
        ),
        ("another offset", epoch().with("StartTime", r#""2024-03-01T01:45:00+02:00""#), epoch()),
        (
            "a SimulationId in another spelling",
            epoch().with("SimulationId", r#""2025-06-01 11:59""#),
            epoch(),
        ),
        ("escaped letters", epoch().with("MessageId", r#""sender\u002d7""#), epoch()),
        (
            "an integer, a string and a bare age in a point",
            device_state_with_point(
                r#"{"Value":"5","UnitOfMeasure":"V","Quality":"Good","Source":"Field","Age":1.0,"Note":""}"#,
            ),
            device_state_with_point(concat!(
                r#"{"Value":5,"UnitOfMeasure":"V","Quality":"Good","Source":"Field","#,
                r#""Age":{"Value":1.0,"UnitOfMeasure":"s"}}"#
            )),
        ),
        (
            "a repeated point: the last one counts",
            device_state().with("Points", &POINTS.replacen('{', r#"{"frequency":null,"#, 1)),
            device_state(),
        ),
    ];
    for (name, liberal, strict) in cases {
        assert_eq!(decoded(&liberal), decoded(&strict), "{name}");
    }
}

#[test]
fn a_message_without_timestamp_was_made_now() {
    for sample in [epoch().without("Timestamp"), epoch().with("Timestamp", "null")] {
        assert_eq!(decoded(&sample).header.timestamp, now());
    }
}

#[test]
fn an_error_without_description_is_still_an_error() {
    let without = decoded(&status().without("Description"));
    assert_eq!(without.body, Body::Status(Status { value: StatusValue::Error, ..Status::READY }));
}

#[test]
fn a_warning_casts_doubt_only_where_it_is_about_the_values() {
    let casts_doubt = |text| Warning::parse(text).unwrap().casts_doubt();
    for text in ["warning.convergence", "warning.input-unreliable: stale", "warning.internal: no answer"] {
        assert!(casts_doubt(text), "{text}");
    }
    for text in
        ["warning.input: refused", "warning.input-range: ramp", "warning.input.range", "warning.other: told"]
    {
        assert!(!casts_doubt(text), "{text}");
    }
    let warned = epoch().with("Warnings", "[\"warning.other\", \"warning.input-unreliable: stale\"]");
    assert_eq!(decoded(&warned).doubt().unwrap().as_str(), "warning.input-unreliable: stale");
    assert_eq!(decoded(&epoch().with("Warnings", "[\"warning.input-range\"]")).doubt(), None);
}

#[test]
fn a_warning_needs_only_to_begin_like_one() {
    for text in
        ["warning.convergence", "warning.input.range", "warning.internal: no answer", "warning.otherwise"]
    {
        let message = decoded(&epoch().with("Warnings", &format!("[\"{text}\"]")));
        assert_eq!(message.header.epoch.unwrap().warnings, [Warning::parse(text).unwrap()]);
    }
}

#[test]
fn the_optional_fields_of_a_result_are_read() {
    let sample = epoch().with("LastUpdatedInEpoch", "2").with("IterationStatus", r#""final""#);
    let fields = decoded(&sample).header.epoch.unwrap();
    assert_eq!(fields.last_updated_in_epoch, Some(2));
    assert_eq!(fields.iteration_status, Some(IterationStatus::Final));
}

#[test]
fn epoch_numbers_reach_from_0_to_the_largest_of_64_bits() {
    for number in [0, 1, u64::MAX] {
        assert_eq!(decoded(&epoch().with("EpochNumber", &number.to_string())).epoch_number(), Some(number));
    }
}

#[test]
fn the_limits_of_ranges_belong_to_them() {
    for percent in [0.0, 100.0] {
        let Body::ResourceState(state) =
            decoded(&resource_state().with("StateOfCharge", &format!("{percent:?}"))).body
        else {
            panic!("not a ResourceState")
        };
        assert_eq!(state.state_of_charge_percent, Some(percent));
    }
    for position in [i32::MIN, 0, i32::MAX] {
        let sample = crate::sample::tap_position().with("TapPosition", &position.to_string());
        let Body::TapPosition(setpoint) = decoded(&sample).body else { panic!("not a TapPosition") };
        assert_eq!(setpoint.tap_position, position);
    }
}

#[test]
fn points_come_in_the_order_of_their_names() {
    let point = r#"{"Value":1.0,"UnitOfMeasure":"V","Quality":"Stale","Source":"Field","Age":0.0}"#;
    let sample = device_state().with("Points", &format!("{{\"b\":{point},\"c\":{point},\"a\":{point}}}"));
    let Body::DeviceState(state) = decoded(&sample).body else { panic!("not a DeviceState") };
    let names: Vec<_> = state.points.iter().map(|point| point.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn an_epoch_may_last_a_millisecond() {
    let sample = epoch().with("EndTime", r#""2024-02-29T23:45:00.001Z""#);
    let Body::Epoch(epoch) = decoded(&sample).body else { panic!("not an Epoch") };
    assert_eq!(epoch.end_time, time("2024-02-29T23:45:00.001Z"));
}
