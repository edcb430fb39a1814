//! gridloop's register-map driver on a tap changer that pymodbus simulates.

use crate::rig::{clock, eventually, link_to, setpoint};
use gridloop_clock::SharedClock;
use gridloop_device::{Applied, Command, Description, Device, DeviceError, TapRange, point};
use gridloop_hil_tests::peers::Peer;
use gridloop_modbus::{Profile, RegisterMapDevice, RegisterMapSettings};
use serde_json::{Value, json};

struct Driven {
    clock: SharedClock,
    pymodbus: Peer,
    device: RegisterMapDevice,
    description: Description,
}

impl Driven {
    async fn new(travel_s: &str) -> anyhow::Result<Self> {
        let clock = clock()?;
        let (pymodbus, address) = Peer::serve("tap_changer_server.py", &[travel_s]).await?;
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/devices/tap-changer-ecotap.toml");
        let profile = Profile::parse(file, &std::fs::read_to_string(file)?)?;
        let settings = RegisterMapSettings { link: link_to(address), profile };
        let mut device = RegisterMapDevice::new(settings, SharedClock::clone(&clock));
        let description = device.connect().await?;
        Ok(Self { clock, pymodbus, device, description })
    }

    async fn apply(&mut self, target: i32) -> Result<Applied, DeviceError> {
        self.device.apply(&setpoint(Command::TapPosition(target), &self.clock)).await
    }

    async fn move_to(&mut self, target: i32) -> anyhow::Result<()> {
        let clock = SharedClock::clone(&self.clock);
        let arrived = Applied::Confirmed { readback: Command::TapPosition(target) };
        eventually(&clock, "the position is confirmed", async || Ok(self.apply(target).await? == arrived))
            .await
    }

    async fn commands(&mut self) -> anyhow::Result<Value> {
        Ok(self.pymodbus.ask("commands", json!({})).await?["steps"].clone())
    }
}

#[tokio::test]
async fn a_foreign_tap_changer_is_described_and_read_by_the_profile() -> anyhow::Result<()> {
    let mut driven = Driven::new("0.1").await?;
    let range = TapRange { lowest: 1, highest: 9 };
    assert_eq!(driven.description.capabilities.tap_position, Some(range));
    let snapshot = driven.device.read().await?;
    let value = |name: &str| snapshot.get(name).map(|sample| sample.value);
    assert_eq!(value(point::TAP_POSITION), Some(5.0));
    assert_eq!((value(point::VOLTAGE), value("voltage_setpoint")), (Some(230.0), Some(230.0)));
    Ok(())
}

#[tokio::test]
async fn a_position_is_reached_with_one_pulse_a_stride() -> anyhow::Result<()> {
    let mut driven = Driven::new("0.3").await?;
    driven.move_to(6).await?;
    assert_eq!(driven.commands().await?, json!([1]));
    driven.move_to(1).await?;
    assert_eq!(driven.commands().await?, json!([1, -3, -2]));
    Ok(())
}

#[tokio::test]
async fn a_position_beyond_the_end_stop_sends_no_pulse() -> anyhow::Result<()> {
    let mut driven = Driven::new("0.1").await?;
    for beyond in [0, 10, i32::MIN, i32::MAX] {
        let refused = driven.apply(beyond).await;
        assert!(matches!(refused, Err(DeviceError::Refused { .. })), "{refused:?}");
    }
    assert_eq!(driven.commands().await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn a_voltage_set_point_is_read_back() -> anyhow::Result<()> {
    let mut driven = Driven::new("0.1").await?;
    let command = Command::Voltage { voltage_v: 236.0 };
    let applied = driven.device.apply(&setpoint(command, &driven.clock)).await?;
    assert_eq!(applied, Applied::Confirmed { readback: command });
    Ok(())
}
