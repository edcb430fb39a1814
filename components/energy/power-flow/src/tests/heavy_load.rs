//! Near the most that a network can carry, and beyond.

use super::{constant_power, imbalance, operation, two_buses};
use crate::samples::{Recipe, network};
use crate::{BuiltIn, Complex64, Conductor, Connection, Engine, Operation, SolveError};

/// The largest load of this power factor at the end of an impedance: where the quadratic equation has one root.
fn most_va(source_v: f64, impedance: Complex64, unit: Complex64) -> f64 {
    // (V^2 / 2 - s Re(u z*))^2 = s^2 |u|^2 |z|^2
    let along = (unit * impedance.conj()).re;
    source_v * source_v / 2.0 / (along + unit.norm() * impedance.norm())
}

#[test]
fn at_95_percent_of_the_most_the_upper_solution_is_found() {
    let impedance = Complex64::new(0.1, 0.05);
    let phase_v = 400.0 / 3f64.sqrt();
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    for unit in [Complex64::new(1.0, 0.0), Complex64::new(0.9, 0.436), Complex64::new(0.9, -0.436)] {
        for share in [0.5, 0.8, 0.95, 0.99] {
            let load = unit * most_va(phase_v, impedance, unit) * share;
            let case = operation(vec![constant_power(1, Connection::Wye, -3.0 * load)]);
            let solution = engine.solve(&case).expect("solvable");
            let half = phase_v * phase_v / 2.0 - (load * impedance.conj()).re;
            let expected = (half + (half * half - load.norm_sqr() * impedance.norm_sqr()).sqrt()).sqrt();
            let found = solution.voltage(engine.topology(), 1, Conductor::Phase1).expect("a phase").norm();
            assert!(
                (found - expected).abs() < 1e-6 * phase_v,
                "{unit} {share}: {found}, expected {expected}"
            );
            assert!(imbalance(&mut engine, &case, 1e5) < 1e-9);
        }
    }
}

#[test]
fn beyond_the_most_there_is_no_solution_and_the_bus_is_named() {
    let impedance = Complex64::new(0.1, 0.05);
    let unit = Complex64::new(1.0, 0.0);
    let most = most_va(400.0 / 3f64.sqrt(), impedance, unit);
    let mut engine = BuiltIn::new(&two_buses()).expect("valid");
    for share in [1.001, 1.05, 2.0, 1000.0] {
        let load = constant_power(1, Connection::Wye, unit * (-3.0 * most * share));
        match engine.solve(&operation(vec![load])) {
            Err(SolveError::NoConvergence { bus, iterations, .. }) => {
                assert_eq!(bus, "end");
                assert!(iterations < 400, "{iterations} iterations");
            }
            other => panic!("{share}: {other:?}"),
        }
    }
    engine.solve(&Operation::default()).expect("an engine that failed solves on");
}

#[test]
fn a_random_network_is_solved_up_to_95_percent_of_what_it_can_carry() {
    for seed in 0..4 {
        let recipe = Recipe { buses: 12, constant_power: true, ..Recipe::default() };
        let (network, mut case) = network(seed, recipe);
        case.injections.iter_mut().for_each(|one| one.real_power_w = -one.real_power_w.abs());
        let mut engine = BuiltIn::new(&network).expect("valid");
        let at = |engine: &mut BuiltIn, scale: f64| {
            let mut case = case.clone();
            for injection in &mut case.injections {
                injection.real_power_w *= scale;
                injection.reactive_power_var *= scale;
            }
            engine.solve(&case)
        };
        let (mut holds, mut fails) = (1.0, 1000.0);
        assert!(at(&mut engine, holds).is_ok() && at(&mut engine, fails).is_err(), "seed {seed}");
        for _ in 0..12 {
            let middle = f64::sqrt(holds * fails);
            if at(&mut engine, middle).is_ok() { holds = middle } else { fails = middle }
        }
        // The limit found is a limit: whatever is less is solved as well.
        for share in [0.2, 0.4, 0.6, 0.8, 0.9, 0.95] {
            at(&mut engine, holds * share).unwrap_or_else(|error| panic!("seed {seed}, {share}: {error}"));
        }
    }
}
