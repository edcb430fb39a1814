//! The network as the controllers see it: a [`Feeder`] is an engine of power flow together with the place of each
//! resource. It is solved for a [`Point`], and its [`Slopes`] around that point come from the power flow itself.

use crate::places::Places;
use gridloop_power_flow::{
    Conductor, Connection, Engine, Injection, Operation, Probe, SolveError, TapRange, VoltageDependence,
    sensitivities,
};
use std::collections::BTreeMap;

/// The power of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Power {
    /// Real power in W, positive towards the grid.
    pub real_power_w: f64,
    /// Reactive power in var, positive towards the grid.
    pub reactive_power_var: f64,
    /// Phase 1, 2 or 3; `None`: all three alike.
    pub node: Option<u8>,
}

/// Where and how a resource is connected.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// The bus.
    pub bus: String,
    /// How it is connected where its state names no phase.
    pub connection: Connection,
    /// What its power does when the voltage is not nominal.
    pub dependence: VoltageDependence,
}

impl Site {
    /// In wye, of constant power.
    #[must_use]
    pub fn at(bus: impl Into<String>) -> Self {
        Self { bus: bus.into(), connection: Connection::Wye, dependence: VoltageDependence::ConstantPower }
    }
}

/// For what a feeder is to be solved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    /// Power by resource. Resources outside the network are passed over.
    pub powers: BTreeMap<String, Power>,
    /// Tap positions by branch.
    pub taps: BTreeMap<usize, i32>,
}

/// Which of a resource's powers is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Axis {
    /// Real power.
    Real,
    /// Reactive power.
    Reactive,
}

/// By how much the value at each place rises with one W or var of one resource.
pub type Slopes = Vec<f64>;

/// A network with resources.
pub struct Feeder {
    engine: Box<dyn Engine>,
    sites: BTreeMap<String, (usize, Connection, VoltageDependence)>,
    places: Places,
}

impl Feeder {
    /// The network of `engine`, with resources at these sites. Resources with an empty bus, which are outside the
    /// network, are passed over.
    ///
    /// # Errors
    /// The names of resources, with their bus, of which the engine has no such bus.
    pub fn new(
        engine: Box<dyn Engine>,
        sites: &BTreeMap<String, Site>,
    ) -> Result<Self, Vec<(String, String)>> {
        let topology = engine.topology();
        let places = Places::of(topology);
        let (mut known, mut unknown) = (BTreeMap::new(), Vec::new());
        for (resource, site) in sites.iter().filter(|(_, site)| !site.bus.is_empty()) {
            match topology.bus(&site.bus) {
                Some(bus) => drop(known.insert(resource.clone(), (bus, site.connection, site.dependence))),
                None => unknown.push((resource.clone(), site.bus.clone())),
            }
        }
        if unknown.is_empty() { Ok(Self { engine, sites: known, places }) } else { Err(unknown) }
    }

    /// What is watched.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Whether a resource is connected to the network.
    #[must_use]
    pub fn has(&self, resource: &str) -> bool {
        self.sites.contains_key(resource)
    }

    /// The resources in the network, by name.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.sites.keys().map(String::as_str)
    }

    /// The number of a branch and its tap positions, if it has any.
    #[must_use]
    pub fn taps(&self, branch: &str) -> Option<(usize, TapRange)> {
        let topology = self.engine.topology();
        let index = topology.branch(branch)?;
        Some((index, topology.branches.get(index)?.taps?))
    }

    /// The values at the places.
    ///
    /// # Errors
    /// When the network has no solution at that point.
    pub fn solve(&mut self, point: &Point) -> Result<Vec<f64>, SolveError> {
        let solution = self.engine.solve(&self.operation(point))?;
        self.finite(self.places.read(&solution))
    }

    /// The values at the places, and for each of `controls` its slopes.
    ///
    /// # Errors
    /// When the network has no solution at that point or beside it.
    pub fn linearise(
        &mut self,
        point: &Point,
        controls: &[(&str, Axis)],
    ) -> Result<(Vec<f64>, Vec<Slopes>), SolveError> {
        self.linearise_with_taps(point, controls, &[])
    }

    /// The same, and behind those of the controls the slopes of the taps of these branches: by how much the value at
    /// each place rises with one position.
    ///
    /// # Errors
    /// As [`linearise`](Self::linearise), and when a branch has no taps.
    pub fn linearise_with_taps(
        &mut self,
        point: &Point,
        controls: &[(&str, Axis)],
        branches: &[usize],
    ) -> Result<(Vec<f64>, Vec<Slopes>), SolveError> {
        let probe = |&(resource, axis): &(&str, Axis)| {
            let &(bus, usual, _) = self.sites.get(resource)?;
            let connection = connection(point.powers.get(resource).and_then(|power| power.node), usual);
            Some(match axis {
                Axis::Real => Probe::RealPower { bus, connection },
                Axis::Reactive => Probe::ReactivePower { bus, connection },
            })
        };
        let controls: Vec<Option<Probe>> = controls.iter().map(probe).collect();
        let taps = branches.iter().map(|&branch| Probe::TapPosition { branch });
        let probes: Vec<Probe> = controls.iter().flatten().copied().chain(taps).collect();
        let operation = self.operation(point);
        let found = sensitivities(&mut *self.engine, &operation, &probes)?;
        let here = self.finite(self.places.read(&found.base))?;
        let mut slopes = Vec::with_capacity(probes.len());
        for one in &found.probes {
            slopes.push(self.finite(self.places.slopes(one))?);
        }
        // What is outside the network moves nothing in it.
        for at in (0..controls.len()).filter(|at| controls[*at].is_none()) {
            slopes.insert(at, vec![0.0; here.len()]);
        }
        Ok((here, slopes))
    }

    fn finite(&self, values: Vec<f64>) -> Result<Vec<f64>, SolveError> {
        match values.iter().zip(self.places.list()).find(|(value, _)| !value.is_finite()) {
            Some((_, place)) => Err(SolveError::NotFinite { what: place.label() }),
            None => Ok(values),
        }
    }

    fn operation(&self, point: &Point) -> Operation {
        let injection =
            |(resource, &(bus, usual, dependence)): (&String, &(usize, Connection, VoltageDependence))| {
                let power = point.powers.get(resource).copied().unwrap_or_default();
                Injection {
                    bus,
                    connection: connection(power.node, usual),
                    real_power_w: power.real_power_w,
                    reactive_power_var: power.reactive_power_var,
                    dependence,
                }
            };
        Operation {
            injections: self.sites.iter().map(injection).collect(),
            tap_positions: point.taps.clone(),
            source_voltage_pu: None,
        }
    }
}

/// How a resource is connected whose state names this phase.
fn connection(node: Option<u8>, usual: Connection) -> Connection {
    node.and_then(Conductor::phase).map_or(usual, Connection::Phase)
}

impl std::fmt::Debug for Feeder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeder").field("sites", &self.sites).finish_non_exhaustive()
    }
}
