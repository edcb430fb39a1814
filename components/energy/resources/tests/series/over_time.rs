//! Series and forecasts by time stamps: what epochs and horizons of other lengths get of them.

use crate::File;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, TimeSeries, Timestamp};
use gridloop_resources::{
    ForecastResource, Market, NO_RESOURCE, PRICE_FORECAST_TOPIC, PriceForecaster, PriceForecasterSettings,
    RESOURCE_FORECAST_TOPIC, RESOURCE_STATE_TOPIC, ResourceForecaster, ResourceForecasterSettings,
    ResourceType, SeriesFile, StaticTimeSeries, StaticTimeSeriesSettings, Zone,
};
use std::fmt::Write;
use std::time::Duration;

fn step_at(component: &mut impl Component, start: &str, length: Duration) -> Result<Vec<Output>, Fault> {
    let start_time = Timestamp::parse(start).unwrap();
    let opened_at = MonoTime::default();
    let epoch = OpenEpoch {
        number: 1,
        start_time,
        end_time: start_time.plus(length),
        nominal_start: opened_at,
        deadline: None,
        opened_at,
    };
    match component.step(&epoch, opened_at)? {
        Step::Done(outputs) => Ok(outputs),
        other => panic!("{other:?}"),
    }
}

fn series(file: &File, time_zone: Option<&str>) -> Result<StaticTimeSeries, String> {
    let time_zone = time_zone.map(|name| Zone::named(name).unwrap());
    let series = SeriesFile { time_zone, ..SeriesFile::new(file.path()) };
    let topic = RESOURCE_STATE_TOPIC.into();
    let settings = StaticTimeSeriesSettings { resource_type: ResourceType::Load, series, topic };
    StaticTimeSeries::new("home1", &settings).map_err(|error| file.short(&error))
}

fn power_kw(series: &mut StaticTimeSeries, start: &str, length: Duration) -> f64 {
    match &step_at(series, start, length).unwrap()[0].body {
        Body::ResourceState(state) => state.real_power_kw,
        other => panic!("{other:?}"),
    }
}

const HOURLY: &str = "TimeIndex,RealPower,ReactivePower,CustomerId\n\
                      2026-06-21T00:00:00Z,-1,0,7\n2026-06-21T01:00:00Z,-3,0,7\n2026-06-21T02:00:00Z,-5,0,7\n";

#[test]
fn an_epoch_has_the_mean_of_the_series_over_its_time() {
    let file = File::new(HOURLY);
    let mut series = series(&file, None).unwrap();
    assert_eq!(power_kw(&mut series, "2026-06-21T01:00:00Z", Duration::from_mins(60)), -3.0);
    assert_eq!(power_kw(&mut series, "2026-06-21T00:30:00Z", Duration::from_mins(60)), -2.0);
    assert_eq!(power_kw(&mut series, "2026-06-21T00:00:00Z", Duration::from_mins(120)), -2.0);
    assert_eq!(
        power_kw(&mut series, "2026-06-21T02:45:00Z", Duration::from_mins(15)),
        -5.0,
        "the last row holds"
    );
    assert_eq!(power_kw(&mut series, "2026-06-21T02:00:00+01:00", Duration::from_mins(15)), -3.0);
}

#[test]
fn an_epoch_outside_of_the_series_is_a_fault_that_says_so() {
    let file = File::new(HOURLY);
    let mut series = series(&file, None).unwrap();
    for start in ["2026-06-20T23:30:00Z", "2026-06-21T02:30:00Z"] {
        let fault = step_at(&mut series, start, Duration::from_mins(60)).unwrap_err();
        assert!(file.short(&fault).starts_with("x.csv"), "{fault}");
    }
}

#[test]
fn local_times_are_hours_of_the_clock_on_the_wall() {
    // The night of 25 October 2026 in Helsinki has the hour from 3 to 4 twice; told with offsets it is plain.
    let file = File::new(
        "TimeIndex,RealPower,ReactivePower,CustomerId\n2026-10-25T02:00:00,-1,0,7\n\
         2026-10-25T03:00:00+03:00,-2,0,7\n2026-10-25T03:00:00+02:00,-3,0,7\n2026-10-25T04:00:00,-4,0,7\n",
    );
    let mut series = series(&file, Some("Europe/Helsinki")).unwrap();
    let hour = Duration::from_mins(60);
    let starts =
        ["2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"];
    assert_eq!(starts.map(|start| power_kw(&mut series, start, hour)), [-1.0, -2.0, -3.0, -4.0]);
}

#[test]
fn an_hour_that_does_not_exist_and_stamps_out_of_order_are_refused_with_their_place() {
    let missing = File::new(
        "TimeIndex,RealPower,ReactivePower,CustomerId\n2026-03-29T02:00:00,-1,0,7\n2026-03-29T03:30:00,-2,0,7\n",
    );
    let told = series(&missing, Some("Europe/Helsinki")).unwrap_err();
    assert!(told.contains("x.csv:3:1"), "{told}");
    let swapped = File::new(
        "TimeIndex,RealPower,ReactivePower,CustomerId\n2026-03-29T02:00:00Z,-1,0,7\n2026-03-29T01:00:00Z,-2,0,7\n",
    );
    let told = series(&swapped, None).unwrap_err();
    assert!(told.contains("x.csv:3:1"), "{told}");
    let zoneless = File::new("TimeIndex,RealPower,ReactivePower,CustomerId\n2026-03-29T02:00:00,-1,0,7\n");
    let told = series(&zoneless, None).unwrap_err();
    assert!(told.contains("x.csv:2:1"), "{told}");
}

/// `hours` hourly rows from midnight, the value of each being its number.
fn hourly(header: &str, hours: u32) -> File {
    let mut text = format!("{header}\n");
    for hour in 0..hours {
        writeln!(text, "2026-06-{:02}T{:02}:00:00Z,{hour}", 21 + hour / 24, hour % 24).unwrap();
    }
    File::new(text)
}

fn numbers(series: &TimeSeries, name: &str) -> Vec<f64> {
    series.numbers(name).unwrap().to_vec()
}

#[test]
fn a_forecast_of_36_hours_has_37_points_from_the_start_of_the_epoch() {
    let file = hourly("TimeIndex,RealPower", 72);
    let settings = ResourceForecasterSettings {
        resources: vec![ForecastResource {
            name: "home1".into(),
            resource_type: ResourceType::Load,
            file: file.path(),
        }],
        delimiter: ',',
        time_zone: None,
        horizon: Duration::from_hours(36),
        step: None,
        topic: RESOURCE_FORECAST_TOPIC.into(),
    };
    let mut forecaster = ResourceForecaster::new(&settings).unwrap();
    let outputs = step_at(&mut forecaster, "2026-06-21T05:00:00Z", Duration::from_hours(1)).unwrap();
    assert_eq!(outputs[0].topic, "ResourceForecastState.Load.home1");
    let Body::ResourceForecast(forecast) = &outputs[0].body else { panic!("{outputs:?}") };
    assert_eq!(forecast.resource_id, "home1");
    assert_eq!(forecast.forecast.time_index[0], Timestamp::parse("2026-06-21T05:00:00Z").unwrap());
    let values: Vec<f64> = (5..42).map(f64::from).collect();
    assert_eq!(numbers(&forecast.forecast, "RealPower"), values);
    // Two hours later, in one epoch of two hours: the window goes by time.
    let outputs = step_at(&mut forecaster, "2026-06-21T07:00:00Z", Duration::from_hours(2)).unwrap();
    let Body::ResourceForecast(forecast) = &outputs[0].body else { panic!("{outputs:?}") };
    assert_eq!(numbers(&forecast.forecast, "RealPower")[0], 7.0);
}

#[test]
fn prices_are_numbers_from_the_start_of_the_epoch() {
    let file = hourly("TimeIndex,Price", 72);
    let settings = PriceForecasterSettings {
        file: file.path(),
        delimiter: ',',
        time_zone: None,
        horizon: Duration::from_hours(36),
        step: None,
        market: Some(Market {
            market_id: "spot".into(),
            unit: "{EUR}/(kW.h)",
            resource_id: NO_RESOURCE.into(),
            pricing_type: None,
        }),
        topic: PRICE_FORECAST_TOPIC.into(),
    };
    let mut forecaster = PriceForecaster::new(&settings).unwrap();
    let outputs = step_at(&mut forecaster, "2026-06-21T03:00:00Z", Duration::from_hours(1)).unwrap();
    let Body::PriceForecastState(forecast) = &outputs[0].body else { panic!("{outputs:?}") };
    let prices = numbers(&forecast.prices, "Price");
    assert_eq!((forecast.market_id.as_str(), prices[0], prices[1]), ("spot", 3.0, 4.0));
    assert!(prices.len() >= 36, "{}", prices.len());
}
