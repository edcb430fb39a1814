//! The pictures of a run: [`Picture`] names them, [`draw`] makes one.

mod charge;
mod currents;
mod many;
mod powers;
mod prices;
mod taps;
mod voltages;

use crate::about::About;
use crate::limits::Limits;
use crate::panel::{Panel, page};
use crate::recording::Recording;
use crate::time_axis::length_in_words;

/// The height of a panel that has a page for itself, or shares one with its like.
const TALL: f64 = 300.0;
/// The height of a panel among others.
const LOW: f64 = 150.0;

/// A picture of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Picture {
    /// Voltages of buses against limits.
    Voltages,
    /// Real and reactive power of resources, and what was asked of them.
    Powers,
    /// Positions of tap changers.
    Taps,
    /// States of charge.
    StateOfCharge,
    /// Prices, and what energy cost.
    Prices,
    /// Currents of branches against their rating.
    Currents,
    /// Everything that there is, on one axis of time.
    Overview,
}

/// What is not in the messages of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// The nominal voltage of buses that no NIS message names, kV. What a voltage is divided by for per unit.
    pub nominal_kv: Option<f64>,
    /// What voltages and currents may be.
    pub limits: Limits,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// Nothing has a place on an axis of time.
    #[error("the run has no Epoch message with a StartTime before its EndTime")]
    NoEpochs,
    /// There is nothing to be seen in it.
    #[error("the run has no {wanted}")]
    NoValues {
        /// What it would be made of.
        wanted: &'static str,
    },
    /// What there is belongs to epochs without a time.
    #[error("the run has {wanted}, but no Epoch message for the epochs they belong to")]
    NoTime {
        /// What it would be made of.
        wanted: &'static str,
    },
}

impl Picture {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Voltages,
        Self::Powers,
        Self::Taps,
        Self::StateOfCharge,
        Self::Prices,
        Self::Currents,
        Self::Overview,
    ];

    /// The name of its file, without the ending.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Voltages => "voltages",
            Self::Powers => "powers",
            Self::Taps => "taps",
            Self::StateOfCharge => "state-of-charge",
            Self::Prices => "prices",
            Self::Currents => "currents",
            Self::Overview => "overview",
        }
    }

    /// The picture of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|picture| picture.name() == name)
    }

    /// What it says on the page.
    const fn title(self) -> &'static str {
        match self {
            Self::Voltages => "Voltages",
            Self::Powers => "Powers",
            Self::Taps => "Tap positions",
            Self::StateOfCharge => "States of charge",
            Self::Prices => "Prices",
            Self::Currents => "Currents",
            Self::Overview => "Overview",
        }
    }

    /// What it is made of.
    const fn wanted(self) -> &'static str {
        match self {
            Self::Voltages => "NetworkState messages of voltages",
            Self::Powers => "ResourceState or ControlState.PowerSetpoint messages",
            Self::Taps => "DeviceState messages with a tap_position and no ControlState.TapPosition messages",
            Self::StateOfCharge => "ResourceState messages with a StateOfCharge",
            Self::Prices => "PriceForecastState messages with a Price in force at the start of an epoch",
            Self::Currents => "NetworkState messages of currents",
            Self::Overview => "messages that there are pictures of",
        }
    }

    fn panels(self, recording: &Recording, options: &Options, height: f64) -> Vec<Panel> {
        match self {
            Self::Voltages => voltages::panels(recording, options, height),
            Self::Powers if height < TALL => powers::panel_of_all(recording, height),
            Self::Powers => powers::panels(recording, height),
            Self::Taps => taps::panels(recording, height),
            Self::StateOfCharge => charge::panels(recording, height),
            Self::Prices => prices::panels(recording, height),
            Self::Currents => currents::panels(recording, options, height),
            Self::Overview => {
                let parts = Self::ALL.into_iter().filter(|picture| *picture != Self::Overview);
                parts.flat_map(|picture| picture.panels(recording, options, LOW)).collect()
            }
        }
    }

    fn has_messages(self, recording: &Recording) -> bool {
        match self {
            Self::Voltages => !recording.voltages.is_empty(),
            Self::Powers => !recording.resources.is_empty(),
            Self::Taps => !recording.taps.is_empty() || !recording.taps_asked.is_empty(),
            Self::StateOfCharge => recording.resources.values().any(|it| !it.charge_percent.is_empty()),
            Self::Currents => !recording.currents.is_empty(),
            // A price may be there and not in force.
            Self::Prices | Self::Overview => false,
        }
    }
}

/// The picture as SVG.
///
/// # Errors
/// When the run has nothing that it could be made of.
pub fn draw(
    recording: &Recording,
    about: &About,
    picture: Picture,
    options: &Options,
) -> Result<String, Missing> {
    let span = recording.range().ok_or(Missing::NoEpochs)?;
    let mut panels = picture.panels(recording, options, TALL);
    panels.retain(|panel| !panel.is_empty());
    if panels.is_empty() {
        let wanted = picture.wanted();
        let messages = picture.has_messages(recording);
        return Err(if messages { Missing::NoTime { wanted } } else { Missing::NoValues { wanted } });
    }
    Ok(page(about, picture.title(), span, &epochs_in_words(recording), &panels))
}

/// How many epochs, and how long each is where all are alike.
fn epochs_in_words(recording: &Recording) -> String {
    let mut lengths = recording.epochs.values().map(|span| span.to_ms - span.from_ms);
    let count = recording.epochs.len();
    let first = lengths.next();
    let alike = first.filter(|first| lengths.all(|length| length == *first));
    let epochs = if count == 1 { "1 epoch".to_owned() } else { format!("{count} epochs") };
    alike.map_or(epochs.clone(), |length| format!("{epochs} of {}", length_in_words(length)))
}
