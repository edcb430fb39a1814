//! F30: devices behind a real mosquitto, which is killed, frozen and restarted in the middle of traffic.
//!
//! Nothing stale may reach a device after an outage, and nothing may be lost without a word. What really is on the wire
//! is heard by `mosquitto_sub`, and commands that no driver of ours would send come from `mosquitto_pub`.

use crate::run;
use anyhow::{Context, ensure};
use gridloop_clock::{SharedClock, WallClock, sleep};
use gridloop_device::{
    Ageing, Applied, Command, Device, DeviceError, DeviceTask, Left, Mode, Occurrence, Quality, SafeState,
    Setpoint, Snapshot, TaskSettings, point,
};
use gridloop_hil_tests::mosquitto::{Listener, Mosquitto, Options, publish};
use gridloop_mqtt::simulated::{SimulatedDevice, SimulatedSettings, serve_battery};
use gridloop_mqtt::{BrokerSettings, MappedDevice, MappedSettings, MqttDevice, MqttSettings, Profile};
use gridloop_plant::{Battery, BatterySettings, LivePlant};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(1200);

struct Rig {
    clock: SharedClock,
    broker: Mosquitto,
    plant: LivePlant<Battery>,
}

impl Rig {
    fn start(persistent: bool) -> anyhow::Result<Self> {
        let clock: SharedClock = Arc::new(WallClock::start()?);
        let broker = Mosquitto::start(Options { persistent, ..Options::default() })?;
        let battery = Battery::new(BatterySettings::typical(5000.0, 10_000.0))?;
        let plant = LivePlant::new(battery, Arc::clone(&clock));
        Ok(Self { clock, broker, plant })
    }

    fn settings(&self) -> BrokerSettings {
        BrokerSettings::at(self.broker.address().into())
    }

    fn serve(&self, hold_for: Duration) -> SimulatedDevice {
        let settings = SimulatedSettings {
            telemetry_interval: Duration::from_millis(100),
            hold_for,
            ..SimulatedSettings::new(self.settings(), "lab", "bat1")
        };
        serve_battery(settings, self.plant.clone(), Arc::clone(&self.clock))
    }

    fn driver(&self) -> MqttDevice {
        self.driver_waiting(TIMEOUT)
    }

    fn driver_waiting(&self, timeout: Duration) -> MqttDevice {
        let (prefix, device_id) = ("lab".to_owned(), "bat1".to_owned());
        let settings = MqttSettings { broker: self.settings(), prefix, device_id, timeout };
        MqttDevice::new(settings, Arc::clone(&self.clock))
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

    /// A command as somebody else would write it.
    fn order(&self, id: &str, watts: f64, valid_s: i64) -> String {
        let now = self.clock.utc();
        let until = now + chrono::Duration::seconds(valid_s);
        json!({"id": id, "issued_at": now.to_rfc3339(), "valid_until": until.to_rfc3339(), "command": "power",
               "real_power_w": watts, "reactive_power_var": 0})
        .to_string()
    }

    /// What the battery itself says that it holds, whoever asks.
    fn held_w(&self) -> Option<f64> {
        self.plant.with(|battery| battery.power_command().value())
    }

    async fn connected(&self, driver: &mut MqttDevice) -> anyhow::Result<()> {
        let mut last = None;
        for _ in 0..100 {
            match driver.connect().await {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            sleep(&*self.clock, Duration::from_millis(50)).await;
        }
        Err(last.map(anyhow::Error::from).context("no attempt")?)
    }

    async fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
        for _ in 0..500 {
            if holds() {
                return Ok(());
            }
            sleep(&*self.clock, Duration::from_millis(20)).await;
        }
        anyhow::bail!("{what}: not within ten seconds")
    }
}

fn ack_of(id: &str) -> impl FnMut(&gridloop_hil_tests::mosquitto::Message) -> bool {
    move |message| {
        let value: Value = serde_json::from_str(&message.payload).unwrap_or_default();
        message.topic.ends_with("/ack") && value["id"] == id
    }
}

fn said(payload: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(payload)?)
}

async fn outage(persistent: bool) -> anyhow::Result<()> {
    let mut rig = Rig::start(persistent)?;
    let simulated = rig.serve(Duration::from_secs(60));
    let mut driver = rig.driver();
    rig.connected(&mut driver).await?;
    let first = rig.setpoint(2000.0, Duration::from_secs(60));
    ensure!(driver.apply(&first).await? == Applied::Confirmed { readback: first.command });

    rig.broker.kill9()?;
    let lost = driver.apply(&rig.setpoint(-4000.0, Duration::from_secs(60))).await;
    ensure!(lost.as_ref().is_err_and(|error| !error.keeps_link()), "{lost:?}");
    ensure!(matches!(driver.read().await, Err(DeviceError::Disconnected { .. })));
    ensure!(driver.connect().await.is_err(), "there is no broker");

    rig.broker.restart()?;
    rig.connected(&mut driver).await?;
    let reading = driver.read().await?;
    ensure!(reading.get(point::REAL_POWER).is_some());
    // The command that was written into the outage is neither replayed nor thought to be held.
    ensure!(rig.held_w() == Some(2000.0) && simulated.effects() == 1, "{:?}", rig.held_w());
    let second = rig.setpoint(-1000.0, Duration::from_secs(60));
    ensure!(driver.apply(&second).await? == Applied::Confirmed { readback: second.command });
    ensure!(rig.held_w() == Some(-1000.0) && simulated.effects() == 2);
    Ok(())
}

#[test]
fn a_broker_that_loses_its_memory_replays_nothing_and_everybody_comes_back() -> anyhow::Result<()> {
    run(outage(false))
}

#[test]
fn a_broker_that_remembers_replays_nothing_and_everybody_comes_back() -> anyhow::Result<()> {
    run(outage(true))
}

#[test]
fn a_command_that_was_stuck_in_a_frozen_broker_until_it_expired_has_no_effect() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(false)?;
        let simulated = rig.serve(Duration::from_secs(60));
        let mut driver = rig.driver();
        rig.connected(&mut driver).await?;
        driver.apply(&rig.setpoint(1000.0, Duration::from_millis(1500))).await?;

        rig.broker.freeze()?;
        let begun = rig.clock.now();
        let stuck = driver.apply(&rig.setpoint(3000.0, Duration::from_millis(600))).await;
        ensure!(matches!(stuck, Err(DeviceError::Timeout { .. })), "{stuck:?}");
        ensure!(rig.clock.now().since(begun) < TIMEOUT * 3, "the driver waits for no keep-alive");
        rig.eventually("the battery falls back by itself", || rig.held_w() == Some(0.0)).await?;
        rig.broker.thaw()?;

        rig.connected(&mut driver).await?;
        driver.read().await?;
        ensure!(rig.held_w() == Some(0.0) && simulated.effects() == 1, "{:?}", rig.held_w());
        Ok(())
    })
}

#[test]
fn a_command_that_was_stuck_on_the_way_never_undoes_a_newer_one() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(false)?;
        let mut acks = Listener::start(rig.broker.address(), "lab/bat1/ack").await?;
        let simulated = rig.serve(Duration::from_secs(60));
        let mut driver = rig.driver();
        rig.connected(&mut driver).await?;
        driver.apply(&rig.setpoint(1000.0, Duration::from_secs(60))).await?;
        // It sets out before the release, and arrives after it.
        let stuck = rig.order("stuck", 3000.0, 60);
        driver.release(&SafeState::Release).await?;
        publish(rig.broker.address(), "lab/bat1/cmd", &stuck, false).await?;
        let refused = said(&acks.next(ack_of("stuck")).await?.payload)?;
        let reason = refused["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains("before the command in force"), "{refused}");
        ensure!(rig.held_w().is_none() && simulated.effects() == 2, "{:?}", rig.held_w());
        Ok(())
    })
}

#[test]
fn readings_that_a_frozen_broker_held_back_are_as_old_as_they_are() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(false)?;
        let mut listener = Listener::start(rig.broker.address(), "lab/bat1/telemetry").await?;
        let _simulated = rig.serve(Duration::from_secs(60));
        let mut driver = rig.driver();
        rig.connected(&mut driver).await?;
        rig.broker.freeze()?;
        sleep(&*rig.clock, Duration::from_secs(1)).await;
        ensure!(matches!(driver.read().await, Err(DeviceError::Timeout { .. })));
        rig.broker.thaw()?;
        let thawed_at = rig.clock.now();
        rig.connected(&mut driver).await?;
        let reading = driver.read().await?;
        ensure!(reading.points.values().all(|sample| sample.sampled_at >= thawed_at));
        listener.next(|message| message.payload.contains("\"request\"")).await?;
        Ok(())
    })
}

#[test]
fn commands_that_are_retained_expired_doubled_or_senseless_do_no_harm() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(false)?;
        let address = rig.broker.address();
        let mut acks = Listener::start(address, "lab/bat1/#").await?;
        publish(address, "lab/bat1/cmd", &rig.order("old", 4000.0, 600), true).await?;
        let simulated = rig.serve(Duration::from_secs(60));
        let refused = said(&acks.next(ack_of("old")).await?.payload)?;
        ensure!(refused["result"] == "refused" && refused["held"] == Value::Null, "{refused}");
        ensure!(refused["reason"].as_str().is_some_and(|reason| reason.contains("retained")), "{refused}");

        publish(address, "lab/bat1/cmd", &rig.order("late", 4000.0, -1), false).await?;
        let refused = said(&acks.next(ack_of("late")).await?.payload)?;
        ensure!(refused["reason"].as_str().is_some_and(|reason| reason.contains("expired")), "{refused}");
        publish(address, "lab/bat1/cmd", &rig.order("big", 5001.0, 60), false).await?;
        let refused = said(&acks.next(ack_of("big")).await?.payload)?;
        ensure!(refused["reason"].as_str().is_some_and(|reason| reason.contains("5001")), "{refused}");
        for nonsense in ["", "off", "{}", "{\"id\":\"x\"}"] {
            publish(address, "lab/bat1/cmd", nonsense, false).await?;
        }
        ensure!(simulated.effects() == 0);

        let twice = rig.order("twice", 1500.0, 60);
        publish(address, "lab/bat1/cmd", &twice, false).await?;
        let first = acks.next(ack_of("twice")).await?;
        publish(address, "lab/bat1/cmd", &twice, false).await?;
        ensure!(acks.next(ack_of("twice")).await? == first);
        ensure!(simulated.effects() == 1 && rig.held_w() == Some(1500.0));
        Ok(())
    })
}

#[test]
fn a_command_that_came_while_the_device_was_away_is_not_waiting_for_it() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(true)?;
        let address = rig.broker.address();
        let mut listener = Listener::start(address, "lab/bat1/status").await?;
        let status = |word: &'static str| {
            move |message: &gridloop_hil_tests::mosquitto::Message| message.payload.contains(word)
        };
        let simulated = rig.serve(Duration::from_secs(60));
        listener.next(status("online")).await?;
        drop(simulated);
        listener.next(status("offline")).await?;
        publish(address, "lab/bat1/cmd", &rig.order("away", 4000.0, 60), false).await?;
        let simulated = rig.serve(Duration::from_secs(60));
        listener.next(status("online")).await?;
        let mut driver = rig.driver();
        rig.connected(&mut driver).await?;
        driver.read().await?;
        ensure!(simulated.effects() == 0 && rig.held_w().is_none());
        Ok(())
    })
}

#[test]
fn the_last_will_is_loss_of_communication_at_once() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(false)?;
        let simulated = rig.serve(Duration::from_secs(60));
        let mut driver = rig.driver_waiting(Duration::from_secs(20));
        rig.connected(&mut driver).await?;
        drop(simulated);
        let begun = rig.clock.now();
        let error = loop {
            if let Err(error) = driver.read().await {
                break error;
            }
        };
        ensure!(
            matches!(&error, DeviceError::Disconnected { reason, .. } if reason.contains("will")),
            "{error}"
        );
        ensure!(rig.clock.now().since(begun) < Duration::from_secs(10), "not by waiting for an answer");
        let error = driver.connect().await.err().context("connected")?;
        ensure!(error.to_string().contains("offline"), "{error}");
        Ok(())
    })
}

/// The whole way of a setpoint through an outage: the device task, the driver, the broker, the device.
#[test]
fn a_device_task_says_what_an_outage_cost_comes_back_to_the_newest_setpoint_and_releases()
-> anyhow::Result<()> {
    const AGEING: Ageing =
        Ageing { stale_after: Duration::from_millis(900), lost_after: Duration::from_millis(2700) };
    let settings = TaskSettings {
        mode: Mode::Armed,
        armed_for: None,
        write_interval: Duration::ZERO,
        poll_interval: Duration::from_millis(100),
        job_timeout: TIMEOUT * 2,
        write_timeout: TIMEOUT * 2,
        connect_timeout: TIMEOUT * 4,
        backoff_min: Duration::from_millis(50),
        backoff_max: Duration::from_millis(200),
        safe_state: SafeState::Release,
        release_within: Duration::from_secs(5),
    };
    run(async {
        let mut rig = Rig::start(true)?;
        let _simulated = rig.serve(Duration::from_secs(60));
        let happened: Arc<Mutex<Vec<Occurrence>>> = Arc::default();
        let noting = Arc::clone(&happened);
        let observer = Box::new(move |it: &Occurrence| noting.lock().expect("no panic").push(it.clone()));
        let task = DeviceTask::start(Box::new(rig.driver()), settings, Arc::clone(&rig.clock), observer);
        let handle = task.handle();
        let held = |watts: f64| Some(Command::Power { real_power_w: watts, reactive_power_var: 0.0 });
        let clock = Arc::clone(&rig.clock);
        let quality = || {
            let image = handle.image();
            image.point(point::REAL_POWER, AGEING, clock.now()).map(|(sample, _)| sample.quality)
        };
        handle.command(rig.setpoint(1000.0, Duration::from_secs(60)));
        rig.eventually("the first setpoint is held", || handle.image().held == held(1000.0)).await?;
        ensure!(quality() == Some(Quality::Good));

        rig.broker.kill9()?;
        rig.eventually("the loss is seen", || quality() == Some(Quality::CommLost)).await?;
        ensure!(handle.image().held.is_none(), "what it holds is not known in the outage");
        for watts in [2000.0, -2000.0, 3000.0] {
            handle.command(Setpoint { epoch: 2, ..rig.setpoint(watts, Duration::from_secs(60)) });
        }
        ensure!(rig.held_w() == Some(1000.0));
        rig.broker.restart()?;
        rig.eventually("the newest setpoint is held", || handle.image().held == held(3000.0)).await?;
        ensure!(rig.held_w() == Some(3000.0));

        ensure!(task.end().await == Left::Released);
        ensure!(rig.held_w().is_none());
        let happened = happened.lock().expect("no panic");
        ensure!(happened.iter().any(|it| matches!(it, Occurrence::LinkLost(_))), "{happened:?}");
        let written = happened.iter().filter(|it| matches!(it, Occurrence::Applied { first: true, .. }));
        ensure!(written.count() == 2, "{happened:?}");
        Ok(())
    })
}

/// `mosquitto_pub` plays an OpenDTU, and `mosquitto_sub` hears what it is told.
#[test]
fn mapped_equipment_is_read_and_commanded_through_a_real_broker() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(false)?;
        let address = rig.broker.address();
        let says = async |topic: &str, payload: &str, retained: bool| {
            publish(address, &format!("solar/116491132532/{topic}"), payload, retained).await
        };
        let mut told = Listener::start(address, "solar/+/cmd/#").await?;
        says("status/reachable", "1", true).await?;
        says("0/power", "666", true).await?;
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/devices/mqtt-opendtu.toml");
        let mut driver = MappedDevice::new(
            MappedSettings {
                broker: rig.settings(),
                prefix: "solar".into(),
                device_id: "116491132532".into(),
                timeout: TIMEOUT,
                profile: Profile::parse(path, &std::fs::read_to_string(path)?)?,
            },
            Arc::clone(&rig.clock),
        );
        driver.connect().await?;
        let power = |reading: &Snapshot| reading.get(point::REAL_POWER).map(|it| (it.value, it.quality));
        ensure!(power(&driver.read().await?) == Some((666.0, Quality::Stale)), "retained is not good");
        says("0/power", "212.5", false).await?;
        let mut reading = driver.read().await?;
        for _ in 0..500 {
            if power(&reading) == Some((212.5, Quality::Good)) {
                break;
            }
            sleep(&*rig.clock, Duration::from_millis(10)).await;
            reading = driver.read().await?;
        }
        ensure!(power(&reading) == Some((212.5, Quality::Good)), "{reading:?}");

        let setpoint = rig.setpoint(300.0, Duration::from_secs(60));
        ensure!(driver.apply(&setpoint).await? == Applied::InProgress);
        let command = told.next(|_| true).await?;
        ensure!(command.topic.ends_with("/cmd/limit_nonpersistent_absolute"), "{command:?}");
        ensure!((command.payload.as_str(), command.retained) == ("300", false), "{command:?}");
        says("status/limit_absolute", "300", false).await?;
        ensure!(driver.apply(&setpoint).await? == Applied::Confirmed { readback: setpoint.command });
        Ok(())
    })
}
