//! The Log Writer: messages that wait in its queue until all of them are durable in its store. The floor is inserting
//! the same bodies into the same kind of store, in batches of the same size, from memory.

use crate::figure::{Figure, alternate, per_second};
use anyhow::{Context, ensure};
use gridloop_bus::{Bus, BusUrl, Connect, Exchange};
use gridloop_clock::{MonoTime, SharedClock, sleep};
use gridloop_hil_tests::mongodb::MongoDb;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_logging::archive::Archive;
use gridloop_logging::bare::{insert_into_mongodb, insert_into_sqlite};
use gridloop_logging::{StoreUrl, WriterSettings, run_log_writer};
use gridloop_messages::{SimulationId, Timestamp};
use std::path::Path;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SQLITE: &str = "log_writer_per_s_sqlite";
pub(crate) const MONGODB: &str = "log_writer_per_s_mongodb";
const UNIT: &str = "messages/s";

/// Messages of a block.
const MESSAGES: u32 = 20_000;
/// Messages that are stored together, which is what the Log Writer does.
const BATCH: usize = 1000;
/// Between two looks whether the last message is stored.
const LOOK: Duration = Duration::from_millis(2);
/// A block that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn into_sqlite(clock: &SharedClock) -> anyhow::Result<Figure> {
    let broker = tokio::task::block_in_place(RabbitMq::start)?;
    let work = async || {
        let folder = tempfile::tempdir()?;
        stored_per_s(&broker, StoreUrl::Sqlite(folder.path().join("runs")), folder.path(), clock).await
    };
    let floor = async || {
        let folder = tempfile::tempdir()?;
        let bodies = bodies(&new_run(clock))?;
        let began = clock.now();
        tokio::task::block_in_place(|| insert_into_sqlite(&folder.path().join("bare"), &bodies, BATCH))?;
        Ok(per_second(MESSAGES, clock.now().since(began)))
    };
    alternate(SQLITE, UNIT, work, floor).await
}

pub(crate) async fn into_mongodb(clock: &SharedClock) -> anyhow::Result<Figure> {
    let broker = tokio::task::block_in_place(RabbitMq::start)?;
    let store = tokio::task::block_in_place(MongoDb::start)?;
    let work = async || {
        let folder = tempfile::tempdir()?;
        stored_per_s(&broker, store.url("logs").parse()?, folder.path(), clock).await
    };
    let floor = async || {
        let bodies = bodies(&new_run(clock))?;
        let began = clock.now();
        insert_into_mongodb(&store.url("bare"), &bodies, BATCH).await?;
        Ok(per_second(MESSAGES, clock.now().since(began)))
    };
    alternate(MONGODB, UNIT, work, floor).await
}

/// A Log Writer is started and stopped so that its queue is there, the messages are sent, and it is started again.
async fn stored_per_s(
    broker: &RabbitMq,
    store: StoreUrl,
    folder: &Path,
    clock: &SharedClock,
) -> anyhow::Result<f64> {
    let id = new_run(clock);
    let url: BusUrl = broker.url().parse()?;
    let exchange = Exchange::run(format!("procem.{}", id.compact()));
    let bus = Bus::connect(&Connect::new(url, exchange, "bench"), clock.clone()).await?;
    let settings = WriterSettings::new(Some(id.clone()), store.clone(), folder.join("spool"));
    let (stop, first) = start(settings.clone(), bus.session(), clock).await?;
    stop.cancel();
    first.await??;
    for body in bodies(&id)? {
        bus.publish("ResourceState.Load.house", body.into()).await?;
    }
    bus.publish("SimState", stopped(&id).into()).await?;
    bus.flush().await?;
    let archive = Archive::open(&store).await?;
    let began = clock.now();
    let (stop, second) = start(settings, bus.session(), clock).await?;
    let ended = all_is_stored(&archive, &id, clock).await?;
    stop.cancel();
    second.await??;
    bus.close().await;
    Ok(per_second(MESSAGES, ended.since(began)))
}

type Writing = JoinHandle<anyhow::Result<()>>;

/// Starts a Log Writer; gives what stops it.
async fn start(
    settings: WriterSettings,
    bus: Bus,
    clock: &SharedClock,
) -> anyhow::Result<(CancellationToken, Writing)> {
    let (stop, clock) = (CancellationToken::new(), clock.clone());
    let (ready, is_ready) = oneshot::channel();
    let told = stop.clone();
    let writing = tokio::spawn(async move {
        let ready = move || {
            // Whoever started this waits for it.
            let _ = ready.send(());
        };
        run_log_writer(settings, bus, clock, told, ready).await?;
        Ok(())
    });
    is_ready.await.context("the Log Writer ended before it began")?;
    Ok((stop, writing))
}

/// The instant at which the run's last message, SimState `stopped`, is seen in the store.
async fn all_is_stored(
    archive: &Archive,
    id: &SimulationId,
    clock: &SharedClock,
) -> anyhow::Result<MonoTime> {
    let give_up = clock.now() + PATIENCE;
    while clock.now() < give_up {
        let run = archive.run(id.as_str()).await?;
        if run.is_some_and(|run| run.get("EndTime").is_some_and(serde_json::Value::is_string)) {
            return Ok(clock.now());
        }
        sleep(&**clock, LOOK).await;
    }
    anyhow::bail!("not everything was stored within {} s", PATIENCE.as_secs())
}

fn new_run(clock: &SharedClock) -> SimulationId {
    SimulationId::new(Timestamp::from(clock.utc()))
}

/// ResourceStates of a house, as they are on the wire.
pub(crate) fn bodies(id: &SimulationId) -> anyhow::Result<Vec<String>> {
    let bodies: Vec<String> = (1..=MESSAGES).map(|n| body(id, n)).collect();
    ensure!(bodies.iter().all(|body| body.is_ascii()), "a body is not as it should be");
    Ok(bodies)
}

pub(crate) fn body(id: &SimulationId, n: u32) -> String {
    format!(
        r#"{{"Type":"ResourceState","SimulationId":"{id}","Timestamp":"{id}","SourceProcessId":"house","MessageId":"house-{n}","EpochNumber":{n},"TriggeringMessageIds":["manager-{n}"],"CustomerId":"house","RealPower":{{"Value":-1.25,"UnitOfMeasure":"kW"}},"ReactivePower":{{"Value":-0.25,"UnitOfMeasure":"kV.A{{r}}"}}}}"#
    )
}

fn stopped(id: &SimulationId) -> String {
    format!(
        r#"{{"Type":"SimState","SimulationId":"{id}","Timestamp":"{id}","SourceProcessId":"manager","MessageId":"manager-0","SimulationState":"stopped"}}"#
    )
}
