//! gridloop's simulated MQTT devices, and the small broker that comes with them, as mosquitto's clients see them.

use crate::rig::{clock, eventually};
use anyhow::ensure;
use gridloop_clock::SharedClock;
use gridloop_hil_tests::mosquitto::{Listener, Message, publish};
use gridloop_mqtt::simulated::{Broker, SimulatedDevice, SimulatedSettings, serve_battery};
use gridloop_mqtt::{BrokerSettings, ScanSettings, scan};
use gridloop_plant::{Battery, BatterySettings, LivePlant};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn message(retained: bool, topic: &str, payload: &str) -> Message {
    Message { retained, topic: topic.to_owned(), payload: payload.to_owned() }
}

async fn broker(clock: &SharedClock) -> anyhow::Result<Broker> {
    Ok(Broker::start(0, Arc::clone(clock)).await?)
}

#[tokio::test]
async fn the_small_broker_keeps_what_is_retained_and_delivers_by_wildcards() -> anyhow::Result<()> {
    let clock = clock()?;
    let broker = broker(&clock).await?;
    let address = broker.local_addr();
    publish(address, "hall/a/state", "first", true).await?;
    publish(address, "hall/a/state", "second", true).await?;
    publish(address, "hall/b/state", "gone", true).await?;
    publish(address, "hall/b/state", "", true).await?;
    publish(address, "hall/a/state", "not kept", false).await?;
    let mut plus = Listener::start(address, "hall/+/state").await?;
    ensure!(plus.next(|_| true).await? == message(true, "hall/a/state", "second"));
    let mut all = Listener::start(address, "#").await?;
    ensure!(all.next(|_| true).await? == message(true, "hall/a/state", "second"));
    publish(address, "hall/a/other", "elsewhere", false).await?;
    publish(address, "hall/c/state", "live", true).await?;
    ensure!(all.next(|_| true).await? == message(false, "hall/a/other", "elsewhere"));
    ensure!(all.next(|_| true).await? == message(false, "hall/c/state", "live"));
    ensure!(plus.next(|_| true).await? == message(false, "hall/c/state", "live"));
    Ok(())
}

#[tokio::test]
async fn the_small_broker_publishes_a_last_will_and_lets_a_name_in_once() -> anyhow::Result<()> {
    let clock = clock()?;
    let broker = broker(&clock).await?;
    let address = broker.local_addr();
    let mut heir = Listener::start(address, "will/#").await?;
    let with_will = |payload: &'static str| {
        ["-i", "same", "--will-topic", "will/same", "--will-qos", "1", "--will-payload", payload]
    };
    let mut dying = Listener::start_with(address, "x", &with_will("killed")).await?;
    dying.kill9()?;
    ensure!(heir.next(|_| true).await?.payload == "killed");
    let _ousted = Listener::start_with(address, "x", &with_will("ousted")).await?;
    let _second = Listener::start_with(address, "x", &["-i", "same"]).await?;
    ensure!(heir.next(|_| true).await?.payload == "ousted");
    Ok(())
}

async fn battery(
    clock: &SharedClock,
    broker: &Broker,
) -> anyhow::Result<(SimulatedDevice, LivePlant<Battery>)> {
    let plant = LivePlant::new(Battery::new(BatterySettings::typical(5000.0, 10_000.0))?, Arc::clone(clock));
    let settings = SimulatedSettings {
        telemetry_interval: Duration::from_millis(100),
        ..SimulatedSettings::new(BrokerSettings::at(broker.local_addr().into()), "lab", "bat1")
    };
    Ok((serve_battery(settings, plant.clone(), Arc::clone(clock)), plant))
}

#[tokio::test]
async fn a_simulated_battery_looks_as_the_contract_prints_it() -> anyhow::Result<()> {
    let clock = clock()?;
    let broker = broker(&clock).await?;
    let mut listener = Listener::start(broker.local_addr(), "lab/bat1/#").await?;
    let (_battery, _plant) = battery(&clock, &broker).await?;
    let about: Value = serde_json::from_str(&listener.next(|m| m.topic.ends_with("/about")).await?.payload)?;
    let expected = json!({
        "gridloop": 1,
        "identity": "gridloop simulated battery",
        "power": {"min_w": -5000.0, "max_w": 5000.0, "max_var": 5000.0, "released_w": 0.0},
        "fail_safe": {"after_s": 10.0, "to": "value"},
        "reports": true,
        "interval_s": 0.1
    });
    ensure!(about == expected, "{about}");
    let status: Value =
        serde_json::from_str(&listener.next(|m| m.topic.ends_with("/status")).await?.payload)?;
    ensure!(status["status"] == "online", "{status}");
    let mut last = 0;
    for _ in 0..3 {
        let heard = listener.next(|m| m.topic.ends_with("/telemetry")).await?;
        let telemetry: Value = serde_json::from_str(&heard.payload)?;
        ensure!(!heard.retained && telemetry["session"] == status["session"], "{telemetry}");
        ensure!(telemetry["held"] == Value::Null, "{telemetry}");
        ensure!(telemetry["points"]["state_of_charge"] == json!({"value": 50.0, "unit": "%"}), "{telemetry}");
        ensure!(telemetry["points"]["real_power"] == json!({"value": 0.0, "unit": "W"}), "{telemetry}");
        let seq = telemetry["seq"].as_u64().unwrap_or_default();
        ensure!(seq > last, "{telemetry}");
        last = seq;
    }
    Ok(())
}

#[tokio::test]
async fn a_command_of_mosquitto_pub_moves_the_simulated_battery() -> anyhow::Result<()> {
    let clock = clock()?;
    let broker = broker(&clock).await?;
    let mut acks = Listener::start(broker.local_addr(), "lab/bat1/ack").await?;
    let mut status = Listener::start(broker.local_addr(), "lab/bat1/status").await?;
    let (_battery, plant) = battery(&clock, &broker).await?;
    status.next(|message| message.payload.contains("online")).await?;
    let now = clock.utc();
    let order = json!({
        "id": "by-hand-1", "issued_at": now.to_rfc3339(), "command": "power",
        "valid_until": (now + chrono::Duration::seconds(5)).to_rfc3339(),
        "real_power_w": -1200.0, "reactive_power_var": 100.0
    });
    publish(broker.local_addr(), "lab/bat1/cmd", &order.to_string(), false).await?;
    let ack: Value = serde_json::from_str(&acks.next(|_| true).await?.payload)?;
    let held = json!({"real_power_w": -1200.0, "reactive_power_var": 100.0});
    ensure!(ack == json!({"id": "by-hand-1", "result": "accepted", "held": held}), "{ack}");
    eventually(&clock, "it charges", async || {
        Ok(plant.with(|battery| battery.outputs().real_power_w == -1200.0))
    })
    .await
}

#[tokio::test]
async fn a_scan_finds_the_simulated_battery_and_what_mosquitto_pub_left_behind() -> anyhow::Result<()> {
    let clock = clock()?;
    let broker = broker(&clock).await?;
    let (_battery, _plant) = battery(&clock, &broker).await?;
    publish(broker.local_addr(), "lab/meter/power", "{\"W\": 42}", true).await?;
    let settings =
        ScanSettings { broker: BrokerSettings::at(broker.local_addr().into()), prefix: "lab".into() };
    let report = scan(settings, Arc::clone(&clock), Duration::from_millis(800)).await?;
    ensure!(report.devices.len() == 1 && report.devices[0].online, "{report}");
    ensure!(report.devices[0].points.iter().any(|point| point.name == "state_of_charge"), "{report}");
    ensure!(report.topics.len() == 1 && report.topics[0].last == "{\"W\": 42}", "{report}");
    ensure!(report.config_block().contains("[device.bat1]"), "{}", report.config_block());
    Ok(())
}
