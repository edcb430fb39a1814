//! `driver = "iec61850"`: IEDs, over MMS.

use super::{Driver, OpenError, Opened, Opener, ScanError, ScanWish, Scanned, ServeWish, Served};
use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_iec61850::scl::Scl;
use gridloop_iec61850::simulated::{SimulatedSettings, serve_inverter, serve_tap_changer};
use gridloop_iec61850::{Check, IedDevice, IedSettings, Mapping, ReportSettings, scan};
use gridloop_plant::{LivePlant, PvInverter, TapChanger};
use gridloop_service::Section;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub(super) struct Iec61850;

#[async_trait]
impl Driver for Iec61850 {
    fn name(&self) -> &'static str {
        "iec61850"
    }

    fn read(&self, section: &Section<'_>) -> Box<dyn Opener> {
        let _ = section
            .text(
                "address",
                "`mms://host` or `mms://host:port`, or `simulated` for an IED that gridloop serves itself.",
            )
            .matching(|text| match text.as_str() {
                "simulated" => Ok(()),
                text => {
                    text.parse::<gridloop_iec61850::Address>().map(drop).map_err(|error| error.to_string())
                }
            })
            .such_as("mms://192.0.2.30")
            .or("simulated".into());
        Box::new(Settings {
            mapping: read_mapping(section),
            logical_device: section
                .text(
                    "logical_device",
                    "The one that is meant, where the IED has several; its IED's name may be left out.",
                )
                .such_as("INV")
                .optional(),
            reports: read_reports(section),
            check: Check {
                interlock: section
                    .boolean("interlock_check", "Whether commands ask the IED to look at its interlocking.")
                    .or(false),
                synchro: section
                    .boolean("synchro_check", "Whether commands ask the IED to look at its synchrocheck.")
                    .or(false),
            },
            originator: section
                .text("originator", "The identity of the originator (`orIdent`) in commands.")
                .matching(|text| match text.len() {
                    1..=64 => Ok(()),
                    _ => Err("expected 1 to 64 bytes".to_owned()),
                })
                .or("gridloop".into()),
            termination_timeout: section
                .duration_s(
                    "termination_timeout_s",
                    "How long a command with enhanced security may take to end after it was accepted, in s.",
                )
                .within(0.1..=5.0)
                .or(Duration::from_secs(5)),
        })
    }

    async fn serve(
        &self,
        wish: &ServeWish,
        twin: &TwinSettings,
        clock: &SharedClock,
    ) -> Result<Served, OpenError> {
        let bind = match &wish.at {
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            Some(at) => at.strip_prefix("mms://").unwrap_or(at).parse().map_err(|_| {
                OpenError::Bind(format!("{at}: to serve there takes an IP address and a port: 127.0.0.1:102"))
            })?,
        };
        let settings = SimulatedSettings::default();
        let (server, terminals) = match twin {
            TwinSettings::PvInverter(plant) => {
                let plant = LivePlant::new(PvInverter::new(plant.clone())?, clock.clone());
                let terminals = plant.terminals();
                (serve_inverter(bind, plant, settings, clock.clone()).await?, terminals)
            }
            TwinSettings::TapChanger(plant) => {
                let plant = LivePlant::new(TapChanger::new(plant.clone())?, clock.clone());
                let terminals = plant.terminals();
                (serve_tap_changer(bind, plant, settings, clock.clone()).await?, terminals)
            }
            TwinSettings::Battery(_) | TwinSettings::GridEmulator(_) => {
                return Err(OpenError::WrongPlant { driver: "iec61850", plant: twin.kind() });
            }
        };
        let address = gridloop_iec61850::Address::from(server.local_addr()).to_string();
        Ok(Served { told: address.clone(), address, server: Box::new(server), terminals })
    }
}

fn read_mapping(section: &Section<'_>) -> Option<Mapping> {
    let file =
        section.file("mapping", "What the IED's objects mean, where their names do not tell.").must_exist();
    let Some(path) = file.optional() else { return Some(Mapping::default()) };
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
    let mapping = text.and_then(|text| {
        Mapping::parse(&path.display().to_string(), &text).map_err(|error| error.to_string())
    });
    mapping.map_err(|error| section.error(Some("mapping"), format!("a sound mapping: {error}"), None)).ok()
}

fn read_reports(section: &Section<'_>) -> Option<ReportSettings> {
    let wanted = section.boolean("reports", "Whether values come by report; else they are polled.").or(false);
    let control_blocks = section
        .texts(
            "report_control_blocks",
            "The report control blocks; default: those that report what is mapped.",
        )
        .or(Vec::new());
    let integrity_period = section
        .duration_s(
            "integrity_period_s",
            "How often the IED reports everything, changed or not, in s; 0: never.",
        )
        .within(0.0..=3600.0)
        .or(Duration::from_secs(10));
    wanted.then_some(ReportSettings { control_blocks, integrity_period })
}

#[derive(Debug)]
struct Settings {
    /// Absent only in a configuration that was refused.
    mapping: Option<Mapping>,
    logical_device: Option<String>,
    reports: Option<ReportSettings>,
    check: Check,
    originator: String,
    termination_timeout: Duration,
}

impl Settings {
    fn at(&self, address: &str, timeout: Duration) -> Result<IedSettings, OpenError> {
        Ok(IedSettings {
            address: address.parse()?,
            timeout,
            termination_timeout: self.termination_timeout,
            mapping: self.mapping.clone().ok_or(OpenError::NoProfile)?,
            logical_device: self.logical_device.clone(),
            check: self.check,
            originator: self.originator.clone(),
            reports: self.reports.clone(),
        })
    }
}

#[async_trait]
impl Opener for Settings {
    fn plants(&self) -> &'static [&'static str] {
        &["pv-inverter", "tap-changer"]
    }

    fn endpoint(&self, address: &str) -> String {
        let parsed = address.parse::<gridloop_iec61850::Address>();
        let address = parsed.map_or_else(|_| address.to_owned(), |address| address.to_string());
        match &self.logical_device {
            Some(logical_device) => format!("{address}/{logical_device}"),
            None => address,
        }
    }

    async fn scan(
        &self,
        address: &str,
        wish: &ScanWish,
        timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Scanned, ScanError> {
        let scl = match &wish.scl {
            None => None,
            Some(path) => {
                let told = |error: String| ScanError::Description(format!("{}: {error}", path.display()));
                let text = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
                Some(Scl::parse(&text).map_err(|error| told(error.to_string()))?)
            }
        };
        let report = scan(&self.at(address, timeout)?, scl.as_ref(), clock.clone()).await?;
        let json = serde_json::to_value(&report).unwrap_or_default();
        let block = Some(report.config_block()).filter(|block| block.contains("[device."));
        Ok(Scanned { text: report.to_string(), json, config_block: block })
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
                let wish = ServeWish::default();
                let served = Iec61850.serve(&wish, twin.ok_or(OpenError::NoTwin)?, clock).await?;
                (served.address, Some(served.server), Some(served.terminals))
            }
        };
        let settings = self.at(&address, request_timeout)?;
        let address = settings.address.to_string();
        let device = Box::new(IedDevice::new(settings, clock.clone()));
        Ok(Opened { device, address, simulator, terminals })
    }
}
