//! `network-state-predictor`: forecasts of several resources become one of the network.

use crate::rig::{
    HOUR, Rig, Said, Sent, description, error, from_file, is_ready, sent, settings, start, state, voltage_kv,
};
use gridloop_grid::{Awaited, NetworkStatePredictor, Place, PredictorSettings};
use gridloop_messages::{Body, Dispatch, ResourceForecast, TimeSeries, Timestamp, VoltageForecast, topic};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn configured() -> PredictorSettings {
    let mut network = description();
    network.resources.insert("pv".into(), Place::at("c7", "b1"));
    PredictorSettings {
        grid_id: "valley".into(),
        source: from_file(network),
        resources: BTreeMap::new(),
        awaited: Awaited::default(),
        points_max: None,
        persistent: BTreeSet::new(),
        planned: BTreeSet::new(),
        taps: BTreeMap::new(),
        input_timeout: Duration::from_secs(60),
    }
}

fn rig(settings: PredictorSettings) -> Rig {
    let mut rig = Rig::new(Box::new(NetworkStatePredictor::new(settings)));
    rig.next_epoch();
    rig
}

fn at(hour: u32) -> Timestamp {
    start().plus(HOUR * hour)
}

fn series(from: u32, values_kw: &[f64]) -> TimeSeries {
    let hours = from..from + u32::try_from(values_kw.len()).unwrap();
    TimeSeries::single(hours.map(at).collect(), "RealPower", "kW", values_kw.to_vec())
}

fn forecast(name: &str, from: u32, values_kw: &[f64]) -> Sent {
    let forecast = ResourceForecast { resource_id: name.into(), forecast: series(from, values_kw) };
    sent(topic::resource_forecast("Load", name), "forecaster", Body::ResourceForecast(forecast))
}

fn states() -> [Sent; 2] {
    [state("load", -10.0, -2.0, None), state("pv", 3.0, 0.0, Some(2))]
}

fn forecast_of<'a>(said: &'a [Said], bus: &str, which: usize) -> &'a VoltageForecast {
    let of_bus = said.iter().filter_map(|said| match &said.message.body {
        Body::VoltageForecast(forecast) if forecast.bus == bus => Some(forecast),
        _ => None,
    });
    of_bus.collect::<Vec<_>>()[which - 1]
}

/// What is forecast for an instant is what the grid publishes if it comes true.
#[test]
fn a_forecast_is_the_state_that_the_grid_would_have() {
    let mut predictor = rig(configured());
    predictor.hear_all(&states());
    predictor.hear(&forecast("pv", 1, &[0.0, 6.0, 3.0]));
    let said = predictor.hear(&forecast("load", 1, &[-10.0, -2.0, -8.0]));
    assert!(is_ready(&said));
    for (hour, (load_kw, pv_kw)) in [(-10.0, 0.0), (-2.0, 6.0), (-8.0, 3.0)].into_iter().enumerate() {
        let mut grid = Rig::grid(settings(configured().source));
        grid.next_epoch();
        grid.hear(&state("load", load_kw, -2.0, None));
        let state = grid.hear(&state("pv", pv_kw, 0.0, Some(2)));
        for phase in 1..=3 {
            let forecast = &forecast_of(&said, "b2", phase).forecast;
            assert_eq!(forecast.time_index, [at(1), at(2), at(3)]);
            let predicted_kv = forecast.numbers("Magnitude").unwrap()[hour];
            assert!((predicted_kv - voltage_kv(&state, "b2", phase)).abs() < 1e-12);
        }
    }
}

/// The platform's predictor puts radians where it says degrees.
#[test]
fn angles_are_true_degrees() {
    let mut predictor = rig(configured());
    predictor.hear_all(&states());
    predictor.hear(&forecast("pv", 1, &[0.0, 0.0]));
    let said = predictor.hear(&forecast("load", 1, &[-10.0, -10.0]));
    let angle = |phase| forecast_of(&said, "b2", phase).forecast.numbers("Angle").unwrap()[0];
    assert!((angle(2) + 120.0).abs() < 3.0 && (angle(3) - 120.0).abs() < 3.0);
    let current = said.iter().find_map(|said| match &said.message.body {
        Body::CurrentForecast(forecast) if said.topic == "NetworkForecastState.valley.Current.L2" => {
            Some(forecast)
        }
        _ => None,
    });
    let angles = current.unwrap().forecast.numbers("AngleReceivingEnd").unwrap();
    assert!(angles.iter().all(|angle| (angle.abs() - 180.0).abs() < 15.0), "{angles:?}");
}

/// Points of all forecasts, as far as all of them reach; between its points a forecast holds.
#[test]
fn forecasts_of_different_lengths_and_steps_are_used_as_far_as_all_reach() {
    let mut predictor = rig(configured());
    predictor.hear_all(&states());
    predictor.hear(&forecast("load", 0, &[-10.0; 6]));
    let times = vec![at(2), at(2).plus(HOUR / 2), at(9)];
    let pv = TimeSeries::single(times, "RealPower", "kW", vec![0.0, 5.0, 1.0]);
    let pv = ResourceForecast { resource_id: "pv".into(), forecast: pv };
    let said = predictor.hear(&sent(
        topic::resource_forecast("Load", "pv"),
        "forecaster",
        Body::ResourceForecast(pv),
    ));
    let forecast = &forecast_of(&said, "b2", 2).forecast;
    assert_eq!(forecast.time_index, [at(2), at(2).plus(HOUR / 2), at(3), at(4), at(5)]);
    let kv = forecast.numbers("Magnitude").unwrap();
    assert!(kv[1] > kv[0] + 1e-4 && kv[1] == kv[2] && kv[2] == kv[4]);
}

#[test]
fn forecasts_without_a_common_time_are_an_error_that_names_them() {
    let mut predictor = rig(configured());
    predictor.hear_all(&states());
    predictor.hear(&forecast("load", 0, &[-10.0; 3]));
    let said = predictor.hear(&forecast("pv", 8, &[0.0; 3]));
    let expected = format!(
        "the forecasts have no time in common: that of pv begins at {}, that of load ends at {}",
        at(8),
        at(2)
    );
    assert_eq!(error(&said), expected);
}

#[test]
fn a_forecast_that_is_missing_is_named_after_the_timeout() {
    let mut predictor = rig(configured());
    predictor.hear_all(&states());
    predictor.hear(&forecast("load", 0, &[-10.0; 3]));
    assert_eq!(error(&predictor.wake()), "epoch 1: after 60 s there is still no forecast of pv");
}

#[test]
fn who_is_not_forecast_goes_on_as_it_is_or_by_its_plan() {
    let mut settings = configured();
    settings.persistent.insert("pv".into());
    settings.planned.insert("load".into());
    let mut predictor = rig(settings);
    predictor.hear_all(&states());
    // A forecast of somebody who is planned is not what is waited for.
    assert!(predictor.hear(&forecast("load", 0, &[-1.0; 3])).is_empty());
    let dispatch = BTreeMap::from([
        ("load".to_owned(), series(0, &[-10.0, -9.0])),
        ("other".to_owned(), series(0, &[1.0, 1.0])),
    ]);
    let said = predictor.hear(&sent(topic::DISPATCH, "ed", Body::Dispatch(Dispatch { dispatch })));
    assert!(is_ready(&said));
    let mut grid = Rig::grid(crate::rig::settings(configured().source));
    grid.next_epoch();
    let state = grid.hear_all(&states());
    let predicted_kv = forecast_of(&said, "b2", 2).forecast.numbers("Magnitude").unwrap()[0];
    assert!((predicted_kv - voltage_kv(&state, "b2", 2)).abs() < 1e-12);
}

#[test]
fn an_hour_that_has_no_solution_is_an_error_that_names_it() {
    let mut predictor = rig(configured());
    predictor.hear_all(&states());
    predictor.hear(&forecast("load", 0, &[-10.0, -9000.0]));
    let said = predictor.hear(&forecast("pv", 0, &[0.0, 0.0]));
    let told = error(&said);
    assert!(told.starts_with(&format!("epoch 1: for {} the power flow has no solution", at(1))), "{told}");
}

#[test]
fn a_predictor_that_is_told_a_number_waits_for_state_and_forecast_of_so_many_resources() {
    let mut settings = configured();
    settings.awaited.count = Some(1);
    let mut predictor = rig(settings.clone());
    assert!(predictor.hear(&states()[0]).is_empty());
    assert!(is_ready(&predictor.hear(&forecast("load", 0, &[-10.0; 3]))));
    // The forecast of one and the state of another are not those of one.
    let mut predictor = rig(settings.clone());
    predictor.hear(&states()[0]);
    let said = predictor.hear(&forecast("pv", 0, &[0.0; 3]));
    assert_eq!(error(&said), "1 resources are to be waited for, but 2 tell their states: load, pv");
    settings.persistent.insert("pv".into());
    let mut predictor = rig(settings);
    predictor.hear(&states()[0]);
    let expected =
        "epoch 1: after 60 s there is still no forecast of 1 more of 1 resources (silent: load, pv)";
    assert_eq!(error(&predictor.wake()), expected);
}

#[test]
fn a_predictor_looks_ahead_by_so_many_points_as_it_is_told_in_every_epoch() {
    let mut settings = configured();
    settings.points_max = Some(2);
    let mut predictor = rig(settings);
    for _ in 0..2 {
        predictor.hear_all(&states());
        predictor.hear(&forecast("load", 1, &[-10.0; 5]));
        let said = predictor.hear(&forecast("pv", 1, &[0.0; 5]));
        assert_eq!(forecast_of(&said, "b2", 1).forecast.time_index, [at(1), at(2)]);
        predictor.next_epoch();
    }
}
