//! What a query string asks for (wire contract 5.2): [`Question`]s, checked, or a [`Problem`](crate::problem::Problem).
//!
//! `parameters` says once which parameters each resource has and what they mean; reading a query string and writing
//! the OpenAPI document both go by it.

mod parameters;
mod raw;

pub(crate) use parameters::{
    ATTRIBUTES, INVALID, Kind, LIMIT_MAX, MESSAGES, Parameter, SIMULATIONS, TIME_SERIES,
};

use crate::format::Moment;
use crate::problem::Problem;
use crate::series::Attributes;
use gridloop_logging::archive::{Cursor, EpochSpan, Epochs, Order, Select, Started, TopicPattern};
use raw::Raw;
use std::str::FromStr;

/// Which messages, before dates of simulated time are looked up.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Question {
    pub(crate) select: Select,
    pub(crate) dates: Dates,
}

/// A range of simulated time; the epochs that contain its ends take the place of all other limits of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dates {
    pub(crate) from: Option<Moment>,
    pub(crate) to: Option<Moment>,
}

/// Which time series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeriesQuestion {
    pub(crate) messages: Question,
    pub(crate) attributes: Attributes,
    pub(crate) by: Option<String>,
    pub(crate) format: Format,
    /// The epoch behind which the page begins.
    pub(crate) after: Option<i64>,
    /// How many epochs the page has.
    pub(crate) limit: Option<i64>,
}

/// How a time series is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

/// Which runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RunsQuestion {
    pub(crate) started: Started,
    /// The run behind which the page begins.
    pub(crate) after: Option<String>,
    pub(crate) limit: Option<usize>,
}

/// Reads the query of `/simulations`.
pub(crate) fn runs(query: Option<&str>) -> Result<RunsQuestion, Problem> {
    let raw = Raw::read(query, SIMULATIONS)?;
    let date = |name| raw.moment(name).map(|moment| moment.map(Moment::timestamp));
    Ok(RunsQuestion {
        started: Started { from: date("fromDate")?, to: date("toDate")? },
        after: raw.one("after")?.map(str::to_owned),
        limit: raw.limit()?,
    })
}

/// Reads the query of a run's messages.
pub(crate) fn messages(query: Option<&str>) -> Result<Question, Problem> {
    let raw = Raw::read(query, MESSAGES)?;
    let mut question = filters(&raw)?;
    question.select.only_warnings = raw.boolean("onlyWarnings")?;
    page(&raw, &mut question.select)?;
    Ok(question)
}

/// Reads the query of a run's invalid messages.
pub(crate) fn invalid(query: Option<&str>) -> Result<Select, Problem> {
    let raw = Raw::read(query, INVALID)?;
    let mut select = Select { topic: topic(&raw)?, ..Select::default() };
    page(&raw, &mut select)?;
    Ok(select)
}

/// Reads the query of a run's time series.
pub(crate) fn time_series(query: Option<&str>) -> Result<SeriesQuestion, Problem> {
    let raw = Raw::read(query, TIME_SERIES)?;
    let mut messages = filters(&raw)?;
    messages.select.order = Order::Epoch;
    // Accepted without effect, as the Python Log Reader does.
    raw.boolean("onlyWarnings")?;
    let format = match raw.one("format")? {
        None | Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some(other) => {
            let description = format!("format should be json or csv instead of {other}.");
            return Err(Problem::bad("Invalid time series result format", description));
        }
    };
    let attributes = raw.all("attrs").collect::<Vec<_>>().join(",");
    if attributes.is_empty() {
        let description =
            "The \"attrs\" parameter is required: a comma-separated list such as RealPower,Current.L1.";
        return Err(Problem::bad("Missing parameter", description));
    }
    Ok(SeriesQuestion {
        messages,
        attributes: Attributes::parse(&attributes),
        by: raw.one("by")?.map(str::to_owned),
        format,
        after: raw.integer("after")?,
        limit: raw.limit()?.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)),
    })
}

/// Refuses any parameter.
pub(crate) fn nothing(query: Option<&str>) -> Result<(), Problem> {
    Raw::read(query, &[]).map(drop)
}

/// What messages and time series have in common.
fn filters(raw: &Raw) -> Result<Question, Problem> {
    let (epoch, start, end) = (raw.integer("epoch")?, raw.integer("startEpoch")?, raw.integer("endEpoch")?);
    let dates = Dates { from: raw.moment("fromSimDate")?, to: raw.moment("toSimDate")? };
    let by_date = dates != Dates::default();
    if let (Some(_), Some(_), false) = (epoch, end, by_date) {
        let description =
            "epoch names one epoch and endEpoch the end of a range: use startEpoch and endEpoch.";
        return Err(Problem::bad("Conflicting parameters", description));
    }
    let epochs = match (start, epoch) {
        (Some(first), _) => Epochs { first: Some(first), last: end },
        (None, Some(only)) => Epochs { first: Some(only), last: Some(only) },
        (None, None) => Epochs { first: None, last: end },
    };
    let epochs = if by_date { Epochs::default() } else { epochs };
    let names = raw.all("process").flat_map(|list| list.split(','));
    let processes = names.map(str::to_owned).collect();
    let select = Select { epochs, processes, topic: topic(raw)?, ..Select::default() };
    Ok(Question { select, dates })
}

fn topic(raw: &Raw) -> Result<Option<TopicPattern>, Problem> {
    let parse = |text| {
        TopicPattern::parse(text)
            .map_err(|reason| Problem::bad("Invalid topic", format!("Invalid topic: {reason}.")))
    };
    raw.one("topic")?.map(parse).transpose()
}

fn page(raw: &Raw, select: &mut Select) -> Result<(), Problem> {
    select.limit = raw.limit()?;
    let cursor = raw.one("after")?.map(|text| {
        Cursor::from_str(text)
            .map_err(|reason| Problem::bad("Invalid place", format!("Invalid value for after: {reason}.")))
    });
    select.after = cursor.transpose()?;
    Ok(())
}

impl Dates {
    /// Whether epochs have to be looked up at all.
    pub(crate) fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    /// The epochs that contain the ends. An end that no epoch contains limits nothing.
    pub(crate) fn epochs(&self, spans: &[EpochSpan]) -> Epochs {
        let whole =
            |span: &EpochSpan| Some((Moment::from(span.start?), Moment::from(span.end?), span.number));
        let spans = || spans.iter().filter_map(whole);
        let first = self.from.map(|from| Moment::from(from.timestamp())).and_then(|from| {
            spans().filter(|(start, end, _)| *start <= from && from < *end).min_by_key(|(start, ..)| *start)
        });
        let last = self.to.map(|to| Moment::from(to.timestamp())).and_then(|to| {
            spans().filter(|(start, end, _)| *start < to && to <= *end).max_by_key(|(start, ..)| *start)
        });
        let number = |(.., number): (Moment, Moment, i64)| number;
        Epochs { first: first.map(number), last: last.map(number) }
    }
}

#[cfg(test)]
mod tests;
