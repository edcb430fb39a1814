//! Memory of a component as a process of its own, in MiB of resident memory while it waits for an epoch. The floor is a
//! process that holds the same two-way AMQP connection with the same client library and does nothing else: this
//! program, started again as [`bystander`].

use crate::figure::{Figure, alternate};
use anyhow::{Context, bail, ensure};
use gridloop_bus::bare::listen_only;
use gridloop_bus::{Bus, BusUrl, Connect, Event, Exchange, Subscribe, WhenFull};
use gridloop_clock::{SharedClock, sleep, until};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{SimulationId, Timestamp};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) const COMPONENT: &str = "memory_mib_component";
/// How this program is told to be the floor.
pub(crate) const BYSTANDER: &str = "GRIDLOOP_BENCH_BYSTANDER";

/// Between being ready and being measured.
const SETTLE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn of_a_component(clock: &SharedClock) -> anyhow::Result<Figure> {
    let broker = tokio::task::block_in_place(RabbitMq::start)?;
    let gridloop = gridloop()?;
    let work = async || {
        let id = SimulationId::new(Timestamp::from(clock.utc()));
        let exchange = format!("procem.{}", id.compact());
        let process = Command::new(&gridloop)
            .args(["component", "--from-environment", "--kind", "dummy"])
            .env("RABBITMQ_HOST", "127.0.0.1")
            .env("RABBITMQ_PORT", broker.port().to_string())
            .env("RABBITMQ_EXCHANGE", &exchange)
            .env("RABBITMQ_EXCHANGE_AUTODELETE", "true")
            .env("RABBITMQ_EXCHANGE_DURABLE", "false")
            .env("SIMULATION_ID", id.as_str())
            .env("SIMULATION_COMPONENT_NAME", "dummy")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("gridloop does not start")?;
        let process = Killed(process);
        wait_for_ready(&broker, &id, &exchange, clock).await?;
        sleep(&**clock, SETTLE).await;
        resident_mib(&process)
    };
    let floor = async || {
        let process = Command::new(std::env::current_exe()?)
            .env(BYSTANDER, broker.url())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("the floor does not start")?;
        let process = Killed(process);
        sleep(&**clock, 2 * SETTLE).await;
        resident_mib(&process)
    };
    alternate(COMPONENT, "MiB, less is better", work, floor).await
}

/// What the floor does: it listens, until it is killed.
pub(crate) async fn bystander(url: &str) -> anyhow::Result<()> {
    let BusUrl::Amqp(url) = url.parse()? else { bail!("{url} is no broker") };
    listen_only(&url, "procem.floor").await?;
    Ok(())
}

/// The command, which `hil-tests/bench/run` builds beside this program.
pub(crate) fn gridloop() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("gridloop");
    ensure!(path.is_file(), "{} is missing: use hil-tests/bench/run", path.display());
    Ok(path)
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Announces the run until the component answers.
async fn wait_for_ready(
    broker: &RabbitMq,
    id: &SimulationId,
    exchange: &str,
    clock: &SharedClock,
) -> anyhow::Result<()> {
    let connect = Connect::new(broker.url().parse()?, Exchange::run(exchange), "bench");
    let bus = Bus::connect(&connect, clock.clone()).await?;
    let answers = Subscribe {
        name: "bench".into(),
        patterns: vec!["Status.Ready".into()],
        capacity: 16,
        when_full: WhenFull::Wait,
    };
    let mut answers = bus.subscribe(answers).await?;
    let give_up = clock.now() + PATIENCE;
    for n in 1.. {
        ensure!(clock.now() < give_up, "the component did not answer");
        let running = format!(
            r#"{{"Type":"SimState","SimulationId":"{id}","Timestamp":"{id}","SourceProcessId":"manager","MessageId":"manager-{n}","SimulationState":"running"}}"#
        );
        bus.publish("SimState", running.into()).await?;
        let soon = clock.now() + SETTLE;
        if let Some(Some(Event::Message(_))) = until(&**clock, soon, answers.recv()).await {
            break;
        }
    }
    bus.close().await;
    Ok(())
}

/// `VmRSS` of a process.
fn resident_mib(process: &Killed) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmRSS")?;
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}
