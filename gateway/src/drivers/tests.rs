//! Every driver and every plant that it simulates, over their real sockets: what the network says is what they show.

use super::*;
use crate::twin::read_twin;
use gridloop_clock::{SharedClock, WallClock, sleep};
use gridloop_device::{Command, Setpoint, point};
use gridloop_service::Document;
use std::sync::Arc;

fn clock() -> SharedClock {
    Arc::new(WallClock::start().unwrap())
}

fn twin(plant: &str) -> TwinSettings {
    let keys = match plant {
        "pv-inverter" => "rated_power_w = 8000",
        "battery" => "rated_power_w = 8000\ncapacity_wh = 10000",
        _ => "",
    };
    let document = Document::parse("twin.toml", &format!("plant = \"{plant}\"\n{keys}\n")).unwrap();
    read_twin(&document.root()).unwrap()
}

fn opener(driver: &dyn Driver, plant: &str) -> Box<dyn Opener> {
    let profile = match (driver.name(), plant) {
        ("register-map", "tap-changer") => Some("tap-changer-ecotap"),
        ("register-map", "battery") => Some("battery-inverter"),
        ("register-map", "pv-inverter") => Some("meter-three-phase"),
        ("register-map", "grid-emulator") => Some("grid-emulator"),
        _ => None,
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/devices");
    let text = profile.map_or_else(String::new, |name| format!("profile = \"{folder}/{name}.toml\"\n"));
    let document = Document::parse("device.toml", &text).unwrap();
    driver.read(&document.root())
}

async fn open(driver: &dyn Driver, plant: &str, clock: &SharedClock) -> Opened {
    let (opener, twin) = (opener(driver, plant), twin(plant));
    let mut opened =
        opener.open(&Address::Simulated, Some(&twin), Duration::from_secs(5), clock).await.unwrap();
    opened.device.connect().await.unwrap();
    opened
}

/// Reads until the voltage is this, for 10 s at most: some devices tell their values when they like.
async fn shows(opened: &mut Opened, voltage_v: f64, clock: &SharedClock) -> Option<f64> {
    let mut shown = None;
    for _ in 0..200 {
        shown = opened.device.read().await.unwrap().get(point::VOLTAGE).map(|sample| sample.value);
        if shown.is_some_and(|shown| (shown - voltage_v).abs() < 0.1) {
            break;
        }
        sleep(clock.as_ref(), Duration::from_millis(50)).await;
    }
    shown
}

#[tokio::test]
async fn every_simulated_device_shows_the_voltage_that_the_network_says() {
    let clock = clock();
    for driver in DRIVERS {
        let plants = opener(*driver, "").plants();
        for plant in plants.iter().filter(|plant| **plant != "grid-emulator") {
            let mut opened = open(*driver, plant, &clock).await;
            for voltage_v in [230.0, 241.5, 218.5] {
                opened.terminals.as_ref().unwrap().set_voltage_v(voltage_v, None);
                let shown = shows(&mut opened, voltage_v, &clock).await;
                assert!(
                    shown.is_some_and(|shown| (shown - voltage_v).abs() < 0.1),
                    "{} {plant}: {shown:?}, not {voltage_v}",
                    driver.name()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_grid_emulator_goes_to_the_voltage_that_it_is_told() {
    let clock = clock();
    for driver in DRIVERS {
        if !opener(*driver, "").plants().contains(&"grid-emulator") {
            continue;
        }
        let mut opened = open(*driver, "grid-emulator", &clock).await;
        let command = Command::Voltage { voltage_v: 241.5 };
        let now = clock.now();
        let expires_at = now + Duration::from_secs(60);
        let setpoint = Setpoint { command, epoch: 1, received_at: now, expires_at, order: 0 };
        opened.device.apply(&setpoint).await.unwrap();
        let shown = shows(&mut opened, 241.5, &clock).await;
        assert!(shown.is_some_and(|shown| (shown - 241.5).abs() < 0.1), "{}: {shown:?}", driver.name());
    }
}
