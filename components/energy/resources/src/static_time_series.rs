//! A load or generator whose power is known beforehand (wire contract 6.1).

use crate::SeriesError;
use crate::sheet::{Column, Row, Sheet, flaw};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Message, ResourceState};
use std::path::PathBuf;
use std::sync::Arc;

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
    pub file: PathBuf,
    /// What stands between its cells; usually `,`.
    pub delimiter: char,
    /// The beginning of its topic; usually [`RESOURCE_STATE_TOPIC`].
    pub topic: String,
}

/// Publishes one row of a CSV file as ResourceState in every epoch.
///
/// The header row names the columns: `RealPower` in kW and `ReactivePower` in kV.A{r}, both positive towards the grid
/// and published as they stand (a load's are negative), `CustomerId`, and if wanted `Node` (1, 2, 3, or empty for all
/// phases). Other columns, `Epoch` among them, are ignored.
///
/// Epoch n is the n-th row below the header. A SimCES resource takes the next row in each epoch that it processes,
/// which is the same until it misses one or is restarted; then its values stay behind the simulated time, and those
/// here do not.
#[derive(Debug)]
pub struct StaticTimeSeries {
    topic: String,
    file: Arc<str>,
    rows: Vec<Values>,
    end_line: u64,
}

#[derive(Debug)]
struct Values {
    real_power_kw: f64,
    reactive_power_kvar: f64,
    customer_id: Arc<str>,
    node: Option<u8>,
}

impl StaticTimeSeries {
    /// The resource `name`, with its whole file read and checked.
    ///
    /// # Errors
    /// When the file cannot be read or has any flaw.
    pub fn new(name: &str, settings: &StaticTimeSeriesSettings) -> Result<Self, SeriesError> {
        let mut sheet = Sheet::open(&settings.file, settings.delimiter)?;
        let file = sheet.file();
        let columns = Columns {
            real_power: sheet.required("RealPower"),
            reactive_power: sheet.required("ReactivePower"),
            customer_id: sheet.required("CustomerId"),
            node: sheet.optional("Node"),
        };
        sheet.check_header()?;
        let mut rows: Vec<Values> = Vec::new();
        let mut end_line = 2;
        sheet.read_rows(|row| {
            end_line = row.line() + 1;
            let customer_id = rows.last().map(|values| Arc::clone(&values.customer_id));
            rows.extend(columns.values(row, customer_id));
        })?;
        let topic = format!("{}.{}.{name}", settings.topic, settings.resource_type.as_str());
        Ok(Self { topic, file, rows, end_line })
    }

    /// How many epochs the file is good for.
    #[must_use]
    pub fn epochs(&self) -> usize {
        self.rows.len()
    }

    fn values(&self, epoch: u64) -> Result<&Values, Fault> {
        let index = usize::try_from(epoch).ok().and_then(|number| number.checked_sub(1));
        index.and_then(|index| self.rows.get(index)).ok_or_else(|| {
            let found = format!("the end of the file after {} rows", self.rows.len());
            flaw(&self.file, (self.end_line, 1), format!("a row for epoch {epoch}"), found).to_string().into()
        })
    }
}

struct Columns {
    real_power: Option<Column>,
    reactive_power: Option<Column>,
    customer_id: Option<Column>,
    node: Option<Column>,
}

impl Columns {
    /// What `row` says. Most rows have the customer of the row before; its name is shared.
    fn values(&self, row: &mut Row<'_>, last_customer_id: Option<Arc<str>>) -> Option<Values> {
        let real_power_kw = row.number(self.real_power, "kW");
        let reactive_power_kvar = row.number(self.reactive_power, "kV.A{r}");
        let customer_id = match (row.text(self.customer_id), last_customer_id) {
            ("", _) => {
                row.reject(self.customer_id, "a name");
                None
            }
            (id, Some(last)) if *last == *id => Some(last),
            (id, _) => Some(id.into()),
        };
        let node = match row.text(self.node) {
            "" => None,
            "1" => Some(1),
            "2" => Some(2),
            "3" => Some(3),
            _ => {
                row.reject(self.node, "1, 2, 3 or an empty cell");
                None
            }
        };
        Some(Values {
            real_power_kw: real_power_kw?,
            reactive_power_kvar: reactive_power_kvar?,
            customer_id: customer_id?,
            node,
        })
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
        let values = self.values(epoch.number)?;
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
