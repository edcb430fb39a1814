//! [`SimpleComponent`]s in conversation.

use crate::world::{Said, World, start};
use gridloop_clock::MonoTime;
use gridloop_component::Component;
use gridloop_dummies::{SIMPLE_TOPIC, SimpleComponent, SimpleError, SimpleSettings};
use gridloop_messages::{Body, EpochFields, Header, Message, ResourceState, Simple, SimulationId};
use std::time::Duration;

fn settings(value: f64, inputs: &[&str], output_delay: Duration) -> SimpleSettings {
    let inputs = inputs.iter().map(|input| (*input).to_owned()).collect();
    SimpleSettings { value, inputs, output_delay, topic: SIMPLE_TOPIC.into() }
}

fn component<'a>(name: &'a str, value: f64, inputs: &[&str], delay_s: f64) -> (&'a str, Box<dyn Component>) {
    let settings = settings(value, inputs, Duration::from_secs_f64(delay_s));
    (name, Box::new(SimpleComponent::new(name, settings).unwrap()))
}

fn value_of(said: &[Said], name: &str) -> Option<f64> {
    said.iter().filter(|said| said.by() == name).find_map(|said| match &said.message.body {
        Body::Simple(Simple { simple_value }) => Some(*simple_value),
        _ => None,
    })
}

/// A message of `source` for an epoch, from outside.
fn message(source: &str, number: u64, epoch: u64, body: Body) -> Message {
    let fields = EpochFields {
        epoch_number: epoch,
        triggering_message_ids: vec!["Clock-1".into()],
        ..EpochFields::default()
    };
    let header = Header {
        simulation_id: SimulationId::new(start()),
        timestamp: start(),
        source_process_id: source.into(),
        message_id: format!("{source}-{number}"),
        epoch: Some(fields),
    };
    Message { header, body }
}

#[test]
fn a_component_adds_the_values_of_its_inputs_and_one_without_inputs_a_thousandth_of_the_epoch() {
    let mut world = World::new(vec![
        component("C3", 7.0, &["C1", "C2"], 0.0),
        component("C2", 2.0, &[], 0.0),
        component("C1", 1.0, &[], 0.0),
    ]);
    let said = world.epoch(1);
    assert_eq!(value_of(&said, "C1"), Some(1.001));
    assert_eq!(value_of(&said, "C2"), Some(2.001));
    assert_eq!(value_of(&said, "C3"), Some(10.002));
    let own = said.iter().find(|said| said.topic == "SimpleTopic.C3").unwrap();
    let mut triggers = own.fields().triggering_message_ids.clone();
    triggers[1..].sort();
    assert_eq!(triggers, ["Clock-2", "C1-2", "C2-2"]);
    assert_eq!(said.iter().filter(|said| said.is_ready()).count(), 3);
    let said = world.epoch(2);
    assert_eq!(value_of(&said, "C3"), Some(10.004), "sums are of one epoch only");
}

#[test]
fn a_chain_of_components_ends_in_order_and_each_delay_counts_from_the_last_input() {
    let mut world = World::new(vec![
        component("last", 0.0, &["middle"], 4.0),
        component("middle", 0.5, &["first"], 2.0),
        component("first", 0.25, &[], 1.0),
    ]);
    let said = world.epoch(10);
    let order: Vec<_> = said.iter().filter(|said| said.is_ready()).map(Said::by).collect();
    assert_eq!(order, ["first", "middle", "last"]);
    let times: Vec<_> = said.iter().filter(|said| said.is_ready()).map(|said| said.at).collect();
    let after = |seconds| MonoTime::default() + Duration::from_secs(seconds);
    assert_eq!(times, [after(1), after(3), after(7)]);
    assert_eq!(value_of(&said, "last"), Some(0.76));
}

#[test]
fn a_component_waits_for_the_input_of_this_very_epoch() {
    let mut world = World::new(vec![component("sum", 1.0, &["far"], 0.0)]);
    let simple = |simple_value| Body::Simple(Simple { simple_value });
    assert_eq!(world.epoch(5), []);
    assert_eq!(world.publish("SimpleTopic.far", &message("far", 1, 4, simple(40.0))), []);
    assert_eq!(world.publish("SimpleTopic.far", &message("far", 2, 6, simple(60.0))), []);
    let said = world.publish("SimpleTopic.far", &message("far", 3, 5, simple(50.0)));
    assert_eq!(value_of(&said, "sum"), Some(51.0));
    assert_eq!(value_of(&world.epoch(6), "sum"), Some(61.0), "what came early is kept");
}

#[test]
fn what_is_no_number_of_an_input_is_left_aside_with_a_warning() {
    let mut world = World::new(vec![component("sum", 1.0, &["far"], 0.0)]);
    world.epoch(1);
    let state = ResourceState {
        customer_id: "c".into(),
        real_power_kw: 1.0,
        reactive_power_kvar: 0.0,
        node: None,
        state_of_charge_percent: None,
    };
    let wrong = message("far", 1, 1, Body::ResourceState(state));
    assert_eq!(world.publish("SimpleTopic.far", &wrong), []);
    let stranger = message("stranger", 1, 1, Body::Simple(Simple { simple_value: 9.0 }));
    assert_eq!(world.publish("SimpleTopic.far", &stranger), []);
    let right = message("far", 2, 1, Body::Simple(Simple { simple_value: 2.0 }));
    let said = world.publish("SimpleTopic.far", &right);
    assert_eq!(value_of(&said, "sum"), Some(3.0));
    let warnings: Vec<_> = said[0].fields().warnings.iter().map(|warning| warning.as_str()).collect();
    assert_eq!(warnings, ["warning.input: ResourceState of far on SimpleTopic.far is no input"]);
    assert!(said[1].fields().warnings.is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let told = |value, inputs: &[&str]| {
        SimpleComponent::new("C1", settings(value, inputs, Duration::ZERO)).unwrap_err()
    };
    assert_eq!(told(1.0, &["C2", "C1"]), SimpleError::OwnInput { name: "C1".into() });
    assert_eq!(told(1.0, &["C2", "C3", "C2"]), SimpleError::InputTwice { name: "C2".into() });
    assert_eq!(told(f64::INFINITY, &[]).to_string(), "the value must be a finite number, not inf");
}
