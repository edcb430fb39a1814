//! CSV series of resources, setpoints and prices, by row and by time stamp. The first byte says what reads the rest.
//! Whatever is wrong is told in words; what is sound gives finite numbers, and times that ascend.
#![no_main]

use gridloop_clock::MonoTime;
use gridloop_component::{Component, OpenEpoch, Step};
use gridloop_messages::{Body, PriceForecastState, TimeSeries, Timestamp, Values};
use gridloop_resources::{
    ForecastResource, Interpolation, Market, NO_RESOURCE, PRICE_FORECAST_TOPIC, PriceForecaster,
    PriceForecasterSettings, RESOURCE_FORECAST_TOPIC, RESOURCE_STATE_TOPIC, ResourceForecaster,
    ResourceForecasterSettings, ResourceType, SeriesError, SeriesFile, SetpointSeries,
    SetpointSeriesSettings, StaticTimeSeries, StaticTimeSeriesSettings, Zone,
};
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::time::Duration;

fuzz_target!(|input: &[u8]| {
    let Some((kind, content)) = input.split_first() else { return };
    let file = std::env::temp_dir().join(format!("gridloop-fuzz-series-{}.csv", std::process::id()));
    std::fs::write(&file, content).expect("a file");
    match reader(*kind, file) {
        Ok(mut component) => run(component.as_mut()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn reader(kind: u8, file: PathBuf) -> Result<Box<dyn Component>, SeriesError> {
    let zone = || Zone::named("Europe/Helsinki").ok();
    let (horizon, delimiter) = (Duration::from_secs(36 * 3600), ',');
    let prices = |file, market| PriceForecasterSettings {
        file,
        delimiter,
        time_zone: zone(),
        horizon,
        step: None,
        market,
        topic: PRICE_FORECAST_TOPIC.into(),
    };
    let series = |series| StaticTimeSeriesSettings {
        resource_type: ResourceType::Load,
        series,
        topic: RESOURCE_STATE_TOPIC.into(),
    };
    Ok(match kind % 6 {
        0 => Box::new(StaticTimeSeries::new("load", &series(SeriesFile::new(file)))?),
        1 => {
            let interpolation = Interpolation::Linear;
            let file = SeriesFile { time_zone: zone(), interpolation, ..SeriesFile::new(file) };
            Box::new(StaticTimeSeries::new("load", &series(file))?)
        }
        2 => {
            let market = Market {
                market_id: "market".into(),
                unit: PriceForecastState::UNITS[0],
                resource_id: NO_RESOURCE.into(),
                pricing_type: None,
            };
            Box::new(PriceForecaster::new(&prices(file, Some(market)))?)
        }
        3 => Box::new(PriceForecaster::new(&prices(file, None))?),
        4 => {
            let resource = ForecastResource { name: "load".into(), resource_type: ResourceType::Load, file };
            Box::new(ResourceForecaster::new(&ResourceForecasterSettings {
                resources: vec![resource],
                delimiter,
                time_zone: zone(),
                horizon,
                step: None,
                topic: RESOURCE_FORECAST_TOPIC.into(),
            })?)
        }
        _ => Box::new(SetpointSeries::new(&SetpointSeriesSettings { file, delimiter })?),
    })
}

/// Some hours of a night on which clocks are set forward.
fn run(component: &mut dyn Component) {
    let at = |hour: u64| Timestamp::parse(&format!("2026-03-29T{hour:02}:00:00Z")).expect("a time");
    let opened_at = MonoTime::default();
    for number in 1..=6 {
        let (start_time, end_time) = (at(number - 1), at(number));
        let epoch =
            OpenEpoch { number, start_time, end_time, nominal_start: opened_at, deadline: None, opened_at };
        match component.step(&epoch, opened_at) {
            Ok(Step::Done(outputs)) => outputs.iter().for_each(|output| judge(&output.body)),
            Ok(_) => {}
            Err(fault) => assert!(!fault.to_string().is_empty()),
        }
    }
}

fn judge(body: &Body) {
    match body {
        Body::ResourceState(state) => {
            assert!(state.real_power_kw.is_finite() && state.reactive_power_kvar.is_finite());
        }
        Body::PriceForecastState(forecast) => judge_series(&forecast.prices),
        Body::ResourceForecast(forecast) => judge_series(&forecast.forecast),
        _ => {}
    }
}

fn judge_series(series: &TimeSeries) {
    assert!(series.time_index.windows(2).all(|pair| pair[0] < pair[1]));
    for values in series.series.values() {
        if let Values::Numbers(numbers) = &values.values {
            assert!(numbers.iter().all(|number| number.is_finite()));
        }
    }
}
