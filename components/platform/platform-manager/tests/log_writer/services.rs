//! How a Log Writer begins and ends: leases, environment, the management exchange.

use crate::rig::{RUN, Rig, connect, run};
use gridloop_bus::{Exchange, run_exchange};
use gridloop_logging::Store;
use serde_json::json;
use std::process::Command;

fn is_at_work(told: &str) -> bool {
    told.contains("the log is being written")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_of_a_run_refuses() {
    let mut rig = Rig::with_sqlite().await;
    let first = rig.writer();
    rig.wait_for("the first writer", async || is_at_work(&first.told())).await;
    let mut second = rig.writer();
    let status = rig.status_of(&mut second).await;
    assert_eq!(status.code(), Some(1));
    assert!(second.told().contains("another Log Writer"), "{}", second.told());
    rig.state("running").await;
    rig.state("stopped").await;
    rig.end_of(first).await;
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_started_again_after_the_end_ends_by_itself() {
    let mut rig = Rig::with_sqlite().await;
    rig.state("running").await;
    rig.state("stopped").await;
    for _ in 0..2 {
        let writer = rig.writer();
        let summary = rig.end_of(writer).await;
        assert_eq!(summary["ended"], "stopped");
    }
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_asked_to_stop_leaves_the_rest_to_the_next() {
    let mut rig = Rig::with_sqlite().await;
    let writer = rig.writer();
    rig.state("running").await;
    rig.wait_for("the writer", async || is_at_work(&writer.told())).await;
    writer.term();
    let summary = rig.end_of(writer).await;
    assert_eq!(summary["ended"], "asked");
    rig.state("stopped").await;
    let writer = rig.writer();
    rig.end_of(writer).await;
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_takes_everything_from_the_environment() {
    let mut rig = Rig::with_mongodb().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
    let (broker, server) = (rig.broker.port().to_string(), rig.mongodb().port().to_string());
    command.args(["log-writer", "--from-environment"]).envs([
        ("RABBITMQ_HOST", "127.0.0.1"),
        ("RABBITMQ_PORT", &broker),
        ("RABBITMQ_EXCHANGE", &run_exchange("procem.", &run().compact())),
        ("RABBITMQ_EXCHANGE_AUTODELETE", "True"),
        ("RABBITMQ_EXCHANGE_DURABLE", "False"),
        ("SIMULATION_ID", RUN),
        ("MONGODB_HOST", "127.0.0.1"),
        ("MONGODB_PORT", &server),
        ("MONGODB_DATABASE", crate::rig::DATABASE),
        ("MONGODB_TZ_AWARE", "True"),
        ("MESSAGE_BUFFER_MAX_DOCUMENTS", "20"),
        ("MESSAGE_BUFFER_MAX_INTERVAL", "10.0"),
        ("SIMULATION_LOG_LEVEL", "20"),
    ]);
    let writer = rig.spawn(command);
    rig.state("running").await;
    let epoch = json!({"Type": "Epoch", "SimulationId": RUN, "Timestamp": crate::rig::time(70),
        "SourceProcessId": "Clock", "MessageId": "Clock-2", "EpochNumber": 1, "TriggeringMessageIds": ["a-1"],
        "StartTime": crate::rig::time(0), "EndTime": crate::rig::time(9)});
    rig.publish("Epoch", epoch.to_string(), true).await;
    rig.state("stopped").await;
    rig.end_of(writer).await;
    rig.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_variables_and_stores_are_told_before_anything_is_touched() {
    let mut rig = Rig::with_sqlite().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
    command.args(["log-writer", "--from-environment"]).envs([
        ("RABBITMQ_PORT", "many"),
        ("SIMULATION_ID", "yesterday"),
        ("LOG_STORE", "oracle:x"),
    ]);
    let mut writer = rig.spawn(command);
    assert_eq!(rig.status_of(&mut writer).await.code(), Some(2));
    let told = writer.told();
    for name in ["RABBITMQ_PORT", "RABBITMQ_EXCHANGE", "SIMULATION_ID", "LOG_STORE"] {
        assert!(told.contains(name), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_are_stored_with_the_run_that_they_announce() {
    let mut rig = Rig::with_sqlite().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
    command.args(rig.arguments()).arg("--management");
    let writer = rig.spawn(command);
    rig.wait_for("the writer", async || is_at_work(&writer.told())).await;
    let bus = connect(&rig.broker, Exchange::management("procem-management"), &rig.clock).await;
    let start = json!({"Type": "Start", "Timestamp": RUN, "SimulationId": RUN, "SimulationSpecificExchange": "procem.x",
        "SimulationName": "Valley", "SimulationDescription": "", "ProcessParameters": {
            "SimulationManager": {"InitialStartTime": RUN, "EpochLength": 900, "MaxEpochCount": 4,
                "Components": ["grid"], "ManagerName": "Clock", "EpochTimerInterval": 45.0, "MaxEpochResendCount": 5},
            "LogWriter": {"MessageBufferMaxDocumentCount": 20, "MessageBufferMaxInterval": 10.0}}}).to_string();
    bus.publish("Start", start.clone().into()).await.unwrap();
    bus.publish("Start", "{}".into()).await.unwrap();
    bus.flush().await.unwrap();
    let stored =
        |path: &std::path::Path| Store::read(path).and_then(|store| store.messages()).unwrap_or_default();
    rig.wait_for("the announcement", async || {
        stored(&rig.messages()) == [("Start".to_owned(), start.clone())]
    })
    .await;
    let apart = rig.path("runs/management/messages.sqlite");
    rig.wait_for("what is no announcement", async || {
        Store::read(&apart).and_then(|store| store.invalid_messages()).is_ok_and(|apart| apart.len() == 1)
    })
    .await;
    writer.term();
    let summary = rig.end_of(writer).await;
    assert_eq!((&summary["ended"], &summary["stored"]), (&json!("asked"), &json!(1)));
}
