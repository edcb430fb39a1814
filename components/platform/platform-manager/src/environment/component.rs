//! What a component is told beyond what every process is: [`Kind::read`].

use super::Reader;
use super::common::{is_sound, read_topic};
use super::dispatch::read_economic_dispatch;
use super::energy::{read_controller, read_price_forecaster, read_resource_forecaster, read_storage};
use super::iteration::{read_droop_generator, read_voltage_dependent_load};
use super::market::read_flexibility_market;
use super::network::{read_cis, read_grid, read_nis, read_predictor, read_state_monitoring};
use crate::configuration::ComponentKind;
use gridloop_dummies::{Dummy, DummySettings, SIMPLE_TOPIC, SimpleComponent, SimpleSettings};
use gridloop_resources::{
    Interpolation, RESOURCE_STATE_TOPIC, ResourceType, SeriesFile, SetpointSeriesSettings,
    StaticTimeSeriesSettings, TimeIndex,
};
use std::time::Duration;

/// The kinds of component that a process can be by its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `static-time-series`: StaticTimeSeriesResource of the Python platform.
    StaticTimeSeries,
    /// `setpoint-series`
    SetpointSeries,
    /// `dummy`: Dummy of the Python platform.
    Dummy,
    /// `simple`: SimpleComponent of the Python platform.
    Simple,
    /// `storage`: StorageResource of the Python platform.
    Storage,
    /// `resource-forecaster`: StaticTimeSeriesResourceForecaster of the Python platform.
    ResourceForecaster,
    /// `price-forecaster`: PriceForecaster of the Python platform.
    PriceForecaster,
    /// `controller`: Controller of the Python platform.
    Controller,
    /// `economic-dispatch`: EconomicDispatch of the Python platform.
    EconomicDispatch,
    /// `nis`: NIS of the Python platform.
    Nis,
    /// `cis`: CIS of the Python platform.
    Cis,
    /// `grid`: Grid of the Python platform.
    Grid,
    /// `network-state-predictor`: NetworkStatePredictor of the Python platform.
    NetworkStatePredictor,
    /// `state-monitoring`: State Monitoring as the documentation of SimCES has it.
    StateMonitoring,
    /// `local-flexibility-market`: LFM of the Python platform.
    LocalFlexibilityMarket,
    /// `droop-generator`
    DroopGenerator,
    /// `voltage-dependent-load`
    VoltageDependentLoad,
}

impl Kind {
    /// Reads what a component of this kind, called `name`, is told.
    pub fn read(self, name: &str, reader: &Reader<'_>) -> ComponentKind {
        match self {
            Self::StaticTimeSeries => ComponentKind::StaticTimeSeries(read_static_time_series(reader)),
            Self::SetpointSeries => ComponentKind::SetpointSeries(read_setpoint_series(reader)),
            Self::Dummy => ComponentKind::Dummy(read_dummy(name, reader)),
            Self::Simple => ComponentKind::Simple(read_simple(name, reader)),
            Self::Storage => ComponentKind::Resource(read_storage(reader)),
            Self::ResourceForecaster => ComponentKind::Resource(read_resource_forecaster(reader)),
            Self::PriceForecaster => ComponentKind::Resource(read_price_forecaster(reader)),
            Self::Controller => ComponentKind::Resource(read_controller(reader)),
            Self::EconomicDispatch => ComponentKind::Market(read_economic_dispatch(reader)),
            Self::Nis => ComponentKind::Grid(read_nis(reader)),
            Self::Cis => ComponentKind::Grid(read_cis(reader)),
            Self::Grid => ComponentKind::Grid(read_grid(reader)),
            Self::NetworkStatePredictor => ComponentKind::Grid(read_predictor(reader)),
            Self::StateMonitoring => ComponentKind::Grid(read_state_monitoring(reader)),
            Self::LocalFlexibilityMarket => ComponentKind::Market(read_flexibility_market(reader)),
            Self::DroopGenerator => ComponentKind::DroopGenerator(read_droop_generator(name, reader)),
            Self::VoltageDependentLoad => {
                ComponentKind::VoltageDependentLoad(read_voltage_dependent_load(name, reader))
            }
        }
    }
}

/// A blank may be the delimiter, so the value is taken as it stands.
pub(crate) fn read_delimiter(reader: &Reader<'_>, variable: &'static str) -> char {
    let text =
        reader.verbatim(variable).filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("none"));
    let Some(text) = text else { return ',' };
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) if only.is_ascii() => only,
        _ => {
            reader.reject(variable, "one ASCII character");
            ','
        }
    }
}

/// Wire contract 6.1.
fn read_static_time_series(reader: &Reader<'_>) -> StaticTimeSeriesSettings {
    let words = [("Load", ResourceType::Load), ("Generator", ResourceType::Generator)];
    let expected = "the CSV file with the resource's states";
    StaticTimeSeriesSettings {
        resource_type: reader.required_choice("RESOURCE_TYPE", &words).unwrap_or(ResourceType::Load),
        series: SeriesFile {
            file: reader.required_text("RESOURCE_STATE_CSV_FILE", expected).into(),
            delimiter: read_delimiter(reader, "RESOURCE_STATE_CSV_DELIMITER"),
            time_zone: None,
            interpolation: Interpolation::Hold,
            time_index: TimeIndex::Ignored,
        },
        topic: read_topic(reader, "RESOURCE_STATE_TOPIC", RESOURCE_STATE_TOPIC),
    }
}

fn read_setpoint_series(reader: &Reader<'_>) -> SetpointSeriesSettings {
    SetpointSeriesSettings {
        file: reader.required_text("SETPOINT_CSV_FILE", "the CSV file with the setpoints").into(),
        delimiter: read_delimiter(reader, "SETPOINT_CSV_DELIMITER"),
    }
}

/// Wire contract 6.13, and `SEED`.
fn read_dummy(name: &str, reader: &Reader<'_>) -> DummySettings {
    const SHORTEST: &str = "MIN_SLEEP_TIME";
    let usual = DummySettings::default();
    let seconds = |variable| reader.seconds(variable, 0.0..=86_400.0);
    let chance = |variable| reader.number(variable, 0.0..=1.0).unwrap_or(0.0);
    let settings = DummySettings {
        topic: read_topic(reader, "SIMULATION_RESULT_MESSAGE_TOPIC", &usual.topic),
        min_sleep: seconds(SHORTEST).unwrap_or(usual.min_sleep),
        max_sleep: seconds("MAX_SLEEP_TIME").unwrap_or(usual.max_sleep),
        error_chance: chance("ERROR_CHANCE"),
        send_miss_chance: chance("SEND_MISS_CHANCE"),
        receive_miss_chance: chance("RECEIVE_MISS_CHANCE"),
        warning_chance: chance("WARNING_CHANCE"),
        seed: reader.whole("SEED", 0..=u64::MAX).unwrap_or(usual.seed),
    };
    if let Err(error) = Dummy::new(name, settings.clone()) {
        reader.reject(SHORTEST, format!("another, for {error}"));
    }
    settings
}

/// Wire contract 6.13.
fn read_simple(name: &str, reader: &Reader<'_>) -> SimpleSettings {
    const INPUTS: &str = "INPUT_COMPONENTS";
    let finite = |text: &str| text.parse().ok().filter(|value: &f64| value.is_finite());
    let inputs = reader.list(INPUTS);
    if let Some(input) = inputs.iter().find(|input| !is_sound(input)) {
        reader.reject(INPUTS, format!("names without blanks and `.`, `#`, `*`, unlike `{input}`"));
    }
    let settings = SimpleSettings {
        value: reader.required("SIMPLE_VALUE", "a finite number", finite).unwrap_or_default(),
        inputs,
        output_delay: reader.seconds("OUTPUT_DELAY", 0.0..=86_400.0).unwrap_or(Duration::ZERO),
        topic: read_topic(reader, "SIMPLE_TOPIC", SIMPLE_TOPIC),
    };
    if let Err(error) = SimpleComponent::new(name, settings.clone()) {
        reader.reject(INPUTS, format!("other names, for {error}"));
    }
    settings
}
