//! The SunSpec driver where a command is to stay, to be taken back, or breaks off halfway: what a device is left with
//! is what the driver says that it is left with.

use crate::support::clock;
use crate::support::image::{Image, Shared, locked};
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, FailSafe, SafeState, Setpoint, point,
};
use gridloop_modbus::sunspec::models::model;
use gridloop_modbus::{RevertAfter, SunSpecDevice, SunSpecSettings};
use std::time::Duration;

type Points = &'static [(&'static str, &'static [u16])];

/// The number, the length and the points of a model.
type Controls = (u16, u16, Points);

const CONTROLS_123: Points = &[
    ("WMaxLimPct", &[1000]),
    ("WMaxLimPct_RvrtTms", &[0]),
    ("WMaxLim_Ena", &[0]),
    ("WMaxLimPct_SF", &[0xFFFF]),
];
const CONTROLS_704: Points =
    &[("WMaxLimPctEna", &[0, 1000, 1000, 0, 0, 0, 0, 0]), ("WSetEna", &[0]), ("WMaxLimPct_SF", &[0xFFFF])];
const WSET_704: Points = &[
    ("WMaxLimPctEna", &[0, 1000, 1000, 0, 0, 0, 0, 0]),
    ("WSetEna", &[0, 0, 0, 0, 0, 0]),
    ("WSetEnaRvrt", &[0, 0, 0, 0, 0]),
    ("WSet_SF", &[0]),
];
const STORAGE_124: Points = &[
    ("WChaMax", &[8000]),
    ("WChaMax_SF", &[0]),
    ("StorCtl_Mod", &[0]),
    ("OutWRte", &[100]),
    ("InWRte", &[100]),
    ("InOutWRte_RvrtTms", &[0]),
    ("InOutWRte_SF", &[0]),
];
const ENABLE_123: u16 = 9;

fn power(real_power_w: f64) -> Command {
    Command::Power { real_power_w, reactive_power_var: 0.0 }
}

fn setpoint(real_power_w: f64) -> Setpoint {
    let now = gridloop_clock::MonoTime::default();
    Setpoint { command: power(real_power_w), epoch: 1, received_at: now, expires_at: now, order: 0 }
}

fn confirmed(real_power_w: f64) -> Result<Applied, DeviceError> {
    Ok(Applied::Confirmed { readback: power(real_power_w) })
}

/// A 10 kW inverter with these controls, and the addresses of the IDs of its model 121 and of those.
fn inverter<const N: usize>(controls: [Controls; N]) -> (Image, u16, [u16; N]) {
    let mut image = Image::sunspec(40_000);
    image.model(1, 66, &[]);
    image.model(103, 50, &[("W", &[7_500]), ("W_SF", &[0])]);
    let ratings = image.model(121, 30, &[("WMax", &[1000]), ("WMax_SF", &[1])]);
    let at = controls.map(|(id, length, points)| image.model(id, length, points));
    image.end();
    (image, ratings, at)
}

async fn connected(
    image: Image,
    settle: impl FnOnce(&mut SunSpecSettings),
) -> (SunSpecDevice, Shared, Description) {
    let (server, image) = image.serve().await;
    let mut settings = SunSpecSettings::new(server.link(Duration::from_secs(5)));
    settle(&mut settings);
    let mut device = SunSpecDevice::new(settings, clock());
    let description = device.connect().await.unwrap();
    (device, image, description)
}

#[tokio::test]
async fn a_safe_power_is_left_without_a_timer_that_would_end_it() {
    let cases: [(u16, u16, Points, &str, &[u16]); 3] = [
        (123, 24, CONTROLS_123, "WMaxLimPct_RvrtTms", &[0]),
        (124, 24, STORAGE_124, "InOutWRte_RvrtTms", &[0]),
        (704, 65, CONTROLS_704, "WMaxLimPctRvrtTms", &[0, 0]),
    ];
    for (id, length, points, timer, never) in cases {
        let (image, _, [at]) = inverter([(id, length, points)]);
        let (mut device, image, _) = connected(image, |settings| {
            settings.revert_after = RevertAfter::After(Duration::from_secs(20));
        })
        .await;
        device.apply(&setpoint(4000.0)).await.unwrap();
        assert_eq!(locked(&image).point(at, timer).last(), Some(&20), "{id}");
        assert_eq!(device.release(&SafeState::Command(power(2000.0))).await, confirmed(2000.0), "{id}");
        assert_eq!(locked(&image).point(at, timer), never, "{id}: nothing may end what is left behind");
        device.apply(&setpoint(4000.0)).await.unwrap();
        assert_eq!(locked(&image).point(at, timer).last(), Some(&20), "{id}: a command has its timer again");
    }
}

#[tokio::test]
async fn releasing_model_704_disarms_its_reversion_after_the_enable() {
    let (image, _, [at]) = inverter([(704, 65, CONTROLS_704)]);
    let (mut device, image, description) = connected(image, |_| ()).await;
    assert_eq!(
        description.fail_safe,
        FailSafe::RevertsToValue { after: Duration::from_secs(30), to_w: Some(0.0) }
    );
    device.apply(&setpoint(4000.0)).await.unwrap();
    let armed = ["WMaxLimPctEnaRvrt", "WMaxLimPctRvrtTms"].map(|name| locked(&image).point(at, name));
    assert_eq!(armed, [vec![1], vec![0, 30]], "the usual timer");
    locked(&image).writes.clear();
    assert_eq!(device.release(&SafeState::Release).await, confirmed(10_000.0));
    let writes = locked(&image).writes.clone();
    assert_eq!(writes, [(at + 14, vec![0]), (at + 17, vec![0, 0, 0])]);
    locked(&image).deaf = vec![at + 19];
    locked(&image).registers.insert(at + 19, 30);
    let error = device.release(&SafeState::Release).await.unwrap_err();
    assert!(error.to_string().contains("WMaxLimPctRvrtTms"), "it is read back: {error}");
}

#[tokio::test]
async fn a_limit_that_only_drops_has_no_timer_unless_it_is_asked_for() {
    let (image, _, [at]) = inverter([(123, 24, CONTROLS_123)]);
    let (mut device, image, description) = connected(image, |_| ()).await;
    assert_eq!(description.fail_safe, FailSafe::None);
    device.apply(&setpoint(4000.0)).await.unwrap();
    assert_eq!(locked(&image).point(at, "WMaxLimPct_RvrtTms"), [0]);
    let (image, _, _) = inverter([(704, 65, CONTROLS_704)]);
    let (_, _, description) = connected(image, |settings| settings.revert_after = RevertAfter::Never).await;
    assert_eq!(description.fail_safe, FailSafe::None);
}

#[tokio::test]
async fn a_release_frees_the_lever_that_was_driven_also_after_the_device_has_changed() {
    let (image, _, [at_704, at_123]) = inverter([(704, 65, CONTROLS_704), (123, 24, CONTROLS_123)]);
    let (mut device, image, _) = connected(image, |_| ()).await;
    device.apply(&setpoint(4000.0)).await.unwrap();
    let scale = at_704 + model(704).unwrap().point("WMaxLimPct_SF").unwrap().offset;
    locked(&image).registers.insert(scale, 0x8000);
    let description = device.connect().await.unwrap();
    assert_eq!(description.capabilities.power, None, "704 takes no power now, and 123 is not what we drove");
    assert!(device.apply(&setpoint(3000.0)).await.is_err());
    assert_eq!(device.release(&SafeState::Release).await, confirmed(10_000.0));
    assert_eq!(locked(&image).point(at_704, "WMaxLimPctEna"), [0]);
    assert!(locked(&image).writes.iter().all(|(address, _)| *address != at_123 + ENABLE_123));
    let description = device.connect().await.unwrap();
    assert!(description.capabilities.power.is_some(), "once it is free, 123 may be driven");
}

#[tokio::test]
async fn a_better_lever_that_appears_is_not_taken_before_the_one_that_was_driven_is_free() {
    let (mut image, _, [at_704, at_123]) = inverter([(704, 65, CONTROLS_704), (123, 24, CONTROLS_123)]);
    let scale = at_704 + model(704).unwrap().point("WMaxLimPct_SF").unwrap().offset;
    image.registers.insert(scale, 0x8000);
    let (mut device, image, _) = connected(image, |_| ()).await;
    device.apply(&setpoint(4000.0)).await.unwrap();
    assert_eq!(locked(&image).point(at_123, "WMaxLim_Ena"), [1]);
    locked(&image).registers.insert(scale, 0xFFFF);
    device.connect().await.unwrap();
    assert_eq!(device.release(&SafeState::Release).await, confirmed(10_000.0));
    assert_eq!(locked(&image).point(at_123, "WMaxLim_Ena"), [0]);
    device.connect().await.unwrap();
    device.apply(&setpoint(4000.0)).await.unwrap();
    assert_eq!(locked(&image).point(at_704, "WMaxLimPctEna"), [1]);
}

#[tokio::test]
async fn an_inverter_that_states_no_power_any_more_is_released_all_the_same() {
    let (image, ratings, [at]) = inverter([(123, 24, CONTROLS_123)]);
    let (mut device, image, _) = connected(image, |_| ()).await;
    device.apply(&setpoint(4000.0)).await.unwrap();
    locked(&image).registers.insert(ratings + 2, 0xFFFF);
    let description = device.connect().await.unwrap();
    assert_eq!(description.capabilities.power, None);
    assert!(device.release(&SafeState::Release).await.is_ok());
    assert_eq!(locked(&image).point(at, "WMaxLim_Ena"), [0]);
}

#[tokio::test]
async fn an_enable_that_is_gone_is_not_said_to_be_released() {
    let (image, _, [at]) = inverter([(123, 24, CONTROLS_123)]);
    let (mut device, image, _) = connected(image, |_| ()).await;
    device.apply(&setpoint(4000.0)).await.unwrap();
    locked(&image).registers.insert(at + ENABLE_123, 0xFFFF);
    for _ in 0..2 {
        let error = device.release(&SafeState::Release).await.unwrap_err();
        assert!(error.to_string().contains("the device has no WMaxLim_Ena"), "{error}");
        device.connect().await.unwrap();
    }
    locked(&image).registers.insert(at + ENABLE_123, 1);
    assert_eq!(device.release(&SafeState::Release).await, confirmed(10_000.0));
    assert_eq!(locked(&image).point(at, "WMaxLim_Ena"), [0]);
}

#[tokio::test]
async fn a_limit_taken_out_of_force_for_a_value_that_is_refused_is_in_force_again() {
    let (image, _, [at]) = inverter([(123, 24, CONTROLS_123)]);
    let (mut device, image, _) = connected(image, |settings| settings.reenable = true).await;
    device.apply(&setpoint(4000.0)).await.unwrap();
    locked(&image).refuses = Some((at + 5, 3));
    let error = device.apply(&setpoint(3000.0)).await.unwrap_err();
    assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
    assert_eq!(locked(&image).point(at, "WMaxLim_Ena"), [1], "the old limit is in force");
    assert_eq!(locked(&image).point(at, "WMaxLimPct"), [400]);
    locked(&image).refuses = None;
    locked(&image).writes.clear();
    assert_eq!(device.apply(&setpoint(4000.0)).await, confirmed(4000.0));
    assert!(!locked(&image).writes.is_empty(), "after half a command everything is written");
    let reading = device.read().await.unwrap();
    assert!(reading.get(point::REAL_POWER).is_some());
}

#[tokio::test]
async fn a_limit_that_cannot_be_put_in_force_again_breaks_the_link_so_that_all_is_done_anew() {
    let (image, _, [at]) = inverter([(123, 24, CONTROLS_123)]);
    let (mut device, image, _) = connected(image, |settings| settings.reenable = true).await;
    device.apply(&setpoint(4000.0)).await.unwrap();
    locked(&image).side_effect = Some((at + ENABLE_123, at + ENABLE_123, 0));
    let error = device.apply(&setpoint(3000.0)).await.unwrap_err();
    assert!(matches!(error, DeviceError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains("nothing is in force"), "{error}");
    locked(&image).side_effect = None;
    device.connect().await.unwrap();
    assert_eq!(device.apply(&setpoint(3000.0)).await, confirmed(3000.0));
    assert_eq!(locked(&image).point(at, "WMaxLim_Ena"), [1]);
}

#[tokio::test]
async fn a_command_in_another_model_is_not_fought_with() {
    let cases: [(Controls, Controls, &str); 3] = [
        ((704, 65, WSET_704), (123, 24, CONTROLS_123), "WMaxLim_Ena"),
        ((704, 65, WSET_704), (124, 24, STORAGE_124), "StorCtl_Mod"),
        ((124, 24, STORAGE_124), (123, 24, CONTROLS_123), "WMaxLim_Ena"),
    ];
    for (ours, theirs, enable) in cases {
        let mut image = Image::sunspec(40_000);
        image.model(103, 50, &[("W", &[7_500]), ("W_SF", &[0])]);
        let ratings: Points =
            &[("WMax", &[1000]), ("WChaRteMax", &[800]), ("WDisChaRteMax", &[900]), ("W_SF", &[1])];
        image.model(702, 50, ratings);
        image.model(713, 7, &[]);
        image.model(ours.0, ours.1, ours.2);
        let at = image.model(theirs.0, theirs.1, theirs.2);
        image.end();
        let (mut device, image, _) = connected(image, |_| ()).await;
        let offset = model(theirs.0).unwrap().point(enable).unwrap().offset;
        locked(&image).registers.insert(at + offset, 1);
        let error = device.apply(&setpoint(-1000.0)).await.unwrap_err();
        let told = format!("{enable} of model {} is enabled by another controller", theirs.0);
        assert!(matches!(error, DeviceError::Refused { .. }) && error.to_string().contains(&told), "{error}");
        assert!(locked(&image).writes.is_empty());
        locked(&image).registers.insert(at + offset, 0);
        assert!(device.apply(&setpoint(-1000.0)).await.is_ok());
    }
}
