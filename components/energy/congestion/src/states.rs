//! What an epoch's messages say of the network and its resources: [`States`].

use crate::feeder::{Feeder, Power};
use crate::places::{Place, Quantity};
use gridloop_messages::{Body, Conductor as Phase, Message, NetworkState, PointQuality, ResourceState};
use gridloop_power_flow::Conductor;
use std::collections::{BTreeMap, BTreeSet};

/// The point of DeviceState that has the position of a tap changer.
const TAP_POSITION: &str = "tap_position";
/// Messages of one kind that are kept of one epoch.
const MOST: usize = 200_000;

/// The states of one epoch. Of what is said twice the last counts.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// Magnitudes in kV.
    voltages: BTreeMap<(String, Phase), f64>,
    /// Magnitudes at the sending end in A.
    currents: BTreeMap<(String, Phase), f64>,
    pub(crate) powers: BTreeMap<String, Power>,
    pub(crate) states_of_charge: BTreeMap<String, f64>,
    /// Resources whose state is not to be relied on.
    pub(crate) unreliable: BTreeSet<String>,
    /// By device: its position, if that is known for certain.
    pub(crate) positions: BTreeMap<String, Option<i32>>,
    /// Why the state of the network is not to be relied on.
    pub(crate) doubt: Option<String>,
}

impl States {
    /// Forgets the epoch.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes what belongs here.
    pub(crate) fn take(&mut self, topic: &str, message: &Message) {
        match &message.body {
            Body::NetworkState(state) => {
                if let Some(warning) = message.doubt() {
                    self.doubt = Some(format!("{topic} is doubtful: {}", warning.as_str()));
                }
                match state {
                    NetworkState::Voltage(it) => {
                        keep(&mut self.voltages, (it.bus.clone(), it.node), it.magnitude_kv)
                    }
                    NetworkState::Current(it) => {
                        keep(
                            &mut self.currents,
                            (it.device_id.clone(), it.phase),
                            it.magnitude_sending_end_a,
                        );
                    }
                }
            }
            Body::ResourceState(state) => {
                if let Some(name) = resource_of(topic) {
                    self.resource(name, state, message.doubt().is_some());
                }
            }
            Body::DeviceState(state) => {
                if let Some(name) = topic.split_once('.').map(|(_, name)| name) {
                    let point = state.points.iter().find(|point| point.name == TAP_POSITION);
                    let good = point.filter(|point| point.quality == PointQuality::Good);
                    keep(&mut self.positions, name.to_owned(), good.and_then(|point| whole(point.value)));
                }
            }
            _ => {}
        }
    }

    fn resource(&mut self, name: &str, state: &ResourceState, doubtful: bool) {
        let power = Power {
            real_power_w: state.real_power_kw * 1000.0,
            reactive_power_var: state.reactive_power_kvar * 1000.0,
            node: state.node,
        };
        keep(&mut self.powers, name.to_owned(), power);
        if let Some(percent) = state.state_of_charge_percent {
            keep(&mut self.states_of_charge, name.to_owned(), percent);
        }
        if doubtful {
            self.unreliable.insert(name.to_owned());
        } else {
            self.unreliable.remove(name);
        }
    }

    /// The values at the places of a feeder; else the labels of those that are missing.
    ///
    /// Some publish voltages against earth, the platform's sweep the per-unit voltage times the base between lines.
    /// Those are apart by the square root of three; the middle one of all tells which it is.
    pub(crate) fn values(&self, feeder: &Feeder) -> Result<Vec<f64>, Vec<String>> {
        let parts: Vec<Option<f64>> = feeder.places().list().iter().map(|place| self.part(place)).collect();
        let labels = feeder.places().list().iter().zip(&parts).filter(|(_, part)| part.is_none());
        let missing: Vec<String> = labels.map(|(place, _)| place.label()).collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let places = feeder.places().list().iter().zip(parts.into_iter().flatten());
        let voltages = places.clone().filter(|(place, _)| place.is_voltage()).map(|(_, part)| part);
        let scale = if is_between_lines(voltages.collect()) { 3.0_f64.sqrt().recip() } else { 1.0 };
        Ok(places.map(|(place, part)| if place.is_voltage() { part * scale } else { part }).collect())
    }

    fn part(&self, place: &Place) -> Option<f64> {
        let key = (place.name.clone(), on_wire(place.conductor));
        let value = match place.quantity {
            Quantity::Voltage { nominal_v } => self.voltages.get(&key)? * 1000.0 / nominal_v,
            Quantity::Loading { rated_a } => self.currents.get(&key)?.abs() / rated_a,
        };
        value.is_finite().then_some(value)
    }
}

/// Whether voltages, in parts of the nominal one against earth, are on the scale between lines: their middle one tells.
pub(crate) fn is_between_lines(mut parts: Vec<f64>) -> bool {
    parts.sort_by(f64::total_cmp);
    parts.get(parts.len() / 2).is_some_and(|middle| *middle > 3.0_f64.powf(0.25))
}

/// The conductor as messages call it.
pub(crate) fn on_wire(conductor: Conductor) -> Phase {
    match conductor {
        Conductor::Phase1 => Phase::Phase1,
        Conductor::Phase2 => Phase::Phase2,
        Conductor::Phase3 => Phase::Phase3,
        Conductor::Neutral => Phase::Neutral,
    }
}

/// The resource in `ResourceState.<category>.<resource>` and the like: all behind the second dot.
pub(crate) fn resource_of(topic: &str) -> Option<&str> {
    topic.splitn(3, '.').nth(2).filter(|name| !name.is_empty())
}

fn keep<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    if map.len() < MOST || map.contains_key(&key) {
        map.insert(key, value);
    }
}

/// The whole number that a point means.
pub(crate) fn whole(value: f64) -> Option<i32> {
    let text = format!("{value:.0}");
    text.parse().ok().filter(|whole| (f64::from(*whole) - value).abs() < 0.1)
}
