//! A component that shares no code with gridloop, `hil-tests/peers/simces_component.py`, takes part in a run over
//! RabbitMQ as a listed component.

use crate::run;
use anyhow::{Context, ensure};
use gridloop_clock::{Clock, WallClock};
use gridloop_hil_tests::peers::Peer;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_logging::Store;
use gridloop_messages::{Body, Decoded, SimulationId, Timestamp, decode};
use gridloop_platform_manager::{Configuration, Session, bus_for};
use gridloop_realtime_manager::{Outcome, Pace, PacerSettings, PacerThread};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "pyload";
const EPOCHS: u64 = 10;

const CONFIGURATION: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 10

[manager]
speed = 10
start_delay_s = 0
external_components = ["pyload"]

[component.house]
kind = "static-time-series"
resource_type = "Load"
file = "house.csv"

[device.pv1]
driver = "sunspec"
address = "simulated"
category = "Generator"

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 8000
irradiance_w_per_m2 = 900
"#;

#[test]
fn a_python_component_takes_part_in_a_run_and_finds_no_fault_with_the_manager() -> anyhow::Result<()> {
    let broker = RabbitMq::start()?;
    run(async {
        let folder = tempfile::tempdir()?;
        let messages = folder.path().join("messages.sqlite");
        let mut peer = run_with_the_peer(&broker, folder.path(), &messages).await?;
        let said = peer.ask("report", json!({})).await?;
        assert_eq!(said, json!({ "stopped": true, "violations": [] }));
        assert_eq!(its_powers(&messages)?, (1..=EPOCHS).map(expected_kw).collect::<Vec<_>>());
        Ok(())
    })
}

/// A whole run, in which the peer listens before the manager speaks.
async fn run_with_the_peer(broker: &RabbitMq, folder: &Path, messages: &Path) -> anyhow::Result<Peer> {
    std::fs::write(folder.join("house.csv"), house())?;
    let url = format!("bus.url={}", broker.url());
    let file = folder.join("run.toml");
    let configuration = Configuration::parse(&file.to_string_lossy(), CONFIGURATION, &[url])
        .map_err(|diagnostics| anyhow::anyhow!("{diagnostics}"))?;
    let wall = WallClock::start()?;
    let id = SimulationId::new(Timestamp::from(wall.utc()));
    let exchange = gridloop_bus::run_exchange(&configuration.bus.exchange_prefix, &id.compact());
    let (peer, _) =
        Peer::start("simces_component.py", &[&broker.url(), &exchange, id.as_str(), NAME]).await?;
    let clock = Arc::new(wall.clone());
    let bus = bus_for(&configuration, &id, "gridloop", &(clock.clone() as _)).await?;
    let cancel = CancellationToken::new();
    let messages = Some(messages.to_path_buf());
    let session = Session { messages, ..Session::new(id, bus, clock, cancel) };
    let pace = Pace::Thread(PacerThread::start(wall, PacerSettings::default())?);
    let report = session.run(pace, configuration, |_| {}).await?;
    assert_eq!(report.manager.outcome, Outcome::Completed, "{}", report.manager.reason);
    assert_eq!(report.manager.epochs.completed, EPOCHS);
    assert_eq!((report.log.invalid, report.log.shed), (0, 0));
    Ok(peer)
}

fn house() -> String {
    let rows = (0..EPOCHS).map(|_| "-1.0,-0.2,house\n");
    std::iter::once("RealPower,ReactivePower,CustomerId\n").chain(rows).collect()
}

fn expected_kw(epoch: u64) -> (u64, String) {
    (epoch, format!("{:.1}", -1.0 - f64::from(u32::try_from(epoch).unwrap_or(u32::MAX)) / 10.0))
}

/// Epoch and real power of every ResourceState of the peer in the run log, in the order of their arrival.
fn its_powers(messages: &Path) -> anyhow::Result<Vec<(u64, String)>> {
    let topic = format!("ResourceState.Load.{NAME}");
    let stored = Store::read(messages)?.messages()?;
    let of_peer = stored.iter().filter(|(at, _)| *at == topic);
    let powers = of_peer.map(|(_, body)| {
        let sender: Value = serde_json::from_str(body)?;
        ensure!(sender["SourceProcessId"] == NAME, "{body}");
        let now = Timestamp::from(chrono::DateTime::UNIX_EPOCH);
        let Decoded::Message(message) = decode(body.as_bytes(), now)? else {
            anyhow::bail!("{body}");
        };
        let epoch = message.epoch_number().context("no epoch")?;
        let Body::ResourceState(state) = message.body else { anyhow::bail!("{body}") };
        Ok((epoch, format!("{:.1}", state.real_power_kw)))
    });
    powers.collect()
}
