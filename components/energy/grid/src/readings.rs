//! A solution as messages, and its extremes.
//!
//! A voltage on the wire is what it is in per unit, times the base voltage of its bus: of a phase of a 400 V network it
//! reads 0.4 kV where a meter between phase and neutral reads 230 V. That is what the consumers of the public platform
//! divide by `BusVoltageBase` (wire contract 2.5 and 6.8).

use gridloop_component::{OpenEpoch, Output};
use gridloop_messages::{Body, BranchCurrent, BusVoltage, NetworkLoss, NetworkState, Quantity, topic};
use gridloop_power_flow::{BusInfo, Complex64, Conductor, Solution, Topology};
use serde_json::{Value, json};

/// The conductor as messages call it.
pub(crate) fn on_wire(conductor: Conductor) -> gridloop_messages::Conductor {
    match conductor {
        Conductor::Phase1 => gridloop_messages::Conductor::Phase1,
        Conductor::Phase2 => gridloop_messages::Conductor::Phase2,
        Conductor::Phase3 => gridloop_messages::Conductor::Phase3,
        Conductor::Neutral => gridloop_messages::Conductor::Neutral,
    }
}

/// How the report spells a conductor.
pub(crate) fn spelled(conductor: Conductor) -> Value {
    match conductor {
        Conductor::Phase1 => json!(1),
        Conductor::Phase2 => json!(2),
        Conductor::Phase3 => json!(3),
        Conductor::Neutral => json!("neutral"),
    }
}

/// How long an epoch is in simulated time, in h.
pub(crate) fn hours(epoch: &OpenEpoch) -> f64 {
    (epoch.end_time.as_datetime() - epoch.start_time.as_datetime()).as_seconds_f64() / 3600.0
}

/// A voltage as a part of the nominal one of a phase.
pub(crate) fn per_unit(bus: &BusInfo, voltage: Complex64) -> f64 {
    voltage.norm() * 3.0_f64.sqrt() / bus.base_voltage_v
}

/// An angle in degrees; of nothing at all it is 0.
pub(crate) fn angle_deg(value: Complex64) -> f64 {
    if value == Complex64::ZERO { 0.0 } else { value.arg().to_degrees() }
}

pub(crate) fn bus_voltages(grid: &str, topology: &Topology, solution: &Solution) -> Vec<Output> {
    let buses = topology.buses.iter().zip(&solution.voltages_v);
    let each = buses.flat_map(|(bus, voltages)| {
        let topic = topic::network_voltage(grid, &bus.name);
        bus.conductors.iter().zip(voltages).map(move |(conductor, voltage)| {
            let state = BusVoltage {
                magnitude_kv: per_unit(bus, *voltage) * bus.base_voltage_v / 1e3,
                angle_deg: angle_deg(*voltage),
                bus: bus.name.clone(),
                node: on_wire(*conductor),
            };
            Output::new(topic.clone(), Body::NetworkState(NetworkState::Voltage(state)))
        })
    });
    each.collect()
}

pub(crate) fn branch_currents(grid: &str, topology: &Topology, solution: &Solution) -> Vec<Output> {
    let branches = topology.branches.iter().zip(&solution.branches);
    let each = branches.flat_map(|(branch, flow)| {
        let topic = topic::network_current(grid, &branch.name);
        branch.conductors.iter().zip(&flow.conductors).map(move |(conductor, current)| {
            let state = BranchCurrent {
                magnitude_sending_end_a: current.sending_a.norm(),
                magnitude_receiving_end_a: current.receiving_a.norm(),
                angle_sending_end_deg: angle_deg(current.sending_a),
                angle_receiving_end_deg: angle_deg(current.receiving_a),
                device_id: branch.name.clone(),
                phase: on_wire(*conductor),
            };
            Output::new(topic.clone(), Body::NetworkState(NetworkState::Current(state)))
        })
    });
    each.collect()
}

pub(crate) fn losses(grid: &str, topology: &Topology, solution: &Solution) -> Vec<Output> {
    let kw = |watts: f64| Quantity { value: watts / 1e3, unit: "kW".to_owned() };
    let kvar = |vars: f64| Quantity { value: vars / 1e3, unit: "kV.A{r}".to_owned() };
    let branches = topology.branches.iter().zip(&solution.branches);
    let each = branches.map(|(branch, flow)| {
        let loss = NetworkLoss {
            real_power_shunt: kw(flow.shunt_loss_va.re),
            real_power_series: kw(flow.series_loss_va.re),
            reactive_power_shunt: Some(kvar(flow.shunt_loss_va.im)),
            reactive_power_series: Some(kvar(flow.series_loss_va.im)),
            device_id: branch.name.clone(),
        };
        Output::new(topic::network_loss(grid, &branch.name), Body::NetworkLoss(Box::new(loss)))
    });
    each.collect()
}

/// The lowest and the highest voltage between a phase and its neutral in a run.
#[derive(Debug, Default)]
pub(crate) struct Extremes {
    lowest: Option<Extreme>,
    highest: Option<Extreme>,
}

/// A voltage or loading that stood out.
#[derive(Debug, Clone)]
pub(crate) struct Extreme {
    /// The bus or branch.
    pub(crate) name: String,
    pub(crate) node: Value,
    /// A voltage in per unit, or a current as a part of the rated one.
    pub(crate) value: f64,
    pub(crate) epoch: u64,
    pub(crate) time: String,
}

impl Extreme {
    pub(crate) fn of_bus(&self) -> Value {
        let Self { name, node, value, epoch, time } = self;
        json!({"bus": name, "node": node, "voltage_pu": value, "epoch": epoch, "time": time})
    }

    pub(crate) fn of_branch(&self) -> Value {
        let Self { name, node, value, epoch, time } = self;
        json!({"branch": name, "phase": node, "loading": value, "epoch": epoch, "time": time})
    }
}

impl Extremes {
    pub(crate) fn note(&mut self, topology: &Topology, solution: &Solution, epoch: &OpenEpoch) {
        for (at, bus) in topology.buses.iter().enumerate() {
            for conductor in bus.conductors.iter().filter(|it| **it != Conductor::Neutral) {
                let Some(pu) = solution.magnitude_pu(topology, at, *conductor) else { continue };
                let found = || Extreme {
                    name: bus.name.clone(),
                    node: spelled(*conductor),
                    value: pu,
                    epoch: epoch.number,
                    time: epoch.start_time.to_string(),
                };
                if self.lowest.as_ref().is_none_or(|lowest| pu < lowest.value) {
                    self.lowest = Some(found());
                }
                if self.highest.as_ref().is_none_or(|highest| pu > highest.value) {
                    self.highest = Some(found());
                }
            }
        }
    }

    pub(crate) fn lowest(&self) -> Option<Value> {
        self.lowest.as_ref().map(Extreme::of_bus)
    }

    pub(crate) fn highest(&self) -> Option<Value> {
        self.highest.as_ref().map(Extreme::of_bus)
    }
}
