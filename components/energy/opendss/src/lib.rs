//! OpenDSS as an engine of power flow, loaded at run time.
//!
//! [`OpenDss`] reads a model of the user's own (`.dss`) and solves it for what the simulation says: the loads of the
//! model stay as they are, and every injection becomes one more load. The library is dss_capi (BSD licence), which is
//! not part of gridloop; [`DssError`] tells where to have it from.

mod engine;
mod error;
mod library;
mod model;

pub use engine::{OpenDss, OpenDssSettings};
pub use error::DssError;
