//! Drivers against devices that change behind their back: late writes, a second master, an installer, a local menu.

use crate::support::clock;
use crate::support::image::{Image, Shared, locked};
use gridloop_device::{Applied, Command, Description, Device, DeviceError, SafeState, Setpoint};
use gridloop_modbus::{Profile, RegisterMapDevice, RegisterMapSettings, SunSpecDevice, SunSpecSettings};
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(5);
/// For tests in which one answer never comes.
const SHORT: Duration = Duration::from_millis(500);
const TAP_CHANGER: &str = include_str!("../../../../configs/devices/tap-changer-ecotap.toml");
const TAP_COMMAND: u16 = 17;
const TAP_POSITION: u16 = 1;
const VOLTAGE: u16 = 6;
const EVERY_SAFE_STATE: [SafeState; 2] = [SafeState::Release, SafeState::Hold];

fn power(real_power_w: f64, reactive_power_var: f64) -> Command {
    Command::Power { real_power_w, reactive_power_var }
}

fn setpoint(command: Command) -> Setpoint {
    let now = gridloop_clock::MonoTime::default();
    Setpoint { command, epoch: 1, received_at: now, expires_at: now, order: 0 }
}

fn confirmed(readback: Command) -> Applied {
    Applied::Confirmed { readback }
}

/// A 10 kW inverter with model 123, and the addresses of the IDs of its models 121 and 123.
fn inverter() -> (Image, u16, u16) {
    let mut image = Image::sunspec(40_000);
    image.model(1, 66, &[]);
    image.model(103, 50, &[("W", &[7_500]), ("W_SF", &[0])]);
    let ratings = image.model(
        121,
        30,
        &[("WMax", &[1000]), ("WMax_SF", &[1]), ("VArMaxQ1", &[450]), ("VArMax_SF", &[1])],
    );
    let controls = image.model(
        123,
        24,
        &[
            ("WMaxLimPct", &[1000]),
            ("WMaxLimPct_RvrtTms", &[0]),
            ("WMaxLim_Ena", &[0]),
            ("VArWMaxPct", &[0]),
            ("VArPct_RvrtTms", &[0]),
            ("VArPct_Mod", &[1]),
            ("VArPct_Ena", &[0]),
            ("WMaxLimPct_SF", &[0xFFFF]),
            ("VArPct_SF", &[0xFFFF]),
        ],
    );
    image.end();
    (image, ratings, controls)
}

/// Offsets of points of model 123 and, of the ratings, model 121.
const LIMIT: u16 = 5;
const ENABLE: u16 = 9;
const VAR_ENABLE: u16 = 22;
const LIMIT_SCALE: u16 = 23;
const WMAX: u16 = 2;

async fn connected(image: Image, timeout: Duration) -> (SunSpecDevice, Shared, Description) {
    let (server, image) = image.serve().await;
    let settings = SunSpecSettings::new(server.link(timeout));
    let mut device = SunSpecDevice::new(settings, clock());
    let description = device.connect().await.unwrap();
    (device, image, description)
}

async fn tap_changer(timeout: Duration, confirm_within_s: &str) -> (RegisterMapDevice, Shared) {
    let mut image = Image::default();
    image.push(&[3, 9, 0, 1200, 0, 0, 230, 1, 0, 2310, 5, 200, 250, 17, 1, 17, 0, 0]);
    let (server, image) = image.serve().await;
    let profile =
        TAP_CHANGER.replace("confirm_within_s = 30", &format!("confirm_within_s = {confirm_within_s}"));
    let profile = Profile::parse("tap.toml", &profile).unwrap();
    let mut device =
        RegisterMapDevice::new(RegisterMapSettings { link: server.link(timeout), profile }, clock());
    device.connect().await.unwrap();
    (device, image)
}

fn refusal(result: Result<Applied, DeviceError>) -> String {
    match result {
        Err(error @ DeviceError::Refused { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_release_writes_the_enables_even_where_they_read_as_free() {
    let (image, _, at) = inverter();
    let (mut device, image, _) = connected(image, PATIENT).await;
    for _ in 0..2 {
        let free = device.release(&SafeState::Release).await;
        assert_eq!(free, Ok(confirmed(power(10_000.0, 0.0))));
        let both = vec![(at + ENABLE, vec![0]), (at + VAR_ENABLE, vec![0])];
        assert_eq!(std::mem::take(&mut locked(&image).writes), both);
    }
}

#[tokio::test]
async fn a_limit_whose_enabling_comes_late_is_released_after_it() {
    let (image, _, at) = inverter();
    let (mut device, image, _) = connected(image, SHORT).await;
    locked(&image).queues = Some(at + ENABLE);
    let error = device.apply(&setpoint(power(2000.0, 0.0))).await.unwrap_err();
    assert!(matches!(error, DeviceError::Timeout { .. }), "{error}");
    locked(&image).queues = None;
    device.connect().await.unwrap();
    assert_eq!(device.release(&SafeState::Release).await, Ok(confirmed(power(10_000.0, 0.0))));
    locked(&image).flush();
    assert!(locked(&image).writes.contains(&(at + ENABLE, vec![1])), "the late write came");
    assert_eq!(locked(&image).point(at, "WMaxLim_Ena"), [0]);
}

#[tokio::test]
async fn a_command_after_one_of_unknown_outcome_is_written_even_where_it_stands() {
    let (image, _, at) = inverter();
    let (mut device, image, _) = connected(image, SHORT).await;
    device.apply(&setpoint(power(6000.0, 0.0))).await.unwrap();
    locked(&image).queues = Some(at + LIMIT);
    let error = device.apply(&setpoint(power(2000.0, 0.0))).await.unwrap_err();
    assert!(matches!(error, DeviceError::Timeout { .. }), "{error}");
    locked(&image).queues = None;
    device.connect().await.unwrap();
    let applied = device.apply(&setpoint(power(6000.0, 0.0))).await;
    assert_eq!(applied, Ok(confirmed(power(6000.0, 0.0))));
    locked(&image).flush();
    assert_eq!(locked(&image).point(at, "WMaxLimPct"), [600]);
}

#[tokio::test]
async fn a_scale_factor_that_changes_with_the_write_is_refused_with_both_powers() {
    let (mut image, _, at) = inverter();
    image.side_effect = Some((at + LIMIT, at + LIMIT_SCALE, 0));
    let (mut device, _image, _) = connected(image, PATIENT).await;
    let refused = refusal(device.apply(&setpoint(power(3000.0, 0.0))).await);
    assert!(refused.contains("asked for 3000 W and 0 var, the device holds 30000 W and 0 var"), "{refused}");
}

#[tokio::test]
async fn per_cents_are_of_the_rating_that_the_device_states_now() {
    let (image, ratings, at) = inverter();
    let (mut device, image, _) = connected(image, PATIENT).await;
    let limit = setpoint(power(3000.0, 0.0));
    assert_eq!(device.apply(&limit).await, Ok(confirmed(power(3000.0, 0.0))));
    assert_eq!(locked(&image).point(at, "WMaxLimPct"), [300]);
    locked(&image).registers.insert(ratings + WMAX, 500);
    let restored = Applied::Restored { readback: power(3000.0, 0.0) };
    assert_eq!(device.apply(&limit).await, Ok(restored));
    assert_eq!(locked(&image).point(at, "WMaxLimPct"), [600]);
    let refused = refusal(device.apply(&setpoint(power(6000.0, 0.0))).await);
    assert!(refused.contains("6000 is outside 0 to 5000"), "{refused}");
    locked(&image).registers.insert(ratings + WMAX, 0xFFFF);
    let error = device.apply(&limit).await.unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn a_limit_that_the_device_lost_is_restored_and_said_to_be() {
    let (image, _, at) = inverter();
    let (mut device, image, _) = connected(image, PATIENT).await;
    let limit = setpoint(power(4000.0, -1000.0));
    let (held, restored) = (power(4000.0, -1000.0), Applied::Restored { readback: power(4000.0, -1000.0) });
    assert_eq!(device.apply(&limit).await, Ok(confirmed(held)));
    for (address, value) in [(at + ENABLE, 0), (at + LIMIT, 900), (at + VAR_ENABLE, 0)] {
        locked(&image).registers.insert(address, value);
        assert_eq!(device.apply(&limit).await, Ok(restored), "register {address}");
        let writes = locked(&image).writes.len();
        assert_eq!(device.apply(&limit).await, Ok(confirmed(held)), "it stands again");
        assert_eq!(locked(&image).writes.len(), writes, "what stands is not written again");
    }
}

#[tokio::test]
async fn another_command_a_connection_or_a_release_makes_no_restoration() {
    let (image, _, at) = inverter();
    let (mut device, image, _) = connected(image, PATIENT).await;
    let (one, other) = (power(4000.0, 0.0), power(5000.0, 0.0));
    for command in [one, other, one] {
        assert_eq!(device.apply(&setpoint(command)).await, Ok(confirmed(command)));
    }
    locked(&image).registers.insert(at + ENABLE, 0);
    device.connect().await.unwrap();
    assert_eq!(device.apply(&setpoint(one)).await, Ok(confirmed(one)));
    for safe in [SafeState::Release, SafeState::Hold, SafeState::Command(one)] {
        device.release(&safe).await.unwrap();
        locked(&image).registers.insert(at + ENABLE, 0);
        assert_eq!(device.apply(&setpoint(one)).await, Ok(confirmed(one)), "{safe:?}");
    }
}

#[tokio::test]
async fn connecting_tells_a_limit_or_reactive_power_that_somebody_left() {
    let cases = [
        (0, 0, None),
        (1, 0, Some(power(2500.0, 0.0))),
        (0, 1, Some(power(10_000.0, -500.0))),
        (1, 1, Some(power(2500.0, -500.0))),
    ];
    for (limited, reactive, standing) in cases {
        let (mut image, _, at) = inverter();
        image.registers.extend([(at + LIMIT, 250), (at + ENABLE, limited), (at + VAR_ENABLE, reactive)]);
        image.registers.insert(at + 15, 0xFFCE);
        let (_, image, description) = connected(image, PATIENT).await;
        assert_eq!(description.standing, standing);
        assert!(locked(&image).writes.is_empty(), "connecting writes nothing");
    }
}

#[tokio::test]
async fn a_tap_changer_is_not_released_while_a_pulse_is_under_way() {
    let (mut device, image) = tap_changer(PATIENT, "30").await;
    let target = setpoint(Command::TapPosition(12));
    assert_eq!(device.apply(&target).await, Ok(Applied::InProgress));
    for (position, released) in
        [(9, Applied::InProgress), (11, Applied::InProgress), (12, confirmed(Command::TapPosition(12)))]
    {
        locked(&image).registers.insert(TAP_POSITION, position);
        for safe in EVERY_SAFE_STATE {
            assert_eq!(device.release(&safe).await, Ok(released), "{safe:?} at {position}");
        }
    }
    assert_eq!(locked(&image).writes, [(TAP_COMMAND, vec![3])], "releasing sends no pulse");
}

#[tokio::test]
async fn a_tap_changer_that_went_the_wrong_way_is_not_released() {
    let (mut device, image) = tap_changer(PATIENT, "30").await;
    let target = setpoint(Command::TapPosition(3));
    assert_eq!(device.apply(&target).await, Ok(Applied::InProgress));
    locked(&image).registers.insert(TAP_POSITION, 10);
    let refused = refusal(device.apply(&target).await);
    assert!(refused.contains("tap 6 was not confirmed: the position is 10"), "{refused}");
    for safe in EVERY_SAFE_STATE {
        let refused = refusal(device.release(&safe).await);
        assert!(refused.contains("tap 6 was not confirmed: the position is 10"), "{refused}");
    }
    assert_eq!(locked(&image).writes.len(), 1, "releasing sends no pulse");
}

#[tokio::test]
async fn a_tap_changer_whose_last_pulse_has_no_known_outcome_is_not_released_until_it_shows() {
    let (mut device, image) = tap_changer(SHORT, "0.3").await;
    locked(&image).mute_on_write = true;
    let error = device.apply(&setpoint(Command::TapPosition(10))).await.unwrap_err();
    assert!(matches!(error, DeviceError::Timeout { .. }), "{error}");
    device.connect().await.unwrap();
    for safe in EVERY_SAFE_STATE {
        let refused = refusal(device.release(&safe).await);
        assert!(refused.contains("tap 10 was not confirmed: the position is 9"), "{refused}");
    }
    locked(&image).registers.insert(TAP_POSITION, 10);
    for safe in EVERY_SAFE_STATE {
        assert_eq!(device.release(&safe).await, Ok(confirmed(Command::TapPosition(10))));
    }
    assert_eq!(locked(&image).writes.len(), 1, "releasing sends no pulse");
}

#[tokio::test]
async fn a_voltage_of_unknown_outcome_is_not_released_until_it_shows() {
    let (mut device, image) = tap_changer(SHORT, "30").await;
    locked(&image).queues = Some(VOLTAGE);
    let error = device.apply(&setpoint(Command::Voltage { voltage_v: 240.0 })).await.unwrap_err();
    assert!(error.to_string().contains("outcome unknown"), "{error}");
    device.connect().await.unwrap();
    let refused = refusal(device.release(&SafeState::Hold).await);
    assert!(refused.contains("240 V was not confirmed: the device holds 230 V"), "{refused}");
    locked(&image).queues = None;
    locked(&image).flush();
    assert_eq!(device.release(&SafeState::Hold).await, Ok(confirmed(Command::TapPosition(9))));
}

#[tokio::test]
async fn a_voltage_after_one_of_unknown_outcome_is_written_even_where_it_stands() {
    let (mut device, image) = tap_changer(SHORT, "30").await;
    locked(&image).queues = Some(VOLTAGE);
    assert!(device.apply(&setpoint(Command::Voltage { voltage_v: 240.0 })).await.is_err());
    locked(&image).queues = None;
    device.connect().await.unwrap();
    let command = Command::Voltage { voltage_v: 230.0 };
    assert_eq!(device.apply(&setpoint(command)).await, Ok(confirmed(command)));
    locked(&image).flush();
    assert_eq!(locked(&image).writes, [(VOLTAGE, vec![240]), (VOLTAGE, vec![230])]);
}
