//! What a local flexibility market of a SimCES run is told (wire contract 6.11). Its variables are named like the
//! attributes.

use super::Reader;
use super::common::is_sound;
use gridloop_markets::{FlexibilityMarketSettings, Kind, OpeningHours};
use std::collections::BTreeSet;

/// The last hour of a day.
const LAST_HOUR: f64 = 23.0;

/// `local-flexibility-market`. The hours that nothing is said of are open.
pub(crate) fn read_flexibility_market(reader: &Reader<'_>) -> Kind {
    const CLOSING: &str = "MarketClosingTime";
    let opening_h = reader.number("MarketOpeningTime", 0.0..=LAST_HOUR).unwrap_or(0.0);
    // Midnight is written 24 too; no epoch begins in that hour.
    let closing_h = reader.number(CLOSING, 0.0..=24.0).unwrap_or(LAST_HOUR).min(LAST_HOUR);
    if closing_h < opening_h {
        reader.reject(CLOSING, "an hour that is not before MarketOpeningTime, in UTC");
    }
    Kind::FlexibilityMarket(FlexibilityMarketSettings {
        hours: OpeningHours { opening_h, closing_h },
        providers: read_names(reader, "FlexibilityProviderList"),
        procurers: read_names(reader, "FlexibilityProcurerList"),
        offers_within: None,
    })
}

/// Names of components, each once.
fn read_names(reader: &Reader<'_>, variable: &'static str) -> Vec<String> {
    let names = reader.list(variable);
    if let Some(name) = names.iter().find(|name| !is_sound(name)) {
        reader.reject(variable, format!("names without blanks and `.`, `#`, `*`, unlike `{name}`"));
    }
    let different: BTreeSet<&String> = names.iter().collect();
    if different.len() < names.len() {
        reader.reject(variable, "each name once");
    }
    names
}
