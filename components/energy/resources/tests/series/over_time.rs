//! Series and forecasts by time stamps: what epochs and horizons of other lengths get of them.

use crate::File;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, TimeSeries, Timestamp};
use gridloop_resources::{
    ForecastResource, Interpolation, Market, NO_RESOURCE, PRICE_FORECAST_TOPIC, PriceForecaster,
    PriceForecasterSettings, RESOURCE_FORECAST_TOPIC, RESOURCE_STATE_TOPIC, ResourceForecaster,
    ResourceForecasterSettings, ResourceType, SeriesFile, StaticTimeSeries, StaticTimeSeriesSettings, Zone,
};
use proptest::prelude::*;
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

#[test]
fn the_doubled_hour_is_told_apart_by_the_order_of_its_rows() {
    let quarters = ["02:45", "03:00", "03:15", "03:30", "03:45", "03:00", "03:15", "03:30", "03:45", "04:00"];
    let rows: String = (1..).zip(quarters).fold(String::new(), |mut rows, (number, quarter)| {
        let _ = writeln!(rows, "2026-10-25T{quarter},-{number},0,7");
        rows
    });
    let file = File::new(format!("TimeIndex,RealPower,ReactivePower,CustomerId\n{rows}"));
    let mut series = series(&file, Some("Europe/Helsinki")).unwrap();
    let quarter = Duration::from_mins(15);
    let begin = Timestamp::parse("2026-10-24T23:45:00Z").unwrap();
    for number in 0..10_u32 {
        let start = begin.plus(quarter * number).to_string();
        assert_eq!(power_kw(&mut series, &start, quarter), -f64::from(number + 1), "{start}");
    }
}

#[test]
fn the_missing_hour_is_no_gap_for_a_profile_that_leaves_it_out() {
    let file = File::new(
        "TimeIndex,RealPower,ReactivePower,CustomerId\n2026-03-29T02:00:00,-1,0,7\n\
         2026-03-29T04:00:00,-2,0,7\n2026-03-29T05:00:00,-3,0,7\n",
    );
    let mut series = series(&file, Some("Europe/Helsinki")).unwrap();
    let hour = Duration::from_mins(60);
    let starts = ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"];
    assert_eq!(starts.map(|start| power_kw(&mut series, start, hour)), [-1.0, -2.0, -3.0]);
}

#[test]
fn a_forecast_in_steps_too_short_for_its_horizon_is_refused_and_not_cut() {
    let rows = "TimeIndex,RealPower\n2026-06-21T00:00:00Z,1\n2026-06-21T00:00:01Z,2\n";
    let file = File::new(rows);
    let resource =
        ForecastResource { name: "pv".into(), resource_type: ResourceType::Generator, file: file.path() };
    let settings = ResourceForecasterSettings {
        resources: vec![resource],
        delimiter: ',',
        time_zone: None,
        horizon: Duration::from_hours(36),
        step: None,
        topic: RESOURCE_FORECAST_TOPIC.into(),
    };
    let told = file.short(&ResourceForecaster::new(&settings).unwrap_err());
    assert!(told.starts_with("x.csv:2:1: ") && told.contains("timestep_s"), "{told}");
    let longer = ResourceForecasterSettings { step: Some(Duration::from_mins(1)), ..settings };
    assert!(ResourceForecaster::new(&longer).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// The energy of an hour is that of its parts, wherever it is cut.
    #[test]
    fn means_over_parts_of_an_epoch_make_the_mean_over_the_whole(
        values in prop::collection::vec(-9.0..9.0_f64, 4),
        cut_min in 1..120_u64,
        begin_min in 0..60_u64,
        linear in any::<bool>(),
    ) {
        let rows: String = values.iter().zip(0..).fold(String::new(), |mut rows, (value, hour)| {
            let _ = writeln!(rows, "2026-06-21T0{hour}:00:00Z,{value},0,7");
            rows
        });
        let file = File::new(format!("TimeIndex,RealPower,ReactivePower,CustomerId\n{rows}"));
        let interpolation = if linear { Interpolation::Linear } else { Interpolation::Hold };
        let series = SeriesFile { interpolation, ..SeriesFile::new(file.path()) };
        let settings = StaticTimeSeriesSettings {
            resource_type: ResourceType::Load,
            series,
            topic: RESOURCE_STATE_TOPIC.into(),
        };
        let mut series = StaticTimeSeries::new("x", &settings).unwrap();
        let begin = Timestamp::parse("2026-06-21T00:00:00Z").unwrap().plus(Duration::from_mins(begin_min));
        let (first, second) = (Duration::from_mins(cut_min), Duration::from_mins(120 - cut_min));
        let cut = begin.plus(first).to_string();
        let begin = begin.to_string();
        let whole = power_kw(&mut series, &begin, first + second) * 120.0;
        let left = power_kw(&mut series, &begin, first) * first.as_secs_f64() / 60.0;
        let right = if second.is_zero() { 0.0 } else {
            power_kw(&mut series, &cut, second) * second.as_secs_f64() / 60.0
        };
        prop_assert!((whole - left - right).abs() < 1e-9, "{whole} {left} {right}");
    }

    #[test]
    fn whatever_bytes_a_series_by_time_holds_it_is_read_or_refused(
        rows in prop::collection::vec("(2026-0[36]-[0-9]{2}[T ][0-9]{2}(:[0-9]{2}(:[0-9]{2})?)?(Z|[+]02:00|)|\\PC{0,6})(,-?[0-9a-z.]{0,4}){0,4}", 0..12),
        bytes in prop::collection::vec(any::<u8>(), 0..20),
        zoned in any::<bool>(),
    ) {
        let header = "TimeIndex,RealPower,ReactivePower,CustomerId,MarketId,Time1,Price1,Price\n";
        let content = [header.as_bytes(), rows.join("\n").as_bytes(), &bytes].concat();
        let file = File::new(content);
        let zone = zoned.then_some("Europe/Helsinki");
        if let Ok(mut series) = series(&file, zone) {
            let _ = step_at(&mut series, "2026-03-29T01:00:00Z", Duration::from_mins(60));
        }
        for market_id in [None, Some("spot")] {
            let market = market_id.map(|market_id| Market {
                market_id: market_id.to_owned(),
                unit: "{EUR}/(kW.h)",
                resource_id: NO_RESOURCE.into(),
                pricing_type: None,
            });
            let settings = PriceForecasterSettings {
                file: file.path(),
                delimiter: ',',
                time_zone: zone.map(|name| Zone::named(name).unwrap()),
                horizon: Duration::from_hours(36),
                step: None,
                market,
                topic: PRICE_FORECAST_TOPIC.into(),
            };
            let _ = PriceForecaster::new(&settings);
        }
    }
}
