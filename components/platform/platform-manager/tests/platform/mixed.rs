//! A run of which one half is Python: the Simulation Manager, the Log Writer, the Log Reader and three resources are
//! gridloop's, three resources are a component that shares no code with it, the broker is RabbitMQ and the store
//! MongoDB. Each Python component checks every message on the bus, not only its own.

use crate::{Folder, Running, shipped};
use gridloop_hil_tests::mongodb::MongoDb;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

const RUN: &str = "Simulation:
    Name: mixed street
    InitialStartTime: '2026-06-21T07:00:00.000Z'
    EpochLength: 900
    MaxEpochCount: 12
    ManagerName: Clock
    StartDelay: 1.0
Components:
    StaticTimeSeriesResource:
        house1: {ResourceType: Load, ResourceStateFile: /resources/load1.csv}
        house2: {ResourceType: Load, ResourceStateFile: /resources/load2.csv}
        roof: {ResourceType: Generator, ResourceStateFile: /resources/pv_roof.csv}
    PythonLoad:
        flat: {duplication_count: 3, ObservedTopics: '#'}
";

#[test]
fn a_run_that_is_half_python_is_completed_stored_in_mongodb_and_served() {
    let broker = RabbitMq::start().expect("RabbitMQ");
    let store = MongoDb::start().expect("MongoDB");
    let folder = Folder::new(&[("run.yml", RUN)]);
    let url = format!("amqp://guest:guest@127.0.0.1:{}", broker.port());
    let (ours, theirs) = (shipped("configs/manifests"), shipped("hil-tests/peers/manifests"));
    let (resources, database) = (shipped("configs/simces/resources"), store.url("logs"));
    let (code, said) = folder
        .start(&[
            "platform",
            "run.yml",
            "--manifests",
            &ours,
            "--manifests",
            &theirs,
            "--resources",
            &resources,
            "--broker",
            &url,
            "--store",
            &database,
            "--wait",
        ])
        .end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("completed: all 12 epochs were run"), "{said}");
    let logs = folder.run().join("logs");
    for flat in ["flat_1", "flat_2", "flat_3"] {
        let log = std::fs::read_to_string(logs.join(format!("{flat}.log"))).expect("its log");
        let report: Value = serde_json::from_str(log.lines().last().unwrap_or_default()).expect("its report");
        assert_eq!((&report["epochs"], &report["violations"]), (&json!(12), &json!([])), "{report}");
    }

    let mut reader = folder.start(&["log-reader", "--store", &database, "--listen", "127.0.0.1:0"]);
    let address = address_of(&mut reader);
    let runs: Value = serde_json::from_str(&get(&address, "/simulations")).expect("JSON");
    let id = runs[0]["SimulationId"].as_str().expect("an id").to_owned();
    assert_eq!((&runs[0]["Epochs"], &runs[0]["Name"]), (&json!(12), &json!("mixed street")));
    let states = get(&address, &format!("/simulations/{id}/messages?topic=ResourceState.%23"));
    let states: Vec<Value> = serde_json::from_str(&states).expect("JSON");
    assert_eq!(states.len(), 6 * 12);
    let series = get(&address, &format!("/simulations/{id}/timeseries?attrs=RealPower&format=csv"));
    assert_eq!(series.lines().count(), 1 + 12, "{series}");
    assert!(series.starts_with("epoch;timestamp;ResourceState."), "{series}");
    assert_eq!(get(&address, &format!("/simulations/{id}/messages/invalid")), "[]");
}

/// Where the Log Reader says that it serves.
fn address_of(reader: &mut Running) -> String {
    let line = reader.line("serving ");
    let (_, address) = line.rsplit_once("http://").unwrap_or_else(|| panic!("no address in {line}"));
    address.trim().to_owned()
}

/// The body of an answer; anything but 200 is a failure.
fn get(address: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = format!("GET {target} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer}"));
    assert!(head.lines().next().is_some_and(|line| line.contains(" 200 ")), "{target}: {answer}");
    body.to_owned()
}
