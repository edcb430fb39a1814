//! The kinds of component here: [`Kind`], by the words of [`KINDS`].

use crate::grid::{Grid, GridSettings};
use crate::information::Information;
use crate::monitoring::{StateMonitoring, StateMonitoringSettings};
use crate::predictor::{NetworkStatePredictor, PredictorSettings};
use crate::settings::read_information;
use crate::simces::SimcesInformation;
use crate::taps::TapChanger;
use gridloop_component::{Component, Fault};
use gridloop_service::Section;

/// A component of this crate as its configuration describes it.
#[derive(Debug)]
pub enum Kind {
    /// `grid`
    Grid(Box<GridSettings>),
    /// `state-monitoring`
    StateMonitoring(Box<StateMonitoringSettings>),
    /// `network-state-predictor`
    NetworkStatePredictor(Box<PredictorSettings>),
    /// `nis` or `cis`; `None` if what it is to tell cannot be read.
    Information(Option<Information>),
    /// NIS or CIS of a SimCES run.
    SimcesInformation(SimcesInformation),
}

/// Reads the table of one kind; what is wrong with it is noted there.
pub type ReadKind = fn(&Section<'_>) -> Kind;

/// What `kind` says in a configuration, and what reads the rest of the table.
pub const KINDS: &[(&str, ReadKind)] = &[
    ("grid", |section| Kind::Grid(Box::new(GridSettings::read(section)))),
    ("state-monitoring", |section| Kind::StateMonitoring(Box::new(StateMonitoringSettings::read(section)))),
    ("network-state-predictor", |section| {
        Kind::NetworkStatePredictor(Box::new(PredictorSettings::read(section)))
    }),
    ("nis", |section| {
        Kind::Information(read_information(section, Information::nis_file, Information::of_network))
    }),
    ("cis", |section| {
        Kind::Information(read_information(section, Information::cis_file, Information::of_customers))
    }),
];

impl Kind {
    /// What else than itself it takes setpoints for: the branches whose taps it moves.
    #[must_use]
    pub fn takes_setpoints_for(&self) -> Vec<String> {
        let Self::Grid(settings) = self else { return Vec::new() };
        let own = settings.taps.iter().filter(|(_, changer)| **changer == TapChanger::Commanded);
        own.map(|(branch, _)| branch.clone()).collect()
    }

    /// The component, called `name`.
    ///
    /// # Errors
    /// When what it needs cannot be had, such as a model that OpenDSS refuses.
    pub fn make(&self, _name: &str) -> Result<Box<dyn Component>, Fault> {
        Ok(match self {
            Self::Grid(settings) => Box::new(Grid::new((**settings).clone())?),
            Self::StateMonitoring(settings) => Box::new(StateMonitoring::new((**settings).clone())?),
            Self::NetworkStatePredictor(settings) => {
                Box::new(NetworkStatePredictor::new((**settings).clone())?)
            }
            Self::Information(information) => {
                let read = information.clone();
                Box::new(read.ok_or_else(|| Fault::new("what it is to tell cannot be read"))?)
            }
            Self::SimcesInformation(simces) => {
                Box::new(simces.read().map_err(|error| Fault::caused_by(&error))?)
            }
        })
    }
}
