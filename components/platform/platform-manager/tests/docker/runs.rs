//! Whole runs in containers, started by the built command over a real RabbitMQ.

use crate::{environment, until_it, within};
use gridloop_hil_tests::docker::Engine;
use gridloop_hil_tests::mongodb::MongoDb;
use gridloop_hil_tests::proxy::Proxy;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::task::spawn_blocking;

/// Two components that run at once, and one epoch after the other as fast as they are ready.
const RUN: &str = r#"
Simulation:
    Name: "Two in containers"
    InitialStartTime: "2026-06-21T12:00:00.000Z"
    EpochLength: 60
    MaxEpochCount: 3
    StartDelay: 2
Components:
    Dummy:
        dice: {MinSleepTime: 0.0, MaxSleepTime: 0.1, Seed: 7}
    StaticTimeSeriesResource:
        home1: {ResourceType: Load, ResourceStateFile: /resources/home1.csv}
"#;

const HOME1: &str = "RealPower,ReactivePower,CustomerId\n-1.0,0.0,home1\n-2.0,0.0,home1\n-3.0,0.0,home1\n";

/// A platform on one host: engine, broker, images.
struct Platform {
    engine: Engine,
    _broker: RabbitMq,
    /// Where containers, and we, reach the broker.
    door: Proxy,
    gateway: String,
    folder: PathBuf,
}

impl Platform {
    async fn new() -> Self {
        let broker = RabbitMq::start().expect("a broker");
        let engine = Engine::start().expect("an engine");
        engine.network("platform").expect("a network");
        let gateway = engine.network("rabbitmq").expect("a network");
        let door = Proxy::start_at(gateway, broker.port()).await.expect("a door");
        engine.docker(["volume", "create", "logs"]).expect("a volume");
        let binary = Path::new(env!("CARGO_BIN_EXE_gridloop"));
        for role in ["simulation-manager", "log-writer", "dummy", "static-time-series"] {
            engine.build_stage(role, &format!("gridloop/{role}"), binary).expect("an image");
        }
        let folder = engine.home().join("work");
        std::fs::create_dir_all(folder.join("resources")).expect("a folder");
        std::fs::write(folder.join("resources/home1.csv"), HOME1).expect("a file");
        Self { engine, _broker: broker, door, gateway: gateway.to_string(), folder }
    }

    /// The command, ready to be started on a run configuration.
    ///
    /// Where nothing is said about MongoDB, the Log Writer stores in the volume of the logs.
    fn command(&self, run: &str, more: &[&str]) -> Command {
        std::fs::write(self.folder.join("run.yml"), run).expect("a file");
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../configs/manifests");
        let resources = self.folder.join("resources").display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
        command
            .current_dir(&self.folder)
            .args(["platform", "run.yml", "--runner=docker", "--manifests"])
            .arg(manifests)
            .args(more)
            .env_remove("RUST_LOG")
            .envs(&environment(&self.engine, &[("DOCKER_VOLUME_NAME_RESOURCES", &resources)]))
            .env_remove("DOCKER_NETWORK_MONGODB")
            .env("RABBITMQ_HOST", &self.gateway)
            .env("RABBITMQ_PORT", self.door.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn run(&self, run: &str, more: &[&str]) -> Done {
        let mut command = self.command(run, more);
        end(command.spawn().expect("a process")).await
    }

    fn containers(&self) -> Vec<String> {
        self.engine.containers().expect("containers")
    }

    /// The log of a component in the run folder of the only run.
    fn log(&self, component: &str) -> String {
        let runs = self.folder.join("runs");
        let run = std::fs::read_dir(&runs).expect("runs").next().expect("a run").expect("a run");
        let path = run.path().join("logs").join(format!("{component}.log"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The output of a program in a container that has the logs volume.
    fn in_volume(&self, program: &[&str]) -> String {
        let run = ["run", "--rm", "--network=none", "--volume=logs:/logs", "debian:bookworm-slim"];
        self.engine.docker(run.into_iter().chain(program.iter().copied())).expect("an output")
    }
}

/// What a command did.
struct Done {
    code: Option<i32>,
    /// Everything that it said.
    said: String,
}

async fn end(child: Child) -> Done {
    let waiting = spawn_blocking(move || child.wait_with_output());
    let output = within(waiting).await.expect("a task").expect("an output");
    let said = [output.stdout, output.stderr].concat();
    Done { code: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_containers_completes_and_leaves_its_messages_its_logs_and_nothing_else() {
    let platform = Platform::new().await;
    let mongodb = MongoDb::start().expect("a database");
    let gateway = platform.engine.network("mongodb").expect("a network");
    let door = Proxy::start_at(gateway, mongodb.port()).await.expect("a door");
    let mut command = platform.command(RUN, &["--wait"]);
    command.env("DOCKER_NETWORK_MONGODB", "mongodb").env("MONGODB_HOST", gateway.to_string());
    command.env("MONGODB_PORT", door.port().to_string()).env("MONGODB_DATABASE", "logs");
    let done = end(command.spawn().expect("a process")).await;
    let said = &done.said;
    assert_eq!(done.code, Some(0), "{said}");
    for wanted in ["container Sim00_log_writer", "container Sim00_home1", "epoch 3/3", "completed"] {
        assert!(said.contains(wanted), "{wanted} is not in: {said}");
    }
    assert_eq!(platform.containers(), [""; 0]);
    for component in ["log_writer", "dice", "home1", "SimulationManager"] {
        assert!(!platform.log(component).contains("panicked"), "{}", platform.log(component));
    }
    // The manager ends with its report.
    assert!(
        platform.log("SimulationManager").contains("\"completed\""),
        "{}",
        platform.log("SimulationManager")
    );
    let start = platform.in_volume(&["sh", "-c", "cat /logs/start/*"]);
    assert!(start.contains("Two in containers"), "{start}");
    // The Log Writer ends with what it has stored: four of each component, the manager's, and nothing invalid.
    let summary = platform.log("log_writer");
    let summary: Value =
        serde_json::from_str(&summary[summary.find("\n{").map_or(0, |at| at + 1)..]).expect("JSON");
    assert!(summary["store"].as_str().is_some_and(|store| store.starts_with("mongodb://")), "{summary}");
    assert!(summary["stored"].as_u64().is_some_and(|stored| stored > 12), "{summary}");
    assert_eq!(summary["invalid"], 0, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_dies_fails_the_run_which_ends_and_says_why() {
    let platform = Platform::new().await;
    // An image of the same name whose program breaks down.
    platform.engine.build_script("broken", "echo no luck today; exit 3").expect("an image");
    platform.engine.docker(["tag", "broken", "gridloop/dummy"]).expect("a tag");
    let done = platform.run(RUN, &["--wait"]).await;
    let said = &done.said;
    assert_eq!(done.code, Some(1), "{said}");
    for wanted in ["dice", "ended with exit code 3", "no luck today", "FAILED"] {
        assert!(said.contains(wanted), "{wanted} is not in: {said}");
    }
    assert_eq!(platform.containers(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_a_run_in_containers_and_removes_them() {
    let platform = Platform::new().await;
    let endless = RUN.replace("MaxEpochCount: 3", "MaxEpochCount: 100000");
    let mut command = platform.command(&endless, &["--wait"]);
    let child = command.spawn().expect("a process");
    let pid = Pid::from_child(&child);
    let ended = tokio::spawn(end(child));
    until_it(|| platform.containers().len() == 4 || ended.is_finished()).await;
    assert!(!ended.is_finished(), "it has ended before it was stopped");
    kill_process(pid, Signal::INT).expect("a signal");
    let done = ended.await.expect("a task");
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert!(done.said.contains("stopped"), "{}", done.said);
    assert_eq!(platform.containers(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_waiting_the_run_goes_on_by_itself_and_its_containers_vanish_when_it_is_over() {
    let platform = Platform::new().await;
    let done = platform.run(RUN, &[]).await;
    assert_eq!(done.code, Some(0), "{}", done.said);
    until_it(|| platform.containers().is_empty()).await;
    let stored = platform.in_volume(&["sh", "-c", "ls -l /logs/runs/*"]);
    assert!(stored.contains("messages.sqlite"), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_missing_is_named_and_nothing_is_started() {
    let platform = Platform::new().await;
    platform.engine.docker(["rmi", "gridloop/dummy"]).expect("removed");
    let done = platform.run(RUN, &["--wait"]).await;
    assert_ne!(done.code, Some(0), "{}", done.said);
    assert!(done.said.contains("the image gridloop/dummy:latest is not there"), "{}", done.said);
    assert_eq!(platform.containers(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_manager_may_be_a_container_itself_and_needs_nothing_but_the_socket() {
    let platform = Platform::new().await;
    let binary = Path::new(env!("CARGO_BIN_EXE_gridloop"));
    platform.engine.build_stage("gridloop", "gridloop", binary).expect("an image");
    std::fs::write(platform.folder.join("run.yml"), RUN).expect("a file");
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../configs/manifests");
    let socket = platform.engine.home().join("docker.sock");
    let group = std::fs::metadata(&socket).expect("a socket").gid().to_string();
    let work = platform.folder.display();
    let volumes = [
        format!("{}:/var/run/docker.sock", socket.display()),
        format!("{}:/manifests:ro", manifests.display()),
        format!("{work}:/files:ro"),
    ];
    let told = [
        format!("RABBITMQ_HOST={}", platform.gateway),
        format!("RABBITMQ_PORT={}", platform.door.port()),
        format!("DOCKER_VOLUME_NAME_RESOURCES={work}/resources"),
        "DOCKER_VOLUME_NAME_LOGS=logs".to_owned(),
        "DOCKER_NETWORK_RABBITMQ=rabbitmq".to_owned(),
    ];
    let mut run =
        vec!["run", "--rm", "--network=rabbitmq", "--read-only", "--cap-drop=ALL", "--volume=runs:/runs"];
    run.extend(["--group-add", &group]);
    run.extend(volumes.iter().flat_map(|volume| ["--volume", volume]));
    run.extend(told.iter().flat_map(|variable| ["--env", variable]));
    run.extend([
        "gridloop",
        "platform",
        "/files/run.yml",
        "--manifests=/manifests",
        "--runner=docker",
        "--wait",
    ]);
    let said = tokio::task::block_in_place(|| platform.engine.docker(run)).expect("exit code 0");
    assert!(said.contains("container Sim00_home1") && said.contains("completed"), "{said}");
    assert_eq!(platform.containers(), [""; 0]);
}
