//! One message of every type, as it is sent: the files in `tests/data/golden` and the same messages as values.

use std::collections::BTreeMap;

use gridloop_messages::{
    Announcement, AnyResult, Body, BranchCurrent, BusType, BusVoltage, Conductor, CurrentForecast,
    CurrentStatus, CustomerInfo, Decoded, Direction, Dispatch, DmsCurrent, DmsVoltage, Epoch, EpochOverrun,
    EpochPacing, FlexibilityNeed, IterationStatus, LateComponent, LfmMarketResult, LimitStatus,
    LogWriterParameters, ManagerParameters, Message, NetworkBusInfo, NetworkComponentInfo, NetworkLoss,
    NetworkState, Offer, OfferTerms, PriceForecastState, ProcessParameters, Quantity, ResourceForecast,
    SelectedOffer, Simple, Start, Status, TimeSeries, ValueArray, VoltageForecast, VoltageStatus, WallTime,
    Warning, WarningKind, decode, types,
};
use serde_json::json;

use crate::sample::{message, messages, now, time};

/// Name and content of every file in `tests/data/golden`, without the line feed.
pub(crate) fn files() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.strip_suffix('\n').unwrap().to_owned();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Series of two quarter hours.
fn series(named: &[(&str, &str, [f64; 2])]) -> TimeSeries {
    let array = |(name, unit, values): &(&str, &str, [f64; 2])| {
        ((*name).to_owned(), ValueArray::numbers(unit, values.to_vec()))
    };
    TimeSeries {
        time_index: vec![time("2024-03-01T06:00:00.000Z"), time("2024-03-01T06:15:00.000Z")],
        series: named.iter().map(array).collect(),
    }
}

fn quantity(value: f64, unit: &str) -> Quantity {
    Quantity { value, unit: unit.to_owned() }
}

fn test_components() -> Vec<Body> {
    let fields =
        json!({"Note": "snow \u{e9}\u{4e2d}", "Watts": [1, 2.5, null, true], "Deep": {"a": {"b": -0.5}}});
    vec![
        Body::Result(AnyResult { fields: fields.as_object().unwrap().clone() }),
        Body::Simple(Simple { simple_value: 10.002 }),
    ]
}

fn forecasts() -> Vec<Body> {
    let cellar = series(&[("RealPower", "kW", [5.0, -1.75]), ("ReactivePower", "kV.A{r}", [0.25, 0.0])]);
    let grid = series(&[("RealPower", "kW", [0.0, 3.5])]);
    vec![
        Body::ResourceForecast(ResourceForecast {
            resource_id: "house4".to_owned(),
            forecast: series(&[("RealPower", "kW", [-1.5, -2.0])]),
        }),
        Body::Dispatch(Dispatch {
            dispatch: BTreeMap::from([("cellar".to_owned(), cellar), ("grid".to_owned(), grid)]),
        }),
        Body::PriceForecastState(Box::new(PriceForecastState {
            market_id: "dayahead".to_owned(),
            prices: series(&[("Price", "{EUR}/(MW.h)", [81.5, -3.0])]),
            resource_id: Some("none".to_owned()),
            pricing_type: Some("dynamic".to_owned()),
        })),
    ]
}

fn network_data() -> Vec<Body> {
    vec![
        Body::NetworkBusInfo(NetworkBusInfo {
            bus_voltage_base_kv: vec![20.0, 0.4, 0.4],
            bus_name: texts(&["sub", "b1", "b2"]),
            bus_type: BusType::ALL.to_vec(),
        }),
        Body::NetworkComponentInfo(Box::new(NetworkComponentInfo {
            resistance_pu: vec![0.01, 0.03],
            reactance_pu: vec![0.04, 0.015],
            shunt_admittance_pu: vec![0.0, 0.0],
            shunt_conductance_pu: vec![0.0, 0.001],
            rated_current_pu: vec![1.25, 0.8],
            sending_end_bus: texts(&["sub", "b1"]),
            receiving_end_bus: texts(&["b1", "b2"]),
            device_id: texts(&["tr1", "line1"]),
            power_base_kva: 100.0,
        })),
        Body::CustomerInfo(CustomerInfo {
            resource_id: texts(&["house4", "cellar"]),
            customer_id: texts(&["house 4", "house 4"]),
            bus_name: texts(&["b2", ""]),
        }),
    ]
}

fn network_states() -> Vec<Body> {
    vec![
        Body::NetworkState(NetworkState::Voltage(BusVoltage {
            magnitude_kv: 0.398,
            angle_deg: -1.25,
            bus: "b2".to_owned(),
            node: Conductor::Neutral,
        })),
        Body::NetworkState(NetworkState::Current(BranchCurrent {
            magnitude_sending_end_a: 12.5,
            magnitude_receiving_end_a: 12.25,
            angle_sending_end_deg: -30.0,
            angle_receiving_end_deg: 149.5,
            device_id: "line1".to_owned(),
            phase: Conductor::Phase3,
        })),
        Body::NetworkLoss(Box::new(NetworkLoss {
            real_power_shunt: quantity(0.02, "kW"),
            real_power_series: quantity(0.25, "kW"),
            reactive_power_shunt: Some(quantity(0.0, "kV.A{r}")),
            reactive_power_series: Some(quantity(0.125, "kV.A{r}")),
            device_id: "tr1".to_owned(),
        })),
        Body::VoltageForecast(VoltageForecast {
            forecast: series(&[("Angle", "deg", [-1.0, -1.5]), ("Magnitude", "kV", [0.399, 0.401])]),
            bus: "b1".to_owned(),
            node: Conductor::Phase1,
        }),
        Body::CurrentForecast(CurrentForecast {
            forecast: series(&[
                ("MagnitudeSendingEnd", "A", [8.5, 9.5]),
                ("MagnitudeReceivingEnd", "A", [8.0, 9.0]),
                ("AngleSendingEnd", "deg", [-30.0, -29.0]),
                ("AngleReceivingEnd", "deg", [150.0, 151.0]),
            ]),
            device_id: "tr1".to_owned(),
            phase: Conductor::Neutral,
        }),
    ]
}

fn judgements() -> Vec<Body> {
    let voltage = |bus: &str, node, status, violation| VoltageStatus {
        bus_name: bus.to_owned(),
        node,
        status,
        violation,
    };
    vec![
        Body::DmsVoltage(DmsVoltage {
            voltage_status: vec![
                voltage("b1", 1, LimitStatus::Acceptable, 0.0),
                voltage("b2", 3, LimitStatus::Unacceptable, -0.004),
            ],
        }),
        Body::DmsCurrent(DmsCurrent {
            current_status: vec![CurrentStatus {
                device_id: "line1".to_owned(),
                phase: 2,
                status_sending_end: LimitStatus::CloseToLimits,
                status_receiving_end: LimitStatus::Acceptable,
                violation_sending_end: 0.0,
                violation_receiving_end: 0.0,
            }],
        }),
    ]
}

fn market() -> Vec<Body> {
    let need = FlexibilityNeed {
        activation_time: time("2024-03-01T06:00:00.000Z"),
        duration_min: 30.0,
        direction: Direction::Down,
        real_power_min_kw: 2.0,
        real_power_request_kw: 7.5,
        customer_ids: texts(&["house 4", "mill"]),
        congestion_id: "jam-1".to_owned(),
        bid_resolution_kw: Some(0.5),
    };
    let terms = OfferTerms {
        activation_time: Some(time("2024-03-01T06:00:00.000Z")),
        duration_min: Some(30.0),
        direction: Some(Direction::Up),
        real_power: Some(series(&[("Regulation", "kW", [3.0, 2.5])])),
        price_eur: Some(4.75),
        congestion_id: Some("jam-1".to_owned()),
        offer_id: Some("planner-jam-1-1".to_owned()),
        customer_ids: Some(texts(&["house 4"])),
    };
    let nothing = OfferTerms {
        activation_time: None,
        duration_min: None,
        direction: None,
        real_power: None,
        price_eur: None,
        congestion_id: Some("jam-1".to_owned()),
        offer_id: None,
        customer_ids: None,
    };
    vec![
        Body::FlexibilityNeed(Box::new(need.clone())),
        Body::Request(Box::new(need)),
        Body::Offer(Box::new(Offer { terms: terms.clone(), offer_count: 2 })),
        Body::LfmOffering(Box::new(Offer { terms: nothing, offer_count: 0 })),
        Body::LfmMarketResult(Box::new(LfmMarketResult { terms, result_count: 1 })),
        Body::SelectedOffer(SelectedOffer { offer_ids: texts(&["planner-jam-1-1", "other-jam-1-2"]) }),
    ]
}

fn with_every_common_field() -> Message {
    let mut message = message(Body::Simple(Simple { simple_value: 10.002 }));
    let fields = message.header.epoch.as_mut().unwrap();
    fields.last_updated_in_epoch = Some(2);
    fields.warnings =
        vec![Warning::parse("warning.input.range").unwrap(), Warning::new(WarningKind::Other, "dusk")];
    fields.iteration_status = Some(IterationStatus::Final);
    message
}

/// What gridloop adds to a paced run.
fn pacing() -> Vec<Message> {
    let wall = |text: &str| WallTime::from(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
    let epoch = Body::Epoch(Epoch {
        start_time: time("2024-02-29T23:45:00.000Z"),
        end_time: time("2024-03-01T00:00:00.000Z"),
        pacing: Some(EpochPacing {
            nominal_start: wall("2025-06-01T11:59:30.250125Z"),
            deadline: wall("2025-06-01T11:59:31.250125Z"),
            speed: 900.0,
        }),
    });
    let ready = Body::Status(Status { slack_s: Some(0.125), ..Status::READY });
    let late = |component: &str, late_by_s| LateComponent { component: component.to_owned(), late_by_s };
    let overrun = Body::EpochOverrun(EpochOverrun {
        deadline: wall("2025-06-01T11:59:31.250125Z"),
        late_components: vec![late("pv1", None), late("oltc1", Some(0.5))],
    });
    [epoch, ready, overrun].map(message).to_vec()
}

/// Every message of the files but Start, as values.
pub(crate) fn values() -> Vec<Message> {
    let new = [test_components(), forecasts(), network_data(), network_states(), judgements(), market()];
    let new = new.into_iter().flatten().map(message);
    let known = messages().into_iter().map(|(message, _)| message).chain(new).chain(pacing());
    known.chain([with_every_common_field()]).collect()
}

fn start() -> Start {
    let components = json!({
        "Meter": {"meter": null},
        "StaticTimeSeriesResource": {"house4": {"ResourceType": "Load", "Deep": [1, 2.5, {"On": true}]}},
    });
    Start {
        simulation_id: gridloop_messages::SimulationId::new(time("2025-06-01T11:59:00.000Z")),
        timestamp: time("2025-06-01T11:59:30.250Z"),
        announcement: Announcement {
            exchange: "procem.20250601-115900-000".to_owned(),
            name: "hill".to_owned(),
            description: String::new(),
            parameters: ProcessParameters {
                manager: ManagerParameters {
                    initial_start_time: time("2024-03-01T06:00:00.000Z"),
                    epoch_length_s: 900,
                    max_epoch_count: 96,
                    manager_name: "clock".to_owned(),
                    epoch_timer_interval_s: 30.0,
                    components: texts(&["house4", "meter"]),
                    max_epoch_resend_count: 3,
                },
                log_writer: Some(LogWriterParameters {
                    message_buffer_max_document_count: 50,
                    message_buffer_max_interval_s: 2.5,
                }),
                components: components.as_object().unwrap().clone(),
            },
        },
    }
}

#[test]
fn every_file_is_sent_and_understood_exactly() {
    let mut sent: Vec<_> =
        values().iter().map(|message| String::from_utf8(message.encode().unwrap()).unwrap()).collect();
    sent.push(String::from_utf8(start().encode().unwrap()).unwrap());
    sent.sort();
    let mut expected: Vec<_> = files().into_iter().map(|(_, text)| text).collect();
    expected.sort();
    assert_eq!(sent, expected);
    for message in values() {
        let bytes = message.encode().unwrap();
        assert_eq!(decode(&bytes, now()).unwrap(), Decoded::Message(message));
    }
    assert_eq!(Start::decode(&start().encode().unwrap(), now()).unwrap(), start());
}

#[test]
fn every_type_has_a_file_of_its_name() {
    let names: Vec<_> = files().into_iter().map(|(name, _)| name).collect();
    for type_name in types() {
        let forms = [type_name.to_owned(), format!("{type_name}.voltage-form")];
        assert!(names.iter().any(|name| forms.contains(name)), "no file for {type_name}");
    }
}

#[test]
fn start_is_a_message_of_an_unknown_type_for_those_who_only_record() {
    let Decoded::General(general) = decode(&start().encode().unwrap(), now()).unwrap() else {
        panic!("Start has neither sender nor epoch")
    };
    assert_eq!((general.type_name.as_str(), general.epoch_number), ("Start", None));
    assert_eq!(general.fields["ProcessParameters"]["SimulationManager"]["EpochLength"], 900);
}

#[test]
fn start_says_what_is_wrong_with_it() {
    let refusal = |change: fn(&mut serde_json::Value)| {
        let mut body = serde_json::from_slice(&start().encode().unwrap()).unwrap();
        change(&mut body);
        Start::decode(body.to_string().as_bytes(), now()).unwrap_err().to_string()
    };
    let parameters = "Start: ProcessParameters";
    assert_eq!(
        refusal(|body| body["ProcessParameters"]["SimulationManager"]["EpochLength"] = json!(0.5)),
        format!(
            "{parameters}.SimulationManager.EpochLength: expected an integer from 0, found the number 0.5"
        )
    );
    assert_eq!(
        refusal(|body| body["ProcessParameters"]["SimulationManager"] = json!(null)),
        format!("{parameters}.SimulationManager: expected an object, found null")
    );
    assert_eq!(
        refusal(|body| body["SimulationSpecificExchange"] = json!("")),
        "Start: SimulationSpecificExchange: expected a non-empty string, found \"\""
    );
    assert_eq!(refusal(|body| body["Type"] = json!("Epoch")), "Type: expected `Start`, found \"Epoch\"");
}
