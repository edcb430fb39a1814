//! Links to Modbus servers: [`ModbusSession`] is one unit's handle to a link, [`LinkSettings`] say how to reach it.
//!
//! A link is a TCP or TLS connection, or a serial line, with one task that owns it (`bus`). All units with the same
//! address share it: they take turns (`queue`), and one that is dead costs the others one timeout now and then. What
//! differs between transports is how they are opened (`dial`) and how frames look (`guard` before the client of
//! tokio-modbus for Modbus TCP, `line` and `rtu` for RTU). Reconnecting after an error is the caller's decision; a
//! sibling's error is none of the caller's.

mod ask;
mod bus;
mod dial;
mod error;
mod guard;
mod line;
mod queue;
mod registry;
pub(crate) mod rtu;
#[cfg(test)]
mod seeded;
mod statistics;
pub(crate) mod tls;

pub(crate) use dial::open_port;
pub(crate) use error::LinkError;
pub use registry::link_statistics;
pub use statistics::LinkStatistics;
pub use tls::{TlsFileError, TlsFiles};

use crate::address::Address;
use crate::register_map::Table;
use ask::Ask;
use bus::{Bus, Job, Work};
use gridloop_clock::SharedClock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The most registers that one read request may ask for.
pub(crate) const MOST_READ: u16 = 125;
/// The most registers that one write request may carry.
pub(crate) const MOST_WRITTEN: usize = 123;

/// How to reach one unit of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSettings {
    /// The server, or the line.
    pub address: Address,
    /// The unit identifier: 1 for most devices, others behind a gateway or on a line.
    pub unit: u8,
    /// How long opening the link, and each answer, may take. On a serial line the time that the frames themselves take
    /// comes on top.
    pub timeout: Duration,
    /// RTU only: how long after a fault the line must have been quiet before the next request. It must be no shorter
    /// than the device's longest time to answer. `None`: as long as `timeout`.
    pub quiet: Option<Duration>,
    /// The certificates of a `tls://` address, which cannot do without.
    pub tls: Option<TlsFiles>,
    /// A connection for this device alone, although another has the same address. A serial port is always shared.
    pub own_connection: bool,
}

impl LinkSettings {
    /// A link without anything special.
    #[must_use]
    pub fn new(address: Address, unit: u8, timeout: Duration) -> Self {
        Self { address, unit, timeout, quiet: None, tls: None, own_connection: false }
    }

    fn patience(&self) -> Patience {
        Patience { timeout: self.timeout, quiet: self.quiet.unwrap_or(self.timeout) }
    }
}

/// How long a unit is waited for.
#[derive(Debug, Clone, Copy)]
struct Patience {
    timeout: Duration,
    quiet: Duration,
}

/// One unit's handle to a link. When the last handle to a link is dropped, the link is closed at once.
#[derive(Debug)]
pub(crate) struct ModbusSession {
    bus: Arc<Bus>,
    unit: u8,
    patience: Patience,
}

impl ModbusSession {
    /// Opens the link within the timeout, or joins the others who use it.
    pub(crate) async fn connect(settings: &LinkSettings, clock: SharedClock) -> Result<Self, LinkError> {
        let bus = registry::attach(settings, clock)?;
        let session = Self { bus, unit: settings.unit, patience: settings.patience() };
        session.work(Work::Open).await?;
        Ok(session)
    }

    /// Reads `count` registers, 1 to 125. The answer has exactly that many.
    pub(crate) async fn read(&self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, LinkError> {
        debug_assert!((1..=MOST_READ).contains(&count));
        self.work(Work::Ask(Ask::Read { table, address, count })).await
    }

    /// Writes holding registers with one request, function 16. After a timeout or a lost link the outcome is unknown.
    pub(crate) async fn write(&self, address: u16, registers: &[u16]) -> Result<(), LinkError> {
        debug_assert!((1..=MOST_WRITTEN).contains(&registers.len()));
        self.work(Work::Ask(Ask::Write { address, registers: registers.to_vec() })).await.map(drop)
    }

    /// Writes one holding register with function 06, for devices that know no other.
    pub(crate) async fn write_one(&self, address: u16, value: u16) -> Result<(), LinkError> {
        self.work(Work::Ask(Ask::WriteOne { address, value })).await.map(drop)
    }

    async fn work(&self, work: Work) -> Result<Vec<u16>, LinkError> {
        let (answer, answered) = oneshot::channel();
        let job = Job { unit: self.unit, work, patience: self.patience, answer };
        if !self.bus.send(job).await {
            return Err(LinkError::Lost("the link was dropped after an error".to_owned()));
        }
        // The task answers every job it takes. If it could not, it panicked over what the device sent.
        answered
            .await
            .unwrap_or_else(|_| Err(LinkError::Malformed("the answer cannot be decoded".to_owned())))
    }
}
