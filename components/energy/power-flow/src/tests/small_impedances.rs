//! What is too small to be told from the rounding of voltages is refused, and whatever is solved balances.

use super::{branch, constant_power, operation};
use crate::{
    BuiltIn, Bus, Complex64, Conductor, Connection, Element, Engine, Line, Network, NetworkError,
    SequenceImpedance, Source,
};

/// A source, a conductor of this resistance, and a line of 0.1 + j0.05 ohm behind it.
fn network(small_ohm: f64) -> Network {
    let mut network = Network::default();
    for name in ["s", "b", "c"] {
        network.add_bus(Bus::three_phase(name, 400.0));
    }
    network.sources.push(Source::balanced(0, 1.0));
    for (name, at, ohm) in [("L", 0, Complex64::new(small_ohm, 0.0)), ("M", 1, Complex64::new(0.1, 0.05))] {
        let line = Element::Line(Line::uncoupled(&Conductor::PHASES, ohm));
        network.add_branch(branch(name, at, at + 1, line));
    }
    network
}

#[test]
fn a_small_impedance_carries_the_current_of_what_is_behind_it_or_is_refused_by_name() {
    let case = operation(vec![constant_power(2, Connection::Wye, Complex64::new(-10e3, -5e3))]);
    let mut refused = 0;
    for exponent in 1..=40 {
        let small_ohm = 10f64.powi(-exponent);
        match BuiltIn::new(&network(small_ohm)) {
            Ok(mut engine) => {
                assert_eq!(refused, 0, "{small_ohm} ohm");
                let solution = engine.solve(&case).expect("solvable");
                let [small, behind] = [0, 1].map(|at: usize| solution.branches[at].conductors[0].sending_a);
                assert!((small - behind).norm() < 1e-6, "{small_ohm} ohm: {small} A, then {behind} A");
                let left = engine.balance_va(&case, &solution).expect("fits");
                assert!(left.iter().flatten().all(|left| left.norm() < 1e-9 * 100e3), "{small_ohm} ohm");
            }
            Err(NetworkError::Drowned { what, bus, found_ohm, least_ohm, .. }) => {
                refused += 1;
                assert_eq!((what.as_str(), bus.as_str()), ("L", "s"));
                assert!((found_ohm / small_ohm - 1.0).abs() < 1e-9 && found_ohm < least_ohm);
                // A switch of a micro-ohm can be.
                assert!(least_ohm < 1e-6, "{least_ohm}");
            }
            Err(other) => panic!("{small_ohm} ohm: {other}"),
        }
    }
    assert_eq!(refused, 34);
}

#[test]
fn the_least_impedance_goes_with_the_base_power_and_the_square_of_the_voltage() {
    let least_ohm = |base_power_va: f64, voltage_v: f64| {
        let mut network = network(1e-30);
        network.base_power_va = Some(base_power_va);
        network.buses.iter_mut().for_each(|bus| bus.base_voltage_v = voltage_v);
        match BuiltIn::new(&network) {
            Err(NetworkError::Drowned { least_ohm, .. }) => least_ohm,
            other => panic!("{other:?}"),
        }
    };
    let one = least_ohm(1e5, 400.0);
    assert!((least_ohm(1e6, 400.0) / one - 0.1).abs() < 1e-12);
    assert!((least_ohm(1e5, 4000.0) / one - 100.0).abs() < 1e-9);
}

#[test]
fn a_source_behind_next_to_nothing_is_refused() {
    let mut network = network(0.01);
    let tiny_ohm = Complex64::new(1e-12, 0.0);
    network.sources[0].impedance = Some(SequenceImpedance { positive_ohm: tiny_ohm, zero_ohm: tiny_ohm });
    let told = BuiltIn::new(&network).expect_err("must be refused").to_string();
    assert!(
        told.starts_with("the impedance of the source is about 1.0e-12 ohm, expected at least"),
        "{told}"
    );
}

#[test]
fn what_gains_power_is_refused() {
    let told = |line: Line| {
        let mut network = network(0.01);
        network.branches[0].element = Element::Line(line);
        BuiltIn::new(&network).expect_err("must be refused").to_string()
    };
    let negative = Line::uncoupled(&Conductor::PHASES, Complex64::new(-0.1, 0.05));
    let expected =
        "series resistance of L: expected 0 or more, and a matrix by which no power is gained, found -0.1";
    assert_eq!(told(negative), expected);
    let one = Complex64::ONE;
    let coupled = |mutual: f64| Line {
        conductors: vec![Conductor::Phase1, Conductor::Phase2, Conductor::Phase3],
        series_ohm: (0..3)
            .map(|row| (0..3).map(|at| if row == at { one } else { mutual * one }).collect())
            .collect(),
        shunt_s: Vec::new(),
    };
    // Of 1 + 2 m and 1 - m neither may be below 0.
    for mutual in [-0.6, 1.1] {
        assert!(told(coupled(mutual)).starts_with("series resistance of L: expected 0 or more"));
    }
    let mut beside_nothing = coupled(0.1);
    beside_nothing.series_ohm[1][1] = Complex64::ZERO;
    beside_nothing.series_ohm[0][0] = Complex64::ZERO;
    assert!(told(beside_nothing).starts_with("series resistance of L: expected 0 or more"));
    let mut shunted = coupled(0.4);
    shunted.shunt_s = crate::line::diagonal(3, Complex64::new(-1.0, 0.0));
    assert!(told(shunted).starts_with("shunt conductance of L: expected 0 or more"));
    let mut sound = network(0.01);
    for mutual in [-0.49, 0.0, 0.99] {
        sound.branches[0].element = Element::Line(coupled(mutual));
        BuiltIn::new(&sound).expect("valid");
    }
}
