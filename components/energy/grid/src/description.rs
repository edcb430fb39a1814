//! What is known of a network: [`NetworkDescription`] has its buses and branches in per unit and where each resource is
//! connected, from a file of the user's own or from the messages of NIS and CIS, which [`Gathering`] puts together.

use crate::details::Details;
use gridloop_messages::{Body, BusType, CustomerInfo, NetworkBusInfo, NetworkComponentInfo};
use gridloop_power_flow::{
    BusKind, Connection, Element, Network, NetworkError, PerUnitBranch, PerUnitBus, PerUnitNetwork, Side,
    TapRange, VoltageDependence, Wires,
};
use std::collections::BTreeMap;

/// A network and who is connected to it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkDescription {
    /// Buses and branches, in per unit: of lines and transformers that are more than that, the positive sequence.
    pub network: PerUnitNetwork,
    /// What goes beyond that.
    pub details: Details,
    /// Where taps stand that do not stand at their neutral position, by branch.
    pub tap_positions: BTreeMap<String, i32>,
    /// The resources, by name.
    pub resources: BTreeMap<String, Place>,
}

/// Where a resource is connected, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Whom it belongs to.
    pub customer_id: String,
    /// The bus.
    pub bus: String,
    /// How it is connected where its ResourceState names no phase.
    pub connection: Connection,
    /// What its power does when the voltage is not nominal.
    pub dependence: VoltageDependence,
}

impl Place {
    /// A resource of constant power, in wye where its state names no phase: all that CIS tells.
    #[must_use]
    pub fn at(customer_id: impl Into<String>, bus: impl Into<String>) -> Self {
        Self {
            customer_id: customer_id.into(),
            bus: bus.into(),
            connection: Connection::Wye,
            dependence: VoltageDependence::ConstantPower,
        }
    }
}

impl NetworkDescription {
    /// The network as the power flow takes it, with its taps where the description has them.
    ///
    /// # Errors
    /// When the description contradicts itself.
    pub fn to_network(&self) -> Result<Network, NetworkError> {
        let mut network = Network::from_per_unit(&self.network)?;
        self.details.apply(&mut network);
        for branch in &mut network.branches {
            if let (Some(position), Element::Transformer(transformer)) =
                (self.tap_positions.get(&branch.name), &mut branch.element)
            {
                transformer.tap_position = *position;
            }
        }
        Ok(network)
    }

    /// Gives a branch taps at its end, which makes it a transformer, and says where they stand. Whether there is such a
    /// branch, and it can be one.
    pub fn set_taps(&mut self, branch: &str, range: TapRange, position: i32) -> bool {
        let Some(known) = self.network.branches.iter_mut().find(|known| known.name == branch) else {
            return false;
        };
        match self.details.elements.get_mut(branch) {
            None => {}
            Some(Element::Transformer(transformer)) => {
                (transformer.taps, transformer.tapped) = (Some(range), Side::Receiving);
            }
            Some(Element::Line(_) | Element::Admittance(_)) => return false,
        }
        known.taps = Some(range);
        self.tap_positions.insert(branch.to_owned(), position);
        true
    }

    /// Its buses as NIS tells them (wire contract 2.5).
    #[must_use]
    pub fn bus_info(&self) -> NetworkBusInfo {
        let buses = &self.network.buses;
        NetworkBusInfo {
            bus_voltage_base_kv: buses.iter().map(|bus| bus.base_voltage_v / 1e3).collect(),
            bus_name: buses.iter().map(|bus| bus.name.clone()).collect(),
            bus_type: buses
                .iter()
                .map(|bus| match bus.kind {
                    BusKind::Root => BusType::Root,
                    BusKind::Dummy => BusType::Dummy,
                    BusKind::UsagePoint => BusType::UsagePoint,
                })
                .collect(),
        }
    }

    /// Its branches as NIS tells them (wire contract 2.5). A branch without a rating is told with 0.
    #[must_use]
    pub fn component_info(&self) -> NetworkComponentInfo {
        let branches = &self.network.branches;
        let numbers = |of: fn(&PerUnitBranch) -> f64| branches.iter().map(of).collect();
        let names =
            |of: fn(&PerUnitBranch) -> &String| branches.iter().map(|branch| of(branch).clone()).collect();
        NetworkComponentInfo {
            resistance_pu: numbers(|branch| branch.resistance_pu),
            reactance_pu: numbers(|branch| branch.reactance_pu),
            shunt_admittance_pu: numbers(|branch| branch.shunt_susceptance_pu),
            shunt_conductance_pu: numbers(|branch| branch.shunt_conductance_pu),
            rated_current_pu: numbers(|branch| branch.rated_current_pu.unwrap_or(0.0)),
            sending_end_bus: names(|branch| &branch.sending_bus),
            receiving_end_bus: names(|branch| &branch.receiving_bus),
            device_id: names(|branch| &branch.name),
            power_base_kva: self.network.base_power_va / 1e3,
        }
    }

    /// Its resources as CIS tells them (wire contract 2.5).
    #[must_use]
    pub fn customer_info(&self) -> CustomerInfo {
        let places = || self.resources.values();
        CustomerInfo {
            resource_id: self.resources.keys().cloned().collect(),
            customer_id: places().map(|place| place.customer_id.clone()).collect(),
            bus_name: places().map(|place| place.bus.clone()).collect(),
        }
    }
}

/// Why messages make no network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GatheringError {
    /// Two messages of one type say different things.
    #[error("{what} came twice, and the second says something else")]
    Contradiction {
        /// The type.
        what: &'static str,
    },
    /// CIS names a resource twice.
    #[error("CIS has two places for the resource {resource}")]
    TwoPlaces {
        /// The resource.
        resource: String,
    },
    /// Taps were to be added to a branch that NIS does not know.
    #[error("NIS knows no branch {branch}, which is to have taps")]
    UnknownBranch {
        /// The branch.
        branch: String,
    },
}

/// What the messages of NIS do not tell of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsaid {
    /// What the source at the root holds, as a part of the base voltage.
    pub root_voltage_pu: f64,
    /// What there is of a neutral.
    pub wires: Wires,
    /// Branches with taps: where these can stand, and where they do.
    pub taps: BTreeMap<String, (TapRange, i32)>,
}

impl Default for Unsaid {
    /// Nominal voltage at the root, a neutral that is earthed everywhere, no taps.
    fn default() -> Self {
        Self { root_voltage_pu: 1.0, wires: Wires::NeutralEarthedEverywhere, taps: BTreeMap::new() }
    }
}

/// The messages of NIS and CIS as they come, in any order and repeated or not (wire contract 6.7).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gathering {
    unsaid: Unsaid,
    /// Customers are not waited for.
    without_customers: bool,
    buses: Option<NetworkBusInfo>,
    branches: Option<NetworkComponentInfo>,
    customers: Option<CustomerInfo>,
}

impl Gathering {
    /// The topics that it listens to.
    pub const TOPICS: [&str; 3] = [
        gridloop_messages::topic::NETWORK_BUS_INFO,
        gridloop_messages::topic::NETWORK_COMPONENT_INFO,
        gridloop_messages::topic::CUSTOMER_INFO,
    ];

    /// Messages of NIS and CIS, and what they do not tell.
    #[must_use]
    pub fn new(unsaid: Unsaid) -> Self {
        Self { unsaid, ..Self::default() }
    }

    /// The same, for whom it does not matter who is connected: the network is known without the message of CIS.
    #[must_use]
    pub fn without_customers(self) -> Self {
        Self { without_customers: true, ..self }
    }

    /// Takes a message, if it is one of those.
    ///
    /// # Errors
    /// When it contradicts the one before.
    pub fn take(&mut self, body: &Body) -> Result<(), GatheringError> {
        match body {
            Body::NetworkBusInfo(info) => keep(&mut self.buses, info, "Init.NIS.NetworkBusInfo"),
            Body::NetworkComponentInfo(info) => {
                keep(&mut self.branches, info, "Init.NIS.NetworkComponentInfo")
            }
            Body::CustomerInfo(info) => keep(&mut self.customers, info, "Init.CIS.CustomerInfo"),
            _ => Ok(()),
        }
    }

    /// What has not come yet.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let customers = self.without_customers || self.customers.is_some();
        let known = [self.buses.is_some(), self.branches.is_some(), customers];
        Self::TOPICS.into_iter().zip(known).filter(|(_, known)| !known).map(|(topic, _)| topic).collect()
    }

    /// The network, when everything is there. Resources without a bus are outside of it and are left out.
    ///
    /// # Errors
    /// When a resource has two places, or taps belong to no branch.
    pub fn description(&self) -> Result<Option<NetworkDescription>, GatheringError> {
        let (Some(buses), Some(branches)) = (&self.buses, &self.branches) else { return Ok(None) };
        if self.customers.is_none() && !self.without_customers {
            return Ok(None);
        }
        let network = PerUnitNetwork {
            base_power_va: branches.power_base_kva * 1e3,
            buses: buses_of(buses),
            branches: branches_of(branches),
            root_voltage_pu: self.unsaid.root_voltage_pu,
            wires: self.unsaid.wires,
        };
        let resources = self.customers.as_ref().map_or_else(|| Ok(BTreeMap::new()), places)?;
        let mut description = NetworkDescription {
            network,
            details: Details::default(),
            tap_positions: BTreeMap::new(),
            resources,
        };
        for (branch, (range, position)) in &self.unsaid.taps {
            if !description.set_taps(branch, *range, *position) {
                return Err(GatheringError::UnknownBranch { branch: branch.clone() });
            }
        }
        Ok(Some(description))
    }
}

/// Resources by name; those outside the network are left out.
fn places(customers: &CustomerInfo) -> Result<BTreeMap<String, Place>, GatheringError> {
    let mut resources = BTreeMap::new();
    let rows = customers.resource_id.iter().zip(&customers.customer_id).zip(&customers.bus_name);
    for ((resource, customer_id), bus) in rows.filter(|(_, bus)| !bus.is_empty()) {
        if resources.insert(resource.clone(), Place::at(customer_id, bus)).is_some() {
            return Err(GatheringError::TwoPlaces { resource: resource.clone() });
        }
    }
    Ok(resources)
}

fn keep<T: Clone + PartialEq>(
    kept: &mut Option<T>,
    told: &T,
    what: &'static str,
) -> Result<(), GatheringError> {
    match kept {
        Some(before) if before != told => Err(GatheringError::Contradiction { what }),
        Some(_) => Ok(()),
        None => {
            *kept = Some(told.clone());
            Ok(())
        }
    }
}

fn buses_of(info: &NetworkBusInfo) -> Vec<PerUnitBus> {
    let rows = info.bus_name.iter().zip(&info.bus_type).zip(&info.bus_voltage_base_kv);
    let bus = |((name, kind), base_kv): ((&String, &BusType), &f64)| PerUnitBus {
        name: name.clone(),
        base_voltage_v: base_kv * 1e3,
        kind: match kind {
            BusType::Root => BusKind::Root,
            BusType::Dummy => BusKind::Dummy,
            BusType::UsagePoint => BusKind::UsagePoint,
        },
    };
    rows.map(bus).collect()
}

/// The arrays are of one length, or the message was refused.
fn branches_of(info: &NetworkComponentInfo) -> Vec<PerUnitBranch> {
    let number = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(0.0);
    let text = |texts: &[String], at: usize| texts.get(at).cloned().unwrap_or_default();
    let branch = |(at, name): (usize, &String)| PerUnitBranch {
        name: name.clone(),
        sending_bus: text(&info.sending_end_bus, at),
        receiving_bus: text(&info.receiving_end_bus, at),
        resistance_pu: number(&info.resistance_pu, at),
        reactance_pu: number(&info.reactance_pu, at),
        shunt_conductance_pu: number(&info.shunt_conductance_pu, at),
        shunt_susceptance_pu: number(&info.shunt_admittance_pu, at),
        rated_current_pu: Some(number(&info.rated_current_pu, at)).filter(|rated| *rated > 0.0),
        taps: None,
    };
    info.device_id.iter().enumerate().map(branch).collect()
}
