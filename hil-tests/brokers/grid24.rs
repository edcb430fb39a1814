//! A day of a feeder, five loads and two generators in 24 epochs, over RabbitMQ: recorded on the wire by a client that
//! shares no code with ours, and compared with the same run of the public Python platform (`data/grid24-python.tsv`)
//! and, message by message, with what the wire contract demands.

use crate::foreign::{Foreign, Received};
use crate::run;
use gridloop_bus::{Bus, BusUrl, Connect, Exchange, run_exchange};
use gridloop_clock::{SharedClock, WallClock};
use gridloop_hil_tests::peers::Peer;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_platform_manager::{Configuration, Session};
use gridloop_realtime_manager::{Outcome, Pace, PacerSettings, PacerThread};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const EPOCHS: usize = 24;
const MANAGER: &str = "simulation-manager";
const PYTHON_RUN: &str = include_str!("data/grid24-python.tsv");

/// Name, category, power in the middle of the day in kW, and phase of every resource.
const RESOURCES: [(&str, &str, f64, &str); 7] = [
    ("load_1", "Load", -0.8, ""),
    ("load_2", "Load", -1.6, ""),
    ("load_3", "Load", -2.4, ""),
    ("load_4", "Load", -0.4, ""),
    ("electric_vehicle", "Load", -3.6, "2"),
    ("pv_small", "Generator", 4.0, "1"),
    ("pv_large", "Generator", 12.0, ""),
];

/// A message as the recorded run tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    topic: String,
    id: String,
    epoch: String,
    triggers: BTreeSet<String>,
    content: String,
    fields: String,
}

impl Said {
    fn sender(&self) -> &str {
        self.id.rsplit_once('-').map_or("", |(sender, _)| sender)
    }
}

/// What everybody said, each in the order of sending. Between senders there is no order that had to be the same.
fn by_sender(messages: Vec<Said>) -> BTreeMap<String, Vec<Said>> {
    let mut senders: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    for message in messages {
        senders.entry(message.sender().to_owned()).or_default().push(message);
    }
    senders
}

fn python_run() -> Vec<Said> {
    let said = |line: &str| {
        let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
        let [topic, id, epoch, triggers, content, fields] = columns.try_into().expect("six columns");
        let triggers = triggers.split_whitespace().map(str::to_owned).collect();
        Said { topic, id, epoch, triggers, content, fields }
    };
    PYTHON_RUN.lines().map(said).collect()
}

/// What a message on the wire says, in the terms of the recorded run.
fn told(received: &Received) -> Said {
    let body: Value = serde_json::from_slice(&received.body).expect("JSON");
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let window = || Some(format!("{}/{}", text("StartTime")?, text("EndTime")?));
    let field = |(name, value): (&String, &Value)| match value {
        Value::Object(block) => {
            let members: BTreeSet<_> = block.keys().map(String::as_str).collect();
            let members: Vec<_> = members.into_iter().collect();
            format!("{name}({}:{})", members.join(","), block["UnitOfMeasure"].as_str().unwrap_or_default())
        }
        _ => name.clone(),
    };
    let fields: BTreeSet<_> = body.as_object().expect("an object").iter().map(field).collect();
    let triggers = body["TriggeringMessageIds"].as_array().into_iter().flatten();
    Said {
        topic: received.routing_key.clone(),
        id: text("MessageId").expect("an id"),
        epoch: body.get("EpochNumber").map(Value::to_string).unwrap_or_default(),
        triggers: triggers.filter_map(Value::as_str).map(str::to_owned).collect(),
        content: text("SimulationState").or(text("Value")).or_else(window).unwrap_or_default(),
        fields: fields.into_iter().collect::<Vec<_>>().join(" "),
    }
}

/// A series for every resource, and the configuration of the run.
fn configuration(folder: &Path, url: &str) -> Configuration {
    let mut text = format!(
        "[simulation]\nname = \"grid24\"\ndescription = \"grid24\"\nepochs = {EPOCHS}\nepoch_length_s = 3600\n\
         initial_start_time = \"2020-06-24T21:00:00.000Z\"\n[manager]\nname = \"{MANAGER}\"\nspeed = \"max\"\n\
         [bus]\nurl = \"{url}\"\n"
    );
    for (name, category, peak_kw, node) in RESOURCES {
        let mut rows = String::from("RealPower,ReactivePower,CustomerId,Node\n");
        for hour in 0..EPOCHS {
            let _ = writeln!(rows, "{:.3},{:.3},house,{node}", power_kw(peak_kw, hour), peak_kw / 10.0);
        }
        std::fs::write(folder.join(format!("{name}.csv")), rows).expect("a series");
        let _ = write!(
            text,
            "[component.{name}]\nkind = \"static-time-series\"\nresource_type = \"{category}\"\nfile = \"{name}.csv\"\n"
        );
    }
    let file = folder.join("run.toml").display().to_string();
    Configuration::parse(&file, &text, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Power in an epoch: a peak that falls off to both sides of the day.
fn power_kw(peak_kw: f64, epoch: usize) -> f64 {
    let from_noon = f64::from(u32::try_from(epoch.abs_diff(EPOCHS / 2)).expect("an hour"));
    peak_kw * (1.0 - from_noon / 13.0)
}

/// Runs the day and gives everything that went over the exchange.
async fn record(broker: &RabbitMq) -> (SimulationId, Vec<Received>) {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = configuration(folder.path(), &broker.url());
    let wall = WallClock::start().expect("a clock");
    let clock: SharedClock = Arc::new(wall.clone());
    let id = SimulationId::new(Timestamp::from(clock.utc()));
    let exchange = run_exchange("procem.", &id.compact());
    let mut recorder = Foreign::connect(broker.port());
    recorder.declare(&exchange, false, true).expect("the flags of a run");
    recorder.listen(&exchange, "#");
    let url: BusUrl = broker.url().parse().expect("a URL");
    let connect = Connect::new(url, Exchange::run(exchange), "grid24");
    let bus = Bus::connect(&connect, clock.clone()).await.expect("a broker");
    let cancel = CancellationToken::new();
    let session = Session::new(id.clone(), bus, clock, cancel);
    let pace = Pace::Thread(PacerThread::start(wall, PacerSettings::default()).expect("a pacer"));
    let report = session.run(pace, configuration, |_| {}).await.expect("a report");
    assert_eq!(report.manager.outcome, Outcome::Completed, "{}", report.manager.reason);
    // Whatever was published is in the recorder's queue by now; the last message says that it is the last.
    let heard = tokio::task::spawn_blocking(move || {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last| told(last).content != "stopped") {
            heard.push(recorder.receive());
        }
        heard
    });
    (id, heard.await.expect("a recording"))
}

/// The values are those of the series, epoch by epoch.
fn check_values(heard: &[Received]) {
    for (name, category, peak_kw, node) in RESOURCES {
        let topic = format!("ResourceState.{category}.{name}");
        let of_this = heard.iter().filter(|message| message.routing_key == topic);
        let states: Vec<Value> = of_this.map(|it| serde_json::from_slice(&it.body).expect("JSON")).collect();
        assert_eq!(states.len(), EPOCHS);
        for (epoch, state) in states.iter().enumerate() {
            let rounded: f64 = format!("{:.3}", power_kw(peak_kw, epoch)).parse().expect("a number");
            assert_eq!(state["RealPower"]["Value"], json!(rounded), "{name} in epoch {}", epoch + 1);
            assert_eq!(state["CustomerId"], "house");
            assert_eq!(state.get("Node").map(Value::to_string).unwrap_or_default(), node);
        }
    }
}

/// Every body is for this run, is what a strict receiver takes, and carries the properties of SimCES.
async fn check_contract(id: &SimulationId, heard: &[Received]) {
    let bodies: Vec<_> = heard.iter().map(|it| String::from_utf8(it.body.clone()).expect("UTF-8")).collect();
    let (mut peer, _) = Peer::start("simces_messages.py", &[]).await.expect("a checker");
    let verdicts = peer.ask("judge", json!({"bodies": bodies})).await.expect("verdicts");
    let mut property_ids = BTreeSet::new();
    for (at, (received, body)) in heard.iter().zip(&bodies).enumerate() {
        assert_eq!(verdicts["not_to_be_sent"][at], Value::Null, "{body}");
        let message: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(message["SimulationId"], id.as_str(), "{body}");
        // Delivery mode 1, priority 0 and a message id of 32 characters, and no other property.
        let (fixed, property_id) = received.properties.split_at(5);
        assert_eq!(fixed, [0x18, 0x80, 1, 0, 32], "{body}");
        assert!(property_ids.insert(property_id.to_vec()), "an id for two messages: {body}");
    }
}

#[test]
fn the_day_of_a_feeder_is_told_as_the_python_platform_tells_it() {
    let broker = RabbitMq::start().expect("a RabbitMQ");
    run(async {
        let (id, heard) = record(&broker).await;
        check_contract(&id, &heard).await;
        check_values(&heard);
        let ours = by_sender(heard.iter().map(told).collect());
        let python = by_sender(python_run());
        assert_eq!(ours.keys().collect::<Vec<_>>(), python.keys().collect::<Vec<_>>());
        for (sender, messages) in &python {
            for (ours, python) in ours[sender].iter().zip(messages) {
                assert_eq!(ours, python);
            }
            assert_eq!(ours[sender].len(), messages.len(), "messages of {sender}");
        }
        // An epoch begins when everybody is ready, and a result stands before the ready that follows it.
        let order: Vec<_> = heard.iter().map(told).collect();
        for (at, message) in order.iter().enumerate() {
            let earlier = |id: &String| order[..at].iter().any(|before| before.id == *id);
            assert!(message.triggers.iter().all(earlier), "{message:?} answers what was not said");
        }
    });
}
