//! What the tests share: a broker, a store, a Log Writer process, and messages whose fate is known.

use bytes::Bytes;
use gridloop_bus::{Bus, BusUrl, Connect, Exchange, Keep, run_exchange};
use gridloop_clock::{SharedClock, WallClock, sleep};
use gridloop_hil_tests::mongodb::MongoDb;
use gridloop_hil_tests::peers::Peer;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_logging::Store;
use gridloop_messages::SimulationId;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const RUN: &str = "2026-03-01T08:00:00.000Z";
pub(crate) const DATABASE: &str = "logs";
/// Between two looks, and how many: one minute and a half.
const POLL: Duration = Duration::from_millis(100);
const POLLS_MAX: u32 = 900;

/// Where a writer stores.
pub(crate) enum Stored {
    Sqlite,
    MongoDb(MongoDb),
}

/// A broker, a store and a folder.
pub(crate) struct Rig {
    pub(crate) clock: SharedClock,
    pub(crate) broker: RabbitMq,
    pub(crate) store: Stored,
    pub(crate) bus: Bus,
    pub(crate) sent: Sent,
    folder: TempDir,
    log: u32,
}

/// What was published, each message once.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) valid: BTreeSet<(String, String)>,
    pub(crate) invalid: BTreeSet<(String, Vec<u8>)>,
}

impl Rig {
    /// Starts the broker and makes the queue of the writer, which keeps messages from now on.
    pub(crate) async fn start(store: Stored) -> Self {
        let clock: SharedClock = Arc::new(WallClock::start().unwrap());
        let broker = RabbitMq::start().unwrap();
        let exchange = Exchange::run(run_exchange("procem.", &run().compact()));
        let bus = connect(&broker, exchange, &clock).await;
        let keep = Keep { name: "log-writer".into(), patterns: vec!["#".into()], unacknowledged_max: 1 };
        drop(bus.subscribe_kept(keep).await.unwrap());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("run.toml"), CONFIGURATION).unwrap();
        Self { clock, broker, store, bus, sent: Sent::default(), folder, log: 0 }
    }

    pub(crate) async fn with_sqlite() -> Self {
        Self::start(Stored::Sqlite).await
    }

    pub(crate) async fn with_mongodb() -> Self {
        Self::start(Stored::MongoDb(MongoDb::start().unwrap())).await
    }

    pub(crate) fn mongodb(&mut self) -> &mut MongoDb {
        match &mut self.store {
            Stored::MongoDb(server) => server,
            Stored::Sqlite => panic!("this rig has no MongoDB"),
        }
    }

    fn store_url(&self) -> String {
        match &self.store {
            Stored::Sqlite => format!("sqlite:{}", self.folder.path().join("runs").display()),
            Stored::MongoDb(server) => server.url(DATABASE),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments of a writer of the run.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let spool = self.path("spool").display().to_string();
        [
            "log-writer",
            "run.toml",
            "--bus",
            &self.broker.url(),
            "--store",
            &self.store_url(),
            "--spool",
            &spool,
        ]
        .map(ToOwned::to_owned)
        .to_vec()
    }

    /// Starts a writer of the run.
    pub(crate) fn writer(&mut self) -> Writer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
        command.args(self.arguments()).args(["--simulation-id", RUN]);
        self.spawn(command)
    }

    /// Starts a command in the folder.
    pub(crate) fn spawn(&mut self, mut command: Command) -> Writer {
        self.log += 1;
        let [told, said] = ["err", "out"].map(|kind| self.path(&format!("writer-{}.{kind}", self.log)));
        let process = command
            .current_dir(self.folder.path())
            .env("RUST_LOG", "info,lapin=off")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&said).unwrap())
            .stderr(std::fs::File::create(&told).unwrap())
            .spawn()
            .unwrap();
        Writer { process, said, told }
    }

    /// Publishes a body and notes what must become of it.
    pub(crate) async fn publish(&mut self, topic: &str, body: impl Into<Bytes>, valid: bool) {
        let body = body.into();
        if valid {
            let text = String::from_utf8(body.to_vec()).unwrap();
            self.sent.valid.insert((topic.to_owned(), text));
        } else {
            self.sent.invalid.insert((topic.to_owned(), body.to_vec()));
        }
        self.bus.publish(topic, body).await.unwrap();
    }

    /// Publishes SimState `running` or `stopped`.
    pub(crate) async fn state(&mut self, state: &str) {
        let id = if state == "running" { 1 } else { 999_999 };
        let body = json!({"Type": "SimState", "SimulationId": RUN, "Timestamp": time(id), "SourceProcessId": "Clock",
            "MessageId": format!("Clock-{id}"), "SimulationState": state, "Name": "Valley", "Description": ""});
        self.publish("SimState", body.to_string(), true).await;
    }

    /// Waits until `holds`, or gives up with what the writer told.
    pub(crate) async fn wait_for(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        for _ in 0..POLLS_MAX {
            if holds().await {
                return;
            }
            sleep(&*self.clock, POLL).await;
        }
        panic!("waited in vain for {what}");
    }

    /// Waits until the writer ends by itself, and gives its summary.
    pub(crate) async fn end_of(&self, mut writer: Writer) -> Value {
        let status = self.status_of(&mut writer).await;
        assert!(status.success(), "{status}: {}", writer.told());
        serde_json::from_str(&writer.said()).expect("a summary")
    }

    /// Waits until the writer ends.
    pub(crate) async fn status_of(&self, writer: &mut Writer) -> ExitStatus {
        for _ in 0..POLLS_MAX {
            if let Some(status) = writer.process.try_wait().unwrap() {
                return status;
            }
            sleep(&*self.clock, POLL).await;
        }
        panic!("the writer does not end; it told: {}", writer.told());
    }

    /// Checks that exactly what was published is stored.
    pub(crate) async fn check(&self) {
        let queues = self.broker.ctl(&["list_queues", "name"]).unwrap();
        assert!(!queues.contains("gridloop.kept"), "the queue is still there: {queues}");
        match &self.store {
            Stored::Sqlite => self.check_sqlite(),
            Stored::MongoDb(server) => {
                let mut reader = reader().await;
                let sent = self.path("sent.jsonl");
                write_sent(&sent, &self.sent);
                let found = ask_to_check(&mut reader, server, &sent, self.sent.invalid.len()).await.unwrap();
                assert_eq!(found["messages"], self.sent.valid.len());
                // The judge must be able to find fault.
                let place = json!({"url": server.url(DATABASE), "database": DATABASE, "run": RUN});
                reader.ask("spoil", place).await.unwrap();
                let spoiled = ask_to_check(&mut reader, server, &sent, self.sent.invalid.len()).await;
                assert!(spoiled.is_err(), "a spoiled message was not noticed");
            }
        }
    }

    /// The file of the run.
    pub(crate) fn messages(&self) -> PathBuf {
        self.path("runs").join(run().compact()).join("messages.sqlite")
    }

    fn check_sqlite(&self) {
        let store = Store::read(&self.messages()).unwrap();
        let stored = store.messages().unwrap();
        let distinct: BTreeSet<_> = stored.iter().cloned().collect();
        assert_eq!(distinct.len(), stored.len(), "messages are stored twice");
        assert_same(&distinct, &self.sent.valid);
        let apart = store.invalid_messages().unwrap();
        let distinct: BTreeSet<_> =
            apart.iter().map(|(topic, _, body)| (topic.clone(), body.clone())).collect();
        assert_eq!(distinct.len(), apart.len(), "messages are kept apart twice");
        assert_same(&distinct, &self.sent.invalid);
    }

    /// How many documents the run has.
    pub(crate) async fn count(&self, reader: &mut Peer) -> Option<u64> {
        let Stored::MongoDb(server) = &self.store else { return None };
        let place = json!({"url": server.url(DATABASE), "database": DATABASE, "run": RUN});
        reader.ask("count", place).await.ok()?["messages"].as_u64()
    }
}

fn assert_same<T: Ord + std::fmt::Debug>(stored: &BTreeSet<T>, sent: &BTreeSet<T>) {
    let missing: Vec<_> = sent.difference(stored).take(3).collect();
    let foreign: Vec<_> = stored.difference(sent).take(3).collect();
    assert!(missing.is_empty() && foreign.is_empty(), "missing {missing:?}, never sent {foreign:?}");
}

pub(crate) async fn reader() -> Peer {
    Peer::start("log_reader_check.py", &[]).await.unwrap().0
}

async fn ask_to_check(
    reader: &mut Peer,
    server: &MongoDb,
    sent: &Path,
    invalid: usize,
) -> anyhow::Result<Value> {
    let question = json!({"url": server.url(DATABASE), "database": DATABASE, "run": RUN,
        "sent_file": sent, "invalid": invalid, "stopped": true});
    reader.ask("check", question).await
}

fn write_sent(path: &Path, sent: &Sent) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for (topic, body) in &sent.valid {
        writeln!(file, "{}", json!({"topic": topic, "body": body})).unwrap();
    }
    file.flush().unwrap();
}

pub(crate) async fn connect(broker: &RabbitMq, exchange: Exchange, clock: &SharedClock) -> Bus {
    let url: BusUrl = broker.url().parse().unwrap();
    Bus::connect(&Connect::new(url, exchange, "test"), clock.clone()).await.unwrap()
}

pub(crate) fn run() -> SimulationId {
    SimulationId::parse(RUN).unwrap()
}

/// The time of the message of that number.
pub(crate) fn time(number: u64) -> String {
    let since = gridloop_messages::Timestamp::parse(RUN).unwrap();
    since.plus(Duration::from_millis(number)).to_string()
}

/// A process of the writer, killed when it is dropped.
pub(crate) struct Writer {
    pub(crate) process: Child,
    said: PathBuf,
    told: PathBuf,
}

impl Writer {
    /// SIGKILL.
    pub(crate) fn kill9(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn term(&self) {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(&self.told).unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Messages of a run of many senders, some of them wrong, some repeated.
pub(crate) struct Traffic {
    random: fastrand::Rng,
    number: u64,
    last: Option<(String, String)>,
}

impl Traffic {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), number: 1, last: None }
    }

    /// Publishes the next message.
    pub(crate) async fn publish_one(&mut self, rig: &mut Rig) {
        self.number += 1;
        let number = self.number;
        match self.random.u8(..20) {
            0 => {
                let garbage = format!("{{\"Type\": \"Epoch\", \"broken\": {number}");
                rig.publish("Epoch", garbage, false).await;
            }
            1 => {
                let foreign = json!({"Type": "X", "SimulationId": "2020-01-01T00:00:00.000Z", "N": number});
                rig.publish("X", foreign.to_string(), false).await;
            }
            2 => {
                if let Some((topic, body)) = self.last.clone() {
                    rig.publish(&topic, body, true).await;
                }
            }
            3 => {
                let epoch = json!({"Type": "Epoch", "SimulationId": RUN, "Timestamp": time(number),
                    "SourceProcessId": "Clock", "MessageId": format!("Clock-{number}"), "EpochNumber": number / 50,
                    "TriggeringMessageIds": ["home1-1"], "StartTime": time(number), "EndTime": time(number + 1)});
                rig.publish("Epoch", epoch.to_string(), true).await;
            }
            _ => {
                let home = format!("home{}", self.random.u8(1..6));
                let power = self.random.f64() * 10.0 - 5.0;
                let mut state = json!({"Type": "ResourceState", "SimulationId": RUN, "Timestamp": time(number),
                    "SourceProcessId": home, "MessageId": format!("{home}-{number}"), "EpochNumber": number / 50,
                    "TriggeringMessageIds": ["Clock-2"], "CustomerId": "c",
                    "RealPower": {"Value": power, "UnitOfMeasure": "kW"},
                    "ReactivePower": {"Value": 0.5, "UnitOfMeasure": "kV.A{r}"}});
                if self.random.bool() {
                    state["Warnings"] = json!(["warning.input: low"]);
                }
                let (topic, body) = (format!("ResourceState.Load.{home}"), state.to_string());
                rig.publish(&topic, body.clone(), true).await;
                self.last = Some((topic, body));
            }
        }
    }
}

const CONFIGURATION: &str =
    "[simulation]\ninitial_start_time = \"2026-01-01T00:00:00Z\"\nepoch_length_s = 60.0\nepochs = 1\n";
