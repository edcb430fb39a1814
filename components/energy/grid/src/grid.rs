//! The network as a component: [`Grid`] solves it in every epoch for what the resources say (wire contract 6.8).

use crate::awaited::Awaited;
use crate::connection::{Connected, Connections};
use crate::readings::{Extremes, branch_currents, bus_voltages, hours, losses};
use crate::source::{Known, NetworkSource};
use crate::taps::{TapChanger, Taps};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, INPUTS_PER_EPOCH, OpenEpoch, Output, Refusal, Step};
use gridloop_messages::{Body, Message, ResourceState, Warning, WarningKind};
use gridloop_power_flow::{Operation, Solution, Topology};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a network is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct GridSettings {
    /// GridId: the middle of its topics.
    pub grid_id: String,
    /// The network.
    pub source: NetworkSource,
    /// Resources besides those that the network itself knows, or that differ from what it knows.
    pub resources: BTreeMap<String, Connected>,
    /// Whose states are waited for.
    pub awaited: Awaited,
    /// Who moves taps, by branch.
    pub taps: BTreeMap<String, TapChanger>,
    /// What the source holds in each epoch from the first, as a part of the nominal voltage; the last one holds on.
    /// Empty: what the network says.
    pub source_voltage_pu: Vec<f64>,
    /// How long it waits in an epoch for what is missing. Then it ends with an error that names it.
    pub input_timeout: Duration,
}

/// A network that is solved in every epoch. It publishes the voltage of every conductor at every bus, the current of
/// every conductor of every branch, and the loss of every branch.
pub struct Grid {
    settings: GridSettings,
    known: Known,
    /// The resources that it waits for, and the taps, once the network is known.
    learnt: Option<Learnt>,
    /// By resource, what it said in this epoch, and whether it said that this may not be right.
    states: BTreeMap<String, (ResourceState, bool)>,
    /// Who of the network has told a state in this run.
    heard: BTreeSet<String>,
    /// Messages on tap changers that came before the network was known.
    early: Vec<(String, Body)>,
    /// Why the results of this epoch cannot be relied on.
    doubts: BTreeSet<String>,
    tally: Tally,
}

struct Learnt {
    connections: Connections,
    taps: Taps,
}

/// What is found out in the course of the run.
#[derive(Debug, Default)]
struct Tally {
    epochs: u64,
    loss_kwh: f64,
    iterations_max: u32,
    unreliable_epochs: u64,
    refused_inputs: u64,
    strangers: BTreeSet<String>,
    extremes: Extremes,
}

/// Names of strangers that are kept.
const STRANGERS_MAX: usize = 100;

impl Grid {
    /// The network.
    ///
    /// # Errors
    /// When it cannot be had: the file contradicts itself, or OpenDSS refuses the model.
    pub fn new(settings: GridSettings) -> Result<Self, Fault> {
        let known = Known::begin(&settings.source)?;
        let mut grid = Self {
            settings,
            known,
            learnt: None,
            states: BTreeMap::new(),
            heard: BTreeSet::new(),
            early: Vec::new(),
            doubts: BTreeSet::new(),
            tally: Tally::default(),
        };
        grid.learn()?;
        Ok(grid)
    }

    /// Once the network is known: who is connected where, and which branches have taps.
    fn learn(&mut self) -> Result<(), Fault> {
        let (None, Some(network)) = (&self.learnt, self.known.get()) else { return Ok(()) };
        let connections = Connections::new(network, &self.settings.resources)?;
        self.settings.awaited.check(&connections)?;
        let mut taps = Taps::new(&self.settings.taps, network.engine.topology())?;
        for (topic, body) in self.early.drain(..) {
            taps.take(&topic, &body);
        }
        self.learnt = Some(Learnt { connections, taps });
        let told: Vec<String> = self.states.keys().cloned().collect();
        self.hear(&told)
    }

    /// Notes who has told a state.
    fn hear(&mut self, names: &[String]) -> Result<(), Fault> {
        let Some(Learnt { connections, .. }) = &self.learnt else { return Ok(()) };
        self.heard.extend(names.iter().filter(|name| connections.has(name)).cloned());
        self.settings.awaited.check_heard(connections, &self.heard)
    }

    /// Whether enough has come for a solution, as far as a count can tell.
    fn may_be_complete(&self) -> bool {
        let awaited = &self.settings.awaited;
        let of_network =
            |Learnt { connections, .. }: &Learnt| awaited.may_be_all(connections, self.states.len());
        self.learnt.as_ref().is_none_or(of_network)
    }

    /// What is missing for a solution.
    fn missing(&self) -> Result<Vec<String>, Fault> {
        let mut missing: Vec<String> = self.known.missing().into_iter().map(str::to_owned).collect();
        if let Some(Learnt { connections, taps }) = &self.learnt {
            let has_told = |name: &str| self.states.contains_key(name);
            missing.extend(self.settings.awaited.missing(connections, |_| "ResourceState", has_told)?);
            missing.extend(taps.missing());
        }
        Ok(missing)
    }

    /// Connects storages that the network does not know, once they have told whose they are.
    fn place_storages(&mut self) -> Result<(), Fault> {
        let Some(Learnt { connections, .. }) = &mut self.learnt else { return Ok(()) };
        for storage in &self.settings.awaited.storages {
            if !connections.has(storage)
                && let Some((state, _)) = self.states.get(storage)
            {
                connections.place_at_customer(storage, &state.customer_id)?;
            }
        }
        Ok(())
    }

    fn operation(&self, learnt: &Learnt, epoch: u64) -> Operation {
        let states = self.states.iter();
        let series = &self.settings.source_voltage_pu;
        let at = usize::try_from(epoch.saturating_sub(1)).unwrap_or(usize::MAX);
        Operation {
            injections: states
                .filter_map(|(name, (state, _))| learnt.connections.injection(name, state))
                .collect(),
            tap_positions: learnt.taps.positions(),
            source_voltage_pu: series.get(at).or(series.last()).copied(),
        }
    }

    /// Notes whose state cannot be relied on, and who is not connected at all.
    fn judge_inputs(&mut self) {
        let Some(Learnt { connections, taps }) = &self.learnt else { return };
        for (name, (_, warned)) in &self.states {
            if !connections.has(name) {
                if self.tally.strangers.len() < STRANGERS_MAX {
                    self.tally.strangers.insert(name.clone());
                }
            } else if *warned {
                self.doubts.insert(format!("the state of {name} may not be right"));
            }
        }
        self.doubts.extend(taps.doubts().map(str::to_owned));
    }

    /// What the solution says, as messages: voltages, then currents, then losses, then the taps that it plays itself.
    fn outputs(&mut self, solution: &Solution) -> Vec<Output> {
        let (Some(network), Some(learnt)) = (self.known.get(), &self.learnt) else { return Vec::new() };
        let (grid, topology) = (&self.settings.grid_id, network.engine.topology());
        let mut outputs = bus_voltages(grid, topology, solution);
        outputs.extend(branch_currents(grid, topology, solution));
        outputs.extend(losses(grid, topology, solution));
        if let Some(warning) = doubtful(&self.doubts) {
            self.tally.unreliable_epochs += 1;
            outputs.iter_mut().for_each(|output| output.warnings.push(warning.clone()));
        }
        outputs.extend(learnt.taps.outputs());
        outputs
    }
}

/// The first reasons that a warning tells.
const DOUBTS_TOLD: usize = 10;

/// The warning that results carry which cannot be relied on.
pub(crate) fn doubtful(doubts: &BTreeSet<String>) -> Option<Warning> {
    let mut told: Vec<&str> = doubts.iter().map(String::as_str).take(DOUBTS_TOLD).collect();
    let rest = doubts.len().saturating_sub(DOUBTS_TOLD);
    let rest = format!("and {rest} more");
    if doubts.len() > DOUBTS_TOLD {
        told.push(&rest);
    }
    (!told.is_empty()).then(|| Warning::new(WarningKind::InputUnreliable, &told.join("; ")))
}

/// What a component answers whose inputs are not complete: it waits, but not for ever.
///
/// # Errors
/// When it has waited for `timeout`.
pub(crate) fn wait_for(
    missing: &[String],
    epoch: &OpenEpoch,
    now: MonoTime,
    timeout: Duration,
) -> Result<Step, Fault> {
    let until = epoch.opened_at + timeout;
    if now < until {
        return Ok(Step::WakeAt(until));
    }
    let (listed, rest) = (missing.iter().take(MISSING_TOLD), missing.len().saturating_sub(MISSING_TOLD));
    let mut told = listed.map(String::as_str).collect::<Vec<_>>().join(", no ");
    if rest > 0 {
        told.push_str(&format!(", and {rest} more"));
    }
    let waited = timeout.as_secs_f64();
    Err(Fault::new(format!("epoch {}: after {waited} s there is still no {told}", epoch.number)))
}

/// The first missing inputs that an error names.
const MISSING_TOLD: usize = 20;

impl Component for Grid {
    fn inputs(&self) -> Vec<String> {
        let mut inputs = self.settings.source.topics();
        inputs.extend(self.settings.awaited.topics("ResourceState"));
        inputs.extend(Taps::topics(&self.settings.taps));
        inputs
    }

    /// Twice what it waits for: others may tell their states too.
    fn inputs_max(&self) -> usize {
        let awaited = |learnt: &Learnt| self.settings.awaited.at_least(&learnt.connections);
        INPUTS_PER_EPOCH.max(2 * self.learnt.as_ref().map_or(0, awaited))
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.states.clear();
        self.early.clear();
        self.doubts.clear();
        if let Some(learnt) = &mut self.learnt {
            learnt.taps.open();
        }
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        match &message.body {
            Body::ResourceState(state) => {
                let mut parts = topic.splitn(3, '.');
                let Some(name) = parts.nth(2) else { return Ok(()) };
                self.states.insert(name.to_owned(), (state.clone(), message.doubt().is_some()));
                self.hear(&[name.to_owned()])?;
            }
            body @ (Body::DeviceState(_) | Body::TapPosition(_)) => match &mut self.learnt {
                Some(learnt) => learnt.taps.take(topic, body),
                None => self.early.push((topic.to_owned(), body.clone())),
            },
            body => {
                self.known.take(body)?;
                self.learn()?;
            }
        }
        Ok(())
    }

    fn refused(&mut self, _: &Refusal) {
        self.tally.refused_inputs += 1;
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
        self.place_storages()?;
        self.judge_inputs();
        let Some(learnt) = &self.learnt else { return Ok(Step::Waiting) };
        let operation = self.operation(learnt, epoch.number);
        let Some(network) = self.known.network() else { return Ok(Step::Waiting) };
        let solution = network.engine.solve(&operation).map_err(|error| {
            let told = learnt.connections.told(&error, self.states.keys());
            Fault::new(format!("epoch {}: the power flow has no solution: {told}", epoch.number))
        })?;
        self.tally.note(network.engine.topology(), &solution, epoch);
        Ok(Step::Done(self.outputs(&solution)))
    }

    fn findings(&self) -> Option<Value> {
        let tally = &self.tally;
        Some(json!({
            "kind": "grid",
            "grid": self.settings.grid_id,
            "epochs": tally.epochs,
            "loss_kwh": tally.loss_kwh,
            "iterations_max": tally.iterations_max,
            "lowest_voltage": tally.extremes.lowest(),
            "highest_voltage": tally.extremes.highest(),
            "taps": self.learnt.as_ref().map(|learnt| learnt.taps.findings()),
            "unreliable_epochs": tally.unreliable_epochs,
            "refused_inputs": tally.refused_inputs,
            "refused_tap_orders": self.learnt.as_ref().map_or(0, |learnt| learnt.taps.refused_orders()),
            "resources_outside": tally.strangers,
        }))
    }
}

impl Tally {
    fn note(&mut self, topology: &Topology, solution: &Solution, epoch: &OpenEpoch) {
        self.extremes.note(topology, solution, epoch);
        self.epochs += 1;
        self.loss_kwh += solution.losses_va().re / 1e3 * hours(epoch);
        self.iterations_max = self.iterations_max.max(solution.iterations);
    }
}
