//! The driver and the simulated device over RTU framing: every fault is an error, none is a value, and all heal.

use gridloop_clock::{SharedClock, WallClock};
use gridloop_device::{Device, DeviceError, point};
use gridloop_modbus::simulated::{Bind, Fault, SimulatedServer, serve_tap_changer};
use gridloop_modbus::{LinkSettings, Profile, RegisterMapDevice, RegisterMapSettings, link_statistics};
use gridloop_plant::{LivePlant, TapChanger, TapChangerSettings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const PROFILE: &str = include_str!("../../../configs/devices/tap-changer-ecotap.toml");
const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const TIMEOUT: Duration = Duration::from_millis(200);
const QUIET: Duration = Duration::from_millis(20);

async fn served() -> (SimulatedServer, RegisterMapDevice) {
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let plant = LivePlant::new(TapChanger::new(TapChangerSettings::default()).unwrap(), Arc::clone(&clock));
    let bind = Bind::RtuOverTcp(FREE_PORT);
    let server = serve_tap_changer(bind, plant, 1, Arc::clone(&clock)).await.unwrap();
    let link = LinkSettings { quiet: Some(QUIET), ..LinkSettings::new(server.address(), 1, TIMEOUT) };
    let profile = Profile::parse("tap.toml", PROFILE).unwrap();
    (server, RegisterMapDevice::new(RegisterMapSettings { link, profile }, clock))
}

#[tokio::test]
async fn every_fault_on_rtu_is_an_error_and_heals() {
    let (server, mut device) = served().await;
    let faults = [
        Fault::Silence,
        Fault::LostReply,
        Fault::Exception(4),
        Fault::Exception(6),
        Fault::Exception(0x0B),
        Fault::WrongUnit,
        Fault::WrongFunction,
        Fault::Short,
        Fault::BadLength,
        Fault::Truncated,
        Fault::Garbage,
        Fault::Flood,
        Fault::Close,
    ];
    for fault in faults {
        device.connect().await.unwrap();
        server.knobs().set(fault);
        let error = device.read().await.unwrap_err();
        let known = matches!(error, DeviceError::Refused { .. });
        assert_eq!(known, matches!(fault, Fault::Exception(4 | 6)), "{fault:?}: {error}");
        server.knobs().heal();
        device.connect().await.unwrap();
        let snapshot = device.read().await.unwrap();
        assert_eq!(snapshot.get(point::TAP_POSITION).map(|sample| sample.value), Some(5.0), "{fault:?}");
    }
    let counts = link_statistics(&server.address()).unwrap();
    assert_eq!((counts.timeouts, counts.exceptions, counts.bad_checksums), (2, 3, 1), "{counts:?}");
}

#[tokio::test]
async fn a_unit_that_is_not_on_the_line_is_silence() {
    let (server, _) = served().await;
    let link = LinkSettings { quiet: Some(QUIET), ..LinkSettings::new(server.address(), 2, TIMEOUT) };
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let profile = Profile::parse("tap.toml", PROFILE).unwrap();
    let mut device = RegisterMapDevice::new(RegisterMapSettings { link, profile }, clock);
    let error = device.connect().await.unwrap_err();
    assert!(matches!(error, DeviceError::Timeout { .. }), "{error}");
}
