//! What the predictive grid optimisation of a SimCES run is told (wire contract 6.12).

use super::Reader;
use super::common::is_sound;
use super::dispatch::duration;
use super::market::read_hours;
use gridloop_congestion::{Kind, PredictiveLimits, PredictiveSettings, Trade};
use gridloop_grid::{NetworkSource, ROOT_VOLTAGE_PU, Unsaid, Wires};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// RealPowerMin and BidResolution, which have no attribute.
const BID_KW: f64 = 3.0;

/// `predictive-grid-optimization`. The network is that of NIS and CIS, as the Grid has it. What was bought is in no
/// forecast, for the NetworkStatePredictor of SimCES hears of no plans.
pub(crate) fn read_predictive(reader: &Reader<'_>) -> Kind {
    let expected = "an ISO 8601 duration of days, hours, minutes and seconds, such as PT36H";
    Kind::Predictive(Box::new(PredictiveSettings {
        grid: read_name(reader, "GRID_ID", "the name of the network in topics"),
        predictor: read_name(reader, "STATE_PREDICTOR_ID", "the name of the NetworkStatePredictor"),
        network: NetworkSource::Messages(Unsaid {
            root_voltage_pu: ROOT_VOLTAGE_PU,
            wires: Wires::FourWire,
            taps: BTreeMap::new(),
        }),
        limits: read_limits(reader),
        horizon: reader.parsed("FORECAST_HORIZON", expected, duration).unwrap_or(36 * HOUR),
        purchases_in_forecast: false,
        trade: Trade {
            relative_sensitivity: reader.required_number("RELATIVE_SENSITIVITY", 0.0..=100.0) / 100.0,
            flexibility_need_margin: reader.number("FLEXIBILITY_NEED_MARGIN", -1.0..=1.0).unwrap_or(0.0),
            real_power_min_kw: BID_KW,
            bid_resolution_kw: BID_KW,
        },
        market: read_name(reader, "MARKET_ID", "the name of the local flexibility market"),
        hours: read_hours(reader),
        input_timeout: None,
        market_timeout: None,
    }))
}

fn read_name(reader: &Reader<'_>, variable: &'static str, what: &str) -> String {
    let expected = format!("{what}, without blanks and `.`, `,`, `#`, `*`");
    reader.required(variable, &expected, |text| is_sound(text).then(|| text.to_owned())).unwrap_or_default()
}

fn read_limits(reader: &Reader<'_>) -> PredictiveLimits {
    const HIGHEST: &str = "MAX_VOLTAGE";
    const AMBER: &str = "AMBER_LOADING_BASELINE";
    let band = |variable| reader.number(variable, 0.0..=0.2).unwrap_or(0.0);
    let max_loading = reader.number("OVERLOADING_BASELINE", 0.1..=5.0).unwrap_or(1.0);
    let limits = PredictiveLimits {
        max_voltage_pu: reader.required_number(HIGHEST, 1.0..=1.5),
        min_voltage_pu: reader.required_number("MIN_VOLTAGE", 0.5..=1.0),
        upper_amber_band_pu: band("UPPER_AMBER_BAND_VOLTAGE"),
        lower_amber_band_pu: band("LOWER_AMBER_BAND_VOLTAGE"),
        max_loading,
        amber_loading: reader.number(AMBER, 0.05..=5.0).unwrap_or(max_loading),
    };
    // Limits of which one is wrong by itself are not judged together.
    let voltages = [HIGHEST, "MIN_VOLTAGE", "UPPER_AMBER_BAND_VOLTAGE", "LOWER_AMBER_BAND_VOLTAGE"];
    let loadings = ["OVERLOADING_BASELINE", AMBER];
    for (variables, flaw) in [&voltages[..], &loadings[..]].into_iter().zip(limits.flaws()) {
        let is_wrong = variables.iter().any(|variable| reader.is_wrong(variable));
        if let (Some(expected), false) = (flaw, is_wrong) {
            reader.reject(if variables.contains(&HIGHEST) { HIGHEST } else { AMBER }, expected);
        }
    }
    limits
}
