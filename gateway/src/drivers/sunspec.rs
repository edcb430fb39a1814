//! `driver = "sunspec"`: inverters that describe themselves, over Modbus.

use super::link::LinkKeys;
use super::{Driver, OpenError, Opened, Opener};
use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_modbus::simulated::{InverterSettings, SimulatedServer, serve_battery, serve_inverter};
use gridloop_modbus::{SunSpecDevice, SunSpecSettings};
use gridloop_plant::{Battery, LivePlant, PvInverter};
use gridloop_service::Section;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub(super) struct SunSpec;

impl Driver for SunSpec {
    fn name(&self) -> &'static str {
        "sunspec"
    }

    fn read(&self, section: &Section<'_>) -> Box<dyn Opener> {
        let link = LinkKeys::read(section);
        let revert_after = section
            .duration_s(
                "revert_after_s",
                "The inverter's own timer: it ends a command that is this old, in s.",
            )
            .within(1.0..=86_400.0)
            .optional();
        let revert_to_w = section
            .number(
                "revert_to_w",
                "The power in W it goes to then, where it can (model 704; 123 and 124 drop the command).",
            )
            .or(0.0);
        let about =
            "Whether it is told a power, charging included, and not a ceiling. Absent: if it has storage.";
        let storage = section.boolean("storage", about).optional();
        let about = "A new value is put in force by taking the old one out first, as some inverters demand.";
        let reenable = section.boolean("reenable", about).or(false);
        Box::new(Settings { link, revert_after, revert_to_w, storage, reenable })
    }
}

#[derive(Debug)]
struct Settings {
    link: LinkKeys,
    revert_after: Option<Duration>,
    revert_to_w: f64,
    storage: Option<bool>,
    reenable: bool,
}

impl Settings {
    /// Serves the device that has this plant.
    async fn simulate(&self, twin: &TwinSettings, clock: &SharedClock) -> Result<SimulatedServer, OpenError> {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let clock = SharedClock::clone(clock);
        Ok(match twin {
            TwinSettings::PvInverter(settings) => {
                let plant = LivePlant::new(PvInverter::new(settings.clone())?, clock.clone());
                let settings = InverterSettings { unit_id: self.link.unit, ..InverterSettings::default() };
                serve_inverter(bind, plant, settings, clock).await?
            }
            TwinSettings::Battery(settings) => {
                let plant = LivePlant::new(Battery::new(settings.clone())?, clock.clone());
                let settings = InverterSettings { unit_id: self.link.unit, ..InverterSettings::battery() };
                serve_battery(bind, plant, settings, clock).await?
            }
            TwinSettings::TapChanger(_) => {
                return Err(OpenError::WrongPlant { driver: "sunspec", plant: twin.kind() });
            }
        })
    }
}

#[async_trait]
impl Opener for Settings {
    fn plants(&self) -> &'static [&'static str] {
        &["pv-inverter", "battery"]
    }

    fn endpoint(&self, address: &str) -> String {
        self.link.endpoint(address)
    }

    fn reverts_to_w(&self) -> Option<f64> {
        Some(self.revert_to_w)
    }

    async fn open(
        &self,
        address: &Address,
        twin: Option<&TwinSettings>,
        request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let (link, simulator) = match address {
            Address::At(text) => (self.link.link(text, request_timeout)?, None),
            Address::Simulated => {
                let server = self.simulate(twin.ok_or(OpenError::NoTwin)?, clock).await?;
                (self.link.simulated(server.address(), request_timeout), Some(server))
            }
        };
        let told = link.address.to_string();
        let settings = SunSpecSettings {
            link,
            revert_after: self.revert_after,
            revert_to_w: self.revert_to_w,
            storage: self.storage,
            reenable: self.reenable,
        };
        Ok(Opened {
            device: Box::new(SunSpecDevice::new(settings, clock.clone())),
            address: told,
            simulator: simulator.map(|server| Box::new(server) as _),
        })
    }
}
