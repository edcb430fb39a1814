//! What is refused before anything happens, and what only shows.

use crate::{Folder, shipped};

const SAMPLE: &str = "configs/simces/energy-community.yml";

fn sample_arguments() -> Vec<String> {
    [
        "platform",
        &shipped(SAMPLE),
        "--manifests",
        &shipped("configs/manifests"),
        "--resources",
        &shipped("configs/simces/resources"),
    ]
    .map(ToOwned::to_owned)
    .into()
}

#[test]
fn a_dry_run_shows_every_process_and_the_start_message_and_no_password() {
    let folder = Folder::new(&[]);
    let mut arguments = sample_arguments();
    arguments.extend(["--broker", "amqp://lab:hush@broker:5673", "--dry-run"].map(ToOwned::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = folder.gridloop(&arguments);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for words in [
        "Energy community: 24 epochs of 900 s; 7 components on broker:5673, exchange procem.",
        "log_writer: LogWriter, gridloop log-writer --from-environment",
        "newcomer_2: Dummy, gridloop component --from-environment --kind dummy",
        "    RABBITMQ_HOST=broker",
        "    RABBITMQ_PASSWORD=***",
        "    SIMULATION_COMPONENTS=house1,house2,house3,house4,shared_roof,newcomer_1,newcomer_2",
        "    SIMULATION_START_DELAY=2.0",
        "    SIMULATION_INITIAL_START_TIME=2026-06-21T07:00:00.000Z",
        "Start, to be published on procem-management:",
        "\"ResourceStateFile\": \"/resources/load1.csv\"",
    ] {
        assert!(done.stdout.contains(words), "{words} in {}", done.stdout);
    }
    assert!(!done.stdout.contains("hush") && !done.stderr.contains("hush"));
    assert_eq!(folder.entries(""), Vec::<String>::new(), "nothing is left behind");
}

#[test]
fn a_wrong_run_configuration_is_told_with_places_and_exits_with_2() {
    let folder =
        Folder::new(&[("run.yml", "Simulation: {EpochLength: 1}\nComponents:\n  Dummy:\n    a.b:\n")]);
    let done =
        folder.gridloop(&["platform", "run.yml", "--manifests", &shipped("configs/manifests"), "--dry-run"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("run.yml:4:5: error: the name \"a.b\" has a dot"), "{}", done.stderr);
    assert!(done.stderr.contains("`Simulation` has no `InitialStartTime`"), "{}", done.stderr);
    assert!(done.stderr.ends_with("3 errors\n"), "{}", done.stderr);
}

#[test]
fn arguments_that_cannot_be_meant_exit_with_2() {
    let folder = Folder::new(&[]);
    for (extra, words) in [
        (["--broker", "http://x"], "--broker: expected"),
        (["--broker", "amqp://x/lab"], "virtual host /"),
        (["--store", "mysql:x"], "--store: expected sqlite:DIR or mongodb://"),
        (["--manifests", "nowhere"], "cannot look for manifests here"),
    ] {
        let mut arguments = sample_arguments();
        arguments.extend(extra.map(ToOwned::to_owned));
        arguments.push("--dry-run".to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = folder.gridloop(&arguments);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(words), "{words} in {}", done.stderr);
    }
    assert_eq!(folder.gridloop(&["platform", "run.yml"]).code, 2, "there is no default for manifests");
}

#[test]
fn without_a_broker_nothing_is_started() {
    let folder = Folder::new(&[]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    let mut arguments = sample_arguments();
    arguments.extend([
        "--wait".to_owned(),
        "--broker".to_owned(),
        format!("amqp://lab:hush@127.0.0.1:{port}"),
    ]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = folder.gridloop(&arguments);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains(&format!("127.0.0.1:{port}")), "{}", done.stderr);
    assert!(!done.stderr.contains("hush") && !done.stdout.contains("pid"), "{} {}", done.stdout, done.stderr);
}
