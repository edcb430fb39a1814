//! The kinds of component here: [`Kind`], by the words of [`KINDS`].

use crate::description::Unsaid;
use crate::grid::{Grid, GridSettings};
use crate::information::Information;
use crate::monitoring::{StateMonitoring, StateMonitoringSettings};
use crate::predictor::{NetworkStatePredictor, PredictorSettings};
use crate::settings::read_information;
use crate::simces::SimcesInformation;
use crate::source::NetworkSource;
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

    /// What it knows itself of a network that the messages of NIS tell it; `None` if it solves no such network.
    #[must_use]
    pub fn solves_what_nis_tells(&self) -> Option<&Unsaid> {
        let source = match self {
            Self::Grid(settings) => &settings.source,
            Self::NetworkStatePredictor(settings) => &settings.source,
            Self::StateMonitoring(_) | Self::Information(_) | Self::SimcesInformation(_) => return None,
        };
        let NetworkSource::Messages(unsaid) = source else { return None };
        Some(unsaid)
    }

    /// Of a `nis`: what of its network file its messages cannot carry, so that `solver`, who solves the network by them
    /// and itself knows so much of it, solves another one. In a sentence.
    #[must_use]
    pub fn lost_on(&self, solver: &str, known: &Unsaid) -> Option<String> {
        let Self::Information(Some(information)) = self else { return None };
        let lost = information.untold()?.otherwise_than(known);
        (!lost.is_empty()).then(|| {
            format!(
                "the messages of NIS cannot carry {}: {solver} solves the network without, unless its own table says it",
                lost.join(", ")
            )
        })
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
