//! F25: the permissions that `docs/how-to/rabbitmq.md` gives each role are enough for a whole run with a device, and no
//! role may do another's part. The commands are taken from that page and given to a real broker.

use crate::contract::{clock, listen, soon};
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Bus, BusError, Connect, Event, Exchange, Keep, run_exchange};
use gridloop_clock::{SharedClock, WallClock};
use gridloop_gateway::{Gateway, Surroundings, Timing};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_logging::RunLog;
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_platform_manager::{Configuration, Membership, Parts};
use gridloop_realtime_manager::{Outcome, Pace};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const PAGE: &str = include_str!("../../docs/how-to/rabbitmq.md");
const EPOCHS: u64 = 10;

const CONFIGURATION: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 60
epochs = 10

[manager]
speed = "max"
start_delay_s = 0

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
"#;

/// Gives the broker the commands between two markers of the page.
fn apply(broker: &RabbitMq, block: &str, exchange: &str) {
    let begin = PAGE.split_once(&format!("<!-- {block}: begin -->")).expect("the beginning of the block").1;
    let commands = begin.split_once(&format!("<!-- {block}: end -->")).expect("the end of the block").0;
    let mut count = 0;
    for command in commands.lines().filter_map(|line| line.strip_prefix("rabbitmqctl ")) {
        let command = command.replace("PASSWORD", "secret").replace("EXCHANGE", exchange);
        let words: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
        broker.ctl(&words).unwrap_or_else(|error| panic!("{command}: {error}"));
        count += 1;
    }
    assert!(count > 3, "the page has lost its commands");
}

/// A broker with the users of the page, and a run on it.
struct Laboratory {
    broker: RabbitMq,
    id: SimulationId,
    exchange: String,
    clock: SharedClock,
}

impl Laboratory {
    fn open() -> Self {
        let broker = RabbitMq::start().expect("a broker");
        let clock: SharedClock = Arc::new(WallClock::start().expect("a clock"));
        let id = SimulationId::new(Timestamp::from(clock.utc()));
        let exchange = run_exchange("procem.", &id.compact());
        apply(&broker, "permissions", &exchange);
        apply(&broker, "topics", &exchange);
        Self { broker, id, exchange, clock }
    }

    async fn on(&self, exchange: Exchange, user: &str) -> Bus {
        let url = self.broker.url_for(user, "secret").parse().expect("a URL");
        let connecting = Connect::new(url, exchange, user);
        soon("a session", Bus::connect(&connecting, self.clock.clone())).await.expect("a session")
    }

    async fn session(&self, user: &str) -> Bus {
        self.on(Exchange::run(self.exchange.clone()), user).await
    }

    async fn announcements(&self, user: &str) -> Bus {
        self.on(Exchange::management("procem-management"), user).await
    }
}

#[test]
fn the_permissions_of_the_documentation_are_enough_for_a_run_and_for_nothing_else() {
    let laboratory = Laboratory::open();
    run(async {
        a_run_is_announced_and_heard_of(&laboratory).await;
        a_whole_run_completes(&laboratory).await;
        nobody_does_what_is_the_managers(&laboratory).await;
    });
}

async fn a_run_is_announced_and_heard_of(laboratory: &Laboratory) {
    let (platform, log) =
        (laboratory.announcements("platform-manager").await, laboratory.announcements("log-writer").await);
    let mut heard = listen(&log, &["#"]).await;
    platform.publish("Start", Bytes::from_static(b"{}")).await.expect("taken over");
    platform.flush().await.expect("published");
    assert!(matches!(soon("the announcement", heard.recv()).await, Some(Event::Message(_))));
    let follower = laboratory.session("platform-manager").await;
    drop(listen(&follower, &["#"]).await);
    for bus in [platform, log, follower] {
        bus.close().await;
    }
}

async fn a_whole_run_completes(laboratory: &Laboratory) {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = configuration(folder.path());
    let clock = &laboratory.clock;
    let log = laboratory.session("log-writer").await;
    let _only = log.lease("log-writer").await.expect("the lease of the log");
    let keep = Keep { name: "log-writer".into(), patterns: vec!["#".into()], unacknowledged_max: 10 };
    let kept = log.subscribe_kept(keep).await.expect("a kept subscription");
    let stored: PathBuf = folder.path().join("messages.sqlite");
    let writing = RunLog::start(&stored, &log, clock.clone(), false).await.expect("a log");

    let settings = configuration.manager_settings(&laboratory.id, false);
    let name = settings.name.clone();
    let (gateway, devices) =
        Gateway::start(configuration.devices, Surroundings::new(Timing { period: None }, clock))
            .await
            .expect("a gateway");
    let buses = [laboratory.session("component").await, laboratory.session("gateway").await];
    let on = |bus| Membership { manager: Some(name.clone()), ..Membership::new(&laboratory.id, bus, clock) };
    let components = Parts::join(configuration.components, Vec::new(), on(&buses[0]));
    let bridges = Parts::join(Vec::new(), devices, on(&buses[1]));
    let (components, bridges) = (components.await.expect("components"), bridges.await.expect("bridges"));
    let manager = laboratory.session("manager").await;
    let pace = Pace::Clock(clock.clone());
    let cancel = CancellationToken::new();
    let managing =
        gridloop_realtime_manager::run(settings, manager.clone(), clock.clone(), pace.into(), cancel, |_| {});
    let report = soon("the run", managing).await.expect("a report");
    assert_eq!(report.outcome, Outcome::Completed, "{}", report.reason);
    assert_eq!(report.epochs.completed, EPOCHS);
    let never = CancellationToken::new();
    assert!(soon("the components", components.serve(&never)).await);
    assert!(soon("the devices", bridges.serve(&never)).await);
    gateway.end().await;
    manager.flush().await.expect("everything said");
    let counts = writing.finish().await;
    assert!(counts.stored > 3 * EPOCHS && counts.invalid == 0, "{counts:?}");
    kept.end().await.expect("the kept queue is deleted");
    for bus in buses.into_iter().chain([manager, log]) {
        bus.close().await;
    }
}

async fn nobody_does_what_is_the_managers(laboratory: &Laboratory) {
    for user in ["component", "gateway"] {
        for topic in ["SimState", "Epoch"] {
            let bus = laboratory.session(user).await;
            bus.publish(topic, Bytes::from_static(b"{}")).await.expect("taken over");
            assert_refused(bus.flush().await, topic);
        }
        let bus = laboratory.session(user).await;
        assert_refused(bus.lease("manager").await.map(drop), "gridloop.lease.");
        bus.close().await;
    }
    let viewer = laboratory.session("log-writer").await;
    viewer.publish("Status.Ready", Bytes::from_static(b"{}")).await.expect("taken over");
    assert_refused(viewer.flush().await, &laboratory.exchange);
    let connect = |user: &str| {
        let url = laboratory.broker.url_for(user, "secret").parse().expect("a URL");
        Connect::new(url, Exchange::management("procem-management"), user)
    };
    let refused = soon("a refusal", Bus::connect(&connect("component"), clock())).await;
    assert_refused(refused.map(drop), "procem-management");
}

fn assert_refused(result: Result<(), BusError>, about: &str) {
    let Err(BusError::Permission { said }) = &result else {
        panic!("expected a missing permission, got {result:?}");
    };
    assert!(said.contains(about), "`{about}` is missing in: {said}");
}

fn configuration(folder: &Path) -> Configuration {
    let rows = (0..EPOCHS).map(|_| "-1.5,0.1,c1\n").collect::<String>();
    let load = format!("RealPower,ReactivePower,CustomerId\n{rows}");
    std::fs::write(folder.join("load.csv"), load).expect("a file");
    let setpoints = "Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage\n1,pv1,3.0,0,,\n";
    std::fs::write(folder.join("setpoints.csv"), setpoints).expect("a file");
    let name = folder.join("run.toml").display().to_string();
    Configuration::parse(&name, CONFIGURATION, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}
