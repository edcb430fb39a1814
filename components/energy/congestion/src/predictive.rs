//! Predictive grid optimisation (wire contract 6.12): where a forecast of the network leaves its limits,
//! [`PredictiveCore`] works out how much power would help whom, [`PredictiveOptimization`] asks a flexibility market for
//! it, and [`cheapest`] chooses among what is offered.
//!
//! Who may help is found by sensitivities of the power flow around the forecast state, not by the resistance of paths.

mod component;
mod core;
mod forecast;
mod negotiation;
mod selection;
mod settings;
#[cfg(test)]
mod tests;

pub use self::core::{Judged, Need, PredictiveCore, Purchase, Violation};
pub use component::PredictiveOptimization;
pub use forecast::Expected;
pub use selection::{Priced, cheapest};
pub use settings::{PredictiveLimits, PredictiveSettings, Trade};

/// The word of the kind.
pub(crate) const KIND: &str = "predictive-grid-optimization";
