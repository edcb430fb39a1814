//! The device contract's test suite on the Modbus drivers, over real sockets to gridloop's simulated devices.

use gridloop_clock::{SharedClock, WallClock};
use gridloop_device::{Device, conformance};
use gridloop_modbus::simulated::{
    InverterSettings, SimulatedServer, serve_battery, serve_battery_inverter, serve_grid_emulator,
    serve_inverter, serve_meter, serve_tap_changer,
};
use gridloop_modbus::{
    LinkSettings, Profile, RegisterMapDevice, RegisterMapSettings, RevertAfter, SunSpecDevice,
    SunSpecSettings,
};
use gridloop_plant::{
    Battery, BatterySettings, GridEmulator, GridEmulatorSettings, LivePlant, PvInverter, PvInverterSettings,
    Series, TapChanger, TapChangerSettings,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The servers of the devices made so far; they run until the test is over.
#[derive(Clone, Default)]
struct Servers(Arc<Mutex<Vec<SimulatedServer>>>);

impl Servers {
    fn keep(&self, server: SimulatedServer) -> LinkSettings {
        let address = server.local_addr().into();
        self.0.lock().unwrap().push(server);
        LinkSettings::new(address, 1, Duration::from_secs(5))
    }
}

fn clock() -> SharedClock {
    Arc::new(WallClock::start().unwrap())
}

async fn inverter_behind(models: &[u16], clock: SharedClock, servers: Servers) -> Box<dyn Device> {
    let plant = PvInverter::new(PvInverterSettings::typical(8000.0, Series::constant(1000.0))).unwrap();
    let plant = LivePlant::new(plant, Arc::clone(&clock));
    let settings = InverterSettings { models: models.to_vec(), ..InverterSettings::default() };
    let server = serve_inverter(FREE_PORT, plant, settings, Arc::clone(&clock)).await.unwrap();
    let settings = SunSpecSettings {
        revert_after: RevertAfter::After(Duration::from_secs(10)),
        ..SunSpecSettings::new(servers.keep(server))
    };
    Box::new(SunSpecDevice::new(settings, clock))
}

async fn storage_behind(models: &[u16], clock: SharedClock, servers: Servers) -> Box<dyn Device> {
    let plant = Battery::new(BatterySettings::typical(5000.0, 10_000.0)).unwrap();
    let plant = LivePlant::new(plant, Arc::clone(&clock));
    let settings = InverterSettings { models: models.to_vec(), ..InverterSettings::default() };
    let server = serve_battery(FREE_PORT, plant, settings, Arc::clone(&clock)).await.unwrap();
    let settings = SunSpecSettings {
        revert_after: RevertAfter::After(Duration::from_secs(10)),
        ..SunSpecSettings::new(servers.keep(server))
    };
    Box::new(SunSpecDevice::new(settings, clock))
}

async fn check_storage(models: &'static [u16]) {
    let (clock, servers) = (clock(), Servers::default());
    let make = || storage_behind(models, Arc::clone(&clock), servers.clone());
    assert_eq!(conformance::check(Arc::clone(&clock), make).await, Ok(()));
}

#[tokio::test]
async fn the_sunspec_driver_keeps_the_contract_with_a_battery_of_the_ieee_1547_family() {
    check_storage(&[1, 701, 702, 704, 713, 714, 715]).await;
}

#[tokio::test]
async fn the_sunspec_driver_keeps_the_contract_with_a_battery_of_model_124() {
    check_storage(&[1, 103, 120, 121, 124, 802]).await;
}

#[tokio::test]
async fn the_sunspec_driver_keeps_the_contract_with_every_kind_of_inverter() {
    for models in [&[1, 101, 120, 123][..], &[1, 112, 120, 123], &[1, 701, 702, 704, 714, 715]] {
        let (clock, servers) = (clock(), Servers::default());
        let make = || inverter_behind(models, Arc::clone(&clock), servers.clone());
        assert_eq!(conformance::check(Arc::clone(&clock), make).await, Ok(()), "{models:?}");
    }
}

async fn tap_changer_behind(clock: SharedClock, servers: Servers) -> Box<dyn Device> {
    let settings =
        TapChangerSettings { travel_time_s: 0.02, motor_pause_s: 0.02, ..TapChangerSettings::default() };
    let plant = LivePlant::new(TapChanger::new(settings).unwrap(), Arc::clone(&clock));
    let server = serve_tap_changer(FREE_PORT, plant, 1, Arc::clone(&clock)).await.unwrap();
    mapped("tap-changer-ecotap.toml", servers.keep(server), clock)
}

async fn battery_behind(clock: SharedClock, servers: Servers) -> Box<dyn Device> {
    let plant = Battery::new(BatterySettings::typical(5000.0, 10_000.0)).unwrap();
    let plant = LivePlant::new(plant, Arc::clone(&clock));
    let server = serve_battery_inverter(FREE_PORT, plant, 1, Arc::clone(&clock)).await.unwrap();
    mapped("battery-inverter.toml", servers.keep(server), clock)
}

async fn meter_behind(clock: SharedClock, servers: Servers) -> Box<dyn Device> {
    let plant = PvInverter::new(PvInverterSettings::typical(8000.0, Series::constant(1000.0))).unwrap();
    let plant = LivePlant::new(plant, Arc::clone(&clock));
    let server = serve_meter(FREE_PORT, plant, 1, Arc::clone(&clock)).await.unwrap();
    mapped("meter-three-phase.toml", servers.keep(server), clock)
}

async fn grid_emulator_behind(clock: SharedClock, servers: Servers) -> Box<dyn Device> {
    let plant = GridEmulator::new(GridEmulatorSettings::typical(230.0)).unwrap();
    let plant = LivePlant::new(plant, Arc::clone(&clock));
    let server = serve_grid_emulator(FREE_PORT, plant, 1, Arc::clone(&clock)).await.unwrap();
    mapped("grid-emulator.toml", servers.keep(server), clock)
}

fn mapped(profile: &str, link: LinkSettings, clock: SharedClock) -> Box<dyn Device> {
    let file = format!("{}/../../configs/devices/{profile}", env!("CARGO_MANIFEST_DIR"));
    let profile = Profile::parse(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
    Box::new(RegisterMapDevice::new(RegisterMapSettings { link, profile }, clock))
}

async fn check_inverter(models: &'static [u16]) {
    let (clock, servers) = (clock(), Servers::default());
    let make = || inverter_behind(models, Arc::clone(&clock), servers.clone());
    assert_eq!(conformance::check(Arc::clone(&clock), make).await, Ok(()));
}

#[tokio::test]
async fn the_sunspec_driver_keeps_the_contract_with_model_704() {
    check_inverter(&[1, 103, 120, 121, 122, 123, 702, 704]).await;
}

#[tokio::test]
async fn the_sunspec_driver_keeps_the_contract_with_model_123_only() {
    check_inverter(&[1, 103, 120, 121, 123]).await;
}

#[tokio::test]
async fn the_sunspec_driver_keeps_the_contract_with_floating_point() {
    check_inverter(&[1, 113, 120, 123]).await;
}

#[tokio::test]
async fn the_sunspec_driver_keeps_the_contract_without_any_controls() {
    check_inverter(&[1, 103]).await;
}

#[tokio::test]
async fn the_register_map_driver_keeps_the_contract_with_a_tap_changer() {
    let (clock, servers) = (clock(), Servers::default());
    let make = || tap_changer_behind(Arc::clone(&clock), servers.clone());
    assert_eq!(conformance::check(Arc::clone(&clock), make).await, Ok(()));
}

#[tokio::test]
async fn the_register_map_driver_keeps_the_contract_with_a_battery_inverter() {
    let (clock, servers) = (clock(), Servers::default());
    let make = || battery_behind(Arc::clone(&clock), servers.clone());
    assert_eq!(conformance::check(Arc::clone(&clock), make).await, Ok(()));
}

#[tokio::test]
async fn the_register_map_driver_keeps_the_contract_with_a_grid_emulator() {
    let (clock, servers) = (clock(), Servers::default());
    let make = || grid_emulator_behind(Arc::clone(&clock), servers.clone());
    assert_eq!(conformance::check(Arc::clone(&clock), make).await, Ok(()));
}

#[tokio::test]
async fn the_register_map_driver_keeps_the_contract_with_a_meter() {
    let (clock, servers) = (clock(), Servers::default());
    let make = || meter_behind(Arc::clone(&clock), servers.clone());
    assert_eq!(conformance::check(Arc::clone(&clock), make).await, Ok(()));
}
