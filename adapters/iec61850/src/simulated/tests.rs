use super::*;
use crate::device::{IedDevice, IedSettings};
use gridloop_clock::WallClock;
use gridloop_device::{Applied, Command, Device, DeviceError, Quality, Setpoint, point};
use gridloop_plant::{PvInverterSettings, Series, TapChangerSettings, TapMode};
use std::net::Ipv4Addr;

fn clock() -> SharedClock {
    Arc::new(WallClock::start().unwrap())
}

fn free_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn inverter(clock: &SharedClock) -> LivePlant<PvInverter> {
    let settings = PvInverterSettings {
        ramp_w_per_s: 1e6,
        ..PvInverterSettings::typical(8000.0, Series::constant(1000.0))
    };
    LivePlant::new(PvInverter::new(settings).unwrap(), Arc::clone(clock))
}

fn taps(clock: &SharedClock) -> LivePlant<TapChanger> {
    let settings =
        TapChangerSettings { travel_time_s: 0.02, motor_pause_s: 0.02, ..TapChangerSettings::default() };
    LivePlant::new(TapChanger::new(settings).unwrap(), Arc::clone(clock))
}

fn device(served: &SimulatedIed, clock: &SharedClock) -> IedDevice {
    IedDevice::new(IedSettings::at(served.local_addr().into()), Arc::clone(clock))
}

fn setpoint(command: Command, clock: &SharedClock) -> Setpoint {
    let now = clock.now();
    Setpoint { command, epoch: 1, received_at: now, expires_at: now + Duration::from_mins(1), order: 0 }
}

#[tokio::test]
async fn an_inverter_is_told_its_power_and_shows_it() {
    let clock = clock();
    let settings =
        SimulatedSettings { control_model: ControlModel::SboEnhanced, ..SimulatedSettings::default() };
    let served = serve_inverter(free_port(), inverter(&clock), settings, clock.clone()).await.unwrap();
    let mut device = device(&served, &clock);
    let description = device.connect().await.unwrap();
    assert_eq!(description.identity, "gridloop simulated PV inverter SIM-1");
    assert!(description.profile.contains("ZINV1.OutWSet sbo-with-enhanced-security"), "{description:?}");
    assert_eq!(description.capabilities.power.unwrap().max_w, 8000.0);
    assert_eq!(description.standing, None);
    let command = Command::Power { real_power_w: 2000.0, reactive_power_var: -500.0 };
    let mut applied = device.apply(&setpoint(command, &clock)).await.unwrap();
    while applied == Applied::InProgress {
        applied = device.apply(&setpoint(command, &clock)).await.unwrap();
    }
    assert_eq!(applied, Applied::Confirmed { readback: command });
    let mut snapshot = device.read().await.unwrap();
    while snapshot.get(point::REAL_POWER).unwrap().value != 2000.0 {
        snapshot = device.read().await.unwrap();
    }
    assert_eq!(snapshot.get(point::VOLTAGE).unwrap().quality, Quality::Good);
    assert_eq!(device.connect().await.unwrap().standing, Some(command));
    served.stop().await;
    let gone = device.read().await;
    assert!(matches!(gone, Err(DeviceError::Disconnected { .. })), "{gone:?}");
}

#[tokio::test]
async fn the_quality_of_an_object_comes_with_its_value() {
    let clock = clock();
    let served = serve_inverter(free_port(), inverter(&clock), SimulatedSettings::default(), clock.clone())
        .await
        .unwrap();
    let mut device = device(&served, &clock);
    device.connect().await.unwrap();
    for (bits, quality) in
        [(&[7][..], Quality::Stale), (&[1][..], Quality::Questionable), (&[10][..], Quality::Substituted)]
    {
        served.set_quality("MMXU1.TotW", bits);
        let snapshot = device.read().await.unwrap();
        assert_eq!(snapshot.get(point::REAL_POWER).unwrap().quality, quality);
        assert_eq!(snapshot.get(point::FREQUENCY).unwrap().quality, Quality::Good);
    }
    served.set_quality("MMXU1.PhV.phsB", &[11]);
    assert_eq!(device.read().await.unwrap().get(point::VOLTAGE).unwrap().quality, Quality::Questionable);
}

#[tokio::test]
async fn a_tap_changer_under_local_control_is_not_moved() {
    let clock = clock();
    let plant = taps(&clock);
    let served = serve_tap_changer(free_port(), plant.clone(), SimulatedSettings::default(), clock.clone())
        .await
        .unwrap();
    let mut device = device(&served, &clock);
    device.connect().await.unwrap();
    for (mode, words) in [(TapMode::Manual, "local control"), (TapMode::Automatic, "automatic mode")] {
        plant.with(|taps| taps.set_mode(mode));
        served.live.refresh();
        let refused = device.apply(&setpoint(Command::TapPosition(6), &clock)).await.unwrap_err();
        assert!(matches!(refused, DeviceError::Refused { .. }), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    assert_eq!(plant.with(|taps| taps.outputs().operations), 0);
}
