//! What `encode` refuses: a message that breaks a rule never leaves this process.

use gridloop_messages::{Body, DeviceState, Message, Status, VoltageSetpoint};

use crate::sample::{message_of, time};

/// The words of the error after a change to the valid message of this type.
fn refusal(type_name: &str, change: impl FnOnce(&mut Message)) -> String {
    let mut message = message_of(type_name);
    change(&mut message);
    match message.encode() {
        Err(error) => error.to_string(),
        Ok(bytes) => panic!("sent: {}", String::from_utf8_lossy(&bytes)),
    }
}

fn device_state(message: &mut Message) -> &mut DeviceState {
    match &mut message.body {
        Body::DeviceState(state) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn senders_and_ids_are_never_empty() {
    assert_eq!(
        refusal("SimState", |message| message.header.source_process_id.clear()),
        "SourceProcessId is empty"
    );
    assert_eq!(refusal("Epoch", |message| message.header.message_id.clear()), "MessageId is empty");
    assert_eq!(
        refusal("DeviceState", |message| device_state(message).device_id.clear()),
        "DeviceId is empty"
    );
}

#[test]
fn everything_but_sim_state_has_an_epoch_and_triggering_ids() {
    assert_eq!(
        refusal("Status", |message| message.header.epoch = None),
        "Status needs an epoch number and triggering message ids"
    );
    assert_eq!(
        refusal("SimState", |message| message.header.epoch = message_of("Status").header.epoch),
        "SimState has no epoch number"
    );
    for ids in [vec![], vec!["clock-4".to_owned(), String::new()]] {
        let refused = refusal("Status", |message| {
            if let Some(epoch) = &mut message.header.epoch {
                epoch.triggering_message_ids = ids;
            }
        });
        assert_eq!(refused, "TriggeringMessageIds is empty");
    }
}

#[test]
fn an_error_always_says_what_it_is() {
    for description in [None, Some(String::new()), Some(" \n".to_owned())] {
        let refused = refusal("Status", |message| {
            if let Body::Status(Status { description: text, .. }) = &mut message.body {
                *text = description;
            }
        });
        assert_eq!(refused, "Status error needs a Description");
    }
}

#[test]
fn an_epoch_ends_after_it_starts() {
    for (end, name) in [("2024-02-29T23:45:00.000Z", "at once"), ("2024-02-29T00:00:00.000Z", "before")] {
        let refused = refusal("Epoch", |message| {
            if let Body::Epoch(epoch) = &mut message.body {
                epoch.end_time = time(end);
            }
        });
        let expected =
            format!("the epoch starts at 2024-02-29T23:45:00.000Z and ends at {end}, which is not later");
        assert_eq!(refused, expected, "{name}");
    }
}

#[test]
fn numbers_that_json_cannot_say_are_not_sent() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let resource_state = |change: fn(&mut gridloop_messages::ResourceState, f64)| {
            refusal("ResourceState", |message| match &mut message.body {
                Body::ResourceState(state) => change(state, value),
                other => panic!("{other:?}"),
            })
        };
        let refused = [
            resource_state(|state, value| state.real_power_kw = value),
            resource_state(|state, value| state.reactive_power_kvar = value),
            resource_state(|state, value| state.state_of_charge_percent = Some(value)),
            refusal("ControlState.PowerSetpoint", |message| match &mut message.body {
                Body::PowerSetpoint(setpoint) => setpoint.real_power_kw = value,
                other => panic!("{other:?}"),
            }),
            refusal("ControlState.PowerSetpoint", |message| match &mut message.body {
                Body::PowerSetpoint(setpoint) => setpoint.reactive_power_kvar = value,
                other => panic!("{other:?}"),
            }),
            refusal("ControlState.VoltageSetpoint", |message| {
                message.body = Body::VoltageSetpoint(VoltageSetpoint { voltage_kv: value });
            }),
            refusal("DeviceState", |message| device_state(message).points[1].value = value),
            refusal("DeviceState", |message| device_state(message).points[1].age_s = value),
        ];
        let fields = [
            "RealPower",
            "ReactivePower",
            "StateOfCharge",
            "RealPower",
            "ReactivePower",
            "Voltage",
            "real_power",
            "real_power",
        ];
        for (refused, field) in refused.iter().zip(fields) {
            assert_eq!(*refused, format!("{field} is {value}, which JSON cannot say"));
        }
    }
}

#[test]
fn numbers_out_of_their_range_are_not_sent() {
    for node in [0, 4, 255] {
        let refused = refusal("ResourceState", |message| match &mut message.body {
            Body::ResourceState(state) => state.node = Some(node),
            other => panic!("{other:?}"),
        });
        assert_eq!(refused, format!("Node is {node}; expected 1, 2 or 3"));
    }
    for percent in [-0.1, 100.1] {
        let refused = refusal("ResourceState", |message| match &mut message.body {
            Body::ResourceState(state) => state.state_of_charge_percent = Some(percent),
            other => panic!("{other:?}"),
        });
        assert_eq!(refused, format!("StateOfCharge is {percent}; expected 0 to 100 %"));
    }
    assert_eq!(
        refusal("DeviceState", |message| device_state(message).points[0].age_s = -1.0),
        "frequency is -1; expected an Age of 0 s or more"
    );
}

#[test]
fn points_have_names_and_units_and_are_there_once() {
    assert_eq!(
        refusal("DeviceState", |message| device_state(message).points[0].name.clear()),
        "the name of a point is empty"
    );
    assert_eq!(
        refusal("DeviceState", |message| device_state(message).points[0].unit.clear()),
        "UnitOfMeasure is empty"
    );
    let refused = refusal("DeviceState", |message| {
        let points = &mut device_state(message).points;
        points.insert(0, points[1].clone());
    });
    assert_eq!(refused, "the point `real_power` is there twice");
}
