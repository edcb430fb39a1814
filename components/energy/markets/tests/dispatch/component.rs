//! The component: what it waits for, what it publishes, and how it ends when something is missing or wrong.

use crate::rig::{GOLDEN, Rig, planned, time};
use gridloop_component::Step;
use gridloop_messages::{Body, topic};
use std::time::Duration;

fn close(found: &[f64], expected: &[f64]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn a_dispatch_of_every_storage_and_market_follows_forecasts_and_prices() {
    let mut rig = Rig::new(GOLDEN);
    rig.open(1);
    assert!(matches!(rig.step(), Ok(Step::WakeAt(_))), "nothing is there yet");
    rig.golden_inputs();
    let output = rig.published();
    assert_eq!((output.topic.as_str(), output.warnings.len()), (topic::DISPATCH, 0));
    let Body::Dispatch(dispatch) = &output.body else { panic!("{output:?}") };
    assert_eq!(dispatch.dispatch.keys().collect::<Vec<_>>(), ["battery", "spot"], "not the load");
    let (from, battery) = planned(&output, "battery");
    assert_eq!(from, time(0.0));
    assert!(close(&battery, &[2.0, 2.0, -3.827_160, 2.0]), "{battery:?}");
    assert!(close(&planned(&output, "spot").1, &[0.0, 0.0, 5.827_160, 0.0]));
}

#[test]
fn the_epoch_is_completed_when_every_storage_has_told_its_state_and_needs_no_other_message() {
    let mut rig = Rig::new(GOLDEN);
    rig.open(1);
    rig.golden_inputs();
    rig.published();
    assert!(matches!(rig.step(), Ok(Step::WakeAt(_))));
    rig.state("battery", Some(27.8));
    assert_eq!(rig.step(), Ok(Step::Done(Vec::new())));
}

#[test]
fn without_storages_the_epoch_is_completed_with_the_dispatch() {
    let mut rig = Rig::new("horizon_h = 2\nresources = [\"load\"]\n[market.spot]\n");
    rig.open(1);
    rig.forecast("load", &[-2.0; 2]);
    rig.prices("spot", "{EUR}/(kW.h)", &["0.1", "0.2"]);
    rig.published();
    assert_eq!(rig.step(), Ok(Step::Done(Vec::new())));
}

#[test]
fn the_next_plan_begins_with_the_state_of_charge_that_was_told_last() {
    let mut rig = Rig::new(GOLDEN);
    rig.open(1);
    // A storage that is quicker than the dispatch tells how it stands after this epoch, not before it.
    rig.state("battery", Some(100.0));
    rig.golden_inputs();
    assert!(close(&planned(&rig.published(), "battery").1, &[2.0, 2.0, -3.827_160, 2.0]));
    rig.open(2);
    rig.golden_inputs();
    assert!(close(&planned(&rig.published(), "battery").1, &[2.0, 2.0, 1.4, 2.0]), "from 10 kWh down to 4");
    rig.state("battery", None);
    rig.open(3);
    rig.golden_inputs();
    assert!(close(&planned(&rig.published(), "battery").1, &[2.0, 2.0, 1.4, 2.0]), "nothing new was told");
}

#[test]
fn prices_count_by_their_times_and_in_either_unit() {
    let text = "horizon_h = 2\ntimestep_s = 3600\nresources = [\"load\"]\n[market.spot]\n[storage.b]\nkwh_rated = 1\nkw_rated = 1\ninitial_state_of_charge_percent = 100\nterminal_soc_bound_percent = 0\ndischarge_efficiency_percent = 100\n";
    let mut rig = Rig::with_epochs_of(text, 0.5);
    rig.open(1);
    rig.forecast("load", &[-1.0; 3]);
    rig.prices("spot", "{EUR}/(MW.h)", &["100", "300", "50"]);
    assert!(close(&planned(&rig.published(), "b").1, &[0.0, 1.0]), "the dear hour is the second");
    rig.state("b", Some(100.0));
    // Half an hour later.
    rig.open(2);
    rig.forecast("load", &[-1.0; 3]);
    rig.prices("spot", "{EUR}/(kW.h)", &["0.30", "0.10", "0.10"]);
    assert!(close(&planned(&rig.published(), "b").1, &[1.0, 0.0]));
}

#[test]
fn what_is_unknown_or_comes_twice_does_no_harm_and_the_last_word_counts() {
    let mut rig = Rig::new(GOLDEN);
    rig.open(1);
    rig.forecast("somebody", &[9.0; 2]);
    rig.prices("elsewhere", "bananas", &["1"]);
    rig.state("another", Some(1.0));
    rig.forecast("load", &[-9.0; 5]);
    rig.prices("spot", "bananas", &["1"]);
    rig.golden_inputs();
    assert!(close(&planned(&rig.published(), "battery").1, &[2.0, 2.0, -3.827_160, 2.0]));
}

#[test]
fn prices_in_an_unknown_unit_are_an_error_that_says_so() {
    let mut rig = Rig::new(GOLDEN);
    rig.open(1);
    rig.golden_inputs();
    rig.prices("spot", "EUR/MWh", &["1"; 4]);
    let fault = rig.fault();
    assert!(
        fault.starts_with("the prices of spot cannot be used: its unit is \"EUR/MWh\"; expected"),
        "{fault}"
    );
}

#[test]
fn an_input_that_does_not_come_is_an_error_that_names_it() {
    let mut rig = Rig::new(GOLDEN);
    rig.open(1);
    let Ok(Step::WakeAt(until)) = rig.step() else { panic!() };
    assert_eq!(until, rig.now + Duration::from_secs(120));
    rig.now = until;
    let expected = "epoch 1: within 120 s there was not a forecast of load, nor prices of spot";
    assert_eq!(rig.fault(), expected);
}

#[test]
fn a_storage_that_does_not_tell_its_state_is_an_error_that_names_it() {
    let mut rig = Rig::new(GOLDEN);
    rig.open(1);
    rig.golden_inputs();
    rig.published();
    rig.now = rig.now + Duration::from_secs(120);
    assert_eq!(rig.fault(), "epoch 1: in time there was not the state of battery");
}

#[test]
fn what_remains_of_the_last_plan_may_stand_in_for_one_with_a_warning() {
    let mut rig = Rig::new(&format!("on_late_input = \"last-plan\"\n{GOLDEN}"));
    rig.open(1);
    rig.golden_inputs();
    rig.published();
    rig.state("battery", Some(27.8));
    assert_eq!(rig.step(), Ok(Step::Done(Vec::new())));
    rig.open(2);
    rig.now = rig.now + Duration::from_secs(120);
    let output = rig.published();
    let (from, battery) = planned(&output, "battery");
    assert_eq!(from, time(1.0));
    assert!(close(&battery, &[2.0, -3.827_160, 2.0]), "{battery:?}");
    assert!(output.warnings[0].as_str().starts_with("warning.input-unreliable: epoch 2"), "{output:?}");
    rig.now = rig.now + Duration::from_secs(120);
    assert_eq!(rig.step(), Ok(Step::Done(Vec::new())), "the storage is late as well");
    let findings = rig.findings();
    assert_eq!(
        (&findings["epochs_by_last_plan"], &findings["epochs_without_all_storages"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn without_a_last_plan_a_missing_input_is_an_error_all_the_same() {
    let mut rig = Rig::new(&format!("on_late_input = \"last-plan\"\n{GOLDEN}"));
    rig.open(1);
    rig.now = rig.now + Duration::from_secs(120);
    assert!(rig.fault().ends_with("and there is no plan before it"));
}

#[test]
fn a_forecast_that_ends_before_the_horizon_is_an_error_that_says_where_both_end() {
    let mut rig = Rig::new(GOLDEN);
    rig.open(1);
    rig.golden_inputs();
    rig.forecast("load", &[-2.0; 3]);
    let expected = "the forecast of load goes from 2023-02-01T00:00:00.000Z to 2023-02-01T03:00:00.000Z, the horizon \
                    from 2023-02-01T00:00:00.000Z to 2023-02-01T04:00:00.000Z";
    assert_eq!(rig.fault(), expected);
}

#[test]
fn or_the_plan_is_as_long_as_the_shortest_input_with_a_warning() {
    let mut rig = Rig::new(&format!("on_short_input = \"shorten\"\n{GOLDEN}"));
    rig.open(1);
    rig.golden_inputs();
    rig.forecast("load", &[-2.0; 3]);
    let output = rig.published();
    assert_eq!(planned(&output, "battery").1.len(), 3);
    assert!(output.warnings[0].as_str().ends_with("the plan has 3 steps"), "{:?}", output.warnings);
    rig.open(2);
    rig.golden_inputs();
    rig.open(3);
    rig.forecast("load", &[-2.0; 3]);
    rig.prices("spot", "{EUR}/(kW.h)", &[]);
    assert!(rig.fault().contains("prices of spot cannot be used"));
}

#[test]
fn a_plan_that_cannot_meet_all_conditions_is_an_error_that_names_them() {
    let text = GOLDEN.replace("\"simces\"", "\"gridloop\"").replace("percent = 50", "percent = 0");
    let mut rig = Rig::new(&text.replace("kw_rated = 4", "kw_rated = 0.5"));
    rig.open(1);
    rig.golden_inputs();
    let expected = "no plan for epoch 1: no plan meets all conditions: battery ends at 18.00 % where 40.00 % to \
                    100.00 % are asked for";
    assert_eq!(rig.fault(), expected);
}

#[test]
fn or_a_plan_with_a_warning_that_departs_from_them_by_as_little_as_can_be() {
    let text = GOLDEN.replace("\"simces\"", "\"gridloop\"").replace("percent = 50", "percent = 0");
    let mut rig =
        Rig::new(&format!("on_infeasible = \"relax\"\n{}", text.replace("kw_rated = 4", "kw_rated = 0.5")));
    rig.open(1);
    rig.golden_inputs();
    let output = rig.published();
    assert!(close(&planned(&output, "battery").1, &[-0.5; 4]), "it is charged all the time");
    assert!(output.warnings[0].as_str().contains("battery ends at 18.00 %"), "{:?}", output.warnings);
    assert_eq!(rig.findings()["epochs_relaxed"], 1);
}

#[test]
fn findings_count_each_plan_for_its_own_epoch() {
    let mut rig = Rig::new("horizon_h = 2\nresources = [\"load\"]\n[market.spot]\nsale_price_factor = 0.5\n");
    for (number, kw) in [(1, -2.0), (2, 4.0)] {
        rig.open(number);
        rig.forecast("load", &[kw, 100.0]);
        rig.prices("spot", "{EUR}/(kW.h)", &["0.2", "0.9"]);
        rig.published();
    }
    let findings = rig.findings();
    let value = |key: &str| findings[key].as_f64().unwrap();
    assert_eq!(findings["kind"], "economic-dispatch");
    assert!((value("cost_eur") - (0.4 - 0.4)).abs() < 1e-9, "{findings}");
    assert_eq!((value("bought_kwh"), value("sold_kwh"), value("epochs_planned")), (2.0, 4.0, 2.0));
}

#[test]
fn a_market_is_promised_what_was_planned_for_it_and_later_plans_keep_to_it() {
    let text = "commitment_time = \"00:00\"\nhorizon_h = 3\nresources = [\"load\"]\n[market.spot]\n[storage.b]\nkwh_rated = 100\nkw_rated = 10\ncharge_efficiency_percent = 100\ndischarge_efficiency_percent = 100\ninitial_state_of_charge_percent = 50\nterminal_soc_bound_percent = 30\n";
    let mut rig = Rig::new(text);
    rig.open(1);
    rig.forecast("load", &[-5.0; 3]);
    rig.prices("spot", "{EUR}/(kW.h)", &["0.1", "0.3", "0.2"]);
    let promised = planned(&rig.published(), "spot").1;
    rig.state("b", Some(48.0));
    rig.open(2);
    // Other load, other prices: what was promised for these two hours is still delivered.
    rig.forecast("load", &[-6.0; 3]);
    rig.prices("spot", "{EUR}/(kW.h)", &["0.3", "0.3", "0.3"]);
    let kept = planned(&rig.published(), "spot").1;
    assert!(close(&kept[..2], &promised[1..]), "{promised:?} then {kept:?}");
}

#[test]
fn an_epoch_that_is_longer_than_a_step_is_planned_and_counted_as_one() {
    let text = "horizon_h = 6\nresources = [\"load\"]\n[market.spot]\n[storage.b]\nkwh_rated = 10\nkw_rated = 4\ninitial_state_of_charge_percent = 100\nterminal_soc_bound_percent = 0\n";
    let mut rig = Rig::with_epochs_of(text, 1.5);
    rig.open(1);
    rig.forecast("load", &[-4.0; 6]);
    rig.prices("spot", "{EUR}/(kW.h)", &["0.4", "0.2", "0.1", "0.1", "0.1", "0.1"]);
    let output = rig.published();
    let (_, battery) = planned(&output, "b");
    let (_, spot) = planned(&output, "spot");
    assert_eq!(battery.len(), 6, "an hour and a half, half an hour, and four hours");
    assert!((battery[0] - 4.0).abs() < 1e-6 && spot[0].abs() < 1e-6, "{output:?}");
    let cost = rig.findings()["cost_eur"].as_f64().unwrap();
    assert!(cost.abs() < 1e-9, "{cost}");
    rig.state("b", Some(33.0));
    rig.open(2);
    rig.forecast("load", &[-9.0; 6]);
    rig.prices("spot", "{EUR}/(kW.h)", &["0.1", "0.2", "0.2", "0.2", "0.2", "0.2"]);
    let (_, spot) = planned(&rig.published(), "spot");
    let cost = rig.findings()["cost_eur"].as_f64().unwrap();
    // An hour at 0.1 and half an hour at 0.2.
    assert!((cost - spot[0] * 0.2).abs() < 1e-9 && cost > 1.0, "{cost} for {spot:?}");
}

#[test]
fn an_epoch_that_is_longer_than_the_horizon_is_an_error_that_says_so() {
    let mut rig = Rig::with_epochs_of(GOLDEN, 24.0);
    rig.open(1);
    rig.golden_inputs();
    let expected =
        "epoch 1 of 86400 s is longer than the horizon of 14400 s: horizon_h must not be less than an epoch";
    assert_eq!(rig.fault(), expected);
}
