//! The network of a SimCES run: what the environment of a Grid, NetworkStatePredictor, NIS, CIS or State Monitoring says
//! (wire contract 6.7 to 6.10), as settings of the components here.
//!
//! The physics of the platform's sweep are kept: four wires of which the neutral is earthed at the root, which holds
//! 1.02 per unit unless told otherwise. Its numerics are not: the power flow here is iterated until it balances.

use crate::awaited::Awaited;
use crate::description::Unsaid;
use crate::grid::GridSettings;
use crate::information::{Information, InformationError};
use crate::limits::Limits;
use crate::monitoring::StateMonitoringSettings;
use crate::predictor::PredictorSettings;
use crate::source::NetworkSource;
use gridloop_power_flow::Wires;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// What the root holds unless the environment says otherwise, in per unit.
pub const ROOT_VOLTAGE_PU: f64 = 1.02;

/// How long inputs are waited for. SimCES waits for ever; its manager gives up after 42 minutes without naming anybody.
const INPUT_TIMEOUT: Duration = Duration::from_secs(600);

/// What the environment says of a network that NIS and CIS of the run tell.
#[derive(Debug, Clone, PartialEq)]
pub struct SimcesNetwork {
    /// `GRID_ID`
    pub grid_id: String,
    /// `ROOT_BUS_VOLTAGE`, in per unit.
    pub root_voltage_pu: f64,
    /// `NUM_OF_RESOURCES`
    pub resource_count: usize,
    /// `RESOURCE_CATEGORIES`
    pub categories: BTreeSet<String>,
}

impl SimcesNetwork {
    /// A Grid that waits for these storages (`STORAGE_RESOURCE_LIST`) besides.
    #[must_use]
    pub fn grid(self, storages: BTreeSet<String>) -> GridSettings {
        GridSettings {
            source: network_of_messages(self.root_voltage_pu),
            resources: BTreeMap::new(),
            awaited: Awaited { count: Some(self.resource_count), categories: self.categories, storages },
            grid_id: self.grid_id,
            taps: BTreeMap::new(),
            source_voltage_pu: Vec::new(),
            input_timeout: INPUT_TIMEOUT,
        }
    }

    /// A NetworkStatePredictor that looks ahead by so many points at most (`FORECAST_HORIZON`).
    #[must_use]
    pub fn predictor(self, points_max: Option<usize>) -> PredictorSettings {
        PredictorSettings {
            source: network_of_messages(self.root_voltage_pu),
            resources: BTreeMap::new(),
            awaited: Awaited {
                count: Some(self.resource_count),
                categories: self.categories,
                storages: BTreeSet::new(),
            },
            points_max,
            grid_id: self.grid_id,
            persistent: BTreeSet::new(),
            planned: BTreeSet::new(),
            taps: BTreeMap::new(),
            input_timeout: INPUT_TIMEOUT,
        }
    }
}

/// State Monitoring of a Grid of four wires.
#[must_use]
pub fn simces_monitoring(grid_id: String, limits: Limits) -> StateMonitoringSettings {
    StateMonitoringSettings {
        grid_id,
        source: network_of_messages(ROOT_VOLTAGE_PU),
        limits,
        input_timeout: INPUT_TIMEOUT,
        grace: Duration::from_secs(1),
    }
}

fn network_of_messages(root_voltage_pu: f64) -> NetworkSource {
    NetworkSource::Messages(Unsaid { root_voltage_pu, wires: Wires::FourWire, taps: BTreeMap::new() })
}

/// What the environment says of NIS or CIS. The file is read when the component is made, so that what is wrong with it
/// is told on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimcesInformation {
    /// NIS
    Nis {
        /// `NIS_JSON_FILE`
        file: PathBuf,
        /// `BUS_DATA_TOPIC`
        bus_topic: String,
        /// `COMPONENT_DATA_TOPIC`
        component_topic: String,
    },
    /// CIS
    Cis {
        /// `CIS_JSON_FILE`
        file: PathBuf,
        /// `CIS_DATA_TOPIC`
        topic: String,
    },
}

impl SimcesInformation {
    /// What it publishes.
    ///
    /// # Errors
    /// When the file cannot be read, or its content makes no message.
    pub fn read(&self) -> Result<Information, InformationError> {
        match self {
            Self::Nis { file, bus_topic, component_topic } => {
                Ok(Information::nis_file(file)?.on_topics(&[bus_topic, component_topic]))
            }
            Self::Cis { file, topic } => Ok(Information::cis_file(file)?.on_topics(&[topic])),
        }
    }
}
