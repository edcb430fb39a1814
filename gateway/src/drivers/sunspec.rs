//! `driver = "sunspec"`: inverters that describe themselves, over Modbus.

use super::link::{self, LinkKeys};
use super::{Driver, OpenError, Opened, Opener, ScanError, ScanWish, Scanned, ServeWish, Served};
use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_modbus::simulated::{InverterSettings, serve_battery, serve_inverter};
use gridloop_modbus::{LinkSettings, RevertAfter, SunSpecDevice, SunSpecSettings, scan};
use gridloop_plant::{Battery, LivePlant, PvInverter};
use gridloop_service::{NumberOrWord, Section};
use std::time::Duration;

pub(super) struct SunSpec;

#[async_trait]
impl Driver for SunSpec {
    fn name(&self) -> &'static str {
        "sunspec"
    }

    fn read(&self, section: &Section<'_>) -> Box<dyn Opener> {
        let link = LinkKeys::read(section);
        let about = "The inverter's own timer: it ends a command that is this old, in s, or \"never\". Absent: 30 where \
                     it goes to revert_to_w then (model 704), else never.";
        let revert_after = section
            .number_or_word("revert_after_s", &["never"], about)
            .within(1.0..=86_400.0)
            .optional()
            .map_or(RevertAfter::Usual, revert_after);
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

    async fn serve(
        &self,
        wish: &ServeWish,
        twin: &TwinSettings,
        clock: &SharedClock,
    ) -> Result<Served, OpenError> {
        let (bind, clock) = (link::bind(wish)?, SharedClock::clone(clock));
        let (server, terminals) = match twin {
            TwinSettings::PvInverter(settings) => {
                let plant = LivePlant::new(PvInverter::new(settings.clone())?, clock.clone());
                let settings = InverterSettings { unit_id: wish.unit, ..InverterSettings::default() };
                let terminals = plant.terminals();
                (serve_inverter(bind, plant, settings, clock).await?, terminals)
            }
            TwinSettings::Battery(settings) => {
                let plant = LivePlant::new(Battery::new(settings.clone())?, clock.clone());
                let settings = InverterSettings { unit_id: wish.unit, ..InverterSettings::battery() };
                let terminals = plant.terminals();
                (serve_battery(bind, plant, settings, clock).await?, terminals)
            }
            TwinSettings::TapChanger(_) | TwinSettings::GridEmulator(_) => {
                return Err(OpenError::WrongPlant { driver: "sunspec", plant: twin.kind() });
            }
        };
        Ok(link::served(server, wish.unit, terminals))
    }
}

fn revert_after(value: NumberOrWord) -> RevertAfter {
    match value {
        NumberOrWord::Number(seconds) => RevertAfter::After(Duration::from_secs_f64(seconds)),
        NumberOrWord::Word(_) => RevertAfter::Never,
    }
}

#[derive(Debug)]
struct Settings {
    link: LinkKeys,
    revert_after: RevertAfter,
    revert_to_w: f64,
    storage: Option<bool>,
    reenable: bool,
}

#[async_trait]
impl Opener for Settings {
    fn plants(&self) -> &'static [&'static str] {
        &["pv-inverter", "battery"]
    }

    fn endpoint(&self, address: &str) -> String {
        self.link.endpoint(address)
    }

    fn modbus_link(&self, address: &str, timeout: Duration) -> Option<LinkSettings> {
        self.link.link(address, timeout).ok()
    }

    async fn scan(
        &self,
        address: &str,
        _wish: &ScanWish,
        timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Scanned, ScanError> {
        let link = self.link.link(address, timeout)?;
        let (address, unit) = (link.address.clone(), link.unit);
        let Some(report) = scan(link, clock.clone()).await? else {
            let text = format!(
                "{address} answers, but is no SunSpec device: no marker at register 40000, 0 or 50000\n"
            );
            return Ok(Scanned { text, json: serde_json::Value::Null, config_block: None });
        };
        let unit = if unit == 1 { String::new() } else { format!("unit = {unit}\n") };
        let category = if report.has_storage() { "Storage" } else { "Generator" };
        let block = format!(
            "[device.NAME]\ndriver = \"sunspec\"\naddress = \"{address}\"\n{unit}category = \"{category}\"\n"
        );
        let json = serde_json::to_value(&report).unwrap_or_default();
        Ok(Scanned { text: report.to_string(), json, config_block: Some(block) })
    }

    async fn open(
        &self,
        address: &Address,
        twin: Option<&TwinSettings>,
        request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let (address, simulator, terminals) = match address {
            Address::At(text) => (text.clone(), None, None),
            Address::Simulated => {
                let wish = ServeWish { unit: self.link.unit, ..ServeWish::default() };
                let served = SunSpec.serve(&wish, twin.ok_or(OpenError::NoTwin)?, clock).await?;
                (served.address, Some(served.server), Some(served.terminals))
            }
        };
        let link = self.link.link(&address, request_timeout)?;
        let told = link.address.to_string();
        let settings = SunSpecSettings {
            link,
            revert_after: self.revert_after,
            revert_to_w: self.revert_to_w,
            storage: self.storage,
            reenable: self.reenable,
        };
        let device = Box::new(SunSpecDevice::new(settings, clock.clone()));
        Ok(Opened { device, address: told, simulator, terminals })
    }
}
