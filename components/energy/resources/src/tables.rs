//! The tables of the kinds here. Files are read with them, so that their errors are known before anything starts.

use crate::battery::BatteryRating;
use crate::controllable::{ControllableResource, ControllableSettings};
use crate::controller::ControllerSettings;
use crate::curve::Interpolation;
use crate::power_series::{SeriesFile, TimeIndex};
use crate::price_forecaster::{
    Market, NO_RESOURCE, PRICE_FORECAST_TOPIC, PriceForecaster, PriceForecasterSettings,
};
use crate::resource_forecaster::{
    ForecastResource, RESOURCE_FORECAST_TOPIC, ResourceForecaster, ResourceForecasterSettings,
};
use crate::setpoint_series::is_nameable;
use crate::stamps::Zone;
use crate::static_time_series::{
    RESOURCE_STATE_TOPIC, ResourceType, StaticTimeSeries, StaticTimeSeriesSettings,
};
use crate::storage::{POWER_SETPOINT_TOPIC, Storage, StorageMode, StorageSettings, WithoutSetpoint};
use crate::{SeriesError, SetpointSeries, SetpointSeriesSettings};
use gridloop_messages::{PriceForecastState, topic};
use gridloop_service::Section;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ABOUT_POWER: &str = "CSV: RealPower (kW), ReactivePower (kV.A{r}), CustomerId and, if wanted, Node and TimeIndex. Without TimeIndex a row is an epoch.";

/// `kind = "static-time-series"`
#[must_use]
pub fn read_static_time_series(section: &Section<'_>) -> StaticTimeSeriesSettings {
    let settings = StaticTimeSeriesSettings {
        resource_type: read_type(section),
        series: read_series(section, section.file("file", ABOUT_POWER).must_exist().required()),
        topic: RESOURCE_STATE_TOPIC.into(),
    };
    note_flaws(section, &settings.series.file, || StaticTimeSeries::new(section.name(), &settings).err());
    settings
}

/// `kind = "setpoint-series"`
#[must_use]
pub fn read_setpoint_series(section: &Section<'_>) -> SetpointSeriesSettings {
    let about = "CSV: Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage.";
    let file = section.file("file", about).must_exist().required();
    let settings = SetpointSeriesSettings { file, delimiter: read_delimiter(section) };
    note_flaws(section, &settings.file, || SetpointSeries::new(&settings).err());
    settings
}

pub(crate) fn read_storage(section: &Section<'_>) -> StorageSettings {
    let percent = |key, about, usual| section.number(key, about).within(0.0..=100.0).or(usual);
    let efficiency = |key, about| section.number(key, about).positive().at_most(100.0).or(90.0);
    let rating = BatteryRating {
        rated_energy_kwh: section
            .number("rated_energy_kwh", "Energy that it holds, in kWh.")
            .positive()
            .required(),
        rated_power_kw: section.number("rated_power_kw", "Rated power in kW.").positive().required(),
        charge_rate_percent: percent(
            "charge_rate_percent",
            "Greatest power that it takes, in % of rated power.",
            100.0,
        ),
        discharge_rate_percent: percent(
            "discharge_rate_percent",
            "Greatest power that it gives, in % of rated power.",
            100.0,
        ),
        charge_efficiency_percent: efficiency(
            "charge_efficiency_percent",
            "How much of what it takes is stored, in %.",
        ),
        discharge_efficiency_percent: efficiency(
            "discharge_efficiency_percent",
            "How much of what leaves the store is given, in %.",
        ),
        self_discharge_percent_per_h: percent(
            "self_discharge_percent_per_h",
            "What it loses by itself in an hour, in % of rated energy.",
            0.0,
        ),
        initial_state_of_charge_percent: section
            .number("initial_state_of_charge_percent", "How full it is at the beginning, in %.")
            .within(0.0..=100.0)
            .required(),
    };
    let file = section
        .file(
            "file",
            "In place of setpoints, CSV as of a static-time-series; RealPower is what is asked of it.",
        )
        .must_exist()
        .optional();
    let customer_id = section.text("customer_id", "Whom it belongs to, unless a file says it.").optional();
    let words =
        [("wait", WithoutSetpoint::Wait), ("idle", WithoutSetpoint::Idle), ("hold", WithoutSetpoint::Hold)];
    let without = section
        .text("without_setpoint", "Without a setpoint at half of the time until the deadline of a paced epoch: `wait`; `idle`, 0 kW; or `hold`, the last one again.")
        .choice(&words)
        .optional();
    // Asked for in either mode, so that a key of the other one is no unknown key.
    let series = read_series(section, file.clone().unwrap_or_default());
    let node =
        section.integer("node", "Phase 1, 2 or 3; without it all three.").within(1..=3).fits().optional();
    let mode = match (file, customer_id) {
        (Some(_), customer_id) => {
            if customer_id.is_some() {
                section.error(
                    Some("customer_id"),
                    "no such key beside `file`, which has the CustomerId",
                    None,
                );
            }
            if without.is_some() {
                section.error(Some("without_setpoint"), "no such key beside `file`", None);
            }
            StorageMode::File(series)
        }
        (None, customer_id) => {
            if customer_id.is_none() {
                section.error(None, "a `customer_id` or a `file`", None);
            }
            StorageMode::Controlled {
                customer_id: customer_id.unwrap_or_default(),
                control_topic: POWER_SETPOINT_TOPIC.into(),
                without_setpoint: without.unwrap_or_default(),
            }
        }
    };
    let settings = StorageSettings { rating, mode, node, topic: RESOURCE_STATE_TOPIC.into() };
    if let StorageMode::File(series) = &settings.mode {
        note_flaws(section, &series.file, || Storage::new(section.name(), &settings).err());
    }
    settings
}

pub(crate) fn read_controllable(section: &Section<'_>) -> ControllableSettings {
    let settings = ControllableSettings {
        resource_type: read_type(section),
        series: read_series(section, section.file("file", ABOUT_POWER).must_exist().required()),
        rated_power_kva: section
            .number(
                "rated_power_kva",
                "Rated apparent power in kV.A; real power comes first. Without it no limit.",
            )
            .positive()
            .optional(),
        setpoint_holds_epochs: section
            .integer(
                "setpoint_holds_epochs",
                "For how many epochs after its own a setpoint holds. Without it until another comes.",
            )
            .at_least(1)
            .fits()
            .optional(),
        topic: RESOURCE_STATE_TOPIC.into(),
        control_topic: POWER_SETPOINT_TOPIC.into(),
    };
    note_flaws(section, &settings.series.file, || ControllableResource::new(section.name(), &settings).err());
    settings
}

pub(crate) fn read_controller(section: &Section<'_>) -> ControllerSettings {
    let names = |key: &str, names: &[String]| {
        if let Some(name) = names.iter().find(|name| !is_nameable(name)) {
            let expected = format!("names without blanks and `.`, `,`, `#`, `*`, unlike {name:?}");
            section.error(Some(key), expected, None);
        }
    };
    let dispatchers = section
        .texts("dispatchers", "The economic dispatches whose plan it waits for in each epoch.")
        .matching(|names| if names.is_empty() { Err("it names none".to_owned()) } else { Ok(()) })
        .required();
    names("dispatchers", &dispatchers);
    let resources = section
        .texts(
            "resources",
            "The resources that it commands. Without it all that the plans name, markets too.",
        )
        .optional();
    names("resources", resources.as_deref().unwrap_or_default());
    ControllerSettings {
        dispatchers,
        resources: resources.map(|names| names.into_iter().collect()),
        dispatch_topic: topic::DISPATCH.into(),
        setpoint_topic: POWER_SETPOINT_TOPIC.into(),
    }
}

pub(crate) fn read_resource_forecaster(section: &Section<'_>) -> ResourceForecasterSettings {
    let sections = section.named_sections("resource", "A resource that is forecast, by its name.");
    let resources: Vec<ForecastResource> = sections
        .iter()
        .map(|section| ForecastResource {
            name: section.name().to_owned(),
            resource_type: read_type(section),
            file: section.file("file", "CSV: TimeIndex, RealPower (kW).").must_exist().required(),
        })
        .collect();
    if resources.is_empty() {
        section.error(None, "a table for each resource, such as `[component.NAME.resource.home1]`", None);
    }
    let settings = ResourceForecasterSettings {
        resources,
        delimiter: read_delimiter(section),
        time_zone: read_zone(section),
        horizon: read_horizon(section),
        step: read_step(section),
        topic: RESOURCE_FORECAST_TOPIC.into(),
    };
    for (section, resource) in sections.iter().zip(&settings.resources) {
        if !is_nameable(&resource.name) {
            section.error(None, "a name without blanks and `.`, `,`, `#`, `*`", None);
        }
        let alone = ResourceForecasterSettings { resources: vec![resource.clone()], ..settings.clone() };
        note_flaws(section, &resource.file, || ResourceForecaster::new(&alone).err());
    }
    settings
}

pub(crate) fn read_price_forecaster(section: &Section<'_>) -> PriceForecasterSettings {
    let [per_kwh, per_mwh] = PriceForecastState::UNITS;
    let units = [("EUR/kWh", per_kwh), ("EUR/MWh", per_mwh)];
    let name = |key: &str, about: &str| {
        section.text(key, about).matching(|name| {
            if is_nameable(name) { Ok(()) } else { Err("it has a blank, `.`, `,`, `#` or `*`".to_owned()) }
        })
    };
    let file = section
        .file("file", "CSV: TimeIndex, Price; or MarketId, UnitOfMeasure, ResourceId, Time1, Price1, Time2, Price2 and so on.")
        .must_exist()
        .required();
    let market_id = name("market_id", "The market of a file with TimeIndex and Price.").optional();
    let unit = section.text("unit", "What its prices are in.").choice(&units).optional();
    let resource_id = name("resource_id", "Which resource its prices are for.").optional();
    let pricing_type = section.text("pricing_type", "How its prices are made, such as TOU.").optional();
    if market_id.is_none() {
        let given = [
            ("unit", unit.is_some()),
            ("resource_id", resource_id.is_some()),
            ("pricing_type", pricing_type.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            section.error(Some(key), "a `market_id` beside it; a file without one says these itself", None);
        }
    } else if unit.is_none() {
        section.error(None, "a `unit` beside the `market_id`: EUR/kWh or EUR/MWh", None);
    }
    let market = market_id.map(|market_id| Market {
        market_id,
        unit: unit.unwrap_or(per_kwh),
        resource_id: resource_id.unwrap_or_else(|| NO_RESOURCE.to_owned()),
        pricing_type,
    });
    let settings = PriceForecasterSettings {
        file,
        delimiter: read_delimiter(section),
        time_zone: read_zone(section),
        horizon: read_horizon(section),
        step: read_step(section),
        market,
        topic: PRICE_FORECAST_TOPIC.into(),
    };
    note_flaws(section, &settings.file, || PriceForecaster::new(&settings).err());
    settings
}

fn read_type(section: &Section<'_>) -> ResourceType {
    let words = [("Load", ResourceType::Load), ("Generator", ResourceType::Generator)];
    section
        .text("resource_type", "Load or Generator; the middle of its topic. Signs are taken from the file.")
        .choice(&words)
        .required_option()
        .unwrap_or(ResourceType::Load)
}

fn read_series(section: &Section<'_>, file: PathBuf) -> SeriesFile {
    let words = [("hold", Interpolation::Hold), ("linear", Interpolation::Linear)];
    SeriesFile {
        file,
        delimiter: read_delimiter(section),
        time_zone: read_zone(section),
        interpolation: section
            .text(
                "interpolation",
                "Between the rows of a file with TimeIndex: `hold` the one before, or `linear`.",
            )
            .choice(&words)
            .or(Interpolation::Hold),
        time_index: section
            .text(
                "time_index",
                "A column TimeIndex: `obeyed`, rows stand for the times in it; `ignored`, for epochs, as in SimCES.",
            )
            .choice(&[("obeyed", TimeIndex::Obeyed), ("ignored", TimeIndex::Ignored)])
            .or(TimeIndex::Obeyed),
    }
}

fn read_zone(section: &Section<'_>) -> Option<Zone> {
    section
        .text("time_zone", "The IANA time zone of times in TimeIndex that have no offset.")
        .such_as("Europe/Helsinki")
        .parsed(|name| Zone::named(name).map_err(|error| error.to_string()))
        .optional()
}

fn read_horizon(section: &Section<'_>) -> Duration {
    let hours =
        section.number("horizon_h", "How far it looks ahead, in h.").positive().at_most(10_000.0).or(36.0);
    Duration::try_from_secs_f64(hours * 3600.0).unwrap_or_default()
}

fn read_step(section: &Section<'_>) -> Option<Duration> {
    section
        .duration_s("timestep_s", "From point to point, in s; without it the shortest step of the file.")
        .at_least(1.0)
        .at_most(86_400.0)
        .optional()
}

/// A file that is missing has been told already.
fn note_flaws(section: &Section<'_>, file: &Path, read: impl FnOnce() -> Option<SeriesError>) {
    if file.is_file()
        && let Some(error) = read()
    {
        section.error(Some("file"), format!("a sound file: {error}"), None);
    }
}

fn read_delimiter(section: &Section<'_>) -> char {
    let single = |text: &str| {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) if only.is_ascii() => Ok(only),
            _ => Err("it is not one ASCII character".to_owned()),
        }
    };
    section.text("delimiter", "Between the columns.").parsed(single).or(',')
}
