//! The tables of a network and of those who tell or watch it.

use super::Converter;
use super::toml::{Table, list};
use gridloop_grid::{Awaited, Kind, Limits, NetworkSource, SimcesInformation, Unsaid, Wires};
use gridloop_messages::topic;
use std::time::Duration;

/// `None` where a topic is another than the usual one.
pub(super) fn table(kind: &Kind, converter: &Converter<'_>) -> Option<Table> {
    Some(match kind {
        Kind::SimcesInformation(SimcesInformation::Nis { file, bus_topic, component_topic }) => {
            let usual =
                bus_topic == topic::NETWORK_BUS_INFO && component_topic == topic::NETWORK_COMPONENT_INFO;
            let table = Table::of("nis").text("file", &converter.file(file));
            return usual.then_some(table);
        }
        Kind::SimcesInformation(SimcesInformation::Cis { file, topic }) => {
            let table = Table::of("cis").text("file", &converter.file(file));
            return (topic == topic::CUSTOMER_INFO).then_some(table);
        }
        Kind::Grid(settings) => {
            let table = Table::of("grid").text("grid", &settings.grid_id);
            let table = awaited(source(table, &settings.source)?, &settings.awaited);
            timeout(table, settings.input_timeout)
        }
        Kind::NetworkStatePredictor(settings) => {
            let table = Table::of("network-state-predictor").text("grid", &settings.grid_id);
            let table = awaited(source(table, &settings.source)?, &settings.awaited)
                .with(settings.points_max, |table, points| table.key("points_max", points));
            timeout(table, settings.input_timeout)
        }
        Kind::StateMonitoring(settings) => {
            let table = Table::of("state-monitoring").text("grid", &settings.grid_id);
            let table = limits(source(table, &settings.source)?, &settings.limits)
                .number("grace_s", settings.grace.as_secs_f64());
            timeout(table, settings.input_timeout)
        }
        Kind::Information(_) => return None,
    })
}

/// What NIS does not say of the network; `None` for a network that is not told by NIS.
fn source(table: Table, source: &NetworkSource) -> Option<Table> {
    let NetworkSource::Messages(Unsaid { root_voltage_pu, wires, .. }) = source else { return None };
    let neutral = match wires {
        Wires::FourWire => "four-wire",
        Wires::NeutralEarthedEverywhere => "earthed",
    };
    Some(table.number("root_voltage_pu", *root_voltage_pu).text("neutral", neutral))
}

fn awaited(table: Table, awaited: &Awaited) -> Table {
    let storages = (!awaited.storages.is_empty()).then_some(&awaited.storages);
    table
        .with(awaited.count, |table, count| table.key("resource_count", count))
        .key("categories", list(awaited.categories.iter()))
        .with(storages, |table, storages| table.texts("storages", storages))
}

fn limits(table: Table, limits: &Limits) -> Table {
    table
        .number("min_voltage_pu", limits.min_voltage_pu)
        .number("max_voltage_pu", limits.max_voltage_pu)
        .number("lower_amber_band_pu", limits.lower_amber_band_pu)
        .number("upper_amber_band_pu", limits.upper_amber_band_pu)
        .number("overloading_baseline", limits.overloading_baseline)
        .number("amber_loading_baseline", limits.amber_loading_baseline)
}

fn timeout(table: Table, timeout: Duration) -> Table {
    table.number("input_timeout_s", timeout.as_secs_f64())
}
