//! Any order of events: inputs early, late, repeated and shuffled, Epochs and SimStates repeated, buses restored.

use crate::probe::Probe;
use crate::rig::{Rig, Said, epoch, input};
use gridloop_component::Input;
use gridloop_messages::topic;
use proptest::prelude::*;
use std::collections::BTreeMap;

const EPOCHS: u64 = 4;
const INPUTS: u64 = 3;

/// Something that may happen at any time, and any number of times.
#[derive(Debug, Clone, Copy)]
enum Noise {
    Input { epoch: u64, number: u64 },
    EpochAgain(u64),
    RunningAgain,
    Poke,
    BusRestored,
}

fn noise() -> impl Strategy<Value = Noise> {
    prop_oneof![
        6 => (1..=EPOCHS, 0..INPUTS).prop_map(|(epoch, number)| Noise::Input { epoch, number }),
        2 => (1..=EPOCHS).prop_map(Noise::EpochAgain),
        1 => Just(Noise::RunningAgain),
        1 => Just(Noise::Poke),
        1 => Just(Noise::BusRestored),
    ]
}

struct World {
    rig: Rig<Probe>,
    begun: u64,
    ids: u64,
    said: Vec<Said>,
}

impl World {
    fn new() -> Self {
        let mut rig = Rig::new(Probe::needing(usize::try_from(INPUTS).unwrap()));
        let said = rig.running("Clock-0");
        Self { rig, begun: 0, ids: 0, said }
    }

    fn make(&mut self, noise: Noise) {
        self.ids += 1;
        let id = format!("Clock-{}", self.ids);
        let said = match noise {
            Noise::Input { epoch, number } => self.give(epoch, number),
            Noise::EpochAgain(number) if number <= self.begun => self.rig.epoch(&id, number),
            Noise::EpochAgain(_) => Vec::new(),
            Noise::RunningAgain => self.rig.running(&id),
            Noise::Poke => self.rig.handle(Input::Poke),
            Noise::BusRestored => self.rig.handle(Input::BusRestored),
        };
        self.said.extend(said);
    }

    fn give(&mut self, epoch: u64, number: u64) -> Vec<Said> {
        self.rig.hear(&input("ctl", &format!("in-{epoch}-{number}"), epoch, 1.0))
    }

    fn begin(&mut self, number: u64) {
        self.begun = number;
        let said = self.rig.hear(&epoch(&format!("Epoch-{number}"), number, &["someone-1"]));
        self.said.extend(said);
    }

    fn is_ready(&self, number: u64) -> bool {
        self.said.iter().any(|said| said.topic == topic::STATUS_READY && said.epoch() == number)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens between, each epoch ends as soon as its last input has come, with all inputs taken once, one
    /// set of results, and ready behind it.
    #[test]
    fn no_order_of_events_loses_an_input_or_doubles_a_result(
        noises in prop::collection::vec(prop::collection::vec(noise(), 0..20), 4),
        order in Just((0..INPUTS).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut world = World::new();
        for (number, noises) in (1..=EPOCHS).zip(noises) {
            let (before, after) = noises.split_at(noises.len() / 2);
            before.iter().for_each(|noise| world.make(*noise));
            world.begin(number);
            after.iter().for_each(|noise| world.make(*noise));
            for input in &order {
                let said = world.give(number, *input);
                world.said.extend(said);
            }
            prop_assert!(world.is_ready(number), "epoch {number} has all inputs and is not ready");
        }
        check(&world)?;
    }
}

fn check(world: &World) -> Result<(), TestCaseError> {
    let mut bodies = BTreeMap::new();
    let mut results: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    let mut ready = BTreeMap::new();
    for said in &world.said {
        if let Some(before) = bodies.insert(said.id(), &said.body) {
            prop_assert_eq!(before, &said.body, "one id, two contents");
            continue;
        }
        if said.topic == topic::STATUS_READY {
            ready.insert(said.epoch(), said);
        } else {
            prop_assert!(!ready.contains_key(&said.epoch()), "a result after ready");
            results.entry(said.epoch()).or_default().push(&said.topic);
        }
    }
    let taken = world.rig.diary.of("take");
    for number in 1..=EPOCHS {
        let set = ["ControlState.PowerSetpoint.a", "ControlState.PowerSetpoint.b"];
        prop_assert_eq!(&results[&number], &set, "one set of results");
        let mut triggers = ready[&number].triggers();
        triggers[1..].sort_unstable();
        let inputs: Vec<String> = (0..INPUTS).map(|input| format!("in-{number}-{input}")).collect();
        prop_assert_eq!(&triggers[1..], &inputs);
        for input in inputs {
            let times = taken.iter().filter(|line| line.starts_with(&format!("{input} "))).count();
            prop_assert_eq!(times, 1, "{} taken {} times", input, times);
        }
    }
    Ok(())
}
