//! What resources do, are to do and are expected to do (wire contract 2.4).

use std::collections::BTreeMap;

use crate::TimeSeries;
use crate::codec::number::{KVAR, KW, PERCENT, Phase};
use crate::codec::series::Series;
use crate::codec::{MapOf, Text};
use crate::field::{FieldError, Written};
use crate::record::{optional, quoted, record, required};

/// Series that a forecast of real power has.
const REAL_POWER: &[(&str, &str)] = &[("RealPower", "kW")];

record! {
    /// What a load, generator or storage does in an epoch.
    pub struct ResourceState {
        /// The customer it belongs to; its bus comes from the CIS.
        customer_id: String = required("CustomerId", Text),
        /// Real power, positive towards the grid.
        real_power_kw: f64 = required("RealPower", KW),
        /// Reactive power, positive towards the grid.
        reactive_power_kvar: f64 = required("ReactivePower", KVAR),
        /// Phase 1, 2 or 3; absent: all three.
        node: Option<u8> = optional("Node", Phase),
        /// How full a storage is, 0 to 100; storages only.
        state_of_charge_percent: Option<f64> = optional("StateOfCharge", PERCENT),
    }
}

record! {
    /// What a resource is to do.
    pub struct PowerSetpoint {
        /// Real power, positive towards the grid.
        real_power_kw: f64 = required("RealPower", KW),
        /// Reactive power, positive towards the grid.
        reactive_power_kvar: f64 = required("ReactivePower", KVAR),
    }
}

record! {
    /// `ResourceForecastState.Power`: what a resource will probably do.
    pub struct ResourceForecast {
        /// The resource.
        resource_id: String = required("ResourceId", Text),
        /// The one series `RealPower` in kW, with two points at least.
        forecast: TimeSeries = required("Forecast", Series::only(REAL_POWER).at_least(2)),
    }
}

record! {
    /// `ResourceForecastState.Dispatch`: what resources are planned to do.
    pub struct Dispatch {
        /// A plan for each resource by name, which has the series `RealPower` in kW and may have others.
        dispatch: BTreeMap<String, TimeSeries> = required("Dispatch", MapOf(Series::with(REAL_POWER))),
    }
}

record! {
    /// What energy will probably cost.
    ///
    /// The platform's PriceForecaster sends the prices as strings; [`TimeSeries::numbers`] reads both.
    pub struct PriceForecastState before sending prices_are_known_to_consumers {
        /// The market.
        market_id: String = required("MarketId", Text),
        /// The series `Price` in `{EUR}/(kW.h)` or `{EUR}/(MW.h)`.
        prices: TimeSeries = required("Prices", Series::ANY),
        /// The resource that the prices are for.
        resource_id: Option<String> = optional("ResourceId", Text),
        /// How the prices are made, such as `TOU`.
        pricing_type: Option<String> = optional("PricingType", Text),
    }
}

impl PriceForecastState {
    /// The units of a price that the platform's economic dispatch understands.
    pub const UNITS: [&str; 2] = ["{EUR}/(kW.h)", "{EUR}/(MW.h)"];
}

/// SimCES checks nothing here; its consumers hang on any other series or unit.
fn prices_are_known_to_consumers(forecast: &PriceForecastState) -> Written {
    let wrong = |expected: String, found: String| {
        Err(FieldError::of(expected, found).inside("Price").inside("Series").inside("Prices"))
    };
    match forecast.prices.series.get("Price") {
        None => wrong("a series".to_owned(), "nothing".to_owned()),
        Some(price) if !PriceForecastState::UNITS.contains(&price.unit.as_str()) => {
            wrong(format!("the unit {}", PriceForecastState::UNITS.join(" or ")), quoted(&price.unit))
        }
        Some(price) if price.as_numbers().is_none() => {
            wrong("prices that are numbers".to_owned(), "others".to_owned())
        }
        Some(_) => Ok(()),
    }
}
