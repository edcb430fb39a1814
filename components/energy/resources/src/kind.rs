//! The kinds of component here: [`Kind`], by the words of [`KINDS`]. What their tables say is read in `tables.rs`.

use crate::controllable::{ControllableResource, ControllableSettings};
use crate::controller::{Controller, ControllerSettings};
use crate::power_series::SeriesFile;
use crate::price_forecaster::{PriceForecaster, PriceForecasterSettings};
use crate::resource_forecaster::{ResourceForecaster, ResourceForecasterSettings};
use crate::start_file::SimcesController;
use crate::storage::{Storage, StorageMode, StorageSettings};
use crate::tables;
use gridloop_component::{Component, Fault};
use gridloop_service::Section;

/// A component of this crate as its configuration describes it.
#[derive(Debug)]
pub enum Kind {
    /// `kind = "storage"`
    Storage(StorageSettings),
    /// `kind = "resource-forecaster"`
    ResourceForecaster(ResourceForecasterSettings),
    /// `kind = "price-forecaster"`
    PriceForecaster(PriceForecasterSettings),
    /// `kind = "controller"`
    Controller(ControllerSettings),
    /// Controller of a SimCES run; it has no table.
    SimcesController(SimcesController),
    /// `kind = "controllable-resource"`
    Controllable(ControllableSettings),
}

/// Reads the table of one kind; what is wrong with it is noted there.
pub type ReadKind = fn(&Section<'_>) -> Kind;

/// What `kind` says in a configuration, and what reads the rest of the table.
pub const KINDS: &[(&str, ReadKind)] = &[
    ("storage", |section| Kind::Storage(tables::read_storage(section))),
    ("resource-forecaster", |section| Kind::ResourceForecaster(tables::read_resource_forecaster(section))),
    ("price-forecaster", |section| Kind::PriceForecaster(tables::read_price_forecaster(section))),
    ("controller", |section| Kind::Controller(tables::read_controller(section))),
    ("controllable-resource", |section| Kind::Controllable(tables::read_controllable(section))),
];

impl Kind {
    /// The file with its power in the run, if it has one.
    #[must_use]
    pub fn series(&self) -> Option<&SeriesFile> {
        match self {
            Self::Storage(StorageSettings { mode: StorageMode::File(series), .. }) => Some(series),
            Self::Controllable(settings) => Some(&settings.series),
            _ => None,
        }
    }

    /// The component, called `name`.
    ///
    /// # Errors
    /// When what it needs cannot be had, such as a file that changed since it was read.
    pub fn make(&self, name: &str) -> Result<Box<dyn Component>, Fault> {
        Ok(match self {
            Self::Storage(settings) => Box::new(Storage::new(name, settings)?),
            Self::ResourceForecaster(settings) => Box::new(ResourceForecaster::new(settings)?),
            Self::PriceForecaster(settings) => Box::new(PriceForecaster::new(settings)?),
            Self::Controller(settings) => Box::new(Controller::new(settings.clone())),
            Self::SimcesController(simces) => {
                let settings = simces.settings().map_err(|error| Fault::caused_by(&error))?;
                Box::new(Controller::new(settings))
            }
            Self::Controllable(settings) => Box::new(ControllableResource::new(name, settings)?),
        })
    }
}
