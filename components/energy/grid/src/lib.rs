//! The network of a simulation as SimCES components.
//!
//! A [`NetworkSource`] says where a network is described: in a file of the user's own, in the messages of NIS and CIS,
//! or in a model of OpenDSS. [`NetworkDescription`] is the description, [`Known`] what a component knows of it so far.
//! [`Grid`] solves it in every epoch, [`StateMonitoring`] judges what comes of that, [`NetworkStatePredictor`] looks
//! ahead, and [`Information`] tells others what NIS and CIS know. [`SimcesNetwork`] and [`SimcesInformation`] are what the
//! environment of a SimCES process says of them.

mod awaited;
mod connection;
mod description;
mod details;
mod grid;
mod information;
mod kind;
mod limits;
mod monitoring;
mod network_file;
mod predictor;
mod readings;
mod settings;
mod simces;
mod source;
mod taps;

pub use awaited::{Awaited, RESOURCES_MAX};
pub use connection::Connected;
pub use description::{Gathering, GatheringError, NetworkDescription, Place, Unsaid};
pub use details::{BusDetails, Details};
pub use grid::{Grid, GridSettings};
pub use gridloop_power_flow::Wires;
pub use information::{Information, InformationError};
pub use kind::{KINDS, Kind, ReadKind};
pub use limits::Limits;
pub use monitoring::{StateMonitoring, StateMonitoringSettings};
pub use network_file::{load as load_network, parse as parse_network};
pub use predictor::{MAX_POINTS, NetworkStatePredictor, PredictorSettings};
pub use simces::{ROOT_VOLTAGE_PU, SimcesInformation, SimcesNetwork, simces_monitoring};
pub use source::{Known, NetworkSource, Solvable};
pub use taps::TapChanger;
