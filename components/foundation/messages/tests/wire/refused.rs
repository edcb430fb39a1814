//! What is refused, and in which words: type, field, what was expected, what was found.

use gridloop_messages::{DecodeError, MAX_BODY_BYTES, decode};

use crate::sample::{
    Sample, device_state, device_state_with_point, epoch, messages, now, power_setpoint, resource_state,
    sim_state, status, tap_position, voltage_setpoint,
};

/// The error of every case, without the type in front.
fn check(cases: &[(&str, Sample, &str)]) {
    for (name, sample, expected) in cases {
        let error = match sample.decode() {
            Err(error) => error.to_string(),
            Ok(decoded) => panic!("{name}: accepted as {decoded:?}"),
        };
        assert_eq!(error.split_once(": ").map_or("", |(_type, rest)| rest), *expected, "{name}");
    }
}

#[test]
fn bad_fields_of_every_message_are_named() {
    const TIME: &str = "expected a timestamp such as 2024-03-01T08:00:12.410Z";
    check(&[
        (
            "no SimulationId",
            status().without("SimulationId"),
            "SimulationId: expected a timestamp such as 2024-03-01T08:00:00.000Z, found nothing",
        ),
        (
            "SimulationId is no time",
            status().with("SimulationId", r#""run 7""#),
            "SimulationId: expected a timestamp such as 2024-03-01T08:00:00.000Z, found \"run 7\"",
        ),
        (
            "Timestamp is a number",
            status().with("Timestamp", "1700000000"),
            &format!("Timestamp: {TIME}, found the integer 1700000000"),
        ),
        (
            "a fraction of one digit",
            status().with("Timestamp", r#""2024-03-01T08:00:12.4Z""#),
            &format!("Timestamp: {TIME}, found \"2024-03-01T08:00:12.4Z\""),
        ),
        (
            "no SourceProcessId",
            status().without("SourceProcessId"),
            "SourceProcessId: expected a non-empty string, found nothing",
        ),
        (
            "an empty SourceProcessId",
            sim_state().with("SourceProcessId", r#""""#),
            "SourceProcessId: expected a non-empty string, found \"\"",
        ),
        (
            "MessageId null",
            status().with("MessageId", "null"),
            "MessageId: expected a non-empty string, found null",
        ),
        (
            "MessageId true",
            status().with("MessageId", "true"),
            "MessageId: expected a non-empty string, found true",
        ),
        (
            "a long wrong value is shortened",
            status().with("Timestamp", &format!("\"{}\"", "ä".repeat(500))),
            &format!("Timestamp: {TIME}, found \"{}\" and more", "ä".repeat(40)),
        ),
    ]);
}

#[test]
fn bad_fields_of_results_are_named() {
    const NUMBER: &str = "expected an integer from 0 to 2^64 - 1";
    let triggers = |raw: &str| status().with("TriggeringMessageIds", raw);
    check(&[
        (
            "no epoch number",
            status().without("EpochNumber"),
            &format!("EpochNumber: {NUMBER}, found nothing"),
        ),
        (
            "a float",
            status().with("EpochNumber", "1.0"),
            &format!("EpochNumber: {NUMBER}, found the number 1.0"),
        ),
        ("a string", status().with("EpochNumber", r#""1""#), &format!("EpochNumber: {NUMBER}, found \"1\"")),
        (
            "negative",
            status().with("EpochNumber", "-1"),
            &format!("EpochNumber: {NUMBER}, found the integer -1"),
        ),
        (
            "beyond 64 bits",
            status().with("EpochNumber", "18446744073709551616"),
            &format!("EpochNumber: {NUMBER}, found the number 1.8446744073709552e19"),
        ),
        (
            "no triggering ids",
            status().without("TriggeringMessageIds"),
            "TriggeringMessageIds: expected an array, found nothing",
        ),
        (
            "triggering ids empty",
            triggers("[]"),
            "TriggeringMessageIds: expected at least one message id, found an empty array",
        ),
        (
            "one id as a string",
            triggers(r#""a-1""#),
            "TriggeringMessageIds: expected an array, found \"a-1\"",
        ),
        (
            "an empty id",
            triggers(r#"["a-1",""]"#),
            "TriggeringMessageIds.1: expected a non-empty string, found \"\"",
        ),
        (
            "an id that is a number",
            triggers("[1]"),
            "TriggeringMessageIds.0: expected a non-empty string, found the integer 1",
        ),
        (
            "LastUpdatedInEpoch negative",
            status().with("LastUpdatedInEpoch", "-2"),
            &format!("LastUpdatedInEpoch: {NUMBER}, found the integer -2"),
        ),
        (
            "Warnings is a string",
            status().with("Warnings", r#""warning.input""#),
            "Warnings: expected an array, found \"warning.input\"",
        ),
        (
            "an unknown warning",
            status().with("Warnings", r#"["warning.input","problem"]"#),
            "Warnings.1: expected a string that begins with `warning.convergence` or `warning.input` or \
             `warning.input-range` or `warning.input-unreliable` or `warning.internal` or `warning.other`, found \
             \"problem\"",
        ),
        (
            "an unknown IterationStatus",
            status().with("IterationStatus", r#""Final""#),
            "IterationStatus: expected `intermediate` or `final`, found \"Final\"",
        ),
    ]);
}

#[test]
fn bad_fields_of_core_messages_are_named() {
    check(&[
        (
            "no SimulationState",
            sim_state().without("SimulationState"),
            "SimulationState: expected `running` or `stopped`, found nothing",
        ),
        (
            "an unknown SimulationState",
            sim_state().with("SimulationState", r#""idle""#),
            "SimulationState: expected `running` or `stopped`, found \"idle\"",
        ),
        ("Name is a number", sim_state().with("Name", "5"), "Name: expected a string, found the integer 5"),
        (
            "no StartTime",
            epoch().without("StartTime"),
            "StartTime: expected a timestamp such as 2024-03-01T08:00:12.410Z, found nothing",
        ),
        (
            "a compact EndTime",
            epoch().with("EndTime", r#""20240301T000000Z""#),
            "EndTime: expected a timestamp such as 2024-03-01T08:00:12.410Z, found \"20240301T000000Z\"",
        ),
        (
            "an epoch without length",
            epoch().with("EndTime", r#""2024-02-29T23:45:00.000999+00:00""#),
            "EndTime: expected a timestamp after StartTime, which is 2024-02-29T23:45:00.000Z, found \
             \"2024-02-29T23:45:00.000Z\"",
        ),
        (
            "an epoch that ends first",
            epoch().with("EndTime", r#""2024-02-29""#),
            "EndTime: expected a timestamp after StartTime, which is 2024-02-29T23:45:00.000Z, found \
             \"2024-02-29T00:00:00.000Z\"",
        ),
        ("no Value", status().without("Value"), "Value: expected `ready` or `error`, found nothing"),
        (
            "an unknown Value",
            status().with("Value", r#""warning""#),
            "Value: expected `ready` or `error`, found \"warning\"",
        ),
        (
            "Description is a list",
            status().with("Description", "[]"),
            "Description: expected a string, found an empty array",
        ),
    ]);
}

#[test]
fn bad_quantities_are_named() {
    const IN_KW: &str = "expected a quantity in kW (an object, or a number with a decimal point)";
    let power = |raw: &str| power_setpoint().with("RealPower", raw);
    check(&[
        ("missing", power_setpoint().without("RealPower"), &format!("RealPower: {IN_KW}, found nothing")),
        ("null", power("null"), &format!("RealPower: {IN_KW}, found null")),
        ("a bare integer", power("1"), &format!("RealPower: {IN_KW}, found the integer 1")),
        ("a bare negative integer", power("-1"), &format!("RealPower: {IN_KW}, found the integer -1")),
        (
            "a bare integer beyond 64 bits",
            power("99999999999999999999"),
            &format!("RealPower: {IN_KW}, found the number 1e20"),
        ),
        ("a truth value", power("true"), &format!("RealPower: {IN_KW}, found true")),
        ("an array", power("[1.0]"), &format!("RealPower: {IN_KW}, found an array")),
        ("a bare NaN", power("NaN"), &format!("RealPower: {IN_KW}, found NaN")),
        ("a bare infinity", power("-Infinity"), &format!("RealPower: {IN_KW}, found -Infinity")),
        ("a text that is no number", power(r#""1,5""#), "RealPower: expected a finite number, found \"1,5\""),
        ("a text that is NaN", power(r#""nan""#), "RealPower: expected a finite number, found \"nan\""),
        (
            "Value NaN",
            power(r#"{"Value": NaN, "UnitOfMeasure": "kW"}"#),
            "RealPower.Value: expected a finite number, found NaN",
        ),
        (
            "Value Infinity",
            power(r#"{"UnitOfMeasure":"kW","Value":Infinity}"#),
            "RealPower.Value: expected a finite number, found Infinity",
        ),
        (
            "Value as the text inf",
            power(r#"{"Value":"-inf","UnitOfMeasure":"kW"}"#),
            "RealPower.Value: expected a finite number, found \"-inf\"",
        ),
        (
            "Value null",
            power(r#"{"Value":null,"UnitOfMeasure":"kW"}"#),
            "RealPower.Value: expected a finite number, found null",
        ),
        (
            "no Value",
            power(r#"{"UnitOfMeasure":"kW"}"#),
            "RealPower.Value: expected a finite number, found nothing",
        ),
        ("no unit", power(r#"{"Value":1.0}"#), "RealPower.UnitOfMeasure: expected `kW`, found nothing"),
        (
            "another unit",
            power(r#"{"Value":1.0,"UnitOfMeasure":"W"}"#),
            "RealPower.UnitOfMeasure: expected `kW`, found \"W\"",
        ),
        (
            "another unit of reactive power",
            power_setpoint().with("ReactivePower", r#"{"Value":1.0,"UnitOfMeasure":"kvar"}"#),
            "ReactivePower.UnitOfMeasure: expected `kV.A{r}`, found \"kvar\"",
        ),
        (
            "another unit of voltage",
            voltage_setpoint().with("Voltage", r#"{"Value":231.0,"UnitOfMeasure":"V"}"#),
            "Voltage.UnitOfMeasure: expected `kV`, found \"V\"",
        ),
    ]);
}

#[test]
fn bad_fields_of_resource_states_are_named() {
    let node = |raw: &str| resource_state().with("Node", raw);
    let charge = |raw: &str| resource_state().with("StateOfCharge", raw);
    check(&[
        (
            "no customer",
            resource_state().without("CustomerId"),
            "CustomerId: expected a string, found nothing",
        ),
        (
            "a customer that is a number",
            resource_state().with("CustomerId", "7"),
            "CustomerId: expected a string, found the integer 7",
        ),
        (
            "a customer that is NaN",
            resource_state().with("CustomerId", "NaN"),
            "CustomerId: expected a string, found NaN",
        ),
        ("node 0", node("0"), "Node: expected 1, 2 or 3, found the integer 0"),
        ("node 4", node("4"), "Node: expected 1, 2 or 3, found the integer 4"),
        ("node -1", node("-1"), "Node: expected 1, 2 or 3, found the integer -1"),
        ("node 257", node("257"), "Node: expected 1, 2 or 3, found the integer 257"),
        ("node 0.9", node("0.9"), "Node: expected 1, 2 or 3, found the number 0.9"),
        ("node 4.0", node("4.0"), "Node: expected 1, 2 or 3, found the number 4.0"),
        ("a node by name", node(r#""neutral""#), "Node: expected 1, 2 or 3, found \"neutral\""),
        ("a node with a fraction in a string", node(r#""2.7""#), "Node: expected 1, 2 or 3, found \"2.7\""),
        ("more than full", charge("100.5"), "StateOfCharge: expected 0 to 100 %, found 100.5"),
        (
            "less than empty",
            charge(r#"{"Value":-1,"UnitOfMeasure":"%"}"#),
            "StateOfCharge: expected 0 to 100 %, found -1",
        ),
        (
            "charge as a share",
            charge(r#"{"Value":0.5,"UnitOfMeasure":"1"}"#),
            "StateOfCharge.UnitOfMeasure: expected `%`, found \"1\"",
        ),
    ]);
}

#[test]
fn bad_fields_of_tap_positions_and_device_states_are_named() {
    const TAP: &str = "TapPosition: expected an integer from -2^31 to 2^31 - 1";
    let tap = |raw: &str| tap_position().with("TapPosition", raw);
    let point = |raw: &str| device_state_with_point(&format!("{{{raw}}}"));
    check(&[
        ("no position", tap_position().without("TapPosition"), &format!("{TAP}, found nothing")),
        ("a position with a point", tap("3.0"), &format!("{TAP}, found the number 3.0")),
        ("a position as a string", tap(r#""3""#), &format!("{TAP}, found \"3\"")),
        ("a position beyond 32 bits", tap("2147483648"), &format!("{TAP}, found the integer 2147483648")),
        ("a position far below", tap("-2147483649"), &format!("{TAP}, found the integer -2147483649")),
        (
            "no device",
            device_state().with("DeviceId", r#""""#),
            "DeviceId: expected a non-empty string, found \"\"",
        ),
        (
            "points as a list",
            device_state().with("Points", "[]"),
            "Points: expected an object, found an empty array",
        ),
        (
            "a point without name",
            device_state().with("Points", r#"{"":{}}"#),
            "Points: expected points with names, found an empty name",
        ),
        (
            "a bare point",
            device_state().with("Points", r#"{"real_power":1.0}"#),
            "Points.real_power: expected an object, found the number 1.0",
        ),
        (
            "a point that is NaN",
            point(r#""Value":NaN"#),
            "Points.p.Value: expected a finite number, found NaN",
        ),
        (
            "a point without unit",
            point(r#""Value":1.0,"UnitOfMeasure":"""#),
            "Points.p.UnitOfMeasure: expected a non-empty string, found \"\"",
        ),
        (
            "an unknown quality",
            point(r#""Value":1.0,"UnitOfMeasure":"W","Quality":"good""#),
            "Points.p.Quality: expected `Good` or `Stale` or `Questionable` or `OutOfRange` or `CommLost` or `Substituted`, found \
             \"good\"",
        ),
        (
            "an unknown source",
            point(r#""Value":1.0,"UnitOfMeasure":"W","Quality":"Good","Source":"Guess""#),
            "Points.p.Source: expected `Field` or `Simulated`, found \"Guess\"",
        ),
        (
            "no age",
            point(r#""Value":1.0,"UnitOfMeasure":"W","Quality":"Good","Source":"Field""#),
            "Points.p.Age: expected a quantity in s (an object, or a number with a decimal point), found nothing",
        ),
        (
            "an age from the future",
            point(r#""Value":1.0,"UnitOfMeasure":"W","Quality":"Good","Source":"Field","Age":-0.5"#),
            "Points.p.Age: expected 0 s or more, found -0.5",
        ),
    ]);
}

#[test]
fn the_error_says_which_type_the_message_is_of() {
    for (message, sample) in messages() {
        let Err(DecodeError::Field { type_name, field, .. }) = sample.without("MessageId").decode() else {
            panic!("{} is accepted without MessageId", message.type_name())
        };
        assert_eq!((type_name.as_str(), field.as_str()), (message.type_name(), "MessageId"));
    }
}

#[test]
fn a_control_message_must_not_say_a_thing_twice() {
    let cases = [
        power_setpoint().and_again("RealPower", "900.0"),
        power_setpoint().with("ReactivePower", r#"{"Value":0.0,"UnitOfMeasure":"kV.A{r}","Value":900.0}"#),
        tap_position().with("Note", r#"[{"a":1,"b":2,"a":1}]"#),
        voltage_setpoint().and_again("Type", r#""ControlState.VoltageSetpoint""#),
        voltage_setpoint().with("Type", r#""ControlState.Unheard""#).and_again("Voltage", "900.0"),
    ];
    let keys = ["RealPower", "Value", "a", "Type", "Voltage"];
    for (sample, expected) in cases.iter().zip(keys) {
        match sample.decode() {
            Err(DecodeError::RepeatedKey { key, .. }) => assert_eq!(key, expected),
            other => panic!("{}: {other:?}", sample.text()),
        }
    }
}

#[test]
fn what_is_no_message_at_all_is_told_apart() {
    fn kind(body: &[u8]) -> &'static str {
        match decode(body, now()) {
            Ok(_) => "accepted",
            Err(DecodeError::TooLarge { .. }) => "too large",
            Err(DecodeError::NotUtf8(_)) => "not UTF-8",
            Err(DecodeError::NotJson(_)) => "not JSON",
            Err(DecodeError::NotAnObject { .. }) => "not an object",
            Err(DecodeError::NoType { .. }) => "no type",
            Err(DecodeError::Field { .. }) => "field",
            Err(DecodeError::RepeatedKey { .. }) => "repeated key",
            Err(DecodeError::TooManyValues) => "too many values",
            Err(DecodeError::NotStart { .. }) => "not Start",
        }
    }
    let [deep, too_deep] = [127, 128].map(|levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
    let cases: [(&[u8], &str); 18] = [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"{\"Type\":\"Epoch\"", "not JSON"),
        (b"{\"Type\":\"Epoch\"} {}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{\"Type\":NaN", "not JSON"),
        (b"{\"Type\":nan}", "not JSON"),
        (b"{\"Type\":\"\\ud800\"}", "not JSON"),
        (b"{\"Type\":1e400}", "not JSON"),
        (b"{\"Type\":\"Epoch\xff\"}", "not UTF-8"),
        (b"[]", "not an object"),
        (b"NaN", "not an object"),
        (b"\"Epoch\"", "not an object"),
        (b"{}", "no type"),
        (b"{\"Type\":\"\"}", "no type"),
        (b"{\"Type\":5}", "no type"),
        (deep.as_bytes(), "not an object"),
        (too_deep.as_bytes(), "not JSON"),
    ];
    for (body, expected) in cases {
        assert_eq!(kind(body), expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_error_is_short_however_long_the_message_is() {
    let long = "x".repeat(100_000);
    let point = format!("{{\"{long}\":5}}");
    let cases = [
        status().with("Type", &format!("\"{long}\"")).without("SimulationId"),
        status().with("Value", &format!("\"{long}\"")),
        device_state().with("Points", &point),
        tap_position().with("Note", &format!("{{\"{long}\":1,\"{long}\":1}}")),
    ];
    for sample in cases {
        let error = sample.decode().unwrap_err().to_string();
        assert!(error.len() < 300, "{} bytes", error.len());
    }
}

#[test]
fn a_body_above_the_limit_is_not_looked_into() {
    let mut body = epoch().text().into_bytes();
    body.resize(MAX_BODY_BYTES, b' ');
    assert!(decode(&body, now()).is_ok());
    body.push(b' ');
    assert!(
        matches!(decode(&body, now()), Err(DecodeError::TooLarge { bytes }) if bytes == MAX_BODY_BYTES + 1)
    );
}

#[test]
fn a_body_with_more_values_than_half_a_million_is_refused() {
    let message = |items: usize| {
        let values = format!("[{}0]", "0,".repeat(items - 1));
        status().with("Note", &values).decode()
    };
    // The fields of the message are values as well, and so are Note and two triggering ids.
    let fields = status().text().matches("\":").count() + 3;
    let most = (1 << 19) - 1;
    assert!(message(most - fields).is_ok());
    let error = message(most - fields + 1).unwrap_err();
    assert!(matches!(error, DecodeError::TooManyValues));
    assert_eq!(error.to_string(), "the body has more than 524287 values");
}
