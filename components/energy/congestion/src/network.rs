//! How a controller learns its network: a [`NetworkInbox`] collects what NIS and CIS say in epoch 1 (wire contract 2.5
//! and 6.7) and makes a [`Feeder`] of it. Tap ranges, which those messages do not have, come from the configuration.

use crate::feeder::{Feeder, Site};
use gridloop_component::Fault;
use gridloop_messages::{Body, BusType, CustomerInfo, NetworkBusInfo, NetworkComponentInfo, topic};
use gridloop_power_flow::{
    BuiltIn, BusKind, Network, PerUnitBranch, PerUnitBus, PerUnitNetwork, TapRange, Wires,
};
use gridloop_service::Section;
use std::collections::BTreeMap;

/// Buses, branches and resources that a network may have, each. A message of more is refused.
const MOST: usize = 50_000;

/// What the messages do not say.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSource {
    /// What the source holds, in parts of the nominal voltage.
    pub root_voltage_pu: f64,
}

impl NetworkSource {
    /// Reads the key from a component's table.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let root_voltage_pu = section
            .number("root_voltage_pu", "What holds the root bus, in parts of the nominal voltage.")
            .within(0.5..=1.5)
            .or(1.0);
        Self { root_voltage_pu }
    }
}

/// Reads where the taps of a branch can stand from a tap changer's table.
pub(crate) fn read_taps(section: &Section<'_>) -> TapRange {
    let position = |key, about| section.integer(key, about).within(-1_000..=1_000).fits::<i32>();
    let lowest = position("lowest_position", "Lower end stop.").required();
    let highest = position("highest_position", "Upper end stop.").required();
    let neutral = position("neutral_position", "Position of nominal ratio.").required();
    let percent = section
        .number("step_percent", "By how much a position up raises the voltage, in %; may be negative.");
    let step = percent.within(-20.0..=20.0).required() / 100.0;
    if lowest > highest || !(lowest..=highest).contains(&neutral) {
        section.error(Some("neutral_position"), "a position between the end stops", None);
    }
    if step.abs() < 1e-5 {
        section.error(Some("step_percent"), "a step that is not 0", None);
    }
    TapRange { lowest, highest, neutral, step }
}

/// What has been heard of the network.
#[derive(Debug, Default)]
pub(crate) struct NetworkInbox {
    buses: Option<NetworkBusInfo>,
    branches: Option<NetworkComponentInfo>,
    customers: Option<CustomerInfo>,
}

impl NetworkInbox {
    /// The topics to listen to.
    pub(crate) const TOPICS: [&'static str; 3] =
        [topic::NETWORK_BUS_INFO, topic::NETWORK_COMPONENT_INFO, topic::CUSTOMER_INFO];

    /// Takes what belongs here.
    pub(crate) fn take(&mut self, body: &Body) {
        match body {
            Body::NetworkBusInfo(info) => self.buses = Some(info.clone()),
            Body::NetworkComponentInfo(info) => self.branches = Some((**info).clone()),
            Body::CustomerInfo(info) => self.customers = Some(info.clone()),
            _ => {}
        }
    }

    /// Which messages are missing.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let here = [self.buses.is_some(), self.branches.is_some(), self.customers.is_some()];
        Self::TOPICS.into_iter().zip(here).filter(|(_, here)| !here).map(|(topic, _)| topic).collect()
    }

    /// The feeder, when all is there.
    ///
    /// # Errors
    /// When the messages contradict themselves or each other.
    pub(crate) fn feeder(
        &self,
        source: &NetworkSource,
        taps: &BTreeMap<&str, TapRange>,
    ) -> Result<Option<Feeder>, Fault> {
        let (Some(buses), Some(branches), Some(customers)) = (&self.buses, &self.branches, &self.customers)
        else {
            return Ok(None);
        };
        let most = buses.bus_name.len().max(branches.device_id.len()).max(customers.resource_id.len());
        if most > MOST {
            return Err(
                format!("the network has {most} buses, branches or resources; {MOST} is the most").into()
            );
        }
        let network = PerUnitNetwork {
            base_power_va: branches.power_base_kva * 1000.0,
            buses: per_unit_buses(buses),
            branches: per_unit_branches(branches, taps),
            root_voltage_pu: source.root_voltage_pu,
            wires: Wires::NeutralEarthedEverywhere,
        };
        let engine = Network::from_per_unit(&network).and_then(|network| BuiltIn::new(&network));
        let engine = engine.map_err(|error| Fault::caused_by(&error))?;
        let connections = customers.resource_id.iter().cloned().zip(customers.bus_name.iter().map(Site::at));
        Feeder::new(Box::new(engine), &connections.collect()).map(Some).map_err(|unknown| {
            let list = unknown.iter().take(5).map(|(resource, bus)| format!("{resource} at {bus:?}"));
            let list = list.collect::<Vec<_>>().join(", ");
            Fault::new(format!(
                "{} knows resources at buses that the network lacks: {list}",
                topic::CUSTOMER_INFO
            ))
        })
    }
}

fn per_unit_buses(info: &NetworkBusInfo) -> Vec<PerUnitBus> {
    let kind = |kind: &BusType| match kind {
        BusType::Root => BusKind::Root,
        BusType::Dummy => BusKind::Dummy,
        BusType::UsagePoint => BusKind::UsagePoint,
    };
    let parts = info.bus_name.iter().zip(&info.bus_voltage_base_kv).zip(&info.bus_type);
    let bus = |((name, kv), bus_type): ((&String, &f64), &BusType)| PerUnitBus {
        name: name.clone(),
        base_voltage_v: kv * 1000.0,
        kind: kind(bus_type),
    };
    parts.map(bus).collect()
}

fn per_unit_branches(info: &NetworkComponentInfo, taps: &BTreeMap<&str, TapRange>) -> Vec<PerUnitBranch> {
    // The arrays are of one length: messages are checked for that when they are decoded.
    let number = |values: &[f64], at: usize| values.get(at).copied().unwrap_or(f64::NAN);
    let text = |values: &[String], at: usize| values.get(at).cloned().unwrap_or_default();
    let branch = |(at, name): (usize, &String)| PerUnitBranch {
        name: name.clone(),
        sending_bus: text(&info.sending_end_bus, at),
        receiving_bus: text(&info.receiving_end_bus, at),
        resistance_pu: number(&info.resistance_pu, at),
        reactance_pu: number(&info.reactance_pu, at),
        shunt_conductance_pu: number(&info.shunt_conductance_pu, at),
        shunt_susceptance_pu: number(&info.shunt_admittance_pu, at),
        rated_current_pu: Some(number(&info.rated_current_pu, at)).filter(|rated| *rated > 0.0),
        taps: taps.get(name.as_str()).copied(),
    };
    info.device_id.iter().enumerate().map(branch).collect()
}
