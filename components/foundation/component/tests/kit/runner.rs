//! The loop on a bus in memory, with a manager of a few lines.

use crate::probe::{Diary, Probe};
use crate::rig::{NAME, epoch, input, run_id, sim_state, topic_of, utc};
use bytes::Bytes;
use gridloop_bus::{Bus, Event, Subscribe, Subscription, WhenFull};
use gridloop_clock::{MonoTime, SharedClock, WallClock, until};
use gridloop_component::{
    Component, Ended, Fault, Identity, OpenEpoch, Output, Poke, RunError, Step, join, run,
};
use gridloop_messages::{Body, Decoded, Message, PowerSetpoint, SimulationState, StatusValue, decode, topic};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BOUND: Duration = Duration::from_secs(20);

/// Everybody but the component.
struct World {
    clock: SharedClock,
    bus: Bus,
    heard: Subscription,
    cancel: CancellationToken,
    poke: Poke,
}

impl World {
    async fn new() -> Self {
        let bus = Bus::memory(None);
        let subscribe = Subscribe {
            name: "world".into(),
            patterns: vec!["Status.#".into(), "ControlState.#".into()],
            capacity: 10_000,
            when_full: WhenFull::Wait,
        };
        let heard = bus.subscribe(subscribe).await.unwrap();
        let clock = Arc::new(WallClock::start().unwrap());
        Self { clock, bus, heard, cancel: CancellationToken::new(), poke: Poke::new() }
    }

    /// Lets a component of this name join and run.
    async fn join<C: Component + 'static>(
        &self,
        name: &str,
        component: C,
    ) -> JoinHandle<Result<Ended, RunError>> {
        let identity =
            Identity { name: name.into(), simulation_id: run_id(), manager: None, numbered_from: 0 };
        let joined = join(component, identity, self.bus.session(), Arc::clone(&self.clock)).await.unwrap();
        tokio::spawn(joined.run(self.poke.clone(), self.cancel.clone()))
    }

    async fn say(&self, message: &Message) {
        self.bus.publish(topic_of(message), message.encode().unwrap().into()).await.unwrap();
    }

    async fn bounded<F: Future>(&self, work: F) -> F::Output {
        until(&*self.clock, self.clock.now() + BOUND, work).await.expect("it takes too long")
    }

    /// The next message that is not the world's own.
    async fn next(&mut self) -> Message {
        let deadline = self.clock.now() + BOUND;
        loop {
            let event = until(&*self.clock, deadline, self.heard.recv()).await.expect("nothing is heard");
            let Some(Event::Message(delivery)) = event else { panic!("{event:?}") };
            match decode(&delivery.body, utc()) {
                Ok(Decoded::Message(message)) if message.header.source_process_id != "ctl" => return message,
                _ => {}
            }
        }
    }

    /// Skips results until `expected` components are ready for `epoch`.
    async fn all_ready(&mut self, expected: usize, epoch: u64) {
        let mut ready = BTreeSet::new();
        while ready.len() < expected {
            let message = self.next().await;
            let number = message.header.epoch.as_ref().unwrap().epoch_number;
            if let Body::Status(status) = &message.body {
                assert_eq!((status.value, number), (StatusValue::Ready, epoch));
                assert!(ready.insert(message.header.source_process_id));
            }
        }
    }

    async fn written(&self, diary: &Diary, word: &str, times: usize) {
        self.bounded(async {
            while diary.of(word).len() < times {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_component_takes_part_in_a_run_from_running_to_stopped() {
    let mut world = World::new().await;
    let probe = Probe::needing(1);
    let diary = probe.diary.clone();
    let task = world.join(NAME, probe).await;
    world.say(&sim_state("Clock-1", SimulationState::Running)).await;
    world.all_ready(1, 0).await;
    for number in 1..=3 {
        world.say(&input("ctl", &format!("ctl-{number}"), number, 1.0)).await;
        world.say(&epoch(&format!("Clock-e{number}"), number, &["x-1"])).await;
        for resource in ["a", "b"] {
            let result = world.next().await;
            assert!(matches!(result.body, Body::PowerSetpoint(_)), "{resource}: {result:?}");
        }
        world.all_ready(1, number).await;
    }
    world.say(&sim_state("Clock-9", SimulationState::Stopped)).await;
    assert_eq!(world.bounded(task).await.unwrap().unwrap(), Ended::Stopped);
    assert_eq!(diary.of("take").len(), 3);
    assert_eq!(diary.of("stopped").len(), 1);
}

#[tokio::test]
async fn garbage_and_unknown_types_do_not_disturb_a_component() {
    let mut world = World::new().await;
    let task = world.join(NAME, Probe::default()).await;
    world.say(&sim_state("Clock-1", SimulationState::Running)).await;
    world.all_ready(1, 0).await;
    let weather = format!(r#"{{"Type":"Weather","SimulationId":"{}"}}"#, run_id());
    for body in [b"\xff\xfe".to_vec(), b"[1]".to_vec(), Vec::new(), weather.into_bytes()] {
        world.bus.publish("ControlState.garbage", Bytes::from(body)).await.unwrap();
    }
    world.say(&epoch("Clock-2", 1, &["probe-1"])).await;
    world.all_ready(1, 1).await;
    world.cancel.cancel();
    assert_eq!(world.bounded(task).await.unwrap().unwrap(), Ended::Cancelled);
}

#[tokio::test]
async fn a_poke_from_another_task_leads_to_a_step() {
    let world = World::new().await;
    let probe = Probe::needing(1);
    let diary = probe.diary.clone();
    let _task = world.join(NAME, probe).await;
    world.say(&epoch("Clock-1", 1, &["x-1"])).await;
    world.written(&diary, "step", 1).await;
    world.poke.poke();
    world.written(&diary, "step", 2).await;
}

#[tokio::test]
async fn a_component_is_woken_when_it_asked_to_be() {
    let mut world = World::new().await;
    let instant = world.clock.now() + Duration::from_millis(30);
    let task = world.join(NAME, Probe { wake_at: Some(instant), ..Probe::default() }).await;
    world.say(&epoch("Clock-1", 1, &["x-1"])).await;
    world.all_ready(1, 1).await;
    assert!(world.clock.now() >= instant);
    world.cancel.cancel();
    assert_eq!(world.bounded(task).await.unwrap().unwrap(), Ended::Cancelled);
}

#[tokio::test]
async fn cancelling_stops_the_component_in_the_middle_of_an_epoch() {
    let world = World::new().await;
    let probe = Probe::needing(1);
    let diary = probe.diary.clone();
    let task = world.join(NAME, probe).await;
    world.say(&epoch("Clock-1", 1, &["x-1"])).await;
    world.written(&diary, "step", 1).await;
    world.cancel.cancel();
    assert_eq!(world.bounded(task).await.unwrap().unwrap(), Ended::Cancelled);
    assert_eq!(diary.of("stopped").len(), 1);
}

#[tokio::test]
async fn a_component_that_is_cancelled_before_it_runs_is_stopped_too() {
    let world = World::new().await;
    let probe = Probe::default();
    let diary = probe.diary.clone();
    world.cancel.cancel();
    let identity = Identity { name: NAME.into(), simulation_id: run_id(), manager: None, numbered_from: 0 };
    let (bus, clock) = (world.bus.session(), Arc::clone(&world.clock));
    let ended = world.bounded(run(probe, identity, bus, clock, Poke::new(), world.cancel.clone())).await;
    assert_eq!(ended.unwrap(), Ended::Cancelled);
    assert_eq!(diary.lines(), ["stopped"]);
}

#[tokio::test]
async fn a_closed_bus_stops_the_component_with_an_error() {
    let world = World::new().await;
    let probe = Probe::default();
    let diary = probe.diary.clone();
    let identity = Identity { name: NAME.into(), simulation_id: run_id(), manager: None, numbered_from: 0 };
    let session = world.bus.session();
    let joined = join(probe, identity, session.clone(), Arc::clone(&world.clock)).await.unwrap();
    session.close().await;
    let ended = world.bounded(joined.run(Poke::new(), world.cancel.clone())).await;
    assert!(matches!(ended, Err(RunError::BusClosed { name }) if name == NAME));
    assert_eq!(diary.lines(), ["stopped"]);
    let identity = Identity { name: NAME.into(), simulation_id: run_id(), manager: None, numbered_from: 0 };
    let refused = join(Probe::default(), identity, session, Arc::clone(&world.clock)).await;
    assert!(matches!(refused.err(), Some(RunError::Subscribe { .. })));
}

/// One result in every epoch, from nothing.
struct Beat;

impl Component for Beat {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, topic: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Err(format!("nothing is wanted on {topic}").into())
    }

    fn step(&mut self, _: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        let setpoint = PowerSetpoint { real_power_kw: 1.0, reactive_power_kvar: 0.0 };
        Ok(Step::Done(vec![Output::new(topic::power_setpoint("a"), Body::PowerSetpoint(setpoint))]))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_components_keep_step_in_one_process() {
    let mut world = World::new().await;
    let mut tasks = Vec::new();
    for n in 0..50 {
        tasks.push(world.join(&format!("probe{n}"), Beat).await);
    }
    world.say(&sim_state("Clock-1", SimulationState::Running)).await;
    world.all_ready(50, 0).await;
    for number in 1..=50 {
        world.say(&epoch(&format!("Clock-e{number}"), number, &["x-1"])).await;
        world.all_ready(50, number).await;
    }
    world.say(&sim_state("Clock-9", SimulationState::Stopped)).await;
    for task in tasks {
        assert_eq!(world.bounded(task).await.unwrap().unwrap(), Ended::Stopped);
    }
}
