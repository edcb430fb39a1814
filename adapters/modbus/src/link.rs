//! What both drivers hold of a connection: [`Link`], which opens a session, names its errors and drops it after one.

use crate::register_map::Table;
use crate::session::{LinkError, LinkSettings, ModbusSession};
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_device::DeviceError;

/// A session that may be down.
pub(crate) struct Link {
    settings: LinkSettings,
    clock: SharedClock,
    session: Option<ModbusSession>,
}

impl Link {
    pub(crate) fn new(settings: LinkSettings, clock: SharedClock) -> Self {
        Self { settings, clock, session: None }
    }

    pub(crate) fn now(&self) -> MonoTime {
        self.clock.now()
    }

    /// Closes what was open and opens a new session.
    pub(crate) async fn open(&mut self) -> Result<(), DeviceError> {
        self.session = None;
        let opened = ModbusSession::connect(&self.settings, SharedClock::clone(&self.clock)).await;
        let named = |error: LinkError| error.named(format!("connect to {}", self.settings.address));
        self.session = Some(opened.map_err(named)?);
        Ok(())
    }

    /// Reads registers for an operation that the error, if any, names. Never asks for more than one request holds.
    pub(crate) async fn read(
        &self,
        operation: &str,
        table: Table,
        address: u16,
        count: u16,
    ) -> Result<Vec<u16>, DeviceError> {
        self.try_read(table, address, count).await.map_err(|error| error.reading(operation))
    }

    /// Writes registers for an operation that the error, if any, names.
    pub(crate) async fn write(
        &self,
        operation: &str,
        address: u16,
        registers: &[u16],
    ) -> Result<(), DeviceError> {
        self.try_write(address, registers).await.map_err(|error| error.writing(operation))
    }

    /// Writes one register with function 06 for an operation that the error, if any, names. For devices that do not
    /// know function 16.
    pub(crate) async fn write_one(
        &self,
        operation: &str,
        address: u16,
        value: u16,
    ) -> Result<(), DeviceError> {
        let written = async { self.session()?.write_one(address, value).await };
        written.await.map_err(|error: LinkError| error.writing(operation))
    }

    /// As [`Link::read`], for callers to whom an exception means something.
    pub(crate) async fn try_read(
        &self,
        table: Table,
        address: u16,
        count: u16,
    ) -> Result<Vec<u16>, LinkError> {
        self.session()?.read(table, address, count).await
    }

    /// As [`Link::write`], for callers to whom an exception means something.
    pub(crate) async fn try_write(&self, address: u16, registers: &[u16]) -> Result<(), LinkError> {
        self.session()?.write(address, registers).await
    }

    /// As [`Link::try_write`], of one register with function 6.
    pub(crate) async fn try_write_one(&self, address: u16, register: u16) -> Result<(), LinkError> {
        self.session()?.write_one(address, register).await
    }

    /// Drops the session if what was done with it failed in a way that leaves it out of step.
    pub(crate) fn settle<T>(&mut self, result: Result<T, DeviceError>) -> Result<T, DeviceError> {
        if result.as_ref().is_err_and(|error| !error.keeps_link()) {
            self.session = None;
        }
        result
    }

    fn session(&self) -> Result<&ModbusSession, LinkError> {
        self.session.as_ref().ok_or_else(|| LinkError::Lost("the link is not open".to_owned()))
    }
}
