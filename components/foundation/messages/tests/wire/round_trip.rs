//! What is sent is what is received, for any message; and no bytes make `decode` panic.

use chrono::DateTime;
use gridloop_messages::{
    AnyResult, Body, CustomerInfo, Decoded, DeviceState, Direction, Dispatch, Epoch, EpochFields,
    EpochOverrun, EpochPacing, Header, IterationStatus, LateComponent, Message, Offer, OfferTerms,
    PointQuality, PointSource, PointState, PowerSetpoint, ResourceState, SimState, SimulationId,
    SimulationState, Status, StatusValue, TapPosition, TimeSeries, Timestamp, ValueArray, Values,
    VoltageSetpoint, WallTime, Warning, WarningKind, decode,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::sample::{messages, now};

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn name() -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..12).prop_map(String::from_iter)
}

fn number() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_i64..253_402_300_799_999)
        .prop_map(|ms| Timestamp::from(DateTime::from_timestamp_millis(ms).unwrap()))
}

fn epoch_fields() -> impl Strategy<Value = EpochFields> {
    let warning = (select(WarningKind::ALL.to_vec()), text())
        .prop_map(|(kind, explanation)| Warning::new(kind, &explanation));
    let iteration_status = option::of(select(IterationStatus::ALL.to_vec()));
    (any::<u64>(), vec(name(), 1..4), option::of(any::<u64>()), vec(warning, 0..3), iteration_status)
        .prop_map(
            |(epoch_number, triggering_message_ids, last_updated_in_epoch, warnings, iteration_status)| {
                EpochFields {
                    epoch_number,
                    triggering_message_ids,
                    last_updated_in_epoch,
                    warnings,
                    iteration_status,
                }
            },
        )
}

fn point() -> impl Strategy<Value = PointState> {
    let quality = select(PointQuality::ALL.to_vec());
    let source = select(PointSource::ALL.to_vec());
    (number(), name(), quality, source, 0.0..1e9).prop_map(|(value, unit, quality, source, age_s)| {
        PointState { name: String::new(), value, unit, quality, source, age_s }
    })
}

fn device_state() -> impl Strategy<Value = DeviceState> {
    (name(), btree_map(name(), point(), 0..5)).prop_map(|(device_id, points)| {
        let points = points.into_iter().map(|(name, point)| PointState { name, ..point }).collect();
        DeviceState { device_id, points }
    })
}

fn wall_time() -> impl Strategy<Value = WallTime> {
    (0..250_000_000_000_i64, 0..1_000_000_u32).prop_map(|(seconds, micros)| {
        chrono::DateTime::from_timestamp(seconds, micros * 1000).unwrap().into()
    })
}

fn pacing() -> impl Strategy<Value = EpochPacing> {
    (wall_time(), wall_time(), number()).prop_filter_map("no time", |(a, b, speed)| {
        (a != b).then(|| EpochPacing { nominal_start: a.min(b), deadline: a.max(b), speed })
    })
}

fn core_body() -> impl Strategy<Value = Body> {
    let sim_state = (select(SimulationState::ALL.to_vec()), option::of(text()), option::of(text()))
        .prop_map(|(simulation_state, name, description)| SimState { simulation_state, name, description });
    let epoch = (timestamp(), timestamp(), option::of(pacing()))
        .prop_filter_map("no length", |(a, b, pacing)| {
            (a != b).then(|| Epoch { start_time: a.min(b), end_time: a.max(b), pacing })
        });
    let ready = (option::of(text()), option::of(number())).prop_map(|(description, slack_s)| Status {
        value: StatusValue::Ready,
        description,
        slack_s,
    });
    let error = text().prop_map(|text| Status::error(format!("failed: {text}")));
    let late = (name(), option::of(0.0..1e9))
        .prop_map(|(component, late_by_s)| LateComponent { component, late_by_s });
    let overrun = (wall_time(), vec(late, 1..4))
        .prop_map(|(deadline, late_components)| EpochOverrun { deadline, late_components });
    prop_oneof![
        sim_state.prop_map(Body::SimState),
        epoch.prop_map(Body::Epoch),
        ready.prop_map(Body::Status),
        error.prop_map(Body::Status),
        overrun.prop_map(Body::EpochOverrun),
    ]
}

fn domain_body() -> impl Strategy<Value = Body> {
    let resource_state = (text(), number(), number(), option::of(1_u8..=3), option::of(0.0..=100.0))
        .prop_map(|(customer_id, real_power_kw, reactive_power_kvar, node, state_of_charge_percent)| {
            ResourceState { customer_id, real_power_kw, reactive_power_kvar, node, state_of_charge_percent }
        });
    let power_setpoint = (number(), number()).prop_map(|(real_power_kw, reactive_power_kvar)| {
        PowerSetpoint { real_power_kw, reactive_power_kvar }
    });
    prop_oneof![
        resource_state.prop_map(Body::ResourceState),
        power_setpoint.prop_map(Body::PowerSetpoint),
        any::<i32>().prop_map(|tap_position| Body::TapPosition(TapPosition { tap_position })),
        number().prop_map(|voltage_kv| Body::VoltageSetpoint(VoltageSetpoint { voltage_kv })),
        device_state().prop_map(Body::DeviceState),
    ]
}

fn value_array(length: usize, unit: &'static str) -> impl Strategy<Value = ValueArray> {
    vec(number(), length).prop_map(move |numbers| ValueArray::numbers(unit, numbers))
}

/// A series in any unit, of any kind of value.
fn any_array(length: usize) -> impl Strategy<Value = ValueArray> {
    let texts = vec(text(), length).prop_map(|texts| match texts.is_empty() {
        true => Values::Numbers(Vec::new()),
        false => Values::Texts(texts),
    });
    let flags = vec(any::<bool>(), length).prop_map(|flags| match flags.is_empty() {
        true => Values::Numbers(Vec::new()),
        false => Values::Flags(flags),
    });
    let values = prop_oneof![vec(number(), length).prop_map(Values::Numbers), texts, flags];
    (text(), values).prop_map(|(unit, values)| ValueArray { unit, values })
}

/// A time series that has `needed` and others; the times ascend.
fn time_series(needed: &'static str, unit: &'static str) -> impl Strategy<Value = TimeSeries> {
    btree_set(timestamp(), 1..5).prop_flat_map(move |times| {
        let length = times.len();
        (value_array(length, unit), btree_map(name(), any_array(length), 0..3)).prop_map(
            move |(array, others)| {
                let mut series = others;
                series.insert(needed.to_owned(), array);
                TimeSeries { time_index: times.iter().copied().collect(), series }
            },
        )
    })
}

fn offer() -> impl Strategy<Value = Offer> {
    let power = time_series("Regulation", "kW").prop_map(|mut power| {
        power.series.retain(|name, _| name == "Regulation");
        power
    });
    let amount = || option::of(0.0..1e9);
    (
        (option::of(timestamp()), amount(), option::of(select(Direction::ALL.to_vec())), option::of(power)),
        (amount(), option::of(name()), option::of(name()), option::of(vec(text(), 1..3)), any::<u64>()),
    )
        .prop_map(
            |(
                (activation_time, duration_min, direction, real_power),
                (price_eur, congestion_id, offer_id, customer_ids, offer_count),
            )| {
                let terms = OfferTerms {
                    activation_time,
                    duration_min,
                    direction,
                    real_power,
                    price_eur,
                    congestion_id,
                    offer_id,
                    customer_ids,
                };
                Offer { terms, offer_count }
            },
        )
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        number().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            btree_map(text(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn block_body() -> impl Strategy<Value = Body> {
    let free = btree_map(name(), any_json(), 0..5)
        .prop_map(|fields| AnyResult { fields: fields.into_iter().collect() });
    let dispatch =
        btree_map(text(), time_series("RealPower", "kW"), 0..3).prop_map(|dispatch| Dispatch { dispatch });
    let customers = vec((name(), name(), text()), 1..5).prop_map(|rows| CustomerInfo {
        resource_id: rows.iter().map(|row| row.0.clone()).collect(),
        customer_id: rows.iter().map(|row| row.1.clone()).collect(),
        bus_name: rows.into_iter().map(|row| row.2).collect(),
    });
    prop_oneof![
        free.prop_map(Body::Result),
        dispatch.prop_map(Body::Dispatch),
        customers.prop_map(Body::CustomerInfo),
        offer().prop_map(|offer| Body::Offer(Box::new(offer))),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![core_body(), domain_body(), block_body()];
    (timestamp(), timestamp(), name(), name(), epoch_fields(), body).prop_map(
        |(run, timestamp, source_process_id, message_id, epoch, body)| Message {
            header: Header {
                simulation_id: SimulationId::new(run),
                timestamp,
                source_process_id,
                message_id,
                epoch: (!matches!(body, Body::SimState(_))).then_some(epoch),
            },
            body,
        },
    )
}

/// A change that a defective sender might make: these bytes in place of some.
#[derive(Debug, Clone)]
struct Damage {
    at: prop::sample::Index,
    removed: usize,
    inserted: Vec<u8>,
}

fn damage() -> impl Strategy<Value = Damage> {
    const TOKENS: [&str; 22] = [
        "",
        "NaN",
        "-Infinity",
        "null",
        "true",
        "-1",
        "0",
        "4",
        "1.5",
        "1e999",
        "18446744073709551616",
        "\"",
        "\\",
        "\\u0000",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "{}",
        "\u{e4}",
    ];
    let token = select(TOKENS.to_vec()).prop_map(|token| token.as_bytes().to_vec());
    let inserted = prop_oneof![3 => token, 1 => vec(any::<u8>(), 0..4)];
    (any::<prop::sample::Index>(), 0_usize..6, inserted).prop_map(|(at, removed, inserted)| Damage {
        at,
        removed,
        inserted,
    })
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let at = damage.at.index(bytes.len() + 1);
        let end = (at + damage.removed).min(bytes.len());
        bytes.splice(at..end, damage.inserted.iter().copied());
    }
    bytes
}

/// Whatever is accepted keeps every rule that `encode` checks, but for the Description that SimCES may leave out.
fn accepted_is_sendable(bytes: &[u8]) {
    let Ok(Decoded::Message(mut message)) = decode(bytes, now()) else { return };
    if let Body::Status(Status { value: StatusValue::Error, description, .. }) = &mut message.body {
        *description = Some("added".to_owned());
    }
    let sent = message.encode().unwrap();
    assert_eq!(decode(&sent, now()).unwrap(), Decoded::Message(message));
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_received(message in message()) {
        let bytes = message.encode().unwrap();
        prop_assert_eq!(decode(&bytes, now()).unwrap(), Decoded::Message(message));
    }

    #[test]
    fn no_bytes_make_decode_panic(bytes in vec(any::<u8>(), 0..200), text in any::<String>()) {
        accepted_is_sendable(&bytes);
        accepted_is_sendable(text.as_bytes());
    }

    #[test]
    fn no_damage_to_a_message_makes_decode_panic(
        message in select(messages()).prop_map(|(message, _)| message),
        damages in vec(damage(), 1..4),
    ) {
        accepted_is_sendable(&damaged(message.encode().unwrap(), &damages));
    }

    #[test]
    fn no_damage_to_any_message_makes_decode_panic(message in message(), damages in vec(damage(), 1..4)) {
        accepted_is_sendable(&damaged(message.encode().unwrap(), &damages));
    }
}
