//! What must hold of every solution, on random networks.

use super::imbalance;
use crate::samples::{Recipe, network};
use crate::{BuiltIn, Complex64, Engine, Network, Operation};
use proptest::prelude::*;

fn recipes() -> impl Strategy<Value = (u64, Recipe)> {
    let buses = prop_oneof![2..8usize, 8..40usize];
    let choices = (any::<bool>(), any::<bool>());
    (any::<u64>(), buses, 0..6usize, choices).prop_map(|(seed, buses, meshes, (transformers, every_star))| {
        (seed, Recipe { buses, meshes, transformers, every_star, ..Recipe::default() })
    })
}

/// The same network with its buses and branches in another order.
fn shuffled(network: &Network, case: &Operation, seed: u64) -> (Network, Operation, Vec<usize>) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut buses: Vec<usize> = (0..network.buses.len()).collect();
    rng.shuffle(&mut buses);
    let mut new_of = vec![0; buses.len()];
    buses.iter().enumerate().for_each(|(new, old)| new_of[*old] = new);
    let mut branches: Vec<usize> = (0..network.branches.len()).collect();
    rng.shuffle(&mut branches);
    let mut other = network.clone();
    other.buses = buses.iter().map(|old| network.buses[*old].clone()).collect();
    other.branches = branches.iter().map(|old| network.branches[*old].clone()).collect();
    for branch in &mut other.branches {
        (branch.sending_bus, branch.receiving_bus) =
            (new_of[branch.sending_bus], new_of[branch.receiving_bus]);
    }
    other.sources.iter_mut().for_each(|source| source.bus = new_of[source.bus]);
    other.shunts.iter_mut().for_each(|shunt| shunt.bus = new_of[shunt.bus]);
    let mut moved = case.clone();
    moved.injections.iter_mut().for_each(|one| one.bus = new_of[one.bus]);
    rng.shuffle(&mut moved.injections);
    let branch_of = |old: usize| branches.iter().position(|one| *one == old).expect("a branch");
    moved.tap_positions = case.tap_positions.iter().map(|(old, at)| (branch_of(*old), *at)).collect();
    (other, moved, new_of)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn power_balances_at_every_conductor_of_every_bus((seed, recipe) in recipes()) {
        let (network, case) = network(seed, recipe);
        let mut engine = BuiltIn::new(&network).expect("valid");
        prop_assert!(imbalance(&mut engine, &case, 1e6) < 1e-9);
    }

    #[test]
    fn what_goes_in_comes_out_or_is_lost((seed, recipe) in recipes()) {
        let (network, mut case) = network(seed, Recipe { constant_power: true, ..recipe });
        let mut engine = BuiltIn::new(&network).expect("valid");
        let solution = engine.solve(&case).expect("solvable");
        let injected: Complex64 =
            case.injections.iter().map(|one| Complex64::new(one.real_power_w, one.reactive_power_var)).sum();
        // Real power: shunts are capacitors; what earthings lose is little, but is a loss.
        let lost = solution.losses_va().re;
        let gap = solution.source_power_va.re + injected.re - lost;
        let four_wire = network.buses.iter().any(|bus| bus.neutral_earthing_ohm.is_some());
        prop_assert!(gap > -1e-3, "gap {}", gap);
        prop_assert!(four_wire || gap < 1e-3, "gap {}", gap);
        prop_assert!(lost > -1e-6);
        // Deterministic, whatever was solved before.
        case.injections.clear();
        engine.solve(&case).expect("solvable");
    }

    #[test]
    fn the_order_of_buses_and_branches_does_not_matter((seed, recipe) in recipes()) {
        let (network, case) = network(seed, recipe);
        let (other, moved, new_of) = shuffled(&network, &case, seed);
        let one = BuiltIn::new(&network).expect("valid").solve(&case).expect("solvable");
        let two = BuiltIn::new(&other).expect("valid").solve(&moved).expect("solvable");
        for (old, new) in new_of.iter().enumerate() {
            let nominal = network.buses[old].base_voltage_v;
            for (a, b) in one.voltages_v[old].iter().zip(&two.voltages_v[*new]) {
                // A part that floats is held to earth by a millionth of a rating: there rounding shows.
                prop_assert!((a - b).norm() < 1e-6 * nominal, "{} and {}", a, b);
            }
        }
    }

    #[test]
    fn a_solution_does_not_depend_on_those_before((seed, recipe) in recipes()) {
        let (network, case) = network(seed, recipe);
        let mut engine = BuiltIn::new(&network).expect("valid");
        let first = engine.solve(&case).expect("solvable");
        let mut other = case.clone();
        for injection in &mut other.injections {
            injection.real_power_w *= 0.5;
        }
        for number in 0..12 {
            for (branch, info) in engine.topology().branches.iter().enumerate().filter(|(_, info)| info.taps.is_some()) {
                let taps = info.taps.expect("taps");
                other.tap_positions.insert(branch, (taps.lowest + number).min(taps.highest));
            }
            engine.solve(&other).expect("solvable");
        }
        prop_assert_eq!(engine.solve(&case).expect("solvable"), first);
    }

    #[test]
    fn turning_all_phases_turns_the_solution((seed, recipe) in recipes()) {
        let (mut network, case) = network(seed, recipe);
        let one = BuiltIn::new(&network).expect("valid").solve(&case).expect("solvable");
        network.sources.iter_mut().for_each(|source| source.angle_deg.iter_mut().for_each(|angle| *angle += 50.0));
        let two = BuiltIn::new(&network).expect("valid").solve(&case).expect("solvable");
        let turn = Complex64::from_polar(1.0, 50f64.to_radians());
        for (bus, (a, b)) in one.voltages_v.iter().zip(&two.voltages_v).enumerate() {
            for (a, b) in a.iter().zip(b) {
                prop_assert!((a * turn - b).norm() < 1e-6 * network.buses[bus].base_voltage_v);
            }
        }
    }

    #[test]
    fn impedances_superpose((seed, recipe) in recipes()) {
        // Without resources a network is linear: twice the source, twice the voltage.
        let (mut network, _) = network(seed, recipe);
        let one = BuiltIn::new(&network).expect("valid").solve(&Operation::default()).expect("solvable");
        network.sources.iter_mut().for_each(|source| source.voltage_pu.iter_mut().for_each(|part| *part *= 2.0));
        let two = BuiltIn::new(&network).expect("valid").solve(&Operation::default()).expect("solvable");
        for (a, b) in one.voltages_v.concat().iter().zip(two.voltages_v.concat()) {
            prop_assert!((a * 2.0 - b).norm() <= 1e-9 * b.norm().max(1.0));
        }
    }
}
