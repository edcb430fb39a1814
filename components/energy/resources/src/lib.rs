//! Loads, generators and the setpoint series controller.
//!
//! [`StaticTimeSeries`] tells the power of one load or generator from a CSV file, [`SetpointSeries`] commands resources
//! from another. Both read and check their whole file when they are made: a [`SeriesError`] lists every [`Flaw`] with
//! its place, so that nothing is left to be found in the middle of a run.

mod kind;
mod setpoint_series;
mod sheet;
mod static_time_series;

pub use kind::{KINDS, Kind, ReadKind};
pub use setpoint_series::{SetpointSeries, SetpointSeriesSettings};
pub use sheet::{Flaw, Flaws, MAX_FILE_BYTES, SeriesError};
pub use static_time_series::{
    RESOURCE_STATE_TOPIC, ResourceType, StaticTimeSeries, StaticTimeSeriesSettings,
};
