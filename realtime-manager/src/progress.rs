//! What a run tells while it goes on: [`Progress`] for whoever watches it, [`Note`] for the log.

use crate::{Outcome, Rival};
use std::fmt;
use std::time::Duration;

/// A step of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// SimState `running` is out; everybody is initialising.
    Running {
        /// Who has not been heard yet.
        missing: Vec<String>,
    },
    /// An epoch has begun.
    EpochStarted {
        /// Its number, from 1.
        number: u64,
        /// How much later than its instant it was handed to the bus; none when unpaced.
        late_by: Option<Duration>,
        /// Whole periods passed over just before it.
        skipped: u64,
    },
    /// The end instant of an epoch came while components were missing.
    EpochOverran {
        /// Its number.
        number: u64,
        /// Who was missing.
        missing: Vec<String>,
        /// How long after the end it was noticed.
        noticed_after: Duration,
    },
    /// A component that was missing at the end of an epoch has answered.
    ComponentLate {
        /// The component.
        component: String,
        /// The epoch in which it was missed.
        epoch: u64,
        /// How long after the epoch's end its answer came.
        by: Duration,
    },
    /// An epoch is over.
    EpochCompleted {
        /// Its number.
        number: u64,
        /// Time from its start to the last answer, or to its end instant if somebody was left behind.
        turnaround: Duration,
        /// Who was left behind.
        missing: Vec<String>,
    },
    /// SimState or Epoch was sent again because answers are missing.
    Resent {
        /// The epoch; 0 is initialisation.
        number: u64,
        /// How often by now.
        attempt: u32,
        /// Whose answers are missing.
        missing: Vec<String>,
    },
    /// The run is over.
    Finished {
        /// Whether it reached its end.
        outcome: Outcome,
        /// Why it ended.
        reason: String,
    },
}

/// Something that the rules pass over, but that a person looking for a fault wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A component is listed more than once.
    ListedTwice {
        /// Its name.
        component: String,
    },
    /// A status of another run.
    OtherRun {
        /// Who sent it.
        source: String,
        /// That run.
        simulation_id: String,
    },
    /// A message that is no status.
    NotAStatus {
        /// Who sent it.
        source: String,
        /// Its type.
        type_name: &'static str,
    },
    /// A status with warnings. They have no other effect.
    Warnings {
        /// Who sent it.
        source: String,
        /// What it warns of.
        warnings: Vec<String>,
    },
    /// A status of somebody who is not listed.
    Unlisted {
        /// Who sent it.
        source: String,
    },
    /// A status for an epoch that the component has already answered: a duplicate, or an answer to a re-send.
    Repeated {
        /// The component.
        component: String,
        /// The epoch.
        epoch: u64,
    },
    /// `ready` of a component that has failed.
    ReadyAfterError {
        /// The component.
        component: String,
    },
    /// An answer to an epoch that is over.
    Late {
        /// The component.
        component: String,
        /// The epoch it answers.
        epoch: u64,
        /// The present epoch.
        current: u64,
    },
    /// An answer to an epoch that has not begun.
    Ahead {
        /// The component.
        component: String,
        /// The epoch it answers.
        epoch: u64,
        /// The present epoch.
        current: u64,
    },
    /// Another manager speaks in this run. Told once for each name.
    AnotherManager(Rival),
    /// Re-sending has been given up; the epoch's end instant decides.
    NoMoreResends {
        /// The epoch.
        epoch: u64,
    },
    /// The run was stopped at the very instant at which an epoch began: its message is out all the same.
    StartedAtTheEnd {
        /// The epoch.
        epoch: u64,
    },
    /// The time at which epoch 1 was to begin had passed before everybody was ready.
    StartMissed {
        /// By how much.
        by: Duration,
    },
}

impl Note {
    /// Whether it is usual in a sound run: answers to re-sends, and warnings that components send on purpose.
    #[must_use]
    pub const fn is_usual(&self) -> bool {
        matches!(self, Self::Repeated { .. } | Self::Warnings { .. })
    }

    /// Whether anybody on the bus can cause any number of it.
    #[must_use]
    pub const fn is_of_strangers(&self) -> bool {
        matches!(self, Self::OtherRun { .. } | Self::NotAStatus { .. } | Self::Unlisted { .. })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListedTwice { component } => write!(f, "{component} is listed more than once"),
            Self::OtherRun { source, simulation_id } => {
                write!(f, "status of {source} for another run, {simulation_id}, ignored")
            }
            Self::NotAStatus { source, type_name } => write!(f, "{type_name} of {source} ignored: no status"),
            Self::Warnings { source, warnings } => write!(f, "{source} warns: {}", warnings.join("; ")),
            Self::Unlisted { source } => write!(f, "status of {source}, which is not listed"),
            Self::Repeated { component, epoch } => write!(f, "{component} answered epoch {epoch} again"),
            Self::ReadyAfterError { component } => {
                write!(f, "{component} is ready, but it has failed before")
            }
            Self::Late { component, epoch, current } => {
                write!(f, "{component} answered epoch {epoch} late, in epoch {current}")
            }
            Self::Ahead { component, epoch, current } => {
                write!(f, "{component} answered epoch {epoch} ahead of time, in epoch {current}")
            }
            Self::AnotherManager(Rival { name, sent }) => write!(
                f,
                "ANOTHER MANAGER, `{name}`, is at work in this run: it sent {sent}; components may obey either, \
                 stop one of the two"
            ),
            Self::NoMoreResends { epoch } => write!(f, "epoch {epoch} is not sent again any more"),
            Self::StartedAtTheEnd { epoch } => {
                write!(f, "epoch {epoch} began at the very instant at which the run was stopped")
            }
            Self::StartMissed { by } => {
                write!(f, "everybody was ready {by:?} too late for the start time")
            }
        }
    }
}
