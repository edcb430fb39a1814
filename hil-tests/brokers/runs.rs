//! Faults F1 to F3 and F6 in whole runs: the broker restarts, is killed, is frozen, or the way to it is cut, while a
//! paced run with a device in the loop is going on over it. The run completes, every result is stored once, and the
//! device is told each setpoint once.

use crate::run;
use gridloop_bus::{Bus, BusUrl, Connect, Exchange, run_exchange};
use gridloop_clock::{SharedClock, WallClock, sleep};
use gridloop_hil_tests::proxy::Proxy;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_logging::Store;
use gridloop_messages::{Body, Decoded, Message, SimulationId, Timestamp, decode};
use gridloop_platform_manager::{Configuration, RunReport, Session, Told};
use gridloop_realtime_manager::{Outcome, Pace, PacerSettings, PacerThread, Progress};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const EPOCHS: u64 = 40;

const CONFIGURATION: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 0.2
epochs = 40

[component.load1]
kind = "static-time-series"
resource_type = "Load"
file = "load.csv"

[component.operator]
kind = "setpoint-series"
file = "setpoints.csv"

[device.pv1]
driver = "sunspec"
category = "Generator"
dead_man_s = 60
poll_interval_s = 0.05

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 8000
"#;

/// A run over a broker, and what it tells.
pub(crate) struct Run {
    /// Its exchange.
    pub(crate) exchange: String,
    id: SimulationId,
    folder: tempfile::TempDir,
    told: mpsc::UnboundedReceiver<Told>,
    task: tokio::task::JoinHandle<anyhow::Result<RunReport>>,
    clock: SharedClock,
}

impl Run {
    pub(crate) async fn start(url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = (0..EPOCHS).map(|_| "-1.5,0.1,c1\n").collect::<String>();
        write(folder.path(), "load.csv", &format!("RealPower,ReactivePower,CustomerId\n{rows}"));
        let setpoints = "Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage\n\
                         1,pv1,6.0,0,,\n15,pv1,3.0,0,,\n30,pv1,5.0,0,,\n";
        write(folder.path(), "setpoints.csv", setpoints);
        let name = folder.path().join("run.toml").display().to_string();
        let configuration = Configuration::parse(&name, CONFIGURATION, &[format!("bus.url={url}")]);
        let configuration = configuration.unwrap_or_else(|errors| panic!("{errors}"));
        let wall = WallClock::start().expect("a clock");
        let clock: SharedClock = Arc::new(wall.clone());
        let id = SimulationId::new(Timestamp::from(clock.utc()));
        let url: BusUrl = url.parse().expect("a URL");
        let exchange = run_exchange("procem.", &id.compact());
        let connect = Connect::new(url, Exchange::run(exchange.clone()), "run");
        let bus = Bus::connect(&connect, clock.clone()).await.expect("a broker");
        let session = Session {
            messages: Some(folder.path().join("messages.sqlite")),
            ..Session::new(id.clone(), bus, clock.clone(), CancellationToken::new())
        };
        let pace = Pace::Thread(PacerThread::start(wall, PacerSettings::default()).expect("a pacer"));
        let (tell, told) = mpsc::unbounded_channel();
        let task = tokio::spawn(session.run(pace, configuration, move |step| {
            let _ = tell.send(step);
        }));
        Self { exchange, id, folder, told, task, clock }
    }

    /// Waits until an epoch has begun.
    pub(crate) async fn reaches(&mut self, epoch: u64) {
        while let Some(step) = self.told.recv().await {
            if matches!(step, Told::Progress(Progress::EpochStarted { number, .. }) if number == epoch) {
                return;
            }
        }
        panic!("the run ended before epoch {epoch}");
    }

    /// The end of the run, with everything that must hold after it.
    pub(crate) async fn completes(self) -> RunReport {
        let report = self.task.await.expect("the run does not panic").expect("the run has a report");
        assert_eq!(report.manager.outcome, Outcome::Completed, "{}", report.manager.reason);
        assert_eq!(report.manager.epochs.completed, EPOCHS);
        let device = &report.devices[0];
        assert_eq!(device.left, "released");
        // Three commands, one release; the simulated inverter needs no refresh.
        assert_eq!(device.writes, 4, "each setpoint once: {device:#?}");
        assert_eq!(device.refused, 0);
        assert_eq!(report.log.invalid, 0);
        let stored = Store::read(&self.folder.path().join("messages.sqlite")).expect("a log");
        whole(&self.id, &stored.messages().expect("messages"));
        report
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file");
}

/// Every component has one result and one ready for every epoch; no id stands for two messages. What other runs have
/// sent is passed over.
fn whole(id: &SimulationId, messages: &[(String, String)]) {
    let now = Timestamp::parse("2026-01-01T00:00:00.000Z").expect("a time");
    let mut results: BTreeMap<(String, u64), u64> = BTreeMap::new();
    let mut ready: BTreeMap<(String, u64), u64> = BTreeMap::new();
    let mut setpoints = 0;
    for (topic, body) in messages.iter().filter(|(_, body)| body.contains(id.as_str())) {
        let Ok(Decoded::Message(Message { header, body })) = decode(body.as_bytes(), now) else {
            panic!("{topic}: not a message of a known type");
        };
        let epoch = header.epoch.map_or(0, |fields| fields.epoch_number);
        match body {
            Body::ResourceState(_) => *results.entry((header.source_process_id, epoch)).or_default() += 1,
            Body::Status(_) => *ready.entry((header.source_process_id, epoch)).or_default() += 1,
            Body::PowerSetpoint(_) => setpoints += 1,
            _ => {}
        }
    }
    assert_eq!(setpoints, EPOCHS);
    for component in ["load1", "pv1"] {
        for epoch in 1..=EPOCHS {
            let key = (component.to_owned(), epoch);
            assert_eq!(results.get(&key), Some(&1), "results of {component} for epoch {epoch}");
            assert!(ready.contains_key(&key), "ready of {component} for epoch {epoch}");
        }
    }
}

#[test]
fn a_run_survives_a_broker_that_restarts_is_killed_or_is_frozen() {
    let mut broker = RabbitMq::start().expect("a RabbitMQ");
    run(async {
        let undisturbed = Run::start(&broker.url()).await.completes().await;
        assert_eq!(undisturbed.bus.reconnects, 0);

        let mut restarted = Run::start(&broker.url()).await;
        restarted.reaches(10).await;
        broker.term().expect("TERM");
        broker.restart().expect("a restart");
        assert!(restarted.completes().await.bus.reconnects >= 1);

        let mut killed = Run::start(&broker.url()).await;
        killed.reaches(14).await;
        broker.kill9().expect("kill -9");
        broker.restart().expect("a restart");
        assert!(killed.completes().await.bus.reconnects >= 1);

        let mut frozen = Run::start(&broker.url()).await;
        frozen.reaches(29).await;
        broker.stop_signal().expect("SIGSTOP");
        sleep(&*frozen.clock, Duration::from_secs(12)).await;
        broker.continue_signal().expect("SIGCONT");
        assert!(frozen.completes().await.bus.reconnects >= 1);
    });
}

#[test]
fn a_run_survives_connections_that_are_reset() {
    let broker = RabbitMq::start().expect("a RabbitMQ");
    run(async {
        let proxy = Proxy::start(broker.port()).await.expect("a proxy");
        let mut cut = Run::start(&broker.url_at(proxy.port())).await;
        for epoch in [5, 14, 15, 29] {
            cut.reaches(epoch).await;
            proxy.reset();
        }
        assert!(cut.completes().await.bus.reconnects >= 3);
    });
}
