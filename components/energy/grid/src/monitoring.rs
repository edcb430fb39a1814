//! State Monitoring: [`StateMonitoring`] judges what the network publishes by its limits (wire contract 6.9).

use crate::grid::wait_for;
use crate::limits::Limits;
use crate::readings::{Extreme, hours, on_wire};
use crate::source::{Known, NetworkSource};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{
    Body, Conductor, CurrentStatus, DmsCurrent, DmsVoltage, LimitStatus, Message, NetworkState, StatusValue,
    VoltageStatus, Warning, WarningKind, topic,
};
use gridloop_power_flow::Complex64;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a network is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct StateMonitoringSettings {
    /// GridId of what is watched.
    pub grid_id: String,
    /// The network: base voltages and rated currents.
    pub source: NetworkSource,
    /// What is accepted.
    pub limits: Limits,
    /// How long it waits in an epoch for the network and its state. A network that is still not known ends the run; of
    /// a state that is incomplete what has come is judged.
    pub input_timeout: Duration,
    /// How long it waits for the rest of a state once the grid has said that it is ready.
    pub grace: Duration,
}

/// A bus or branch with its phase.
type At = (String, u8);

/// Judges voltages and currents, and remembers the worst of them.
pub struct StateMonitoring {
    settings: StateMonitoringSettings,
    known: Known,
    expected: Option<Expected>,
    /// As they came, in V; neutrals too.
    voltages_v: BTreeMap<(String, Conductor), Complex64>,
    loadings: BTreeMap<At, [f64; 2]>,
    /// States that came before the network was known.
    early: Vec<NetworkState>,
    unreliable: bool,
    /// Who has sent states in this run.
    senders: BTreeSet<String>,
    /// When the grid said in this epoch that it is ready.
    ready_at: Option<MonoTime>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Expected {
    base_v: BTreeMap<String, f64>,
    /// Rated current at the sending and the receiving end.
    rated_a: BTreeMap<String, [f64; 2]>,
    voltages: Vec<(String, Conductor)>,
    currents: Vec<At>,
}

/// What became of a bus or branch in the run.
#[derive(Debug, Default, Clone)]
struct Watched {
    lowest: Option<Extreme>,
    highest: Option<Extreme>,
    amber_epochs: u64,
    red_epochs: u64,
    amber_s: f64,
    red_s: f64,
}

#[derive(Debug, Default)]
struct Tally {
    epochs: u64,
    incomplete_epochs: u64,
    unreliable_epochs: u64,
    amber_epochs: u64,
    red_epochs: u64,
    amber_s: f64,
    red_s: f64,
    /// By how much the worst voltage was beyond its red limit, over time.
    beyond_pu_h: f64,
    /// Branches that nobody has rated, and that are not judged.
    unrated: BTreeSet<String>,
    buses: BTreeMap<String, Watched>,
    branches: BTreeMap<String, Watched>,
}

impl StateMonitoring {
    /// The watch.
    ///
    /// # Errors
    /// When the network cannot be had.
    pub fn new(settings: StateMonitoringSettings) -> Result<Self, Fault> {
        let known = Known::begin(&settings.source)?.without_customers();
        let mut monitoring = Self {
            settings,
            known,
            expected: None,
            voltages_v: BTreeMap::new(),
            loadings: BTreeMap::new(),
            early: Vec::new(),
            unreliable: false,
            senders: BTreeSet::new(),
            ready_at: None,
            tally: Tally::default(),
        };
        monitoring.learn();
        Ok(monitoring)
    }

    fn learn(&mut self) {
        if self.expected.is_some() {
            return;
        }
        let Some(network) = self.known.get() else { return };
        let topology = network.engine.topology();
        let mut expected = Expected::default();
        for bus in &topology.buses {
            expected.base_v.insert(bus.name.clone(), bus.base_voltage_v);
            let conductors = bus.conductors.iter().map(|it| (bus.name.clone(), on_wire(*it)));
            expected.voltages.extend(conductors);
        }
        let base_v = |bus: usize| topology.buses.get(bus).map_or(1.0, |bus| bus.base_voltage_v);
        for branch in &topology.branches {
            let Some(rated_a) = branch.rated_current_a else {
                self.tally.unrated.insert(branch.name.clone());
                continue;
            };
            let ratio = base_v(branch.sending_bus) / base_v(branch.receiving_bus);
            expected.rated_a.insert(branch.name.clone(), [rated_a, rated_a * ratio]);
            let phases = branch.conductors.iter().filter_map(|it| number(on_wire(*it)));
            expected.currents.extend(phases.map(|phase| (branch.name.clone(), phase)));
        }
        self.expected = Some(expected);
        for state in std::mem::take(&mut self.early) {
            self.note(&state);
        }
    }

    fn note(&mut self, state: &NetworkState) {
        let Some(expected) = &self.expected else {
            self.early.push(state.clone());
            return;
        };
        match state {
            NetworkState::Voltage(voltage) => {
                if expected.base_v.contains_key(&voltage.bus) {
                    let phasor =
                        Complex64::from_polar(voltage.magnitude_kv * 1e3, voltage.angle_deg.to_radians());
                    self.voltages_v.insert((voltage.bus.clone(), voltage.node), phasor);
                }
            }
            NetworkState::Current(current) => {
                let Some(phase) = number(current.phase) else { return };
                if let Some([sending_a, receiving_a]) = expected.rated_a.get(&current.device_id) {
                    let loading = [
                        current.magnitude_sending_end_a / sending_a,
                        current.magnitude_receiving_end_a / receiving_a,
                    ];
                    self.loadings.insert((current.device_id.clone(), phase), loading);
                }
            }
        }
    }

    /// How much of the epoch is still to come; `None` while the network is not known.
    fn missing(&self) -> Option<usize> {
        let expected = self.expected.as_ref()?;
        let voltages = expected.voltages.iter().filter(|at| !self.voltages_v.contains_key(*at));
        let currents = expected.currents.iter().filter(|at| !self.loadings.contains_key(*at));
        Some(voltages.count() + currents.count())
    }

    /// By bus and phase, the voltage against the neutral of the bus, where that was told, in per unit.
    fn voltages_pu(&self) -> BTreeMap<At, f64> {
        let bases = self.expected.as_ref().map(|expected| &expected.base_v);
        let phases = self.voltages_v.iter().filter_map(|((bus, conductor), voltage)| {
            let neutral =
                self.voltages_v.get(&(bus.clone(), Conductor::Neutral)).copied().unwrap_or_default();
            let base_v = bases?.get(bus)?;
            Some(((bus.clone(), number(*conductor)?), (voltage - neutral).norm() / base_v))
        });
        phases.collect()
    }

    fn judge(&mut self, epoch: &OpenEpoch) -> Vec<Output> {
        let length_s = hours(epoch) * 3600.0;
        let voltages_pu = self.voltages_pu();
        let limits = self.settings.limits;
        let mut worst = LimitStatus::Acceptable;
        let mut beyond_pu = 0.0_f64;
        let mut of_bus = BTreeMap::new();
        let mut voltage_status = Vec::with_capacity(voltages_pu.len());
        for ((bus, phase), voltage_pu) in &voltages_pu {
            let (status, violation) = limits.judge_voltage(*voltage_pu);
            worst = worse(worst, status);
            beyond_pu = beyond_pu.max(violation.abs());
            let watched = self.tally.buses.entry(bus.clone()).or_default();
            watched.note(bus, *phase, *voltage_pu, epoch);
            let so_far = of_bus.entry(bus.clone()).or_insert(LimitStatus::Acceptable);
            *so_far = worse(*so_far, status);
            voltage_status.push(VoltageStatus { bus_name: bus.clone(), node: *phase, status, violation });
        }
        let mut of_branch = BTreeMap::new();
        let mut current_status = Vec::with_capacity(self.loadings.len());
        for ((branch, phase), [sending, receiving]) in &self.loadings {
            let at_sending = limits.judge_loading(*sending);
            let at_receiving = limits.judge_loading(*receiving);
            let status = worse(at_sending.0, at_receiving.0);
            worst = worse(worst, status);
            let watched = self.tally.branches.entry(branch.clone()).or_default();
            watched.note(branch, *phase, sending.max(*receiving), epoch);
            let so_far = of_branch.entry(branch.clone()).or_insert(LimitStatus::Acceptable);
            *so_far = worse(*so_far, status);
            current_status.push(CurrentStatus {
                device_id: branch.clone(),
                phase: *phase,
                status_sending_end: at_sending.0,
                status_receiving_end: at_receiving.0,
                violation_sending_end: at_sending.1,
                violation_receiving_end: at_receiving.1,
            });
        }
        for (bus, status) in of_bus {
            self.tally.buses.entry(bus).or_default().count(status, length_s);
        }
        for (branch, status) in of_branch {
            self.tally.branches.entry(branch).or_default().count(status, length_s);
        }
        self.tally.count(worst, length_s);
        self.tally.beyond_pu_h += beyond_pu * length_s / 3600.0;
        vec![
            Output::new(topic::DMS_VOLTAGE.to_owned(), Body::DmsVoltage(DmsVoltage { voltage_status })),
            Output::new(topic::DMS_CURRENT.to_owned(), Body::DmsCurrent(DmsCurrent { current_status })),
        ]
    }
}

impl Component for StateMonitoring {
    fn inputs(&self) -> Vec<String> {
        let mut inputs = self.settings.source.topics();
        inputs.push(format!("NetworkState.{}.#", self.settings.grid_id));
        inputs.push(topic::STATUS_READY.to_owned());
        inputs
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        self.voltages_v.clear();
        self.ready_at = None;
        self.loadings.clear();
        self.early.clear();
        self.unreliable = false;
        Ok(())
    }

    fn take(&mut self, _: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault> {
        let sender = &message.header.source_process_id;
        match &message.body {
            Body::NetworkState(state) => {
                let warned = message.header.epoch.as_ref().is_some_and(|epoch| !epoch.warnings.is_empty());
                self.unreliable |= warned;
                if !self.senders.contains(sender) {
                    self.senders.insert(sender.clone());
                }
                self.note(state);
            }
            Body::Status(status) => {
                let of_grid = self.senders.contains(sender) || *sender == self.settings.grid_id;
                if of_grid && status.value == StatusValue::Ready {
                    self.ready_at = self.ready_at.or(Some(arrived_at));
                }
            }
            body => {
                self.known.take(body)?;
                self.learn();
            }
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let Some(missing) = self.missing() else {
            let missing: Vec<String> = self.known.missing().into_iter().map(str::to_owned).collect();
            return wait_for(&missing, epoch, now, self.settings.input_timeout);
        };
        let until = epoch.opened_at + self.settings.input_timeout;
        let until = self.ready_at.map_or(until, |ready_at| until.min(ready_at + self.settings.grace));
        if missing > 0 && now < until {
            return Ok(Step::WakeAt(until));
        }
        self.tally.epochs += 1;
        let mut outputs = self.judge(epoch);
        if missing > 0 {
            self.tally.incomplete_epochs += 1;
            let text = format!("{missing} voltages and currents of the grid did not come");
            let warning = Warning::new(WarningKind::Input, &text);
            outputs.iter_mut().for_each(|output| output.warnings.push(warning.clone()));
        }
        if self.unreliable {
            self.tally.unreliable_epochs += 1;
            let warning =
                Warning::new(WarningKind::InputUnreliable, "the state of the network carries a warning");
            outputs.iter_mut().for_each(|output| output.warnings.push(warning.clone()));
        }
        Ok(Step::Done(outputs))
    }

    fn findings(&self) -> Option<Value> {
        let tally = &self.tally;
        let limits = &self.settings.limits;
        let of_all = |pick: fn(&Watched) -> Option<&Extreme>, better: fn(f64, f64) -> bool| {
            let all = tally.buses.values().filter_map(pick);
            all.fold(None, |best: Option<&Extreme>, one| match best {
                Some(best) if !better(one.value, best.value) => Some(best),
                _ => Some(one),
            })
        };
        let lowest = of_all(|watched| watched.lowest.as_ref(), |one, best| one < best);
        let highest = of_all(|watched| watched.highest.as_ref(), |one, best| one > best);
        let beyond = |extreme: &Extreme| {
            (extreme.value - limits.max_voltage_pu).max(limits.min_voltage_pu - extreme.value)
        };
        let worst = match (lowest, highest) {
            (Some(low), Some(high)) => Some(if beyond(low) > beyond(high) { low } else { high }),
            (low, high) => low.or(high),
        };
        let loaded = tally.branches.values().filter_map(|watched| watched.highest.as_ref());
        let most_loaded = loaded.max_by(|a, b| a.value.total_cmp(&b.value));
        Some(json!({
            "kind": "state-monitoring",
            "grid": self.settings.grid_id,
            "limits": {
                "min_voltage_pu": limits.min_voltage_pu,
                "max_voltage_pu": limits.max_voltage_pu,
                "lower_amber_voltage_pu": limits.min_voltage_pu + limits.lower_amber_band_pu,
                "upper_amber_voltage_pu": limits.max_voltage_pu - limits.upper_amber_band_pu,
                "overloading_baseline": limits.overloading_baseline,
                "amber_loading_baseline": limits.amber_loading_baseline,
            },
            "epochs": tally.epochs,
            "incomplete_epochs": tally.incomplete_epochs,
            "unreliable_epochs": tally.unreliable_epochs,
            "amber": {"epochs": tally.amber_epochs, "seconds": tally.amber_s},
            "red": {"epochs": tally.red_epochs, "seconds": tally.red_s, "voltage_pu_h": tally.beyond_pu_h},
            "worst": worst.map(Extreme::of_bus),
            "lowest": lowest.map(Extreme::of_bus),
            "highest": highest.map(Extreme::of_bus),
            "unrated_branches": tally.unrated,
            "most_loaded": most_loaded.map(Extreme::of_branch),
            "buses": tally.buses.iter().map(|(name, watched)| (name.clone(), watched.of_bus())).collect::<Map<_, _>>(),
            "branches":
                tally.branches.iter().map(|(name, watched)| (name.clone(), watched.of_branch())).collect::<Map<_, _>>(),
        }))
    }
}

impl Watched {
    /// Takes a voltage in per unit, or a current as a part of the rated one.
    fn note(&mut self, name: &str, phase: u8, value: f64, epoch: &OpenEpoch) {
        let found = || Extreme {
            name: name.to_owned(),
            node: json!(phase),
            value,
            epoch: epoch.number,
            time: epoch.start_time.to_string(),
        };
        if self.lowest.as_ref().is_none_or(|lowest| value < lowest.value) {
            self.lowest = Some(found());
        }
        if self.highest.as_ref().is_none_or(|highest| value > highest.value) {
            self.highest = Some(found());
        }
    }

    fn count(&mut self, status: LimitStatus, length_s: f64) {
        match status {
            LimitStatus::Acceptable => {}
            LimitStatus::CloseToLimits => {
                (self.amber_epochs, self.amber_s) = (self.amber_epochs + 1, self.amber_s + length_s)
            }
            LimitStatus::Unacceptable => {
                (self.red_epochs, self.red_s) = (self.red_epochs + 1, self.red_s + length_s)
            }
        }
    }

    fn of_bus(&self) -> Value {
        json!({
            "lowest": self.lowest.as_ref().map(Extreme::of_bus),
            "highest": self.highest.as_ref().map(Extreme::of_bus),
            "amber": {"epochs": self.amber_epochs, "seconds": self.amber_s},
            "red": {"epochs": self.red_epochs, "seconds": self.red_s},
        })
    }

    fn of_branch(&self) -> Value {
        json!({
            "highest": self.highest.as_ref().map(Extreme::of_branch),
            "amber": {"epochs": self.amber_epochs, "seconds": self.amber_s},
            "red": {"epochs": self.red_epochs, "seconds": self.red_s},
        })
    }
}

impl Tally {
    fn count(&mut self, worst: LimitStatus, length_s: f64) {
        match worst {
            LimitStatus::Acceptable => {}
            LimitStatus::CloseToLimits => {
                (self.amber_epochs, self.amber_s) = (self.amber_epochs + 1, self.amber_s + length_s)
            }
            LimitStatus::Unacceptable => {
                (self.red_epochs, self.red_s) = (self.red_epochs + 1, self.red_s + length_s)
            }
        }
    }
}

fn worse(one: LimitStatus, other: LimitStatus) -> LimitStatus {
    let rank = |status| match status {
        LimitStatus::Acceptable => 0,
        LimitStatus::CloseToLimits => 1,
        LimitStatus::Unacceptable => 2,
    };
    if rank(one) >= rank(other) { one } else { other }
}

/// Phases are judged, neutrals are not.
fn number(conductor: Conductor) -> Option<u8> {
    match conductor {
        Conductor::Phase1 => Some(1),
        Conductor::Phase2 => Some(2),
        Conductor::Phase3 => Some(3),
        Conductor::Neutral => None,
    }
}
