//! What a predictor expects of the network: a [`ForecastInbox`] collects its messages, and makes of them what is
//! [`Expected`] at each instant.

use crate::places::{Place, Places, Quantity};
use crate::states::{is_between_lines, on_wire};
use gridloop_messages::{Body, Conductor as Phase, Message, TimeSeries, Timestamp};
use gridloop_power_flow::{
    Complex64, Conductor, Connection, Injection, Operation, Topology, VoltageDependence,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Forecasts that are kept of one epoch.
const MOST: usize = 200_000;
/// Instants that are looked at in one epoch.
const MOST_INSTANTS: usize = 10_000;

/// The network as it is expected from an instant on.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The instant.
    pub at: Timestamp,
    /// How long that holds, in minutes.
    pub duration_min: f64,
    /// The values at the places of the network, in their order; not a number where nobody knows it.
    pub values: Vec<f64>,
}

/// The forecasts of one epoch. Of what is said twice the last counts.
#[derive(Debug, Default)]
pub(super) struct ForecastInbox {
    voltages: BTreeMap<(String, Phase), TimeSeries>,
    currents: BTreeMap<(String, Phase), TimeSeries>,
    /// Why it is not to be relied on.
    pub(super) doubt: Option<String>,
}

/// Values by instant.
type Points = BTreeMap<Timestamp, f64>;

impl ForecastInbox {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes what belongs here.
    pub(super) fn take(&mut self, topic: &str, message: &Message) {
        let (map, key, series) = match &message.body {
            Body::VoltageForecast(it) => (&mut self.voltages, (it.bus.clone(), it.node), &it.forecast),
            Body::CurrentForecast(it) => (&mut self.currents, (it.device_id.clone(), it.phase), &it.forecast),
            _ => return,
        };
        if map.len() < MOST || map.contains_key(&key) {
            map.insert(key, series.clone());
        }
        if let Some(warning) = message.doubt() {
            self.doubt = Some(format!("{topic} is doubtful: {}", warning.as_str()));
        }
    }

    /// The places whose forecast has not come.
    pub(super) fn missing(&self, places: &Places) -> Vec<String> {
        let missing = places.list().iter().filter(|place| self.series(place).is_none());
        missing.map(|place| format!("forecast of {}", place.label())).collect()
    }

    fn series(&self, place: &Place) -> Option<&TimeSeries> {
        let map = if place.is_voltage() { &self.voltages } else { &self.currents };
        map.get(&(place.name.clone(), on_wire(place.conductor)))
    }

    /// What is expected at every instant in `[from, to)`, and the places of which something is not known.
    pub(super) fn expected(
        &self,
        topology: &Topology,
        places: &Places,
        [from, to]: [Timestamp; 2],
        epoch_length: Duration,
    ) -> (Vec<Expected>, BTreeSet<String>) {
        let read = |place: &Place| {
            let name = if place.is_voltage() { "Magnitude" } else { "MagnitudeSendingEnd" };
            self.series(place).map(|series| points(series, name)).unwrap_or_default()
        };
        let series: Vec<Points> = places.list().iter().map(read).collect();
        let all: BTreeSet<Timestamp> = series.iter().flat_map(|points| points.keys().copied()).collect();
        let durations = durations_min(&all, epoch_length);
        let scale = self.scale(topology);
        let mut unknown = BTreeSet::new();
        let within = durations.into_iter().filter(|(at, _)| (from..to).contains(at)).take(MOST_INSTANTS);
        let expected = within.map(|(at, duration_min)| {
            let value = |(place, points): (&Place, &Points)| match (points.get(&at), place.quantity) {
                (Some(kv), Quantity::Voltage { nominal_v }) => kv * scale * 1_000.0 / nominal_v,
                (Some(amperes), Quantity::Loading { rated_a }) => amperes.abs() / rated_a,
                (None, _) => {
                    unknown.insert(place.label());
                    f64::NAN
                }
            };
            let values = places.list().iter().zip(&series).map(value).collect();
            Expected { at, duration_min, values }
        });
        (expected.collect(), unknown)
    }

    /// By what magnitudes are multiplied to be voltages against earth.
    fn scale(&self, topology: &Topology) -> f64 {
        let parts = topology.buses.iter().flat_map(|bus| {
            let nominal_kv = bus.base_voltage_v / 3.0_f64.sqrt() / 1_000.0;
            let phases = Conductor::PHASES.map(|phase| (bus.name.clone(), on_wire(phase)));
            let series = phases.into_iter().filter_map(|key| self.voltages.get(&key));
            series.flat_map(move |it| points(it, "Magnitude").into_values().map(move |kv| kv / nominal_kv))
        });
        if is_between_lines(parts.collect()) { 3.0_f64.sqrt().recip() } else { 1.0 }
    }

    /// What feeds in and draws so that the network comes to be like that: what flows into the branches at a bus comes
    /// from there. Where currents at a bus are not told, nothing is known of it.
    pub(super) fn operation(&self, topology: &Topology, at: Timestamp) -> Operation {
        let scale = self.scale(topology);
        let voltage = |bus: usize, conductor: Conductor| {
            let key = (topology.buses.get(bus)?.name.clone(), on_wire(conductor));
            phasor(self.voltages.get(&key)?, "Magnitude", "Angle", at).map(|kv| kv * scale * 1_000.0)
        };
        let mut injections = Vec::new();
        for bus in 0..topology.buses.len() {
            if topology.buses.get(bus).is_none_or(|info| info.is_source) {
                continue;
            }
            for conductor in Conductor::PHASES {
                let neutral = voltage(bus, Conductor::Neutral).unwrap_or_default();
                let (Some(against_earth), Some(current)) =
                    (voltage(bus, conductor), self.current_from(topology, bus, conductor, at))
                else {
                    continue;
                };
                let power = (against_earth - neutral) * current.conj();
                injections.push(Injection {
                    bus,
                    connection: Connection::Phase(conductor),
                    real_power_w: power.re,
                    reactive_power_var: power.im,
                    dependence: VoltageDependence::ConstantPower,
                });
            }
        }
        let sources: Vec<usize> = (0..topology.buses.len())
            .filter(|bus| topology.buses.get(*bus).is_some_and(|info| info.is_source))
            .collect();
        let source_voltage_pu = match sources.as_slice() {
            [only] => voltage(*only, Conductor::Phase1).and_then(|volts| {
                let nominal_v = topology.buses.get(*only)?.base_voltage_v / 3.0_f64.sqrt();
                Some(volts.norm() / nominal_v)
            }),
            _ => None,
        };
        Operation { injections, tap_positions: BTreeMap::new(), source_voltage_pu }
    }

    /// The current that a bus gives to its branches on one conductor, in A.
    fn current_from(
        &self,
        topology: &Topology,
        bus: usize,
        conductor: Conductor,
        at: Timestamp,
    ) -> Option<Complex64> {
        let mut sum = Complex64::default();
        for branch in topology.branches.iter().filter(|branch| branch.conductors.contains(&conductor)) {
            let end = match (branch.sending_bus == bus, branch.receiving_bus == bus) {
                (true, _) => ("MagnitudeSendingEnd", "AngleSendingEnd"),
                (_, true) => ("MagnitudeReceivingEnd", "AngleReceivingEnd"),
                _ => continue,
            };
            let series = self.currents.get(&(branch.name.clone(), on_wire(conductor)))?;
            sum += phasor(series, end.0, end.1, at)?;
        }
        Some(sum)
    }
}

/// The finite values of a series, by instant.
fn points(series: &TimeSeries, name: &str) -> Points {
    let Some(numbers) = series.numbers(name) else { return Points::new() };
    let points = series.time_index.iter().copied().zip(numbers.iter().copied());
    points.filter(|(_, value)| value.is_finite()).collect()
}

fn phasor(series: &TimeSeries, magnitude: &str, angle_deg: &str, at: Timestamp) -> Option<Complex64> {
    let position = series.time_index.iter().rposition(|time| *time == at)?;
    let number = |name| series.numbers(name)?.get(position).copied().filter(|value| value.is_finite());
    Some(Complex64::from_polar(number(magnitude)?, number(angle_deg)?.to_radians()))
}

/// How long each instant holds: until the next, the last one as long as the one before it; a single one for an epoch.
fn durations_min(instants: &BTreeSet<Timestamp>, epoch_length: Duration) -> Vec<(Timestamp, f64)> {
    let minutes =
        |from: Timestamp, to: Timestamp| (to.as_datetime() - from.as_datetime()).as_seconds_f64() / 60.0;
    let mut last_min = epoch_length.as_secs_f64() / 60.0;
    let mut instants = instants.iter().copied().peekable();
    let mut durations = Vec::new();
    while let Some(at) = instants.next() {
        if let Some(next) = instants.peek() {
            last_min = minutes(at, *next);
        }
        durations.push((at, last_min));
    }
    durations
}
