//! A [`World`]: some components, a manager that asks for one epoch after another, and everything that was said.

use bytes::Bytes;
use gridloop_bus::matches;
use gridloop_clock::MonoTime;
use gridloop_component::{Action, Component, ComponentCore, Identity, Input};
use gridloop_messages::{
    Body, Decoded, Epoch, EpochFields, Header, Message, SimState, SimulationId, SimulationState, StatusValue,
    Timestamp, decode, topic,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Simulated length of an epoch: seven points lie 10 s apart.
pub(crate) const EPOCH: Duration = Duration::from_secs(60);
const MANAGER: &str = "Clock";

pub(crate) fn start() -> Timestamp {
    Timestamp::parse("2026-11-22T15:19:25.203Z").unwrap()
}

/// A message, where it went and when.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) topic: String,
    pub(crate) message: Message,
    pub(crate) at: MonoTime,
}

impl Said {
    pub(crate) fn by(&self) -> &str {
        &self.message.header.source_process_id
    }

    pub(crate) fn fields(&self) -> &EpochFields {
        self.message.header.epoch.as_ref().unwrap()
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(&self.message.body, Body::Status(status) if status.value == StatusValue::Ready)
    }

    pub(crate) fn description(&self) -> Option<&str> {
        match &self.message.body {
            Body::Status(status) => status.description.as_deref(),
            _ => None,
        }
    }
}

pub(crate) struct World {
    /// By name.
    cores: Vec<(String, ComponentCore<Box<dyn Component>>)>,
    pub(crate) now: MonoTime,
    /// By the components; what the test says itself is not among it.
    pub(crate) said: Vec<Said>,
    under_way: VecDeque<(String, Bytes)>,
    asked: u64,
}

impl World {
    pub(crate) fn new(components: Vec<(&str, Box<dyn Component>)>) -> Self {
        let core = |(name, component): (&str, Box<dyn Component>)| {
            let (name, simulation_id) = (name.to_owned(), SimulationId::new(start()));
            let identity = Identity { name: name.clone(), simulation_id, manager: None, numbered_from: 0 };
            (name, ComponentCore::new(component, identity))
        };
        let cores = components.into_iter().map(core).collect();
        let mut world =
            Self { cores, now: MonoTime::default(), said: Vec::new(), under_way: VecDeque::new(), asked: 0 };
        let running = SimState { simulation_state: SimulationState::Running, name: None, description: None };
        world.ask(topic::SIM_STATE, None, Body::SimState(running));
        world
    }

    /// The manager asks for an epoch, perhaps again; what is said until nobody waits for anything but the manager.
    pub(crate) fn epoch(&mut self, number: u64) -> Vec<Said> {
        let start_time = start().plus(EPOCH * u32::try_from(number).unwrap());
        let fields = EpochFields {
            epoch_number: number,
            triggering_message_ids: vec!["everybody-1".into()],
            ..EpochFields::default()
        };
        let epoch = Epoch { start_time, end_time: start_time.plus(EPOCH), pacing: None };
        self.ask(topic::EPOCH, Some(fields), Body::Epoch(epoch))
    }

    fn ask(&mut self, topic: &str, epoch: Option<EpochFields>, body: Body) -> Vec<Said> {
        self.asked += 1;
        let header = Header {
            simulation_id: SimulationId::new(start()),
            timestamp: start(),
            source_process_id: MANAGER.into(),
            message_id: format!("{MANAGER}-{}", self.asked),
            epoch,
        };
        self.publish(topic, &Message { header, body })
    }

    /// Somebody publishes a message; what is said because of it.
    pub(crate) fn publish(&mut self, topic: &str, message: &Message) -> Vec<Said> {
        let before = self.said.len();
        self.under_way.push_back((topic.to_owned(), message.encode().unwrap().into()));
        self.settle();
        self.said[before..].to_vec()
    }

    /// Delivers what is under way and moves time to the wake-ups asked for, until there is neither.
    fn settle(&mut self) {
        loop {
            while let Some((topic, body)) = self.under_way.pop_front() {
                self.deliver(&topic.into(), &body);
            }
            let Some(next) = self.cores.iter().filter_map(|(_, core)| core.wake_at()).min() else { return };
            self.now = self.now.max(next);
            for n in 0..self.cores.len() {
                if self.cores[n].1.wake_at().is_some_and(|instant| instant <= self.now) {
                    self.handle(n, Input::WakeUp);
                }
            }
        }
    }

    fn deliver(&mut self, topic: &Arc<str>, body: &Bytes) {
        let Decoded::Message(message) = decode(body, start()).unwrap() else { panic!("an unknown type") };
        if self.cores.iter().any(|(name, _)| *name == message.header.source_process_id) {
            let (topic, message) = (topic.to_string(), message.clone());
            self.said.push(Said { topic, message, at: self.now });
        }
        let message = Arc::new(message);
        for n in 0..self.cores.len() {
            if self.cores[n].1.patterns().iter().any(|pattern| matches(pattern, topic)) {
                self.handle(n, Input::Message { topic, message: &message, body });
            }
        }
    }

    fn handle(&mut self, n: usize, input: Input<'_>) {
        let mut actions = Vec::new();
        self.cores[n].1.handle(input, self.now, start(), &mut actions);
        for action in actions {
            if let Action::Publish { topic, body } = action {
                self.under_way.push_back((topic.to_string(), body));
            }
        }
    }
}
