//! The network as the controllers see it: a [`Feeder`] is an engine of power flow together with the place of each
//! resource. It is solved for a [`Point`], and its [`Slopes`] around that point come from the power flow itself.

use crate::places::Places;
use gridloop_power_flow::{
    Conductor, Connection, Engine, Injection, Operation, SolveError, TapRange, VoltageDependence,
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
        let operation = self.operation(point, None);
        self.read(&operation)
    }

    /// The values at the places, and for each of `controls` its slopes, by differences of power flows.
    ///
    /// # Errors
    /// When the network has no solution at that point or beside it.
    pub fn linearise(
        &mut self,
        point: &Point,
        controls: &[(&str, Axis)],
    ) -> Result<(Vec<f64>, Vec<Slopes>), SolveError> {
        let here = self.solve(point)?;
        let mut slopes = Vec::with_capacity(controls.len());
        for &(resource, axis) in controls {
            // Beside the point on the side of less power, where there surely is a solution.
            let power = point.powers.get(resource).copied().unwrap_or_default();
            let value = if axis == Axis::Real { power.real_power_w } else { power.reactive_power_var };
            let by = if value > 0.0 { -PROBE } else { PROBE };
            let operation = self.operation(point, Some((resource, axis, by)));
            let there = self.read(&operation)?;
            slopes.push(there.iter().zip(&here).map(|(there, here)| (there - here) / by).collect());
        }
        Ok((here, slopes))
    }

    /// By how much the value at each place rises with one position of a branch's taps, from `here` at the point.
    ///
    /// # Errors
    /// When the network has no solution beside the point.
    pub fn tap_slopes(
        &mut self,
        point: &Point,
        branch: usize,
        range: TapRange,
        here: &[f64],
    ) -> Result<Slopes, SolveError> {
        let now = point.taps.get(&branch).copied().unwrap_or(range.neutral);
        let next = if now < range.highest { now + 1 } else { now - 1 };
        let mut beside = point.clone();
        beside.taps.insert(branch, next);
        let by = f64::from(next - now);
        Ok(self.solve(&beside)?.iter().zip(here).map(|(there, here)| (there - here) / by).collect())
    }

    fn read(&mut self, operation: &Operation) -> Result<Vec<f64>, SolveError> {
        let solution = self.engine.solve(operation)?;
        let values = self.places.read(&solution);
        match values.iter().zip(self.places.list()).find(|(value, _)| !value.is_finite()) {
            Some((_, place)) => Err(SolveError::NotFinite { what: place.label() }),
            None => Ok(values),
        }
    }

    fn operation(&self, point: &Point, moved: Option<(&str, Axis, f64)>) -> Operation {
        let injection =
            |(resource, (bus, usual, dependence)): (&String, &(usize, Connection, VoltageDependence))| {
                let mut power = point.powers.get(resource).copied().unwrap_or_default();
                match moved {
                    Some((name, Axis::Real, by)) if name == resource => power.real_power_w += by,
                    Some((name, Axis::Reactive, by)) if name == resource => power.reactive_power_var += by,
                    _ => {}
                }
                Injection {
                    bus: *bus,
                    connection: power.node.and_then(Conductor::phase).map_or(*usual, Connection::Phase),
                    real_power_w: power.real_power_w,
                    reactive_power_var: power.reactive_power_var,
                    dependence: *dependence,
                }
            };
        Operation {
            injections: self.sites.iter().map(injection).collect(),
            tap_positions: point.taps.clone(),
            source_voltage_pu: None,
        }
    }
}

/// By how much power is moved to see what follows, in W or var.
const PROBE: f64 = 100.0;

impl std::fmt::Debug for Feeder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeder").field("sites", &self.sites).finish_non_exhaustive()
    }
}
