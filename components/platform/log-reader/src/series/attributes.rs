//! Which parts of messages are wanted, and what is found there: [`Attributes`].

use super::Dive;
use crate::format::Moment;
use gridloop_logging::DATE_FIELDS;
use gridloop_logging::archive::Fields;
use serde_json::Value;

/// What every message has and no result is.
const HEADER: [&str; 11] = [
    "Type",
    "SimulationId",
    "SourceProcessId",
    "MessageId",
    "EpochNumber",
    "LastUpdatedInEpoch",
    "TriggeringMessageIds",
    "Warnings",
    "IterationStatus",
    "Topic",
    "Timestamp",
];

/// The parts of messages that become columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// Paths through objects, such as `RealPower` or `Current.L1`.
    Named(Vec<Vec<String>>),
    /// Everything but the header fields.
    All,
}

/// What stands at the end of a path.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// The path as far as it was walked.
    pub(crate) path: Vec<&'a str>,
    pub(crate) what: What<'a>,
}

#[derive(Debug)]
pub(crate) enum What<'a> {
    /// Something that makes no series: the path is shown, empty.
    Nothing,
    /// One value, for the start of the epoch.
    Value(&'a Value),
    /// A time series block.
    Block(Block<'a>),
}

/// A time series block, or one series of it.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) times: Vec<Moment>,
    pub(crate) series: Vec<(&'a str, &'a [Value])>,
}

impl Attributes {
    /// Of a comma-separated list of dotted paths.
    pub(crate) fn parse(list: &str) -> Self {
        let path = |text: &str| text.split('.').map(str::to_owned).collect();
        Self::Named(list.split(',').map(path).collect())
    }

    /// What a message has of them, in their order.
    pub(super) fn find<'a>(&'a self, message: &'a Fields, topic: &str) -> Result<Vec<Found<'a>>, Dive> {
        match self {
            Self::Named(paths) => {
                let found = paths.iter().map(|path| walk(message, path, topic));
                found.filter_map(Result::transpose).collect()
            }
            Self::All => {
                let mut found = Vec::new();
                let unlike_header = |name: &str| !HEADER.contains(&name) && !DATE_FIELDS.contains(&name);
                for (name, value) in message.iter().filter(|(name, _)| unlike_header(name)) {
                    descend(vec![name], value, &mut found);
                }
                Ok(found)
            }
        }
    }
}

/// Follows one path; `None` where the message lacks its first step.
fn walk<'a>(message: &'a Fields, path: &'a [String], topic: &str) -> Result<Option<Found<'a>>, Dive> {
    let mut walked = Vec::new();
    let mut fields = Some(message);
    for (index, part) in path.iter().enumerate() {
        let Some(value) = fields.and_then(|fields| fields.get(part)).filter(|value| !value.is_null()) else {
            break;
        };
        walked.push(part.as_str());
        let behind = &path[index + 1..];
        if let Some(block) = block_of(value) {
            // One series is named by the last part, as the Python Log Reader takes it.
            let what = match behind.last() {
                None => What::Block(block),
                Some(name) => What::Block(block.only(name)),
            };
            return Ok(Some(Found { path: walked, what }));
        }
        let is_date = index == 0 && DATE_FIELDS.contains(&part.as_str());
        if let Some(value) = single(value).filter(|_| !is_date) {
            if behind.is_empty() {
                return Ok(Some(Found { path: walked, what: What::Value(value) }));
            }
            return Err(Dive { at: walked.join("."), topic: topic.to_owned() });
        }
        fields = value.as_object();
    }
    Ok((!walked.is_empty()).then_some(Found { path: walked, what: What::Nothing }))
}

/// Every value below one.
fn descend<'a>(path: Vec<&'a str>, value: &'a Value, found: &mut Vec<Found<'a>>) {
    if let Some(block) = block_of(value) {
        found.push(Found { path, what: What::Block(block) });
    } else if let Some(value) = single(value) {
        found.push(Found { path, what: What::Value(value) });
    } else if let Some(fields) = value.as_object() {
        for (name, value) in fields {
            let mut path = path.clone();
            path.push(name);
            descend(path, value, found);
        }
    }
}

/// A scalar, or the value of a quantity block. A point of a DeviceState whose quality is not good has none: a curve
/// cannot show what it is.
fn single(value: &Value) -> Option<&Value> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(value),
        Value::Object(fields) => {
            let value = fields.get("Value").filter(|_| fields.contains_key("UnitOfMeasure"))?;
            let good = fields.get("Quality").is_none_or(|quality| quality == "Good");
            Some(if good { value } else { &Value::Null })
        }
        Value::Null | Value::Array(_) => None,
    }
}

/// A time series block. One whose time index cannot be read has no points.
fn block_of(value: &Value) -> Option<Block<'_>> {
    let fields = value.as_object()?;
    let (series, index) = (fields.get("Series")?, fields.get("TimeIndex")?);
    let times = index.as_array().into_iter().flatten().map(|time| Moment::parse(time.as_str()?));
    let times = times.collect::<Option<Vec<_>>>().unwrap_or_default();
    let all = series.as_object().into_iter().flatten();
    let series = all.map(|(name, block)| (name.as_str(), values_of(block))).collect();
    Some(Block { times, series })
}

fn values_of(block: &Value) -> &[Value] {
    block.get("Values").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Block<'_> {
    fn only(mut self, name: &str) -> Self {
        self.series.retain(|(series, _)| *series == name);
        self
    }
}
