//! Whole runs of processes that know nothing but their environment, over a RabbitMQ of the test's own. An observer on
//! the bus sees every message.

use crate::process::{Done, Process};
use crate::root;
use anyhow::{Context, ensure};
use gridloop_bus::{Bus, Connect, Event, Exchange, Subscribe, Subscription, WhenFull};
use gridloop_clock::{Clock, SharedClock, WallClock, until};
use gridloop_hil_tests::peers::python;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{Body, Decoded, Message, SimulationState, StatusValue, Timestamp, decode};
use rustix::process::Signal;
use serde_json::Value;
use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "2026-06-21T12:00:00.000Z";
const EXCHANGE: &str = "procem.20260621-120000-000";
/// How long a state of the run may take to come about.
const PATIENCE: Duration = Duration::from_secs(90);

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}

/// A run: its broker, the files of its components and the variables that all its processes have.
struct Run {
    broker: RabbitMq,
    folder: tempfile::TempDir,
    port: String,
}

impl Run {
    fn new() -> anyhow::Result<Self> {
        let broker = RabbitMq::start()?;
        let port = broker.port().to_string();
        let folder = tempfile::tempdir()?;
        let rows: String = (1..=20).map(|epoch| format!("{epoch},-{epoch}.5,-0.25,1,c7\n")).collect();
        let header = "Epoch,RealPower,ReactivePower,Node,CustomerId\n";
        std::fs::write(folder.path().join("home1.csv"), format!("{header}{rows}"))?;
        Ok(Self { broker, folder, port })
    }

    fn variables<'a>(&'a self, name: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let common = [
            ("RABBITMQ_HOST", "127.0.0.1"),
            ("RABBITMQ_PORT", &self.port),
            ("RABBITMQ_LOGIN", ""),
            ("RABBITMQ_PASSWORD", ""),
            ("RABBITMQ_SSL", "False"),
            ("RABBITMQ_SSL_VERSION", "PROTOCOL_TLS"),
            ("RABBITMQ_EXCHANGE", EXCHANGE),
            ("RABBITMQ_EXCHANGE_AUTODELETE", "True"),
            ("RABBITMQ_EXCHANGE_DURABLE", "False"),
            ("SIMULATION_ID", ID),
            ("SIMULATION_COMPONENT_NAME", name),
            ("SIMULATION_EPOCH_MESSAGE_TOPIC", "Epoch"),
            ("SIMULATION_STATE_MESSAGE_TOPIC", "SimState"),
            ("SIMULATION_STATUS_MESSAGE_TOPIC", "Status.Ready"),
            ("SIMULATION_ERROR_MESSAGE_TOPIC", "Status.Error"),
            ("SIMULATION_LOG_LEVEL", "20"),
            ("SIMULATION_LOG_FILE", "simulation.log"),
            ("SIMULATION_START_MESSAGE_FILENAME", "/logs/start/start_message.json"),
        ];
        common.iter().chain(more).copied().collect()
    }

    /// A manager that asks again after a second and begins after half of one.
    fn manager(&self, components: &str, epochs: &str) -> Process {
        let more = [
            ("SIMULATION_MANAGER_NAME", "Clock"),
            ("SIMULATION_COMPONENTS", components),
            ("SIMULATION_NAME", "Valley feeder"),
            ("SIMULATION_INITIAL_START_TIME", "2023-02-01T00:00:00.000Z"),
            ("SIMULATION_EPOCH_LENGTH", "900"),
            ("SIMULATION_MAX_EPOCHS", epochs),
            ("SIMULATION_EPOCH_TIMER_INTERVAL", "1.0"),
            ("SIMULATION_MAX_EPOCH_RESENDS", "10"),
            ("SIMULATION_START_DELAY", "0.5"),
        ];
        Process::start(&["manager", "--from-environment"], &self.variables("simulation_manager", &more))
    }

    fn component(&self, kind: &str, name: &str, more: &[(&str, &str)]) -> Process {
        let arguments = ["component", "--from-environment", "--kind", kind];
        Process::start(&arguments, &self.variables(name, more))
    }

    fn dummy(&self, name: &str, sleep_s: &str) -> Process {
        self.component("dummy", name, &[("MIN_SLEEP_TIME", sleep_s), ("MAX_SLEEP_TIME", sleep_s)])
    }

    fn load(&self, name: &str) -> Process {
        let file = self.folder.path().join("home1.csv");
        let file = file.to_string_lossy();
        self.component(
            "static-time-series",
            name,
            &[("RESOURCE_TYPE", "Load"), ("RESOURCE_STATE_CSV_FILE", &file)],
        )
    }

    async fn observe(&self) -> anyhow::Result<Observer> {
        let clock: SharedClock = Arc::new(WallClock::start()?);
        let connect = Connect::new(self.broker.url().parse()?, Exchange::run(EXCHANGE), "observer");
        let bus = Bus::connect(&connect, Arc::clone(&clock)).await?;
        let subscribe = Subscribe {
            name: "observer".into(),
            patterns: vec!["#".into()],
            capacity: 1024,
            when_full: WhenFull::Wait,
        };
        let subscription = bus.subscribe(subscribe).await?;
        Ok(Observer { _bus: bus, subscription, clock, seen: Vec::new() })
    }
}

/// Everything that was said since it began to listen.
struct Observer {
    _bus: Bus,
    subscription: Subscription,
    clock: SharedClock,
    seen: Vec<(String, Message)>,
}

impl Observer {
    /// Listens until a message is like this.
    async fn wait_for(&mut self, what: &str, like: impl Fn(&Message) -> bool) -> anyhow::Result<()> {
        let give_up = self.clock.now() + PATIENCE;
        loop {
            let event = until(self.clock.as_ref(), give_up, self.subscription.recv()).await;
            let event =
                event.with_context(|| format!("{what}: not within {PATIENCE:?}; {}", self.diary()))?;
            let Event::Message(delivery) = event.context("the bus was closed")? else { continue };
            let Decoded::Message(message) = decode(&delivery.body, Timestamp::from(self.clock.utc()))? else {
                continue;
            };
            self.seen.push((delivery.topic.to_string(), message));
            if self.seen.last().is_some_and(|(_, message)| like(message)) {
                return Ok(());
            }
        }
    }

    async fn wait_for_the_end(&mut self) -> anyhow::Result<()> {
        self.wait_for("SimState stopped", |message| is_state(message, SimulationState::Stopped)).await
    }

    /// What was said, a message a line.
    fn diary(&self) -> String {
        let line = |(topic, message): &(String, Message)| {
            format!("{topic} {} {:?}", message.header.message_id, message.epoch_number())
        };
        self.seen.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The epochs of the messages on this topic, each once.
    fn epochs_on(&self, topic: &str) -> Vec<u64> {
        let on_topic = self.seen.iter().filter(|(on, _)| on == topic);
        let mut epochs: Vec<u64> = on_topic.filter_map(|(_, message)| message.epoch_number()).collect();
        epochs.dedup();
        epochs
    }

    /// The epochs in which this component said that it was ready.
    fn readies_of(&self, name: &str) -> Vec<u64> {
        let ready = |message: &Message| {
            message.header.source_process_id == name
                && matches!(&message.body, Body::Status(status) if status.value == StatusValue::Ready)
        };
        let readies = self.seen.iter().filter(|(_, message)| ready(message));
        let mut epochs: Vec<u64> = readies.filter_map(|(_, message)| message.epoch_number()).collect();
        epochs.dedup();
        epochs
    }
}

fn is_state(message: &Message, state: SimulationState) -> bool {
    matches!(&message.body, Body::SimState(said) if said.simulation_state == state)
}

fn is_epoch(message: &Message, number: u64) -> bool {
    matches!(message.body, Body::Epoch(_)) && message.epoch_number() == Some(number)
}

/// The manager's report.
fn report(done: &Done) -> anyhow::Result<Value> {
    serde_json::from_str(&done.stdout).with_context(|| format!("{}{}", done.stdout, done.stderr))
}

/// All components left when the run was over, and well.
fn left(components: impl IntoIterator<Item = Process>) -> anyhow::Result<()> {
    for component in components {
        let done = component.end();
        ensure!(done.code == 0, "a component exited with {}: {}", done.code, done.stderr);
    }
    Ok(())
}

#[test]
fn a_run_of_processes_that_know_nothing_but_their_environment_completes() -> anyhow::Result<()> {
    let run = Run::new()?;
    block_on(async {
        let mut observer = run.observe().await?;
        let components = [run.dummy("pacer_1", "0.05"), run.dummy("pacer_2", "0.1"), run.load("home1")];
        let manager = run.manager("pacer_1,pacer_2,home1", "4");
        let log = manager.path("simulation.log");
        observer.wait_for_the_end().await?;
        let said = std::fs::read_to_string(log)?;
        let done = manager.end();
        assert_eq!(done.code, 0, "{}", done.stderr);
        let report = report(&done)?;
        assert_eq!((&report["outcome"], &report["epochs"]["completed"]), (&"completed".into(), &4.into()));
        assert!(said.contains("INFO"), "the log file has what the terminal has: {said}");
        assert_eq!(observer.epochs_on("ResourceState.Load.home1"), [1, 2, 3, 4]);
        for name in ["pacer_1", "pacer_2", "home1"] {
            assert_eq!(observer.readies_of(name), [0, 1, 2, 3, 4], "{name}");
        }
        let ids = |(_, message): &(String, Message)| message.header.simulation_id.as_str() == ID;
        assert!(observer.seen.iter().all(ids));
        left(components)
    })
}

#[test]
fn a_python_component_started_the_same_way_finds_no_fault_with_what_gridloop_says() -> anyhow::Result<()> {
    let run = Run::new()?;
    block_on(async {
        let mut observer = run.observe().await?;
        let mut command = Command::new(python()?);
        command.arg(root().join("hil-tests/peers/simces_component.py"));
        let variables =
            run.variables("pyload", &[("OBSERVED_TOPICS", "#"), ("PYTHONDONTWRITEBYTECODE", "1")]);
        let python = Process::of(command, &variables);
        let components = [
            run.dummy("pacer", "0.05"),
            run.load("home1"),
            run.component("simple", "C1", &[("SIMPLE_VALUE", "1.0")]),
            run.component("simple", "C3", &[("SIMPLE_VALUE", "7.0"), ("INPUT_COMPONENTS", "C1")]),
        ];
        let manager = run.manager("pyload,pacer,home1,C1,C3", "5");
        observer.wait_for_the_end().await?;
        let done = manager.end();
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        let done = python.end();
        let said: Value = serde_json::from_str(&done.stdout).with_context(|| done.stderr.clone())?;
        assert_eq!(said["violations"], Value::Array(Vec::new()));
        assert_eq!((done.code, &said["stopped"], &said["epochs"]), (0, &true.into(), &5.into()));
        for (kind, least) in [("Result", 5), ("ResourceState", 10), ("Simple", 10), ("Status", 30)] {
            let count = said["received"][kind].as_u64().unwrap_or_default();
            assert!(count >= least, "{count} messages of type {kind}: {said}");
        }
        assert_eq!(observer.epochs_on("SimpleTopic.C3"), [1, 2, 3, 4, 5]);
        left(components)
    })
}

#[test]
fn a_component_that_comes_late_catches_the_sim_state_that_is_sent_again() -> anyhow::Result<()> {
    let run = Run::new()?;
    block_on(async {
        let mut observer = run.observe().await?;
        let early = run.load("home1");
        let manager = run.manager("home1,pacer", "2");
        for _ in 0..2 {
            let running = |message: &Message| is_state(message, SimulationState::Running);
            observer.wait_for("SimState running", running).await?;
        }
        let late = run.dummy("pacer", "0");
        observer.wait_for_the_end().await?;
        let done = manager.end();
        assert_eq!((done.code, &report(&done)?["outcome"]), (0, &"completed".into()));
        assert_eq!(observer.readies_of("pacer"), [0, 1, 2]);
        left([early, late])
    })
}

#[test]
fn a_component_that_is_killed_in_the_middle_of_an_epoch_and_started_again_finishes_it() -> anyhow::Result<()>
{
    let run = Run::new()?;
    block_on(async {
        let mut observer = run.observe().await?;
        let (load, dummy) = (run.load("home1"), run.dummy("pacer", "1"));
        let manager = run.manager("home1,pacer", "3");
        observer.wait_for("epoch 2", |message| is_epoch(message, 2)).await?;
        dummy.signal(Signal::KILL);
        let again = run.dummy("pacer", "1");
        observer.wait_for_the_end().await?;
        let done = manager.end();
        assert_eq!((done.code, &report(&done)?["outcome"]), (0, &"completed".into()));
        assert_eq!(observer.readies_of("pacer"), [0, 1, 2, 3]);
        assert_eq!(observer.epochs_on("Result"), [1, 2, 3]);
        left([load, again])
    })
}

#[test]
fn processes_wait_for_their_broker_and_survive_its_restart() -> anyhow::Result<()> {
    let mut run = Run::new()?;
    run.broker.term()?;
    let components = [run.load("home1"), run.dummy("pacer", "0.5")];
    let manager = run.manager("home1,pacer", "6");
    wait_until("the manager misses the broker", || manager.stderr().contains("no broker answers"))?;
    run.broker.restart()?;
    block_on(async {
        let mut observer = run.observe().await?;
        observer.wait_for("epoch 2", |message| is_epoch(message, 2)).await?;
        run.broker.kill9()?;
        run.broker.restart()?;
        observer.wait_for_the_end().await?;
        let done = manager.end();
        assert_eq!((done.code, &report(&done)?["outcome"]), (0, &"completed".into()), "{}", done.stderr);
        left(components)
    })
}

fn wait_until(what: &str, holds: impl Fn() -> bool) -> anyhow::Result<()> {
    let clock = WallClock::start()?;
    let give_up = clock.now() + PATIENCE;
    while !holds() {
        ensure!(clock.now() < give_up, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn term_ends_the_manager_with_stopped_and_with_it_everybody_and_a_component_alone() -> anyhow::Result<()> {
    let run = Run::new()?;
    block_on(async {
        let mut observer = run.observe().await?;
        let (load, dummy) = (run.load("home1"), run.dummy("pacer", "0.2"));
        let bystander = run.dummy("bystander", "0.2");
        let manager = run.manager("home1,pacer", "1000");
        let by_bystander = |message: &Message| message.header.source_process_id == "bystander";
        observer.wait_for("a bystander at work", by_bystander).await?;
        bystander.signal(Signal::TERM);
        left([bystander])?;
        observer.wait_for("another epoch", |message| matches!(message.body, Body::Epoch(_))).await?;
        manager.signal(Signal::TERM);
        observer.wait_for_the_end().await?;
        let done = manager.end();
        assert_eq!((done.code, &report(&done)?["outcome"]), (0, &"stopped".into()), "{}", done.stderr);
        left([load, dummy])
    })
}

#[test]
fn a_file_that_cannot_be_used_is_told_on_the_bus_and_ends_the_run_with_its_flaw() -> anyhow::Result<()> {
    let run = Run::new()?;
    block_on(async {
        let mut observer = run.observe().await?;
        let file = [("RESOURCE_TYPE", "Generator"), ("RESOURCE_STATE_CSV_FILE", "missing.csv")];
        let (wrong, right) = (run.component("static-time-series", "pv1", &file), run.load("home1"));
        let manager = run.manager("pv1,home1", "3");
        observer.wait_for_the_end().await?;
        let done = manager.end();
        assert_eq!((done.code, &report(&done)?["outcome"]), (1, &"failed".into()));
        assert!(done.stdout.contains("missing.csv: cannot be read"), "{}", done.stdout);
        left([wrong, right])
    })
}

#[test]
fn a_gateway_serves_the_device_that_it_is_named_after_like_any_component() -> anyhow::Result<()> {
    let run = Run::new()?;
    block_on(async {
        let mut observer = run.observe().await?;
        let configuration: PathBuf = root().join("configs/examples/simulated.toml");
        let configuration = configuration.to_string_lossy();
        let more = [("GATEWAY_CONFIGURATION", &*configuration), ("SIMULATION_EPOCH_LENGTH", "900")];
        let gateway = Process::start(&["gateway", "--from-environment"], &run.variables("pv1", &more));
        let manager = run.manager("pv1", "3");
        observer.wait_for_the_end().await?;
        let done = manager.end();
        assert_eq!((done.code, &report(&done)?["outcome"]), (0, &"completed".into()));
        assert_eq!(observer.epochs_on("ResourceState.Generator.pv1"), [1, 2, 3]);
        let done = gateway.end();
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        assert!(done.stdout.contains("pv1") && !done.stdout.contains("oltc1"), "{}", done.stdout);
        Ok(())
    })
}

/// The manifest of the Python peer is one that a platform manager takes, and names files that are there.
#[test]
fn the_python_peer_has_a_manifest_whose_files_exist() {
    use gridloop_platform_manager::platform::Manifests;
    let manifests = Manifests::load(&[root().join("hil-tests/peers/manifests")]).expect("the folder");
    let manifest = manifests.get("PythonLoad").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        manifest.attribute("ObservedTopics").map(|it| it.environment.as_str()),
        Some("OBSERVED_TOPICS")
    );
    let command = manifest.command.as_ref().expect("a command");
    assert!(root().join("hil-tests/peers/manifests").join(&command[0]).exists(), "{command:?}");
}
