//! `driver = "register-map"`: devices whose registers a profile describes, over Modbus.

use super::link::{self, LinkKeys};
use super::{Driver, OpenError, Opened, Opener, ServeWish, Served};
use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_modbus::simulated::{
    serve_battery_inverter, serve_grid_emulator, serve_meter, serve_tap_changer,
};
use gridloop_modbus::{LinkSettings, Profile, RegisterMapDevice, RegisterMapSettings};
use gridloop_plant::{Battery, GridEmulator, LivePlant, PvInverter, TapChanger};
use gridloop_service::Section;
use std::time::Duration;

pub(super) struct RegisterMap;

#[async_trait]
impl Driver for RegisterMap {
    fn name(&self) -> &'static str {
        "register-map"
    }

    fn read(&self, section: &Section<'_>) -> Box<dyn Opener> {
        let link = LinkKeys::read(section);
        let file = section.file("profile", "What the registers mean; see configs/devices/.").must_exist();
        let profile = file.required_option().and_then(|path| match std::fs::read_to_string(&path) {
            Ok(text) => Profile::parse(&path.display().to_string(), &text)
                .map_err(|errors| section.absorb(errors))
                .ok(),
            Err(error) => {
                section.error(Some("profile"), format!("a readable file: {}: {error}", path.display()), None);
                None
            }
        });
        Box::new(Settings { link, profile })
    }

    /// A tap changer, a battery inverter, a grid emulator, or a meter at a PV inverter, each with the map of its file in
    /// `configs/devices/`.
    async fn serve(
        &self,
        wish: &ServeWish,
        twin: &TwinSettings,
        clock: &SharedClock,
    ) -> Result<Served, OpenError> {
        let (bind, clock) = (link::bind(wish)?, SharedClock::clone(clock));
        let (server, terminals) = match twin {
            TwinSettings::TapChanger(settings) => {
                let plant = LivePlant::new(TapChanger::new(settings.clone())?, clock.clone());
                let terminals = plant.terminals();
                (serve_tap_changer(bind, plant, wish.unit, clock).await?, terminals)
            }
            TwinSettings::Battery(settings) => {
                let plant = LivePlant::new(Battery::new(settings.clone())?, clock.clone());
                let terminals = plant.terminals();
                (serve_battery_inverter(bind, plant, wish.unit, clock).await?, terminals)
            }
            TwinSettings::PvInverter(settings) => {
                let plant = LivePlant::new(PvInverter::new(settings.clone())?, clock.clone());
                let terminals = plant.terminals();
                (serve_meter(bind, plant, wish.unit, clock).await?, terminals)
            }
            TwinSettings::GridEmulator(settings) => {
                let plant = LivePlant::new(GridEmulator::new(settings.clone())?, clock.clone());
                let terminals = plant.terminals();
                (serve_grid_emulator(bind, plant, wish.unit, clock).await?, terminals)
            }
        };
        Ok(link::served(server, wish.unit, terminals))
    }
}

#[derive(Debug)]
struct Settings {
    link: LinkKeys,
    /// Absent only in a configuration that was refused.
    profile: Option<Profile>,
}

#[async_trait]
impl Opener for Settings {
    fn plants(&self) -> &'static [&'static str] {
        &["tap-changer", "battery", "pv-inverter", "grid-emulator"]
    }

    fn endpoint(&self, address: &str) -> String {
        self.link.endpoint(address)
    }

    fn modbus_link(&self, address: &str, timeout: Duration) -> Option<LinkSettings> {
        self.link.link(address, timeout).ok()
    }

    async fn open(
        &self,
        address: &Address,
        twin: Option<&TwinSettings>,
        request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let profile = self.profile.clone().ok_or(OpenError::NoProfile)?;
        let (address, simulator, terminals) = match address {
            Address::At(text) => (text.clone(), None, None),
            Address::Simulated => {
                let wish = ServeWish { unit: self.link.unit, ..ServeWish::default() };
                let served = RegisterMap.serve(&wish, twin.ok_or(OpenError::NoTwin)?, clock).await?;
                (served.address, Some(served.server), Some(served.terminals))
            }
        };
        let link = self.link.link(&address, request_timeout)?;
        let told = link.address.to_string();
        Ok(Opened {
            device: Box::new(RegisterMapDevice::new(RegisterMapSettings { link, profile }, clock.clone())),
            address: told,
            simulator,
            terminals,
        })
    }
}
