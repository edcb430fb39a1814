//! Every run ends, by word: whatever its components, its operator or its bus do, the manager comes to a verdict, and the
//! last thing that everybody hears of it is SimState `stopped`.

use gridloop_bus::{Bus, Subscribe, WhenFull};
use gridloop_clock::{MonoTime, sleep};
use gridloop_component::{Component, Fault, Identity, OpenEpoch, Output, Poke, Step, join};
use gridloop_hil_tests::world::{Author, World, simulated};
use gridloop_messages::{
    Body, Decoded, Message, PowerSetpoint, SimulationState, Status, Timestamp, decode, topic,
};
use gridloop_platform_manager::{Configuration, Session};
use gridloop_realtime_manager::{Outcome, Pace, Report};
use proptest::prelude::*;
use proptest::sample::select;
use std::time::Duration;

const EPOCHS: u64 = 5;
const NAMES: [&str; 3] = ["a", "b", "c"];

const CONFIGURATION: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 5

[manager]
start_delay_s = 0
resend_interval_s = 0.7
max_resends = 2
external_components = ["a", "b", "c"]
"#;

/// Something that goes wrong with a component, from an epoch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Panic,
    Fault,
    Silence,
    /// It takes longer than an epoch.
    Slowness,
    /// Its result cannot be sent.
    Unsendable,
}

struct Troubled {
    trouble: Trouble,
    from: u64,
}

impl Component for Troubled {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let done = Ok(Step::Done(Vec::new()));
        if epoch.number < self.from {
            return done;
        }
        let late = epoch.opened_at + Duration::from_millis(1300);
        match self.trouble {
            Trouble::None => done,
            Trouble::Panic => panic!("a bug in a component"),
            Trouble::Fault => Err("no such file".into()),
            Trouble::Silence => Ok(Step::Waiting),
            Trouble::Slowness if now < late => Ok(Step::WakeAt(late)),
            Trouble::Slowness => done,
            Trouble::Unsendable => {
                let setpoint = PowerSetpoint { real_power_kw: f64::NAN, reactive_power_kvar: 0.0 };
                Ok(Step::Done(vec![Output::new("x".into(), Body::PowerSetpoint(setpoint))]))
            }
        }
    }
}

/// Something that happens to the run from outside, at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    None,
    Cancel,
    BusLoss,
    /// Somebody whom nobody knows reports an error.
    StrangersError,
    /// Bytes that are no message, on the manager's topics.
    Garbage,
}

#[derive(Debug, Clone)]
struct Case {
    seed: u64,
    policy: &'static str,
    troubles: Vec<(Trouble, u64)>,
    event: Event,
    at_ms: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let trouble = select(vec![
        Trouble::None,
        Trouble::None,
        Trouble::None,
        Trouble::Panic,
        Trouble::Fault,
        Trouble::Silence,
        Trouble::Slowness,
        Trouble::Unsendable,
    ]);
    let event = select(vec![
        Event::None,
        Event::None,
        Event::Cancel,
        Event::BusLoss,
        Event::StrangersError,
        Event::Garbage,
    ]);
    let troubles = prop::collection::vec((trouble, 1..=EPOCHS), NAMES.len());
    (any::<u64>(), select(vec!["stretch", "skip", "abort"]), troubles, event, 0..8000_u64)
        .prop_map(|(seed, policy, troubles, event, at_ms)| Case { seed, policy, troubles, event, at_ms })
}

/// How a run went, and the messages of its manager in the order in which a listener heard them.
fn run(case: &Case) -> (Report, Vec<Message>) {
    let policy = format!("manager.overrun=\"{}\"", case.policy);
    let configuration = Configuration::parse("run.toml", CONFIGURATION, &[policy]);
    let configuration = configuration.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let case = case.clone();
    simulated(|clock| async move {
        let world = World::new(&clock, case.seed);
        let listener = world.bus.session();
        let patterns = vec!["#".into()];
        let everything =
            Subscribe { name: "listener".into(), patterns, capacity: 65_536, when_full: WhenFull::Shed };
        let mut heard = listener.subscribe(everything).await?;
        for (name, (trouble, from)) in NAMES.into_iter().zip(case.troubles) {
            let identity = Identity {
                name: name.into(),
                simulation_id: world.id.clone(),
                manager: None,
                numbered_from: 0,
            };
            let component = Troubled { trouble, from };
            let joined = join(component, identity, world.bus.session(), world.shared_clock()).await?;
            tokio::spawn(joined.run(Poke::new(), world.cancel.clone()));
        }
        let (strangers, managers) = (world.bus.session(), world.bus.session());
        let (stranger, cancel, closing) =
            (Author::new("stranger", &world), world.cancel.clone(), managers.clone());
        let session = Session::new(world.id.clone(), managers, world.shared_clock(), world.cancel.clone());
        tokio::spawn(async move {
            sleep(&clock, Duration::from_millis(case.at_ms)).await;
            match case.event {
                Event::None => {}
                Event::Cancel => cancel.cancel(),
                Event::BusLoss => closing.close().await,
                Event::StrangersError | Event::Garbage => disturb(case.event, &strangers, stranger).await,
            }
        });
        let report = session.run(Pace::Clock(world.shared_clock()), configuration, |_| {}).await?;
        listener.close().await;
        let mut messages = Vec::new();
        while let Some(event) = heard.recv().await {
            messages.extend(managers_message(&event));
        }
        anyhow::Ok((report.manager, messages))
    })
    .expect("a run has a report, however it ends")
}

/// Says something that does not belong into the run.
async fn disturb(event: Event, bus: &Bus, mut stranger: Author) {
    if event == Event::StrangersError {
        let status = Status::error("boo".into());
        let _ = bus.publish(topic::STATUS_ERROR, stranger.write(1, Body::Status(status))).await;
        return;
    }
    for body in [&b"\xff"[..], b"[]", b"{}"] {
        let _ = bus.publish(topic::STATUS_READY, bytes::Bytes::from_static(body)).await;
    }
}

fn managers_message(event: &gridloop_bus::Event) -> Option<Message> {
    let gridloop_bus::Event::Message(delivery) = event else { return None };
    let now = Timestamp::from(chrono::DateTime::UNIX_EPOCH);
    let Ok(Decoded::Message(message)) = decode(&delivery.body, now) else { return None };
    (message.header.source_process_id == "manager").then_some(message)
}

fn says_stopped(message: &Message) -> bool {
    matches!(&message.body, Body::SimState(it) if it.simulation_state == SimulationState::Stopped)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_in_sim_state_stopped_whatever_happens_to_it(case in case()) {
        let (report, messages) = run(&case);
        let lost = report.reason == "the bus session was closed";
        prop_assert!(!lost || case.event == Event::BusLoss);
        let stopped = messages.iter().filter(|message| says_stopped(message)).count();
        prop_assert_eq!(stopped, usize::from(!lost), "{}", &report.reason);
        prop_assert!(lost || messages.last().is_some_and(says_stopped), "nothing follows it");
        let completed = report.outcome == Outcome::Completed;
        prop_assert!(!completed || report.epochs.completed == EPOCHS);
        let sound = case.troubles.iter().all(|(trouble, _)| *trouble == Trouble::None);
        prop_assert!(completed || !sound || !matches!(case.event, Event::None | Event::Garbage), "{}", &report.reason);
    }
}

#[test]
fn a_panic_in_a_component_ends_the_run_with_its_words() {
    let troubles = vec![(Trouble::None, 1), (Trouble::Panic, 3), (Trouble::None, 1)];
    let (report, messages) =
        run(&Case { seed: 1, policy: "stretch", troubles, event: Event::None, at_ms: 0 });
    assert_eq!(report.reason, "error in epoch 3: b: internal error: a bug in a component");
    assert!(messages.last().is_some_and(says_stopped));
}
