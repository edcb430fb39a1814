//! The kinds of component here: [`Kind`], by the words of [`KINDS`].

use crate::dispatch::{DispatchSettings, EconomicDispatch, SimcesDispatch};
use crate::{FlexibilityMarket, FlexibilityMarketSettings};
use gridloop_component::{Component, Fault};
use gridloop_service::Section;

/// A component of this crate as its configuration describes it.
#[derive(Debug)]
pub enum Kind {
    /// `kind = "economic-dispatch"`
    EconomicDispatch(Box<DispatchSettings>),
    /// EconomicDispatch of a SimCES run; it has no table.
    SimcesDispatch(Box<SimcesDispatch>),
    /// `local-flexibility-market`
    FlexibilityMarket(FlexibilityMarketSettings),
}

/// Reads the table of one kind; what is wrong with it is noted there.
pub type ReadKind = fn(&Section<'_>) -> Kind;

/// What `kind` says in a configuration, and what reads the rest of the table.
pub const KINDS: &[(&str, ReadKind)] = &[
    ("economic-dispatch", |section| Kind::EconomicDispatch(Box::new(DispatchSettings::read(section)))),
    ("local-flexibility-market", |section| Kind::FlexibilityMarket(FlexibilityMarketSettings::read(section))),
];

impl Kind {
    /// The component, called `name`.
    ///
    /// # Errors
    /// When what it needs cannot be had, such as a file that changed since it was read.
    pub fn make(&self, name: &str) -> Result<Box<dyn Component>, Fault> {
        Ok(match self {
            Self::EconomicDispatch(settings) => Box::new(EconomicDispatch::new(name, (**settings).clone())),
            Self::SimcesDispatch(simces) => Box::new(EconomicDispatch::new(name, simces.settings(name)?)),
            Self::FlexibilityMarket(settings) => Box::new(FlexibilityMarket::new(name, settings.clone())),
        })
    }
}
