//! What the network of a SimCES run is told: NIS, CIS, Grid, NetworkStatePredictor and State Monitoring (wire contract
//! 6.7 to 6.10).

use super::Reader;
use super::common::{is_sound, read_topic};
use gridloop_grid::{
    Kind, Limits, MAX_POINTS, RESOURCES_MAX, ROOT_VOLTAGE_PU, SimcesInformation, SimcesNetwork,
    simces_monitoring,
};
use gridloop_messages::topic;
use std::collections::BTreeSet;

/// `nis`
pub(crate) fn read_nis(reader: &Reader<'_>) -> Kind {
    Kind::SimcesInformation(SimcesInformation::Nis {
        file: reader.required_text("NIS_JSON_FILE", "the JSON file with buses and branches").into(),
        bus_topic: read_topic(reader, "BUS_DATA_TOPIC", topic::NETWORK_BUS_INFO),
        component_topic: read_topic(reader, "COMPONENT_DATA_TOPIC", topic::NETWORK_COMPONENT_INFO),
    })
}

/// `cis`
pub(crate) fn read_cis(reader: &Reader<'_>) -> Kind {
    Kind::SimcesInformation(SimcesInformation::Cis {
        file: reader.required_text("CIS_JSON_FILE", "the JSON file with customers").into(),
        topic: read_topic(reader, "CIS_DATA_TOPIC", topic::CUSTOMER_INFO),
    })
}

/// `grid`
pub(crate) fn read_grid(reader: &Reader<'_>) -> Kind {
    let network = read_network(reader);
    Kind::Grid(Box::new(network.grid(read_storages(reader))))
}

/// `network-state-predictor`
pub(crate) fn read_predictor(reader: &Reader<'_>) -> Kind {
    let network = read_network(reader);
    let points_max = reader.whole("FORECAST_HORIZON", 1..=MAX_POINTS);
    Kind::NetworkStatePredictor(Box::new(network.predictor(points_max)))
}

fn read_network(reader: &Reader<'_>) -> SimcesNetwork {
    check_numerics(reader);
    SimcesNetwork {
        grid_id: read_grid_id(reader, "GRID_ID"),
        root_voltage_pu: reader.number("ROOT_BUS_VOLTAGE", 0.5..=1.5).unwrap_or(ROOT_VOLTAGE_PU),
        resource_count: read_count(reader),
        categories: read_categories(reader),
    }
}

/// They say when the sweep of the Python platform ends and what it reckons in. The power flow here ends when it balances,
/// and NIS says what per unit refers to; but a value that cannot be meant is told all the same.
fn check_numerics(reader: &Reader<'_>) {
    let _ = reader.number("POWER_FLOW_PERCISION", 0.0..=1.0);
    let _ = reader.whole("MAX_ITERATION", 1..=u32::MAX);
    let _ = reader.number("APPARENT_POWER_BASE", 1e-3..=1e9);
}

fn read_grid_id(reader: &Reader<'_>, variable: &'static str) -> String {
    let expected = "the name of the network in topics, without blanks and `.`, `,`, `#`, `*`";
    reader.required(variable, expected, |text| is_sound(text).then(|| text.to_owned())).unwrap_or_default()
}

fn read_count(reader: &Reader<'_>) -> usize {
    let expected = format!("how many resources tell their state, from 0 to {RESOURCES_MAX}");
    let count = reader.required("NUM_OF_RESOURCES", &expected, |text| {
        text.parse::<u32>().ok().filter(|count| *count <= RESOURCES_MAX)
    });
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
}

fn read_categories(reader: &Reader<'_>) -> BTreeSet<String> {
    const CATEGORIES: &str = "RESOURCE_CATEGORIES";
    reader.required_text(
        CATEGORIES,
        "categories of resources with commas between them, such as Load,Generator",
    );
    let categories = reader.list(CATEGORIES);
    check_words(reader, CATEGORIES, &categories);
    categories.into_iter().collect()
}

/// The Python platform says `empty` for none.
fn read_storages(reader: &Reader<'_>) -> BTreeSet<String> {
    const STORAGES: &str = "STORAGE_RESOURCE_LIST";
    let storages = reader.list(STORAGES);
    if matches!(&storages[..], [only] if only.eq_ignore_ascii_case("empty")) {
        return BTreeSet::new();
    }
    check_words(reader, STORAGES, &storages);
    storages.into_iter().collect()
}

/// Each word of a list can be one of a topic.
fn check_words(reader: &Reader<'_>, variable: &'static str, words: &[String]) {
    if let Some(word) = words.iter().find(|word| !is_sound(word)) {
        reader.reject(variable, format!("names without blanks and `.`, `#`, `*`, unlike `{word}`"));
    }
}

/// `state-monitoring`
pub(crate) fn read_state_monitoring(reader: &Reader<'_>) -> Kind {
    let grid_id = read_grid_id(reader, "MONITORED_GRID_NAME");
    Kind::StateMonitoring(Box::new(simces_monitoring(grid_id, read_limits(reader))))
}

fn read_limits(reader: &Reader<'_>) -> Limits {
    const VARIABLES: [&str; 6] = [
        "MAX_VOLTAGE",
        "MIN_VOLTAGE",
        "UPPER_AMBER_BAND_VOLTAGE",
        "LOWER_AMBER_BAND_VOLTAGE",
        "OVERLOADING_BASELINE",
        "AMBER_LOADING_BASELINE",
    ];
    let [highest, lowest, upper_band, lower_band, red_loading, amber_loading] = VARIABLES;
    let limits = Limits {
        max_voltage_pu: reader.required_number(highest, 0.0..=2.0),
        min_voltage_pu: reader.required_number(lowest, 0.0..=2.0),
        upper_amber_band_pu: reader.required_number(upper_band, 0.0..=1.0),
        lower_amber_band_pu: reader.required_number(lower_band, 0.0..=1.0),
        overloading_baseline: reader.required_number(red_loading, 0.01..=100.0),
        amber_loading_baseline: reader.required_number(amber_loading, 0.01..=100.0),
    };
    // Limits of which one is wrong by itself are not judged together.
    if !VARIABLES.into_iter().any(|variable| reader.is_wrong(variable)) {
        for (flaw, variable) in limits.flaws().into_iter().zip([highest, amber_loading]) {
            if let Some(expected) = flaw {
                reader.reject(variable, expected);
            }
        }
    }
    limits
}
