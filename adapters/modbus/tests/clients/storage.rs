//! The SunSpec driver on batteries: set points by 704 and 124, the heartbeats of 715, and the quirk of inverters that
//! take a new limit only after the old one was out of force.

use crate::support::clock;
use crate::support::image::{Image, Shared, locked};
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, FailSafe, PowerRange, Quality, Renewal, SafeState,
    Setpoint, point,
};
use gridloop_modbus::{RevertAfter, SunSpecDevice, SunSpecSettings};
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(5);
const TEN_SECONDS: RevertAfter = RevertAfter::After(Duration::from_secs(10));

fn power(real_power_w: f64, reactive_power_var: f64) -> Command {
    Command::Power { real_power_w, reactive_power_var }
}

fn setpoint(command: Command) -> Setpoint {
    let now = gridloop_clock::MonoTime::default();
    Setpoint { command, epoch: 1, received_at: now, expires_at: now, order: 0 }
}

fn confirmed(real_power_w: f64) -> Applied {
    Applied::Confirmed { readback: power(real_power_w, 0.0) }
}

const STORAGE_124: &[(&str, &[u16])] = &[
    ("WChaMax", &[8000]),
    ("WChaMax_SF", &[0]),
    ("StorCtl_Mod", &[0]),
    ("ChaState", &[555]),
    ("ChaState_SF", &[0xFFFF]),
    ("OutWRte", &[10_000]),
    ("InWRte", &[10_000]),
    ("InOutWRte_RvrtTms", &[0]),
    ("InOutWRte_SF", &[0xFFFE]),
];

const CONTROLS_704: &[(&str, &[u16])] = &[
    ("WMaxLimPctEna", &[0, 1000, 1000, 0, 0, 0, 0, 0]),
    ("WMaxLimPct_SF", &[0xFFFF]),
    ("WSetEna", &[0, 0, 0, 0, 0, 0]),
    ("WSetEnaRvrt", &[0, 0, 0, 0, 0]),
    ("WSet_SF", &[0]),
];

/// A 10 kW inverter with what the test adds.
fn inverter() -> Image {
    let mut image = Image::sunspec(40_000);
    image.model(1, 66, &[("Mn", &[0x4163, 0x6D65])]);
    image.model(103, 50, &[("W", &[0xFF38]), ("W_SF", &[1])]);
    image.model(121, 30, &[("WMax", &[1000]), ("WMax_SF", &[1])]);
    image
}

fn capacity(image: &mut Image) {
    let ratings: &[(&str, &[u16])] =
        &[("WMax", &[1000]), ("WChaRteMax", &[800]), ("WDisChaRteMax", &[900]), ("W_SF", &[1])];
    image.model(702, 50, ratings);
    image.model(713, 7, &[("SoC", &[425]), ("Pct_SF", &[0xFFFF])]);
}

async fn connected(
    image: Image,
    settle: impl FnOnce(&mut SunSpecSettings),
) -> (SunSpecDevice, Shared, Description) {
    let (server, image) = image.serve().await;
    let mut settings = SunSpecSettings::new(server.link(PATIENT));
    settle(&mut settings);
    let mut device = SunSpecDevice::new(settings, clock());
    let description = device.connect().await.unwrap();
    (device, image, description)
}

#[tokio::test]
async fn model_124_charges_and_discharges_by_a_window_of_one_power() {
    let mut image = inverter();
    let at = image.model(124, 24, STORAGE_124);
    image.end();
    let (mut device, image, description) =
        connected(image, |settings| settings.revert_after = TEN_SECONDS).await;
    let range = PowerRange { min_w: -8000.0, max_w: 8000.0, max_var: 0.0 };
    assert_eq!(description.capabilities.power, Some(range));
    assert_eq!(description.fail_safe, FailSafe::RevertsToFree { after: Duration::from_secs(10) });
    let snapshot = device.read().await.unwrap();
    assert_eq!(snapshot.get(point::STATE_OF_CHARGE).map(|sample| sample.value), Some(55.5));
    assert_eq!(snapshot.get(point::REAL_POWER).map(|sample| sample.value), Some(-2000.0));

    assert_eq!(device.apply(&setpoint(power(-4000.0, 0.0))).await, Ok(confirmed(-4000.0)));
    let offsets: Vec<u16> = locked(&image).writes.iter().map(|(address, _)| address - at).collect();
    assert_eq!(offsets, [15, 12, 5], "time, window, then the mode");
    let held = ["OutWRte", "InWRte", "StorCtl_Mod"].map(|name| locked(&image).point(at, name));
    assert_eq!(held, [vec![0xEC78], vec![5000], vec![3]]);
    assert_eq!(device.apply(&setpoint(power(2000.0, 0.0))).await, Ok(confirmed(2000.0)));
    assert!(device.apply(&setpoint(power(-8001.0, 0.0))).await.is_err());
    assert!(device.apply(&setpoint(power(0.0, 100.0))).await.is_err());
    assert_eq!(device.release(&SafeState::Release).await, Ok(confirmed(0.0)));
    assert_eq!(locked(&image).point(at, "StorCtl_Mod"), [0]);
}

#[tokio::test]
async fn model_704_is_preferred_for_a_battery_and_only_wset_is_driven() {
    let mut image = inverter();
    let at = image.model(704, 65, CONTROLS_704);
    capacity(&mut image);
    let at_124 = image.model(124, 24, STORAGE_124);
    image.end();
    let (mut device, image, description) = connected(image, |settings| {
        settings.revert_after = TEN_SECONDS;
        settings.revert_to_w = -100.0;
    })
    .await;
    let range = PowerRange { min_w: -8000.0, max_w: 9000.0, max_var: 0.0 };
    assert_eq!(description.capabilities.power, Some(range));
    assert_eq!(
        description.fail_safe,
        FailSafe::RevertsToValue { after: Duration::from_secs(10), to_w: Some(-100.0) }
    );
    assert_eq!(device.apply(&setpoint(power(-7000.0, 0.0))).await, Ok(confirmed(-7000.0)));
    assert_eq!(locked(&image).point(at, "WSet"), [0xFFFF, 0xE4A8]);
    assert_eq!(locked(&image).point(at, "WSetRvrt"), [0xFFFF, 0xFF9C]);
    assert_eq!(locked(&image).point(at, "WSetEna"), [1]);
    assert_eq!(locked(&image).point(at, "WMaxLimPctEna"), [0]);
    assert_eq!(locked(&image).point(at_124, "StorCtl_Mod"), [0]);
    locked(&image).registers.insert(at + 14, 1);
    let error = device.apply(&setpoint(power(-7000.0, 0.0))).await.unwrap_err();
    assert!(
        error.to_string().contains("WMaxLimPctEna of model 704 is enabled by another controller"),
        "{error}"
    );
}

#[tokio::test]
async fn the_operator_may_have_a_ceiling_of_a_hybrid_inverter_and_not_its_storage() {
    let both = || {
        let mut image = inverter();
        image.model(704, 65, CONTROLS_704);
        capacity(&mut image);
        image.end();
        image
    };
    let (_, _, description) = connected(both(), |settings| settings.storage = Some(false)).await;
    assert_eq!(description.capabilities.power.map(|range| (range.min_w, range.max_w)), Some((0.0, 10_000.0)));
    let (_, _, description) = connected(both(), |_| ()).await;
    assert_eq!(description.capabilities.power.map(|range| range.min_w), Some(-8000.0));
    let mut plain = inverter();
    plain.model(704, 65, CONTROLS_704);
    plain.end();
    let (_, _, description) = connected(plain, |settings| settings.storage = Some(true)).await;
    assert_eq!(description.capabilities.power, None, "what has no storage is not driven as if it had");
}

#[tokio::test]
async fn an_inverter_that_shows_a_storage_model_and_has_no_storage_is_given_a_ceiling() {
    let mut image = inverter();
    image.model(
        124,
        24,
        &[("StorCtl_Mod", &[0]), ("OutWRte", &[100]), ("InWRte", &[100]), ("InOutWRte_SF", &[0])],
    );
    image.model(704, 65, CONTROLS_704);
    image.end();
    let (mut device, _, description) = connected(image, |_| ()).await;
    assert_eq!(description.capabilities.power.map(|range| (range.min_w, range.max_w)), Some((0.0, 10_000.0)));
    assert_eq!(device.apply(&setpoint(power(5000.0, 0.0))).await, Ok(confirmed(5000.0)));
    assert!(device.apply(&setpoint(power(-1.0, 0.0))).await.is_err());
}

#[tokio::test]
async fn a_battery_without_revert_time_has_no_fail_safe() {
    let mut image = inverter();
    let points: Vec<_> =
        STORAGE_124.iter().copied().filter(|(name, _)| *name != "InOutWRte_RvrtTms").collect();
    image.model(124, 24, &points);
    image.end();
    let (_, _, description) = connected(image, |settings| settings.revert_after = TEN_SECONDS).await;
    assert_eq!(description.fail_safe, FailSafe::None);
}

/// A battery with model 715, and where that is.
fn supervised() -> (Image, u16, u16) {
    let mut image = inverter();
    let controls = image.model(124, 24, STORAGE_124);
    let at = image.model(715, 7, &[("LocRemCtl", &[0]), ("DERHb", &[0, 7]), ("ControllerHb", &[0, 41])]);
    image.end();
    (image, controls, at)
}

#[tokio::test]
async fn every_command_counts_the_heartbeat_of_the_controller_up_and_is_renewed_in_time_for_it() {
    let (image, _, at) = supervised();
    let (mut device, image, description) = connected(image, |_| ()).await;
    assert_eq!(
        description.fail_safe,
        FailSafe::None,
        "what it does without a sign of life is its own affair"
    );
    assert_eq!(description.renewal, Renewal::Within(Duration::from_secs(3)));
    assert!(locked(&image).writes.is_empty(), "connecting writes nothing");
    for beat in [42, 43, 44] {
        device.apply(&setpoint(power(1000.0, 0.0))).await.unwrap();
        assert_eq!(locked(&image).point(at, "ControllerHb"), [0, beat]);
    }
    locked(&image).registers.extend([(at + 5, 0xFFFF), (at + 6, 0xFFFE)]);
    device.release(&SafeState::Release).await.unwrap();
    assert_eq!(locked(&image).point(at, "ControllerHb"), [0, 0], "the counter starts again");
}

#[tokio::test]
async fn nothing_is_written_to_a_device_under_local_control() {
    let (image, controls, at) = supervised();
    let (mut device, image, _) = connected(image, |_| ()).await;
    locked(&image).registers.insert(at + 2, 1);
    for error in [
        device.apply(&setpoint(power(1000.0, 0.0))).await.unwrap_err(),
        device.release(&SafeState::Release).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("under local control (LocRemCtl of model 715)"), "{error}");
        assert!(matches!(error, DeviceError::Refused { .. }));
    }
    assert!(locked(&image).writes.is_empty());
    assert!(device.read().await.is_ok(), "the link is kept");
    let description = device.connect().await.unwrap();
    assert!(description.profile.ends_with("124 715, under local control"), "{}", description.profile);
    locked(&image).registers.insert(at + 2, 0);
    assert!(device.apply(&setpoint(power(1000.0, 0.0))).await.is_ok());
    assert_eq!(locked(&image).point(controls, "StorCtl_Mod"), [3]);
}

#[tokio::test]
async fn values_are_stale_once_the_heartbeat_of_the_device_stands_still() {
    let (image, _, at) = supervised();
    let (mut device, image, _) = connected(image, |_| ()).await;
    let mut stale = false;
    while !stale {
        let snapshot = device.read().await.unwrap();
        let quality = snapshot.get(point::REAL_POWER).unwrap().quality;
        assert!(matches!(quality, Quality::Good | Quality::Stale));
        stale = quality == Quality::Stale;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    locked(&image).registers.insert(at + 4, 8);
    let snapshot = device.read().await.unwrap();
    assert_eq!(snapshot.get(point::REAL_POWER).unwrap().quality, Quality::Good);
}

#[tokio::test]
async fn a_new_limit_is_enabled_anew_where_the_configuration_says_that_it_must_be() {
    let controls: &[(&str, &[u16])] =
        &[("WMaxLimPct", &[1000]), ("WMaxLim_Ena", &[1]), ("WMaxLimPct_SF", &[0xFFFF])];
    for reenable in [false, true] {
        let mut image = inverter();
        let at = image.model(123, 24, controls);
        image.end();
        let (mut device, image, _) = connected(image, |settings| settings.reenable = reenable).await;
        assert_eq!(device.apply(&setpoint(power(5000.0, 0.0))).await, Ok(confirmed(5000.0)));
        let writes: Vec<(u16, Vec<u16>)> =
            locked(&image).writes.iter().map(|(address, values)| (address - at, values.clone())).collect();
        let plain = [(5, vec![500])];
        let anew = [(9, vec![0]), (5, vec![500]), (9, vec![1])];
        assert_eq!(writes, if reenable { anew.to_vec() } else { plain.to_vec() });
        locked(&image).writes.clear();
        assert_eq!(device.apply(&setpoint(power(5000.0, 0.0))).await, Ok(confirmed(5000.0)));
        assert!(locked(&image).writes.is_empty(), "what stands is left alone");
    }
}
