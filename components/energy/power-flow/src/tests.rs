//! Tests of the built-in engine: cases with an answer on paper, what must hold of every solution, and what is refused.

mod analytic;
mod every_network;
mod heavy_load;
mod refused;
mod scenario;
mod sensitivity;
mod small_impedances;
mod upper_branch;

use crate::{
    Branch, BuiltIn, Bus, Complex64, Conductor, Connection, Element, Engine, Injection, Line, Network,
    Operation, Source, VoltageDependence,
};

/// Two buses of 400 V with 0.1 + j0.05 ohm in each phase between them.
fn two_buses() -> Network {
    let mut network = Network::default();
    let from = network.add_bus(Bus::three_phase("source", 400.0));
    let to = network.add_bus(Bus::three_phase("end", 400.0));
    network.sources.push(Source::balanced(from, 1.0));
    let line = Line::uncoupled(&Conductor::PHASES, Complex64::new(0.1, 0.05));
    network.add_branch(branch("line", from, to, Element::Line(line)));
    network
}

fn branch(name: &str, sending_bus: usize, receiving_bus: usize, element: Element) -> Branch {
    Branch { name: name.into(), sending_bus, receiving_bus, rated_current_a: None, element }
}

fn constant_power(bus: usize, connection: Connection, power_va: Complex64) -> Injection {
    Injection {
        bus,
        connection,
        real_power_w: power_va.re,
        reactive_power_var: power_va.im,
        dependence: VoltageDependence::ConstantPower,
    }
}

fn operation(injections: Vec<Injection>) -> Operation {
    Operation { injections, ..Operation::default() }
}

/// Largest imbalance over all conductors, as a part of the base power.
fn imbalance(engine: &mut BuiltIn, operation: &Operation, base_power_va: f64) -> f64 {
    let solution = engine.solve(operation).expect("solvable");
    let balance = engine.balance_va(operation, &solution).expect("fits");
    balance.iter().flatten().map(|power| power.norm() / base_power_va).fold(0.0, f64::max)
}
