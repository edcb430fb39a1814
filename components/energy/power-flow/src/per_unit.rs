//! [`PerUnitNetwork`]: what a Network Information System says of a network, in per unit.
//!
//! Convention. Resistance and reactance are those of each conductor, on the base impedance `V_base^2 / S_base` of the
//! line-to-line base voltage; phases do not see each other. Shunts are those of each phase, half of them at either end.
//! Currents are on `S_base / (sqrt(3) V_base)`. A branch between different base voltages, or one with taps, is a
//! transformer of nominal ratio, wye to wye.

use crate::line::diagonal;
use crate::network::positive;
use crate::{
    Branch, Bus, Conductor, Element, Line, Network, NetworkError, Source, TapRange, Transformer, Winding,
    Windings,
};
use num_complex::Complex64;
use std::collections::BTreeMap;

/// A network in per unit (wire contract 2.5 and 6.7).
#[derive(Debug, Clone, PartialEq)]
pub struct PerUnitNetwork {
    /// Base power of all three phases together, in VA.
    pub base_power_va: f64,
    /// Every bus.
    pub buses: Vec<PerUnitBus>,
    /// Every branch.
    pub branches: Vec<PerUnitBranch>,
    /// What the source at the root holds.
    pub root_voltage_pu: f64,
    /// What there is of a neutral.
    pub wires: Wires,
}

/// What there is of a neutral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wires {
    /// The neutral is earthed everywhere, so that nothing falls along it.
    #[default]
    NeutralEarthedEverywhere,
    /// A neutral with the impedance of a phase, earthed at the root (and where a transformer feeds another part), as the
    /// sweep of the public platform has it.
    FourWire,
}

/// A bus in per unit.
#[derive(Debug, Clone, PartialEq)]
pub struct PerUnitBus {
    /// Its name.
    pub name: String,
    /// Base voltage, line to line, in V.
    pub base_voltage_v: f64,
    /// What it is.
    pub kind: BusKind,
}

/// `BusType` of the wire contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    /// Where the network is fed; there is one.
    Root,
    /// A bus without customers.
    Dummy,
    /// A bus with customers.
    UsagePoint,
}

/// A branch in per unit.
#[derive(Debug, Clone, PartialEq)]
pub struct PerUnitBranch {
    /// Its name, `DeviceId` of the wire contract.
    pub name: String,
    /// Name of the bus where it begins.
    pub sending_bus: String,
    /// Name of the bus where it ends.
    pub receiving_bus: String,
    /// Series resistance.
    pub resistance_pu: f64,
    /// Series reactance.
    pub reactance_pu: f64,
    /// Shunt conductance.
    pub shunt_conductance_pu: f64,
    /// Shunt susceptance, `ShuntAdmittance` of the wire contract.
    pub shunt_susceptance_pu: f64,
    /// Rated current.
    pub rated_current_pu: Option<f64>,
    /// Taps, if it has some; then it is a transformer, at its neutral position unless told otherwise.
    pub taps: Option<TapRange>,
}

impl Network {
    /// The network that data in per unit describe.
    ///
    /// # Errors
    /// When a name is unknown or used twice, when there is not one root, or when a number cannot be.
    pub fn from_per_unit(network: &PerUnitNetwork) -> Result<Self, NetworkError> {
        convert(network)
    }
}

fn convert(from: &PerUnitNetwork) -> Result<Network, NetworkError> {
    let mut network = Network { base_power_va: Some(from.base_power_va), ..Network::default() };
    positive("base power", from.base_power_va)?;
    let roots: Vec<usize> = (0..from.buses.len()).filter(|at| is_root(from, *at)).collect();
    let [root] = roots[..] else { return Err(NetworkError::Roots { found: roots.len() }) };
    for bus in &from.buses {
        positive(&format!("base voltage of bus {}", bus.name), bus.base_voltage_v)?;
        let mut bus = match from.wires {
            Wires::NeutralEarthedEverywhere => Bus::three_phase(&bus.name, bus.base_voltage_v),
            Wires::FourWire => Bus::four_wire(&bus.name, bus.base_voltage_v, None),
        };
        if network.buses.len() == root {
            bus.neutral_earthing_ohm = Some(0.0);
        }
        network.add_bus(bus);
    }
    network.sources.push(Source::balanced(root, from.root_voltage_pu));
    let by_name: BTreeMap<&str, usize> =
        from.buses.iter().enumerate().map(|(number, bus)| (bus.name.as_str(), number)).collect();
    for branch in &from.branches {
        let end = |name: &str| {
            let unknown = || NetworkError::UnknownBus { what: branch.name.clone(), bus: name.to_owned() };
            by_name.get(name).copied().ok_or_else(unknown)
        };
        let (sending_bus, receiving_bus) = (end(&branch.sending_bus)?, end(&branch.receiving_bus)?);
        let sending_voltage_v = network.buses[sending_bus].base_voltage_v;
        let receiving_voltage_v = network.buses[receiving_bus].base_voltage_v;
        // Base voltages come from decimal fractions of kV.
        let same = (sending_voltage_v / receiving_voltage_v - 1.0).abs() < 1e-9;
        let element = if same && branch.taps.is_none() {
            Element::Line(line(branch, &network.buses[sending_bus], from.base_power_va))
        } else {
            network.buses[receiving_bus].neutral_earthing_ohm = Some(0.0);
            Element::Transformer(transformer(
                branch,
                [sending_voltage_v, receiving_voltage_v],
                from.base_power_va,
            ))
        };
        let base_current_a = from.base_power_va / (3f64.sqrt() * sending_voltage_v);
        network.add_branch(Branch {
            name: branch.name.clone(),
            sending_bus,
            receiving_bus,
            rated_current_a: branch.rated_current_pu.map(|rated_pu| rated_pu * base_current_a),
            element,
        });
    }
    Ok(network)
}

fn is_root(from: &PerUnitNetwork, at: usize) -> bool {
    from.buses.get(at).is_some_and(|bus| bus.kind == BusKind::Root)
}

/// The shunts lie between phase and earth even where there is a neutral: the sweep has them so.
fn line(branch: &PerUnitBranch, bus: &Bus, base_power_va: f64) -> Line {
    let base_ohm = bus.base_voltage_v * bus.base_voltage_v / base_power_va;
    let impedance = Complex64::new(branch.resistance_pu, branch.reactance_pu) * base_ohm;
    let mut line = Line::uncoupled(&bus.conductors, impedance);
    let shunt = Complex64::new(branch.shunt_conductance_pu, branch.shunt_susceptance_pu) / base_ohm;
    if shunt != Complex64::ZERO {
        line.shunt_s = diagonal(bus.conductors.len(), shunt);
        let neutral = bus.conductors.iter().position(|one| *one == Conductor::Neutral);
        if let Some(entry) = neutral.and_then(|at| line.shunt_s.get_mut(at)?.get_mut(at)) {
            *entry = Complex64::ZERO;
        }
    }
    line
}

fn transformer(branch: &PerUnitBranch, voltages_v: [f64; 2], base_power_va: f64) -> Transformer {
    let windings = Windings::Three { sending: Winding::Wye, receiving: Winding::Wye, clock: 0 };
    let percent = Complex64::new(branch.resistance_pu, branch.reactance_pu) * 100.0;
    Transformer {
        no_load_loss_percent: branch.shunt_conductance_pu * 100.0,
        magnetising_percent: -branch.shunt_susceptance_pu * 100.0,
        no_load_sending_share: 0.5,
        taps: branch.taps,
        tap_position: branch.taps.map_or(0, |taps| taps.neutral),
        ..Transformer::three_phase(windings, voltages_v, base_power_va, percent)
    }
}
