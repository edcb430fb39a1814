//! A dispatch as a configuration describes it, and the messages of everybody around it.

use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_markets::{KINDS, Kind};
use gridloop_messages::{
    Body, EpochFields, Header, Message, PriceForecastState, ResourceForecast, ResourceState, SimulationId,
    TimeSeries, Timestamp, ValueArray, Values,
};
use gridloop_service::Document;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The golden case of wire contract 6.5.
pub(crate) const GOLDEN: &str = r#"
horizon_h = 4
storage_model = "simces"
resources = ["load"]

[market.spot]

[storage.battery]
kwh_rated = 10
kw_rated = 4
initial_state_of_charge_percent = 50
wear_eur_per_kwh = 0.0
"#;

/// What the configuration `text` of an economic dispatch is.
pub(crate) fn kind(text: &str) -> Result<Kind, String> {
    let document = Document::parse("t.toml", text).map_err(|error| error.to_string())?;
    let (_, read) = KINDS.iter().find(|(word, _)| *word == "economic-dispatch").unwrap();
    let kind = read(&document.root());
    document.finish().map_err(|error| error.to_string())?;
    Ok(kind)
}

pub(crate) fn time(hours: f64) -> Timestamp {
    Timestamp::parse("2023-02-01T00:00:00Z").unwrap().plus(Duration::from_secs_f64(3600.0 * hours))
}

pub(crate) fn message(source: &str, epoch: u64, body: Body) -> Message {
    let fields = EpochFields {
        epoch_number: epoch,
        triggering_message_ids: vec!["Clock-1".into()],
        ..EpochFields::default()
    };
    let header = Header {
        simulation_id: SimulationId::new(time(0.0)),
        timestamp: time(0.0),
        source_process_id: source.into(),
        message_id: format!("{source}-1"),
        epoch: Some(fields),
    };
    Message { header, body }
}

/// A dispatch in the midst of its run. Epochs are `epoch_h` long.
pub(crate) struct Rig {
    component: Box<dyn Component>,
    pub(crate) epoch: OpenEpoch,
    pub(crate) now: MonoTime,
    epoch_h: f64,
}

impl Rig {
    pub(crate) fn new(text: &str) -> Self {
        Self::with_epochs_of(text, 1.0)
    }

    pub(crate) fn with_epochs_of(text: &str, epoch_h: f64) -> Self {
        let component = kind(text).unwrap().make("ed").unwrap();
        let now = MonoTime::from_nanos(0);
        let epoch = OpenEpoch {
            number: 0,
            start_time: time(0.0),
            end_time: time(0.0),
            nominal_start: now,
            deadline: None,
            opened_at: now,
        };
        Self { component, epoch, now, epoch_h }
    }

    pub(crate) fn open(&mut self, number: u64) {
        let begin = (number - 1) as f64 * self.epoch_h;
        let (start_time, end_time) = (time(begin), time(begin + self.epoch_h));
        self.epoch = OpenEpoch {
            number,
            start_time,
            end_time,
            nominal_start: self.now,
            deadline: None,
            opened_at: self.now,
        };
        self.component.open(&self.epoch).unwrap();
    }

    pub(crate) fn take(&mut self, topic: &str, source: &str, body: Body) {
        let message = message(source, self.epoch.number, body);
        self.component.take(topic, &message, self.now).unwrap();
    }

    pub(crate) fn forecast(&mut self, resource: &str, kw: &[f64]) {
        let begin = (self.epoch.number - 1) as f64 * self.epoch_h;
        let times = (0..kw.len()).map(|n| time(begin + n as f64)).collect();
        let forecast = TimeSeries::single(times, "RealPower", "kW", kw.to_vec());
        let topic = format!("ResourceForecastState.Load.{resource}");
        let body = ResourceForecast { resource_id: resource.into(), forecast };
        self.take(&topic, "forecaster", Body::ResourceForecast(body));
    }

    /// As the Python platform sends them: in strings.
    pub(crate) fn prices(&mut self, market: &str, unit: &str, prices: &[&str]) {
        self.prices_from((self.epoch.number - 1) as f64 * self.epoch_h, market, unit, prices);
    }

    /// Hourly prices that begin at this hour of the run.
    pub(crate) fn prices_from(&mut self, begin: f64, market: &str, unit: &str, prices: &[&str]) {
        let values = Values::Texts(prices.iter().map(|price| (*price).to_owned()).collect());
        let prices = TimeSeries {
            time_index: (0..prices.len()).map(|n| time(begin + n as f64)).collect(),
            series: BTreeMap::from([("Price".to_owned(), ValueArray { unit: unit.into(), values })]),
        };
        let body =
            PriceForecastState { market_id: market.into(), prices, resource_id: None, pricing_type: None };
        let topic = format!("PriceForecastState.{market}.NoResource");
        self.take(&topic, "prices", Body::PriceForecastState(Box::new(body)));
    }

    pub(crate) fn state(&mut self, storage: &str, percent: Option<f64>) {
        let state = ResourceState {
            customer_id: "c1".into(),
            real_power_kw: 0.0,
            reactive_power_kvar: 0.0,
            node: None,
            state_of_charge_percent: percent,
        };
        self.take(&format!("ResourceState.Storage.{storage}"), storage, Body::ResourceState(state));
    }

    pub(crate) fn step(&mut self) -> Result<Step, Fault> {
        self.component.step(&self.epoch, self.now)
    }

    /// The one output that is published now.
    pub(crate) fn published(&mut self) -> Output {
        match self.step() {
            Ok(Step::Publish(mut outputs)) if outputs.len() == 1 => outputs.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn fault(&mut self) -> String {
        self.step().unwrap_err().description().to_owned()
    }

    pub(crate) fn findings(&self) -> Value {
        self.component.findings().unwrap()
    }

    /// The inputs of the golden case.
    pub(crate) fn golden_inputs(&mut self) {
        self.forecast("load", &[-2.0; 5]);
        self.prices("spot", "{EUR}/(kW.h)", &["0.10", "0.30", "0.05", "0.20"]);
    }
}

/// Power of a unit in a published dispatch, and when it begins.
pub(crate) fn planned(output: &Output, unit: &str) -> (Timestamp, Vec<f64>) {
    let Body::Dispatch(dispatch) = &output.body else { panic!("{output:?}") };
    let series = &dispatch.dispatch[unit];
    (series.time_index[0], series.numbers("RealPower").unwrap().to_vec())
}

/// What a published dispatch says for the time that begins at this hour of the run.
pub(crate) fn planned_at(output: &Output, unit: &str, hours: f64) -> f64 {
    let Body::Dispatch(dispatch) = &output.body else { panic!("{output:?}") };
    let series = &dispatch.dispatch[unit];
    let begun = series.time_index.iter().rposition(|begin| *begin <= time(hours)).unwrap();
    series.numbers("RealPower").unwrap()[begun]
}
