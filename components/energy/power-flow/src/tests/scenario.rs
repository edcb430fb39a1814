//! The network of the grid scenario, in per unit.

use super::{constant_power, imbalance, operation};
use crate::samples::grid_scenario;
use crate::{
    BuiltIn, Complex64, Conductor, Connection, Element, Engine, Network, Operation, PerUnitNetwork, TapRange,
    Wires,
};

fn scenario() -> PerUnitNetwork {
    grid_scenario(Wires::NeutralEarthedEverywhere)
}

fn loads() -> Operation {
    operation(vec![
        constant_power(5, Connection::Wye, Complex64::new(-4e3, -1e3)),
        constant_power(7, Connection::Wye, Complex64::new(-3e3, -0.5e3)),
        constant_power(10, Connection::Wye, Complex64::new(-5e3, -1.2e3)),
        constant_power(10, Connection::Phase(Conductor::Phase2), Complex64::new(-3.7e3, 0.0)),
        constant_power(11, Connection::Wye, Complex64::new(-2e3, -0.2e3)),
        constant_power(5, Connection::Phase(Conductor::Phase1), Complex64::new(2.5e3, 0.0)),
        constant_power(7, Connection::Wye, Complex64::new(9e3, 0.0)),
    ])
}

#[test]
fn power_balances_to_a_billionth() {
    for wires in [Wires::NeutralEarthedEverywhere, Wires::FourWire] {
        let network = Network::from_per_unit(&PerUnitNetwork { wires, ..scenario() }).expect("valid");
        let mut engine = BuiltIn::new(&network).expect("valid");
        assert!(imbalance(&mut engine, &loads(), 50e3) < 1e-9);
    }
}

#[test]
fn rated_currents_are_on_the_line_to_line_base() {
    let network = Network::from_per_unit(&scenario()).expect("valid");
    let rated_a = network.branches[1].rated_current_a.expect("rated");
    assert!((rated_a - 1.12 * 72.168_783_648_703_2).abs() < 1e-9);
}

#[test]
fn a_branch_with_taps_at_neutral_is_the_branch_without() {
    let mut data = scenario();
    let plain = BuiltIn::new(&Network::from_per_unit(&data).expect("valid")).expect("valid").solve(&loads());
    data.branches[0].taps = Some(TapRange { lowest: -8, highest: 8, neutral: 0, step: 0.00625 });
    let network = Network::from_per_unit(&data).expect("valid");
    assert!(matches!(network.branches[0].element, Element::Transformer(_)));
    let mut engine = BuiltIn::new(&network).expect("valid");
    let tapped = engine.solve(&loads()).expect("solvable");
    for (one, other) in plain.expect("solvable").voltages_v.concat().iter().zip(tapped.voltages_v.concat()) {
        // The transformer's own admittance to earth, a millionth of its rating.
        assert!((one - other).norm() < 1e-6 * 231.0, "{one} and {other}");
    }
    let mut case = loads();
    case.tap_positions.insert(0, 4);
    let raised = engine.solve(&case).expect("solvable");
    assert!(raised.voltages_v[5][0].norm() > tapped.voltages_v[5][0].norm() * 1.02);
    assert!(imbalance(&mut engine, &case, 50e3) < 1e-9);
}

#[test]
fn in_four_wires_the_neutral_carries_the_rest_and_lifts_off_earth() {
    let data = PerUnitNetwork { wires: Wires::FourWire, ..scenario() };
    let mut engine = BuiltIn::new(&Network::from_per_unit(&data).expect("valid")).expect("valid");
    let solution = engine.solve(&loads()).expect("solvable");
    let neutral = solution.voltage(engine.topology(), 10, Conductor::Neutral).expect("a neutral").norm();
    assert!(neutral > 0.5, "{neutral} V");
    for flow in &solution.branches {
        let sum: Complex64 = flow.conductors.iter().map(|one| one.receiving_a).sum();
        // T1 has a shunt from each phase to earth.
        assert!(sum.norm() < 0.05, "{sum}");
    }
}

#[test]
fn base_voltages_that_differ_make_a_transformer_of_their_ratio() {
    let mut data = scenario();
    data.buses[0].base_voltage_v = 20e3;
    let network = Network::from_per_unit(&data).expect("valid");
    assert!(matches!(network.branches[0].element, Element::Transformer(_)));
    let one = BuiltIn::new(&network).expect("valid").solve(&loads()).expect("solvable");
    let two =
        BuiltIn::new(&Network::from_per_unit(&scenario()).expect("valid")).expect("valid").solve(&loads());
    let two = two.expect("solvable");
    for bus in 1..12 {
        for (a, b) in one.voltages_v[bus].iter().zip(&two.voltages_v[bus]) {
            assert!((a - b).norm() < 1e-6 * 231.0, "{a} and {b}");
        }
    }
}
