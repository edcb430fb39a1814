//! The kinds of component here: [`Kind`], by the words of [`KINDS`].

use crate::operational::{self, OperationalOptimization, OperationalSettings};
use crate::predictive::{self, PredictiveOptimization, PredictiveSettings};
use crate::realtime::{self, RealTimeManagement, RealTimeSettings};
use gridloop_component::{Component, Fault};
use gridloop_service::Section;

/// A component of this crate as its configuration describes it.
#[derive(Debug)]
pub enum Kind {
    /// `real-time-congestion-management`.
    RealTime(Box<RealTimeSettings>),
    /// `operational-grid-optimization`.
    Operational(Box<OperationalSettings>),
    /// `predictive-grid-optimization`.
    Predictive(Box<PredictiveSettings>),
}

/// Reads the table of one kind; what is wrong with it is noted there.
pub type ReadKind = fn(&Section<'_>) -> Kind;

/// What `kind` says in a configuration, and what reads the rest of the table.
pub const KINDS: &[(&str, ReadKind)] = &[
    (realtime::KIND, |section| Kind::RealTime(Box::new(RealTimeSettings::read(section)))),
    (operational::KIND, |section| Kind::Operational(Box::new(OperationalSettings::read(section)))),
    (predictive::KIND, |section| Kind::Predictive(Box::new(PredictiveSettings::read(section)))),
];

impl Kind {
    /// The component, called `name`.
    ///
    /// # Errors
    /// When what it needs cannot be had, such as a file that changed since it was read.
    pub fn make(&self, name: &str) -> Result<Box<dyn Component>, Fault> {
        Ok(match self {
            Self::RealTime(settings) => Box::new(RealTimeManagement::new((**settings).clone())),
            Self::Operational(settings) => Box::new(OperationalOptimization::new(name, (**settings).clone())),
            Self::Predictive(settings) => Box::new(PredictiveOptimization::new(name, (**settings).clone())),
        })
    }
}
