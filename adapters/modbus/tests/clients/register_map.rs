//! Register-map devices against a server that is nothing but registers: profiles, voltage set points, tap pulses.

use crate::support::clock;
use crate::support::image::{Image, Shared, locked};
use gridloop_device::{Applied, Command, Device, DeviceError, Quality, SafeState, Setpoint, TapRange, point};
use gridloop_modbus::{
    Profile, RegisterMapDevice, RegisterMapSettings, Table, read_registers, write_registers,
};
use std::time::Duration;

const TAP_CHANGER: &str = include_str!("../../../../configs/devices/tap-changer-ecotap.toml");
const METER: &str = include_str!("../../../../configs/devices/meter-three-phase.toml");
const TAP_COMMAND: u16 = 17;

fn setpoint(command: Command) -> Setpoint {
    let now = gridloop_clock::MonoTime::default();
    Setpoint { command, epoch: 1, received_at: now, expires_at: now, order: 0 }
}

/// The tap changer's registers at position 9 of 1 to 17. Both tables are the same registers here.
fn tap_image() -> Image {
    let mut image = Image::default();
    image.push(&[3, 9, 0, 1200, 0, 0, 230, 1, 0, 2310, 5, 200, 250, 17, 1, 17, 0, 0]);
    image
}

async fn tap_changer(image: Image, profile: &str, timeout: Duration) -> (RegisterMapDevice, Shared) {
    let (server, image) = image.serve().await;
    let profile = Profile::parse("tap.toml", profile).unwrap();
    let settings = RegisterMapSettings { link: server.link(timeout), profile };
    (RegisterMapDevice::new(settings, clock()), image)
}

fn confirmed(position: i32) -> Applied {
    Applied::Confirmed { readback: Command::TapPosition(position) }
}

#[tokio::test]
async fn connecting_reads_the_end_stops_and_writes_nothing() {
    let (mut device, image) = tap_changer(tap_image(), TAP_CHANGER, Duration::from_secs(5)).await;
    let description = device.connect().await.unwrap();
    assert_eq!(description.capabilities.tap_position, Some(TapRange { lowest: 1, highest: 17 }));
    assert_eq!(description.capabilities.voltage.map(|range| range.max_v), Some(500.0));
    let snapshot = device.read().await.unwrap();
    assert_eq!(snapshot.get(point::TAP_POSITION).map(|sample| sample.value), Some(9.0));
    assert_eq!(snapshot.get(point::VOLTAGE).map(|sample| sample.value), Some(231.0));
    assert!(locked(&image).writes.is_empty());
}

#[tokio::test]
async fn a_tap_position_is_reached_by_pulses_that_the_position_confirms() {
    let (mut device, image) = tap_changer(tap_image(), TAP_CHANGER, Duration::from_secs(5)).await;
    device.connect().await.unwrap();
    let target = setpoint(Command::TapPosition(5));
    assert_eq!(device.apply(&target).await, Ok(Applied::InProgress));
    assert_eq!(device.apply(&target).await, Ok(Applied::InProgress));
    assert_eq!(locked(&image).writes, [(TAP_COMMAND, vec![0xFFFD])]);
    locked(&image).registers.insert(1, 6);
    assert_eq!(device.apply(&target).await, Ok(Applied::InProgress));
    locked(&image).registers.insert(1, 5);
    assert_eq!(device.apply(&target).await, Ok(confirmed(5)));
    assert_eq!(locked(&image).writes, [(TAP_COMMAND, vec![0xFFFD]), (TAP_COMMAND, vec![0xFFFF])]);
}

#[tokio::test]
async fn a_pulse_whose_answer_is_lost_is_not_sent_again_after_reconnecting() {
    let profile = TAP_CHANGER.replace("confirm_within_s = 30", "confirm_within_s = 0.3");
    let (mut device, image) = tap_changer(tap_image(), &profile, Duration::from_millis(500)).await;
    device.connect().await.unwrap();
    locked(&image).mute_on_write = true;
    let target = setpoint(Command::TapPosition(10));
    let error = device.apply(&target).await.unwrap_err();
    assert!(matches!(error, DeviceError::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("outcome unknown"), "{error}");
    device.connect().await.unwrap();
    let refused = loop {
        match device.apply(&target).await {
            Ok(applied) => assert_eq!(applied, Applied::InProgress),
            Err(error) => break error,
        }
    };
    assert!(refused.to_string().contains("not confirmed"), "{refused}");
    assert!(device.apply(&target).await.is_err());
    assert_eq!(locked(&image).writes.len(), 1);
}

#[tokio::test]
async fn a_pulse_that_the_device_refuses_may_be_asked_for_again() {
    let (mut device, image) = tap_changer(tap_image(), TAP_CHANGER, Duration::from_secs(5)).await;
    device.connect().await.unwrap();
    locked(&image).refuses = Some((TAP_COMMAND, 6));
    let target = setpoint(Command::TapPosition(10));
    let error = device.apply(&target).await.unwrap_err();
    assert!(error.to_string().contains("06 (busy)"), "{error}");
    locked(&image).refuses = None;
    assert_eq!(device.apply(&target).await, Ok(Applied::InProgress));
    assert_eq!(locked(&image).writes, [(TAP_COMMAND, vec![1])]);
}

#[tokio::test]
async fn no_pulse_is_sent_to_a_resting_motor_a_local_drive_or_beyond_an_end_stop() {
    let (mut device, image) = tap_changer(tap_image(), TAP_CHANGER, Duration::from_secs(5)).await;
    device.connect().await.unwrap();
    locked(&image).registers.insert(8, 2);
    assert_eq!(device.apply(&setpoint(Command::TapPosition(10))).await, Ok(Applied::InProgress));
    locked(&image).registers.insert(8, 0);
    for position in [0, 18, i32::MAX, i32::MIN] {
        let error = device.apply(&setpoint(Command::TapPosition(position))).await.unwrap_err();
        assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
    }
    locked(&image).registers.insert(0, 1);
    let error = device.apply(&setpoint(Command::TapPosition(10))).await.unwrap_err();
    assert!(error.to_string().contains("remote"), "{error}");
    assert!(locked(&image).writes.is_empty());
}

#[tokio::test]
async fn releasing_a_tap_changer_tells_where_it_stands() {
    let (mut device, image) = tap_changer(tap_image(), TAP_CHANGER, Duration::from_secs(5)).await;
    device.connect().await.unwrap();
    assert_eq!(device.release(&SafeState::Release).await, Ok(confirmed(9)));
    assert_eq!(device.release(&SafeState::Hold).await, Ok(confirmed(9)));
    let safe = SafeState::Command(Command::TapPosition(8));
    assert_eq!(device.release(&safe).await, Ok(Applied::InProgress));
    assert_eq!(locked(&image).writes, [(TAP_COMMAND, vec![0xFFFF])]);
}

#[tokio::test]
async fn a_voltage_is_written_once_and_read_back() {
    let (mut device, image) = tap_changer(tap_image(), TAP_CHANGER, Duration::from_secs(5)).await;
    device.connect().await.unwrap();
    let command = Command::Voltage { voltage_v: 233.0 };
    for _ in 0..2 {
        assert_eq!(device.apply(&setpoint(command)).await, Ok(Applied::Confirmed { readback: command }));
    }
    assert_eq!(locked(&image).writes, [(6, vec![233])]);
    for voltage_v in [99.0, 501.0, f64::NAN, f64::INFINITY, 65_766.0] {
        let error = device.apply(&setpoint(Command::Voltage { voltage_v })).await.unwrap_err();
        assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
    }
    assert_eq!(locked(&image).writes.len(), 1);
}

#[tokio::test]
async fn a_voltage_that_the_device_does_not_take_is_refused_with_both_numbers() {
    let mut image = tap_image();
    image.deaf = vec![6];
    let (mut device, _image) = tap_changer(image, TAP_CHANGER, Duration::from_secs(5)).await;
    device.connect().await.unwrap();
    let error = device.apply(&setpoint(Command::Voltage { voltage_v: 233.0 })).await.unwrap_err();
    assert!(error.to_string().contains("asked for [233], the device holds [230]"), "{error}");
}

#[tokio::test]
async fn a_write_with_unknown_outcome_is_read_back_before_it_is_repeated() {
    let (mut device, image) = tap_changer(tap_image(), TAP_CHANGER, Duration::from_millis(500)).await;
    device.connect().await.unwrap();
    locked(&image).mute_on_write = true;
    let command = Command::Voltage { voltage_v: 233.0 };
    let error = device.apply(&setpoint(command)).await.unwrap_err();
    assert!(matches!(error, DeviceError::Timeout { .. }), "{error}");
    device.connect().await.unwrap();
    assert_eq!(device.apply(&setpoint(command)).await, Ok(Applied::Confirmed { readback: command }));
    assert_eq!(locked(&image).writes.len(), 1);
}

#[tokio::test]
async fn a_meter_reports_what_is_plausible_as_good_and_leaves_out_what_is_not_there() {
    let mut image = Image::default();
    let values = [230.5_f32, 231.0, 1500.0, 4.0, 4.0, f32::NAN, -2700.0, 120.0, 2710.0, 50.01, 1e6, 230.7];
    for value in values {
        let bits = value.to_bits().to_be_bytes();
        image.push(&[u16::from_be_bytes([bits[0], bits[1]]), u16::from_be_bytes([bits[2], bits[3]])]);
    }
    let (mut device, _image) = tap_changer(image, METER, Duration::from_secs(5)).await;
    let description = device.connect().await.unwrap();
    assert_eq!(description.capabilities, gridloop_device::Capabilities::default());
    let snapshot = device.read().await.unwrap();
    let sample = |name: &str| snapshot.get(name).map(|sample| (sample.value, sample.quality));
    assert_eq!(sample(point::REAL_POWER), Some((-2700.0, Quality::Good)));
    assert_eq!(sample("voltage_c"), Some((1500.0, Quality::OutOfRange)));
    assert_eq!(sample("current_c"), None);
    let asked = setpoint(Command::Power { real_power_w: 0.0, reactive_power_var: 0.0 });
    assert!(matches!(device.apply(&asked).await, Err(DeviceError::Unsupported { .. })));
    assert!(matches!(device.release(&SafeState::Release).await, Err(DeviceError::Unsupported { .. })));
}

#[tokio::test]
async fn registers_are_read_and_written_by_hand() {
    let (server, image) = tap_image().serve().await;
    let link = server.link(Duration::from_secs(5));
    let read = read_registers(link.clone(), clock(), Table::Holding, 13, 3).await;
    assert_eq!(read, Ok(vec![17, 1, 17]));
    assert_eq!(write_registers(link.clone(), clock(), 6, &[240, 2]).await, Ok(vec![240, 2]));
    assert_eq!(locked(&image).writes, [(6, vec![240, 2])]);
    let beyond = read_registers(link.clone(), clock(), Table::Holding, 17, 9).await;
    assert!(matches!(beyond, Err(DeviceError::Refused { .. })));
    for count in [0, 126] {
        let refused = read_registers(link.clone(), clock(), Table::Holding, 0, count).await;
        assert!(matches!(refused, Err(DeviceError::Unsupported { .. })));
    }
    assert!(matches!(write_registers(link, clock(), 0, &[]).await, Err(DeviceError::Unsupported { .. })));
}
