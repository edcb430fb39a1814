//! The network of the next hours: [`NetworkStatePredictor`] solves it for what everybody will probably do (wire contract
//! 6.10).

use crate::awaited::Awaited;
use crate::connection::{Connected, Connections};
use crate::grid::{doubtful, wait_for};
use crate::readings::{angle_deg, on_wire, per_unit};
use crate::source::{Known, NetworkSource};
use crate::taps::{TapChanger, Taps};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, INPUTS_PER_EPOCH, OpenEpoch, Output, Step};
use gridloop_messages::{
    Body, CurrentForecast, Message, ResourceState, TimeSeries, Timestamp, ValueArray, VoltageForecast, topic,
};
use gridloop_power_flow::{BranchFlow, Complex64, Operation, Solution, Topology};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most points in time that a predictor solves for in an epoch.
pub const MAX_POINTS: usize = 10_000;

/// How a network is forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictorSettings {
    /// GridId: the middle of its topics.
    pub grid_id: String,
    /// The network.
    pub source: NetworkSource,
    /// Resources that the network does not know, or knows otherwise.
    pub resources: BTreeMap<String, Connected>,
    /// Whose states and forecasts are waited for.
    pub awaited: Awaited,
    /// The most points in time that it looks ahead; `None`: all that the forecasts have in common.
    pub points_max: Option<usize>,
    /// Resources that nobody forecasts: they go on as they are.
    pub persistent: BTreeSet<String>,
    /// Resources whose forecast is their plan in a ResourceForecastState.Dispatch.
    pub planned: BTreeSet<String>,
    /// Devices that tell where taps stand, by branch. They are taken to stay there.
    pub taps: BTreeMap<String, TapChanger>,
    /// How long it waits in an epoch for what is missing. Then it ends with an error that names it.
    pub input_timeout: Duration,
}

/// Publishes NetworkForecastState for every bus and branch. It waits for the state of each resource, which says its
/// phase and reactive power, and for its forecast: `ResourceForecastState.Power`, or its plan in a Dispatch.
pub struct NetworkStatePredictor {
    settings: PredictorSettings,
    known: Known,
    learnt: Option<(Connections, Taps)>,
    states: BTreeMap<String, ResourceState>,
    forecasts: BTreeMap<String, Points>,
    /// Who of the network has told something in this run.
    heard: BTreeSet<String>,
    /// Messages on tap changers that came before the network was known.
    early: Vec<(String, Body)>,
    /// Why the results of this epoch cannot be relied on.
    doubts: BTreeSet<String>,
    points_solved: u64,
}

/// Power in kW from each instant on.
type Points = Vec<(Timestamp, f64)>;

impl NetworkStatePredictor {
    /// The predictor.
    ///
    /// # Errors
    /// When the network cannot be had.
    pub fn new(settings: PredictorSettings) -> Result<Self, Fault> {
        let known = Known::begin(&settings.source)?;
        let mut predictor = Self {
            settings,
            known,
            learnt: None,
            states: BTreeMap::new(),
            forecasts: BTreeMap::new(),
            heard: BTreeSet::new(),
            early: Vec::new(),
            doubts: BTreeSet::new(),
            points_solved: 0,
        };
        predictor.learn()?;
        Ok(predictor)
    }

    fn learn(&mut self) -> Result<(), Fault> {
        let (None, Some(network)) = (&self.learnt, self.known.get()) else { return Ok(()) };
        let connections = Connections::new(network, &self.settings.resources)?;
        self.settings.awaited.check(&connections)?;
        for name in self.settings.persistent.iter().chain(&self.settings.planned) {
            if !connections.has(name) {
                return Err(Fault::new(format!(
                    "`persistent` or `planned`: the network has no resource {name}"
                )));
            }
        }
        let mut taps = Taps::new(&self.settings.taps, network.engine.topology())?;
        for (topic, body) in self.early.drain(..) {
            taps.take(&topic, &body);
        }
        self.learnt = Some((connections, taps));
        let told: Vec<String> = self.states.keys().chain(self.forecasts.keys()).cloned().collect();
        self.hear(&told)
    }

    /// Whether enough has come to look ahead, as far as counts can tell.
    fn may_be_complete(&self) -> bool {
        let Self { settings, states, forecasts, .. } = self;
        let Some((connections, _)) = &self.learnt else { return true };
        let forecast = forecasts.len() + settings.persistent.len();
        [states.len(), forecast].into_iter().all(|told| settings.awaited.may_be_all(connections, told))
    }

    fn missing(&self) -> Result<Vec<String>, Fault> {
        let Self { settings, states, forecasts, .. } = self;
        let mut missing: Vec<String> = self.known.missing().into_iter().map(str::to_owned).collect();
        let Some((connections, taps)) = &self.learnt else { return Ok(missing) };
        let has_state = |name: &str| states.contains_key(name);
        // Who is not forecast counts as soon as it tells its state.
        let has_forecast = |name: &str| {
            forecasts.contains_key(name)
                || settings.persistent.contains(name) && (settings.awaited.count.is_none() || has_state(name))
        };
        let forecast = |name: &str| if settings.planned.contains(name) { "plan" } else { "forecast" };
        missing.extend(settings.awaited.missing(connections, |_| "ResourceState", has_state)?);
        missing.extend(settings.awaited.missing(connections, forecast, has_forecast)?);
        missing.extend(taps.missing());
        Ok(missing)
    }

    /// Notes who has told something.
    fn hear(&mut self, names: &[String]) -> Result<(), Fault> {
        let Some((connections, _)) = &self.learnt else { return Ok(()) };
        self.heard.extend(names.iter().filter(|name| connections.has(name)).cloned());
        self.settings.awaited.check_heard(connections, &self.heard)
    }

    /// The instants that every forecast covers.
    fn instants(&self) -> Result<Vec<Timestamp>, Fault> {
        let of_network = |name: &String| self.learnt.as_ref().is_some_and(|(known, _)| known.has(name));
        let series: Vec<(&String, &Points)> =
            self.forecasts.iter().filter(|(name, _)| of_network(name)).collect();
        let ends =
            series.iter().filter_map(|(name, points)| Some((*name, points.first()?.0, points.last()?.0)));
        let Some((latest, from)) =
            ends.clone().map(|(name, first, _)| (name, first)).max_by_key(|(_, first)| *first)
        else {
            return Err(Fault::new("nothing is forecast: every resource is `persistent`"));
        };
        let Some((earliest, to)) = ends.map(|(name, _, last)| (name, last)).min_by_key(|(_, last)| *last)
        else {
            return Ok(Vec::new());
        };
        let all: BTreeSet<Timestamp> = series
            .iter()
            .flat_map(|(_, points)| points.iter().map(|(at, _)| *at))
            .filter(|at| (from..=to).contains(at))
            .collect();
        let all: Vec<Timestamp> =
            all.into_iter().take(self.settings.points_max.unwrap_or(usize::MAX)).collect();
        if all.is_empty() {
            return Err(Fault::new(format!(
                "the forecasts have no time in common: that of {latest} begins at {from}, that of {earliest} ends at {to}"
            )));
        }
        if all.len() > MAX_POINTS {
            return Err(Fault::new(format!(
                "{} points in time are forecast, {MAX_POINTS} are the most",
                all.len()
            )));
        }
        Ok(all)
    }

    /// What everybody does at an instant. Nobody forecasts reactive power: it goes on as it is.
    fn operation(&self, connections: &Connections, taps: &Taps, at: Timestamp) -> Operation {
        let injections = self.states.iter().filter_map(|(name, state)| {
            let forecast = self.forecasts.get(name);
            let real_power_kw = forecast.map_or(state.real_power_kw, |points| held(points, at));
            connections.injection(name, &ResourceState { real_power_kw, ..state.clone() })
        });
        let injections = injections.collect();
        Operation { injections, tap_positions: taps.positions(), source_voltage_pu: None }
    }
}

/// The value that holds at an instant: the last one before it, else the first.
fn held(points: &Points, at: Timestamp) -> f64 {
    let before = points.iter().rev().find(|(from, _)| *from <= at);
    before.or(points.first()).map_or(0.0, |(_, value)| *value)
}

/// The real power of a series, in the order of time.
fn points(series: &TimeSeries) -> Option<Points> {
    let numbers = series.numbers("RealPower")?;
    let mut points: Points = series.time_index.iter().copied().zip(numbers.iter().copied()).collect();
    points.sort_by_key(|(at, _)| *at);
    (!points.is_empty()).then_some(points)
}

impl Component for NetworkStatePredictor {
    fn inputs(&self) -> Vec<String> {
        let mut inputs = self.settings.source.topics();
        let awaited = &self.settings.awaited;
        inputs.extend(awaited.topics("ResourceState"));
        inputs.extend(awaited.topics("ResourceForecastState"));
        if !awaited.categories.is_empty() && !self.settings.planned.is_empty() {
            inputs.push(topic::DISPATCH.to_owned());
        }
        inputs.extend(Taps::topics(&self.settings.taps));
        inputs
    }

    /// Twice what it waits for, states and forecasts: others may tell theirs too.
    fn inputs_max(&self) -> usize {
        let awaited = |(connections, _): &(Connections, Taps)| self.settings.awaited.at_least(connections);
        INPUTS_PER_EPOCH.max(4 * self.learnt.as_ref().map_or(0, awaited))
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.states.clear();
        self.forecasts.clear();
        self.early.clear();
        self.doubts.clear();
        if let Some((_, taps)) = &mut self.learnt {
            taps.open();
        }
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        let warned = message.doubt().is_some();
        match &message.body {
            Body::ResourceState(state) => {
                if let Some(name) = topic.splitn(3, '.').nth(2) {
                    self.states.insert(name.to_owned(), state.clone());
                    self.doubt(warned, name);
                    self.hear(&[name.to_owned()])?;
                }
            }
            Body::ResourceForecast(forecast) => {
                let name = &forecast.resource_id;
                self.expect(name, &forecast.forecast, false);
                self.doubt(warned, name);
                self.hear(std::slice::from_ref(name))?;
            }
            Body::Dispatch(plan) => {
                for (name, series) in &plan.dispatch {
                    self.expect(name, series, true);
                    self.doubt(warned && self.settings.planned.contains(name), name);
                }
            }
            body @ Body::DeviceState(_) => match &mut self.learnt {
                Some((_, taps)) => taps.take(topic, body),
                None => self.early.push((topic.to_owned(), body.clone())),
            },
            body => {
                self.known.take(body)?;
                self.learn()?;
            }
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let until = epoch.opened_at + self.settings.input_timeout;
        if now < until && !self.may_be_complete() {
            return Ok(Step::WakeAt(until));
        }
        let missing = self.missing()?;
        if !missing.is_empty() {
            return wait_for(&missing, epoch, now, self.settings.input_timeout);
        }
        let instants = self.instants()?;
        let Some((connections, taps)) = &self.learnt else { return Ok(Step::Waiting) };
        let operations: Vec<Operation> =
            instants.iter().map(|at| self.operation(connections, taps, *at)).collect();
        self.doubts.extend(taps.doubts().map(str::to_owned));
        let Some(network) = self.known.network() else { return Ok(Step::Waiting) };
        let mut solutions = Vec::with_capacity(instants.len());
        for (at, operation) in instants.iter().zip(&operations) {
            let solution = network.engine.solve(operation).map_err(|error| {
                let told = connections.told(&error, self.states.keys());
                let text = format!("epoch {}: for {at} the power flow has no solution: {told}", epoch.number);
                Fault::new(text)
            })?;
            solutions.push(solution);
            self.points_solved += 1;
        }
        let topology = network.engine.topology();
        let mut outputs = voltage_forecasts(&self.settings.grid_id, topology, &instants, &solutions);
        outputs.extend(current_forecasts(&self.settings.grid_id, topology, &instants, &solutions));
        if let Some(warning) = doubtful(&self.doubts) {
            outputs.iter_mut().for_each(|output| output.warnings.push(warning.clone()));
        }
        Ok(Step::Done(outputs))
    }

    fn findings(&self) -> Option<Value> {
        Some(json!({"kind": "network-state-predictor", "points_solved": self.points_solved}))
    }
}

fn series(instants: &[Timestamp], named: [(&str, &str, Vec<f64>); 2]) -> TimeSeries {
    let of =
        |(name, unit, numbers): (&str, &str, Vec<f64>)| (name.to_owned(), ValueArray::numbers(unit, numbers));
    TimeSeries { time_index: instants.to_vec(), series: named.into_iter().map(of).collect() }
}

fn voltage_forecasts(
    grid: &str,
    topology: &Topology,
    instants: &[Timestamp],
    solutions: &[Solution],
) -> Vec<Output> {
    let mut outputs = Vec::new();
    for (at, bus) in topology.buses.iter().enumerate() {
        for conductor in &bus.conductors {
            let values: Vec<Complex64> =
                solutions.iter().filter_map(|it| it.voltage(topology, at, *conductor)).collect();
            let magnitudes_kv =
                values.iter().map(|it| per_unit(bus, *it) * bus.base_voltage_v / 1e3).collect();
            let angles_deg = values.iter().map(|it| angle_deg(*it)).collect();
            let forecast =
                series(instants, [("Magnitude", "kV", magnitudes_kv), ("Angle", "deg", angles_deg)]);
            let body = VoltageForecast { forecast, bus: bus.name.clone(), node: on_wire(*conductor) };
            outputs.push(Output::new(topic::voltage_forecast(grid, &bus.name), Body::VoltageForecast(body)));
        }
    }
    outputs
}

fn current_forecasts(
    grid: &str,
    topology: &Topology,
    instants: &[Timestamp],
    solutions: &[Solution],
) -> Vec<Output> {
    let mut outputs = Vec::new();
    for (at, branch) in topology.branches.iter().enumerate() {
        let flows: Vec<&BranchFlow> = solutions.iter().filter_map(|it| it.branches.get(at)).collect();
        for (which, conductor) in branch.conductors.iter().enumerate() {
            let currents = flows.iter().filter_map(|flow| flow.conductors.get(which));
            let (sending, receiving): (Vec<Complex64>, Vec<Complex64>) =
                currents.map(|it| (it.sending_a, it.receiving_a)).unzip();
            let amounts = |end: &[Complex64]| end.iter().map(|it| it.norm()).collect();
            let angles = |end: &[Complex64]| end.iter().map(|it| angle_deg(*it)).collect();
            let mut forecast = series(
                instants,
                [
                    ("MagnitudeSendingEnd", "A", amounts(&sending)),
                    ("AngleSendingEnd", "deg", angles(&sending)),
                ],
            );
            let at_end = series(
                instants,
                [
                    ("MagnitudeReceivingEnd", "A", amounts(&receiving)),
                    ("AngleReceivingEnd", "deg", angles(&receiving)),
                ],
            );
            forecast.series.extend(at_end.series);
            let (device_id, phase) = (branch.name.clone(), on_wire(*conductor));
            let body = Body::CurrentForecast(CurrentForecast { forecast, device_id, phase });
            outputs.push(Output::new(topic::current_forecast(grid, &branch.name), body));
        }
    }
    outputs
}

impl NetworkStatePredictor {
    /// Takes a forecast, if it is of the sort that is expected of this resource.
    fn expect(&mut self, name: &str, series: &TimeSeries, is_plan: bool) {
        let persistent = self.settings.persistent.contains(name);
        if !persistent && is_plan == self.settings.planned.contains(name) {
            self.forecasts.extend(points(series).map(|points| (name.to_owned(), points)));
        }
    }

    fn doubt(&mut self, warned: bool, name: &str) {
        let known = self.learnt.as_ref().is_none_or(|(connections, _)| connections.has(name));
        if warned && known {
            self.doubts.insert(format!("what is told of {name} carries a warning"));
        }
    }
}
