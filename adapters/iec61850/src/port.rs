//! The seam to the MMS stack: [`MmsPort`] is one association with a server, [`Network`] opens them.
//!
//! Nothing outside `port/` names the stack that is used. A port does one thing after another; whoever needs two at
//! once opens two. After any error but [`PortError::Refused`] a port is of no more use and is dropped.

mod stack;

pub(crate) use stack::Stack;

use crate::cause::AddCause;
use crate::data::{Data, Layout, Variable};
use async_trait::async_trait;
use gridloop_clock::MonoTime;
use gridloop_device::DeviceError;
use std::time::Duration;

/// Why a command is refused that nobody wants any more.
pub(crate) const EXPIRED: &str = "the command has expired";

/// Opens associations with one server.
#[async_trait]
pub(crate) trait Network: Send + Sync {
    /// Connects and associates.
    async fn associate(&self) -> Result<Box<dyn MmsPort>, PortError>;
}

/// One association.
#[async_trait]
pub(crate) trait MmsPort: Send {
    /// The names of all variables, by domain.
    async fn browse(&mut self) -> Result<Vec<(String, Vec<String>)>, PortError>;

    /// How a variable is built up.
    async fn layout(&mut self, variable: &Variable) -> Result<Layout, PortError>;

    /// Reads variables with one request. A variable without a value says why.
    async fn read(&mut self, variables: &[Variable]) -> Result<Vec<Result<Data, String>>, PortError>;

    /// Writes a variable.
    async fn write(&mut self, variable: &Variable, value: Data) -> Result<(), PortError>;

    /// The members of a data set, in its order. `reference` is `LD/LN$name`.
    async fn members(&mut self, reference: &str) -> Result<Vec<Variable>, PortError>;

    /// Carries a control through, as its control model demands: selects where it is to be selected, operates, and
    /// waits for the termination where there is one.
    async fn control(&mut self, control: &Control, value: Data) -> Result<Outcome, PortError>;

    /// Begins to keep the reports with this identifier.
    async fn listen(&mut self, report_id: &str) -> Result<(), PortError>;

    /// The reports that have come since the last call, in the order of their arrival. It does not wait for any.
    async fn reports(&mut self) -> Result<Vec<Report>, PortError>;
}

/// One control of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Control {
    /// The controllable data object, such as `LD/YLTC1.TapChg`.
    pub(crate) object: String,
    pub(crate) model: ControlModel,
    /// What `Check` asks the server to look at.
    pub(crate) check: Check,
    /// `orIdent` of the origin; its category is always "remote control" (3).
    pub(crate) originator: String,
    /// From when on it is not to be carried out any more: a port refuses it then, before it selects or operates.
    pub(crate) expires_at: Option<MonoTime>,
}

/// The control models of IEC 61850-7-2 that carry commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlModel {
    /// Operate, and nothing else.
    DirectNormal,
    /// Select, then operate.
    SboNormal,
    /// Operate, and wait for the termination.
    DirectEnhanced,
    /// Select with the value, operate, and wait for the termination.
    SboEnhanced,
}

impl ControlModel {
    /// The model with this number in the attribute `ctlModel`; none for status-only and for numbers without meaning.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::DirectNormal),
            2 => Some(Self::SboNormal),
            3 => Some(Self::DirectEnhanced),
            4 => Some(Self::SboEnhanced),
            _ => None,
        }
    }

    /// Its number in the attribute `ctlModel`.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::DirectNormal => 1,
            Self::SboNormal => 2,
            Self::DirectEnhanced => 3,
            Self::SboEnhanced => 4,
        }
    }

    /// Its name in SCL (IEC 61850-7-3, `CtlModelKind`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectNormal => "direct-with-normal-security",
            Self::SboNormal => "sbo-with-normal-security",
            Self::DirectEnhanced => "direct-with-enhanced-security",
            Self::SboEnhanced => "sbo-with-enhanced-security",
        }
    }
}

/// The two bits of `Check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Check {
    /// The server is to look at its interlocking.
    pub interlock: bool,
    /// The server is to look at its synchrocheck.
    pub synchro: bool,
}

/// How a control ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// The server refused it before anything happened.
    Refused {
        /// Where: `select`, `operate`.
        during: &'static str,
        cause: AddCause,
    },
    /// The server ended it without success, and may have accepted it before: whether anything happened only the object
    /// itself can tell.
    Failed {
        cause: AddCause,
    },
}

/// A report, or one segment of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Report {
    /// The identifier it was listened for by.
    pub(crate) id: String,
    /// Counts up by one from report to report, and wraps at 8 or at 16 bits.
    pub(crate) sequence: Option<u16>,
    pub(crate) conf_rev: Option<u32>,
    pub(crate) entry_id: Option<Vec<u8>>,
    /// When the server made the entry, in ms since 1970 by the server's clock.
    pub(crate) entry_time_ms: Option<u64>,
    pub(crate) overflow: bool,
    /// How many members the data set has.
    pub(crate) size: usize,
    /// The members that the report has, by their place in the data set.
    pub(crate) members: Vec<(usize, Data)>,
    /// It answers a general interrogation; so does one that has every member and gives no reasons.
    pub(crate) interrogated: bool,
    /// It answers a general interrogation or is an integrity scan.
    pub(crate) complete: bool,
}

/// Why a port did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PortError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Lost(String),
    #[error("{0}")]
    Malformed(String),
    /// The server said no, and is in step.
    #[error("{0}")]
    Refused(String),
}

impl PortError {
    /// This error of an operation, as the device contract names it.
    pub(crate) fn of(self, operation: impl Into<String>) -> DeviceError {
        let operation = operation.into();
        match self {
            Self::Timeout(waited) => DeviceError::Timeout { operation, waited },
            Self::Lost(reason) => DeviceError::Disconnected { operation, reason },
            Self::Malformed(reason) => DeviceError::Malformed { operation, reason },
            Self::Refused(reason) => DeviceError::Refused { operation, reason },
        }
    }
}
