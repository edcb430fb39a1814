//! The two sides of the iteration, each alone. How they meet is for whole runs (`hil-tests/scenarios/iteration.rs`).

use super::*;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, OpenEpoch, Round, Step};
use gridloop_messages::{
    EpochFields, Header, IterationStatus, Message, ResourceState, SimulationId, Timestamp,
};
use std::num::NonZeroU32;

const NOW: MonoTime = MonoTime::from_nanos(0);

fn bus() -> Bus {
    Bus { grid: "valley".into(), name: "b1".into() }
}

fn rounds() -> NonZeroU32 {
    NonZeroU32::new(20).unwrap()
}

fn generator() -> DroopGenerator {
    let settings = DroopGeneratorSettings {
        bus: bus(),
        loads: vec!["mill".into()],
        customer_id: "plant".into(),
        no_load_voltage_kv: 0.24,
        droop_percent: 10.0,
        rated_power_kw: 20.0,
        tolerance_kv: 1e-6,
        rounds_max: rounds(),
    };
    DroopGenerator::new("hydro", settings)
}

fn load() -> VoltageDependentLoad {
    let settings = VoltageDependentLoadSettings {
        bus: bus(),
        customer_id: "mill".into(),
        consumption_kw: 10.0,
        growth_kw: 2.0,
        nominal_voltage_kv: 0.23,
        exponent: 2.0,
        rounds_max: rounds(),
    };
    VoltageDependentLoad::new("mill", settings)
}

fn epoch(number: u64) -> OpenEpoch {
    let start_time = Timestamp::parse("2026-11-22T15:19:25.203Z").unwrap();
    OpenEpoch { number, start_time, end_time: start_time, nominal_start: NOW, deadline: None, opened_at: NOW }
}

fn message(source: &str, triggers: &[&str], status: Option<IterationStatus>, body: Body) -> Message {
    let fields = EpochFields {
        epoch_number: 1,
        triggering_message_ids: triggers.iter().map(ToString::to_string).collect(),
        iteration_status: status,
        ..EpochFields::default()
    };
    let time = epoch(1).start_time;
    let header = Header {
        simulation_id: SimulationId::new(time),
        timestamp: time,
        source_process_id: source.into(),
        message_id: format!("{source}-1"),
        epoch: Some(fields),
    };
    Message { header, body }
}

fn answer(source: &str, triggers: &[&str], real_power_kw: f64) -> Message {
    let state = ResourceState {
        customer_id: source.into(),
        real_power_kw,
        reactive_power_kvar: 0.0,
        node: None,
        state_of_charge_percent: None,
    };
    message(source, triggers, Some(IterationStatus::Intermediate), Body::ResourceState(state))
}

fn voltage(kv: f64, status: Option<IterationStatus>) -> Message {
    message("hydro", &["Clock-2"], status, bus().voltage(kv).body)
}

/// The number that an output is about: kV or kW.
fn value(output: &Output) -> f64 {
    match &output.body {
        Body::NetworkState(NetworkState::Voltage(voltage)) => voltage.magnitude_kv,
        Body::ResourceState(state) => state.real_power_kw,
        other => panic!("{other:?}"),
    }
}

fn round(step: Step) -> Round {
    match step {
        Step::Round(round) => round,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_generator_begins_with_its_no_load_voltage_and_waits_for_the_loads() {
    let mut generator = generator();
    generator.open(&epoch(1)).unwrap();
    let first = round(generator.step(&epoch(1), NOW).unwrap());
    assert_eq!((first.outputs[0].topic.as_str(), first.change), ("NetworkState.valley.Voltage.b1", None));
    assert_eq!(value(&first.outputs[0]), 0.24);
    generator.round_published(&["hydro-2".into()]);
    assert_eq!(generator.step(&epoch(1), NOW).unwrap(), Step::Waiting);
}

#[test]
fn the_generator_sinks_with_the_power_that_the_loads_draw() {
    let mut generator = generator();
    generator.open(&epoch(1)).unwrap();
    generator.step(&epoch(1), NOW).unwrap();
    generator.round_published(&["hydro-2".into()]);
    generator.take("", &answer("mill", &["Clock-2", "hydro-2"], -10.0), NOW).unwrap();
    let second = round(generator.step(&epoch(1), NOW).unwrap());
    assert!((value(&second.outputs[0]) - 0.228).abs() < 1e-12);
    assert_eq!(second.change.unwrap().to_string(), "voltage by -0.012 kV");
}

#[test]
fn the_generator_is_done_when_its_voltage_no_longer_moves_and_gives_what_the_loads_draw() {
    let mut generator = generator();
    generator.open(&epoch(1)).unwrap();
    generator.step(&epoch(1), NOW).unwrap();
    for n in 2..=3 {
        let id = format!("hydro-{n}");
        generator.round_published(std::slice::from_ref(&id));
        generator.take("", &answer("mill", &[&id], -10.0), NOW).unwrap();
        match generator.step(&epoch(1), NOW).unwrap() {
            Step::Done(outputs) => {
                assert_eq!(outputs[1].topic, "ResourceState.Generator.hydro");
                assert_eq!((n, value(&outputs[1])), (3, 10.0));
                return;
            }
            other => assert_eq!(n, 2, "{other:?}"),
        }
    }
    panic!("it does not end");
}

#[test]
fn the_generator_leaves_answers_to_earlier_rounds_and_of_strangers_aside() {
    let mut generator = generator();
    generator.open(&epoch(1)).unwrap();
    generator.step(&epoch(1), NOW).unwrap();
    generator.round_published(&["hydro-3".into()]);
    for stray in [answer("mill", &["hydro-2"], -1.0), answer("mallory", &["hydro-3"], -1.0)] {
        generator.take("", &stray, NOW).unwrap();
        assert_eq!(generator.step(&epoch(1), NOW).unwrap(), Step::Waiting);
    }
}

#[test]
fn the_load_draws_what_its_exponent_makes_of_the_voltage_and_grows_with_the_epochs() {
    let load = load();
    assert!((load.power_kw(1, 0.23) - 10.0).abs() < 1e-12);
    assert!((load.power_kw(1, 0.115) - 2.5).abs() < 1e-12);
    assert!((load.power_kw(3, 0.23) - 14.0).abs() < 1e-12);
    assert_eq!(load.power_kw(3, 0.0), 0.0);
}

#[test]
fn the_load_copies_the_status_of_the_voltage_that_it_answers() {
    let mut load = load();
    load.open(&epoch(1)).unwrap();
    assert_eq!(load.step(&epoch(1), NOW).unwrap(), Step::Waiting);
    load.take("", &voltage(0.23, Some(IterationStatus::Intermediate)), NOW).unwrap();
    let first = round(load.step(&epoch(1), NOW).unwrap());
    assert_eq!((first.outputs[0].topic.as_str(), first.change), ("ResourceState.Load.mill", None));
    assert!((value(&first.outputs[0]) + 10.0).abs() < 1e-12, "consumption is negative on the bus");
    load.take("", &voltage(0.22, Some(IterationStatus::Final)), NOW).unwrap();
    assert!(matches!(load.step(&epoch(1), NOW).unwrap(), Step::Done(outputs) if outputs.len() == 1));
}

#[test]
fn the_load_does_not_answer_one_voltage_twice() {
    let mut load = load();
    load.open(&epoch(1)).unwrap();
    load.take("", &voltage(0.23, Some(IterationStatus::Intermediate)), NOW).unwrap();
    round(load.step(&epoch(1), NOW).unwrap());
    assert_eq!(load.step(&epoch(1), NOW).unwrap(), Step::Waiting);
}

#[test]
fn a_voltage_below_zero_is_a_fault_that_names_its_topic() {
    let mut load = load();
    let topic = "NetworkState.valley.Voltage.b1";
    let fault = load.take(topic, &voltage(-0.1, None), NOW).unwrap_err();
    assert_eq!(
        fault.description(),
        "NetworkState.valley.Voltage.b1: expected a Magnitude of 0 kV or more, found -0.1"
    );
}
