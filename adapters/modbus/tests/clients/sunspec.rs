//! The SunSpec driver against register images: discovery and its corner cases, readings, commands, release.

use crate::support::clock;
use crate::support::image::{Image, Shared, locked};
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, FailSafe, PowerRange, SafeState, Setpoint, Unit,
    point,
};
use gridloop_modbus::{RevertAfter, SunSpecDevice, SunSpecSettings, scan};
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(5);

fn power(real_power_w: f64, reactive_power_var: f64) -> Command {
    Command::Power { real_power_w, reactive_power_var }
}

fn setpoint(command: Command) -> Setpoint {
    let now = gridloop_clock::MonoTime::default();
    Setpoint { command, epoch: 1, received_at: now, expires_at: now, order: 0 }
}

const INVERTER: &[(&str, &[u16])] = &[
    ("W", &[7_500]),
    ("W_SF", &[0]),
    ("VAr", &[0xFF9C]),
    ("VAr_SF", &[0]),
    ("Hz", &[5_002]),
    ("Hz_SF", &[0xFFFE]),
    ("PhVphA", &[2300, 2310, 2320, 0xFFFF]),
    ("St", &[4]),
];

const CONTROLS_123: &[(&str, &[u16])] = &[
    ("WMaxLimPct", &[1000]),
    ("WMaxLimPct_RvrtTms", &[0]),
    ("WMaxLim_Ena", &[0]),
    ("VArWMaxPct", &[0]),
    ("VArPct_RvrtTms", &[0]),
    ("VArPct_Mod", &[0]),
    ("VArPct_Ena", &[0]),
    ("WMaxLimPct_SF", &[0xFFFF]),
    ("VArPct_SF", &[0xFFFF]),
];

const CONTROLS_704: &[(&str, &[u16])] =
    &[("WMaxLimPctEna", &[0, 1000, 1000, 0, 0, 0, 0, 0]), ("WSetEna", &[0]), ("WMaxLimPct_SF", &[0xFFFF])];

/// A 10 kW inverter: models 1, 103, 120, 121 and what the test adds.
fn inverter(base: u16) -> Image {
    let mut image = Image::sunspec(base);
    image.model(1, 66, &[("Mn", &[0x4163, 0x6D65]), ("Md", &[0x5056, 0x3130])]);
    image.model(103, 50, INVERTER);
    image.model(120, 26, &[("WRtg", &[1100, 1]), ("VArRtgQ1", &[450, 0, 0, 0xFE3E, 1])]);
    image.model(121, 30, &[("WMax", &[1000]), ("WMax_SF", &[1])]);
    image
}

async fn connected(image: Image, revert_after: Option<Duration>) -> (SunSpecDevice, Shared, Description) {
    let (server, image) = image.serve().await;
    let revert_after = revert_after.map_or(RevertAfter::Never, RevertAfter::After);
    let settings =
        SunSpecSettings { revert_after, revert_to_w: 1000.0, ..SunSpecSettings::new(server.link(PATIENT)) };
    let mut device = SunSpecDevice::new(settings, clock());
    let description = device.connect().await.unwrap();
    (device, image, description)
}

async fn connect_error(image: Image) -> DeviceError {
    let (server, _image) = image.serve().await;
    let settings = SunSpecSettings::new(server.link(PATIENT));
    SunSpecDevice::new(settings, clock()).connect().await.unwrap_err()
}

#[tokio::test]
async fn a_map_is_found_at_each_of_the_three_addresses() {
    for base in [40_000, 0, 50_000] {
        let mut image = inverter(base);
        image.model(123, 24, CONTROLS_123);
        image.end();
        let (_, _, description) = connected(image, None).await;
        assert_eq!(description.profile, "SunSpec 1 103 120 121 123");
        assert_eq!(description.identity, "Acme PV10");
        let range = PowerRange { min_w: 0.0, max_w: 10_000.0, max_var: 4500.0 };
        assert_eq!(description.capabilities.power, Some(range));
    }
}

#[tokio::test]
async fn a_missing_end_model_ends_the_list_and_unknown_models_are_passed_over() {
    let mut image = inverter(40_000);
    image.model(64_001, 7, &[]);
    image.model(123, 24, CONTROLS_123);
    let (mut device, _, description) = connected(image, None).await;
    assert_eq!(description.profile, "SunSpec 1 103 120 121 64001 123");
    assert!(device.read().await.is_ok());
}

#[tokio::test]
async fn the_length_is_the_devices_and_points_beyond_it_are_absent() {
    let mut image = Image::sunspec(40_000);
    image.model(1, 65, &[]);
    image.model(103, 20, &[("W", &[7_500]), ("W_SF", &[0])]);
    image.end();
    let (mut device, _, description) = connected(image, None).await;
    assert_eq!(description.profile, "SunSpec 1 103");
    let snapshot = device.read().await.unwrap();
    assert_eq!(snapshot.get(point::REAL_POWER).map(|sample| sample.value), Some(7500.0));
    assert!(snapshot.get("operating_state").is_none());
}

#[tokio::test]
async fn a_device_without_marker_or_without_inverter_is_not_supported() {
    let mut plain = Image::default();
    plain.push(&[1, 2, 3]);
    assert!(matches!(connect_error(plain).await, DeviceError::Unsupported { .. }));
    let mut meter = Image::sunspec(0);
    meter.model(203, 105, &[]);
    meter.end();
    let error = connect_error(meter).await;
    assert!(error.to_string().contains("none of the inverter models"), "{error}");
}

#[tokio::test]
async fn a_list_of_models_without_end_is_malformed() {
    let mut zeros = Image::sunspec(40_000);
    zeros.push(&[0; 2000]);
    let error = connect_error(zeros).await;
    assert!(
        matches!(&error, DeviceError::Malformed { reason, .. } if reason.contains("more than")),
        "{error}"
    );
    let mut far = Image::sunspec(50_000);
    far.push(&[103, 60_000]);
    let error = connect_error(far).await;
    assert!(matches!(&error, DeviceError::Malformed { reason, .. } if reason.contains("65535")), "{error}");
}

#[tokio::test]
async fn a_reading_has_units_and_the_mean_voltage() {
    let mut image = inverter(40_000);
    image.end();
    let at = 40_000 + 2 + 68;
    image.registers.insert(at + 13, 0xFFFF);
    let (mut device, image, description) = connected(image, None).await;
    assert_eq!(description.capabilities.power, None);
    let snapshot = device.read().await.unwrap();
    let sample = |name: &str| snapshot.get(name).map(|sample| (sample.value, sample.unit));
    assert_eq!(sample(point::REAL_POWER), Some((7500.0, Unit::Watt)));
    assert_eq!(sample(point::REACTIVE_POWER), Some((-100.0, Unit::Var)));
    assert_eq!(sample(point::FREQUENCY), Some((50.02, Unit::Hertz)));
    assert_eq!(sample(point::VOLTAGE), Some((231.0, Unit::Volt)));
    assert_eq!(sample("current"), None);
    locked(&image).registers.insert(at + 15, 1);
    let scaled = device.read().await.unwrap();
    assert_eq!(scaled.get(point::REAL_POWER).map(|sample| sample.value), Some(75_000.0));
}

#[tokio::test]
async fn an_impossible_scale_factor_is_malformed_and_ends_the_link() {
    let mut image = inverter(40_000);
    image.end();
    let (mut device, image, _) = connected(image, None).await;
    locked(&image).registers.insert(40_070 + 15, 77);
    assert!(matches!(device.read().await, Err(DeviceError::Malformed { .. })));
    assert!(matches!(device.read().await, Err(DeviceError::Disconnected { .. })));
}

#[tokio::test]
async fn a_device_that_has_changed_its_list_of_models_is_malformed() {
    let mut image = inverter(40_000);
    image.end();
    let (mut device, image, _) = connected(image, None).await;
    locked(&image).registers.insert(40_070, 113);
    assert!(matches!(device.read().await, Err(DeviceError::Malformed { .. })));
}

#[tokio::test]
async fn model_123_is_written_value_first_and_enable_last_and_read_back() {
    let mut image = inverter(40_000);
    let at = image.model(123, 24, CONTROLS_123);
    image.end();
    let (mut device, image, description) = connected(image, Some(Duration::from_secs(20))).await;
    assert_eq!(description.fail_safe, FailSafe::RevertsToFree { after: Duration::from_secs(20) });
    assert!(locked(&image).writes.is_empty(), "connecting writes nothing");
    let applied = device.apply(&setpoint(power(5555.0, -1000.0))).await.unwrap();
    assert_eq!(applied, Applied::Confirmed { readback: power(5560.0, -1000.0) });
    let offsets: Vec<u16> = locked(&image).writes.iter().map(|(address, _)| address - at).collect();
    assert_eq!(offsets, [7, 5, 19, 21, 15, 9, 22]);
    assert_eq!(locked(&image).point(at, "WMaxLimPct"), [556]);
    assert_eq!(locked(&image).point(at, "VArWMaxPct"), [0xFF9C]);
    let again = device.apply(&setpoint(power(5555.0, -1000.0))).await.unwrap();
    assert_eq!(again, applied);
    assert_eq!(locked(&image).writes.len(), 14, "the revert times are started again");
}

#[tokio::test]
async fn without_revert_time_a_command_that_is_held_already_is_not_written_again() {
    let mut image = inverter(40_000);
    image.model(123, 24, CONTROLS_123);
    image.end();
    let (mut device, image, description) = connected(image, None).await;
    assert_eq!(description.fail_safe, FailSafe::None);
    let first = device.apply(&setpoint(power(2000.0, 0.0))).await.unwrap();
    let writes = locked(&image).writes.len();
    assert_eq!(device.apply(&setpoint(power(2000.0, 0.0))).await, Ok(first));
    assert_eq!(locked(&image).writes.len(), writes);
}

#[tokio::test]
async fn model_704_is_preferred_and_reverts_to_a_stated_value() {
    let mut image = inverter(40_000);
    let at_123 = image.model(123, 24, CONTROLS_123);
    let at = image.model(704, 65, CONTROLS_704);
    image.end();
    let (mut device, image, description) = connected(image, Some(Duration::from_secs(20))).await;
    assert_eq!(
        description.fail_safe,
        FailSafe::RevertsToValue { after: Duration::from_secs(20), to_w: Some(1000.0) }
    );
    assert_eq!(description.capabilities.power.map(|range| range.max_var), Some(0.0));
    let applied = device.apply(&setpoint(power(6000.0, 0.0))).await.unwrap();
    assert_eq!(applied, Applied::Confirmed { readback: power(6000.0, 0.0) });
    let expected: [(u16, Vec<u16>); 2] = [(at + 15, vec![600, 100, 1, 0, 20]), (at + 14, vec![1])];
    assert_eq!(locked(&image).writes, expected);
    assert_eq!(locked(&image).point(at_123, "WMaxLim_Ena"), [0]);
    let error = device.apply(&setpoint(power(6000.0, 1.0))).await.unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn powers_that_an_inverter_cannot_hold_are_refused_and_nothing_is_written() {
    let mut image = inverter(40_000);
    image.model(123, 24, CONTROLS_123);
    image.end();
    let (mut device, image, _) = connected(image, None).await;
    for (watts, vars) in
        [(-1.0, 0.0), (10_001.0, 0.0), (f64::NAN, 0.0), (0.0, 1e9), (0.0, f64::NAN), (1e300, 0.0)]
    {
        let error = device.apply(&setpoint(power(watts, vars))).await.unwrap_err();
        assert!(matches!(error, DeviceError::Refused { .. }), "{watts} {vars}: {error}");
    }
    let error = device.apply(&setpoint(Command::TapPosition(3))).await.unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported { .. }), "{error}");
    assert!(locked(&image).writes.is_empty());
    assert!(device.read().await.is_ok(), "the link is kept");
}

#[tokio::test]
async fn a_device_that_confirms_and_forgets_is_refused_with_both_numbers() {
    let mut image = inverter(40_000);
    let at = image.model(123, 24, CONTROLS_123);
    image.end();
    image.deaf = vec![at + 5];
    let (mut device, _image, _) = connected(image, None).await;
    let error = device.apply(&setpoint(power(5000.0, 0.0))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "write WMaxLimPct: the device refused: asked for [500], the device holds [1000]"
    );
}

#[tokio::test]
async fn a_refused_write_keeps_the_link() {
    let mut image = inverter(40_000);
    let at = image.model(123, 24, CONTROLS_123);
    image.end();
    image.refuses = Some((at + 5, 3));
    let (mut device, image, _) = connected(image, None).await;
    let error = device.apply(&setpoint(power(5000.0, 0.0))).await.unwrap_err();
    assert!(error.to_string().contains("write WMaxLimPct: the device refused: exception 03"), "{error}");
    device.read().await.unwrap();
    assert!(locked(&image).connections.iter().all(|connection| *connection == 0));
}

#[tokio::test]
async fn releasing_disables_what_was_driven_and_holding_changes_nothing() {
    let mut image = inverter(40_000);
    let at = image.model(123, 24, CONTROLS_123);
    image.end();
    let (mut device, image, _) = connected(image, None).await;
    device.apply(&setpoint(power(5000.0, 500.0))).await.unwrap();
    let writes = locked(&image).writes.len();
    let held = Applied::Confirmed { readback: power(5000.0, 500.0) };
    assert_eq!(device.release(&SafeState::Hold).await, Ok(held));
    assert_eq!(locked(&image).writes.len(), writes);
    let free = Applied::Confirmed { readback: power(10_000.0, 0.0) };
    assert_eq!(device.release(&SafeState::Release).await, Ok(free));
    assert_eq!(locked(&image).point(at, "WMaxLim_Ena"), [0]);
    assert_eq!(locked(&image).point(at, "VArPct_Ena"), [0]);
    let safe = SafeState::Command(power(0.0, 0.0));
    assert_eq!(device.release(&safe).await, Ok(Applied::Confirmed { readback: power(0.0, 0.0) }));
    assert_eq!(locked(&image).point(at, "WMaxLim_Ena"), [1]);
}

#[tokio::test]
async fn a_scan_tells_every_model_and_every_point_that_is_implemented() {
    let mut image = inverter(40_000);
    image.model(64_001, 3, &[]);
    image.end();
    let (server, _image) = image.serve().await;
    let report = scan(server.link(PATIENT), clock()).await.unwrap().unwrap();
    let ids: Vec<_> = report.models.iter().map(|model| (model.id, model.title.is_some())).collect();
    assert_eq!(ids, [(1, true), (103, true), (120, true), (121, true), (64_001, false)]);
    let text = report.to_string();
    for line in ["Mn                   Acme", "W                    7500 W", "Hz                   50.02 Hz"]
    {
        assert!(text.contains(line), "{text}");
    }
    let mut plain = Image::default();
    plain.push(&[1]);
    let (server, _image) = plain.serve().await;
    assert_eq!(scan(server.link(PATIENT), clock()).await, Ok(None));
}
