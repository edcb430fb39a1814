//! [`Draw`]: a resource's part between two terminals, and the current it injects there at any voltage.

use super::nodes::{Nodes, Terminal};
use crate::{Conductor, Connection, Injection, Operation, SolveError, VoltageDependence};
use num_complex::Complex64;

/// One phase of a resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    /// Where its current goes in when it is positive.
    pub(super) from: Terminal,
    /// Where it comes back.
    pub(super) to: Terminal,
    /// `1 / nominal voltage` between the terminals.
    inverse_nominal: f64,
    /// Conjugate of its power at nominal voltage, by share: constant power, current, impedance.
    power: Complex64,
    current: Complex64,
    impedance: Complex64,
    /// Squared voltage below which it is an impedance.
    lowest_squared: f64,
}

/// How a current goes with the voltage `v`: `slope dv + conjugate_slope conj(dv)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slopes {
    pub(super) slope: Complex64,
    pub(super) conjugate_slope: Complex64,
}

impl Draw {
    /// The current that it injects at voltage `v`.
    #[inline]
    pub(super) fn inject(&self, v: Complex64) -> Complex64 {
        let squared = v.norm_sqr();
        if squared < self.lowest_squared {
            return self.low(v);
        }
        let mut current = self.impedance * v;
        if self.power != Complex64::ZERO {
            current += self.power * v / squared;
        }
        if self.current != Complex64::ZERO {
            current += self.current * v * (self.inverse_nominal / squared.sqrt());
        }
        current
    }

    /// Whether it does anything at all.
    pub(super) fn draws(&self) -> bool {
        [self.power, self.current, self.impedance].iter().any(|part| *part != Complex64::ZERO)
    }

    /// The nominal voltage between its terminals.
    pub(super) fn nominal_v(&self) -> f64 {
        self.inverse_nominal.recip()
    }

    /// Whether it is an impedance at voltage `v`, which is below the lowest for anything else.
    pub(super) fn is_low(&self, v: Complex64) -> bool {
        v.norm_sqr() < self.lowest_squared
    }

    /// What it is below the lowest voltage: the impedance of there.
    fn low(&self, v: Complex64) -> Complex64 {
        self.low_admittance() * v
    }

    fn low_admittance(&self) -> Complex64 {
        let lowest = self.lowest_squared;
        self.impedance + self.power / lowest + self.current * (self.inverse_nominal / lowest.sqrt())
    }

    /// How the current at voltage `v` goes with it.
    pub(super) fn slopes(&self, v: Complex64) -> Slopes {
        let squared = v.norm_sqr();
        if squared < self.lowest_squared {
            return Slopes { slope: self.low_admittance(), conjugate_slope: Complex64::ZERO };
        }
        let half = self.current * (0.5 * self.inverse_nominal / squared.sqrt());
        // The turning of constant power: conj(S) / conj(v).
        let turned = v * v / squared;
        Slopes { slope: self.impedance + half, conjugate_slope: -(self.power / squared + half) * turned }
    }

    /// The same resource, that much of it.
    pub(super) fn scaled(&self, by: f64) -> Self {
        Self { power: self.power * by, current: self.current * by, impedance: self.impedance * by, ..*self }
    }

    pub(super) fn voltage(&self, voltages: &[Complex64]) -> Complex64 {
        let at = |terminal| match terminal {
            Terminal::Node(node) => voltages[node],
            Terminal::Earth => Complex64::ZERO,
        };
        at(self.from) - at(self.to)
    }

    /// Adds what it injects to the nodes' currents.
    #[inline]
    pub(super) fn add_to(&self, currents: &mut [Complex64], voltages: &[Complex64]) {
        let current = self.inject(self.voltage(voltages));
        if let Terminal::Node(node) = self.from {
            currents[node] += current;
        }
        if let Terminal::Node(node) = self.to {
            currents[node] -= current;
        }
    }
}

/// Takes the resources of an operation apart.
pub(super) fn draws(
    nodes: &Nodes,
    operation: &Operation,
    lowest_pu: Option<f64>,
) -> Result<Vec<Draw>, SolveError> {
    let mut draws = Vec::with_capacity(operation.injections.len());
    for (index, injection) in operation.injections.iter().enumerate() {
        let ends = ends(nodes, injection).map_err(|reason| SolveError::Injection {
            index,
            bus: nodes.bus_name(injection.bus),
            reason,
        })?;
        let power = Complex64::new(injection.real_power_w, injection.reactive_power_var);
        let shares = shares(injection.dependence);
        if !power.is_finite() || !shares.iter().all(|share| share.is_finite()) {
            return Err(SolveError::Injection {
                index,
                bus: nodes.bus_name(injection.bus),
                reason: "its power, or a share of it, is not a finite number",
            });
        }
        let count = match injection.connection {
            Connection::Wye | Connection::Delta => 3.0,
            Connection::Phase(_) | Connection::Between(..) => 1.0,
        };
        let each = power.conj() / count;
        for End { from, to, nominal_v } in ends {
            let lowest_v = lowest_pu.unwrap_or(0.0) * nominal_v;
            let [of_power, of_current, of_impedance] = shares;
            draws.push(Draw {
                from,
                to,
                inverse_nominal: 1.0 / nominal_v,
                power: each * of_power,
                current: each * of_current,
                impedance: each * of_impedance / (nominal_v * nominal_v),
                lowest_squared: lowest_v * lowest_v,
            });
        }
    }
    Ok(draws)
}

/// Shares of constant power, current and impedance.
const fn shares(dependence: VoltageDependence) -> [f64; 3] {
    match dependence {
        VoltageDependence::ConstantPower => [1.0, 0.0, 0.0],
        VoltageDependence::ConstantCurrent => [0.0, 1.0, 0.0],
        VoltageDependence::ConstantImpedance => [0.0, 0.0, 1.0],
        VoltageDependence::Zip { impedance, current, power } => [power, current, impedance],
    }
}

/// Between which terminals a phase of something lies, and the nominal voltage there.
pub(super) struct End {
    pub(super) from: Terminal,
    pub(super) to: Terminal,
    pub(super) nominal_v: f64,
}

fn ends(nodes: &Nodes, injection: &Injection) -> Result<Vec<End>, &'static str> {
    connection_ends(nodes, injection.bus, injection.connection)
}

/// The phases of a connection.
pub(super) fn connection_ends(
    nodes: &Nodes,
    bus: usize,
    connection: Connection,
) -> Result<Vec<End>, &'static str> {
    if bus >= nodes.bus_count() {
        return Err("there is no such bus");
    }
    let node = |conductor| match conductor {
        Conductor::Neutral => Err("the neutral is no phase"),
        phase => nodes.find(bus, phase).ok_or("the bus does not have all of its phases"),
    };
    let wye = |conductor| {
        let from = node(conductor)?;
        Ok(End { from: Terminal::Node(from), to: nodes.star_point(bus), nominal_v: nodes.nominal_v[from] })
    };
    let delta = |one, other| {
        if one == other {
            return Err("it begins and ends at the same phase");
        }
        let from = node(one)?;
        let nominal_v = nodes.nominal_v[from] * 3f64.sqrt();
        Ok(End { from: Terminal::Node(from), to: Terminal::Node(node(other)?), nominal_v })
    };
    let [one, two, three] = Conductor::PHASES;
    match connection {
        Connection::Wye => Conductor::PHASES.into_iter().map(wye).collect(),
        Connection::Delta => {
            [(one, two), (two, three), (three, one)].map(|(a, b)| delta(a, b)).into_iter().collect()
        }
        Connection::Phase(phase) => Ok(vec![wye(phase)?]),
        Connection::Between(from, to) => Ok(vec![delta(from, to)?]),
    }
}
