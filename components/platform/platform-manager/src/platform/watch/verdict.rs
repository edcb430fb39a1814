//! How a run went: [`Verdict`].

use super::{Ended, Role, Watch};
use gridloop_realtime_manager::Outcome;

/// The outcome of a run and why, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it reached its end.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// Epochs that everybody answered.
    pub completed: u64,
}

impl Watch {
    /// How the run went, once it is over.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (outcome, reason) = self.judge();
        Verdict { outcome, reason, completed: self.progress.completed }
    }

    fn judge(&self) -> (Outcome, String) {
        let completed = self.progress.completed;
        let where_ = format!("epoch {} of {}", self.progress.epoch(), self.epochs);
        if let Some((index, ended)) = self.death {
            return (Outcome::Failed, format!("{} {ended} in {where_}", self.processes[index].name));
        }
        if let Some((source, description)) = &self.progress.error {
            return (Outcome::Failed, format!("{source} reported an error in {where_}: {description}"));
        }
        if completed >= self.epochs {
            return match self.unsound() {
                Some(reason) => (Outcome::Failed, format!("all {completed} epochs were run, but {reason}")),
                None => (Outcome::Completed, format!("all {completed} epochs were run")),
            };
        }
        if self.asked > 0 {
            return (Outcome::Stopped, format!("stopped on request in {where_}"));
        }
        let missing = match self.progress.missing() {
            [] => String::new(),
            missing => format!("; not ready: {}", missing.join(", ")),
        };
        (Outcome::Failed, format!("{} ended the run in {where_}{missing}", self.manager))
    }

    /// An end that makes the record of a complete run doubtful.
    fn unsound(&self) -> Option<String> {
        let core = self.processes.iter().filter(|process| process.role != Role::Component);
        let mut bad = core.filter(|process| process.ended.is_some_and(|ended| !ended.is_success()));
        bad.find_map(|process| match (process.role, process.ended?) {
            // A manager that was asked has been heard to the end already.
            (Role::Manager, _) if process.asked.is_some() => None,
            (_, ended @ (Ended::Code(_) | Ended::Signal(_) | Ended::Gone)) => {
                Some(format!("{} {ended}", process.name))
            }
        })
    }
}
