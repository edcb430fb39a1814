//! Sensitivities against differences on paper.

use super::{constant_power, operation, two_buses};
use crate::{
    BuiltIn, Complex64, Conductor, Connection, Element, Network, Probe, SolveError, TapRange, Transformer,
    Winding, Windings, sensitivities,
};

fn tapped() -> Network {
    let mut network = two_buses();
    let windings = Windings::Three { sending: Winding::Wye, receiving: Winding::Wye, clock: 0 };
    let mut element = Transformer::three_phase(windings, [400.0, 400.0], 100e3, Complex64::new(1.0, 4.0));
    element.taps = Some(TapRange { lowest: -2, highest: 2, neutral: 0, step: 0.01 });
    element.tap_position = 2;
    network.branches[0].element = Element::Transformer(element);
    network
}

#[test]
fn without_load_voltage_goes_with_resistance_and_reactance() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    let one = Connection::Phase(Conductor::Phase1);
    let probes = [
        Probe::RealPower { bus: 1, connection: one },
        Probe::ReactivePower { bus: 1, connection: one },
        Probe::RealPower { bus: 1, connection: Connection::Wye },
    ];
    let found = sensitivities(&mut engine, &operation(vec![]), &probes).expect("solvable");
    let nominal_v = 400.0 / 3f64.sqrt();
    let squared = nominal_v * nominal_v;
    let at = |probe: usize| found.probes[probe].voltages_pu[1][0];
    assert!((at(0) * squared / 0.1 - 1.0).abs() < 1e-4, "{}", at(0) * squared);
    assert!((at(1) * squared / 0.05 - 1.0).abs() < 1e-4, "{}", at(1) * squared);
    assert!((at(2) * squared * 3.0 / 0.1 - 1.0).abs() < 1e-4);
    assert!(found.probes[0].voltages_pu[1][1].abs() < 1e-12);
    assert!((found.probes[0].source_power_va.re + 1.0).abs() < 1e-4);
}

#[test]
fn a_branch_that_feeds_a_load_is_relieved_by_feeding_in() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    let load = constant_power(1, Connection::Wye, Complex64::new(-9e3, 0.0));
    let probe = Probe::RealPower { bus: 1, connection: Connection::Wye };
    let found = sensitivities(&mut engine, &operation(vec![load]), &[probe]).expect("solvable");
    let change = found.probes[0].currents_a[0][2].receiving_a;
    assert!((change * 3.0 * 230.0 + 1.0).abs() < 0.05, "{change}");
}

#[test]
fn a_tap_at_its_end_stop_is_moved_inwards() {
    let mut engine = BuiltIn::new(&tapped()).expect("valid");
    let found = sensitivities(&mut engine, &operation(vec![]), &[Probe::TapPosition { branch: 0 }]);
    let found = found.expect("solvable");
    assert!((found.probes[0].voltages_pu[1][0] - 0.01).abs() < 1e-5);
}

#[test]
fn a_branch_without_taps_cannot_be_probed() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    for branch in [0, 3] {
        let found = sensitivities(&mut engine, &operation(vec![]), &[Probe::TapPosition { branch }]);
        assert!(matches!(found, Err(SolveError::TapPosition { .. })));
    }
}
