//! What storages, forecasters and controllers of the Python platform are told (wire contract 6.2, 6.3, 6.4 and 6.6).
//!
//! Times without an offset are UTC there, as they are in messages.

use super::Reader;
use super::common::{is_sound, read_topic};
use super::component::read_delimiter;
use super::dispatch::duration;
use gridloop_messages::topic;
use gridloop_resources::{
    BatteryRating, ForecastResource, Interpolation, Kind, POWER_SETPOINT_TOPIC, PRICE_FORECAST_TOPIC,
    PriceForecasterSettings, RESOURCE_FORECAST_TOPIC, RESOURCE_STATE_TOPIC, ResourceForecasterSettings,
    ResourceType, SeriesFile, SimcesController, StorageMode, StorageSettings, TimeIndex, WithoutSetpoint,
    Zone,
};
use std::time::Duration;

const EXPECTED_DURATION: &str = "an ISO 8601 duration of days, hours, minutes and seconds, such as PT36H";

/// `storage`
pub(crate) fn read_storage(reader: &Reader<'_>) -> Kind {
    const CUSTOMER: &str = "CUSTOMER_ID";
    /// Of kW and kWh: a quantity that no storage has.
    const MOST: f64 = 1e12;
    let percent = |variable, usual| reader.number(variable, 0.0..=100.0).unwrap_or(usual);
    let efficiency = |variable| {
        let number = |text: &str| text.parse().ok().filter(|value: &f64| *value > 0.0 && *value <= 100.0);
        reader.parsed(variable, "a number above 0 and up to 100", number).unwrap_or(90.0)
    };
    let rated = |variable| {
        let number = |text: &str| text.parse().ok().filter(|value: &f64| *value > 0.0 && *value <= MOST);
        reader.required(variable, "a number above 0", number).unwrap_or(1.0)
    };
    let rating = BatteryRating {
        rated_energy_kwh: rated("KWH_RATED"),
        rated_power_kw: rated("KW_RATED"),
        charge_rate_percent: percent("CHARGE_RATE", 100.0),
        discharge_rate_percent: percent("DISCHARGE_RATE", 100.0),
        charge_efficiency_percent: efficiency("CHARGE_EFFICIENCY"),
        discharge_efficiency_percent: efficiency("DISCHARGE_EFFICIENCY"),
        self_discharge_percent_per_h: percent("SELF_DISCHARGE", 0.0),
        initial_state_of_charge_percent: reader.required_number("INITIAL_STATE_OF_CHARGE", 0.0..=100.0),
    };
    let delimiter = read_delimiter(reader, "RESOURCE_STATE_CSV_DELIMITER");
    let customer_id = reader.text(CUSTOMER);
    let control_topic = read_topic(reader, "CONTROL_STATE_TOPIC", POWER_SETPOINT_TOPIC);
    let mode = match reader.text("RESOURCE_STATE_CSV_FILE") {
        Some(file) => StorageMode::File(SeriesFile {
            file: file.into(),
            delimiter,
            time_zone: None,
            interpolation: Interpolation::Hold,
            time_index: TimeIndex::Ignored,
        }),
        None => {
            if customer_id.is_none() {
                reader.reject(CUSTOMER, "a name, unless RESOURCE_STATE_CSV_FILE is given");
            }
            StorageMode::Controlled {
                customer_id: customer_id.unwrap_or_default(),
                control_topic,
                without_setpoint: WithoutSetpoint::Wait,
            }
        }
    };
    let topic = read_topic(reader, "RESOURCE_STATE_TOPIC", RESOURCE_STATE_TOPIC);
    Kind::Storage(StorageSettings { rating, mode, node: reader.whole("NODE", 1..=3), topic })
}

/// `resource-forecaster`
pub(crate) fn read_resource_forecaster(reader: &Reader<'_>) -> Kind {
    const IDS: &str = "RESOURCE_FORECAST_COMPONENT_IDS";
    const TYPES: &str = "RESOURCE_TYPES";
    const UNIT: &str = "UNIT_OF_MEASURE";
    reader.required_text(IDS, "names with commas between them");
    reader.required_text(TYPES, "Load or Generator for each name, with commas between them");
    let folder =
        reader.required_text("RESOURCE_FORECAST_STATE_CSV_FOLDER", "the folder with a file for each name");
    let (names, types) = (reader.list(IDS), reader.list(TYPES));
    if let Some(name) = names.iter().find(|name| !is_sound(name)) {
        reader.reject(IDS, format!("names without blanks and `.`, `#`, `*`, unlike `{name}`"));
    }
    if let Some(other) = types.iter().find(|word| !matches!(word.as_str(), "Load" | "Generator")) {
        reader.reject(TYPES, format!("Load or Generator, unlike `{other}`"));
    } else if names.len() != types.len() {
        reader.reject(TYPES, format!("as many as {IDS} has, which is {}", names.len()));
    }
    if reader.text(UNIT).is_some_and(|unit| unit != "kW") {
        reader.reject(UNIT, "kW or nothing: no message has another unit");
    }
    // The manifest of the Python platform has it, and nothing there uses it.
    let _ = reader.text("RESOURCE_TYPE");
    let resources = names.into_iter().zip(types).map(|(name, word)| ForecastResource {
        // A prefix, as for the Python platform; without the slash that it needs it is taken for a folder as well.
        file: if folder.ends_with('/') {
            format!("{folder}{name}.csv").into()
        } else {
            format!("{folder}/{name}.csv").into()
        },
        resource_type: if word == "Load" { ResourceType::Load } else { ResourceType::Generator },
        name,
    });
    Kind::ResourceForecaster(ResourceForecasterSettings {
        resources: resources.collect(),
        delimiter: read_delimiter(reader, "RESOURCE_STATE_CSV_DELIMITER"),
        time_zone: Some(Zone::utc()),
        horizon: read_horizon(reader).unwrap_or(Duration::from_secs(36 * 3600)),
        step: None,
        topic: read_topic(reader, "RESOURCE_FORECAST_TOPIC", RESOURCE_FORECAST_TOPIC),
    })
}

/// `price-forecaster`
pub(crate) fn read_price_forecaster(reader: &Reader<'_>) -> Kind {
    let file = reader.required_text("PRICE_FORECASTER_STATE_CSV_FILE", "the CSV file with the prices");
    let horizon = reader.required("FORECAST_HORIZON", EXPECTED_DURATION, duration);
    Kind::PriceForecaster(PriceForecasterSettings {
        file: file.into(),
        delimiter: read_delimiter(reader, "PRICE_FORECASTER_STATE_CSV_DELIMITER"),
        time_zone: Some(Zone::utc()),
        horizon: horizon.unwrap_or_default(),
        step: None,
        market: None,
        topic: read_topic(reader, "PRICE_FORECAST_STATE_TOPIC", PRICE_FORECAST_TOPIC),
    })
}

/// `controller`. The first variable is spelled as the Python platform spells it.
pub(crate) fn read_controller(reader: &Reader<'_>) -> Kind {
    Kind::SimcesController(SimcesController {
        start_file: reader.text("SIMULATION_START_MESSAGE_FILENAME").map(Into::into),
        dispatch_topic: read_topic(reader, "RESOURCE_FORECASTE_STATE_DISPTCH_TOPIC", topic::DISPATCH),
        setpoint_topic: read_topic(reader, "CONTROL_STATE_POWERSETPOINT_TOPIC", POWER_SETPOINT_TOPIC),
    })
}

fn read_horizon(reader: &Reader<'_>) -> Option<Duration> {
    reader.parsed("FORECAST_HORIZON", EXPECTED_DURATION, duration)
}
