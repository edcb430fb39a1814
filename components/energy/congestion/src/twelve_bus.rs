//! For tests: the network of the paper's grid scenario, its transformer with taps, resources of our own choice.

use crate::feeder::{Feeder, Point, Power, Site};
use crate::{ResourceKind, TapChanger, Unit};
use gridloop_power_flow::samples::grid_scenario;
use gridloop_power_flow::{BuiltIn, Engine, Network, TapRange, Wires};
use std::collections::BTreeMap;

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
    feeder_of(Box::new(engine(stretched, step)))
}

/// The same with an engine of one's own.
pub(crate) fn feeder_of(engine: Box<dyn Engine>) -> Feeder {
    let buses: BTreeMap<String, Site> =
        RESOURCES.iter().map(|(name, bus)| ((*name).to_owned(), Site::at(*bus))).collect();
    Feeder::new(engine, &buses).unwrap()
}

pub(crate) fn engine(stretched: f64, step: f64) -> BuiltIn {
    let mut network = grid_scenario(Wires::NeutralEarthedEverywhere);
    network.root_voltage_pu = 1.0;
    for branch in &mut network.branches {
        branch.resistance_pu *= stretched;
        branch.reactance_pu *= stretched;
        branch.taps = (branch.name == "T1").then_some(TapRange { lowest: -4, highest: 4, neutral: 0, step });
    }
    BuiltIn::new(&Network::from_per_unit(&network).unwrap()).unwrap()
}

/// A resource with this rating, that is asked for no reactive power.
pub(crate) fn unit(name: &str, kind: ResourceKind, rated_kw: f64) -> Unit {
    Unit {
        name: name.into(),
        bus: None,
        kind,
        rated_power_w: rated_kw * 1000.0,
        rated_apparent_power_va: rated_kw * 1100.0,
        max_reactive_power_var: 0.0,
        capacity_kwh: None,
        efficiency: (0.95, 0.95),
        state_of_charge_percent: (10.0, 90.0),
    }
}

/// The tap changer of the transformer.
pub(crate) fn changer(name: &str, step: f64) -> TapChanger {
    let range = Some(TapRange { lowest: -4, highest: 4, neutral: 0, step });
    TapChanger { name: name.into(), branch: "T1".into(), range }
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
