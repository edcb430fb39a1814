//! A component core, its time, and everybody else on the bus.

use crate::probe::{Diary, Probe};
use bytes::Bytes;
use gridloop_clock::MonoTime;
use gridloop_component::{Action, Component, ComponentCore, Ended, Identity, Input};
use gridloop_messages::{
    Body, Decoded, Epoch, EpochFields, Header, Message, PowerSetpoint, SimState, SimulationId,
    SimulationState, Timestamp, decode, topic,
};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const NAME: &str = "probe";

pub(crate) fn utc() -> Timestamp {
    Timestamp::parse("2026-11-22T15:19:25.203Z").unwrap()
}

pub(crate) fn run_id() -> SimulationId {
    SimulationId::new(utc())
}

/// A message of the run from `source`; `epoch` is none for SimState.
pub(crate) fn message(source: &str, id: &str, epoch: Option<(u64, &[&str])>, body: Body) -> Message {
    let epoch = epoch.map(|(epoch_number, triggers)| EpochFields {
        epoch_number,
        triggering_message_ids: triggers.iter().map(|id| (*id).to_owned()).collect(),
        ..EpochFields::default()
    });
    let header = Header {
        simulation_id: run_id(),
        timestamp: utc(),
        source_process_id: source.into(),
        message_id: id.into(),
        epoch,
    };
    Message { header, body }
}

pub(crate) fn sim_state(id: &str, simulation_state: SimulationState) -> Message {
    message("Clock", id, None, Body::SimState(SimState { simulation_state, name: None, description: None }))
}

pub(crate) fn epoch(id: &str, number: u64, triggers: &[&str]) -> Message {
    let start_time = utc().plus(Duration::from_secs(number));
    let epoch = Epoch { start_time, end_time: start_time.plus(Duration::from_secs(1)), pacing: None };
    message("Clock", id, Some((number, triggers)), Body::Epoch(epoch))
}

/// An input that the probe counts.
pub(crate) fn input(source: &str, id: &str, epoch: u64, real_power_kw: f64) -> Message {
    let setpoint = PowerSetpoint { real_power_kw, reactive_power_kvar: 0.0 };
    message(source, id, Some((epoch, &["Clock-1"])), Body::PowerSetpoint(setpoint))
}

pub(crate) fn topic_of(message: &Message) -> &'static str {
    match message.body {
        Body::SimState(_) => topic::SIM_STATE,
        Body::Epoch(_) => topic::EPOCH,
        _ => "ControlState.PowerSetpoint.probe",
    }
}

/// What a component published, in short.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) topic: String,
    pub(crate) body: Bytes,
    pub(crate) message: Message,
}

impl Said {
    pub(crate) fn id(&self) -> &str {
        &self.message.header.message_id
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.message.header.epoch.as_ref().unwrap().epoch_number
    }

    pub(crate) fn triggers(&self) -> Vec<&str> {
        let fields = self.message.header.epoch.as_ref().unwrap();
        fields.triggering_message_ids.iter().map(String::as_str).collect()
    }

    pub(crate) fn description(&self) -> &str {
        match &self.message.body {
            Body::Status(status) => status.description.as_deref().unwrap_or_default(),
            _ => "",
        }
    }
}

pub(crate) struct Rig<C> {
    pub(crate) core: ComponentCore<C>,
    pub(crate) diary: Diary,
    pub(crate) now: MonoTime,
    pub(crate) ended: Option<Ended>,
}

impl Rig<Probe> {
    pub(crate) fn new(probe: Probe) -> Self {
        let diary = probe.diary.clone();
        Self::of(probe, diary)
    }
}

impl<C: Component> Rig<C> {
    pub(crate) fn of(component: C, diary: Diary) -> Self {
        let identity =
            Identity { name: NAME.into(), simulation_id: run_id(), manager: None, numbered_from: 0 };
        let core = ComponentCore::new(component, identity);
        Self { core, diary, now: MonoTime::from_nanos(0), ended: None }
    }

    /// The same, after SimState `running` and the Epochs up to `number`, all answered.
    pub(crate) fn in_epoch(mut self, number: u64) -> Self {
        self.running("Clock-1");
        for n in 1..=number {
            self.epoch(&format!("Clock-e{n}"), n);
        }
        self
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) -> Vec<Said> {
        let mut actions = Vec::new();
        self.core.handle(input, self.now, utc(), &mut actions);
        let mut said = Vec::new();
        for action in actions {
            match action {
                Action::Publish { topic, body } => {
                    let Decoded::Message(message) = decode(&body, utc()).unwrap() else {
                        panic!("unknown type")
                    };
                    said.push(Said { topic: topic.to_string(), body, message });
                }
                Action::End(reason) => assert_eq!(self.ended.replace(reason), None, "ended twice"),
            }
        }
        said
    }

    /// `message` arrives at the component.
    pub(crate) fn hear(&mut self, message: &Message) -> Vec<Said> {
        let body = message.encode().unwrap();
        let topic = topic_of(message).into();
        self.handle(Input::Message { topic: &topic, message: &Arc::new(message.clone()), body: &body })
    }

    pub(crate) fn running(&mut self, id: &str) -> Vec<Said> {
        self.hear(&sim_state(id, SimulationState::Running))
    }

    pub(crate) fn epoch(&mut self, id: &str, number: u64) -> Vec<Said> {
        self.hear(&epoch(id, number, &["someone-1"]))
    }

    pub(crate) fn input(&mut self, id: &str, epoch: u64) -> Vec<Said> {
        self.hear(&input("ctl", id, epoch, 1.0))
    }
}

/// `topic id`, one after the other.
pub(crate) fn summary(said: &[Said]) -> Vec<String> {
    said.iter().map(|said| format!("{} {}", said.topic, said.id())).collect()
}
