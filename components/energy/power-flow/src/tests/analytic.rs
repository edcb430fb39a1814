//! Cases with an answer on paper.

use super::{branch, constant_power, imbalance, operation, two_buses};
use crate::{
    AdmittanceBranch, BuiltIn, Bus, Complex64, Conductor, Connection, Element, Engine, Injection, Line,
    Network, Operation, SequenceImpedance, SequenceValues, Shunt, Side, Source, StarPoint, TapRange,
    Transformer, VoltageDependence, Winding, Windings,
};

const PHASE_V: f64 = 230.940_107_675_850_3;

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
}

/// The voltage magnitude at the end of an impedance with a load of constant power, by the quadratic equation.
fn end_voltage(source_v: f64, impedance: Complex64, load_va: Complex64) -> f64 {
    let half = source_v * source_v / 2.0 - (load_va * impedance.conj()).re;
    (half + (half * half - load_va.norm_sqr() * impedance.norm_sqr()).sqrt()).sqrt()
}

#[test]
fn a_load_at_the_end_of_a_line_has_the_voltage_of_the_quadratic_equation() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    let load = Complex64::new(9e3, 3e3);
    let solution =
        engine.solve(&operation(vec![constant_power(1, Connection::Wye, -load)])).expect("solvable");
    let expected = end_voltage(PHASE_V, Complex64::new(0.1, 0.05), load / 3.0);
    for phase in Conductor::PHASES {
        let found = solution.voltage(engine.topology(), 1, phase).expect("a phase").norm();
        close(found, expected, 1e-9 * PHASE_V);
    }
    let current = load.norm() / 3.0 / expected;
    let flow = &solution.branches[0];
    close(flow.conductors[0].sending_a.norm(), current, 1e-8);
    close(flow.conductors[0].receiving_a.norm(), current, 1e-8);
    close(flow.series_loss_va.re, 3.0 * 0.1 * current * current, 1e-6);
    close(solution.source_power_va.re, load.re + flow.series_loss_va.re, 1e-6);
    close(solution.losses_va().im, 3.0 * 0.05 * current * current, 1e-6);
}

#[test]
fn a_single_phase_load_leaves_the_other_phases_of_an_uncoupled_line_alone() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    let load = Complex64::new(2e3, 0.5e3);
    let load_on_two = constant_power(1, Connection::Phase(Conductor::Phase2), -load);
    let solution = engine.solve(&operation(vec![load_on_two])).expect("solvable");
    let at = |phase| solution.voltage(engine.topology(), 1, phase).expect("a phase").norm();
    close(at(Conductor::Phase2), end_voltage(PHASE_V, Complex64::new(0.1, 0.05), load), 1e-9 * PHASE_V);
    close(at(Conductor::Phase1), PHASE_V, 1e-9);
    close(at(Conductor::Phase3), PHASE_V, 1e-9);
}

#[test]
fn a_load_between_two_phases_sees_twice_the_impedance_and_the_line_voltage() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    let load = Complex64::new(3e3, 1e3);
    let between = Connection::Between(Conductor::Phase1, Conductor::Phase3);
    let solution = engine.solve(&operation(vec![constant_power(1, between, -load)])).expect("solvable");
    let at = |phase| solution.voltage(engine.topology(), 1, phase).expect("a phase");
    let found = (at(Conductor::Phase1) - at(Conductor::Phase3)).norm();
    close(found, end_voltage(400.0, Complex64::new(0.2, 0.1), load), 1e-7);
}

#[test]
fn three_balanced_loads_are_the_same_in_wye_and_in_delta() {
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    let load = Complex64::new(-9e3, -3e3);
    let mut magnitude = |connection| {
        let solution = engine.solve(&operation(vec![constant_power(1, connection, load)])).expect("solvable");
        solution.magnitude_pu(engine.topology(), 1, Conductor::Phase2).expect("a phase")
    };
    let (wye, delta) = (magnitude(Connection::Wye), magnitude(Connection::Delta));
    close(wye, delta, 1e-10);
}

#[test]
fn power_goes_with_the_voltage_as_the_resource_says() {
    let mut network = two_buses();
    network.sources[0].voltage_pu = [0.9; 3];
    let mut engine = BuiltIn::new(&network).expect("valid");
    let mut drawn = |dependence| {
        let injection = Injection {
            bus: 0,
            connection: Connection::Wye,
            real_power_w: -6e3,
            reactive_power_var: 0.0,
            dependence,
        };
        engine.solve(&operation(vec![injection])).expect("solvable").source_power_va.re
    };
    close(drawn(VoltageDependence::ConstantPower), 6e3, 1e-6);
    close(drawn(VoltageDependence::ConstantCurrent), 6e3 * 0.9, 1e-6);
    close(drawn(VoltageDependence::ConstantImpedance), 6e3 * 0.81, 1e-6);
    let zip = VoltageDependence::Zip { impedance: 0.2, current: 0.3, power: 0.5 };
    close(drawn(zip), 6e3 * (0.2 * 0.81 + 0.3 * 0.9 + 0.5), 1e-6);
}

#[test]
fn below_its_lowest_voltage_a_resource_is_the_impedance_of_there() {
    let mut network = two_buses();
    network.sources[0].voltage_pu = [0.5; 3];
    network.lowest_constant_power_voltage_pu = Some(0.8);
    let mut engine = BuiltIn::new(&network).expect("valid");
    let mut drawn = |dependence| {
        let injection =
            Injection { dependence, ..constant_power(0, Connection::Wye, Complex64::new(-6e3, 0.0)) };
        engine.solve(&operation(vec![injection])).expect("solvable").source_power_va.re
    };
    let there = (0.5f64 / 0.8).powi(2);
    close(drawn(VoltageDependence::ConstantPower), 6e3 * there, 1e-6);
    close(drawn(VoltageDependence::ConstantCurrent), 6e3 * 0.8 * there, 1e-6);
    close(drawn(VoltageDependence::ConstantImpedance), 6e3 * 0.25, 1e-6);
}

#[test]
fn the_voltage_falls_over_a_source_s_own_impedance() {
    let mut network = two_buses();
    let own = Complex64::new(0.02, 0.1);
    network.sources[0].impedance = Some(SequenceImpedance { positive_ohm: own, zero_ohm: own });
    let mut engine = BuiltIn::new(&network).expect("valid");
    let load = Complex64::new(9e3, 3e3);
    let case = operation(vec![constant_power(1, Connection::Wye, -load)]);
    let solution = engine.solve(&case).expect("solvable");
    let expected = end_voltage(PHASE_V, own + Complex64::new(0.1, 0.05), load / 3.0);
    close(solution.voltage(engine.topology(), 1, Conductor::Phase1).expect("a phase").norm(), expected, 1e-7);
    assert!(imbalance(&mut engine, &case, 1e5) < 1e-9);
}

#[test]
fn sequence_values_make_the_matrix_of_the_textbook() {
    let line = Line::from_sequence(SequenceValues {
        r1_ohm: 0.1,
        x1_ohm: 0.2,
        r0_ohm: 0.4,
        x0_ohm: 0.8,
        b1_s: 3e-6,
        b0_s: 1.5e-6,
    });
    close(line.series_ohm[0][0].re, 0.2, 1e-15);
    close(line.series_ohm[0][1].im, 0.2, 1e-15);
    close(line.shunt_s[2][2].im, 2.5e-6, 1e-18);
    close(line.shunt_s[2][0].im, -0.5e-6, 1e-18);
}

/// A transformer of 10 kV to 400 V between a source and an open end.
fn transformer(sending: Winding, receiving: Winding, clock: u8) -> Network {
    let mut network = Network::default();
    let from = network.add_bus(Bus::three_phase("high", 10e3));
    let to = network.add_bus(Bus::three_phase("low", 400.0));
    network.sources.push(Source::balanced(from, 1.0));
    let windings = Windings::Three { sending, receiving, clock };
    let element = Transformer::three_phase(windings, [10e3, 400.0], 250e3, Complex64::new(1.0, 4.0));
    network.add_branch(branch("t", from, to, Element::Transformer(element)));
    network
}

#[test]
fn every_vector_group_turns_by_thirty_degrees_times_its_clock_number() {
    let groups = [
        (Winding::Delta, Winding::Wye, [1, 3, 5, 7, 9, 11]),
        (Winding::Wye, Winding::Delta, [1, 3, 5, 7, 9, 11]),
        (Winding::Wye, Winding::Wye, [0, 2, 4, 6, 8, 10]),
        (Winding::Delta, Winding::Delta, [0, 2, 4, 6, 8, 10]),
        (Winding::Wye, Winding::Zigzag, [1, 3, 5, 7, 9, 11]),
        (Winding::Zigzag, Winding::Wye, [1, 3, 5, 7, 9, 11]),
    ];
    for (sending, receiving, clocks) in groups {
        for clock in clocks {
            let mut engine = BuiltIn::new(&transformer(sending, receiving, clock)).expect("valid");
            // A balanced load keeps the midpoint of an unearthed side at earth.
            let load = constant_power(1, Connection::Delta, Complex64::new(-0.01, 0.0));
            let solution = engine.solve(&operation(vec![load])).expect("solvable");
            for (at, phase) in Conductor::PHASES.into_iter().enumerate() {
                let low = solution.voltage(engine.topology(), 1, phase).expect("a phase");
                let high = solution.voltage(engine.topology(), 0, phase).expect("a phase");
                let lag = Complex64::from_polar(0.04, -f64::from(clock) * 30f64.to_radians());
                let difference = (low - high * lag).norm() / PHASE_V;
                assert!(difference < 1e-5, "{sending:?} {receiving:?} {clock}, phase {at}: {difference}");
            }
        }
    }
}

#[test]
fn a_tap_up_raises_the_receiving_side_by_its_step() {
    let mut network = transformer(Winding::Delta, Winding::Wye, 11);
    let Element::Transformer(element) = &mut network.branches[0].element else { unreachable!() };
    element.taps = Some(TapRange { lowest: -2, highest: 2, neutral: 0, step: 0.025 });
    let mut engine = BuiltIn::new(&network).expect("valid");
    let mut at = |position| {
        let case = Operation { tap_positions: [(0, position)].into(), ..Operation::default() };
        let solution = engine.solve(&case).expect("solvable");
        solution.magnitude_pu(engine.topology(), 1, Conductor::Phase3).expect("a phase")
    };
    close(at(0), 1.0, 1e-6);
    close(at(2), 1.05, 1e-6);
    close(at(-1), 0.975, 1e-6);
    close(at(0), 1.0, 1e-6);
}

#[test]
fn a_tap_up_on_the_sending_side_lowers_the_receiving_side() {
    let mut network = transformer(Winding::Delta, Winding::Wye, 11);
    let Element::Transformer(element) = &mut network.branches[0].element else { unreachable!() };
    element.taps = Some(TapRange { lowest: 1, highest: 5, neutral: 3, step: 0.025 });
    element.tapped = Side::Sending;
    element.tap_position = 5;
    let mut engine = BuiltIn::new(&network).expect("valid");
    let mut at = |tap_positions| {
        let case = Operation { tap_positions, ..Operation::default() };
        let solution = engine.solve(&case).expect("solvable");
        solution.magnitude_pu(engine.topology(), 1, Conductor::Phase3).expect("a phase")
    };
    close(at([].into()), 1.0 / 1.05, 1e-6);
    close(at([(0, 3)].into()), 1.0, 1e-6);
    close(at([(0, 1)].into()), 1.0 / 0.95, 1e-6);
}

/// The transformer with a fault at the receiving side: phase 1 to earth by a conductance of 1000 S.
fn earth_fault_a(mut network: Network) -> f64 {
    let connection = Connection::Phase(Conductor::Phase1);
    network.shunts.push(Shunt { bus: 1, connection, admittance_s: Complex64::from(1000.0) });
    let mut engine = BuiltIn::new(&network).expect("valid");
    let solution = engine.solve(&Operation::default()).expect("solvable");
    let power = engine.balance_va(&Operation::default(), &solution).expect("fits");
    assert!(power.iter().flatten().all(|power| power.norm() < 1e-3), "{power:?}");
    solution.branches[0].conductors[0].receiving_a.norm()
}

#[test]
fn an_earth_fault_is_limited_by_what_lies_between_star_point_and_earth() {
    let with = |star: StarPoint| {
        let mut network = transformer(Winding::Delta, Winding::Wye, 11);
        let Element::Transformer(element) = &mut network.branches[0].element else { unreachable!() };
        element.receiving_star = star;
        network
    };
    // One phase of the transformer, 1 + j4 % of 0.64 ohm, and 1 mohm in the fault.
    let own_ohm = Complex64::new(0.0064 + 1e-3, 0.0256);
    close(earth_fault_a(with(StarPoint::Neutral)), PHASE_V / own_ohm.norm(), 0.1);
    close(earth_fault_a(with(StarPoint::Earthed(Complex64::ZERO))), PHASE_V / own_ohm.norm(), 0.1);
    let earthing_ohm = Complex64::new(2.0, 1.0);
    let found = earth_fault_a(with(StarPoint::Earthed(earthing_ohm)));
    close(found, PHASE_V / (own_ohm + earthing_ohm).norm(), 1e-3);
    assert!(earth_fault_a(with(StarPoint::Isolated)) < 1e-2);
}

#[test]
fn a_star_point_that_leads_nowhere_keeps_zero_sequence_currents_out_of_both_sides() {
    let mut network = transformer(Winding::Wye, Winding::Wye, 0);
    let Element::Transformer(element) = &mut network.branches[0].element else { unreachable!() };
    element.sending_star = StarPoint::Isolated;
    assert!(earth_fault_a(network) < 1e-2);
}

/// Coils hold either side to earth by a millionth of the same rating, so that each of the two and the coils between them
/// take a third of what the phases of the source have in common.
#[test]
fn two_star_points_that_lead_nowhere_float_where_their_coils_hold_them() {
    for (clock, sign) in [(0, 1.0), (6, -1.0)] {
        let mut network = transformer(Winding::Wye, Winding::Wye, clock);
        let Element::Transformer(element) = &mut network.branches[0].element else { unreachable!() };
        (element.sending_star, element.receiving_star) = (StarPoint::Isolated, StarPoint::Isolated);
        network.sources[0].voltage_pu = [1.03, 1.0, 1.0];
        let mut engine = BuiltIn::new(&network).expect("valid");
        let solution = engine.solve(&Operation::default()).expect("solvable");
        let common = |bus: usize, nominal_v: f64| {
            solution.voltages_v[bus].iter().sum::<Complex64>() * 3f64.sqrt() / 3.0 / nominal_v
        };
        let (high, low) = (common(0, 10e3), common(1, 400.0));
        close(high.re, 0.01, 1e-12);
        assert!((low - high * sign / 3.0).norm() < 1e-7, "{clock}: {low}, {high}");
    }
}

#[test]
fn what_an_earthing_loses_is_a_shunt_loss() {
    let mut network = transformer(Winding::Delta, Winding::Wye, 11);
    let Element::Transformer(element) = &mut network.branches[0].element else { unreachable!() };
    element.receiving_star = StarPoint::Earthed(Complex64::from(20.0));
    let connection = Connection::Phase(Conductor::Phase1);
    network.shunts.push(Shunt { bus: 1, connection, admittance_s: Complex64::from(1000.0) });
    let mut engine = BuiltIn::new(&network).expect("valid");
    let solution = engine.solve(&Operation::default()).expect("solvable");
    let current_a = solution.branches[0].conductors[0].receiving_a.norm();
    close(solution.branches[0].shunt_loss_va.re, 20.0 * current_a * current_a, 0.01);
    close(solution.branches[0].series_loss_va.re, 0.0064 * current_a * current_a, 0.01);
}

#[test]
fn the_no_load_loss_of_a_transformer_is_a_shunt_loss() {
    let mut network = transformer(Winding::Delta, Winding::Wye, 11);
    let Element::Transformer(element) = &mut network.branches[0].element else { unreachable!() };
    element.no_load_loss_percent = 0.2;
    let mut engine = BuiltIn::new(&network).expect("valid");
    let solution = engine.solve(&Operation::default()).expect("solvable");
    close(solution.branches[0].shunt_loss_va.re, 500.0, 0.1);
    close(solution.branches[0].series_loss_va.re, 0.0, 0.1);
}

#[test]
fn a_neutral_of_its_own_carries_what_a_phase_draws() {
    let mut network = Network::default();
    let from = network.add_bus(Bus::four_wire("source", 400.0, Some(0.0)));
    let to = network.add_bus(Bus::four_wire("end", 400.0, None));
    network.sources.push(Source::balanced(from, 1.0));
    let wires = network.buses[0].conductors.clone();
    let line = Line::uncoupled(&wires, Complex64::new(0.1, 0.05));
    network.add_branch(branch("line", from, to, Element::Line(line)));
    let mut engine = BuiltIn::new(&network).expect("valid");
    let load = Complex64::new(2e3, 0.5e3);
    let case = operation(vec![constant_power(1, Connection::Phase(Conductor::Phase1), -load)]);
    let solution = engine.solve(&case).expect("solvable");
    let found = solution.voltage_to_neutral(engine.topology(), 1, Conductor::Phase1).expect("a phase").norm();
    close(found, end_voltage(PHASE_V, Complex64::new(0.2, 0.1), load), 1e-7);
    let flow = &solution.branches[0].conductors;
    assert!((flow[0].sending_a + flow[3].sending_a).norm() < 1e-7);
    assert!(imbalance(&mut engine, &case, 1e5) < 1e-9);
}

#[test]
fn a_neutral_that_nothing_earths_floats_and_a_balanced_load_does_not_notice() {
    let mut network = Network::default();
    let from = network.add_bus(Bus::four_wire("source", 400.0, None));
    let to = network.add_bus(Bus::four_wire("end", 400.0, None));
    network.sources.push(Source::balanced(from, 1.0));
    let wires = network.buses[0].conductors.clone();
    network.add_branch(branch(
        "line",
        from,
        to,
        Element::Line(Line::uncoupled(&wires, Complex64::new(0.1, 0.05))),
    ));
    let mut engine = BuiltIn::new(&network).expect("valid");
    let load = Complex64::new(9e3, 3e3);
    let solution =
        engine.solve(&operation(vec![constant_power(1, Connection::Wye, -load)])).expect("solvable");
    let expected = end_voltage(PHASE_V, Complex64::new(0.1, 0.05), load / 3.0);
    close(solution.voltage(engine.topology(), 1, Conductor::Phase2).expect("a phase").norm(), expected, 1e-6);
}

#[test]
fn a_capacitor_gives_its_power_at_its_voltage() {
    for connection in [Connection::Wye, Connection::Delta, Connection::Phase(Conductor::Phase2)] {
        let mut network = two_buses();
        network.shunts.push(Shunt::capacitor(0, connection, 3e3, 400.0));
        let mut engine = BuiltIn::new(&network).expect("valid");
        let solution = engine.solve(&Operation::default()).expect("solvable");
        close(solution.source_power_va.im, -3e3, 1e-6);
        close(solution.source_power_va.re, 0.0, 1e-6);
    }
}

#[test]
fn a_line_given_by_its_primitive_matrix_is_the_same_line() {
    let mut network = two_buses();
    let admittance = Complex64::new(0.1, 0.05).inv();
    let entry = |row: usize, column: usize| match (row % 3 == column % 3, row == column) {
        (_, true) => admittance,
        (true, false) => -admittance,
        (false, false) => Complex64::ZERO,
    };
    let plain = BuiltIn::new(&network).expect("valid").solve(&load_on_one()).expect("solvable");
    network.branches[0].element = Element::Admittance(AdmittanceBranch {
        sending: Conductor::PHASES.to_vec(),
        receiving: Conductor::PHASES.to_vec(),
        admittance_s: (0..6).map(|row| (0..6).map(|column| entry(row, column)).collect()).collect(),
    });
    let foreign = BuiltIn::new(&network).expect("valid").solve(&load_on_one()).expect("solvable");
    let (one, other) = (plain.voltages_v[1][0], foreign.voltages_v[1][0]);
    assert!((one - other).norm() < 1e-9);
}

fn load_on_one() -> Operation {
    operation(vec![constant_power(1, Connection::Phase(Conductor::Phase1), Complex64::new(-2e3, -500.0))])
}

#[test]
fn parallel_lines_share_the_current() {
    let mut network = two_buses();
    let mut second = network.branches[0].clone();
    second.name = "second".into();
    network.add_branch(second);
    let mut engine = BuiltIn::new(&network).expect("valid");
    let solution = engine.solve(&load_on_one()).expect("solvable");
    let (one, other) = (&solution.branches[0].conductors[0], &solution.branches[1].conductors[0]);
    assert!((one.sending_a - other.sending_a).norm() < 1e-9);
    let expected = end_voltage(PHASE_V, Complex64::new(0.05, 0.025), Complex64::new(2e3, 500.0));
    close(solution.voltage(engine.topology(), 1, Conductor::Phase1).expect("a phase").norm(), expected, 1e-7);
}
