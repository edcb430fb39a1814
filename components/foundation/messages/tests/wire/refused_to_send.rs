//! What `encode` refuses: a message that breaks a rule never leaves this process.

use gridloop_messages::{
    AnyResult, Body, EncodeError, Message, PriceForecastState, Start, Status, TimeSeries, ValueArray, Values,
    decode,
};

use crate::golden::values;
use crate::sample::{message, now, time};

/// The valid message of this type.
fn golden(type_name: &str) -> Message {
    values().into_iter().find(|message| message.type_name() == type_name).unwrap()
}

/// Field and reason of the error after a change to the valid message of this type.
fn refusal(type_name: &str, change: impl FnOnce(&mut Message)) -> String {
    let mut message = golden(type_name);
    change(&mut message);
    match message.encode() {
        Err(EncodeError::Field { type_name: said, field, expected, found }) => {
            assert_eq!(said, type_name);
            format!("{field}: {expected}; {found}")
        }
        Err(other) => other.to_string(),
        Ok(bytes) => panic!("sent: {}", String::from_utf8_lossy(&bytes)),
    }
}

/// Checks the refusal of a change to the content of a variant of [`Body`].
macro_rules! refused {
    ($type_name:literal, $variant:ident, |$content:ident| $change:expr, $expected:expr) => {
        let refused = refusal($type_name, |message| match &mut message.body {
            Body::$variant($content) => $change,
            other => panic!("{other:?}"),
        });
        assert_eq!(refused, $expected);
    };
}

#[test]
fn the_error_says_that_nothing_was_sent_and_why() {
    let mut message = golden("Epoch");
    message.header.message_id.clear();
    assert_eq!(
        message.encode().unwrap_err().to_string(),
        "Epoch is not sent: MessageId: expected a non-empty string, found \"\""
    );
}

#[test]
fn senders_and_ids_are_never_empty() {
    const EMPTY: &str = "a non-empty string; \"\"";
    assert_eq!(
        refusal("SimState", |message| message.header.source_process_id.clear()),
        format!("SourceProcessId: {EMPTY}")
    );
    refused!("DeviceState", DeviceState, |it| it.device_id.clear(), format!("DeviceId: {EMPTY}"));
    refused!("Offer", Offer, |it| it.terms.offer_id = Some(String::new()), format!("OfferId: {EMPTY}"));
    refused!("SelectedOffer", SelectedOffer, |it| it.offer_ids[1].clear(), format!("OfferIds.1: {EMPTY}"));
    refused!(
        "Init.CIS.CustomerInfo",
        CustomerInfo,
        |it| it.resource_id[0].clear(),
        format!("ResourceId.0: {EMPTY}")
    );
}

#[test]
fn everything_but_sim_state_has_an_epoch_and_triggering_ids() {
    assert_eq!(
        refusal("Status", |message| message.header.epoch = None),
        "Status needs an epoch number and triggering message ids"
    );
    assert_eq!(
        refusal("SimState", |message| message.header.epoch = golden("Status").header.epoch),
        "SimState has no epoch number"
    );
    let cases = [
        (vec![], "TriggeringMessageIds: at least one message id; an empty array"),
        (vec!["clock-4".to_owned(), String::new()], "TriggeringMessageIds.1: a non-empty string; \"\""),
    ];
    for (ids, expected) in cases {
        let refused = refusal("Status", |message| {
            message.header.epoch.as_mut().unwrap().triggering_message_ids = ids;
        });
        assert_eq!(refused, expected);
    }
}

#[test]
fn an_error_always_says_what_it_is() {
    for (description, found) in [(None, "nothing"), (Some(""), "\"\""), (Some(" \n"), "\" \\n\"")] {
        let refused = refusal("Status", |message| {
            if let Body::Status(Status { description: text, .. }) = &mut message.body {
                *text = description.map(str::to_owned);
            }
        });
        assert_eq!(refused, format!("Description: words on an error; {found}"));
    }
}

#[test]
fn an_epoch_ends_after_it_starts() {
    for end in ["2024-02-29T23:45:00.000Z", "2024-02-29T00:00:00.000Z"] {
        let expected =
            format!("EndTime: a timestamp after StartTime, which is 2024-02-29T23:45:00.000Z; \"{end}\"");
        refused!("Epoch", Epoch, |it| it.end_time = time(end), expected);
    }
}

#[test]
fn numbers_that_json_cannot_say_are_not_sent() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let at = |field: &str| format!("{field}: a finite number; {bad}");
        refused!("Simple", Simple, |it| it.simple_value = bad, at("SimpleValue"));
        refused!("ResourceState", ResourceState, |it| it.real_power_kw = bad, at("RealPower.Value"));
        refused!(
            "ResourceState",
            ResourceState,
            |it| it.reactive_power_kvar = bad,
            at("ReactivePower.Value")
        );
        let charge = at("StateOfCharge.Value");
        refused!("ResourceState", ResourceState, |it| it.state_of_charge_percent = Some(bad), charge);
        let control = "ControlState.PowerSetpoint";
        let refused = refusal(control, |message| match &mut message.body {
            Body::PowerSetpoint(setpoint) => setpoint.reactive_power_kvar = bad,
            other => panic!("{other:?}"),
        });
        assert_eq!(refused, at("ReactivePower.Value"));
        refused!(
            "ControlState.VoltageSetpoint",
            VoltageSetpoint,
            |it| it.voltage_kv = bad,
            at("Voltage.Value")
        );
        refused!("DeviceState", DeviceState, |it| it.points[1].value = bad, at("Points.real_power.Value"));
        refused!(
            "DeviceState",
            DeviceState,
            |it| it.points[1].age_s = bad,
            at("Points.real_power.Age.Value")
        );
        refused!(
            "NetworkState.Loss",
            NetworkLoss,
            |it| it.real_power_series.value = bad,
            at("RealPowerSeries.Value")
        );
        let at_bus = at("BusVoltageBase.Values.2");
        refused!("Init.NIS.NetworkBusInfo", NetworkBusInfo, |it| it.bus_voltage_base_kv[2] = bad, at_bus);
        let violation = at("VoltageStatus.1.Violation");
        refused!(
            "DMSNetworkStatus.Voltage",
            DmsVoltage,
            |it| it.voltage_status[1].violation = bad,
            violation
        );
        let forecast = TimeSeries::single(times(2), "RealPower", "kW", vec![1.0, bad]);
        let expected = at("Forecast.Series.RealPower.Values.1");
        refused!("ResourceForecastState.Power", ResourceForecast, |it| it.forecast = forecast, expected);
    }
}

#[test]
fn numbers_out_of_their_range_are_not_sent() {
    for node in [0, 4, 255] {
        let expected = format!("Node: 1, 2 or 3; {node}");
        refused!("ResourceState", ResourceState, |it| it.node = Some(node), expected);
    }
    for percent in [-0.1, 100.1] {
        let expected = format!("StateOfCharge: 0 to 100 %; {percent}");
        refused!("ResourceState", ResourceState, |it| it.state_of_charge_percent = Some(percent), expected);
    }
    let age = "Points.frequency.Age: 0 s or more; -1";
    refused!("DeviceState", DeviceState, |it| it.points[0].age_s = -1.0, age);
    refused!("Offer", Offer, |it| it.terms.price_eur = Some(-0.5), "Price: 0 EUR or more; -0.5");
    refused!("Request", Request, |it| it.duration_min = -1.0, "Duration: 0 Minute or more; -1");
    refused!("Request", Request, |it| it.real_power_min_kw = -2.0, "RealPowerMin: 0 kW or more; -2");
}

#[test]
fn points_have_names_and_units_and_are_there_once() {
    let nameless = "Points: points with names; an empty name";
    refused!("DeviceState", DeviceState, |it| it.points[0].name.clear(), nameless);
    let unitless = "Points.frequency.UnitOfMeasure: a non-empty string; \"\"";
    refused!("DeviceState", DeviceState, |it| it.points[0].unit.clear(), unitless);
    let twice = "Points.real_power: points of different names; two";
    refused!("DeviceState", DeviceState, |it| it.points.insert(0, it.points[1].clone()), twice);
}

fn times(count: usize) -> Vec<gridloop_messages::Timestamp> {
    let all = ["2024-03-01T06:00:00.000Z", "2024-03-01T06:15:00.000Z", "2024-03-01T06:30:00.000Z"];
    all.into_iter().take(count).map(time).collect()
}

#[test]
fn time_series_keep_their_rules() {
    let power = |times, unit: &str, values| TimeSeries::single(times, "RealPower", unit, values);
    let backwards = times(2).into_iter().rev().collect();
    let cases = [
        (power(times(1), "kW", vec![1.0]), "TimeIndex: at least 2 points in time; 1"),
        (TimeSeries { time_index: times(2), ..TimeSeries::default() }, "Series: at least one series; none"),
        (power(times(2), "MW", vec![1.0, 2.0]), "Series.RealPower.UnitOfMeasure: `kW`; \"MW\""),
        (
            power(times(2), "kW", vec![1.0, 2.0, 3.0]),
            "Series.RealPower.Values: as many values as there are points in time, 2; 3",
        ),
        (
            power(backwards, "kW", vec![1.0, 2.0]),
            "TimeIndex: points in time that ascend, after 2024-03-01T06:15:00.000Z; 2024-03-01T06:00:00.000Z",
        ),
        (
            power(vec![times(1)[0]; 2], "kW", vec![1.0, 2.0]),
            "TimeIndex: points in time that ascend, after 2024-03-01T06:00:00.000Z; 2024-03-01T06:00:00.000Z",
        ),
        (
            TimeSeries::single(times(2), "Power", "kW", vec![1.0, 2.0]),
            "Series.RealPower: a series in kW; nothing",
        ),
    ];
    for (forecast, expected) in cases {
        let expected = format!("Forecast.{expected}");
        refused!("ResourceForecastState.Power", ResourceForecast, |it| it.forecast = forecast, expected);
    }
    let another = ValueArray::numbers("kV.A{r}", vec![0.0, 0.0]);
    refused!(
        "ResourceForecastState.Power",
        ResourceForecast,
        |it| drop(it.forecast.series.insert("ReactivePower".to_owned(), another)),
        "Forecast.Series.ReactivePower: no series but RealPower; another one"
    );
    let texts = ValueArray { unit: "kW".to_owned(), values: Values::Texts(vec!["1".to_owned(); 2]) };
    refused!(
        "ResourceForecastState.Dispatch",
        Dispatch,
        |it| drop(it.dispatch.get_mut("grid").unwrap().series.insert("RealPower".to_owned(), texts)),
        "Dispatch.grid.Series.RealPower.Values: numbers; strings"
    );
}

#[test]
fn prices_are_what_the_consumers_understand() {
    let prices = |name: &str, unit: &str| TimeSeries::single(times(1), name, unit, vec![9.0]);
    let cases = [
        (prices("Cost", "{EUR}/(kW.h)"), "a series; nothing"),
        (prices("Price", "ct/(kW.h)"), "the unit {EUR}/(kW.h) or {EUR}/(MW.h); \"ct/(kW.h)\""),
    ];
    for (wrong, expected) in cases {
        let expected = format!("Prices.Series.Price: {expected}");
        refused!("PriceForecastState", PriceForecastState, |it| it.prices = wrong, expected);
    }
    let words = ValueArray {
        unit: PriceForecastState::UNITS[0].to_owned(),
        values: Values::Texts(vec!["much".to_owned()]),
    };
    refused!(
        "PriceForecastState",
        PriceForecastState,
        |it| it.prices = TimeSeries { time_index: times(1), series: [("Price".to_owned(), words)].into() },
        "Prices.Series.Price: prices that are numbers; others"
    );
}

#[test]
fn parallel_arrays_are_of_one_length_and_a_network_has_one_root() {
    let bus = "Init.NIS.NetworkBusInfo";
    let refused = refusal(bus, |message| match &mut message.body {
        Body::NetworkBusInfo(info) => info.bus_type[0] = info.bus_type[1],
        other => panic!("{other:?}"),
    });
    assert_eq!(refused, "BusType: exactly one `root`; 0");
    refused!(
        "Init.NIS.NetworkBusInfo",
        NetworkBusInfo,
        |it| drop(it.bus_voltage_base_kv.pop()),
        "BusVoltageBase: as many elements as BusName has, 3; 2"
    );
    refused!(
        "Init.NIS.NetworkComponentInfo",
        NetworkComponentInfo,
        |it| it.reactance_pu.push(0.0),
        "Reactance: as many elements as DeviceId has, 2; 3"
    );
    refused!(
        "Init.CIS.CustomerInfo",
        CustomerInfo,
        |it| drop(it.bus_name.pop()),
        "BusName: as many elements as ResourceId has, 2; 1"
    );
    refused!(
        "Init.CIS.CustomerInfo",
        CustomerInfo,
        |it| [&mut it.resource_id, &mut it.customer_id, &mut it.bus_name].into_iter().for_each(Vec::clear),
        "CustomerId: at least one customer; an empty array"
    );
}

#[test]
fn lists_that_need_somebody_are_not_empty() {
    refused!(
        "Request",
        Request,
        |it| it.customer_ids.clear(),
        "CustomerIds: at least one customer; an empty array"
    );
    refused!(
        "SelectedOffer",
        SelectedOffer,
        |it| it.offer_ids.clear(),
        "OfferIds: at least one offer; an empty array"
    );
}

#[test]
fn free_fields_do_not_say_again_what_every_result_says() {
    for name in ["Type", "EpochNumber", "Warnings"] {
        let fields = [(name.to_owned(), 5.into())].into_iter().collect();
        let error = message(Body::Result(AnyResult { fields })).encode().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("Result is not sent: {name}: expected no second field of this name, found one")
        );
    }
}

#[test]
fn start_is_refused_like_a_message() {
    let (_, text) = crate::golden::files().into_iter().find(|(name, _)| name == "Start").unwrap();
    let mut start = Start::decode(text.as_bytes(), now()).unwrap();
    start.announcement.parameters.manager.components.push(String::new());
    assert_eq!(
        start.encode().unwrap_err().to_string(),
        "Start is not sent: ProcessParameters.SimulationManager.Components.2: expected a non-empty string, found \"\""
    );
}

#[test]
fn what_is_only_checked_before_sending_is_accepted() {
    let accepted = [
        golden_with("Status", &[("Description", "null")]),
        golden_with(
            "Init.CIS.CustomerInfo",
            &[("ResourceId", "[]"), ("CustomerId", "[]"), ("BusName", "[]")],
        ),
        golden_with(
            "PriceForecastState",
            &[("Prices", r#"{"TimeIndex":[],"Series":{"x":{"UnitOfMeasure":"","Values":[]}}}"#)],
        ),
    ];
    for body in accepted {
        decode(body.as_bytes(), now()).unwrap();
    }
}

/// The valid message of this type with these fields in place of its own.
fn golden_with(type_name: &str, changes: &[(&str, &str)]) -> String {
    let mut body: serde_json::Value = serde_json::from_slice(&golden(type_name).encode().unwrap()).unwrap();
    for (name, raw) in changes {
        assert!(body.get(name).is_some(), "{type_name} has no {name}");
        body[*name] = serde_json::from_str(raw).unwrap();
    }
    body.to_string()
}
