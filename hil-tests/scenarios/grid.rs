//! The examples of a network in whole runs: `configs/examples/grid-12-bus.toml` and `grid-four-wire.toml`.

use gridloop_hil_tests::world::{Run, World, simulated};
use gridloop_messages::{Body, NetworkState};
use gridloop_platform_manager::Configuration;
use gridloop_realtime_manager::Outcome;
use std::path::Path;

const EPOCHS: u64 = 24;

fn run(seed: u64, overrides: &[&str]) -> Run {
    run_of("grid-12-bus.toml", seed, overrides)
}

fn run_of(example: &str, seed: u64, overrides: &[&str]) -> Run {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples").join(example);
    let configuration = Configuration::load(&path, &overrides).unwrap_or_else(|errors| panic!("{errors}"));
    simulated(|clock| async move { World::new(&clock, seed).run(configuration).await }).expect("a run")
}

/// Every voltage of an epoch, by bus and phase.
fn voltages(run: &Run, epoch: u64) -> Vec<(String, f64)> {
    let mut voltages: Vec<(String, f64)> = run
        .messages
        .iter()
        .filter(|heard| heard.message.as_ref().is_some_and(|message| message.epoch_number() == Some(epoch)))
        .filter_map(|heard| match heard.body() {
            Body::NetworkState(NetworkState::Voltage(voltage)) => {
                Some((format!("{} {:?}", voltage.bus, voltage.node), voltage.magnitude_kv))
            }
            _ => None,
        })
        .collect();
    voltages.sort_by(|one, other| one.0.cmp(&other.0));
    voltages
}

#[test]
fn the_feeder_has_the_same_state_whatever_the_order_on_the_bus() {
    let first = run(0, &[]);
    assert_eq!(first.report.manager.outcome, Outcome::Completed, "{}", first.report.manager.reason);
    for epoch in 1..=EPOCHS {
        let expected = voltages(&first, epoch);
        assert_eq!(expected.len(), 12 * 3, "epoch {epoch}");
        assert!(expected.iter().all(|(_, kv)| (0.34..0.46).contains(kv)), "{expected:?}");
    }
    for seed in 1..6 {
        let other = run(seed, &[]);
        assert_eq!(other.report.manager.outcome, Outcome::Completed, "{}", other.report.manager.reason);
        for epoch in 1..=EPOCHS {
            assert_eq!(voltages(&other, epoch), voltages(&first, epoch), "seed {seed}, epoch {epoch}");
        }
    }
}

#[test]
fn a_resource_at_a_bus_that_the_messages_of_the_network_do_not_have_stops_the_run_and_says_where() {
    let run = run_of("../scenarios/grid.toml", 3, &["component.grid.resources.EV={bus=\"99\"}"]);
    assert_eq!(run.report.manager.outcome, Outcome::Failed);
    let reason = &run.report.manager.reason;
    assert!(
        reason.contains("resource EV is connected to bus 99, which the network does not have"),
        "{reason}"
    );
}

/// 20 kV in three wires, four wires behind the transformer, one phase and the neutral at the end.
#[test]
fn a_village_behind_a_transformer_has_its_voltages_and_those_of_its_neutral() {
    let run = run_of("grid-four-wire.toml", 0, &[]);
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    for epoch in 1..=EPOCHS {
        let found = voltages(&run, epoch);
        assert_eq!(found.len(), 2 * 3 + 4 * 4 + 2, "epoch {epoch}: {found:?}");
        for (at, kv) in &found {
            let (low, high) = match at.as_str() {
                _ if at.ends_with("Neutral") => (0.0, 0.02),
                _ if at.starts_with("grid ") || at.starts_with("station ") => (19.5, 20.5),
                _ => (0.37, 0.43),
            };
            assert!((low..high).contains(kv), "epoch {epoch}, {at}: {kv}");
        }
    }
}
