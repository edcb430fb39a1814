//! What pictures are made of: [`Recording`] takes the epochs and the messages of a run.

use crate::track::{Span, Track};
use gridloop_messages::{
    Body, BranchCurrent, BusVoltage, Conductor, Decoded, DeviceState, Dispatch, DmsVoltage, IterationStatus,
    Message, NetworkBusInfo, NetworkComponentInfo, NetworkState, PointQuality, PriceForecastState,
    ResourceState, TimeSeries, Timestamp, Warning, decode,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Whether a warning is about the values of its message. What was asked for and moved to a limit makes no value less true:
/// `warning.input-range`, which SimCES also spells with a second dot.
fn casts_doubt(warning: &Warning) -> bool {
    !["warning.input-range", "warning.input.range"].iter().any(|range| warning.as_str().starts_with(range))
}

/// The types of message that are drawn; others are not looked at.
const DRAWN: [&str; 10] = [
    "NetworkState",
    "ResourceState",
    "ControlState.PowerSetpoint",
    "ControlState.TapPosition",
    "DeviceState",
    "PriceForecastState",
    "ResourceForecastState.Dispatch",
    "DMSNetworkStatus.Voltage",
    "Init.NIS.NetworkBusInfo",
    "Init.NIS.NetworkComponentInfo",
];

/// The values of a run by what they are of.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    pub(crate) epochs: BTreeMap<u64, Span>,
    /// kV, by bus and conductor.
    pub(crate) voltages: BTreeMap<(Place, Conductor), Track>,
    /// A, the larger one of both ends, by branch and conductor.
    pub(crate) currents: BTreeMap<(Place, Conductor), Track>,
    /// Base of the voltage of each bus, kV.
    pub(crate) buses_kv: BTreeMap<String, f64>,
    pub(crate) branches: BTreeMap<String, Branch>,
    pub(crate) resources: BTreeMap<String, Resource>,
    /// Tap positions as devices tell them.
    pub(crate) taps: BTreeMap<String, Track>,
    /// Tap positions as they were asked for.
    pub(crate) taps_asked: BTreeMap<String, Track>,
    pub(crate) markets: BTreeMap<String, Market>,
    /// The plan of each unit of a dispatch, kW, by epoch.
    pub(crate) plans: BTreeMap<String, BTreeMap<u64, Plan>>,
    /// The first voltage above and the first below a limit.
    pub(crate) violations: [Option<Violation>; 2],
    unreadable: u64,
}

/// A bus or branch of one of the networks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The GridId of its topic.
    pub(crate) grid: String,
    pub(crate) name: String,
}

/// A voltage that was judged unacceptable.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) epoch: u64,
    pub(crate) bus: String,
    pub(crate) conductor: Conductor,
    /// How far beyond the limit, pu; negative below.
    pub(crate) beyond_pu: f64,
}

/// A branch of the network.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) sending_bus: String,
    pub(crate) rated_current_pu: f64,
    pub(crate) power_base_kva: f64,
}

/// What a resource does and is to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resource {
    pub(crate) category: String,
    pub(crate) real_kw: Track,
    pub(crate) reactive_kvar: Track,
    pub(crate) charge_percent: Track,
    pub(crate) real_asked_kw: Track,
    pub(crate) reactive_asked_kvar: Track,
}

/// The prices of a market.
#[derive(Debug, Clone, Default)]
pub(crate) struct Market {
    pub(crate) unit: String,
    pub(crate) plans: BTreeMap<u64, Plan>,
}

/// Values over time as one message has them.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// By time, milliseconds since 1970.
    points: Vec<(i64, f64)>,
    doubtful: bool,
}

impl Plan {
    fn new(series: &TimeSeries, name: &str, doubtful: bool) -> Option<Self> {
        let numbers = series.numbers(name)?;
        let times = series.time_index.iter().map(|time| millis(*time));
        let mut points: Vec<(i64, f64)> = times.zip(numbers.iter().copied()).collect();
        points.sort_by_key(|(time, _)| *time);
        Some(Self { points, doubtful })
    }

    /// The value in force at an instant: of the last point that is not later. The last value holds as long as the one
    /// before it did, a single one for ever.
    fn at(&self, time_ms: i64) -> Option<f64> {
        let behind = self.points.partition_point(|(time, _)| *time <= time_ms);
        let (from, value) = *self.points.get(behind.checked_sub(1)?)?;
        let before = behind.checked_sub(2).and_then(|index| self.points.get(index));
        if let (true, Some((before, _))) = (behind == self.points.len(), before)
            && time_ms.saturating_sub(from) >= from.saturating_sub(*before)
        {
            return None;
        }
        Some(value)
    }
}

/// What was in force at the beginning of each epoch: of the newest plan there was.
pub(crate) fn in_force(plans: &BTreeMap<u64, Plan>, epochs: &BTreeMap<u64, Span>) -> Track {
    let mut track = Track::default();
    for (epoch, span) in epochs {
        if let Some((_, plan)) = plans.range(..=epoch).next_back()
            && let Some(value) = plan.at(span.from_ms)
        {
            track.put(*epoch, value, plan.doubtful);
        }
    }
    track
}

impl Recording {
    /// Notes when an epoch begins and ends. One that does not end after it begins is passed over.
    pub fn epoch(&mut self, number: u64, start: Timestamp, end: Timestamp) {
        let (from_ms, to_ms) = (millis(start), millis(end));
        if from_ms < to_ms {
            self.epochs.insert(number, Span { from_ms, to_ms });
        }
    }

    /// Takes a message in its stored form (wire contract 5.1). Of what belongs to one epoch and one thing the last
    /// message counts; intermediate results of iterations do not.
    pub fn take(&mut self, document: Map<String, Value>) {
        if !document.get("Type").and_then(Value::as_str).is_some_and(|name| DRAWN.contains(&name)) {
            return;
        }
        let topic = document.get("Topic").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Ok(Decoded::Message(message)) = serde_json::to_vec(&document)
            .map_err(|_| ())
            .and_then(|body| decode(&body, Timestamp::from(chrono::DateTime::UNIX_EPOCH)).map_err(|_| ()))
        else {
            self.unreadable += 1;
            return;
        };
        self.note(&topic, message);
    }

    /// Messages that could not be understood although the log holds them valid.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// How many epochs have a time.
    #[must_use]
    pub fn epoch_count(&self) -> usize {
        self.epochs.len()
    }

    fn note(&mut self, topic: &str, message: Message) {
        let Some(header) = message.header.epoch else { return };
        if header.iteration_status == Some(IterationStatus::Intermediate) {
            return;
        }
        let (epoch, doubtful) = (header.epoch_number, header.warnings.iter().any(casts_doubt));
        // Only the topic says which resource it is of: names have dots in no topic of the contract.
        let last = topic.rsplit('.').next().unwrap_or_default();
        let grid = topic.split('.').nth(1).unwrap_or_default();
        match message.body {
            Body::NetworkState(NetworkState::Voltage(voltage)) => {
                self.voltage(epoch, doubtful, grid, voltage)
            }
            Body::NetworkState(NetworkState::Current(current)) => {
                self.current(epoch, doubtful, grid, current)
            }
            Body::ResourceState(state) => self.resource(epoch, doubtful, topic, &state),
            Body::PowerSetpoint(setpoint) => {
                let resource = self.resources.entry(last.to_owned()).or_default();
                resource.real_asked_kw.put(epoch, setpoint.real_power_kw, doubtful);
                resource.reactive_asked_kvar.put(epoch, setpoint.reactive_power_kvar, doubtful);
            }
            Body::TapPosition(asked) => {
                let track = self.taps_asked.entry(last.to_owned()).or_default();
                track.put(epoch, f64::from(asked.tap_position), doubtful);
            }
            Body::DeviceState(state) => self.device(epoch, doubtful, state),
            Body::PriceForecastState(prices) => self.prices(epoch, doubtful, *prices),
            Body::Dispatch(dispatch) => self.dispatch(epoch, doubtful, dispatch),
            Body::DmsVoltage(judgement) => self.judged(epoch, judgement),
            Body::NetworkBusInfo(info) => self.buses(info),
            Body::NetworkComponentInfo(info) => self.components(&info),
            _ => {}
        }
    }

    fn voltage(&mut self, epoch: u64, doubtful: bool, grid: &str, voltage: BusVoltage) {
        let place = Place { grid: grid.to_owned(), name: voltage.bus };
        let track = self.voltages.entry((place, voltage.node)).or_default();
        track.put(epoch, voltage.magnitude_kv, doubtful);
    }

    fn current(&mut self, epoch: u64, doubtful: bool, grid: &str, current: BranchCurrent) {
        let place = Place { grid: grid.to_owned(), name: current.device_id };
        let larger = current.magnitude_sending_end_a.max(current.magnitude_receiving_end_a);
        let track = self.currents.entry((place, current.phase)).or_default();
        track.put(epoch, larger, doubtful);
    }

    fn resource(&mut self, epoch: u64, doubtful: bool, topic: &str, state: &ResourceState) {
        let mut parts = topic.splitn(3, '.').skip(1);
        let (category, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let resource = self.resources.entry(name.to_owned()).or_default();
        if resource.category.is_empty() {
            category.clone_into(&mut resource.category);
        }
        resource.real_kw.put(epoch, state.real_power_kw, doubtful);
        resource.reactive_kvar.put(epoch, state.reactive_power_kvar, doubtful);
        if let Some(charge) = state.state_of_charge_percent {
            resource.charge_percent.put(epoch, charge, doubtful);
        }
    }

    fn device(&mut self, epoch: u64, doubtful: bool, state: DeviceState) {
        if let Some(point) = state.points.iter().find(|point| point.name == "tap_position") {
            let doubtful = doubtful || point.quality != PointQuality::Good;
            self.taps.entry(state.device_id).or_default().put(epoch, point.value, doubtful);
        }
    }

    fn prices(&mut self, epoch: u64, doubtful: bool, prices: PriceForecastState) {
        let Some(plan) = Plan::new(&prices.prices, "Price", doubtful) else { return };
        let unit = prices.prices.series.get("Price").map(|price| price.unit.clone()).unwrap_or_default();
        let market = self.markets.entry(prices.market_id).or_default();
        market.unit = unit;
        market.plans.insert(epoch, plan);
    }

    fn dispatch(&mut self, epoch: u64, doubtful: bool, dispatch: Dispatch) {
        for (unit, series) in dispatch.dispatch {
            if let Some(plan) = Plan::new(&series, "RealPower", doubtful) {
                self.plans.entry(unit).or_default().insert(epoch, plan);
            }
        }
    }

    fn judged(&mut self, epoch: u64, judgement: DmsVoltage) {
        for status in judgement.voltage_status {
            let beyond_pu = status.violation;
            let conductor = match status.node {
                1 => Conductor::Phase1,
                2 => Conductor::Phase2,
                _ => Conductor::Phase3,
            };
            let [above, below] = &mut self.violations;
            let first = if beyond_pu > 0.0 { above } else { below };
            if beyond_pu != 0.0 && first.is_none() {
                *first = Some(Violation { epoch, bus: status.bus_name, conductor, beyond_pu });
            }
        }
    }

    fn buses(&mut self, info: NetworkBusInfo) {
        let bases = info.bus_name.into_iter().zip(info.bus_voltage_base_kv);
        self.buses_kv.extend(bases.filter(|(_, base)| *base > 0.0));
    }

    fn components(&mut self, info: &NetworkComponentInfo) {
        let ends = info.device_id.iter().zip(&info.sending_end_bus);
        for ((name, bus), rating) in ends.zip(&info.rated_current_pu) {
            let branch = Branch {
                sending_bus: bus.clone(),
                rated_current_pu: *rating,
                power_base_kva: info.power_base_kva,
            };
            self.branches.insert(name.clone(), branch);
        }
    }

    /// What a bus or branch is called; where the run has several networks, with that of its own.
    pub(crate) fn called(&self, place: &Place) -> String {
        // Places are in the order of their networks.
        let (voltages, currents) = (&self.voltages, &self.currents);
        let ends = [
            voltages.keys().next(),
            voltages.keys().next_back(),
            currents.keys().next(),
            currents.keys().next_back(),
        ];
        match ends.into_iter().flatten().any(|(other, _)| other.grid != place.grid) {
            true => format!("{}: {}", place.grid, place.name),
            false => place.name.clone(),
        }
    }

    /// The voltage of a bus, if one network alone has a bus of that name.
    pub(crate) fn only_voltage(&self, bus: &str, conductor: Conductor) -> Option<&Track> {
        let mut found = self.voltages.iter().filter(|((place, of), _)| place.name == bus && *of == conductor);
        let (_, track) = found.next()?;
        found.next().is_none().then_some(track)
    }

    /// The rated current of a branch in A, on the base of its sending bus.
    pub(crate) fn rating_a(&self, branch: &str) -> Option<f64> {
        let branch = self.branches.get(branch)?;
        let base_kv = self.buses_kv.get(&branch.sending_bus)?;
        let rating = branch.rated_current_pu * branch.power_base_kva / (3.0_f64.sqrt() * base_kv);
        (rating.is_finite() && rating > 0.0).then_some(rating)
    }

    /// The whole time of the run, if it has any epoch.
    pub(crate) fn range(&self) -> Option<Span> {
        let from_ms = self.epochs.values().map(|span| span.from_ms).min()?;
        let to_ms = self.epochs.values().map(|span| span.to_ms).max()?;
        Some(Span { from_ms, to_ms })
    }
}

fn millis(time: Timestamp) -> i64 {
    time.as_datetime().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(points: &[(i64, f64)]) -> Plan {
        Plan { points: points.to_vec(), doubtful: false }
    }

    #[test]
    fn a_price_holds_from_its_instant_on_and_the_last_as_long_as_the_one_before() {
        let prices = plan(&[(0, 1.0), (10, 2.0), (20, 3.0)]);
        let found: Vec<_> = [-1, 0, 9, 10, 29, 30].map(|at| prices.at(at)).into();
        assert_eq!(found, [None, Some(1.0), Some(1.0), Some(2.0), Some(3.0), None]);
        assert_eq!(plan(&[(0, 1.0)]).at(1_000_000), Some(1.0));
        assert_eq!(plan(&[]).at(0), None);
    }

    #[test]
    fn a_setpoint_that_was_limited_makes_no_measured_value_doubtful() {
        let doubt = |text| casts_doubt(&Warning::parse(text).unwrap());
        assert!(doubt("warning.input-unreliable: stale") && doubt("warning.other") && doubt("warning.input"));
        assert!(!doubt("warning.input-range: ramp") && !doubt("warning.input.range"));
    }

    #[test]
    fn in_each_epoch_the_newest_forecast_counts() {
        let epochs = (0..3).map(|n| (n, Span { from_ms: 0, to_ms: 10 })).collect();
        let plans = BTreeMap::from([(0, plan(&[(0, 1.0)])), (2, plan(&[(0, 2.0)]))]);
        let found: Vec<f64> = in_force(&plans, &epochs).iter().map(|(_, reading)| reading.value).collect();
        assert_eq!(found, [1.0, 1.0, 2.0]);
    }
}
