//! The one list of drivers. A new protocol is a folder under `adapters/`, a module here and a line in [`DRIVERS`].

mod iec61850;
mod link;
mod register_map;
mod simulated;
mod sunspec;

use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_device::Device;
use gridloop_service::Section;
use std::any::Any;
use std::time::Duration;

/// Every driver, by the word that `device.<name>.driver` takes.
pub const DRIVERS: &[&dyn Driver] =
    &[&sunspec::SunSpec, &register_map::RegisterMap, &iec61850::Iec61850, &simulated::Simulated];

/// A way to talk to devices.
pub trait Driver: Sync {
    /// The word in the configuration.
    fn name(&self) -> &'static str;
    /// Reads the keys that only this driver has.
    fn read(&self, section: &Section<'_>) -> Box<dyn Opener>;
}

/// A driver with its settings.
#[async_trait]
pub trait Opener: Send + Sync + std::fmt::Debug {
    /// The kinds of plant that it can serve as a simulated device.
    fn plants(&self) -> &'static [&'static str];

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
    /// This driver cannot serve a plant of this kind.
    #[error("driver {driver} cannot simulate a {plant}")]
    WrongPlant {
        /// The driver.
        driver: &'static str,
        /// The plant.
        plant: &'static str,
    },
    /// The plant's settings make no plant.
    #[error(transparent)]
    Plant(#[from] gridloop_plant::SettingsError),
    /// The simulated device could not be served.
    #[error("cannot serve the simulated device: {0}")]
    Serve(#[from] std::io::Error),
}
