//! The device contract's test suite on devices over MQTT: driver, broker and simulated device, all on real sockets.

use gridloop_clock::{SharedClock, WallClock, sleep};
use gridloop_device::{
    Applied, Command, Device, DeviceError, FailSafe, SafeState, Setpoint, conformance, point,
};
use gridloop_mqtt::simulated::{Broker, SimulatedDevice, SimulatedSettings, serve_battery, serve_inverter};
use gridloop_mqtt::{BrokerSettings, MqttDevice, MqttSettings};
use gridloop_plant::{Battery, BatterySettings, LivePlant, PvInverter, PvInverterSettings, Series};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

struct Bench {
    clock: SharedClock,
    broker: Broker,
    devices: AtomicU32,
}

impl Bench {
    async fn new() -> Self {
        let clock: SharedClock = Arc::new(WallClock::start().unwrap());
        let broker = Broker::start(0, Arc::clone(&clock)).await.unwrap();
        Self { clock, broker, devices: AtomicU32::new(0) }
    }

    fn broker(&self) -> BrokerSettings {
        BrokerSettings::at(self.broker.local_addr().into())
    }

    /// The settings of a simulated device of its own, and of the driver for it.
    fn settings(&self) -> (SimulatedSettings, MqttSettings) {
        let name = format!("dev{}", self.devices.fetch_add(1, Ordering::Relaxed));
        let simulated = SimulatedSettings {
            telemetry_interval: Duration::from_millis(100),
            hold_for: Duration::from_secs(5),
            ..SimulatedSettings::new(self.broker(), "lab", &name)
        };
        let driver = MqttSettings {
            broker: self.broker(),
            prefix: "lab".into(),
            device_id: name,
            timeout: Duration::from_secs(2),
        };
        (simulated, driver)
    }

    fn battery(&self) -> (SimulatedDevice, MqttDevice) {
        let (simulated, driver) = self.settings();
        let battery = Battery::new(BatterySettings::typical(5000.0, 10_000.0)).unwrap();
        let plant = LivePlant::new(battery, Arc::clone(&self.clock));
        let served = serve_battery(simulated, plant, Arc::clone(&self.clock));
        (served, MqttDevice::new(driver, Arc::clone(&self.clock)))
    }

    fn inverter(&self) -> (SimulatedDevice, MqttDevice) {
        let (simulated, driver) = self.settings();
        let settings = PvInverterSettings::typical(8000.0, Series::constant(1000.0));
        let plant = LivePlant::new(PvInverter::new(settings).unwrap(), Arc::clone(&self.clock));
        let served = serve_inverter(simulated, plant, Arc::clone(&self.clock));
        (served, MqttDevice::new(driver, Arc::clone(&self.clock)))
    }

    fn setpoint(&self, real_power_w: f64, valid_for: Duration) -> Setpoint {
        let now = self.clock.now();
        Setpoint {
            command: Command::Power { real_power_w, reactive_power_var: 0.0 },
            epoch: 1,
            received_at: now,
            expires_at: now + valid_for,
            order: 0,
        }
    }

    async fn wait(&self, time: Duration) {
        sleep(&*self.clock, time).await;
    }
}

/// A driver that keeps its simulated device alive.
struct Together {
    device: MqttDevice,
    _simulated: SimulatedDevice,
}

#[async_trait::async_trait]
impl Device for Together {
    async fn connect(&mut self) -> Result<gridloop_device::Description, DeviceError> {
        self.device.connect().await
    }

    async fn read(&mut self) -> Result<gridloop_device::Snapshot, DeviceError> {
        self.device.read().await
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        self.device.apply(setpoint).await
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        self.device.release(safe).await
    }
}

fn together((simulated, device): (SimulatedDevice, MqttDevice)) -> Box<dyn Device> {
    Box::new(Together { device, _simulated: simulated })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_battery_over_mqtt_keeps_the_contract() {
    let bench = Bench::new().await;
    let make = || std::future::ready(together(bench.battery()));
    assert_eq!(conformance::check(Arc::clone(&bench.clock), make).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inverter_over_mqtt_keeps_the_contract() {
    let bench = Bench::new().await;
    let make = || std::future::ready(together(bench.inverter()));
    assert_eq!(conformance::check(Arc::clone(&bench.clock), make).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_says_what_it_is_and_what_it_holds() {
    let bench = Bench::new().await;
    let (_simulated, mut device) = bench.battery();
    let description = device.connect().await.unwrap();
    assert_eq!(description.identity, "gridloop simulated battery");
    assert_eq!(description.fail_safe, FailSafe::RevertsToValue { after: Duration::from_secs(5), to_w: None });
    assert_eq!(description.standing, None);
    device.apply(&bench.setpoint(-1000.0, Duration::from_secs(60))).await.unwrap();
    let again = device.connect().await.unwrap();
    let standing = Command::Power { real_power_w: -1000.0, reactive_power_var: 0.0 };
    assert_eq!(again.standing, Some(standing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_battery_follows_and_falls_back_by_itself_and_the_loss_is_told() {
    let bench = Bench::new().await;
    let (simulated, mut device) = bench.battery();
    device.connect().await.unwrap();
    let setpoint = bench.setpoint(2000.0, Duration::from_millis(1500));
    let applied = device.apply(&setpoint).await.unwrap();
    assert_eq!(applied, Applied::Confirmed { readback: setpoint.command });
    bench.wait(Duration::from_secs(1)).await;
    let reading = device.read().await.unwrap();
    let power = reading.get(point::REAL_POWER).unwrap().value;
    assert!((1500.0..=2000.0).contains(&power), "{power}");
    assert!(reading.get(point::STATE_OF_CHARGE).is_some());
    bench.wait(Duration::from_millis(700)).await;
    device.read().await.unwrap();
    let applied = device.apply(&bench.setpoint(2000.0, Duration::from_secs(60))).await.unwrap();
    assert_eq!(applied, Applied::Restored { readback: setpoint.command });
    assert_eq!(simulated.effects(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_leaves_is_lost_at_once_by_its_last_will() {
    let bench = Bench::new().await;
    let (simulated, mut device) = bench.battery();
    device.connect().await.unwrap();
    drop(simulated);
    let begun = bench.clock.now();
    let mut last = device.read().await;
    while last.is_ok() && bench.clock.now().since(begun) < Duration::from_millis(1900) {
        last = device.read().await;
    }
    assert!(matches!(last, Err(DeviceError::Disconnected { .. })), "{last:?}");
    assert!(bench.clock.now().since(begun) < Duration::from_secs(2), "not by waiting for an answer");
    let again = device.connect().await.unwrap_err();
    assert!(again.to_string().contains("offline"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_device_is_a_timeout_and_comes_back() {
    let bench = Bench::new().await;
    let (simulated, mut device) = bench.battery();
    device.connect().await.unwrap();
    simulated.set_silent(true);
    let write = device.apply(&bench.setpoint(1000.0, Duration::from_secs(60))).await;
    assert!(matches!(write, Err(DeviceError::Timeout { .. })), "{write:?}");
    assert!(matches!(device.read().await, Err(DeviceError::Disconnected { .. })));
    simulated.set_silent(false);
    device.connect().await.unwrap();
    assert_eq!(simulated.effects(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_is_told_so() {
    let bench = Bench::new().await;
    let (_, mut settings) = bench.settings();
    settings.broker.address.port = 1;
    let error = MqttDevice::new(settings, Arc::clone(&bench.clock)).connect().await.unwrap_err();
    assert!(
        matches!(&error, DeviceError::Disconnected { .. }) && error.to_string().contains("mqtt://"),
        "{error}"
    );
}
