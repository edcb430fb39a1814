//! The driver before a device that keeps the contract in its own way, or does not keep it.

use super::*;
use crate::simulated::Broker;
use crate::wire::{Presence, Status, Telemetry, to_json};
use gridloop_clock::{WallClock, sleep};
use gridloop_device::{Quality, Unit, point};

/// How the scripted device behaves.
#[derive(Debug, Clone)]
struct Script {
    reports: bool,
    talks: bool,
    /// Whether a reading of its own follows each answer at once.
    chatty: bool,
    gone: bool,
    held: Option<Held>,
    /// The answer to a command, made from its id.
    answer: fn(&str) -> Vec<Ack>,
    /// Sent instead of a sound reading.
    instead: Option<&'static str>,
}

struct Scripted {
    script: Arc<Mutex<Script>>,
    topics: Topics,
    seq: u64,
    due: MonoTime,
    clock: SharedClock,
}

const TOLD: Held = Held { real_power_w: 100.0, reactive_power_var: 0.0 };

fn accepted(id: &str) -> Vec<Ack> {
    vec![Ack { id: id.into(), result: Outcome::Accepted, reason: None, held: Some(TOLD) }]
}

impl Scripted {
    fn say(&self, part: Part, payload: Vec<u8>, retained: bool) -> Publication {
        Publication { topic: self.topics.of(part), payload, retained, assured: true }
    }

    fn reading(&mut self, script: &Script, request: Option<String>) -> Publication {
        self.seq += 1;
        let telemetry = Telemetry {
            ts: self.clock.utc(),
            session: "s".into(),
            seq: self.seq,
            request,
            held: script.held,
            points: vec![("real_power".into(), 42.0, Unit::Watt, Quality::Good)],
        };
        let payload = script.instead.map_or_else(|| telemetry.to_json(), |text| text.as_bytes().to_vec());
        self.say(Part::Telemetry, payload, false)
    }
}

impl Peer for Scripted {
    fn connected(&mut self, _now: MonoTime) -> Vec<Publication> {
        let reports = self.script.lock().unwrap().reports;
        let about = format!(
            r#"{{"gridloop":1,"identity":"scripted","reports":{reports},"interval_s":0.2,
                "power":{{"min_w":-1000,"max_w":1000,"max_var":0,"released_w":0}}}}"#
        );
        let online = Status { status: Presence::Online, session: "s".into() };
        vec![self.say(Part::About, about.into_bytes(), true), self.say(Part::Status, to_json(&online), true)]
    }

    fn heard(&mut self, message: &Publish, _now: MonoTime) -> Vec<Publication> {
        let order = Order::parse(&message.payload).unwrap();
        let script = self.script.lock().unwrap().clone();
        if order.action == Action::Report {
            let mut said = vec![self.reading(&script, Some(order.id))];
            said.extend(script.chatty.then(|| self.reading(&script, None)));
            return said;
        }
        (script.answer)(&order.id).iter().map(|ack| self.say(Part::Ack, to_json(ack), false)).collect()
    }

    fn due(&self) -> Option<MonoTime> {
        Some(self.due)
    }

    fn tick(&mut self, now: MonoTime) -> Vec<Publication> {
        self.due = now + Duration::from_millis(100);
        let script = self.script.lock().unwrap().clone();
        if script.gone {
            let offline = Status { status: Presence::Offline, session: "s".into() };
            return vec![self.say(Part::Status, to_json(&offline), true)];
        }
        if script.talks { vec![self.reading(&script, None)] } else { Vec::new() }
    }
}

struct Bench {
    clock: SharedClock,
    broker: Broker,
    script: Arc<Mutex<Script>>,
    _device: Session,
}

/// Waits for something, ten seconds at most.
async fn eventually(clock: &SharedClock, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        sleep(&**clock, Duration::from_millis(10)).await;
    }
    panic!("it never came");
}

impl Bench {
    async fn start(change: impl FnOnce(&mut Script)) -> Self {
        let clock: SharedClock = Arc::new(WallClock::start().unwrap());
        let broker = Broker::start(0, Arc::clone(&clock)).await.unwrap();
        let mut script = Script {
            reports: false,
            talks: true,
            chatty: false,
            gone: false,
            held: None,
            answer: accepted,
            instead: None,
        };
        change(&mut script);
        let script = Arc::new(Mutex::new(script));
        let topics = Topics::new("lab", "odd");
        let filters = vec![topics.of(Part::Command)];
        let device = Scripted {
            script: Arc::clone(&script),
            topics,
            seq: 0,
            due: clock.now(),
            clock: Arc::clone(&clock),
        };
        let hello = Hello { client_id: "odd".into(), will: None, filters };
        let at = BrokerSettings::at(broker.local_addr().into());
        let session = Session::open(&at, hello, device, &clock, Duration::from_secs(5)).await.unwrap();
        Self { clock, broker, script, _device: session }
    }

    async fn connected(&self) -> MqttDevice {
        let settings = MqttSettings {
            broker: BrokerSettings::at(self.broker.local_addr().into()),
            prefix: "lab".into(),
            device_id: "odd".into(),
            timeout: Duration::from_secs(1),
        };
        let mut driver = MqttDevice::new(settings, Arc::clone(&self.clock));
        for _ in 0..200 {
            if driver.connect().await.is_ok() {
                return driver;
            }
            sleep(&*self.clock, Duration::from_millis(20)).await;
        }
        panic!("{:?}", driver.connect().await)
    }

    fn setpoint(&self) -> Setpoint {
        let now = self.clock.now();
        let command = Command::from(TOLD);
        Setpoint { command, epoch: 1, received_at: now, expires_at: now + Duration::from_mins(1), order: 0 }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_only_talks_at_its_own_interval_is_read_with_its_age_and_lost_when_silent() {
    let bench = Bench::start(|_| ()).await;
    let mut driver = bench.connected().await;
    let reading = driver.read().await.unwrap();
    let sample = reading.get(point::REAL_POWER).unwrap();
    assert_eq!((sample.value, sample.quality), (42.0, Quality::Good));
    assert!(sample.sampled_at <= bench.clock.now());
    bench.script.lock().unwrap().talks = false;
    let begun = bench.clock.now();
    let lost = loop {
        match driver.read().await {
            Ok(reading) => {
                let at = reading.get(point::REAL_POWER).unwrap().sampled_at;
                assert!(
                    bench.clock.now().since(at) <= Duration::from_secs(1),
                    "an old value as if it were new"
                );
                sleep(&*bench.clock, Duration::from_millis(10)).await;
            }
            Err(error) => break error,
        }
        assert!(bench.clock.now().since(begun) < Duration::from_secs(10));
    };
    assert!(matches!(lost, DeviceError::Timeout { .. }), "{lost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_goes_on_talking_after_its_answer_is_read() {
    let bench = Bench::start(|script| (script.reports, script.chatty) = (true, true)).await;
    let mut driver = bench.connected().await;
    for _ in 0..50 {
        driver.read().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_young_value_of_a_device_that_is_gone_is_no_reading() {
    let bench = Bench::start(|_| ()).await;
    let mut driver = bench.connected().await;
    driver.read().await.unwrap();
    let heard = Arc::clone(&driver.link.as_ref().unwrap().heard);
    bench.script.lock().unwrap().gone = true;
    eventually(&bench.clock, || heard.lock().unwrap().online() == Some(false)).await;
    let gone = driver.read().await;
    assert!(matches!(gone, Err(DeviceError::Disconnected { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_young_value_is_no_reading_once_the_connection_is_lost() {
    let bench = Bench::start(|_| ()).await;
    let clock = Arc::clone(&bench.clock);
    let mut driver = bench.connected().await;
    driver.read().await.unwrap();
    let changed = driver.link.as_ref().unwrap().changed.clone();
    drop(bench);
    eventually(&clock, || changed.has_changed().is_err()).await;
    let lost = driver.read().await;
    assert!(matches!(lost, Err(DeviceError::Disconnected { .. })), "{lost:?}");
}

#[test]
fn each_power_is_compared_at_the_resolution_of_its_own_range() {
    let nameplate =
        Some(PowerNameplate { min_w: -50_000.0, max_w: 50_000.0, max_var: 1000.0, released_w: 0.0 });
    for (held_var, is) in [(119.0, true), (121.0, false)] {
        let told = Held { real_power_w: 0.0, reactive_power_var: 100.0 };
        let held = Held { real_power_w: 999.0, reactive_power_var: held_var };
        assert_eq!(close(told, held, nameplate), is);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_something_else_is_no_answer() {
    let bench = Bench::start(|script| script.answer = |_| accepted("somebody-elses")).await;
    let mut driver = bench.connected().await;
    let unknown = driver.apply(&bench.setpoint()).await;
    assert!(matches!(unknown, Err(DeviceError::Timeout { .. })), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_accepts_and_holds_something_else_is_not_believed() {
    for held in [None, Some(Held { real_power_w: 500.0, ..TOLD })] {
        let answer: fn(&str) -> Vec<Ack> = match held {
            None => |id| vec![Ack { held: None, ..accepted(id).remove(0) }],
            Some(_) => |id| {
                let held = Some(Held { real_power_w: 500.0, ..TOLD });
                vec![Ack { held, ..accepted(id).remove(0) }]
            },
        };
        let bench = Bench::start(|script| script.answer = answer).await;
        let mut driver = bench.connected().await;
        let odd = driver.apply(&bench.setpoint()).await;
        assert!(matches!(odd, Err(DeviceError::Malformed { .. })), "{odd:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_keeps_the_link_and_its_reason() {
    let refuse: fn(&str) -> Vec<Ack> = |id| {
        let reason = Some("the key switch says local".to_owned());
        vec![Ack { id: id.into(), result: Outcome::Refused, reason, held: None }]
    };
    let bench = Bench::start(|script| script.answer = refuse).await;
    let mut driver = bench.connected().await;
    let refused = driver.apply(&bench.setpoint()).await.unwrap_err();
    assert!(refused.keeps_link() && refused.to_string().contains("key switch"), "{refused}");
    driver.read().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_lost_only_when_a_later_reading_says_so() {
    let bench = Bench::start(|script| script.reports = true).await;
    let mut driver = bench.connected().await;
    let confirmed = Ok(Applied::Confirmed { readback: TOLD.into() });
    assert_eq!(driver.apply(&bench.setpoint()).await, confirmed);
    bench.script.lock().unwrap().held = Some(TOLD);
    driver.read().await.unwrap();
    assert_eq!(driver.apply(&bench.setpoint()).await, confirmed);
    bench.script.lock().unwrap().held = None;
    driver.read().await.unwrap();
    assert_eq!(driver.apply(&bench.setpoint()).await, Ok(Applied::Restored { readback: TOLD.into() }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_makes_no_sense_is_malformed_and_told() {
    let bench = Bench::start(|script| script.reports = true).await;
    let mut driver = bench.connected().await;
    bench.script.lock().unwrap().instead = Some("{\"ts\": \"now\"}");
    let nonsense = driver.read().await.unwrap_err();
    assert!(
        matches!(&nonsense, DeviceError::Malformed { reason, .. } if reason.contains("telemetry")),
        "{nonsense}"
    );
}
