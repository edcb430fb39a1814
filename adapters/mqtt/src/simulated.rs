//! Simulated devices that speak the `gridloop` profile: real MQTT clients, and a small broker for where there is none.
//!
//! [`serve_battery`] and [`serve_inverter`] connect a plant to a broker and keep it there, as the firmware of a real
//! device would: telemetry at every interval, a last will, commands checked and acknowledged, and the fall-back value
//! when they cease. What it does with a command is decided by `core.rs`, without I/O. [`Broker`] is the broker of demos
//! and tests, on the loopback interface only.

mod broker;
mod core;

pub use broker::Broker;

use crate::broker::BrokerSettings;
use crate::session::{Hello, Peer, Publication, Session};
use crate::wire::{Part, Topics};
use core::DeviceCore;
use gridloop_clock::{MonoTime, SharedClock, sleep};
use gridloop_plant::{Battery, LivePlant, PvInverter};
use rumqttc::mqttbytes::v4::Publish;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How a simulated device presents itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedSettings {
    /// The broker that it connects to.
    pub broker: BrokerSettings,
    /// What its topics begin with.
    pub prefix: String,
    /// What comes then: its own name.
    pub device_id: String,
    /// Time between two telemetry messages.
    pub telemetry_interval: Duration,
    /// The longest time for which it holds a command.
    pub hold_for: Duration,
    /// The real power in W that it goes to when commands cease.
    pub fall_back_w: f64,
}

impl SimulatedSettings {
    /// A device that tells its telemetry once a second, holds a command for ten seconds at most, and stops then.
    #[must_use]
    pub fn new(broker: BrokerSettings, prefix: &str, device_id: &str) -> Self {
        Self {
            broker,
            prefix: prefix.to_owned(),
            device_id: device_id.to_owned(),
            telemetry_interval: Duration::from_secs(1),
            hold_for: Duration::from_secs(10),
            fall_back_w: 0.0,
        }
    }
}

/// Wait between two attempts to reach the broker.
const RETRY: Duration = Duration::from_millis(500);

/// Longest wait for the broker's answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A simulated device at work. It leaves the broker, without a word, when this is dropped.
pub struct SimulatedDevice {
    core: Arc<Mutex<DeviceCore>>,
    silent: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl SimulatedDevice {
    /// Makes it say nothing and take nothing, or speak again. Its connection stays.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Commands that had an effect so far.
    #[must_use]
    pub fn effects(&self) -> u64 {
        self.core.lock().unwrap_or_else(PoisonError::into_inner).effects()
    }
}

impl Drop for SimulatedDevice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a battery. Needs a tokio runtime.
#[must_use]
pub fn serve_battery(
    settings: SimulatedSettings,
    plant: LivePlant<Battery>,
    clock: SharedClock,
) -> SimulatedDevice {
    serve(settings, Arc::new(plant), clock)
}

/// Serves a PV inverter. Needs a tokio runtime.
#[must_use]
pub fn serve_inverter(
    settings: SimulatedSettings,
    plant: LivePlant<PvInverter>,
    clock: SharedClock,
) -> SimulatedDevice {
    serve(settings, Arc::new(plant), clock)
}

fn serve(settings: SimulatedSettings, plant: Arc<dyn core::Body>, clock: SharedClock) -> SimulatedDevice {
    let topics = Topics::new(&settings.prefix, &settings.device_id);
    let broker = settings.broker.clone();
    let client_id = format!("{}-{}", settings.prefix, settings.device_id);
    let core = Arc::new(Mutex::new(DeviceCore::new(settings, plant)));
    let silent = Arc::new(AtomicBool::new(false));
    let task = tokio::spawn({
        let (core, silent) = (Arc::clone(&core), Arc::clone(&silent));
        async move {
            loop {
                let session_id = format!("{:016x}", fastrand::u64(..));
                let (will, filters) = {
                    let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
                    (core.begin_session(session_id), vec![topics.of(Part::Command)])
                };
                let hello = Hello { client_id: client_id.clone(), will: Some(will), filters };
                let firmware = Firmware {
                    core: Arc::clone(&core),
                    silent: Arc::clone(&silent),
                    clock: Arc::clone(&clock),
                };
                match Session::open(&broker, hello, firmware, &clock, PATIENCE).await {
                    Ok(session) => {
                        let why = session.ended().await;
                        tracing::debug!(%why, "the simulated device lost its broker");
                    }
                    Err(why) => tracing::debug!(%why, "the simulated device cannot reach its broker"),
                }
                sleep(&*clock, RETRY).await;
            }
        }
    });
    SimulatedDevice { core, silent, task }
}

/// The simulated device's end of its session.
struct Firmware {
    core: Arc<Mutex<DeviceCore>>,
    silent: Arc<AtomicBool>,
    clock: SharedClock,
}

impl Firmware {
    fn with(&self, work: impl FnOnce(&mut DeviceCore) -> Vec<Publication>) -> Vec<Publication> {
        let publications = work(&mut self.core.lock().unwrap_or_else(PoisonError::into_inner));
        if self.silent.load(Ordering::Relaxed) { Vec::new() } else { publications }
    }
}

impl Peer for Firmware {
    fn connected(&mut self, now: MonoTime) -> Vec<Publication> {
        self.with(|core| core.connected(now, self.clock.utc()))
    }

    fn heard(&mut self, message: &Publish, now: MonoTime) -> Vec<Publication> {
        if self.silent.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.with(|core| core.command(&message.payload, message.retain, now, self.clock.utc()))
    }

    fn due(&self) -> Option<MonoTime> {
        Some(self.core.lock().unwrap_or_else(PoisonError::into_inner).due())
    }

    fn tick(&mut self, now: MonoTime) -> Vec<Publication> {
        self.with(|core| core.tick(now, self.clock.utc()))
    }
}
