//! `driver = "register-map"`: devices whose registers a profile describes, over Modbus TCP.

use super::{Driver, OpenError, Opened, Opener, link};
use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_modbus::simulated::serve_tap_changer;
use gridloop_modbus::{LinkSettings, Profile, RegisterMapDevice, RegisterMapSettings};
use gridloop_plant::{LivePlant, TapChanger};
use gridloop_service::Section;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub(super) struct RegisterMap;

impl Driver for RegisterMap {
    fn name(&self) -> &'static str {
        "register-map"
    }

    fn read(&self, section: &Section<'_>) -> Box<dyn Opener> {
        let unit = link::read_unit(section);
        let file = section.file("profile", "What the registers mean; see configs/devices/.").must_exist();
        let profile = file.required_option().and_then(|path| {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
            let profile = text.and_then(|text| {
                Profile::parse(&path.display().to_string(), &text).map_err(|error| error.to_string())
            });
            profile
                .map_err(|error| section.error(Some("profile"), format!("a sound profile: {error}"), None))
                .ok()
        });
        Box::new(Settings { unit, profile })
    }
}

#[derive(Debug)]
struct Settings {
    unit: u8,
    /// Absent only in a configuration that was refused.
    profile: Option<Profile>,
}

#[async_trait]
impl Opener for Settings {
    fn plants(&self) -> &'static [&'static str] {
        &["tap-changer"]
    }

    async fn open(
        &self,
        address: &Address,
        twin: Option<&TwinSettings>,
        request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let profile = self.profile.clone().ok_or(OpenError::NoProfile)?;
        let (address, simulator) = match address {
            Address::At(text) => (text.parse()?, None),
            Address::Simulated => {
                let twin = twin.ok_or(OpenError::NoTwin)?;
                let TwinSettings::TapChanger(plant) = twin else {
                    return Err(OpenError::WrongPlant { driver: "register-map", plant: twin.kind() });
                };
                let plant = LivePlant::new(TapChanger::new(plant.clone())?, clock.clone());
                let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let server = serve_tap_changer(bind, plant, self.unit, clock.clone()).await?;
                (gridloop_modbus::Address::from(server.local_addr()), Some(server))
            }
        };
        let link = LinkSettings { address, unit: self.unit, timeout: request_timeout };
        let told = link.address.to_string();
        Ok(Opened {
            device: Box::new(RegisterMapDevice::new(RegisterMapSettings { link, profile }, clock.clone())),
            address: told,
            simulator: simulator.map(|server| Box::new(server) as _),
        })
    }
}
