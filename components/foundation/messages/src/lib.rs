//! SimCES messages: strict to send, liberal to accept.
//!
//! A [`Message`] is a [`Header`] (who, which run, which epoch, answering what) and a [`Body`]. [`decode`] takes bytes
//! from the bus and checks every rule of the wire contract; [`Message::encode`] writes them so that every SimCES
//! process accepts them. A type that is not known here survives untouched as [`General`]. [`Start`] stands apart.
//!
//! Each type is declared once (`body.rs` and below): a struct whose fields say their name on the wire, whether they
//! must be there, and what they look like. Reading, writing, [`schema`] and [`shapes`] follow from that.

mod body;
mod codec;
mod decode;
mod describe;
mod encode;
mod field;
mod header;
mod json;
mod record;
mod series;
mod start;
mod timestamp;
pub mod topic;
mod wall_time;

pub use body::{
    AnyResult, Body, BranchCurrent, BusType, BusVoltage, Conductor, CurrentForecast, CurrentStatus,
    CustomerInfo, DeviceState, Direction, Dispatch, DmsCurrent, DmsVoltage, Epoch, EpochOverrun, EpochPacing,
    FlexibilityNeed, LateComponent, LfmMarketResult, LimitStatus, NetworkBusInfo, NetworkComponentInfo,
    NetworkLoss, NetworkState, Offer, OfferTerms, PointQuality, PointSource, PointState, PowerSetpoint,
    PriceForecastState, ResourceForecast, ResourceState, SelectedOffer, SimState, Simple, SimulationState,
    Status, StatusValue, TapPosition, VoltageForecast, VoltageSetpoint, VoltageStatus,
};
pub use decode::{DecodeError, Decoded, General, MAX_BODY_BYTES, decode};
pub use describe::{Field, Presence, Shape, common_fields, schema, shapes, types};
pub use encode::EncodeError;
pub use header::{EpochFields, Header, IterationStatus, Message, SimulationId, Warning, WarningKind};
pub use series::{Quantity, TimeSeries, ValueArray, Values};
pub use start::{Announcement, LogWriterParameters, ManagerParameters, ProcessParameters, Start};
pub use timestamp::{Timestamp, TimestampError};
pub use wall_time::WallTime;
