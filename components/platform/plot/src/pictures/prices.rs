//! Prices in force, and what the energy from the markets cost as it was dispatched.

use super::many::{Named, rank};
use crate::palette;
use crate::panel::{Line, Look, Panel};
use crate::recording::{Recording, in_force};
use crate::track::Track;
use std::collections::BTreeMap;

const HOUR_MS: f64 = 3_600_000.0;
/// What prices in EUR are shown in.
const PER_KWH: &str = "EUR/kWh";

pub(super) fn panels(recording: &Recording, height: f64) -> Vec<Panel> {
    let mut by_unit: BTreeMap<String, Vec<(String, Track, f64)>> = BTreeMap::new();
    for (market, prices) in &recording.markets {
        let (unit, scale) = match prices.unit.as_str() {
            "{EUR}/(kW.h)" => (PER_KWH.to_owned(), 1.0),
            "{EUR}/(MW.h)" => (PER_KWH.to_owned(), 0.001),
            other => (other.to_owned(), 1.0),
        };
        let track = in_force(&prices.plans, &recording.epochs);
        by_unit.entry(unit).or_default().push((market.clone(), track, scale));
    }
    let cost = by_unit.get(PER_KWH).and_then(|markets| cost(recording, markets, height * 0.8));
    let panels = by_unit.into_iter().map(|(unit, markets)| {
        let named = markets.into_iter().map(|(name, track, scale)| Named {
            name,
            steps: track.steps(&recording.epochs, scale),
            weight: 0.0,
        });
        let ranked = rank(named.collect());
        let mut panel =
            Panel { title: "Prices in force".into(), unit, lines: ranked.lines, height, ..Panel::default() };
        panel.envelopes.extend(ranked.envelope);
        panel
    });
    panels.chain(cost).collect()
}

/// The cost of what a dispatch takes from markets of which the price is known, added up from the beginning. `None`
/// where no unit of a dispatch is such a market.
fn cost(recording: &Recording, markets: &[(String, Track, f64)], height: f64) -> Option<Panel> {
    let mut of_epochs: BTreeMap<u64, (f64, bool)> = BTreeMap::new();
    for (market, prices, scale) in markets {
        let Some(plans) = recording.plans.get(market) else { continue };
        let prices: BTreeMap<u64, _> = prices.iter().collect();
        for (epoch, power) in in_force(plans, &recording.epochs).iter() {
            let (Some(price), Some(span)) = (prices.get(&epoch), recording.epochs.get(&epoch)) else {
                continue;
            };
            // The length of an epoch fits a double.
            let hours = (span.to_ms - span.from_ms) as f64 / HOUR_MS;
            let (cost, doubtful) = of_epochs.entry(epoch).or_insert((0.0, false));
            *cost += power.value * hours * price.value * scale;
            *doubtful |= power.doubtful || price.doubtful;
        }
    }
    let (mut sum, mut any_doubt, mut track) = (0.0, false, Track::default());
    for (epoch, (cost, doubtful)) in of_epochs {
        sum += cost;
        // What is added to a doubtful sum stays doubtful.
        any_doubt |= doubtful;
        track.put(epoch, sum, any_doubt);
    }
    let line = Line {
        label: "cost so far".into(),
        title: "cost so far".into(),
        colour: palette::LINES[0],
        look: Look::Plain,
        steps: track.steps(&recording.epochs, 1.0),
    };
    let title = "Energy from the markets as dispatched, at these prices, sales too".into();
    (!track.is_empty()).then(|| Panel {
        title,
        unit: "EUR".into(),
        lines: vec![line],
        height,
        ..Panel::default()
    })
}
