//! Mapped equipment, played by a client that behaves as OpenDTU says it does, behind the small broker.

use super::*;
use crate::simulated::Broker;
use futures_util::{SinkExt, StreamExt};
use gridloop_clock::{WallClock, sleep};
use gridloop_device::{Quality, point};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Codec, ConnAck, ConnectReturnCode, Packet, SubAck, SubscribeReasonCode};
use tokio_util::codec::Framed;

const OPENDTU: &str = include_str!("../../../../configs/devices/mqtt-opendtu.toml");

/// What the equipment does.
#[derive(Debug, Clone, Default)]
struct Manner {
    /// Commands that were heard.
    commands: Vec<String>,
    /// Whether it follows them, and tells so.
    deaf: bool,
    reachable: bool,
    limit: String,
    /// Whether it does not tell what it holds.
    mute: bool,
    watts: f64,
}

struct Equipment {
    manner: Arc<Mutex<Manner>>,
    due: MonoTime,
}

fn say(topic: &str, payload: &str, retained: bool) -> Publication {
    let (topic, payload) = (format!("solar/7/{topic}"), payload.as_bytes().to_vec());
    Publication { topic, payload, retained, assured: true }
}

impl Peer for Equipment {
    fn heard(&mut self, message: &Publish, _now: MonoTime) -> Vec<Publication> {
        let mut manner = self.manner.lock().unwrap();
        let command = String::from_utf8(message.payload.to_vec()).unwrap();
        manner.commands.push(command.clone());
        if !manner.deaf {
            manner.limit = command;
        }
        Vec::new()
    }

    fn connected(&mut self, now: MonoTime) -> Vec<Publication> {
        self.tick(now)
    }

    fn due(&self) -> Option<MonoTime> {
        Some(self.due)
    }

    fn tick(&mut self, now: MonoTime) -> Vec<Publication> {
        self.due = now + Duration::from_millis(50);
        let manner = self.manner.lock().unwrap();
        let reachable = if manner.reachable { "1" } else { "0" };
        let held = (!manner.mute).then(|| say("status/limit_absolute", &manner.limit, false));
        let said =
            [say("status/reachable", reachable, true), say("0/power", &manner.watts.to_string(), false)];
        said.into_iter().chain(held).collect()
    }
}

struct Bench {
    clock: SharedClock,
    broker: Broker,
    manner: Arc<Mutex<Manner>>,
    equipment: Option<Session>,
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
    async fn start() -> Self {
        let clock: SharedClock = Arc::new(WallClock::start().unwrap());
        let broker = Broker::start(0, Arc::clone(&clock)).await.unwrap();
        let manner = Manner { reachable: true, limit: "600".into(), watts: 212.5, ..Manner::default() };
        let manner = Arc::new(Mutex::new(manner));
        let equipment = Equipment { manner: Arc::clone(&manner), due: clock.now() };
        let hello = Hello { client_id: "dtu".into(), will: None, filters: vec!["solar/+/cmd/#".into()] };
        let at = BrokerSettings::at(broker.local_addr().into());
        let patience = Duration::from_secs(5);
        let session = Session::open(&at, hello, equipment, &clock, patience).await.unwrap();
        Self { clock, broker, manner, equipment: Some(session) }
    }

    fn driver(&self, change: impl FnOnce(&mut Profile)) -> MappedDevice {
        self.driver_of("7", change)
    }

    fn driver_of(&self, device_id: &str, change: impl FnOnce(&mut Profile)) -> MappedDevice {
        let mut profile = Profile::parse("opendtu", OPENDTU).unwrap();
        change(&mut profile);
        let settings = MappedSettings {
            broker: BrokerSettings::at(self.broker.local_addr().into()),
            prefix: "solar".into(),
            device_id: device_id.into(),
            timeout: Duration::from_secs(1),
            profile,
        };
        MappedDevice::new(settings, Arc::clone(&self.clock))
    }

    fn setpoint(&self, real_power_w: f64) -> Setpoint {
        let now = self.clock.now();
        let command = Command::Power { real_power_w, reactive_power_var: 0.0 };
        Setpoint { command, epoch: 1, received_at: now, expires_at: now + Duration::from_mins(1), order: 0 }
    }

    fn commands(&self) -> Vec<String> {
        self.manner.lock().unwrap().commands.clone()
    }

    /// The equipment tells no longer what it holds, and the driver has heard everything that it told before.
    async fn mute(&self, driver: &mut MappedDevice) {
        let watts = {
            let mut manner = self.manner.lock().unwrap();
            manner.mute = true;
            manner.watts += 1.0;
            manner.watts
        };
        let heard = |result: &Result<Snapshot, DeviceError>| {
            let reading = result.as_ref().ok().and_then(|reading| reading.get(point::REAL_POWER));
            reading.is_some_and(|sample| sample.value == watts)
        };
        self.read_until(driver, heard).await.unwrap();
    }

    /// Reads until the outcome is as wanted, ten seconds at most.
    async fn read_until(
        &self,
        driver: &mut MappedDevice,
        wanted: impl Fn(&Result<Snapshot, DeviceError>) -> bool,
    ) -> Result<Snapshot, DeviceError> {
        let mut last = driver.read().await;
        for _ in 0..500 {
            if wanted(&last) {
                return last;
            }
            sleep(&*self.clock, Duration::from_millis(20)).await;
            last = driver.read().await;
        }
        panic!("{last:?}")
    }

    async fn connect(&self, driver: &mut MappedDevice) -> Description {
        for _ in 0..500 {
            if let Ok(description) = driver.connect().await {
                return description;
            }
            sleep(&*self.clock, Duration::from_millis(20)).await;
        }
        panic!("{:?}", driver.connect().await)
    }
}

fn has_power(result: &Result<Snapshot, DeviceError>) -> bool {
    result.as_ref().is_ok_and(|reading| reading.get(point::REAL_POWER).is_some())
}

fn held(watts: f64) -> Command {
    Command::Power { real_power_w: watts, reactive_power_var: 0.0 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equipment_is_read_commanded_once_and_released() {
    let bench = Bench::start().await;
    let mut driver = bench.driver(|_| ());
    let description = bench.connect(&mut driver).await;
    assert_eq!(description.capabilities.power.map(|range| range.max_w), Some(600.0));
    assert_eq!(description.fail_safe, FailSafe::None);
    let reading = bench.read_until(&mut driver, has_power).await.unwrap();
    let power = reading.get(point::REAL_POWER).unwrap();
    assert_eq!((power.value, power.quality), (212.5, Quality::Good));
    assert_eq!(driver.apply(&bench.setpoint(300.0)).await, Ok(Applied::Confirmed { readback: held(300.0) }));
    // Looked after, and not written again.
    assert_eq!(driver.apply(&bench.setpoint(300.0)).await, Ok(Applied::Confirmed { readback: held(300.0) }));
    assert_eq!(bench.commands(), ["300"]);
    // Something else changes it.
    bench.manner.lock().unwrap().limit = "500".into();
    while driver.release(&SafeState::Hold).await != Ok(Applied::Confirmed { readback: held(500.0) }) {
        sleep(&*bench.clock, Duration::from_millis(10)).await;
    }
    assert_eq!(driver.apply(&bench.setpoint(300.0)).await, Ok(Applied::Restored { readback: held(300.0) }));
    assert_eq!(driver.release(&SafeState::Release).await, Ok(Applied::Confirmed { readback: held(600.0) }));
    assert_eq!(driver.release(&SafeState::Release).await, Ok(Applied::Confirmed { readback: held(600.0) }));
    assert_eq!(bench.commands(), ["300", "300", "600"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_not_taken_is_in_progress_and_then_unknown_but_sent_once() {
    let bench = Bench::start().await;
    bench.manner.lock().unwrap().deaf = true;
    let mut driver = bench.driver(|profile| {
        profile.power.as_mut().unwrap().confirm_within = Duration::from_millis(1500);
    });
    bench.connect(&mut driver).await;
    assert_eq!(driver.apply(&bench.setpoint(300.0)).await, Ok(Applied::InProgress));
    let last = driver.apply(&bench.setpoint(300.0)).await;
    assert!(matches!(last, Err(DeviceError::Timeout { .. })), "{last:?}");
    assert_eq!(bench.commands(), ["300"]);
    assert!(matches!(driver.read().await, Err(DeviceError::Disconnected { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_equipment_cannot_do_is_refused_and_nothing_is_sent() {
    let bench = Bench::start().await;
    let mut driver = bench.driver(|_| ());
    bench.connect(&mut driver).await;
    for watts in [-1.0, 601.0, f64::NAN, f64::INFINITY] {
        let refused = driver.apply(&bench.setpoint(watts)).await;
        assert!(matches!(refused, Err(DeviceError::Refused { .. })), "{refused:?}");
    }
    let mut reactive = bench.setpoint(100.0);
    reactive.command = Command::Power { real_power_w: 100.0, reactive_power_var: 1.0 };
    assert!(matches!(driver.apply(&reactive).await, Err(DeviceError::Refused { .. })));
    reactive.command = Command::TapPosition(3);
    assert!(matches!(driver.apply(&reactive).await, Err(DeviceError::Unsupported { .. })));
    assert!(bench.commands().is_empty() && driver.read().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equipment_that_is_not_there_or_falls_silent_is_lost() {
    let mut bench = Bench::start().await;
    let mut driver = bench.driver(|profile| {
        profile.points.iter_mut().for_each(|point| point.stale_after = Duration::from_millis(400));
    });
    bench.connect(&mut driver).await;
    bench.manner.lock().unwrap().reachable = false;
    let gone = bench.read_until(&mut driver, Result::is_err).await;
    assert!(matches!(gone, Err(DeviceError::Disconnected { .. })), "{gone:?}");
    assert!(matches!(driver.connect().await, Err(DeviceError::Disconnected { .. })));
    bench.manner.lock().unwrap().reachable = true;
    bench.connect(&mut driver).await;
    bench.read_until(&mut driver, has_power).await.unwrap();
    bench.equipment = None;
    let silent = bench.read_until(&mut driver, Result::is_err).await;
    assert!(matches!(silent, Err(DeviceError::Timeout { .. })), "{silent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_is_confirmed_only_if_the_one_before_was_read_back() {
    let bench = Bench::start().await;
    let mut driver = bench.driver(|profile| {
        let power = profile.power.as_mut().unwrap();
        power.confirm_within = Duration::from_millis(1900);
        power.fail_safe = FailSafe::RevertsToFree { after: Duration::from_mins(1) };
    });
    bench.connect(&mut driver).await;
    let confirmed = Ok(Applied::Confirmed { readback: held(300.0) });
    assert_eq!(driver.apply(&bench.setpoint(300.0)).await, confirmed);
    for written in [2, 4] {
        let link = driver.link.as_ref().unwrap();
        let written_at = link.confirmed.unwrap().written_at;
        eventually(&bench.clock, || link.heard.lock().unwrap().held_w(written_at).is_some()).await;
        bench.mute(&mut driver).await;
        assert_eq!(driver.apply(&bench.setpoint(300.0)).await, confirmed);
        assert_eq!(driver.apply(&bench.setpoint(300.0)).await, Ok(Applied::InProgress));
        assert_eq!(bench.commands().len(), written, "what is not read back is not written again");
        if written == 2 {
            bench.manner.lock().unwrap().mute = false;
            assert_eq!(driver.apply(&bench.setpoint(300.0)).await, confirmed);
            eventually(&bench.clock, || bench.commands().len() == 3).await;
        }
    }
    let unknown = driver.apply(&bench.setpoint(300.0)).await;
    assert!(matches!(unknown, Err(DeviceError::Timeout { .. })), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equipment_that_has_no_word_for_its_presence_shows_it_by_its_first_value() {
    let bench = Bench::start().await;
    let wordless = |profile: &mut Profile| {
        profile.status = None;
        profile.points.iter_mut().for_each(|point| point.stale_after = Duration::from_millis(100));
    };
    let mut nobody = bench.driver_of("8", wordless);
    let silent = nobody.connect().await;
    assert!(matches!(silent, Err(DeviceError::Disconnected { .. })), "{silent:?}");
    let mut driver = bench.driver(|profile| profile.status = None);
    driver.connect().await.unwrap();
    // Its first value may be another than its power.
    bench.read_until(&mut driver, has_power).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_heard_over_a_connection_that_is_lost_is_no_reading_and_no_confirmation() {
    for read in [true, false] {
        let bench = Bench::start().await;
        let mut driver = bench.driver(|_| ());
        bench.connect(&mut driver).await;
        bench.read_until(&mut driver, has_power).await.unwrap();
        driver.apply(&bench.setpoint(300.0)).await.unwrap();
        let changed = driver.link.as_ref().unwrap().changed.clone();
        let setpoint = bench.setpoint(300.0);
        let clock = Arc::clone(&bench.clock);
        drop(bench);
        eventually(&clock, || changed.has_changed().is_err()).await;
        let lost = if read { driver.read().await.err() } else { driver.apply(&setpoint).await.err() };
        assert!(matches!(lost, Some(DeviceError::Disconnected { .. })), "{lost:?}");
    }
}

/// What the operating system still holds of a session that was given up is not sent, and a broker that is behind knows
/// the next session as its successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_given_up_leaves_nothing_behind_that_could_still_come() {
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = MappedSettings {
        broker: BrokerSettings::at(listener.local_addr().unwrap().into()),
        prefix: "solar".into(),
        device_id: "7".into(),
        timeout: Duration::from_millis(200),
        profile: Profile::parse("opendtu", OPENDTU).unwrap(),
    };
    let mut driver = MappedDevice::new(settings, clock);
    let mut names = Vec::new();
    for _ in 0..2 {
        let broker = async {
            let (stream, _) = listener.accept().await.unwrap();
            let codec = Codec { max_incoming_size: 4096, max_outgoing_size: 4096 };
            let mut framed = Framed::new(stream, codec);
            let Some(Ok(Packet::Connect(connect))) = framed.next().await else { panic!("no greeting") };
            framed.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await.unwrap();
            let Some(Ok(Packet::Subscribe(subscribe))) = framed.next().await else { panic!("nothing asked") };
            let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); subscribe.filters.len()];
            framed.send(Packet::SubAck(SubAck::new(subscribe.pkid, granted))).await.unwrap();
            (connect.client_id, framed.next().await)
        };
        let (given_up, (name, end)) = tokio::join!(driver.connect(), broker);
        assert!(matches!(given_up, Err(DeviceError::Disconnected { .. })), "{given_up:?}");
        let reset = matches!(&end, Some(Err(rumqttc::mqttbytes::Error::Io(error)))
            if error.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(reset, "the connection was closed in order, after everything was sent: {end:?}");
        names.push(name);
    }
    assert_eq!(names[0], names[1]);
}
