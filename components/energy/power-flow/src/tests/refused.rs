//! What is refused, and by which name.

use super::{branch, constant_power, operation, two_buses};
use crate::{
    BuiltIn, Bus, BusKind, Complex64, Conductor, Connection, Element, Engine, Injection, Line, Network,
    NetworkError, Operation, PerUnitBranch, PerUnitBus, PerUnitNetwork, SolveError, Source, StarPoint,
    Transformer, VoltageDependence, Winding, Windings, Wires,
};

fn refused(network: &Network) -> String {
    BuiltIn::new(network).expect_err("must be refused").to_string()
}

#[test]
fn buses_that_no_source_reaches_are_named() {
    let mut network = two_buses();
    let one = network.add_bus(Bus::three_phase("lost", 400.0));
    let two = network.add_bus(Bus::three_phase("far", 400.0));
    network.add_branch(branch(
        "l",
        one,
        two,
        Element::Line(Line::uncoupled(&Conductor::PHASES, Complex64::ONE)),
    ));
    assert_eq!(refused(&network), "no source reaches lost, far");
}

#[test]
fn a_bus_one_phase_of_which_nothing_feeds_is_named() {
    let mut network = two_buses();
    let lateral = network.add_bus(Bus::three_phase("lateral", 400.0));
    let line = Line::uncoupled(&[Conductor::Phase1], Complex64::ONE);
    network.add_branch(branch("l", 1, lateral, Element::Line(line)));
    assert_eq!(refused(&network), "no source reaches lateral");
}

#[test]
fn names_are_unlike() {
    let mut network = two_buses();
    network.buses[1].name = "source".into();
    assert_eq!(refused(&network), "there are two buses with the name source");
    let mut network = two_buses();
    network.branches.push(network.branches[0].clone());
    assert_eq!(refused(&network), "there are two branches with the name line");
}

#[test]
fn a_network_has_buses_and_a_source() {
    assert_eq!(refused(&Network::default()), "a network needs a bus");
    let mut network = two_buses();
    network.sources.clear();
    assert_eq!(refused(&network), "a network needs a source");
    network.sources = vec![Source::balanced(0, 1.0), Source::balanced(0, 1.0)];
    assert_eq!(refused(&network), "two sources hold bus source");
    network.sources = vec![Source::balanced(7, 1.0)];
    assert_eq!(refused(&network), "a source is at bus 7, which is not there");
}

#[test]
fn numbers_that_cannot_be_are_named_with_what_they_must_be() {
    let mut network = two_buses();
    network.buses[1].base_voltage_v = 0.0;
    assert_eq!(refused(&network), "base voltage of bus end: expected a number above 0, found 0");
    let mut network = two_buses();
    network.sources[0].voltage_pu[1] = f64::NAN;
    assert_eq!(refused(&network), "source voltage at bus source: expected a number above 0, found NaN");
    let with = |line: Line| {
        let mut network = two_buses();
        network.branches[0].element = Element::Line(line);
        refused(&network)
    };
    let zero = with(Line::uncoupled(&Conductor::PHASES, Complex64::ZERO));
    assert_eq!(zero, "series impedance of line has no inverse; an impedance of zero cannot be solved for");
    let twice = with(Line::uncoupled(&[Conductor::Phase1; 2], Complex64::ONE));
    assert!(twice.starts_with("conductors of line: expected at least one, each once"), "{twice}");
    let neutral = with(Line::uncoupled(&[Conductor::Neutral], Complex64::ONE));
    assert_eq!(neutral, "line is connected to Neutral of bus source, which has none");
    let infinite = with(Line::uncoupled(&Conductor::PHASES, Complex64::new(f64::INFINITY, 0.0)));
    assert!(infinite.starts_with("series impedance of line: expected finite numbers"), "{infinite}");
    let mut short = Line::uncoupled(&Conductor::PHASES, Complex64::ONE);
    short.series_ohm[2].pop();
    assert_eq!(with(short), "series impedance of line: expected 3 entries, found 2");
}

#[test]
fn a_clock_number_that_the_windings_cannot_have_is_refused() {
    let mut network = two_buses();
    let windings = Windings::Three { sending: Winding::Delta, receiving: Winding::Wye, clock: 6 };
    let element = Transformer::three_phase(windings, [400.0, 400.0], 1e5, Complex64::new(1.0, 4.0));
    network.branches[0].element = Element::Transformer(element);
    assert_eq!(refused(&network), "clock number of line: expected 1, 3, 5, 7, 9 or 11, found 6");
}

#[test]
fn a_zigzag_lies_opposite_a_wye() {
    let mut network = two_buses();
    let windings = Windings::Three { sending: Winding::Delta, receiving: Winding::Zigzag, clock: 0 };
    let element = Transformer::three_phase(windings, [400.0, 400.0], 1e5, Complex64::new(1.0, 4.0));
    network.branches[0].element = Element::Transformer(element);
    let expected = "windings of line: expected a wye opposite a zigzag, found Delta and Zigzag";
    assert_eq!(refused(&network), expected);
}

#[test]
fn an_earthing_impedance_is_finite_and_loses_power_if_anything() {
    let mut network = two_buses();
    let windings = Windings::Three { sending: Winding::Delta, receiving: Winding::Wye, clock: 5 };
    let element = Transformer::three_phase(windings, [400.0, 400.0], 1e5, Complex64::new(1.0, 4.0));
    for earthing_ohm in [Complex64::new(-1.0, 0.0), Complex64::new(0.0, f64::INFINITY)] {
        let receiving_star = StarPoint::Earthed(earthing_ohm);
        network.branches[0].element = Element::Transformer(Transformer { receiving_star, ..element });
        assert!(refused(&network).starts_with("earthing impedance of line: expected finite numbers"));
    }
}

#[test]
fn resources_where_nothing_is_are_named() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    let mut said = |injection: Injection| {
        engine.solve(&operation(vec![injection])).expect_err("must be refused").to_string()
    };
    let load = constant_power(1, Connection::Wye, Complex64::new(-1e3, 0.0));
    assert_eq!(said(Injection { bus: 9, ..load }), "injection 0 at bus 9: there is no such bus");
    let neutral = Connection::Phase(Conductor::Neutral);
    assert_eq!(
        said(Injection { connection: neutral, ..load }),
        "injection 0 at bus end: the neutral is no phase"
    );
    let same = Connection::Between(Conductor::Phase1, Conductor::Phase1);
    assert_eq!(
        said(Injection { connection: same, ..load }),
        "injection 0 at bus end: it begins and ends at the same phase"
    );
    assert_eq!(
        said(Injection { real_power_w: f64::NAN, ..load }),
        "the power of injection 0 at bus end is not a finite number"
    );
    let zip = VoltageDependence::Zip { impedance: f64::INFINITY, current: 0.0, power: 0.0 };
    assert!(said(Injection { dependence: zip, ..load }).ends_with("is not a finite number"));
}

#[test]
fn positions_that_a_tap_changer_does_not_have_are_refused() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    for branch in [0, 5] {
        let case = Operation { tap_positions: [(branch, 1)].into(), ..Operation::default() };
        assert!(matches!(engine.solve(&case), Err(SolveError::TapPosition { position: 1, .. })));
    }
    let case = Operation { source_voltage_pu: Some(f64::NAN), ..Operation::default() };
    assert!(matches!(engine.solve(&case), Err(SolveError::NotFinite { .. })));
}

#[test]
fn data_in_per_unit_have_one_root_and_known_buses() {
    let bus = |name: &str, kind| PerUnitBus { name: name.into(), base_voltage_v: 400.0, kind };
    let branch = PerUnitBranch {
        name: "L1".into(),
        sending_bus: "a".into(),
        receiving_bus: "c".into(),
        resistance_pu: 0.1,
        reactance_pu: 0.1,
        shunt_conductance_pu: 0.0,
        shunt_susceptance_pu: 0.0,
        rated_current_pu: None,
        taps: None,
    };
    let mut network = PerUnitNetwork {
        base_power_va: 50e3,
        buses: vec![bus("a", BusKind::Root), bus("b", BusKind::Root)],
        branches: vec![branch],
        root_voltage_pu: 1.0,
        wires: Wires::default(),
    };
    assert_eq!(Network::from_per_unit(&network), Err(NetworkError::Roots { found: 2 }));
    network.buses[1].kind = BusKind::UsagePoint;
    let unknown = NetworkError::UnknownBus { what: "L1".into(), bus: "c".into() };
    assert_eq!(Network::from_per_unit(&network), Err(unknown));
    network.base_power_va = -1.0;
    assert!(matches!(Network::from_per_unit(&network), Err(NetworkError::Value { .. })));
}
