//! What goes into [`crate::DeviceCore`] and what comes out of it.

use crate::contract::{Description, DeviceError};
use crate::value::{Applied, Command, SafeState, Setpoint, Snapshot};
use gridloop_clock::MonoTime;
use std::sync::Arc;
use std::time::Duration;

/// How a device is treated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskSettings {
    /// Whether it may be written to.
    pub mode: Mode,
    /// How long [`Mode::Armed`] lasts; nothing is written after it, until somebody arms the device anew. `None`: as long
    /// as the task.
    pub armed_for: Option<Duration>,
    /// Least time between the writes of two different commands, for registers in memory that wears out; zero where
    /// it does not matter. Refreshes of the same command and the safe state do not wait for it.
    pub write_interval: Duration,
    /// Time between readings that nobody asked for.
    pub poll_interval: Duration,
    /// Longest time one reading may take; then it is abandoned and the link is given up.
    pub job_timeout: Duration,
    /// Longest time a write with its read-back may take, which is many requests and, for some, the end of a movement.
    pub write_timeout: Duration,
    /// Longest time connecting may take: identifying a device takes many requests.
    pub connect_timeout: Duration,
    /// Wait after the first failure; it doubles with each further one.
    pub backoff_min: Duration,
    /// Longest wait between attempts.
    pub backoff_max: Duration,
    /// What it is left in when nobody drives it.
    pub safe_state: SafeState,
    /// Longest time the end of the run waits for that.
    pub release_within: Duration,
}

/// Whether commands reach the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing is ever written; setpoints are refused.
    #[default]
    ReadOnly,
    /// Setpoints go the whole way, and are logged instead of written.
    DryRun,
    /// Setpoints are written.
    Armed,
}

impl Mode {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::DryRun => "dry-run",
            Self::Armed => "armed",
        }
    }
}

/// One call of the driver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Job {
    /// [`crate::Device::connect`]
    Connect,
    /// [`crate::Device::apply`]
    Apply(Setpoint),
    /// [`crate::Device::read`]
    Read,
    /// [`crate::Device::release`]
    Release(SafeState),
}

/// What a job gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// Of [`Job::Connect`].
    Connected(Result<Description, DeviceError>),
    /// Of [`Job::Apply`].
    Applied(Result<Applied, DeviceError>),
    /// Of [`Job::Read`].
    Read(Result<Snapshot, DeviceError>),
    /// Of [`Job::Release`].
    Released(Result<Applied, DeviceError>),
}

/// What [`crate::DeviceCore::next`] wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Do this now.
    Do(Job),
    /// Nothing before this instant, unless something is asked for.
    Until(MonoTime),
    /// The device is released, or given up; there is nothing more to do.
    End,
}

/// Something an operator wants to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Occurrence {
    /// The link came up.
    Connected(Arc<Description>),
    /// A request failed and the link with it.
    LinkLost(String),
    /// A setpoint is about to be written: what comes next is its outcome, unless the process ends before.
    Writing {
        /// The setpoint.
        setpoint: Setpoint,
        /// What the device held before, as far as it is known.
        before: Option<Command>,
    },
    /// A setpoint was confirmed by read-back.
    Applied {
        /// The setpoint.
        setpoint: Setpoint,
        /// What the device holds.
        readback: Command,
        /// Whether this is the first write of it, not a refresh.
        first: bool,
    },
    /// A setpoint was not accepted at all.
    NotAccepted {
        /// The setpoint.
        setpoint: Setpoint,
        /// Why.
        reason: NotAccepted,
    },
    /// The device no longer held a setpoint that it had confirmed: something else had changed it. It was written again.
    Restored {
        /// The setpoint.
        setpoint: Setpoint,
        /// What the device holds now.
        readback: Command,
    },
    /// A setpoint would have been written, were the device armed.
    WouldApply(Setpoint),
    /// The device or the driver said no to a setpoint.
    Refused {
        /// The setpoint.
        setpoint: Setpoint,
        /// Why.
        reason: String,
    },
    /// A write timed out or broke off; whether the device holds it is unknown until it has been read.
    OutcomeUnknown(Setpoint),
    /// No newer setpoint came in time; the device is being put into its safe state.
    DeadMan(Setpoint),
    /// From now on it may be written to, until this instant.
    Armed(MonoTime),
    /// From now on it may not be written to, except for its safe state.
    Disarmed(Disarmed),
    /// The safe state is about to be written.
    Releasing,
    /// The safe state was confirmed by read-back.
    Released,
    /// The safe state could not be reached (yet).
    ReleaseFailed(String),
}

/// Why a device is no longer armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disarmed {
    /// The time is up for which it was armed.
    LeaseExpired,
    /// Somebody said so.
    OnRequest,
}

/// Why a setpoint was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The device's mode.
    #[error("the device is read-only")]
    ReadOnly,
    /// Its time has passed.
    #[error("it has expired")]
    Expired,
    /// One of a later epoch has been accepted already.
    #[error("a setpoint of a later epoch is in force")]
    Older,
    /// The run is over.
    #[error("the device is being released")]
    Ending,
}

/// How a device was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Nothing of ours was ever on it.
    Untouched,
    /// In its safe state, confirmed by read-back.
    Released,
    /// Perhaps still holding a command; with the last error.
    Unknown(String),
}
