//! [`sensitivities`]: what voltages and currents do when one [`Probe`] moves, by central differences of the power flow
//! itself, so that any engine will do.

use crate::{Connection, Engine, Injection, Operation, Solution, SolveError, VoltageDependence};
use num_complex::Complex64;

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Probe {
    /// Real power of one more resource of constant power at a bus, in W, positive towards the grid.
    RealPower {
        /// The bus.
        bus: usize,
        /// How it is connected; its power is that of all its phases together.
        connection: Connection,
    },
    /// Reactive power likewise, in var.
    ReactivePower {
        /// The bus.
        bus: usize,
        /// How it is connected.
        connection: Connection,
    },
    /// Position of the tap changer of a branch.
    TapPosition {
        /// The branch.
        branch: usize,
    },
}

/// What everything does for one unit (W, var or position) more of a probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    /// What was moved.
    pub probe: Probe,
    /// By bus and conductor in their order: change of the magnitude of the voltage against earth, as a part of the
    /// nominal phase voltage.
    pub voltages_pu: Vec<Vec<f64>>,
    /// By branch and conductor in their order: change of the magnitudes of the currents.
    pub currents_a: Vec<Vec<CurrentChange>>,
    /// Change of what the sources give, in VA.
    pub source_power_va: Complex64,
}

/// Change of the magnitude of a conductor's current, in A for one unit of a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurrentChange {
    /// At the sending end.
    pub sending_a: f64,
    /// At the receiving end.
    pub receiving_a: f64,
}

/// What [`sensitivities`] finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivities {
    /// The state from which the probes were moved.
    pub base: Solution,
    /// By probe, in their order.
    pub probes: Vec<Sensitivity>,
}

/// How far a power is moved either way, as a part of what all resources have together.
const POWER_SHARE: f64 = 1e-3;
/// And at least so far, in W or var.
const LEAST_POWER: f64 = 100.0;

/// Solves `operation`, and twice more for each probe.
///
/// Powers are moved by 100 W (var) either way, or by a thousandth of all apparent power if that is more; taps by one
/// position either way, or only inwards at an end stop.
///
/// # Errors
/// When `operation` or a state beside it has no solution, or when a probe is not of this network.
pub fn sensitivities(
    engine: &mut dyn Engine,
    operation: &Operation,
    probes: &[Probe],
) -> Result<Sensitivities, SolveError> {
    let base = engine.solve(operation)?;
    let all_va: f64 =
        operation.injections.iter().map(|one| one.real_power_w.hypot(one.reactive_power_var)).sum();
    let step = LEAST_POWER.max(POWER_SHARE * all_va);
    let probes = probes
        .iter()
        .map(|probe| {
            let (below, above) = moved(engine, operation, probe, step)?;
            let low = engine.solve(&below.operation)?;
            let high = engine.solve(&above.operation)?;
            Ok(difference(engine, *probe, [&low, &high], above.at - below.at))
        })
        .collect::<Result<_, SolveError>>()?;
    Ok(Sensitivities { base, probes })
}

/// An operation beside the given one, and how far the probe was moved.
struct Moved {
    operation: Operation,
    at: f64,
}

fn moved(
    engine: &dyn Engine,
    operation: &Operation,
    probe: &Probe,
    step: f64,
) -> Result<(Moved, Moved), SolveError> {
    let with = |bus, connection, real_power_w, reactive_power_var| {
        let dependence = VoltageDependence::ConstantPower;
        let mut operation = operation.clone();
        operation.injections.push(Injection {
            bus,
            connection,
            real_power_w,
            reactive_power_var,
            dependence,
        });
        Moved { operation, at: real_power_w + reactive_power_var }
    };
    match *probe {
        Probe::RealPower { bus, connection } => {
            Ok((with(bus, connection, -step, 0.0), with(bus, connection, step, 0.0)))
        }
        Probe::ReactivePower { bus, connection } => {
            Ok((with(bus, connection, 0.0, -step), with(bus, connection, 0.0, step)))
        }
        Probe::TapPosition { branch } => moved_tap(engine, operation, branch),
    }
}

fn moved_tap(
    engine: &dyn Engine,
    operation: &Operation,
    branch: usize,
) -> Result<(Moved, Moved), SolveError> {
    let topology = engine.topology();
    let none = |name: &str| SolveError::TapPosition { branch: name.to_owned(), position: 0 };
    let info = topology.branches.get(branch).ok_or_else(|| none(&branch.to_string()))?;
    let taps = info.taps.ok_or_else(|| none(&info.name))?;
    let position = operation.tap_positions.get(&branch).copied().unwrap_or(info.tap_position);
    let at = |position: i32| {
        let mut operation = operation.clone();
        operation.tap_positions.insert(branch, position);
        Moved { operation, at: f64::from(position) }
    };
    let low = position.saturating_sub(1).max(taps.lowest);
    let high = position.saturating_add(1).min(taps.highest);
    Ok((at(low), at(high)))
}

fn difference(engine: &dyn Engine, probe: Probe, [low, high]: [&Solution; 2], by: f64) -> Sensitivity {
    // A tap changer of one position cannot be moved.
    let per_unit_of_probe = if by == 0.0 { 0.0 } else { 1.0 / by };
    let change = |low: Complex64, high: Complex64| (high.norm() - low.norm()) * per_unit_of_probe;
    let buses = &engine.topology().buses;
    let voltages_pu = buses.iter().zip(low.voltages_v.iter().zip(&high.voltages_v));
    let voltages_pu = voltages_pu
        .map(|(bus, (low, high))| {
            let nominal_v = bus.base_voltage_v / 3f64.sqrt();
            low.iter().zip(high).map(|(low, high)| change(*low, *high) / nominal_v).collect()
        })
        .collect();
    let currents_a = low.branches.iter().zip(&high.branches);
    let currents_a = currents_a
        .map(|(low, high)| {
            let pairs = low.conductors.iter().zip(&high.conductors);
            pairs
                .map(|(low, high)| CurrentChange {
                    sending_a: change(low.sending_a, high.sending_a),
                    receiving_a: change(low.receiving_a, high.receiving_a),
                })
                .collect()
        })
        .collect();
    let source_power_va = (high.source_power_va - low.source_power_va) * per_unit_of_probe;
    Sensitivity { probe, voltages_pu, currents_a, source_power_va }
}
