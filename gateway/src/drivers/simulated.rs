//! `driver = "simulated"`: a plant behind the device contract, without a wire.

use super::{Driver, OpenError, Opened, Opener, ServeWish, Served};
use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_plant::LivePlant;
use gridloop_service::Section;
use gridloop_simulated::SimulatedDevice;
use std::time::Duration;

pub(super) struct Simulated;

#[async_trait]
impl Driver for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn read(&self, section: &Section<'_>) -> Box<dyn Opener> {
        let _ = section
            .text("address", "This driver has no wire: only `simulated` fits.")
            .one_of(&["simulated"])
            .or("simulated".into());
        Box::new(Settings)
    }

    async fn serve(&self, _: &ServeWish, _: &TwinSettings, _: &SharedClock) -> Result<Served, OpenError> {
        Err(OpenError::Bind("driver simulated has no wire; name another one".to_owned()))
    }
}

#[derive(Debug)]
struct Settings;

#[async_trait]
impl Opener for Settings {
    fn plants(&self) -> &'static [&'static str] {
        &["pv-inverter", "battery", "tap-changer", "grid-emulator"]
    }

    async fn open(
        &self,
        _address: &Address,
        twin: Option<&TwinSettings>,
        _request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let plant = twin.ok_or(OpenError::NoTwin)?.plant()?;
        let plant = LivePlant::new(plant, clock.clone());
        let terminals = Some(plant.terminals());
        let device = SimulatedDevice::new(plant, clock.clone());
        Ok(Opened { device: Box::new(device), address: "in this process".into(), simulator: None, terminals })
    }
}
