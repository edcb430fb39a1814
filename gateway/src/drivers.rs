//! The one list of drivers. A new protocol is a folder under `adapters/`, a module here and a line in [`DRIVERS`].

mod iec61850;
mod link;
mod mqtt;
mod register_map;
mod simulated;
mod sunspec;

use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_device::{Device, DeviceError};
use gridloop_modbus::LinkSettings;
use gridloop_plant::GridTerminals;
use gridloop_service::Section;
use std::any::Any;
use std::path::PathBuf;
use std::time::Duration;

/// Every driver, by the word that `device.<name>.driver` takes.
pub const DRIVERS: &[&dyn Driver] =
    &[&sunspec::SunSpec, &register_map::RegisterMap, &iec61850::Iec61850, &mqtt::Mqtt, &simulated::Simulated];

/// A way to talk to devices.
#[async_trait]
pub trait Driver: Sync {
    /// The word in the configuration.
    fn name(&self) -> &'static str;

    /// Reads the keys that only this driver has.
    fn read(&self, section: &Section<'_>) -> Box<dyn Opener>;

    /// Serves a simulated device that this driver can talk to.
    ///
    /// # Errors
    /// When it cannot have such a plant, or cannot be served there.
    async fn serve(
        &self,
        wish: &ServeWish,
        twin: &TwinSettings,
        clock: &SharedClock,
    ) -> Result<Served, OpenError>;
}

/// Where and as what a simulated device is to be served. Each driver takes what concerns it.
#[derive(Debug, Clone, Default)]
pub struct ServeWish {
    /// The address; absent: a free port of 127.0.0.1.
    pub at: Option<String>,
    /// The Modbus unit id.
    pub unit: u8,
    /// What its topics begin with.
    pub topic_prefix: String,
    /// Its name in topics.
    pub device_id: String,
    /// Time between two messages of a device that speaks of its own; absent: a second.
    pub interval: Option<Duration>,
    /// PEM files for TLS: authorities, certificate and key.
    pub tls: Option<TlsTriple>,
}

/// PEM files: the authorities that sign the other side's certificate, the own certificate, its private key.
#[derive(Debug, Clone)]
pub struct TlsTriple {
    /// Authorities.
    pub ca_file: PathBuf,
    /// Certificate.
    pub certificate_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
}

/// A simulated device that is being served; it ends when this is dropped.
pub struct Served {
    /// Where a driver finds it.
    pub address: String,
    /// The same for people, with what else they need.
    pub told: String,
    /// What serves it.
    pub server: Box<dyn Any + Send + Sync>,
    /// Where the plant behind it hangs on the grid.
    pub terminals: GridTerminals,
}

/// How a scan is to be done.
#[derive(Debug, Clone)]
pub struct ScanWish {
    /// A description in SCL to compare with.
    pub scl: Option<PathBuf>,
    /// How long to listen, where devices speak of their own.
    pub listen: Duration,
}

/// What a scan found.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: serde_json::Value,
    /// What to put into a configuration; absent when nothing was found that could be.
    pub config_block: Option<String>,
}

/// Why there is nothing to show of a scan.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The address or a file is wrong.
    #[error(transparent)]
    Settings(#[from] OpenError),
    /// The device did not do as asked.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The description could not be read.
    #[error("{0}")]
    Description(String),
    /// Devices of this driver say nothing of themselves.
    #[error("devices of this driver say nothing of themselves: there is nothing to scan")]
    Nothing,
}

/// A driver with its settings.
#[async_trait]
pub trait Opener: Send + Sync + std::fmt::Debug {
    /// The kinds of plant that it can serve as a simulated device.
    fn plants(&self) -> &'static [&'static str];

    /// What tells the device at this address from all others: two drivers of one endpoint would fight. Where several
    /// devices share an address, it names the one behind it.
    fn endpoint(&self, address: &str) -> String {
        address.to_owned()
    }

    /// The link to the device's registers, where it has any.
    fn modbus_link(&self, _address: &str, _timeout: Duration) -> Option<LinkSettings> {
        None
    }

    /// Tells everything that the device at this address says of itself. It writes nothing.
    ///
    /// # Errors
    /// When it cannot be asked.
    async fn scan(
        &self,
        _address: &str,
        _wish: &ScanWish,
        _timeout: Duration,
        _clock: &SharedClock,
    ) -> Result<Scanned, ScanError> {
        Err(ScanError::Nothing)
    }

    /// Makes the device, and before it the simulated one that it is to talk to, where the address says so. Nothing is
    /// connected yet.
    ///
    /// # Errors
    /// When the simulated device cannot be made or served.
    async fn open(
        &self,
        address: &Address,
        twin: Option<&TwinSettings>,
        request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError>;
}

/// A device that can be connected.
pub struct Opened {
    /// The device.
    pub device: Box<dyn Device>,
    /// Where it is, for people.
    pub address: String,
    /// What serves the simulated device; it ends when this is dropped.
    pub simulator: Option<Box<dyn Any + Send + Sync>>,
    /// Where the plant of the simulated device hangs on the grid.
    pub terminals: Option<GridTerminals>,
}

/// Why a device could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address says `simulated`, and there is no `[device.NAME.twin]`.
    #[error("there is no twin to simulate: add a [device.NAME.twin] table")]
    NoTwin,
    /// The profile could not be read.
    #[error("the profile is missing or wrong")]
    NoProfile,
    /// The address is none.
    #[error(transparent)]
    Address(#[from] gridloop_modbus::AddressError),
    /// The address is no IED's.
    #[error(transparent)]
    IedAddress(#[from] gridloop_iec61850::AddressError),
    /// The address of the broker is none.
    #[error(transparent)]
    Broker(#[from] gridloop_mqtt::AddressError),
    /// This driver cannot serve a plant of this kind.
    #[error("driver {driver} cannot simulate a {plant}")]
    WrongPlant {
        /// The driver.
        driver: &'static str,
        /// The plant.
        plant: &'static str,
    },
    /// Nothing can be served at that address.
    #[error("{0}")]
    Bind(String),
    /// The plant's settings make no plant.
    #[error(transparent)]
    Plant(#[from] gridloop_plant::SettingsError),
    /// The simulated device could not be served.
    #[error("cannot serve the simulated device: {0}")]
    Serve(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
