//! The device contract's test suite on the IEC 61850 driver, over real sockets to gridloop's simulated IED.

use gridloop_clock::{SharedClock, WallClock};
use gridloop_device::{Device, conformance};
use gridloop_iec61850::simulated::{Plants, SimulatedIed, SimulatedSettings, serve};
use gridloop_iec61850::{ControlModel, IedDevice, IedSettings, ReportSettings};
use gridloop_plant::{LivePlant, PvInverter, PvInverterSettings, Series, TapChanger, TapChangerSettings};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The servers of the devices made so far; they run until the test is over.
#[derive(Clone, Default)]
struct Servers(Arc<Mutex<Vec<SimulatedIed>>>);

/// Which plant the device is, and how it is talked to.
#[derive(Clone, Copy)]
struct Case {
    logical_device: &'static str,
    control_model: ControlModel,
    reports: bool,
}

async fn device(case: Case, clock: SharedClock, servers: Servers) -> Box<dyn Device> {
    let inverter = PvInverter::new(PvInverterSettings::typical(8000.0, Series::constant(1000.0))).unwrap();
    let taps =
        TapChangerSettings { travel_time_s: 0.02, motor_pause_s: 0.02, ..TapChangerSettings::default() };
    let plants = Plants {
        inverter: Some(LivePlant::new(inverter, Arc::clone(&clock))),
        tap_changer: Some(LivePlant::new(TapChanger::new(taps).unwrap(), Arc::clone(&clock))),
    };
    let settings = SimulatedSettings { control_model: case.control_model, ..SimulatedSettings::default() };
    let server = serve(FREE_PORT, plants, settings, Arc::clone(&clock)).await.unwrap();
    let settings = IedSettings {
        logical_device: Some(case.logical_device.to_owned()),
        timeout: Duration::from_secs(5),
        reports: case.reports.then(ReportSettings::default),
        ..IedSettings::at(server.local_addr().into())
    };
    servers.0.lock().unwrap().push(server);
    Box::new(IedDevice::new(settings, clock))
}

async fn check(logical_device: &'static str, control_model: ControlModel, reports: bool) {
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let servers = Servers::default();
    let case = Case { logical_device, control_model, reports };
    let make = || device(case, Arc::clone(&clock), servers.clone());
    assert_eq!(conformance::check(Arc::clone(&clock), make).await, Ok(()));
}

#[tokio::test]
async fn an_inverter_under_direct_control_keeps_the_contract() {
    check("INV", ControlModel::DirectNormal, false).await;
}

#[tokio::test]
async fn an_inverter_selected_before_operation_with_enhanced_security_keeps_the_contract() {
    check("INV", ControlModel::SboEnhanced, false).await;
}

#[tokio::test]
async fn an_inverter_that_reports_keeps_the_contract() {
    check("INV", ControlModel::DirectEnhanced, true).await;
}

#[tokio::test]
async fn a_tap_changer_under_direct_control_keeps_the_contract() {
    check("OLTC", ControlModel::DirectNormal, false).await;
}

#[tokio::test]
async fn a_tap_changer_selected_before_operation_keeps_the_contract() {
    check("OLTC", ControlModel::SboNormal, false).await;
}

#[tokio::test]
async fn a_tap_changer_that_reports_keeps_the_contract() {
    check("OLTC", ControlModel::DirectEnhanced, true).await;
}
