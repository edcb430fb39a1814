//! The Docker runner alone, on images that are one line of shell.

use crate::{environment, until_it, within};
use gridloop_clock::{SharedClock, WallClock};
use gridloop_hil_tests::docker::Engine;
use gridloop_messages::SimulationId;
use gridloop_platform_manager::environment::Reader;
use gridloop_platform_manager::platform::docker::{DockerRunner, DockerSettings};
use gridloop_platform_manager::platform::manifest::Image;
use gridloop_platform_manager::platform::plan::{Launch, Role};
use gridloop_platform_manager::platform::runner::{Ended, Exit, Runner};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// An engine with a network and a volume, and a folder for logs.
struct Bench {
    engine: Engine,
    logs: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let engine = Engine::start().expect("an engine");
        let logs = engine.home().join("collected");
        std::fs::create_dir(&logs).expect("a folder");
        for network in ["platform", "rabbitmq", "mongodb"] {
            engine.network(network).expect("a network");
        }
        for volume in ["logs", "resources"] {
            engine.docker(["volume", "create", volume]).expect("a volume");
        }
        Self { engine, logs }
    }

    fn image(&self, tag: &str, program: &str) {
        self.engine.build_script(tag, program).expect("an image");
    }

    async fn runner(&self) -> DockerRunner {
        self.runner_with(&[]).await
    }

    /// A runner with the usual variables and `more`, which win.
    async fn runner_with(&self, more: &[(&str, &str)]) -> DockerRunner {
        let variables = environment(&self.engine, more).into_iter().collect();
        let reader = Reader::new(&variables);
        let settings = DockerSettings::read(&reader, false);
        reader.finish().expect("settings");
        let clock: SharedClock = Arc::new(WallClock::start().expect("a clock"));
        let id = SimulationId::parse("2026-06-21T12:00:00.000Z").expect("an id");
        DockerRunner::connect(settings, id, self.logs.clone(), clock).await.expect("an engine")
    }

    fn log(&self, component: &str) -> String {
        std::fs::read_to_string(self.logs.join(format!("{component}.log"))).expect("a log")
    }
}

fn launch(name: &str, image: &str) -> Launch {
    Launch {
        name: name.to_owned(),
        role: Role::Component,
        component_type: "Test".to_owned(),
        image: Some(Image { name: image.to_owned(), tag: "latest".to_owned() }),
        command: None,
        environment: vec![("GREETING".to_owned(), "two words".to_owned())],
        folder: PathBuf::new(),
        manifest_folder: PathBuf::new(),
    }
}

/// The first container, started.
async fn started(bench: &Bench, image: &str) -> DockerRunner {
    let mut runner = bench.runner().await;
    runner.prepare(&[launch("one", image)]).await.expect("prepared");
    runner.start(0).await.expect("started");
    runner
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn a_container_that_dies_at_once_leaves_its_exit_code_and_its_words() {
    let bench = Bench::new();
    bench.image("brief", "echo \"says $GREETING\"; echo and complains >&2; exit 3");
    let mut runner = started(&bench, "brief").await;
    let exit = within(runner.next_exit()).await;
    assert_eq!(exit, Some(Exit { index: 0, ended: Ended::Code(3) }));
    assert_eq!(within(runner.next_exit()).await, None, "nobody is left");
    let mut lines = runner.last_lines(0, 10).await;
    lines.sort();
    assert_eq!(lines, ["and complains", "says two words"]);
    runner.collect_logs().await.expect("logs");
    assert!(bench.log("one").contains("says two words\n"));
    runner.clean_up().await.expect("clean");
    assert_eq!(bench.engine.containers().expect("containers"), [""; 0]);
}

#[tokio::test]
async fn a_program_that_heeds_no_signal_as_first_process_is_terminated_all_the_same() {
    let bench = Bench::new();
    bench.image("patient", "echo here; exec sleep 600");
    let mut runner = started(&bench, "patient").await;
    assert_eq!(bench.engine.containers().expect("containers"), ["Sim00_one"]);
    runner.terminate(0).await.expect("a signal");
    let exit = within(runner.next_exit()).await;
    assert_eq!(exit, Some(Exit { index: 0, ended: Ended::Signal(15) }));
    runner.terminate(0).await.expect("one that has ended may be asked to end");
    runner.clean_up().await.expect("clean");
}

#[tokio::test]
async fn a_program_that_refuses_to_end_is_killed() {
    let bench = Bench::new();
    bench.image("stubborn", "trap '' TERM; while :; do sleep 1; done");
    let mut runner = started(&bench, "stubborn").await;
    runner.terminate(0).await.expect("a signal");
    runner.kill(0).await.expect("a signal");
    let exit = within(runner.next_exit()).await;
    assert_eq!(exit, Some(Exit { index: 0, ended: Ended::Signal(9) }));
    runner.clean_up().await.expect("clean");
}

#[tokio::test]
async fn cleaning_up_kills_what_runs_and_removes_what_never_ran() {
    let bench = Bench::new();
    bench.image("patient", "exec sleep 600");
    let mut runner = bench.runner().await;
    runner.prepare(&[launch("one", "patient"), launch("two", "patient")]).await.expect("prepared");
    runner.start(0).await.expect("started");
    assert_eq!(bench.engine.containers().expect("containers"), ["Sim00_one", "Sim00_two"]);
    runner.clean_up().await.expect("clean");
    assert_eq!(bench.engine.containers().expect("containers"), [""; 0]);
}

#[tokio::test]
async fn containers_have_the_networks_volumes_and_names_of_the_contract() {
    let bench = Bench::new();
    bench.image("patient", "exec sleep 600");
    let mut runner = bench.runner().await.with_file("/logs/start/start.json".to_owned(), "{}\n".to_owned());
    let writer = Launch { role: Role::LogWriter, ..launch("log_writer", "patient") };
    runner.prepare(&[writer, launch("one", "patient")]).await.expect("prepared");
    for (name, networks) in [
        ("Sim00_log_writer", vec!["mongodb", "platform", "rabbitmq"]),
        ("Sim00_one", vec!["platform", "rabbitmq"]),
    ] {
        let container = bench.engine.inspect(name).expect("a container");
        let joined = container["NetworkSettings"]["Networks"].as_object().expect("networks");
        assert_eq!(joined.keys().collect::<Vec<_>>(), networks, "{name}");
        let host = &container["HostConfig"];
        assert_eq!(host["NetworkMode"], "platform", "the first network");
        assert_eq!(host["AutoRemove"], true);
        assert_eq!(texts(&host["Binds"]), ["logs:/logs", "resources:/resources"]);
        assert!(texts(&container["Config"]["Env"]).contains(&"GREETING=two words"));
        assert_eq!(container["Config"]["Labels"]["gridloop.simulation-id"], "2026-06-21T12:00:00.000Z");
    }
    let read =
        ["run", "--rm", "--network=none", "--volume=logs:/logs", "patient", "cat", "/logs/start/start.json"];
    assert_eq!(bench.engine.docker(read).expect("the file"), "{}", "the volume has the file");
    runner.clean_up().await.expect("clean");
}

#[tokio::test]
async fn two_runs_side_by_side_have_different_numbers_and_do_not_touch_each_other() {
    let bench = Bench::new();
    bench.image("patient", "exec sleep 600");
    let mut first = started(&bench, "patient").await;
    // One that has ended has its name still, and is in the way of nobody.
    bench.engine.docker(["create", "--network=none", "--name=Sim01_one", "patient"]).expect("a container");
    let mut second = started(&bench, "patient").await;
    let names = || bench.engine.containers().expect("containers");
    assert_eq!(names(), ["Sim00_one", "Sim01_one", "Sim02_one"]);
    first.clean_up().await.expect("clean");
    assert_eq!(names(), ["Sim01_one", "Sim02_one"]);
    second.clean_up().await.expect("clean");
    assert_eq!(names(), ["Sim01_one"]);
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_is_left_behind() {
    let bench = Bench::new();
    bench.image("patient", "exec sleep 600");
    let nameless = Launch { image: None, ..launch("two", "patient") };
    let unknown = launch("two", "127.0.0.1:5000/nobody/builds-this");
    let blank = launch("two words", "patient");
    for (second, more, wanted) in [
        (nameless, vec![], "manifest of Test has no DockerImage"),
        (unknown, vec![], "127.0.0.1:5000/nobody/builds-this:latest is not there"),
        (blank, vec![], "`two words`"),
        (launch("two", "patient"), vec![("DOCKER_NETWORK_RABBITMQ", "nowhere")], "no Docker network nowhere"),
        (launch("two", "patient"), vec![("DOCKER_VOLUME_NAME_LOGS", "nothing")], "no Docker volume nothing"),
        (launch("one", "patient"), vec![], "are called one"),
        // Only the engine notices this, when it makes the containers.
        (
            launch("two", "patient"),
            vec![("DOCKER_VOLUME_TARGET_LOGS", "/")],
            "cannot create the container Sim00_one",
        ),
    ] {
        let mut runner = bench.runner_with(&more).await;
        let error = runner.prepare(&[launch("one", "patient"), second]).await.expect_err(wanted);
        let error = format!("{error:#}");
        assert!(error.contains(wanted), "{wanted} is not in: {error}");
        assert_eq!(bench.engine.containers().expect("containers"), [""; 0], "{wanted}");
    }
}

#[tokio::test]
async fn an_image_that_is_missing_is_pulled_only_if_that_was_asked_for() {
    let bench = Bench::new();
    let variables = environment(&bench.engine, &[]).into_iter().collect();
    let reader = Reader::new(&variables);
    let settings = DockerSettings::read(&reader, true);
    let clock: SharedClock = Arc::new(WallClock::start().expect("a clock"));
    let id = SimulationId::parse("2026-06-21T12:00:00.000Z").expect("an id");
    let mut runner = DockerRunner::connect(settings, id, bench.logs.clone(), clock).await.expect("an engine");
    // Nobody serves images on this port, so that the attempt is what can be seen.
    let error =
        runner.prepare(&[launch("one", "127.0.0.1:9/nobody/serves-this")]).await.expect_err("no registry");
    let error = format!("{error:#}");
    assert!(error.contains("cannot pull 127.0.0.1:9/nobody/serves-this:latest"), "{error}");
}

#[tokio::test]
async fn containers_that_nobody_watches_go_on_and_remove_themselves() {
    let bench = Bench::new();
    bench.image("patient", "exec sleep 600");
    let mut runner = started(&bench, "patient").await;
    runner.detach().await.expect("detached");
    drop(runner);
    assert_eq!(bench.engine.containers().expect("containers"), ["Sim00_one"]);
    bench.engine.docker(["stop", "Sim00_one"]).expect("stopped");
    until_it(|| bench.engine.containers().expect("containers").is_empty()).await;
}

#[tokio::test]
async fn without_an_engine_the_error_says_where_it_was_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let clock: SharedClock = Arc::new(WallClock::start().expect("a clock"));
    let connect = async || {
        let variables = [("DOCKER_HOST", format!("unix://{}", socket.display()))].into_iter().collect();
        let reader = Reader::new(&variables);
        let settings = DockerSettings::read(&reader, false);
        let id = SimulationId::parse("2026-06-21T12:00:00.000Z").expect("an id");
        let connected = DockerRunner::connect(settings, id, folder.path().to_owned(), clock.clone()).await;
        format!("{:#}", connected.err().expect("no engine"))
    };
    let error = connect().await;
    assert!(error.contains("there is no socket") && error.contains(&socket.display().to_string()), "{error}");
    // A socket that an engine has left behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let error = connect().await;
    assert!(error.contains("nobody listens at") && error.contains(&socket.display().to_string()), "{error}");
}
