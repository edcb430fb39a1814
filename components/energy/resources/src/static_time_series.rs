//! A load or generator whose power is known beforehand (wire contract 6.1).

use crate::SeriesError;
use crate::power_series::{PowerSeries, SeriesFile};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Message, ResourceState};

/// The beginning of the topics of resources, unless it is configured otherwise.
pub const RESOURCE_STATE_TOPIC: &str = "ResourceState";

/// What kind of resource a series describes. It names the topic and changes nothing about the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceType {
    /// Publishes on `ResourceState.Load.<name>`.
    Load,
    /// Publishes on `ResourceState.Generator.<name>`.
    Generator,
}

impl ResourceType {
    /// The spelling in topics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Load => "Load",
            Self::Generator => "Generator",
        }
    }
}

/// Where a [`StaticTimeSeries`] takes its values from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticTimeSeriesSettings {
    /// What it is.
    pub resource_type: ResourceType,
    /// The CSV file.
    pub series: SeriesFile,
    /// The beginning of its topic; usually [`RESOURCE_STATE_TOPIC`].
    pub topic: String,
}

/// Publishes what a CSV file says for each epoch as ResourceState.
///
/// The header row names the columns: `RealPower` in kW and `ReactivePower` in kV.A{r}, both positive towards the grid
/// and published as they stand (a load's are negative), `CustomerId`, and if wanted `Node` (1, 2, 3, or empty for all
/// phases). Other columns, `Epoch` among them, are ignored.
///
/// With a column `TimeIndex` an epoch has the mean of the series over its time ([`Interpolation`](crate::Interpolation)).
/// Without one epoch n is the n-th row below the header. A SimCES resource takes the next row in each epoch that it processes,
/// which is the same until it misses one or is restarted; then its values stay behind the simulated time, and those
/// here do not.
#[derive(Debug)]
pub struct StaticTimeSeries {
    topic: String,
    series: PowerSeries,
}

impl StaticTimeSeries {
    /// The resource `name`, with its whole file read and checked.
    ///
    /// # Errors
    /// When the file cannot be read or has any flaw.
    pub fn new(name: &str, settings: &StaticTimeSeriesSettings) -> Result<Self, SeriesError> {
        let topic = format!("{}.{}.{name}", settings.topic, settings.resource_type.as_str());
        Ok(Self { topic, series: PowerSeries::open(&settings.series)? })
    }

    /// How many rows the file has: that many epochs it is good for, unless it has times.
    #[must_use]
    pub fn epochs(&self) -> usize {
        self.series.rows()
    }
}

impl Component for StaticTimeSeries {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        let values = self.series.values(epoch)?;
        let state = ResourceState {
            customer_id: values.customer_id.to_string(),
            real_power_kw: values.real_power_kw,
            reactive_power_kvar: values.reactive_power_kvar,
            node: values.node,
            state_of_charge_percent: None,
        };
        Ok(Step::Done(vec![Output::new(self.topic.clone(), Body::ResourceState(state))]))
    }
}
