//! Power commanded by a profile, against a server that is nothing but registers: order of writes, limits, watchdog,
//! release, writes of unknown outcome.

use crate::support::clock;
use crate::support::image::{Image, Shared, locked};
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, FailSafe, PowerRange, SafeState, Setpoint, point,
};
use gridloop_modbus::{Profile, RegisterMapDevice, RegisterMapSettings};
use std::time::Duration;

const BATTERY: &str = include_str!("../../../../configs/devices/battery-inverter.toml");
const MODE: u16 = 40;
const PATIENT: Duration = Duration::from_secs(5);

/// A device that takes per cent of a rating that a register holds, by function 6, with a key written before.
const PERCENT: &str = r#"
name = "x"
write_function = "single"
[[point]]
name = "rated"
table = "holding"
address = 0
type = "u16"
unit = "W"
[[point]]
name = "percent"
table = "holding"
address = 1
type = "i16"
scale = -0.1
unit = "%"
access = "read-write"
[[point]]
name = "key"
table = "holding"
address = 2
type = "u16"
unit = "1"
access = "write"
[[point]]
name = "mode"
table = "holding"
address = 3
type = "u16"
unit = "1"
access = "read-write"
[commands.power]
real_power = "percent"
rated_power = "rated"
min_power = -5000
max_power = 5000
before = [{ point = "key", value = 123 }, { point = "mode", value = 2 }]
release = [{ point = "mode", value = 0 }]
"#;

fn power(real_power_w: f64, reactive_power_var: f64) -> Command {
    Command::Power { real_power_w, reactive_power_var }
}

fn setpoint(command: Command) -> Setpoint {
    let now = gridloop_clock::MonoTime::default();
    Setpoint { command, epoch: 1, received_at: now, expires_at: now, order: 0 }
}

/// A battery inverter of 10 kW. Both tables are the same registers here.
fn battery() -> Image {
    let mut image = Image::default();
    image.push(&[0; 20]);
    image.push(&[0, 10_000, 0, 10_000, 0, 10_000, 0, 4_000]);
    image.push(&[0; 12]);
    image.push(&[0; 8]);
    image
}

async fn connected(
    image: Image,
    profile: &str,
    timeout: Duration,
) -> (RegisterMapDevice, Shared, Description) {
    let (server, image) = image.serve().await;
    let profile = Profile::parse("x.toml", profile).unwrap();
    let mut device =
        RegisterMapDevice::new(RegisterMapSettings { link: server.link(timeout), profile }, clock());
    let description = device.connect().await.unwrap();
    (device, image, description)
}

fn confirmed(real_power_w: f64, reactive_power_var: f64) -> Applied {
    Applied::Confirmed { readback: power(real_power_w, reactive_power_var) }
}

#[tokio::test]
async fn connecting_reads_the_limits_and_what_stands_and_writes_nothing() {
    let (_, image, description) = connected(battery(), BATTERY, PATIENT).await;
    let range = PowerRange { min_w: -10_000.0, max_w: 10_000.0, max_var: 4000.0 };
    assert_eq!(description.capabilities.power, Some(range));
    assert_eq!(
        description.fail_safe,
        FailSafe::RevertsToValue { after: Duration::from_secs(15), to_w: Some(0.0) }
    );
    assert_eq!(description.standing, None);
    assert!(locked(&image).writes.is_empty());

    let mut driven = battery();
    driven.registers.extend([(MODE, 1), (42, 700)]);
    let (_, _, description) = connected(driven, BATTERY, PATIENT).await;
    assert_eq!(description.standing, Some(power(700.0, 0.0)));
}

#[tokio::test]
async fn a_command_writes_fallback_watchdog_power_and_mode_in_this_order_every_time() {
    let (mut device, image, _) = connected(battery(), BATTERY, PATIENT).await;
    assert_eq!(device.apply(&setpoint(power(-2500.0, 300.0))).await, Ok(confirmed(-2500.0, 300.0)));
    let expected: [(u16, Vec<u16>); 5] =
        [(46, vec![0, 0]), (45, vec![15]), (41, vec![0xFFFF, 0xF63C]), (43, vec![0, 300]), (MODE, vec![1])];
    assert_eq!(locked(&image).writes, expected);
    assert!(locked(&image).functions.iter().all(|function| *function == 0x10));
    device.apply(&setpoint(power(-2500.0, 300.0))).await.unwrap();
    assert_eq!(locked(&image).writes.len(), 10, "the watchdog is started again");
}

#[tokio::test]
async fn a_command_that_the_device_has_lost_is_restored_and_told() {
    let (mut device, image, _) = connected(battery(), BATTERY, PATIENT).await;
    device.apply(&setpoint(power(2000.0, 0.0))).await.unwrap();
    locked(&image).registers.insert(42, 0);
    let restored = Applied::Restored { readback: power(2000.0, 0.0) };
    assert_eq!(device.apply(&setpoint(power(2000.0, 0.0))).await, Ok(restored));
}

#[tokio::test]
async fn powers_beyond_the_limits_of_the_device_are_refused_and_nothing_is_written() {
    let (mut device, image, _) = connected(battery(), BATTERY, PATIENT).await;
    for (watts, vars) in [(10_001.0, 0.0), (-10_001.0, 0.0), (f64::NAN, 0.0), (0.0, 4001.0), (0.0, f64::NAN)]
    {
        let error = device.apply(&setpoint(power(watts, vars))).await.unwrap_err();
        assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
    }
    locked(&image).registers.insert(25, 500);
    assert!(device.apply(&setpoint(power(501.0, 0.0))).await.is_err(), "limits are read with each command");
    locked(&image).registers.extend([(24, 0xFFFF), (25, 0xFFFF)]);
    assert!(device.apply(&setpoint(power(1.0, 0.0))).await.is_err(), "no limit, no command");
    assert!(locked(&image).writes.is_empty());
}

#[tokio::test]
async fn releasing_writes_the_sequence_of_the_profile_whatever_stands() {
    let (mut device, image, _) = connected(battery(), BATTERY, PATIENT).await;
    for _ in 0..2 {
        locked(&image).writes.clear();
        assert_eq!(device.release(&SafeState::Release).await, Ok(confirmed(0.0, 0.0)));
        let expected: [(u16, Vec<u16>); 3] = [(41, vec![0, 0]), (43, vec![0, 0]), (MODE, vec![0])];
        assert_eq!(locked(&image).writes, expected);
    }
    locked(&image).writes.clear();
    assert_eq!(device.release(&SafeState::Hold).await, Ok(confirmed(0.0, 0.0)));
    assert!(locked(&image).writes.is_empty());
    let safe = SafeState::Command(power(-100.0, 0.0));
    assert_eq!(device.release(&safe).await, Ok(confirmed(-100.0, 0.0)));
    assert_eq!(locked(&image).registers[&MODE], 1);
    assert_eq!(locked(&image).registers[&45], 0, "the watchdog does not end it");
}

#[tokio::test]
async fn a_safe_power_that_the_watchdog_would_end_is_refused() {
    let profile = BATTERY.replace("never = 0\n", "");
    let (mut device, image, _) = connected(battery(), &profile, PATIENT).await;
    let error = device.release(&SafeState::Command(power(-100.0, 0.0))).await.unwrap_err();
    assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("its watchdog ends it after 15s"), "{error}");
    assert!(locked(&image).writes.is_empty());
    let fallback = SafeState::Command(power(0.0, 0.0));
    assert_eq!(device.release(&fallback).await, Ok(confirmed(0.0, 0.0)), "it goes there by itself");
}

#[tokio::test]
async fn a_command_whose_last_register_was_refused_is_written_as_a_whole_again() {
    let commit = PERCENT.replace("release =", "after = [{ point = \"key\", value = 7 }]\nrelease =");
    let commit = commit.replace("{ point = \"key\", value = 123 }, ", "");
    let mut image = Image::default();
    image.push(&[8000, 0, 0, 0]);
    let (mut device, image, _) = connected(image, &commit, PATIENT).await;
    locked(&image).refuses = Some((2, 3));
    for _ in 0..2 {
        let refused = device.apply(&setpoint(power(1000.0, 0.0))).await;
        assert!(refused.is_err(), "set points that wait for a commit are no confirmation: {refused:?}");
    }
    locked(&image).refuses = None;
    locked(&image).writes.clear();
    assert_eq!(device.apply(&setpoint(power(1000.0, 0.0))).await, Ok(confirmed(1000.0, 0.0)));
    assert_eq!(locked(&image).writes, [(3, vec![2]), (1, vec![0xFF83]), (2, vec![7])]);
}

#[tokio::test]
async fn a_device_that_does_not_state_its_rating_is_read_and_released() {
    let mut image = battery();
    image.registers.extend([(24, 0xFFFF), (25, 0xFFFF)]);
    let (mut device, _, description) = connected(image, BATTERY, PATIENT).await;
    assert_eq!(description.capabilities.power, None);
    assert!(device.read().await.is_ok());
    assert_eq!(device.release(&SafeState::Release).await, Ok(confirmed(0.0, 0.0)));
    let profile = PERCENT.replace("unit = \"W\"\n", "unit = \"W\"\nsentinel = 0xFFFF\n");
    let mut image = Image::default();
    image.push(&[0xFFFF, 250, 0, 2]);
    let (mut device, image, _) = connected(image, &profile, PATIENT).await;
    assert_eq!(device.release(&SafeState::Release).await, Ok(confirmed(0.0, 0.0)));
    assert_eq!(locked(&image).registers[&3], 0, "per cents of nothing known are no reason not to release");
}

#[tokio::test]
async fn a_device_that_confirms_and_forgets_is_refused_with_both_numbers() {
    let mut image = battery();
    image.deaf = vec![42];
    let (mut device, _, _) = connected(image, BATTERY, PATIENT).await;
    let error = device.apply(&setpoint(power(2000.0, 0.0))).await.unwrap_err();
    let told = "write power_setpoint: the device refused: asked for [0, 2000], the device holds [0, 0]";
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn per_cents_have_the_sign_of_the_device_and_go_by_function_6() {
    let mut image = Image::default();
    image.push(&[8000, 0, 0, 0]);
    let (mut device, image, description) = connected(image, PERCENT, PATIENT).await;
    assert_eq!(description.fail_safe, FailSafe::None);
    assert_eq!(device.apply(&setpoint(power(-2000.0, 0.0))).await, Ok(confirmed(-2000.0, 0.0)));
    assert_eq!(locked(&image).writes, [(2, vec![123]), (3, vec![2]), (1, vec![250])]);
    assert_eq!(locked(&image).functions, [6, 6, 6]);
    let rounded = Applied::Confirmed { readback: power(2000.0, 0.0) };
    assert_eq!(device.apply(&setpoint(power(2003.0, 0.0))).await, Ok(rounded));
    let error = device.apply(&setpoint(power(0.0, 1.0))).await.unwrap_err();
    assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
    let error = device.apply(&setpoint(Command::TapPosition(1))).await.unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn without_a_watchdog_what_stands_is_not_written_again() {
    let mut image = Image::default();
    image.push(&[8000, 0, 0, 0]);
    let (mut device, image, _) = connected(image, PERCENT, PATIENT).await;
    let first = device.apply(&setpoint(power(1000.0, 0.0))).await;
    let writes = locked(&image).writes.len();
    assert_eq!(device.apply(&setpoint(power(1000.0, 0.0))).await, first);
    assert_eq!(locked(&image).writes.len(), writes);
    device.apply(&setpoint(power(2000.0, 0.0))).await.unwrap();
    let more = locked(&image).writes[writes..].to_vec();
    assert_eq!(
        more,
        [(2, vec![123]), (1, vec![0xFF06])],
        "the key that cannot be read goes with every change"
    );
}

#[tokio::test]
async fn after_a_write_of_unknown_outcome_everything_is_written_again() {
    let mut image = Image::default();
    image.push(&[8000, 0, 0, 0]);
    let (mut device, image, _) = connected(image, PERCENT, Duration::from_millis(300)).await;
    device.apply(&setpoint(power(1000.0, 0.0))).await.unwrap();
    locked(&image).queues = Some(1);
    let error = device.apply(&setpoint(power(3000.0, 0.0))).await.unwrap_err();
    assert!(error.to_string().contains("outcome unknown"), "{error}");
    device.connect().await.unwrap();
    locked(&image).queues = None;
    locked(&image).writes.clear();
    assert_eq!(device.apply(&setpoint(power(1000.0, 0.0))).await, Ok(confirmed(1000.0, 0.0)));
    let last = locked(&image).writes.last().cloned();
    assert_eq!(last, Some((1, vec![0xFF83])), "the late write of 3000 W is not the last");
    assert_eq!(device.read().await.unwrap().get(point::REAL_POWER), None);
}
