//! Iteration within an epoch (wire contract 3.6) in whole runs: an island whose generator and loads look for their
//! operating point together. Whatever the order on the bus, whatever comes twice or is asked for again, they find the
//! one that the equations have; where there is none to be found, the run says so and stops.

use gridloop_bus::{Event, Subscribe, WhenFull};
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_component::{Component, Fault, Identity, OpenEpoch, Poke, Step, join};
use gridloop_dummies::iteration::{Bus, VoltageDependentLoad, VoltageDependentLoadSettings};
use gridloop_hil_tests::world::{Heard, Run, World, simulated};
use gridloop_messages::{Body, IterationStatus, Message, NetworkState, StatusValue, topic};
use gridloop_platform_manager::Configuration;
use gridloop_realtime_manager::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EPOCHS: u64 = 12;
const VOLTAGE: &str = "NetworkState.island.Voltage.bus";
const TOLERANCE_KV: f64 = 1e-6;

fn example(overrides: &[&str]) -> Configuration {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples/iteration.toml");
    Configuration::load(&path, &overrides).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn run(seed: u64, overrides: &[&str]) -> Run {
    let configuration = example(overrides);
    simulated(|clock| async move { World::new(&clock, seed).run(configuration).await }).expect("a run")
}

fn status_of(heard: &Heard) -> Option<IterationStatus> {
    heard
        .message
        .as_ref()
        .and_then(|message| message.header.epoch.as_ref())
        .and_then(|it| it.iteration_status)
}

fn is_result(heard: &Heard) -> bool {
    matches!(heard.body(), Body::ResourceState(_) | Body::NetworkState(_))
}

fn magnitude_kv(heard: &Heard) -> f64 {
    match heard.body() {
        Body::NetworkState(NetworkState::Voltage(voltage)) => voltage.magnitude_kv,
        other => panic!("{other:?}"),
    }
}

/// The final results of an epoch: the voltage, and the power of the generator and of each load.
fn operating_point(run: &Run, epoch: u64, loads: &[&str]) -> (f64, f64, Vec<f64>) {
    let voltage = magnitude_kv(run.one(VOLTAGE, epoch));
    let generator = run.one("ResourceState.Generator.hydro", epoch).real_power_kw();
    let load = |name: &&str| run.one(&topic::resource_state("Load", name), epoch).real_power_kw();
    (voltage, generator, loads.iter().map(load).collect())
}

/// Where the equations of the example meet, found by halving an interval instead of by iterating.
fn solution_kv(epoch: u64) -> f64 {
    let grown = 8.0 + 0.5 * f64::from(u32::try_from(epoch).expect("a small number") - 1);
    let power_kw = |kv: f64| grown * (kv / 0.23_f64).powi(2) + 2.0 * (kv / 0.23_f64).powf(1.5);
    let excess = |kv: f64| kv - 0.24 * (1.0 - 0.1 * power_kw(kv) / 20.0);
    let (mut low, mut high) = (0.0, 0.24);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if excess(middle) > 0.0 { high = middle } else { low = middle }
    }
    low
}

#[test]
fn the_components_meet_where_their_equations_do_whatever_the_order_on_the_bus() {
    for seed in 0..20 {
        let run = run(seed, &[]);
        assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
        for epoch in 1..=EPOCHS {
            let (voltage, generator, loads) = operating_point(&run, epoch, &["mill", "lamps"]);
            assert!(
                (voltage - solution_kv(epoch)).abs() < 2.0 * TOLERANCE_KV,
                "seed {seed}, epoch {epoch}: {voltage}"
            );
            let drawn: f64 = -loads.iter().sum::<f64>();
            assert!((generator - drawn).abs() < 1e-3, "what is drawn is given: {generator} against {drawn}");
        }
    }
}

#[test]
fn intermediate_results_are_on_the_iter_topics_alone_and_final_ones_on_the_plain_topics() {
    let run = run(3, &[]);
    let mut rounds = 0;
    for heard in run.messages.iter().filter(|heard| heard.message.is_some()) {
        let expected = match (is_result(heard), heard.topic.ends_with(".Iter")) {
            (true, true) => Some(IterationStatus::Intermediate),
            (true, false) => Some(IterationStatus::Final),
            (false, _) => None,
        };
        assert_eq!(status_of(heard), expected, "{}", heard.topic);
        rounds += usize::from(expected == Some(IterationStatus::Intermediate));
    }
    assert!(
        rounds > 3 * usize::try_from(EPOCHS).expect("a small number"),
        "it takes several rounds: {rounds}"
    );
}

#[test]
fn every_round_is_answered_by_every_load_and_each_ends_with_its_final_result_before_ready() {
    let run = run(5, &[]);
    for epoch in 1..=EPOCHS {
        let asked: Vec<&Heard> =
            run.on(&format!("{VOLTAGE}.Iter")).filter(|heard| heard.epoch() == Some(epoch)).collect();
        for load in ["mill", "lamps"] {
            let of_load = |heard: &&Heard| heard.source() == load && heard.epoch() == Some(epoch);
            let said: Vec<&Heard> = run.messages.iter().filter(of_load).collect();
            let (answers, end) = said.split_at(asked.len());
            for (question, answer) in asked.iter().zip(answers) {
                assert_eq!(answer.triggers().last().map(String::as_str), Some(question.id()));
            }
            let ends: Vec<_> = end.iter().map(|heard| (status_of(heard), is_result(heard))).collect();
            assert_eq!(
                ends,
                [(Some(IterationStatus::Final), true), (None, false)],
                "{load} in epoch {epoch}"
            );
        }
    }
}

#[test]
fn an_iteration_that_leads_nowhere_stops_the_run_with_who_when_how_long_and_how_far() {
    for seed in 0..5 {
        let run = run(seed, &["component.hydro.droop_percent=100", "component.mill.consumption_kw=20"]);
        let manager = &run.report.manager;
        assert_eq!((manager.outcome, manager.epochs.completed), (Outcome::Failed, 0));
        let expected = "error in epoch 1: hydro: hydro did not converge in epoch 1 within 50 rounds; the last change \
                        was of the voltage by ";
        assert!(manager.reason.starts_with(expected), "{}", manager.reason);
        assert!(manager.reason.ends_with(" kV"), "{}", manager.reason);
        let failed =
            |heard: &&Heard| matches!(heard.body(), Body::Status(it) if it.value == StatusValue::Error);
        let error = run.messages.iter().find(failed).expect("an error");
        assert_eq!((error.source(), &*error.topic), ("hydro", topic::STATUS_ERROR));
        assert_eq!(&*run.messages.last().expect("messages").topic, topic::SIM_STATE);
        assert_eq!(run.on(VOLTAGE).count(), 0, "nothing is called final");
    }
}

#[test]
fn the_bound_of_rounds_is_a_setting() {
    let run = run(0, &["component.hydro.rounds_max=2"]);
    assert!(run.report.manager.reason.contains("within 2 rounds"), "{}", run.report.manager.reason);
}

#[test]
fn intermediate_results_that_come_twice_change_nothing() {
    for seed in 0..10 {
        let (plain, doubled) = (run(seed, &[]), run_with_doubles(seed));
        let heard = |run: &Run| run.messages.iter().filter(|heard| heard.topic.ends_with(".Iter")).count();
        assert!(heard(&doubled) >= 2 * heard(&plain), "everything did come twice");
        for epoch in 1..=EPOCHS {
            let loads = ["mill", "lamps"];
            assert_eq!(operating_point(&doubled, epoch, &loads), operating_point(&plain, epoch, &loads));
        }
        assert_eq!(different(&doubled), different(&plain));
    }
}

/// How many results there are, not counting repetitions; no id stands for two of them.
fn different(run: &Run) -> usize {
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for heard in run.messages.iter().filter(|heard| heard.message.is_some() && is_result(heard)) {
        let before = bodies.insert(heard.id(), &heard.bytes);
        assert!(before.is_none_or(|before| before == heard.bytes), "{} stands for two results", heard.id());
    }
    bodies.len()
}

/// A run on a bus that delivers every intermediate result a second time, some messages later.
fn run_with_doubles(seed: u64) -> Run {
    let configuration = example(&[]);
    simulated(|clock| async move {
        let world = World::new(&clock, seed);
        let bus = world.bus.session();
        let patterns = vec!["NetworkState.#".into(), "ResourceState.#".into()];
        let subscribe = Subscribe { name: "echo".into(), patterns, capacity: 64, when_full: WhenFull::Wait };
        let mut heard = bus.subscribe(subscribe).await?;
        tokio::spawn(async move {
            let mut repeated = BTreeSet::new();
            while let Some(event) = heard.recv().await {
                let Event::Message(delivery) = event else { continue };
                if delivery.topic.ends_with(".Iter") && repeated.insert(delivery.body.clone()) {
                    let _ = bus.publish(&delivery.topic, delivery.body).await;
                }
            }
        });
        world.run(configuration).await
    })
    .expect("a run")
}

/// A load that thinks for a while about every voltage of epoch 2.
struct Slow {
    load: VoltageDependentLoad,
    unanswered: bool,
    due: Option<MonoTime>,
}

const THINKS_FOR: Duration = Duration::from_millis(2500);

impl Component for Slow {
    fn inputs(&self) -> Vec<String> {
        self.load.inputs()
    }

    fn rounds_max(&self) -> Option<NonZeroU32> {
        self.load.rounds_max()
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        (self.unanswered, self.due) = (false, None);
        self.load.open(epoch)
    }

    fn take(&mut self, topic: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault> {
        (self.unanswered, self.due) = (true, None);
        self.load.take(topic, message, arrived_at)
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        if self.unanswered && epoch.number == 2 {
            let due = *self.due.get_or_insert(now + THINKS_FOR);
            if now < due {
                return Ok(Step::WakeAt(due));
            }
        }
        self.unanswered = false;
        self.load.step(epoch, now)
    }
}

/// A run whose second load is slower than the manager's patience in epoch 2.
fn run_with_a_slow_load(seed: u64) -> Run {
    let overrides = [
        "component.hydro.loads=[\"mill\", \"slow\"]",
        "manager.external_components=[\"slow\"]",
        "manager.start_delay_s=0",
        "manager.resend_interval_s=1",
        "simulation.epochs=3",
    ];
    let configuration = example(&overrides);
    simulated(|clock| async move {
        let world = World::new(&clock, seed);
        let settings = VoltageDependentLoadSettings {
            bus: Bus { grid: "island".into(), name: "bus".into() },
            customer_id: "slow".into(),
            consumption_kw: 2.0,
            growth_kw: 0.0,
            nominal_voltage_kv: 0.23,
            exponent: 1.5,
            rounds_max: NonZeroU32::new(50).expect("not 0"),
        };
        let load = VoltageDependentLoad::new("slow", settings);
        let slow = Slow { load, unanswered: false, due: None };
        let identity = Identity {
            name: "slow".into(),
            simulation_id: world.id.clone(),
            manager: None,
            numbered_from: 0,
        };
        let shared: SharedClock = world.shared_clock();
        let joined = join(slow, identity, world.bus.session(), shared).await?;
        tokio::spawn(joined.run(Poke::new(), CancellationToken::new()));
        world.run(configuration).await
    })
    .expect("a run")
}

#[test]
fn an_epoch_sent_again_in_the_middle_of_a_round_loses_nothing_and_repeats_that_round_word_for_word() {
    for seed in 0..10 {
        let run = run_with_a_slow_load(seed);
        let manager = &run.report.manager;
        assert_eq!(manager.outcome, Outcome::Completed, "{}", manager.reason);
        assert!(manager.resends >= 1, "the manager did lose its patience");
        for epoch in 1..=3 {
            let (voltage, ..) = operating_point(&run, epoch, &["mill", "slow"]);
            assert!((voltage - solution_kv(epoch)).abs() < 2.0 * TOLERANCE_KV, "seed {seed}, epoch {epoch}");
        }
        let heard: Vec<&Heard> =
            run.on(&format!("{VOLTAGE}.Iter")).filter(|heard| heard.epoch() == Some(2)).collect();
        let ids: BTreeSet<&str> = heard.iter().map(|heard| heard.id()).collect();
        assert!(ids.len() < heard.len(), "a round was repeated");
        different(&run);
    }
}

#[test]
fn a_component_that_does_not_iterate_takes_part_beside_those_that_do() {
    let run = run(1, &["component.extra.kind=\"simple\"", "component.extra.value=1.5"]);
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    let said: Vec<&Heard> = run.messages.iter().filter(|heard| heard.source() == "extra").collect();
    assert!(said.len() > usize::try_from(EPOCHS).expect("a small number"));
    assert!(said.iter().all(|heard| !String::from_utf8_lossy(&heard.bytes).contains("IterationStatus")));
}
