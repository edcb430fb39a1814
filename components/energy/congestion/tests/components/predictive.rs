//! Predictive grid optimisation behind its messages, between a predictor and a market.

use crate::world::*;
use gridloop_component::{Component, OpenEpoch, Output, Step};
use gridloop_messages::{
    Body, Conductor, CurrentForecast, Direction, FlexibilityNeed, LfmMarketResult, Message, Offer,
    OfferTerms, Status, StatusValue, TimeSeries, Timestamp, ValueArray, VoltageForecast, Warning,
    WarningKind, topic,
};
use std::collections::BTreeMap;

/// Epoch 1 begins at 08:15 UTC, and the market is open until the last epoch that begins before 09:00.
const PREDICTIVE: &str = r#"
kind = "predictive-grid-optimization"
grid = "grid"
predictor = "nsp"
market = "lfm1"
opening_hour = 8
closing_hour = 8
min_voltage_pu = 0.92
max_voltage_pu = 1.08
horizon_h = 6
"#;

/// An epoch in which the market is closed.
const CLOSED: u64 = 6;
/// The hour after which voltages are beyond their limit, and what they are then.
const CONGESTED: (usize, f64) = (3, 1.1);

fn pgo(text: &str) -> Box<dyn Component> {
    named("pgo1", text).unwrap_or_else(|error| panic!("{error:?}"))
}

fn series(times: &[Timestamp], named: &[(&str, &str, Vec<f64>)]) -> TimeSeries {
    let series = named
        .iter()
        .map(|(name, unit, numbers)| ((*name).to_owned(), ValueArray::numbers(unit, numbers.clone())));
    TimeSeries { time_index: times.to_vec(), series: series.collect() }
}

/// A forecast for eight quarters of an hour from the epoch on. At bus 7 voltages are `far_pu` in the congested quarter.
fn forecast(epoch: u64, far_pu: f64, warnings: &[Warning]) -> Told {
    let times: Vec<Timestamp> = (epoch..epoch + 8).map(time).collect();
    let mut told = Vec::new();
    for bus in ["source", "1", "2", "6", "7"] {
        for node in [Conductor::Phase1, Conductor::Phase2, Conductor::Phase3] {
            let pu = |quarter| if bus == "7" && quarter == CONGESTED.0 { far_pu } else { 1.0 };
            let kv = (0..8).map(|quarter| 0.4 * pu(quarter)).collect();
            let forecast = series(&times, &[("Magnitude", "kV", kv), ("Angle", "deg", vec![0.0; 8])]);
            let body = Body::VoltageForecast(VoltageForecast { forecast, bus: bus.into(), node });
            told.push((topic::voltage_forecast("grid", bus), message("nsp", epoch, body, warnings.to_vec())));
        }
    }
    for device in ["T1", "L1", "L5", "L6"] {
        for phase in [Conductor::Phase1, Conductor::Phase2, Conductor::Phase3] {
            let ends = ["MagnitudeSendingEnd", "MagnitudeReceivingEnd"].map(|name| (name, "A", vec![1.0; 8]));
            let angles = ["AngleSendingEnd", "AngleReceivingEnd"].map(|name| (name, "deg", vec![0.0; 8]));
            let forecast = series(&times, &[ends, angles].concat());
            let body = Body::CurrentForecast(CurrentForecast { forecast, device_id: device.into(), phase });
            told.push((topic::current_forecast("grid", device), message("nsp", epoch, body, vec![])));
        }
    }
    told.push(ready("nsp", epoch));
    told
}

fn ready(source: &str, epoch: u64) -> (String, Message) {
    let status = Status { value: StatusValue::Ready, description: None, slack_s: None };
    (topic::STATUS_READY.into(), message(source, epoch, Body::Status(status), vec![]))
}

fn hear(component: &mut dyn Component, epoch: u64, told: &Told) {
    for (topic, message) in told {
        component.take(topic, message, at(epoch, 0.1)).unwrap();
    }
}

fn step(component: &mut dyn Component, epoch: &OpenEpoch, seconds: f64) -> Step {
    component.step(epoch, at(epoch.number, seconds)).unwrap()
}

fn published(step: Step) -> Vec<Output> {
    match step {
        Step::Publish(outputs) => outputs,
        other => panic!("nothing is published: {other:?}"),
    }
}

/// The copy of the ready Status, and the warnings on it.
fn finished(step: Step) -> Vec<Warning> {
    let Step::Done(outputs) = step else { panic!("the epoch goes on: {step:?}") };
    let [Output { topic, body: Body::Status(status), warnings, .. }] = outputs.as_slice() else {
        panic!("{outputs:?}")
    };
    assert_eq!((topic.as_str(), status.value), ("PgoReady.pgo1", StatusValue::Ready));
    warnings.clone()
}

fn needs(outputs: &[Output]) -> Vec<FlexibilityNeed> {
    let need = |output: &Output| match &output.body {
        Body::FlexibilityNeed(need) if output.topic == "FlexibilityNeed.lfm1" => (**need).clone(),
        other => panic!("{other:?}"),
    };
    for output in outputs {
        message("pgo1", 1, output.body.clone(), vec![]).encode().unwrap();
    }
    outputs.iter().map(need).collect()
}

/// A component that has asked in an epoch, and what it asked for.
fn asking(text: &str, number: u64) -> (Box<dyn Component>, OpenEpoch, Vec<FlexibilityNeed>) {
    let mut component = pgo(text);
    let epoch = open_epoch(number);
    component.open(&epoch).unwrap();
    hear(&mut *component, number, &network_messages());
    hear(&mut *component, number, &forecast(number, CONGESTED.1, &[]));
    let outputs = published(step(&mut *component, &epoch, 0.2));
    let needs = needs(&outputs);
    (component, epoch, needs)
}

fn terms(need: &FlexibilityNeed, offer: &str, kw: f64, eur: f64) -> OfferTerms {
    OfferTerms {
        activation_time: Some(need.activation_time),
        duration_min: Some(need.duration_min),
        direction: Some(need.direction),
        real_power: Some(TimeSeries::single(vec![need.activation_time], "Regulation", "kW", vec![kw])),
        price_eur: Some(eur),
        congestion_id: Some(need.congestion_id.clone()),
        offer_id: Some(offer.into()),
        customer_ids: Some(vec!["c7".into()]),
    }
}

fn nothing(congestion: Option<&str>) -> OfferTerms {
    OfferTerms {
        activation_time: None,
        duration_min: None,
        direction: None,
        real_power: None,
        price_eur: None,
        congestion_id: congestion.map(str::to_owned),
        offer_id: None,
        customer_ids: None,
    }
}

fn offering(source: &str, terms: OfferTerms, offer_count: u64) -> (String, Message) {
    let body = Body::LfmOffering(Box::new(Offer { terms, offer_count }));
    ("LFMOffering.pgo1".into(), message(source, 1, body, vec![]))
}

fn result(source: &str, terms: OfferTerms, result_count: u64) -> (String, Message) {
    let body = Body::LfmMarketResult(Box::new(LfmMarketResult { terms, result_count }));
    ("LFMMarketResult.lfm1".into(), message(source, 1, body, vec![]))
}

fn warning_of(warnings: &[Warning]) -> String {
    warnings.iter().map(Warning::as_str).collect::<Vec<_>>().join("\n")
}

#[test]
fn while_the_market_is_closed_it_is_ready_at_once_and_says_so_to_the_market() {
    let mut component = pgo(PREDICTIVE);
    let epoch = open_epoch(CLOSED);
    component.open(&epoch).unwrap();
    assert_eq!(finished(step(&mut *component, &epoch, 0.0)), []);
    assert_eq!(component.findings().unwrap()["epochs_open"], 0);
}

#[test]
fn the_network_all_forecasts_and_the_predictor_s_status_are_waited_for() {
    let all: Told = network_messages().into_iter().chain(forecast(1, 1.0, &[])).collect();
    for left_out in 0..all.len() {
        if all[left_out].0.ends_with("Voltage.source") {
            continue;
        }
        let mut component = pgo(PREDICTIVE);
        let epoch = open_epoch(1);
        component.open(&epoch).unwrap();
        let rest: Told =
            all.iter().enumerate().filter(|(at, _)| *at != left_out).map(|it| it.1.clone()).collect();
        hear(&mut *component, 1, &rest);
        assert!(matches!(step(&mut *component, &epoch, 0.2), Step::WakeAt(_)), "{}", all[left_out].0);
        hear(&mut *component, 1, &vec![all[left_out].clone()]);
        assert_eq!(finished(step(&mut *component, &epoch, 0.3)), []);
    }
}

#[test]
fn a_forecast_violation_becomes_a_need_of_the_customers_near_it() {
    let (_, _, needs) = asking(PREDICTIVE, 1);
    let [need] = needs.as_slice() else { panic!("{needs:?}") };
    assert_eq!((need.activation_time, need.duration_min), (time(4), 15.0));
    assert_eq!(need.direction, Direction::Down);
    assert_eq!((need.real_power_min_kw, need.bid_resolution_kw), (3.0, Some(3.0)));
    // 0.02 pu by the resistance of the way, 0.52 pu of 50 kVA, would be 1.9 kW.
    assert_eq!(need.real_power_request_kw, 3.0);
    assert_eq!((need.customer_ids.clone(), need.congestion_id.as_str()), (vec!["c7".to_owned()], "pgo1-1-1"));
}

#[test]
fn what_lies_in_the_epoch_itself_or_beyond_the_horizon_makes_no_need() {
    // The congested quarter is the fourth of the forecast.
    for (horizon_h, needed) in [("0.7", false), ("0.8", true)] {
        let mut component = pgo(&PREDICTIVE.replace("horizon_h = 6", &format!("horizon_h = {horizon_h}")));
        let epoch = open_epoch(1);
        component.open(&epoch).unwrap();
        hear(&mut *component, 1, &network_messages());
        hear(&mut *component, 1, &forecast(1, CONGESTED.1, &[]));
        let is_asking = matches!(step(&mut *component, &epoch, 0.2), Step::Publish(_));
        assert_eq!(is_asking, needed, "{horizon_h} h");
    }
    let mut component = pgo(PREDICTIVE);
    let epoch = open_epoch(2);
    component.open(&epoch).unwrap();
    hear(&mut *component, 2, &network_messages());
    let mut told = forecast(2, 1.0, &[]);
    // As the forecast was made, so that only what has begun is beyond the limit.
    for (_, message) in &mut told {
        if let Body::VoltageForecast(it) = &mut message.body
            && it.bus == "7"
        {
            let mut kv = vec![0.4; 8];
            kv[0] = 0.44;
            it.forecast =
                series(&it.forecast.time_index, &[("Magnitude", "kV", kv), ("Angle", "deg", vec![0.0; 8])]);
        }
    }
    hear(&mut *component, 2, &told);
    finished(step(&mut *component, &epoch, 0.2));
}

#[test]
fn the_cheapest_offers_are_selected_and_the_result_ends_the_epoch() {
    let (mut component, epoch, needs) =
        asking(&PREDICTIVE.replace("horizon_h", "flexibility_need_margin = 1.0\nhorizon_h"), 1);
    let need = &needs[0];
    assert_eq!(need.real_power_request_kw, 6.0);
    hear(
        &mut *component,
        1,
        &vec![result("lfm1", nothing(None), 0), offering("lfm1", terms(need, "a", 6.0, 4.0), 3)],
    );
    hear(&mut *component, 1, &vec![offering("lfm1", terms(need, "b", 3.0, 1.0), 3)]);
    assert!(matches!(step(&mut *component, &epoch, 0.3), Step::WakeAt(_)), "the third offer is to come");
    hear(&mut *component, 1, &vec![offering("lfm1", terms(need, "c", 3.0, 1.5), 3)]);
    let outputs = published(step(&mut *component, &epoch, 0.4));
    let Body::SelectedOffer(selected) = &outputs[0].body else { panic!("{outputs:?}") };
    assert_eq!((outputs[0].topic.as_str(), outputs.len()), ("SelectedOffer.lfm1", 1));
    assert_eq!(selected.offer_ids, ["b", "c"]);
    hear(&mut *component, 1, &vec![result("lfm1", terms(need, "b", 3.0, 1.0), 2)]);
    assert!(matches!(step(&mut *component, &epoch, 0.5), Step::WakeAt(_)));
    hear(&mut *component, 1, &vec![result("lfm1", terms(need, "c", 3.0, 1.5), 2)]);
    assert_eq!(finished(step(&mut *component, &epoch, 0.6)), []);
    let findings = component.findings().unwrap();
    let number = |name: &str| findings[name].as_f64().unwrap();
    assert_eq!((number("needs"), number("requested_kw"), number("offers")), (1.0, 6.0, 3.0));
    assert_eq!((number("selected_kw"), number("cost_eur"), number("uncovered_kw")), (6.0, 2.5, 0.0));
    assert_eq!(number("violations"), 3.0, "one of each phase");
    let worst = &findings["worst_violation"];
    assert_eq!(
        (worst["place"].as_str(), worst["at"].as_str()),
        (Some("bus 7 phase 1 at 1.1000 pu"), Some("2026-06-21T09:00:00.000Z"))
    );
}

/// The needs of two epochs whose forecasts say the same, after those of the first were met.
fn needs_after_purchase(text: &str) -> usize {
    let (mut component, epoch, needs) = asking(text, 1);
    hear(&mut *component, 1, &vec![offering("lfm1", terms(&needs[0], "a", 3.0, 1.0), 1)]);
    published(step(&mut *component, &epoch, 0.3));
    hear(&mut *component, 1, &vec![result("lfm1", terms(&needs[0], "a", 3.0, 1.0), 1)]);
    finished(step(&mut *component, &epoch, 0.4));
    let epoch = open_epoch(2);
    component.open(&epoch).unwrap();
    let mut again = forecast(1, CONGESTED.1, &[]);
    again.iter_mut().for_each(|(_, message)| message.header.epoch.as_mut().unwrap().epoch_number = 2);
    hear(&mut *component, 2, &again);
    match step(&mut *component, &epoch, 0.2) {
        Step::Publish(outputs) => outputs.len(),
        _ => 0,
    }
}

#[test]
fn a_predictor_that_knows_no_plans_makes_nobody_buy_twice() {
    assert_eq!(needs_after_purchase(PREDICTIVE), 1, "such a forecast says that it is still missing");
    assert_eq!(needs_after_purchase(&(PREDICTIVE.to_owned() + "purchases_in_forecast = false\n")), 0);
}

#[test]
fn without_an_offer_it_is_ready_and_tells_what_is_not_covered() {
    let (mut component, epoch, needs) = asking(PREDICTIVE, 1);
    hear(&mut *component, 1, &vec![offering("lfm1", nothing(Some(&needs[0].congestion_id)), 0)]);
    let warnings = finished(step(&mut *component, &epoch, 0.3));
    assert!(warning_of(&warnings).contains("3.000 of 3.000 kW are not to be had"), "{warnings:?}");
    assert_eq!(component.findings().unwrap()["uncovered_kw"], 3.0);
}

#[test]
fn a_forecast_that_does_not_come_is_waited_for_or_nothing_is_asked_for_and_that_is_told() {
    for (text, gives_up) in
        [(PREDICTIVE.to_owned(), false), (PREDICTIVE.to_owned() + "input_timeout_s = 20\n", true)]
    {
        let mut component = pgo(&text);
        let epoch = open_epoch(1);
        component.open(&epoch).unwrap();
        hear(&mut *component, 1, &network_messages());
        let mut told = forecast(1, CONGESTED.1, &[]);
        told.truncate(3);
        hear(&mut *component, 1, &told);
        // Told in the log first.
        assert_eq!(step(&mut *component, &epoch, 0.2), Step::WakeAt(at(1, 10.0)));
        if gives_up {
            assert_eq!(step(&mut *component, &epoch, 10.0), Step::WakeAt(at(1, 20.0)));
            let warnings = finished(step(&mut *component, &epoch, 20.0));
            let told = warning_of(&warnings);
            assert!(
                told.contains("no ready Status of nsp, ") && told.contains("nothing is asked for"),
                "{told}"
            );
            assert_eq!(component.findings().unwrap()["epochs_without_forecast"], 1);
        } else {
            assert_eq!(step(&mut *component, &epoch, 10.0), Step::Waiting);
            assert_eq!(step(&mut *component, &epoch, 1e6), Step::Waiting);
        }
    }
}

#[test]
fn a_market_that_does_not_answer_is_waited_for_or_given_up_and_that_is_told() {
    let (mut component, epoch, _) = asking(PREDICTIVE, 1);
    assert_eq!(step(&mut *component, &epoch, 0.3), Step::WakeAt(at(1, 10.2)));
    assert_eq!(step(&mut *component, &epoch, 1e6), Step::Waiting);

    let (mut component, epoch, _) = asking(&(PREDICTIVE.to_owned() + "market_timeout_s = 5\n"), 1);
    assert_eq!(step(&mut *component, &epoch, 0.3), Step::WakeAt(at(1, 5.2)));
    let warnings = finished(step(&mut *component, &epoch, 5.2));
    assert!(warning_of(&warnings).contains("no offering for pgo1-1-1 came within 5 s"), "{warnings:?}");
    assert_eq!(component.findings().unwrap()["epochs_without_market"], 1);
}

#[test]
fn a_result_that_does_not_come_is_given_up_and_counts_as_not_bought() {
    let (mut component, epoch, needs) = asking(&(PREDICTIVE.to_owned() + "market_timeout_s = 5\n"), 1);
    hear(&mut *component, 1, &vec![offering("lfm1", terms(&needs[0], "a", 3.0, 1.0), 1)]);
    published(step(&mut *component, &epoch, 1.0));
    assert_eq!(step(&mut *component, &epoch, 1.1), Step::WakeAt(at(1, 6.0)));
    let warnings = finished(step(&mut *component, &epoch, 6.0));
    assert!(warning_of(&warnings).contains("no result for a came within 5 s"), "{warnings:?}");
    let findings = component.findings().unwrap();
    assert_eq!((&findings["cost_eur"], &findings["uncovered_kw"]), (&0.0.into(), &3.0.into()));
}

#[test]
fn neither_another_predictor_nor_another_market_is_listened_to() {
    let mut component = pgo(PREDICTIVE);
    let epoch = open_epoch(1);
    component.open(&epoch).unwrap();
    hear(&mut *component, 1, &network_messages());
    let mut strange = forecast(1, 1.0, &[]);
    strange.iter_mut().for_each(|(_, message)| message.header.source_process_id = "other".into());
    hear(&mut *component, 1, &strange);
    assert!(matches!(step(&mut *component, &epoch, 0.2), Step::WakeAt(_)));

    let (mut component, epoch, needs) = asking(PREDICTIVE, 1);
    hear(&mut *component, 1, &vec![offering("other", terms(&needs[0], "a", 3.0, 1.0), 1)]);
    assert!(matches!(step(&mut *component, &epoch, 0.3), Step::WakeAt(_)));
}

#[test]
fn a_congestion_has_a_name_of_its_own_in_every_epoch() {
    let names: Vec<String> =
        (1..=2).map(|epoch| asking(PREDICTIVE, epoch).2[0].congestion_id.clone()).collect();
    assert_eq!(names, ["pgo1-1-1", "pgo1-2-1"]);
}

#[test]
fn a_doubtful_forecast_is_told_on() {
    let mut component = pgo(PREDICTIVE);
    let epoch = open_epoch(1);
    component.open(&epoch).unwrap();
    hear(&mut *component, 1, &network_messages());
    hear(
        &mut *component,
        1,
        &forecast(1, 1.0, &[Warning::new(WarningKind::InputUnreliable, "of yesterday")]),
    );
    let warnings = finished(step(&mut *component, &epoch, 0.2));
    assert!(warning_of(&warnings).contains("is doubtful: warning.input-unreliable"), "{warnings:?}");
}

#[test]
fn the_order_of_messages_and_repetitions_change_no_need() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let mut told: Told = network_messages().into_iter().chain(forecast(1, CONGESTED.1, &[])).collect();
        let again: Vec<_> = told.iter().filter(|_| random.bool()).cloned().collect();
        told.extend(again);
        random.shuffle(&mut told);
        let mut component = pgo(PREDICTIVE);
        let epoch = open_epoch(1);
        component.open(&epoch).unwrap();
        hear(&mut *component, 1, &told);
        seen.push(published(step(&mut *component, &epoch, 0.2)));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_the_key() {
    let cases = BTreeMap::from([
        ("amber_loading", PREDICTIVE.to_owned() + "amber_loading = 1.2\n"),
        ("max_voltage_pu", PREDICTIVE.to_owned() + "upper_amber_band_pu = 0.2\n"),
        ("closing_hour", PREDICTIVE.replace("opening_hour = 8", "opening_hour = 9")),
        ("market", PREDICTIVE.replace("\"lfm1\"", "\"a.b\"")),
        ("predictor", PREDICTIVE.replace("predictor = \"nsp\"\n", "")),
        ("relative_sensitivity_percent", PREDICTIVE.to_owned() + "relative_sensitivity_percent = 101\n"),
    ]);
    for (key, text) in cases {
        let Err(diagnostics) = named("pgo1", &text) else { panic!("{key} is accepted") };
        assert!(format!("{diagnostics}").contains(key), "{key}: {diagnostics}");
    }
}
