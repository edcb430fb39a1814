//! The table of a predictive grid optimisation.

use super::network::source;
use super::toml::Table;
use gridloop_congestion::{Kind, PredictiveLimits, PredictiveSettings};

/// `None` for what no SimCES run has.
pub(super) fn table(kind: &Kind) -> Option<Table> {
    match kind {
        Kind::Predictive(settings) => predictive(settings),
        Kind::RealTime(_) | Kind::Operational(_) => None,
    }
}

fn predictive(settings: &PredictiveSettings) -> Option<Table> {
    let table = Table::of("predictive-grid-optimization")
        .text("grid", &settings.grid)
        .text("predictor", &settings.predictor);
    let table = limits(source(table, &settings.network)?, &settings.limits)
        .number("horizon_h", settings.horizon.as_secs_f64() / 3600.0)
        .key("purchases_in_forecast", settings.purchases_in_forecast)
        .number("relative_sensitivity_percent", settings.trade.relative_sensitivity * 100.0)
        .number("flexibility_need_margin", settings.trade.flexibility_need_margin)
        .number("real_power_min_kw", settings.trade.real_power_min_kw)
        .number("bid_resolution_kw", settings.trade.bid_resolution_kw)
        .text("market", &settings.market)
        .number("opening_hour", settings.hours.opening_h)
        .number("closing_hour", settings.hours.closing_h);
    let seconds = |timeout: std::time::Duration| timeout.as_secs_f64();
    Some(
        table
            .with(settings.input_timeout.map(seconds), |table, s| table.number("input_timeout_s", s))
            .with(settings.market_timeout.map(seconds), |table, s| table.number("market_timeout_s", s)),
    )
}

fn limits(table: Table, limits: &PredictiveLimits) -> Table {
    table
        .number("min_voltage_pu", limits.min_voltage_pu)
        .number("max_voltage_pu", limits.max_voltage_pu)
        .number("lower_amber_band_pu", limits.lower_amber_band_pu)
        .number("upper_amber_band_pu", limits.upper_amber_band_pu)
        .number("max_loading", limits.max_loading)
        .number("amber_loading", limits.amber_loading)
}
