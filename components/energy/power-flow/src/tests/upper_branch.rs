//! The solution is the one that grows out of the network without load: the upper of two.

use super::{branch, constant_power, operation};
use crate::samples::{Recipe, network};
use crate::{
    BuiltIn, Bus, Complex64, Conductor, Connection, Element, Engine, Injection, Line, Network, Operation,
    Source, VoltageDependence,
};
use proptest::prelude::*;

const PHASE_V: f64 = 230.940_107_675_850_3;

fn feeder(impedance_ohm: Complex64) -> BuiltIn {
    let mut network = Network::default();
    let from = network.add_bus(Bus::three_phase("source", 400.0));
    let to = network.add_bus(Bus::three_phase("end", 400.0));
    network.sources.push(Source::balanced(from, 1.0));
    let line = Line::uncoupled(&Conductor::PHASES, impedance_ohm);
    network.add_branch(branch("line", from, to, Element::Line(line)));
    BuiltIn::new(&network).expect("valid")
}

/// The most power that a resource of this direction can feed in in one phase (or draw), by the quadratic equation:
/// `V^4 - 2 a V^2 + |S|^2 |Z|^2 = 0` with `a = V1^2 / 2 + Re(S Z*)` has one root. `None` where there is no bound.
fn most_va(impedance_ohm: Complex64, unit: Complex64) -> Option<f64> {
    let narrowing = impedance_ohm.norm() - (unit * impedance_ohm.conj()).re;
    (narrowing > 1e-9 * impedance_ohm.norm()).then(|| PHASE_V * PHASE_V / 2.0 / narrowing)
}

fn upper_v(impedance_ohm: Complex64, power_va: Complex64) -> f64 {
    let half = PHASE_V * PHASE_V / 2.0 + (power_va * impedance_ohm.conj()).re;
    (half + (half * half - power_va.norm_sqr() * impedance_ohm.norm_sqr()).sqrt()).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn at_the_end_of_a_line_every_power_up_to_99_percent_of_the_most_has_the_upper_solution(
        line_angle in 0.0..std::f64::consts::FRAC_PI_2,
        power_angle in -std::f64::consts::PI..std::f64::consts::PI,
        share in prop_oneof![0.0..0.99, 0.8..0.99],
        one_phase in any::<bool>(),
    ) {
        let impedance_ohm = Complex64::from_polar(0.1, line_angle);
        let unit = Complex64::from_polar(1.0, power_angle);
        // In the direction of the impedance itself there is no most; ten times what flows into a short circuit is enough.
        let most = most_va(impedance_ohm, unit).unwrap_or(f64::INFINITY);
        let power = unit * most.min(10.0 * PHASE_V * PHASE_V / impedance_ohm.norm()) * share;
        let injection = if one_phase {
            constant_power(1, Connection::Phase(Conductor::Phase1), power)
        } else {
            constant_power(1, Connection::Wye, 3.0 * power)
        };
        let mut engine = feeder(impedance_ohm);
        let solution = engine.solve(&operation(vec![injection])).expect("solvable");
        let found = solution.voltage(engine.topology(), 1, Conductor::Phase1).expect("a phase").norm();
        let expected = upper_v(impedance_ohm, power);
        prop_assert!((found - expected).abs() < 1e-6 * PHASE_V, "{} V, expected {}", found, expected);
    }
}

/// A random radial network whose resources feed in or draw some of either power.
fn case(seed: u64) -> (BuiltIn, Operation) {
    let recipe = Recipe { buses: 10, constant_power: true, ..Recipe::default() };
    let (network, mut case) = network(seed, recipe);
    let mut rng = fastrand::Rng::with_seed(seed);
    // Mostly one way, so that there is a most.
    let way = std::f64::consts::TAU * rng.f64();
    for injection in &mut case.injections {
        let power = Complex64::new(injection.real_power_w, injection.reactive_power_var).norm();
        let turned = Complex64::from_polar(power, way + 2.0 * (rng.f64() - 0.5));
        (injection.real_power_w, injection.reactive_power_var) = (turned.re, turned.im);
    }
    (BuiltIn::new(&network).expect("valid"), case)
}

/// All voltages at that much of the load, in pu.
fn at(engine: &mut BuiltIn, case: &Operation, scale: f64) -> Option<Vec<Complex64>> {
    let mut case = case.clone();
    for injection in &mut case.injections {
        injection.real_power_w *= scale;
        injection.reactive_power_var *= scale;
    }
    let solution = engine.solve(&case).ok()?;
    let buses = solution.voltages_v.iter().zip(&engine.topology().buses);
    Some(buses.flat_map(|(bus, info)| bus.iter().map(|v| v / info.base_voltage_v)).collect())
}

fn change(from: &[Complex64], to: &[Complex64]) -> f64 {
    from.iter().zip(to).map(|(from, to)| (from - to).norm()).fold(0.0, f64::max)
}

#[test]
fn as_the_load_of_a_random_network_grows_its_voltages_never_jump_until_they_turn_round() {
    for seed in 0..SEEDS {
        let (mut engine, case) = case(seed);
        let (mut most, mut beyond) = (0.0, 1e4);
        assert!(at(&mut engine, &case, beyond).is_none(), "seed {seed}");
        while beyond - most > 1e-3 * beyond {
            let middle = if most == 0.0 { beyond / 4.0 } else { f64::midpoint(most, beyond) };
            if at(&mut engine, &case, middle).is_some() { most = middle } else { beyond = middle }
        }
        let mut solve = |share: f64| {
            at(&mut engine, &case, most * share)
                .unwrap_or_else(|| panic!("seed {seed}: no solution at {share}"))
        };
        let mut before = solve(0.0);
        let mut change_before = f64::INFINITY;
        for step in 1..=STEPS {
            let now = solve(0.99 * f64::from(step) / f64::from(STEPS));
            let moved = change(&before, &now);
            assert!(moved <= 2.0 * change_before, "seed {seed}, step {step}: {moved} after {change_before}");
            (before, change_before) = (now, moved);
        }
        // Voltages go with the root of what is left until the most: as much in the last hundredth as in three before.
        let (last, fore) = (change(&solve(0.99), &solve(1.0)), change(&solve(0.96), &solve(0.99)));
        assert!(last > 0.6 * fore, "seed {seed}: {last} after {fore}");
    }
}

/// How many random networks.
const SEEDS: u64 = 4;
/// In how many steps the load grows.
const STEPS: u32 = 60;

#[test]
fn a_negative_impedance_is_followed_to_its_pole_and_not_beyond() {
    // V = V1 / (1 - y z), whatever part of y it is: at y z = 1 it has no end.
    let impedance_ohm = Complex64::new(0.1, 0.0);
    let mut engine = feeder(impedance_ohm);
    let mut solve = |power_va: Complex64| {
        engine.solve(&operation(vec![Injection {
            dependence: VoltageDependence::ConstantImpedance,
            ..constant_power(1, Connection::Wye, power_va)
        }]))
    };
    let pole_w = 400.0 * 400.0 / impedance_ohm.re;
    for share in [0.2, 0.6, 0.9, 0.95] {
        let solution = solve(Complex64::new(pole_w * share, 0.0)).expect("solvable");
        let expected = PHASE_V / (1.0 - share);
        let found = solution.voltages_v[1][0];
        assert!((found - expected).norm() < 1e-6 * PHASE_V, "{share}: {found}, expected {expected}");
    }
    for share in [1.01, 1.25, 2.0, 10.0] {
        let found = solve(Complex64::new(pole_w * share, 0.0));
        assert!(found.is_err(), "{share}: {:?}", found.map(|solution| solution.voltages_v));
    }
}
