//! Determinism, tested rather than hoped for: a seed is a run.

use crate::rig::Feeder;
use gridloop_clock::MonoTime;
use gridloop_hil_tests::world::{Run, World, mischief, simulated, spoil};
use gridloop_messages::Body;
use std::collections::BTreeSet;
use std::time::Duration;

fn run(feeder: &Feeder, bus_seed: u64, device_seed: u64) -> Run {
    let mut configuration = feeder.configuration(&["device.pv1.fallback=\"on-loss\""]);
    let begin = MonoTime::default() + Duration::from_millis(1);
    let plan = mischief(device_seed, 20, begin, MonoTime::from_nanos(u64::MAX));
    spoil(&mut configuration, "pv1", plan);
    simulated(|clock| async move { World::new(&clock, bus_seed).run(configuration).await }).expect("a run")
}

/// What the run found out: every result with its epoch, its content and its instant, whoever was heard first.
fn results(run: &Run) -> BTreeSet<String> {
    let content = |body: &Body| matches!(body, Body::ResourceState(_) | Body::DeviceState(_));
    let results = run.messages.iter().filter(|it| it.message.is_some() && content(it.body()));
    let line = |it: &gridloop_hil_tests::world::Heard| {
        format!("{} {} {:?} {:?} {:?}", it.at.as_nanos(), it.topic, it.epoch(), it.body(), it.warnings())
    };
    results.map(line).collect()
}

#[test]
fn the_same_seeds_give_the_same_messages_letter_by_letter() {
    let feeder = Feeder::with(&["2,pv1,3.0,0.0,,", "4,oltc1,,,7,", "6,pv1,1.5,0.5,,"]);
    for seed in 0..5 {
        let (first, second) = (run(&feeder, seed, seed).log(), run(&feeder, seed, seed).log());
        assert!(first.lines().count() > 100);
        let difference = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        assert!(first == second, "seed {seed}: {difference:#?}");
    }
}

#[test]
fn another_order_on_the_bus_gives_other_messages_and_the_same_results() {
    let feeder = Feeder::with(&["2,pv1,3.0,0.0,,", "4,oltc1,,,7,", "6,pv1,1.5,0.5,,"]);
    let runs: Vec<Run> = (0..10).map(|seed| run(&feeder, seed, 7)).collect();
    let logs: BTreeSet<String> = runs.iter().map(Run::log).collect();
    assert!(logs.len() > 1, "the bus does shuffle");
    for other in &runs[1..] {
        assert_eq!(results(other), results(&runs[0]));
    }
}
