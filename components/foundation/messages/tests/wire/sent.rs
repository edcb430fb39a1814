//! What is sent, byte for byte.

use gridloop_messages::{Body, IterationStatus, Message, Warning, WarningKind};

use crate::sample::{message_of, messages};

fn text(message: &Message) -> String {
    String::from_utf8(message.encode().unwrap()).unwrap()
}

fn with_real_power(value: f64) -> Message {
    let mut message = message_of("ControlState.PowerSetpoint");
    if let Body::PowerSetpoint(setpoint) = &mut message.body {
        setpoint.real_power_kw = value;
    }
    message
}

#[test]
fn every_type_is_sent_with_its_keys_in_the_order_of_the_contract() {
    for (message, sample) in messages() {
        assert_eq!(text(&message), sample.text());
    }
}

#[test]
fn a_float_is_always_written_so_that_python_reads_a_float() {
    for value in
        [0.0, -0.0, 1.0, -7.0, 0.1, 1e15, 1e16, 1e21, -1e21, 1e300, 1e-7, f64::MAX, f64::MIN_POSITIVE, 5e-324]
    {
        let sent = text(&with_real_power(value));
        let (_, after) = sent.split_once(r#""RealPower":{"Value":"#).unwrap();
        let (token, _) = after.split_once(',').unwrap();
        assert!(token.contains(['.', 'e']), "{token} reads as an integer");
        assert_eq!(token.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{token}");
    }
}

#[test]
fn optional_fields_stand_between_the_triggering_ids_and_the_content() {
    let mut message = message_of("ControlState.TapPosition");
    if let Some(epoch) = &mut message.header.epoch {
        epoch.last_updated_in_epoch = Some(2);
        epoch.warnings = vec![
            Warning::new(WarningKind::InputRange, ""),
            Warning::new(WarningKind::Other, "stopped at the end stop"),
        ];
        epoch.iteration_status = Some(IterationStatus::Intermediate);
    }
    let sent = text(&message);
    let expected = concat!(
        r#""TriggeringMessageIds":["clock-4","other-2"],"LastUpdatedInEpoch":2,"#,
        r#""Warnings":["warning.input-range","warning.other: stopped at the end stop"],"#,
        r#""IterationStatus":"intermediate","TapPosition":-4}"#,
    );
    assert!(sent.ends_with(expected), "{sent}");
}

#[test]
fn what_is_absent_is_left_out_and_never_null() {
    let mut state = message_of("ResourceState");
    if let Body::ResourceState(state) = &mut state.body {
        state.node = None;
        state.state_of_charge_percent = None;
    }
    let mut status = message_of("Status");
    if let Body::Status(status) = &mut status.body {
        status.value = gridloop_messages::StatusValue::Ready;
        status.description = None;
    }
    assert!(text(&state).ends_with(r#""ReactivePower":{"Value":0.5,"UnitOfMeasure":"kV.A{r}"}}"#));
    assert!(text(&status).ends_with(r#""Value":"ready"}"#));
}

#[test]
fn points_are_sent_in_the_order_of_their_names() {
    let mut shuffled = message_of("DeviceState");
    if let Body::DeviceState(state) = &mut shuffled.body {
        state.points.reverse();
    }
    assert_eq!(text(&shuffled), text(&message_of("DeviceState")));
}
