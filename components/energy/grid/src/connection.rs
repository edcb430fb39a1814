//! How resources are connected: [`Connected`] in the configuration of a component, [`Connections`] once the network is
//! known.

use crate::description::Place;
use crate::source::Solvable;
use gridloop_component::Fault;
use gridloop_messages::ResourceState;
use gridloop_power_flow::{Conductor, Connection, Injection, VoltageDependence};
use gridloop_service::Section;
use std::collections::{BTreeMap, BTreeSet};

/// How far the shares of a ZIP load may be from 1 together.
const SHARES_TOLERANCE: f64 = 1e-6;

/// What a configuration says of a resource: it comes before what the network says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Connected {
    /// The bus; `None`: where the network has it.
    pub bus: Option<String>,
    /// How it is connected where its ResourceState names no phase.
    pub connection: Option<Connection>,
    /// What its power does when the voltage is not nominal.
    pub dependence: Option<VoltageDependence>,
}

impl Connected {
    /// Reads the keys of one resource.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let phases = [Conductor::Phase1, Conductor::Phase2, Conductor::Phase3];
        let [one, two, three] = phases;
        let connection = section
            .text(
                "connection",
                "How it is connected where its ResourceState has no Node: wye, delta, a phase, or two of them.",
            )
            .choice(&[
                ("wye", Connection::Wye),
                ("delta", Connection::Delta),
                ("1", Connection::Phase(one)),
                ("2", Connection::Phase(two)),
                ("3", Connection::Phase(three)),
                ("1-2", Connection::Between(one, two)),
                ("2-3", Connection::Between(two, three)),
                ("3-1", Connection::Between(three, one)),
            ])
            .optional();
        Self {
            bus: section.text("bus", "The bus that it is connected to.").optional(),
            connection,
            dependence: read_dependence(section),
        }
    }

    /// Reads the tables `[resources.NAME]`.
    pub(crate) fn read_all(section: &Section<'_>) -> BTreeMap<String, Self> {
        let about = "Resources that the network does not know, or knows otherwise, by name.";
        let tables = section.named_sections("resources", about);
        tables.iter().map(|table| (table.name().to_owned(), Self::read(table))).collect()
    }
}

fn read_dependence(section: &Section<'_>) -> Option<VoltageDependence> {
    let word = section
        .text("dependence", "What its power does when the voltage is not nominal.")
        .choice(&[
            ("constant-power", VoltageDependence::ConstantPower),
            ("constant-current", VoltageDependence::ConstantCurrent),
            ("constant-impedance", VoltageDependence::ConstantImpedance),
        ])
        .optional();
    let shares = section
        .numbers("zip", "Instead of `dependence`: its shares of constant impedance, current and power.")
        .optional();
    match (word, shares) {
        (Some(_), Some(_)) => {
            section.error(Some("zip"), "this or `dependence`, not both", None);
            None
        }
        (word, None) => word,
        (None, Some(shares)) => match shares[..] {
            [impedance, current, power] if (impedance + current + power - 1.0).abs() < SHARES_TOLERANCE => {
                Some(VoltageDependence::Zip { impedance, current, power })
            }
            _ => {
                section.error(Some("zip"), "three shares that add up to 1, such as [0.4, 0.2, 0.4]", None);
                None
            }
        },
    }
}

/// The resources of a network and where they are connected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Connections {
    by_name: BTreeMap<String, Spot>,
    /// The buses of each customer.
    of_customers: BTreeMap<String, BTreeSet<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Spot {
    bus: usize,
    connection: Connection,
    dependence: VoltageDependence,
}

impl Connections {
    /// What the network says of its resources, changed by `own`.
    ///
    /// # Errors
    /// When a resource has no bus, or one that the network does not have.
    pub(crate) fn new(network: &Solvable, own: &BTreeMap<String, Connected>) -> Result<Self, Fault> {
        let mut places: BTreeMap<&str, Place> = BTreeMap::new();
        for (name, place) in &network.resources {
            places.insert(name, place.clone());
        }
        for (name, own) in own {
            let known = places.get(name.as_str()).cloned();
            let Some(bus) = own.bus.clone().or_else(|| known.as_ref().map(|known| known.bus.clone())) else {
                let told = "the network does not know it, and `bus` is not given";
                return Err(Fault::new(format!("resource {name}: {told}")));
            };
            let known = known.unwrap_or_else(|| Place::at("", ""));
            let connection = own.connection.unwrap_or(known.connection);
            let dependence = own.dependence.unwrap_or(known.dependence);
            places.insert(name, Place { bus, connection, dependence, ..known });
        }
        let topology = network.engine.topology();
        let mut by_name = BTreeMap::new();
        let mut of_customers: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (name, Place { customer_id, bus, connection, dependence }) in places {
            let Some(at) = topology.bus(&bus) else {
                let told =
                    format!("resource {name} is connected to bus {bus}, which the network does not have");
                return Err(Fault::new(told));
            };
            by_name.insert(name.to_owned(), Spot { bus: at, connection, dependence });
            if !customer_id.is_empty() {
                of_customers.entry(customer_id).or_default().insert(at);
            }
        }
        Ok(Self { by_name, of_customers })
    }

    /// Connects a resource that the network does not know at the bus of its customer.
    ///
    /// # Errors
    /// When the customer has no bus, or several.
    pub(crate) fn place_at_customer(&mut self, name: &str, customer_id: &str) -> Result<(), Fault> {
        let buses: Vec<usize> = self.of_customers.get(customer_id).into_iter().flatten().copied().collect();
        let [bus] = buses[..] else {
            let found = if buses.is_empty() { "no bus" } else { "several buses" };
            return Err(Fault::new(format!(
                "{name} is not among the resources of the network, and its customer {customer_id:?} has {found} there"
            )));
        };
        let Place { connection, dependence, .. } = Place::at(customer_id, "");
        self.by_name.insert(name.to_owned(), Spot { bus, connection, dependence });
        Ok(())
    }

    /// The names of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.by_name.keys()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// What a resource feeds in that says this of itself; `None` for a stranger.
    pub(crate) fn injection(&self, name: &str, state: &ResourceState) -> Option<Injection> {
        let spot = self.by_name.get(name)?;
        let phase = state.node.and_then(Conductor::phase);
        Some(Injection {
            bus: spot.bus,
            connection: phase.map_or(spot.connection, Connection::Phase),
            real_power_w: state.real_power_kw * 1e3,
            reactive_power_var: state.reactive_power_kvar * 1e3,
            dependence: spot.dependence,
        })
    }
}
