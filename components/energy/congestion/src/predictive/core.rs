//! From what is [`Expected`] of the network to what it needs: [`PredictiveCore`].

use super::forecast::Expected;
use super::settings::{PredictiveLimits, Trade};
use crate::places::Places;
use gridloop_messages::{Direction, Timestamp};
use gridloop_power_flow::{
    Conductor, Connection, Engine, Operation, Probe, SolveError, Topology, sensitivities,
};
use std::collections::{BTreeMap, BTreeSet};

/// A value that is beyond its limit by no more than this is not.
const TOLERANCE: f64 = 1e-6;
/// Power that moves a value by no more than this for 1 W, in parts of the nominal voltage or the rated current, does not
/// move it.
const UNMOVED: f64 = 1e-12;
/// How much of a bid more may be missing to a request that needs no further bid.
const SAME_BID: f64 = 1e-6;

/// Power that would keep the network within its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// From when.
    pub at: Timestamp,
    /// For how long, in minutes.
    pub duration_min: f64,
    /// Which way.
    pub direction: Direction,
    /// The worst place of the area and what is forecast there, such as `bus 7 phase 1 at 0.8812 pu`.
    pub place: String,
    /// The bus of that place; of an overloaded branch the one where power helps most.
    pub bus: String,
    /// The buses where power helps enough.
    pub buses: Vec<String>,
    /// Whom that is to be asked of.
    pub customers: Vec<String>,
    /// What has to be bought, in kW.
    pub needed_kw: f64,
    /// What is asked for: the least number of bids that has `needed_kw`, in kW.
    pub request_kw: f64,
}

/// A value beyond its red limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Where, and what it is.
    pub place: String,
    /// By how much it is beyond the limit, in parts of the nominal voltage or the rated current.
    pub beyond: f64,
    /// Whether it is a voltage.
    pub is_voltage: bool,
}

impl Violation {
    /// Whether it counts for more: voltages before currents, then by the distance beyond the limit.
    #[must_use]
    pub fn is_worse_than(&self, other: &Self) -> bool {
        (self.is_voltage, self.beyond.abs()) > (other.is_voltage, other.beyond.abs())
    }
}

/// What is found in a forecast.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judged {
    /// What is needed, in the order of time.
    pub needs: Vec<Need>,
    /// How many values are beyond their limits.
    pub violations: u64,
    /// The worst voltage of them; without any, the worst current.
    pub worst: Option<Violation>,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// Power that was bought.
#[derive(Debug, Clone, PartialEq)]
pub struct Purchase {
    /// From when.
    pub from: Timestamp,
    /// For how long, in minutes.
    pub duration_min: f64,
    /// Which way.
    pub direction: Direction,
    /// Where it counts as given.
    pub bus: String,
    /// How much, in kW.
    pub power_kw: f64,
}

impl Purchase {
    fn holds_at(&self, at: Timestamp) -> bool {
        at >= self.from && !self.is_over_at(at)
    }

    fn is_over_at(&self, at: Timestamp) -> bool {
        (at.as_datetime() - self.from.as_datetime()).as_seconds_f64() >= self.duration_min * 60.0
    }

    /// In W, positive towards the grid.
    fn power_w(&self) -> f64 {
        watts(self.direction, self.power_kw)
    }
}

/// Judges forecasts of a network.
pub struct PredictiveCore {
    limits: PredictiveLimits,
    trade: Trade,
    engine: Box<dyn Engine>,
    places: Places,
    /// Customers by bus.
    customers: BTreeMap<usize, BTreeSet<String>>,
    /// What the forecast does not show.
    purchases: Vec<Purchase>,
}

/// How values move with power at some buses: by bus, the change at each place for one W more.
type Slopes = BTreeMap<usize, Vec<f64>>;

/// The violations of one instant, and what is done about them so far.
struct Instant<'a> {
    expected: &'a Expected,
    /// By place: what is expected when all is bought that is asked for so far.
    values: Vec<f64>,
    slopes: Slopes,
    /// Places that are dealt with, or that nothing can be done for.
    settled: BTreeSet<usize>,
}

impl Instant<'_> {
    /// Reckons with so many W more at a bus.
    fn add(&mut self, bus: usize, power_w: f64) {
        let Some(slopes) = self.slopes.get(&bus) else { return };
        for (value, slope) in self.values.iter_mut().zip(slopes) {
            *value += power_w * slope;
        }
    }
}

/// The violation that an area grows around.
struct Seed {
    place: usize,
    /// The bus where power helps most.
    bus: usize,
    direction: Direction,
}

impl PredictiveCore {
    /// Judging the network of `engine`, in which customers are connected at these buses. Buses that it lacks are passed
    /// over.
    #[must_use]
    pub fn new(
        limits: PredictiveLimits,
        trade: Trade,
        engine: Box<dyn Engine>,
        customers: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let places = Places::of(engine.topology());
        let mut by_bus: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for (customer, bus) in customers.into_iter().filter(|(customer, _)| !customer.is_empty()) {
            if let Some(bus) = engine.topology().bus(&bus) {
                by_bus.entry(bus).or_default().insert(customer);
            }
        }
        Self { limits, trade, engine, places, customers: by_bus, purchases: Vec::new() }
    }

    /// What is watched.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What the network is made of.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        self.engine.topology()
    }

    /// Power that was bought and that forecasts do not show: what it does is reckoned with from now on.
    pub fn buy(&mut self, purchase: Purchase) {
        self.purchases.push(purchase);
    }

    /// Forgets purchases that are over.
    pub fn forget_before(&mut self, time: Timestamp) {
        self.purchases.retain(|purchase| !purchase.is_over_at(time));
    }

    /// Purchases in force at an instant: bus, and W towards the grid.
    fn purchased(&self, at: Timestamp) -> Vec<(usize, f64)> {
        let in_force = self.purchases.iter().filter(|purchase| purchase.holds_at(at));
        in_force.filter_map(|it| Some((self.topology().bus(&it.bus)?, it.power_w()))).collect()
    }

    /// What is needed so that the network stays within its limits. `operation` is what feeds in and draws at an instant,
    /// as far as that is known: sensitivities are those around it, or, where the forecast is nearer to that, of the network
    /// without load.
    pub fn judge(
        &mut self,
        forecast: &[Expected],
        operation: impl Fn(&Topology, Timestamp) -> Operation,
    ) -> Judged {
        let mut judged = Judged::default();
        for expected in forecast {
            let violated = self.violated(&expected.values);
            if violated.is_empty() {
                continue;
            }
            self.note(expected, &violated, &mut judged);
            let operation = operation(self.engine.topology(), expected.at);
            match self.slopes(expected, operation, &violated) {
                Ok(slopes) => self.areas(expected, slopes, violated, &mut judged),
                Err(error) => judged.warnings.push(format!(
                    "nothing is asked for at {}: the power flow has no solution: {error}",
                    expected.at
                )),
            }
        }
        judged
    }

    /// The places beyond their red limits, with the distance: above 0 over, below 0 under it.
    fn violated(&self, values: &[f64]) -> Vec<(usize, f64)> {
        let bounds = self.places.bounds(&self.limits.red());
        let beyond = values.iter().zip(bounds).map(|(value, (low, high))| {
            if value - high > TOLERANCE {
                value - high
            } else if low - value > TOLERANCE {
                value - low
            } else {
                0.0
            }
        });
        beyond.enumerate().filter(|(_, beyond)| *beyond != 0.0).collect()
    }

    fn is_voltage(&self, place: usize) -> bool {
        self.places.list().get(place).is_some_and(crate::places::Place::is_voltage)
    }

    fn describe(&self, place: usize, value: f64) -> String {
        self.places.list().get(place).map(|place| place.describe(value)).unwrap_or_default()
    }

    fn note(&self, expected: &Expected, violated: &[(usize, f64)], judged: &mut Judged) {
        judged.violations += u64::try_from(violated.len()).unwrap_or(u64::MAX);
        let Some(&(place, beyond)) = self.worst(violated) else { return };
        let value = expected.values.get(place).copied().unwrap_or(f64::NAN);
        let (place, is_voltage) = (self.describe(place, value), self.is_voltage(place));
        let violation = Violation { at: expected.at, place, beyond, is_voltage };
        if judged.worst.as_ref().is_none_or(|worst| violation.is_worse_than(worst)) {
            judged.worst = Some(violation);
        }
    }

    /// The voltage that is farthest beyond its limit; if all are within, the current.
    fn worst<'a>(&self, violated: &'a [(usize, f64)]) -> Option<&'a (usize, f64)> {
        let rank = |(place, beyond): &(usize, f64)| (self.is_voltage(*place), beyond.abs());
        // Of equals the first.
        violated.iter().rev().max_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    }

    /// How values move with power at the buses of customers and of violations.
    fn slopes(
        &mut self,
        expected: &Expected,
        operation: Operation,
        violated: &[(usize, f64)],
    ) -> Result<Slopes, SolveError> {
        let without_load = Operation { injections: Vec::new(), ..operation.clone() };
        let apart = (self.distance(&operation, expected), self.distance(&without_load, expected));
        let is_loaded = match apart {
            (Ok(loaded), Ok(unloaded)) => loaded < unloaded,
            (Err(error), Err(_)) => return Err(error),
            (loaded, _) => loaded.is_ok(),
        };
        let operation = if is_loaded { operation } else { without_load };
        let mut buses: BTreeSet<usize> = self.customers.keys().copied().collect();
        buses.extend(self.purchased(expected.at).into_iter().map(|(bus, _)| bus));
        buses.extend(violated.iter().filter_map(|(place, _)| self.places.list().get(*place)?.bus()));
        let topology = self.engine.topology();
        let buses: Vec<usize> = buses
            .into_iter()
            .filter(|bus| topology.buses.get(*bus).is_some_and(|it| !it.is_source))
            .collect();
        let probe = |bus: &usize| Probe::RealPower { bus: *bus, connection: connection(topology, *bus) };
        let probes: Vec<Probe> = buses.iter().map(probe).collect();
        let found = sensitivities(self.engine.as_mut(), &operation, &probes)?;
        let changes = found.probes.iter().map(|probe| {
            let mut changes = self.places.slopes(probe);
            for (change, place) in changes.iter_mut().zip(self.places.list()) {
                // A current that does not flow has no direction that power could be against.
                if !is_loaded && !place.is_voltage() {
                    *change = 0.0;
                }
            }
            changes
        });
        Ok(buses.into_iter().zip(changes).collect())
    }

    /// By how much the voltages of an operation are not those that are expected.
    fn distance(&mut self, operation: &Operation, expected: &Expected) -> Result<f64, SolveError> {
        let values = self.places.read(&self.engine.solve(operation)?);
        let apart = self.places.list().iter().zip(values.iter().zip(&expected.values));
        let apart =
            apart.filter(|(place, _)| place.is_voltage()).map(|(_, (here, there))| (here - there).abs());
        Ok(apart.filter(|apart| apart.is_finite()).fold(0.0, f64::max))
    }

    /// One need after the other, each for the worst violation that those before leave.
    fn areas(&self, expected: &Expected, slopes: Slopes, violated: Vec<(usize, f64)>, judged: &mut Judged) {
        let violated: BTreeSet<usize> = violated.into_iter().map(|(place, _)| place).collect();
        let settled = BTreeSet::new();
        let mut instant = Instant { expected, values: expected.values.clone(), slopes, settled };
        for (bus, power_w) in self.purchased(expected.at) {
            instant.add(bus, power_w);
        }
        loop {
            let mut left = self.violated(&instant.values);
            left.retain(|(place, _)| violated.contains(place) && !instant.settled.contains(place));
            let Some(&(place, beyond)) = self.worst(&left) else { return };
            let Some(seed) = self.seed(&instant, place, beyond) else {
                let what = self.describe(place, instant.values.get(place).copied().unwrap_or(f64::NAN));
                let warning = format!("{what} at {}: no power at any bus is known to move it", expected.at);
                judged.warnings.push(warning);
                instant.settled.insert(place);
                continue;
            };
            match self.need(&mut instant, &seed, &left) {
                Ok(need) => judged.needs.push(need),
                Err(warning) => judged.warnings.push(warning),
            }
        }
    }

    /// Where power helps most against a violation, and which way.
    fn seed(&self, instant: &Instant<'_>, place: usize, beyond: f64) -> Option<Seed> {
        let slope = |bus: usize| instant.slopes.get(&bus)?.get(place).copied().filter(|it| it.is_finite());
        let bus = match self.places.list().get(place)?.bus() {
            Some(bus) => bus,
            None => {
                let buses = instant.slopes.keys().copied();
                buses
                    .filter_map(|bus| Some((bus, slope(bus)?.abs())))
                    .rev()
                    .max_by(|a, b| a.1.total_cmp(&b.1))?
                    .0
            }
        };
        let slope = slope(bus).filter(|slope| slope.abs() > UNMOVED)?;
        let direction = if beyond * slope > 0.0 { Direction::Down } else { Direction::Up };
        Some(Seed { place, bus, direction })
    }

    /// What the area around a violation needs; else why nothing is asked for. What the power does is reckoned with from
    /// then on.
    fn need(
        &self,
        instant: &mut Instant<'_>,
        seed: &Seed,
        violated: &[(usize, f64)],
    ) -> Result<Need, String> {
        let area = self.area(instant, seed);
        let lacking_kw = self.lacking_kw(instant, seed, &area, violated);
        let Trade { flexibility_need_margin, real_power_min_kw, bid_resolution_kw, .. } = self.trade;
        let needed_kw = (lacking_kw * (1.0 + flexibility_need_margin)).max(real_power_min_kw);
        let bids = ((needed_kw - real_power_min_kw) / bid_resolution_kw - SAME_BID).ceil().max(0.0);
        instant.settled.insert(seed.place);
        let customers: BTreeSet<&String> =
            area.iter().filter_map(|bus| self.customers.get(bus)).flatten().collect();
        let value = instant.values.get(seed.place).copied().unwrap_or(f64::NAN);
        let place = self.describe(seed.place, value);
        if customers.is_empty() {
            return Err(format!("{place} at {}: there is no customer who could help", instant.expected.at));
        }
        instant.add(seed.bus, watts(seed.direction, needed_kw));
        let name = |bus: &usize| self.topology().buses.get(*bus).map(|bus| bus.name.clone());
        Ok(Need {
            at: instant.expected.at,
            duration_min: instant.expected.duration_min,
            direction: seed.direction,
            place,
            bus: name(&seed.bus).unwrap_or_default(),
            buses: area.iter().filter_map(name).collect(),
            customers: customers.into_iter().cloned().collect(),
            needed_kw,
            request_kw: real_power_min_kw + bids * bid_resolution_kw,
        })
    }

    /// The buses where power helps against the seed's violation not much less than at the seed's bus.
    fn area(&self, instant: &Instant<'_>, seed: &Seed) -> Vec<usize> {
        let slope = |bus: &usize| instant.slopes.get(bus).and_then(|it| it.get(seed.place)).copied();
        let Some(most) = slope(&seed.bus) else { return Vec::new() };
        let helps = |bus: &&usize| slope(bus).is_some_and(|it| self.is_near(it / most));
        instant.slopes.keys().filter(helps).copied().collect()
    }

    /// Whether a sensitivity, as a part of the greatest one, is near enough to that.
    fn is_near(&self, part: f64) -> bool {
        part > 1e-9 && part >= 1.0 - self.trade.relative_sensitivity - 1e-9
    }

    /// How much power at the seed's bus ends the seed's violation, in kW, and others of its area as well where that takes
    /// no more than a need of their own would. Those are settled by it.
    fn lacking_kw(
        &self,
        instant: &mut Instant<'_>,
        seed: &Seed,
        area: &[usize],
        violated: &[(usize, f64)],
    ) -> f64 {
        let amber = self.places.bounds(&self.limits.amber());
        let excess = |place: usize, beyond: f64| {
            let (value, (low, high)) = (instant.values.get(place)?, amber.get(place)?);
            Some(if beyond > 0.0 { value - high } else { low - value })
        };
        // By how much 1 kW at a bus lessens a violation.
        let kilowatt = watts(seed.direction, 1.0);
        let relief = |bus: usize, (place, beyond): (usize, f64)| {
            let slope = instant.slopes.get(&bus)?.get(place)?;
            Some(-kilowatt * slope * beyond.signum()).filter(|relief| *relief > 0.0)
        };
        let own = violated.iter().copied().find(|(place, _)| *place == seed.place);
        let first = own.and_then(|own| Some(excess(own.0, own.1)? / relief(seed.bus, own)?));
        let mut lacking_kw = first.unwrap_or_default();
        let mut settled = Vec::new();
        for other in self.alike(seed, area, violated) {
            let (Some(excess), Some(by_seed)) = (excess(other.0, other.1), relief(seed.bus, other)) else {
                continue;
            };
            let left = excess - lacking_kw * by_seed;
            let bus = self.places.list().get(other.0).and_then(crate::places::Place::bus);
            let by_own = relief(bus.unwrap_or(seed.bus), other).unwrap_or(by_seed);
            let own_need_kw = (left / by_own).max(self.trade.real_power_min_kw);
            if left / by_seed <= own_need_kw {
                lacking_kw += (left / by_seed).max(0.0);
                settled.push(other.0);
            }
        }
        instant.settled.extend(settled);
        lacking_kw
    }

    /// Other violations of the same side: at the buses of the area, or of the seed's branch.
    fn alike(&self, seed: &Seed, area: &[usize], violated: &[(usize, f64)]) -> Vec<(usize, f64)> {
        let places = self.places.list();
        let Some(worst) = places.get(seed.place) else { return Vec::new() };
        let sign = violated.iter().find(|(place, _)| *place == seed.place).map_or(0.0, |it| it.1.signum());
        let belongs = |(place, beyond): &&(usize, f64)| {
            let there = places.get(*place).is_some_and(|other| match other.bus() {
                Some(bus) => worst.is_voltage() && area.contains(&bus),
                None => !worst.is_voltage() && other.name == worst.name,
            });
            there && *place != seed.place && beyond.signum() == sign
        };
        violated.iter().filter(belongs).copied().collect()
    }
}

/// Regulation in kW as W towards the grid.
fn watts(direction: Direction, power_kw: f64) -> f64 {
    match direction {
        Direction::Up => power_kw * 1_000.0,
        Direction::Down => power_kw * -1_000.0,
    }
}

/// All phases of a bus alike; where it has not all, the first one it has.
fn connection(topology: &Topology, bus: usize) -> Connection {
    let conductors = topology.buses.get(bus).map(|bus| bus.conductors.as_slice()).unwrap_or_default();
    if Conductor::PHASES.iter().all(|phase| conductors.contains(phase)) {
        return Connection::Wye;
    }
    let first = conductors.iter().find(|conductor| **conductor != Conductor::Neutral);
    first.map_or(Connection::Wye, |phase| Connection::Phase(*phase))
}

impl std::fmt::Debug for PredictiveCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictiveCore").field("customers", &self.customers).finish_non_exhaustive()
    }
}
