//! The tables of resources, forecasters and controllers.

use super::Converter;
use super::toml::Table;
use gridloop_messages::topic;
use gridloop_resources::{
    ControllerSettings, Kind, POWER_SETPOINT_TOPIC, PRICE_FORECAST_TOPIC, PriceForecasterSettings,
    RESOURCE_FORECAST_TOPIC, RESOURCE_STATE_TOPIC, ResourceForecasterSettings, ResourceType, SeriesFile,
    SetpointSeriesSettings, StaticTimeSeriesSettings, StorageMode, StorageSettings, TimeIndex,
};

/// `None` where its topic is another than the usual one.
pub(super) fn static_time_series(
    settings: &StaticTimeSeriesSettings,
    converter: &Converter<'_>,
) -> Option<Table> {
    let usual = settings.topic == RESOURCE_STATE_TOPIC;
    let table = Table::of("static-time-series").text("resource_type", word(settings.resource_type));
    usual.then(|| series(table, &settings.series, converter))
}

pub(super) fn setpoint_series(settings: &SetpointSeriesSettings, converter: &Converter<'_>) -> Table {
    let table = Table::of("setpoint-series").text("file", &converter.file(&settings.file));
    delimiter(table, settings.delimiter)
}

/// `None` where a topic is another than the usual one.
///
/// # Errors
/// A controller that has nothing to do.
pub(super) fn resource(kind: &Kind, converter: &Converter<'_>) -> Result<Option<Table>, String> {
    Ok(match kind {
        Kind::Storage(settings) => storage(settings, converter),
        Kind::ResourceForecaster(settings) => resource_forecaster(settings, converter),
        Kind::PriceForecaster(settings) => price_forecaster(settings, converter),
        Kind::SimcesController(simces) => {
            controller(&simces.obeying(converter.names_of("EconomicDispatch")))?
        }
        Kind::Controller(_) | Kind::Controllable(_) => None,
    })
}

fn word(resource_type: ResourceType) -> &'static str {
    match resource_type {
        ResourceType::Load => "Load",
        ResourceType::Generator => "Generator",
    }
}

/// A file of power. What SimCES passes over is passed over here too.
fn series(table: Table, series: &SeriesFile, converter: &Converter<'_>) -> Table {
    let ignored = (series.time_index == TimeIndex::Ignored).then_some("ignored");
    let table = table.text("file", &converter.file(&series.file));
    delimiter(table, series.delimiter).with(ignored, |table, word| table.text("time_index", word))
}

fn delimiter(table: Table, delimiter: char) -> Table {
    let unusual = (delimiter != ',').then_some(delimiter);
    table.with(unusual, |table, delimiter| table.text("delimiter", &delimiter.to_string()))
}

fn storage(settings: &StorageSettings, converter: &Converter<'_>) -> Option<Table> {
    let rating = settings.rating;
    let table = Table::of("storage")
        .number("rated_energy_kwh", rating.rated_energy_kwh)
        .number("rated_power_kw", rating.rated_power_kw)
        .number("charge_rate_percent", rating.charge_rate_percent)
        .number("discharge_rate_percent", rating.discharge_rate_percent)
        .number("charge_efficiency_percent", rating.charge_efficiency_percent)
        .number("discharge_efficiency_percent", rating.discharge_efficiency_percent)
        .number("self_discharge_percent_per_h", rating.self_discharge_percent_per_h)
        .number("initial_state_of_charge_percent", rating.initial_state_of_charge_percent)
        .with(settings.node, |table, node| table.key("node", node));
    let (table, usual) = match &settings.mode {
        StorageMode::Controlled { customer_id, control_topic, .. } => {
            (table.text("customer_id", customer_id), control_topic == POWER_SETPOINT_TOPIC)
        }
        StorageMode::File(file) => (series(table, file, converter), true),
    };
    (usual && settings.topic == RESOURCE_STATE_TOPIC).then_some(table)
}

fn resource_forecaster(settings: &ResourceForecasterSettings, converter: &Converter<'_>) -> Option<Table> {
    let usual = settings.topic == RESOURCE_FORECAST_TOPIC;
    let table = Table::of("resource-forecaster").text("time_zone", "UTC");
    let table = table.number("horizon_h", settings.horizon.as_secs_f64() / 3600.0);
    let table = settings.resources.iter().fold(delimiter(table, settings.delimiter), |table, resource| {
        let below = Table::new()
            .text("resource_type", word(resource.resource_type))
            .text("file", &converter.file(&resource.file));
        table.below("resource", &resource.name, below)
    });
    usual.then_some(table)
}

fn price_forecaster(settings: &PriceForecasterSettings, converter: &Converter<'_>) -> Option<Table> {
    let usual = settings.topic == PRICE_FORECAST_TOPIC;
    let table = Table::of("price-forecaster")
        .text("file", &converter.file(&settings.file))
        .text("time_zone", "UTC")
        .number("horizon_h", settings.horizon.as_secs_f64() / 3600.0);
    usual.then(|| delimiter(table, settings.delimiter))
}

fn controller(settings: &ControllerSettings) -> Result<Option<Table>, String> {
    if settings.dispatchers.is_empty() {
        return Err("the run has no EconomicDispatch, so it would do nothing; leave it out".to_owned());
    }
    let usual = settings.dispatch_topic == topic::DISPATCH && settings.setpoint_topic == POWER_SETPOINT_TOPIC;
    Ok(usual.then(|| Table::of("controller").texts("dispatchers", &settings.dispatchers)))
}
