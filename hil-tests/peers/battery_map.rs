//! The battery inverter's register map on both sides: gridloop's driver on one that pymodbus simulates, and
//! gridloop's simulated one as mbpoll sees it.

use crate::rig::{battery, clock, eventually, link_to, setpoint};
use gridloop_clock::SharedClock;
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, FailSafe, PowerRange, SafeState, point,
};
use gridloop_hil_tests::peers::{Peer, Registers, mbpoll, mbpoll_write};
use gridloop_modbus::{Profile, RegisterMapDevice, RegisterMapSettings};
use serde_json::{Value, json};
use std::time::Duration;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/devices/battery-inverter.toml");

struct Driven {
    clock: SharedClock,
    pymodbus: Peer,
    device: RegisterMapDevice,
    description: Description,
}

impl Driven {
    async fn new(watchdog: &str) -> anyhow::Result<Self> {
        let clock = clock()?;
        let (pymodbus, address) = Peer::serve("battery_inverter_server.py", &[]).await?;
        let text = std::fs::read_to_string(FILE)?.replace("after_s = 15", watchdog);
        let settings = RegisterMapSettings { link: link_to(address), profile: Profile::parse(FILE, &text)? };
        let mut device = RegisterMapDevice::new(settings, SharedClock::clone(&clock));
        let description = device.connect().await?;
        Ok(Self { clock, pymodbus, device, description })
    }

    async fn apply(&mut self, real_power_w: f64, reactive_power_var: f64) -> Result<Applied, DeviceError> {
        let command = Command::Power { real_power_w, reactive_power_var };
        self.device.apply(&setpoint(command, &self.clock)).await
    }

    async fn held(&mut self, address: u16, count: u16) -> anyhow::Result<Value> {
        let answer = self.pymodbus.ask("held", json!({ "address": address, "count": count })).await?;
        Ok(answer["registers"].clone())
    }
}

fn confirmed(real_power_w: f64, reactive_power_var: f64) -> Applied {
    Applied::Confirmed { readback: Command::Power { real_power_w, reactive_power_var } }
}

#[tokio::test]
async fn a_foreign_battery_is_described_and_read_by_the_profile() -> anyhow::Result<()> {
    let mut driven = Driven::new("after_s = 20").await?;
    assert_eq!(driven.description.identity, "Foreign battery 77");
    let range = PowerRange { min_w: -8000.0, max_w: 8000.0, max_var: 4000.0 };
    assert_eq!(driven.description.capabilities.power, Some(range));
    assert_eq!(
        driven.description.fail_safe,
        FailSafe::RevertsToValue { after: Duration::from_secs(20), to_w: Some(0.0) }
    );
    let snapshot = driven.device.read().await?;
    let value = |name: &str| snapshot.get(name).map(|sample| sample.value);
    let expected = [
        (point::REAL_POWER, -1234.0),
        (point::REACTIVE_POWER, 250.0),
        (point::VOLTAGE, 230.1),
        (point::FREQUENCY, 49.99),
        (point::STATE_OF_CHARGE, 50.5),
        ("energy_discharged", 5e9),
        ("energy_charged", 7000.0),
        ("remote_active", 1.0),
        ("watchdog_tripped", 0.0),
    ];
    for (name, expected) in expected {
        assert_eq!(value(name), Some(expected), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_foreign_battery_takes_charging_and_is_given_back() -> anyhow::Result<()> {
    let mut driven = Driven::new("after_s = 20").await?;
    assert_eq!(driven.apply(-3000.0, 500.0).await?, confirmed(-3000.0, 500.0));
    assert_eq!(driven.held(40, 8).await?, json!([1, 0xFFFF, 0xF448, 0, 500, 20, 0, 0]));
    let refused = driven.apply(8001.0, 0.0).await;
    assert!(matches!(refused, Err(DeviceError::Refused { .. })), "{refused:?}");
    assert_eq!(driven.device.release(&SafeState::Release).await?, confirmed(0.0, 0.0));
    assert_eq!(driven.held(40, 5).await?, json!([0, 0, 0, 0, 0]));
    Ok(())
}

#[tokio::test]
async fn a_foreign_watchdog_that_is_not_renewed_ends_the_command_and_is_noticed() -> anyhow::Result<()> {
    let mut driven = Driven::new("after_s = 1").await?;
    driven.apply(2000.0, 0.0).await?;
    let clock = SharedClock::clone(&driven.clock);
    eventually(&clock, "the battery falls back", async || Ok(driven.held(41, 2).await? == json!([0, 0])))
        .await?;
    let readback = Command::Power { real_power_w: 2000.0, reactive_power_var: 0.0 };
    assert_eq!(driven.apply(2000.0, 0.0).await?, Applied::Restored { readback });
    Ok(())
}

#[tokio::test]
async fn mbpoll_reads_and_drives_the_simulated_battery() -> anyhow::Result<()> {
    let clock = clock()?;
    let (server, plant) = battery(&clock).await?;
    let at = server.local_addr();
    assert_eq!(mbpoll(at, Registers::Holding, 20, 8).await?, [0, 8000, 0, 8000, 0, 8000, 0, 8000]);
    assert_eq!(mbpoll(at, Registers::Input, 4, 3).await?, [2300, 5000, 500]);
    mbpoll_write(at, 40, 1).await?;
    assert_eq!(mbpoll(at, Registers::Holding, 40, 8).await?, [1, 0, 0, 0, 0, 0, 0, 0]);
    let refused = mbpoll_write(at, 41, 1).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("Illegal data value")));
    let refused = mbpoll_write(at, 45, 3601).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("Illegal data value")));
    mbpoll_write(at, 40, 0).await?;
    assert_eq!(plant.with(|battery| battery.power_command().value()), None);
    Ok(())
}
