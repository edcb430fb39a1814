//! [`Dummy`]: what it says, how long it takes, and how often it misbehaves.

use crate::world::{EPOCH, Said, World, start};
use gridloop_dummies::{Dummy, DummyError, DummySettings};
use gridloop_messages::Body;
use serde_json::Value;
use std::time::Duration;

const MANY: u64 = 2_000;

fn quick() -> DummySettings {
    DummySettings {
        min_sleep: Duration::ZERO,
        max_sleep: Duration::ZERO,
        seed: 7,
        ..DummySettings::default()
    }
}

fn world(name: &str, settings: DummySettings) -> World {
    World::new(vec![(name, Box::new(Dummy::new(name, settings).unwrap()))])
}

/// The fields of the result among these.
fn result(said: &[Said]) -> Value {
    let found = said.iter().find_map(|said| match &said.message.body {
        Body::Result(result) => Some(Value::Object(result.fields.clone())),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no result in {said:?}"))
}

/// How often in `MANY` epochs something happens, from 0 to 1.
fn share(mut happens: impl FnMut(u64) -> bool) -> f64 {
    let count = (1..=MANY).filter(|epoch| happens(*epoch)).count();
    f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(MANY).unwrap())
}

#[test]
fn each_epoch_has_a_result_with_the_promised_fields_and_then_ready() {
    let mut world = world("pacer_1", quick());
    let said = world.epoch(3);
    assert_eq!(said.iter().map(|said| said.topic.as_str()).collect::<Vec<_>>(), ["Result", "Status.Ready"]);
    let fields = result(&said);
    assert!((0.0..1000.0).contains(&fields["DummyValue"].as_f64().unwrap()), "{fields}");
    assert!((100.0..200.0).contains(&fields["TestValue"].as_f64().unwrap()), "{fields}");
    for (series, unit) in [("Current", "A"), ("Voltage", "V")] {
        let index = fields[series]["TimeIndex"].as_array().unwrap();
        let expected = (0..=6).map(|n| start().plus(3 * EPOCH + n * EPOCH / 6).to_string());
        assert_eq!(*index, expected.map(Value::from).collect::<Vec<_>>());
        for phase in ["L1", "L2", "L3"] {
            let block = &fields[series]["Series"][phase];
            assert_eq!(block["UnitOfMeasure"], unit);
            assert!(block["Values"].as_array().unwrap().iter().all(Value::is_f64), "{block}");
            assert_eq!(block["Values"].as_array().unwrap().len(), 7);
        }
    }
}

#[test]
fn a_seed_is_one_run_whatever_was_missed_and_names_differ() {
    let seen = |name: &str, settings: DummySettings, epochs: &[u64]| {
        let mut world = world(name, settings);
        epochs.iter().map(|epoch| result(&world.epoch(*epoch))).collect::<Vec<_>>()
    };
    let all = seen("a", quick(), &[1, 2, 3, 4]);
    assert_eq!(seen("a", quick(), &[1, 2, 3, 4]), all);
    assert_eq!(seen("a", quick(), &[4]), all[3..], "an epoch does not depend on those before it");
    assert_ne!(seen("b", quick(), &[1, 2, 3, 4]), all);
    assert_ne!(seen("a", DummySettings { seed: 8, ..quick() }, &[1, 2, 3, 4]), all);
    let mut deaf = world("a", DummySettings { receive_miss_chance: 0.5, send_miss_chance: 0.5, ..quick() });
    for epoch in 1..=4 {
        let said = (0..1000).map(|_| deaf.epoch(epoch)).find(|said| !said.is_empty());
        assert_eq!(result(&said.unwrap()), all[usize::try_from(epoch).unwrap() - 1]);
    }
}

#[test]
fn the_time_taken_is_spread_evenly_between_the_shortest_and_the_longest_sleep() {
    let (min_sleep, max_sleep) = (Duration::from_secs(2), Duration::from_secs(15));
    let mut world = world("a", DummySettings { min_sleep, max_sleep, ..quick() });
    let mut taken: Vec<f64> = Vec::new();
    for epoch in 1..=MANY {
        let before = world.now;
        let said = world.epoch(epoch);
        taken.push(said[0].at.since(before).as_secs_f64());
    }
    assert!(taken.iter().all(|taken| (2.0..15.0).contains(taken)));
    let mean = taken.iter().sum::<f64>() / taken.len() as f64;
    assert!((mean - 8.5).abs() < 0.3, "{mean}");
    taken.sort_by(f64::total_cmp);
    for (tenth, at) in (1..10).zip([3.3, 4.6, 5.9, 7.2, 8.5, 9.8, 11.1, 12.4, 13.7]) {
        let found = taken[taken.len() * tenth / 10];
        assert!((found - at).abs() < 0.5, "a share of {tenth}/10 took up to {found} s instead of {at} s");
    }
}

#[test]
fn an_error_comes_as_often_as_it_was_told_to_and_is_the_end() {
    let errors = share(|epoch| {
        let mut world = world("a", DummySettings { error_chance: 0.2, ..quick() });
        world.epoch(epoch)[0].description() == Some(&format!("a random error of a dummy in epoch {epoch}"))
    });
    assert!((errors - 0.2).abs() < 0.04, "{errors}");
    let mut world = world("a", DummySettings { error_chance: 1.0, ..quick() });
    let said = [world.epoch(1), world.epoch(2)].concat();
    let topics: Vec<_> = said.iter().map(|said| said.topic.as_str()).collect();
    assert_eq!(topics, ["Status.Error", "Status.Error"]);
}

#[test]
fn a_missed_epoch_or_a_missed_answer_is_made_up_for_when_the_manager_asks_again() {
    for (receive_miss_chance, send_miss_chance) in [(0.3, 0.0), (0.0, 0.3)] {
        let settings = DummySettings { receive_miss_chance, send_miss_chance, ..quick() };
        let mut world = world("a", settings);
        let missed = share(|epoch| {
            let at_once = !world.epoch(epoch).is_empty();
            let later = at_once || (0..1000).any(|_| !world.epoch(epoch).is_empty());
            assert!(later, "epoch {epoch} is never answered");
            !at_once
        });
        assert!((missed - 0.3).abs() < 0.05, "{missed}");
    }
}

#[test]
fn an_epoch_that_is_asked_for_again_during_the_sleep_changes_nothing() {
    let sleep = Duration::from_secs(5);
    let settings = DummySettings { min_sleep: sleep, max_sleep: sleep, receive_miss_chance: 1.0, ..quick() };
    let mut deaf = world("a", settings.clone());
    assert_eq!((deaf.epoch(1), deaf.epoch(1)), (vec![], vec![]), "never heard, so never asleep");
    let mut world = world("a", DummySettings { receive_miss_chance: 0.0, ..settings });
    let said = world.epoch(1);
    assert_eq!(said[0].at.since(Default::default()), sleep);
    let again = world.epoch(1);
    assert!(again.len() == 1 && again[0].is_ready(), "{again:?}");
    assert_eq!(again[0].at, said[0].at, "ready is repeated at once");
}

#[test]
fn a_result_carries_an_internal_warning_as_often_as_it_was_told_to() {
    let mut world = world("a", DummySettings { warning_chance: 0.25, ..quick() });
    let warned = share(|epoch| {
        let said = world.epoch(epoch);
        let warnings = &said[0].fields().warnings;
        assert!(warnings.iter().all(|warning| warning.as_str().starts_with("warning.internal")));
        !warnings.is_empty()
    });
    assert!((warned - 0.25).abs() < 0.04, "{warned}");
}

#[test]
fn settings_that_contradict_themselves_are_refused_by_name() {
    let sleep =
        Dummy::new("a", DummySettings { min_sleep: Duration::from_secs(20), ..DummySettings::default() });
    let error = sleep.unwrap_err();
    assert_eq!(error.to_string(), "the shortest sleep, 20s, is longer than the longest, 15s");
    for found in [-0.1, 1.1, f64::NAN] {
        let error = Dummy::new("a", DummySettings { warning_chance: found, ..quick() }).unwrap_err();
        assert!(matches!(error, DummyError::Chance { chance: "warning_chance", .. }), "{error}");
    }
}
