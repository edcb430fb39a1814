//! How a run ends: an [`Ending`] says why, its [`Outcome`] whether that is success. The wire knows neither (wire
//! contract 3.4), so they live in the report.

use crate::Rival;
use serde::Serialize;
use std::fmt;

/// Whether a run reached its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every epoch was run.
    Completed,
    /// It was ended on purpose before that.
    Stopped,
    /// It could not go on.
    Failed,
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every epoch was run.
    AllEpochs {
        /// How many.
        epochs: u64,
    },
    /// There was nobody to run it for.
    NoComponents,
    /// The process was asked to stop.
    Cancelled,
    /// Components reported errors.
    ComponentErrors {
        /// The manager's epoch when the run was stopped.
        epoch: u64,
        /// Who and what.
        errors: Vec<ComponentError>,
    },
    /// Components did not answer.
    NoAnswer {
        /// The epoch.
        epoch: u64,
        /// Who was missing.
        missing: Vec<String>,
        /// How often they were asked again.
        resends: u32,
    },
    /// Components were missing at the end of an epoch, and the policy is to abort.
    Overrun {
        /// The epoch.
        epoch: u64,
        /// Who was missing.
        missing: Vec<String>,
    },
    /// A message of the manager's own could not be written.
    Unsendable {
        /// What is wrong with it.
        cause: String,
    },
    /// The bus session was closed.
    BusClosed,
    /// Another manager spoke in this run before this one did.
    AnotherManager(Rival),
    /// Another manager took the run's lease while the broker was away.
    LeaseLost,
    /// What must be on the disk before an epoch begins could not be written.
    Journal {
        /// The epoch that was not begun; none at the beginning of the run.
        epoch: Option<u64>,
        /// What the disk said.
        cause: String,
    },
    /// A bug: the manager broke off.
    Panicked {
        /// What it said.
        message: String,
    },
}

/// A component's own words on its failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentError {
    /// Its name.
    pub component: String,
    /// Its description; absent if it gave none.
    pub description: Option<String>,
    /// Whether the run waits for it. SimCES stops a run for an error of anybody (wire contract 3.2).
    pub listed: bool,
}

impl Ending {
    /// Whether this is success.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::AllEpochs { .. } => Outcome::Completed,
            Self::NoComponents | Self::Cancelled => Outcome::Stopped,
            Self::ComponentErrors { .. }
            | Self::NoAnswer { .. }
            | Self::Overrun { .. }
            | Self::Unsendable { .. }
            | Self::BusClosed
            | Self::AnotherManager(_)
            | Self::LeaseLost
            | Self::Journal { .. }
            | Self::Panicked { .. } => Outcome::Failed,
        }
    }

    /// Whether another process may go on with the run: what ended it lies outside of it.
    pub(crate) const fn may_be_resumed(&self) -> bool {
        matches!(
            self,
            Self::BusClosed
                | Self::LeaseLost
                | Self::AnotherManager(_)
                | Self::Journal { .. }
                | Self::Panicked { .. }
        )
    }

    /// Whether the run belongs to another manager now, so that nothing may be said about its end.
    pub(crate) const fn leaves_the_run_to_another(&self) -> bool {
        matches!(self, Self::AnotherManager(_) | Self::LeaseLost)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllEpochs { epochs } => write!(f, "all {epochs} epochs were run"),
            Self::NoComponents => f.write_str("no components are listed"),
            Self::Cancelled => f.write_str("stopped on request"),
            Self::ComponentErrors { epoch, errors } => {
                write!(f, "error in epoch {epoch}: ")?;
                list(f, errors)
            }
            Self::NoAnswer { epoch, missing, resends } => {
                write!(f, "no answer in epoch {epoch} after {resends} re-sends from ")?;
                list(f, missing)
            }
            Self::Overrun { epoch, missing } => {
                write!(f, "epoch {epoch} ended while it waited for ")?;
                list(f, missing)
            }
            Self::Unsendable { cause } => write!(f, "a message could not be written: {cause}"),
            Self::BusClosed => f.write_str("the bus session was closed"),
            Self::AnotherManager(Rival { name, sent }) => {
                write!(f, "another manager, `{name}`, is at work in this run: it sent {sent}")
            }
            Self::LeaseLost => f.write_str("another manager took this run over while the broker was away"),
            Self::Journal { epoch: None, cause } => write!(f, "the run was not begun: {cause}"),
            Self::Journal { epoch: Some(epoch), cause } => {
                write!(f, "epoch {epoch} was not begun, because it could not be written down: {cause}")
            }
            Self::Panicked { message } => write!(f, "internal error: {message}"),
        }
    }
}

impl fmt::Display for ComponentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unlisted = if self.listed { "" } else { " (not listed)" };
        let description = self.description.as_deref().unwrap_or("no description given");
        write!(f, "{}{unlisted}: {description}", self.component)
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        let separator = if i == 0 { "" } else { ", " };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_names_everyone_concerned() {
        let missing = vec!["pv1".to_owned(), "oltc1".to_owned()];
        let ending = Ending::NoAnswer { epoch: 4, missing, resends: 5 };
        assert_eq!(ending.to_string(), "no answer in epoch 4 after 5 re-sends from pv1, oltc1");
    }

    #[test]
    fn an_error_of_a_stranger_is_told_apart() {
        let error = ComponentError { component: "mallory".into(), description: None, listed: false };
        let ending = Ending::ComponentErrors { epoch: 2, errors: vec![error] };
        assert_eq!(ending.to_string(), "error in epoch 2: mallory (not listed): no description given");
        assert_eq!(ending.outcome(), Outcome::Failed);
    }
}
