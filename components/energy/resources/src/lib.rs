//! Loads, generators, storages, forecasters and the controllers that command them.
//!
//! [`StaticTimeSeries`] tells the power of one load or generator from a CSV file, [`ControllableResource`] does so
//! within the limits of setpoints, [`Storage`] keeps energy by the rules of its [`Battery`]. [`ResourceForecaster`] and
//! [`PriceForecaster`] tell what is to come. [`SetpointSeries`] commands resources from a file, [`Controller`] by the
//! plans of an economic dispatch.
//!
//! All that have files read and check them whole when they are made: a [`SeriesError`] lists every [`Flaw`] with its
//! place, so that nothing is left to be found in the middle of a run but its end.

mod battery;
mod controllable;
mod controller;
mod curve;
mod kind;
mod power_series;
mod price_forecaster;
mod resource_forecaster;
mod setpoint_series;
mod sheet;
mod stamps;
mod start_file;
mod static_time_series;
mod storage;
mod tables;

pub use battery::{Battery, BatteryRating, Delivered};
pub use controllable::{ControllableResource, ControllableSettings};
pub use controller::{Controller, ControllerSettings};
pub use curve::Interpolation;
pub use kind::{KINDS, Kind, ReadKind};
pub use power_series::{SeriesFile, TimeIndex};
pub use price_forecaster::{
    Market, NO_RESOURCE, PRICE_FORECAST_TOPIC, PriceForecaster, PriceForecasterSettings,
};
pub use resource_forecaster::{
    ForecastResource, RESOURCE_FORECAST_TOPIC, ResourceForecaster, ResourceForecasterSettings,
};
pub use setpoint_series::{SetpointSeries, SetpointSeriesSettings};
pub use sheet::{Flaw, Flaws, MAX_FILE_BYTES, SeriesError};
pub use stamps::{Zone, ZoneError};
pub use start_file::{SimcesController, StartFileError};
pub use static_time_series::{
    RESOURCE_STATE_TOPIC, ResourceType, StaticTimeSeries, StaticTimeSeriesSettings,
};
pub use storage::{POWER_SETPOINT_TOPIC, Storage, StorageMode, StorageSettings, WithoutSetpoint};
pub use tables::{read_setpoint_series, read_static_time_series};
