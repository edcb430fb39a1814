//! Processes that do not start: wrong arguments, wrong variables, a broker that refuses.

use crate::process::Process;
use crate::root;
use gridloop_hil_tests::rabbitmq::RabbitMq;

const DUMMY: [&str; 4] = ["component", "--from-environment", "--kind", "dummy"];
const ID: (&str, &str) = ("SIMULATION_ID", "2026-06-21T12:00:00.000Z");
const EXCHANGE: (&str, &str) = ("RABBITMQ_EXCHANGE", "procem.20260621-120000-000");

#[test]
fn wrong_variables_end_a_process_at_once_with_all_of_them_by_name() {
    let variables = [("RABBITMQ_PORT", "abc"), ("MIN_SLEEP_TIME", "long"), ("RABBITMQ_PASSWORD", "se cret")];
    let done = Process::start(&DUMMY, &variables).end();
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    let expected = [
        "RABBITMQ_PORT: expected a whole number from 1 to 65535, found \"abc\"",
        "RABBITMQ_EXCHANGE: expected the name of the run's exchange, but it is not set",
        "SIMULATION_ID: expected a UTC time like 2026-06-21T12:00:00.000Z, but it is not set",
        "MIN_SLEEP_TIME: expected a number of seconds from 0 to 86400, found \"long\"",
    ];
    assert_eq!(done.stderr.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn arguments_that_contradict_the_environment_are_refused() {
    let refused = |arguments: &[&str], told: &str| {
        let done = Process::start(arguments, &[ID]).end();
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    };
    refused(&["component", "--from-environment"], "--kind");
    refused(&["component", "home1", "--kind", "dummy"], "--from-environment");
    refused(&["component", "--from-environment", "--kind", "wizard"], "static-time-series");
    refused(&["manager", "--from-environment", "--epochs", "3"], "cannot be used with");
    refused(&["gateway", "--from-environment", "lab.toml"], "cannot be used with");
    refused(&["component"], "<NAME>");
}

#[test]
fn a_log_file_that_cannot_be_written_is_refused_by_its_variable() {
    let variables = [ID, EXCHANGE, ("SIMULATION_LOG_FILE", "/nowhere/dummy.log")];
    let done = Process::start(&DUMMY, &variables).end();
    assert_eq!(done.code, 2);
    let told = "SIMULATION_LOG_FILE: expected a file that can be written, found /nowhere/dummy.log: ";
    assert!(done.stderr.starts_with(told), "{}", done.stderr);
}

#[test]
fn a_gateway_is_one_device_of_its_configuration() {
    let configuration = root().join("configs/examples/simulated.toml");
    let configuration = configuration.to_string_lossy();
    let told = |name, configuration: &str| {
        let name = ("SIMULATION_COMPONENT_NAME", name);
        let variables = [ID, EXCHANGE, name, ("GATEWAY_CONFIGURATION", configuration)];
        let done = Process::start(&["gateway", "--from-environment"], &variables).end();
        assert_eq!(done.code, 2, "{}", done.stderr);
        done.stderr
    };
    let told_of_another = told("pv9", &configuration);
    let expected = "SIMULATION_COMPONENT_NAME: expected the name of a device in ";
    assert!(told_of_another.starts_with(expected), "{told_of_another}");
    assert!(told_of_another.contains("which has pv1, oltc1, found \"pv9\""), "{told_of_another}");
    assert!(told("pv1", "missing.toml").contains("missing.toml: error: "));
}

#[test]
fn a_broker_that_refuses_the_login_ends_a_process_with_clear_words() -> anyhow::Result<()> {
    let broker = RabbitMq::start()?;
    let port = broker.port().to_string();
    let variables = [
        ID,
        EXCHANGE,
        ("RABBITMQ_HOST", "127.0.0.1"),
        ("RABBITMQ_PORT", &port),
        ("RABBITMQ_LOGIN", "anna"),
        ("RABBITMQ_PASSWORD", "se cret"),
    ];
    let done = Process::start(&DUMMY, &variables).end();
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("refused the login of `anna`"), "{}", done.stderr);
    assert!(!done.stderr.contains("se cret"), "{}", done.stderr);
    Ok(())
}
