//! A folder of runs and a server on it.

use bytes::Bytes;
use gridloop_bus::Bus;
use gridloop_clock::{SharedClock, WallClock};
use gridloop_log_reader::{AccessLog, Server, ServerError, Settings};
use gridloop_logging::{RunLog, StoreUrl};
use gridloop_messages::SimulationId;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::client::{Answer, ask};

pub(crate) const RUN: &str = "2024-03-01T08:00:00.000Z";

/// A server at work on a folder of runs.
pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) clock: SharedClock,
    pub(crate) address: SocketAddr,
    runtime: Runtime,
    stop: CancellationToken,
}

/// A folder without a server yet.
pub(crate) struct Folder {
    pub(crate) folder: TempDir,
    clock: SharedClock,
    runtime: Runtime,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(WallClock::start().unwrap()), runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Stores messages as the log of a run does.
    pub(crate) fn store(&self, run: &str, messages: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let folder = self.path("runs").join(SimulationId::parse(run).unwrap().compact());
        std::fs::create_dir_all(&folder).unwrap();
        self.runtime.block_on(async {
            let bus = Bus::memory(None);
            let path = folder.join("messages.sqlite");
            let log = RunLog::start(&path, &bus, self.clock.clone(), false).await.unwrap();
            for (topic, body) in messages {
                bus.publish(&topic, Bytes::from(body)).await.unwrap();
            }
            assert_eq!(log.finish().await.error, None);
        });
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            store: StoreUrl::Sqlite(self.path("runs")),
            listen: "127.0.0.1:0".into(),
            access_log: AccessLog::File(self.path("access.log")),
            ..Settings::default()
        }
    }

    /// Why no server comes of these settings.
    pub(crate) fn refused(&self, settings: Settings) -> ServerError {
        self.runtime.block_on(Server::bind(settings, self.clock.clone())).err().expect("no server")
    }

    pub(crate) fn serve(self, settings: Settings) -> Rig {
        let Self { folder, clock, runtime } = self;
        let server = runtime.block_on(Server::bind(settings, clock.clone())).unwrap();
        let (address, stop) = (server.address(), CancellationToken::new());
        runtime.spawn(server.serve(stop.clone()));
        Rig { folder, clock, address, runtime, stop }
    }
}

impl Rig {
    /// A server on the small run.
    pub(crate) fn small() -> Self {
        let folder = Folder::new();
        folder.store(RUN, small());
        let settings = folder.settings();
        folder.serve(settings)
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        ask(self.address, "GET", target, &[])
    }

    /// Asks for something of the small run.
    pub(crate) fn of_run(&self, rest: &str) -> Answer {
        self.get(&format!("/simulations/{RUN}{rest}"))
    }

    /// The record of accesses so far, once it has so many lines.
    pub(crate) fn accesses(&self, count: usize) -> Vec<Value> {
        for _ in 0..600 {
            let text = std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if lines.len() >= count {
                return lines;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        panic!("fewer than {count} accesses were recorded")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
        let _inside = self.runtime.enter();
    }
}

/// A message of the run, made so many ms after its start.
pub(crate) fn message(kind: &str, source: &str, number: u32, epoch: Option<i64>, fields: Value) -> Value {
    let ms = 1 + number * 7;
    let mut message = json!({
        "Type": kind, "SimulationId": RUN, "Timestamp": format!("2024-03-01T08:{:02}:{:02}.{:03}Z", ms / 60_000 % 60, ms / 1000 % 60, ms % 1000),
        "SourceProcessId": source, "MessageId": format!("{source}-{number}"),
    });
    if let Some(epoch) = epoch {
        message["EpochNumber"] = epoch.into();
        message["TriggeringMessageIds"] = json!(["manager-1"]);
    }
    for (name, value) in fields.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

fn bytes(topic: &str, message: &Value) -> (String, Vec<u8>) {
    (topic.to_owned(), message.to_string().into_bytes())
}

/// Three epochs of a quarter of an hour with two homes, a storage without a reading in epoch 2, a warning, a phase by
/// phase grid and a message that breaks the contract.
pub(crate) fn small() -> Vec<(String, Vec<u8>)> {
    let state = |number, word: &str| {
        message(
            "SimState",
            "manager",
            number,
            None,
            json!({"SimulationState": word, "Name": "Valley <b>", "Description": "two homes"}),
        )
    };
    let mut messages = vec![bytes("SimState", &state(1, "running"))];
    let mut number = 1;
    let mut next = || {
        number += 1;
        number
    };
    let ready = message("Status", "home1", next(), Some(0), json!({"Value": "ready"}));
    messages.push(bytes("Status.Ready", &ready));
    for epoch in 1..=3 {
        let times = json!({"StartTime": format!("2023-02-01T00:{:02}:00.000Z", (epoch - 1) * 15), "EndTime": format!("2023-02-01T00:{:02}:00.000Z", epoch * 15)});
        messages.push(bytes("Epoch", &message("Epoch", "manager", next(), Some(epoch), times)));
        for (home, kilowatts) in [("home1", -0.8), ("home2", -1.25)] {
            let mut fields = json!({"CustomerId": "c7", "RealPower": {"Value": kilowatts, "UnitOfMeasure": "kW"}, "ReactivePower": {"Value": 0.0, "UnitOfMeasure": "kV.A{r}"}});
            if epoch == 2 && home == "home1" {
                fields["Warnings"] = json!(["warning.input"]);
            }
            let state = message("ResourceState", home, next(), Some(epoch), fields);
            messages.push(bytes(&format!("ResourceState.Load.{home}"), &state));
        }
        for phase in 1..=3 {
            let fields = json!({"Bus": "b1", "Node": phase, "Volts": 230.5 + f64::from(phase)});
            messages.push(bytes("Measured.b1", &message("Measured", "grid", next(), Some(epoch), fields)));
        }
    }
    messages.push(("Odd".into(), b"\xff{not json".to_vec()));
    messages.push(("Status.Ready".into(), b"{\"Type\": \"Status\"}".to_vec()));
    messages.push(bytes("SimState", &state(next(), "stopped")));
    messages
}
