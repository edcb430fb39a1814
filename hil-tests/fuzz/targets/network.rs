//! Network files: sound or not, every error has a place and words. What is sound can be told to others, and where it can
//! be solved, every voltage and loss is a number.
#![no_main]

use gridloop_grid::{Information, parse_network};
use gridloop_power_flow::{BuiltIn, Engine, Injection, Operation};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let description = match parse_network("fuzzed.toml", text) {
        Ok(description) => description,
        Err(errors) => return assert!(!errors.is_empty() && !errors.to_string().is_empty()),
    };
    let _ = (Information::of_network(&description), Information::of_customers(&description));
    let solvable = description.to_network().and_then(|network| BuiltIn::new(&network));
    let mut engine = match solvable {
        Ok(engine) => engine,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let places = description.resources.values();
    let injection = |place: &gridloop_grid::Place| {
        Some(Injection {
            bus: engine.topology().bus(&place.bus)?,
            connection: place.connection,
            real_power_w: -1e3,
            reactive_power_var: -0.3e3,
            dependence: place.dependence,
        })
    };
    let injections: Vec<Injection> = places.filter_map(injection).collect();
    let lowest = engine.topology().branches.iter().enumerate();
    let lowest = lowest.filter_map(|(branch, info)| Some((branch, info.taps?.lowest))).collect();
    for tap_positions in [lowest, [].into()] {
        let operation = Operation { injections: injections.clone(), tap_positions, ..Operation::default() };
        match engine.solve(&operation) {
            Ok(solution) => {
                assert!(solution.voltages_v.iter().flatten().all(|voltage| voltage.is_finite()));
                assert!(solution.losses_va().is_finite());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
