//! `driver = "register-map"`: devices whose registers a profile describes, over Modbus.

use super::link::LinkKeys;
use super::{Driver, OpenError, Opened, Opener};
use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_modbus::simulated::{SimulatedServer, serve_battery_inverter, serve_meter, serve_tap_changer};
use gridloop_modbus::{Profile, RegisterMapDevice, RegisterMapSettings};
use gridloop_plant::{Battery, LivePlant, PvInverter, TapChanger};
use gridloop_service::Section;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub(super) struct RegisterMap;

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
}

#[derive(Debug)]
struct Settings {
    link: LinkKeys,
    /// Absent only in a configuration that was refused.
    profile: Option<Profile>,
}

impl Settings {
    /// Serves the device that has this plant: a tap changer, a battery inverter, or a meter at a PV inverter.
    async fn simulate(&self, twin: &TwinSettings, clock: &SharedClock) -> Result<SimulatedServer, OpenError> {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (unit, clock) = (self.link.unit, SharedClock::clone(clock));
        Ok(match twin {
            TwinSettings::TapChanger(settings) => {
                let plant = LivePlant::new(TapChanger::new(settings.clone())?, clock.clone());
                serve_tap_changer(bind, plant, unit, clock).await?
            }
            TwinSettings::Battery(settings) => {
                let plant = LivePlant::new(Battery::new(settings.clone())?, clock.clone());
                serve_battery_inverter(bind, plant, unit, clock).await?
            }
            TwinSettings::PvInverter(settings) => {
                let plant = LivePlant::new(PvInverter::new(settings.clone())?, clock.clone());
                serve_meter(bind, plant, unit, clock).await?
            }
        })
    }
}

#[async_trait]
impl Opener for Settings {
    fn plants(&self) -> &'static [&'static str] {
        &["tap-changer", "battery", "pv-inverter"]
    }

    fn endpoint(&self, address: &str) -> String {
        self.link.endpoint(address)
    }

    async fn open(
        &self,
        address: &Address,
        twin: Option<&TwinSettings>,
        request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let profile = self.profile.clone().ok_or(OpenError::NoProfile)?;
        let (link, simulator) = match address {
            Address::At(text) => (self.link.link(text, request_timeout)?, None),
            Address::Simulated => {
                let server = self.simulate(twin.ok_or(OpenError::NoTwin)?, clock).await?;
                (self.link.simulated(server.address(), request_timeout), Some(server))
            }
        };
        let told = link.address.to_string();
        Ok(Opened {
            device: Box::new(RegisterMapDevice::new(RegisterMapSettings { link, profile }, clock.clone())),
            address: told,
            simulator: simulator.map(|server| Box::new(server) as _),
        })
    }
}
