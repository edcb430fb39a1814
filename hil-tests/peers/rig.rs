//! What these tests share: simulated devices on free ports, setpoints, and waiting for a state.

use gridloop_clock::{SharedClock, WallClock, sleep};
use gridloop_device::{Command, Setpoint};
use gridloop_modbus::LinkSettings;
use gridloop_modbus::simulated::{
    Bind, InverterSettings, SimulatedServer, serve_battery, serve_battery_inverter, serve_inverter,
    serve_tap_changer,
};
use gridloop_plant::{
    Battery, BatterySettings, LivePlant, PvInverter, PvInverterSettings, Series, TapChanger,
    TapChangerSettings,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long a state may take to come about before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The system's clock.
pub(crate) fn clock() -> anyhow::Result<SharedClock> {
    Ok(Arc::new(WallClock::start()?))
}

/// A simulated inverter of 8 kW in full sun, which ramps within a tenth of a second.
pub(crate) async fn inverter(
    models: &[u16],
    clock: &SharedClock,
) -> anyhow::Result<(SimulatedServer, LivePlant<PvInverter>)> {
    let mut settings = PvInverterSettings::typical(8000.0, Series::constant(1000.0));
    settings.ramp_w_per_s = 80_000.0;
    let plant = LivePlant::new(PvInverter::new(settings)?, Arc::clone(clock));
    let settings = InverterSettings { models: models.to_vec(), ..InverterSettings::default() };
    let server = serve_inverter(FREE_PORT, plant.clone(), settings, Arc::clone(clock)).await?;
    Ok((server, plant))
}

/// A simulated tap changer that moves within a tenth of a second.
pub(crate) async fn tap_changer(
    clock: &SharedClock,
) -> anyhow::Result<(SimulatedServer, LivePlant<TapChanger>)> {
    tap_changer_at(FREE_PORT, clock).await
}

/// The same, served elsewhere.
pub(crate) async fn tap_changer_at(
    bind: impl Into<Bind>,
    clock: &SharedClock,
) -> anyhow::Result<(SimulatedServer, LivePlant<TapChanger>)> {
    let settings =
        TapChangerSettings { travel_time_s: 0.05, motor_pause_s: 0.05, ..TapChangerSettings::default() };
    let plant = LivePlant::new(TapChanger::new(settings)?, Arc::clone(clock));
    let server = serve_tap_changer(bind, plant.clone(), 1, Arc::clone(clock)).await?;
    Ok((server, plant))
}

/// A simulated battery inverter of 8 kW and 16 kWh, half full.
pub(crate) async fn battery(clock: &SharedClock) -> anyhow::Result<(SimulatedServer, LivePlant<Battery>)> {
    let settings = BatterySettings { ramp_w_per_s: 80_000.0, ..BatterySettings::typical(8000.0, 16_000.0) };
    let plant = LivePlant::new(Battery::new(settings)?, Arc::clone(clock));
    let server = serve_battery_inverter(FREE_PORT, plant.clone(), 1, Arc::clone(clock)).await?;
    Ok((server, plant))
}

/// A simulated SunSpec battery of 8 kW and 16 kWh, half full.
pub(crate) async fn sunspec_battery(
    models: &[u16],
    clock: &SharedClock,
) -> anyhow::Result<(SimulatedServer, LivePlant<Battery>)> {
    let settings = BatterySettings { ramp_w_per_s: 80_000.0, ..BatterySettings::typical(8000.0, 16_000.0) };
    let plant = LivePlant::new(Battery::new(settings)?, Arc::clone(clock));
    let settings = InverterSettings { models: models.to_vec(), ..InverterSettings::default() };
    let server = serve_battery(FREE_PORT, plant.clone(), settings, Arc::clone(clock)).await?;
    Ok((server, plant))
}

/// How to reach a server from gridloop's drivers.
pub(crate) fn link_to(server: SocketAddr) -> LinkSettings {
    LinkSettings::new(server.into(), 1, Duration::from_secs(10))
}

/// A setpoint that is good for a minute.
pub(crate) fn setpoint(command: Command, clock: &SharedClock) -> Setpoint {
    let received_at = clock.now();
    Setpoint { command, epoch: 1, received_at, expires_at: received_at + Duration::from_mins(1), order: 0 }
}

/// Looks again and again until `state` holds.
pub(crate) async fn eventually(
    clock: &SharedClock,
    what: &str,
    mut state: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let bound = clock.now() + PATIENCE;
    while !state().await? {
        anyhow::ensure!(clock.now() < bound, "{what}: not within {PATIENCE:?}");
        sleep(&**clock, Duration::from_millis(20)).await;
    }
    Ok(())
}
