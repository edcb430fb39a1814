//! A manager that shares no code with gridloop, `hil-tests/peers/simces_manager.py`, drives gridloop's components over
//! RabbitMQ: a load and an operator from files, and a device behind the gateway. It loses a Status in epoch 0 and one in
//! epoch 7, so that it sends SimState and Epoch again. It judges every message as a strict receiver would.

use crate::run;
use anyhow::Context;
use gridloop_clock::{Clock, SharedClock, WallClock};
use gridloop_gateway::{Gateway, Surroundings, Timing};
use gridloop_hil_tests::peers::Peer;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_platform_manager::{Configuration, Membership, Parts, bus_for};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const MANAGER: &str = "PyClock";
const COMPONENTS: [&str; 3] = ["load1", "operator", "pv1"];
const EPOCHS: u64 = 20;

const CONFIGURATION: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 900
epochs = 20

[manager]
name = "PyClock"
speed = "max"

[component.load1]
kind = "static-time-series"
resource_type = "Load"
file = "load.csv"

[component.operator]
kind = "setpoint-series"
file = "setpoints.csv"

[device.pv1]
driver = "simulated"
mode = "armed"
category = "Generator"

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 8000
irradiance_w_per_m2 = 900
"#;

/// The whole run as the foreign manager saw it.
struct Seen {
    reason: String,
    messages: Vec<(String, Value)>,
}

impl Seen {
    /// What `source` said for `epoch`, in its order: the Value of a Status, the Type of anything else.
    fn said(&self, source: &str, epoch: u64) -> Vec<&str> {
        let messages = self.messages.iter().map(|(_, message)| message);
        messages
            .filter(|message| message["SourceProcessId"] == source && message["EpochNumber"] == epoch)
            .filter_map(|message| message["Value"].as_str().or(message["Type"].as_str()))
            .collect()
    }

    fn of<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Value> {
        self.messages.iter().map(|(_, message)| message).filter(move |message| message["Type"] == kind)
    }

    /// The Epoch messages for `epoch`, re-sends among them.
    fn epochs(&self, epoch: u64) -> Vec<&Value> {
        self.of("Epoch").filter(|message| message["EpochNumber"] == epoch).collect()
    }

    fn ids(&self, source: &str, epoch: u64, value: &str) -> Vec<&str> {
        let ready = self.of("Status").filter(|message| {
            message["SourceProcessId"] == source
                && message["EpochNumber"] == epoch
                && message["Value"] == value
        });
        ready.filter_map(|message| message["MessageId"].as_str()).collect()
    }
}

/// Runs gridloop's components under the foreign manager; `rows` is how many epochs the load knows.
async fn run_under_the_peer(broker: &RabbitMq, rows: u64, lose: Value) -> anyhow::Result<Seen> {
    let folder = tempfile::tempdir()?;
    let configuration = configuration(folder.path(), broker, rows)?;
    let wall = WallClock::start()?;
    let id = SimulationId::new(Timestamp::from(wall.utc()));
    let exchange = gridloop_bus::run_exchange(&configuration.bus.exchange_prefix, &id.compact());
    let clock: SharedClock = Arc::new(wall);
    let bus = bus_for(&configuration, &id, "gridloop", &clock).await?;
    let timing = Timing { period: None };
    let (gateway, devices) = Gateway::start(configuration.devices, Surroundings::new(timing, &clock)).await?;
    let membership = Membership { manager: Some(MANAGER.into()), ..Membership::new(&id, &bus, &clock) };
    let parts = Parts::join(configuration.components, devices, membership).await?;
    let plan = json!({
        "name": MANAGER, "components": COMPONENTS, "start_delay_s": 0.2, "lose": lose,
        "initial_start_time": "2026-06-21T12:00:00.000Z", "epoch_length_s": 900, "max_epochs": EPOCHS,
        "timer_interval_s": 1.0, "max_resends": 5,
    });
    let arguments = [&broker.url(), &exchange, id.as_str(), &plan.to_string()];
    let (mut peer, _) = Peer::start("simces_manager.py", &arguments).await?;
    assert!(parts.serve(&CancellationToken::new()).await, "every component ends by the manager's word");
    gateway.end().await;
    bus.close().await;
    let mut report = peer.ask("report", json!({})).await?;
    assert_eq!((&report["over"], &report["violations"]), (&json!(true), &json!([])));
    let messages = serde_json::from_value(report["heard"].take())?;
    Ok(Seen { reason: report["reason"].as_str().context("no reason")?.to_owned(), messages })
}

fn configuration(folder: &Path, broker: &RabbitMq, rows_known: u64) -> anyhow::Result<Configuration> {
    let rows: String = (1..=rows_known).map(|row| format!("-{row}.5,-0.25,house\n")).collect();
    std::fs::write(folder.join("load.csv"), format!("RealPower,ReactivePower,CustomerId\n{rows}"))?;
    std::fs::write(folder.join("setpoints.csv"), "Epoch,Resource,RealPower\n1,pv1,3.0\n11,pv1,2.0\n")?;
    let file = folder.join("run.toml");
    // How many epochs there really are, the foreign manager decides.
    let overrides = [format!("bus.url={}", broker.url()), format!("simulation.epochs={rows_known}")];
    Configuration::parse(&file.to_string_lossy(), CONFIGURATION, &overrides)
        .map_err(|diagnostics| anyhow::anyhow!("{diagnostics}"))
}

#[test]
fn a_python_manager_drives_our_components_through_a_run_and_finds_no_fault_with_them() -> anyhow::Result<()> {
    let broker = RabbitMq::start()?;
    run(async {
        let seen = run_under_the_peer(&broker, EPOCHS, json!([["load1", 0], ["operator", 7]])).await?;
        assert_eq!(seen.reason, "completed");
        every_epoch_is_whole(&seen);
        the_repeated_sim_state_was_answered_by_all(&seen);
        the_repeated_epoch_was_answered_by_the_one_that_was_missing(&seen);
        results_are_those_of_the_files(&seen);
        Ok(())
    })
}

/// In every epoch each component says its results once, then ready.
fn every_epoch_is_whole(seen: &Seen) {
    for epoch in 1..=EPOCHS {
        assert_eq!(seen.said("load1", epoch), ["ResourceState", "ready"], "epoch {epoch}");
        assert_eq!(seen.said("pv1", epoch), ["ResourceState", "DeviceState", "ready"], "epoch {epoch}");
        let again: &[&str] = if epoch == 7 { &["ready"] } else { &[] };
        let operator = [&["ControlState.PowerSetpoint", "ready"], again].concat();
        assert_eq!(seen.said("operator", epoch), operator, "epoch {epoch}");
    }
}

/// Contract 3.5: every repetition of `running` is answered as long as no epoch has begun.
fn the_repeated_sim_state_was_answered_by_all(seen: &Seen) {
    assert_eq!(seen.of("SimState").count(), 3, "running, running again, stopped");
    for component in COMPONENTS {
        assert_eq!(seen.ids(component, 0, "ready").len(), 2, "{component}");
        assert_ne!(seen.ids(component, 0, "ready")[0], seen.ids(component, 0, "ready")[1]);
    }
}

/// Contract 3.5 and 7.4: who finds its own last status among the triggers says nothing; who does not says ready again,
/// under a new id.
fn the_repeated_epoch_was_answered_by_the_one_that_was_missing(seen: &Seen) {
    let asked = seen.epochs(7);
    assert_eq!(asked.len(), 2);
    assert_eq!(
        (&asked[0]["StartTime"], &asked[0]["EndTime"]),
        (&asked[1]["StartTime"], &asked[1]["EndTime"])
    );
    for component in ["load1", "pv1"] {
        let ids = seen.ids(component, 7, "ready");
        assert_eq!(ids.len(), 1, "{component} was counted already");
        assert!(
            asked[1]["TriggeringMessageIds"].as_array().is_some_and(|them| them.contains(&json!(ids[0])))
        );
    }
    let operator = seen.ids("operator", 7, "ready");
    assert_eq!(operator.len(), 2);
    let last = seen.of("Status").find(|message| message["MessageId"] == operator[1]).expect("it was heard");
    assert_eq!(last["TriggeringMessageIds"], json!([asked[1]["MessageId"]]));
    assert!(
        seen.epochs(8)[0]["TriggeringMessageIds"]
            .as_array()
            .is_some_and(|it| it.contains(&json!(operator[1])))
    );
}

/// Row n in epoch n, and the operator's commands with the epoch since which they hold.
fn results_are_those_of_the_files(seen: &Seen) {
    for message in seen.of("ResourceState").filter(|message| message["SourceProcessId"] == "load1") {
        let epoch = message["EpochNumber"].as_f64().expect("a number");
        assert_eq!(message["RealPower"]["Value"].as_f64(), Some(-epoch - 0.5));
    }
    for message in seen.of("ControlState.PowerSetpoint") {
        let epoch = message["EpochNumber"].as_u64().expect("a number");
        let (since, kw) = if epoch < 11 { (1, 3.0) } else { (11, 2.0) };
        assert_eq!(message["RealPower"]["Value"].as_f64(), Some(kw));
        let changed = (since < epoch).then_some(since);
        assert_eq!(message["LastUpdatedInEpoch"].as_u64(), changed, "epoch {epoch}");
    }
}

#[test]
fn an_error_of_ours_stops_the_run_of_a_python_manager_and_says_why() -> anyhow::Result<()> {
    let broker = RabbitMq::start()?;
    run(async {
        let seen = run_under_the_peer(&broker, 5, json!([])).await?;
        assert!(seen.reason.starts_with("load1: "), "{}", seen.reason);
        assert!(seen.reason.contains("expected a row for epoch 6"), "{}", seen.reason);
        assert_eq!(seen.ids("load1", 6, "error").len(), 1);
        let last = seen.messages.last().map(|(_, message)| message["SimulationState"].clone());
        assert_eq!(last, Some(json!("stopped")));
        Ok(())
    })
}
