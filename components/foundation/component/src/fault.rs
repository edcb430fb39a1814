//! Why a component cannot go on.

use crate::Change;
use std::any::Any;
use std::error::Error;

/// The end of a component's work in a run, with the text that its Status `error` carries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{description}")]
pub struct Fault {
    description: String,
}

impl Fault {
    /// A fault with this Description.
    #[must_use]
    pub fn new(description: impl Into<String>) -> Self {
        let description = description.into();
        if description.is_empty() { Self::new("a fault without a description") } else { Self { description } }
    }

    /// A fault that tells `error` and everything behind it.
    #[must_use]
    pub fn caused_by(error: &dyn Error) -> Self {
        let mut description = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            description.push_str(": ");
            description.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(description)
    }

    /// An iteration that was to be over by now: who, when, how long it was tried, and how far it still moves.
    pub(crate) fn not_converged(component: &str, epoch: u64, rounds: u32, change: Option<Change>) -> Self {
        let last = change.map_or_else(String::new, |change| format!("; the last change was of the {change}"));
        Self::new(format!("{component} did not converge in epoch {epoch} within {rounds} rounds{last}"))
    }

    /// What a caught panic says. A panic is a bug; nothing of the component can be relied on after it.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::new(format!("internal error: {}", text.unwrap_or("panic without a text")))
    }

    /// The Description; never empty.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }
}

impl From<&str> for Fault {
    fn from(description: &str) -> Self {
        Self::new(description)
    }
}

impl From<String> for Fault {
    fn from(description: String) -> Self {
        Self::new(description)
    }
}
