//! For tests: the network of the paper's grid scenario, its transformer with taps, resources of our own choice.

use crate::feeder::{Feeder, Point, Power, Site};
use gridloop_power_flow::{
    BuiltIn, BusKind, Network, PerUnitBranch, PerUnitBus, PerUnitNetwork, TapRange, Wires,
};
use std::collections::BTreeMap;

/// Name, from, to, R, X, G, rated current.
const BRANCHES: [(&str, &str, &str, f64, f64, f64, f64); 11] = [
    ("T1", "source", "1", 0.072, 0.134, 0.002_56, 1.739_13),
    ("L1", "1", "2", 0.056, 0.008, 0.0, 1.12),
    ("L2", "2", "3", 0.084, 0.007, 0.0, 0.72),
    ("L3", "3", "4", 0.054, 0.006, 0.0, 1.0),
    ("L4", "4", "5", 0.064, 0.005, 0.0, 0.72),
    ("L5", "2", "6", 0.249, 0.038, 0.0, 1.12),
    ("L6", "6", "7", 0.143, 0.002, 0.0, 0.624),
    ("L7", "1", "8", 0.016, 0.002, 0.0, 1.12),
    ("L8", "8", "9", 0.074, 0.011, 0.0, 1.12),
    ("L9", "9", "10", 0.077, 0.006, 0.0, 0.72),
    ("L10", "8", "11", 0.001, 0.0, 0.0, 0.8),
];

/// Resource and bus.
const RESOURCES: [(&str, &str); 9] = [
    ("house5", "5"),
    ("house7", "7"),
    ("house10", "10"),
    ("house11", "11"),
    ("pv5", "5"),
    ("pv7", "7"),
    ("battery7", "7"),
    ("ev10", "10"),
    ("battery10", "10"),
];

/// The network, with impedances `stretched` by this factor and taps of `step`.
pub(crate) fn feeder(stretched: f64, step: f64) -> Feeder {
    let bus = |name: &str, kind| PerUnitBus { name: name.to_owned(), base_voltage_v: 400.0, kind };
    let mut buses = vec![bus("source", BusKind::Root)];
    buses.extend((1..=11).map(|n: u8| bus(&n.to_string(), BusKind::UsagePoint)));
    let branch = |&(name, from, to, r, x, g, rated): &(&str, &str, &str, f64, f64, f64, f64)| PerUnitBranch {
        name: name.to_owned(),
        sending_bus: from.to_owned(),
        receiving_bus: to.to_owned(),
        resistance_pu: r * stretched,
        reactance_pu: x * stretched,
        shunt_conductance_pu: g,
        shunt_susceptance_pu: 0.0,
        rated_current_pu: Some(rated),
        taps: (name == "T1").then_some(TapRange { lowest: -4, highest: 4, neutral: 0, step }),
    };
    let network = PerUnitNetwork {
        base_power_va: 50_000.0,
        buses,
        branches: BRANCHES.iter().map(branch).collect(),
        root_voltage_pu: 1.0,
        wires: Wires::NeutralEarthedEverywhere,
    };
    let engine = BuiltIn::new(&Network::from_per_unit(&network).unwrap()).unwrap();
    let buses: BTreeMap<String, Site> =
        RESOURCES.iter().map(|(name, bus)| ((*name).to_owned(), Site::at(*bus))).collect();
    Feeder::new(Box::new(engine), &buses).unwrap()
}

/// What everybody does by himself at a quarter of an hour of a day, in W: sun on the roofs, and cars in the evening.
pub(crate) fn by_itself(quarter: usize) -> BTreeMap<String, f64> {
    let hour = f64::from(u32::try_from(quarter % 96).unwrap()) / 4.0;
    let sun = (1.0 - ((hour - 12.5) / 5.5).powi(2)).max(0.0);
    let evening = if (17.0..21.0).contains(&hour) { 1.0 } else { 0.0 };
    let house = -400.0 - 900.0 * evening;
    [
        ("house5", house),
        ("house7", house),
        ("house10", house),
        ("house11", house),
        ("pv5", 3_000.0 * sun),
        ("pv7", 14_000.0 * sun),
        ("ev10", if (17.5..20.5).contains(&hour) { -7_400.0 } else { 0.0 }),
        ("battery7", 0.0),
        ("battery10", 0.0),
    ]
    .map(|(name, watts)| (name.to_owned(), watts))
    .into()
}

/// The phase of a resource.
pub(crate) fn node(name: &str) -> Option<u8> {
    match name {
        "pv5" => Some(1),
        "ev10" => Some(2),
        _ => None,
    }
}

/// The point at which resources do this, in W and var.
pub(crate) fn point(feeder: &Feeder, powers: &BTreeMap<String, (f64, f64)>, position: i32) -> Point {
    let power = |(name, (real_power_w, reactive_power_var)): (&String, &(f64, f64))| {
        let power =
            Power { real_power_w: *real_power_w, reactive_power_var: *reactive_power_var, node: node(name) };
        (name.clone(), power)
    };
    let branch = feeder.taps("T1").unwrap().0;
    Point { powers: powers.iter().map(power).collect(), taps: BTreeMap::from([(branch, position)]) }
}

/// Lowest and highest voltage of all places.
pub(crate) fn extremes(feeder: &Feeder, values: &[f64]) -> (f64, f64) {
    let voltages = feeder.places().list().iter().zip(values).filter(|(place, _)| place.is_voltage());
    voltages.fold((f64::MAX, f64::MIN), |(low, high), (_, value)| (low.min(*value), high.max(*value)))
}
