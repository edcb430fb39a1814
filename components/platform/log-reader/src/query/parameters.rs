//! Which parameters each resource has, and what they mean.

/// A parameter of a query string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) about: &'static str,
}

/// What the value of a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Moment,
    /// A list with commas; the parameter may be repeated.
    List,
    Boolean,
    Topic,
    Text,
    Format,
    Limit,
}

/// The most that a page holds.
pub(crate) const LIMIT_MAX: usize = 10_000;

const fn parameter(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, about }
}

/// The parameter that time series cannot do without.
pub(crate) const ATTRIBUTES: &str = "attrs";

const EPOCH: Parameter = parameter(
    "epoch",
    Kind::Integer,
    "Messages of this epoch. startEpoch takes its place; not together with endEpoch.",
);
const START_EPOCH: Parameter =
    parameter("startEpoch", Kind::Integer, "Messages of this epoch and later ones.");
const END_EPOCH: Parameter = parameter("endEpoch", Kind::Integer, "Messages of this epoch and earlier ones.");
const FROM_SIM_DATE: Parameter = parameter(
    "fromSimDate",
    Kind::Moment,
    "Messages from the epoch on that contains this simulated time. Takes the place of all limits of epochs; limits nothing if no epoch contains it.",
);
const TO_SIM_DATE: Parameter = parameter(
    "toSimDate",
    Kind::Moment,
    "Messages up to the epoch that contains this simulated time. Takes the place of all limits of epochs; limits nothing if no epoch contains it.",
);
const PROCESS: Parameter = parameter(
    "process",
    Kind::List,
    "Messages of these processes: names with commas between them, or repeated.",
);
const TOPIC: Parameter = parameter(
    "topic",
    Kind::Topic,
    "Messages on topics of this pattern: * is one segment, # one or more segments.",
);
const ONLY_WARNINGS: Parameter =
    parameter("onlyWarnings", Kind::Boolean, "true: only messages that carry warnings.");
const LIMIT: Parameter = parameter(
    "limit",
    Kind::Limit,
    "Page by page, at most so many at a time; the Link header tells where the next page is.",
);
const AFTER: Parameter = parameter("after", Kind::Text, "The page behind this place, as a Link header said.");

/// `/simulations`
pub(crate) const SIMULATIONS: &[Parameter] = &[
    parameter("fromDate", Kind::Moment, "Runs that started then or later, in wall-clock time."),
    parameter("toDate", Kind::Moment, "Runs that started before, in wall-clock time."),
    LIMIT,
    parameter("after", Kind::Text, "The page behind the run of this SimulationId."),
];

/// `/simulations/{id}/messages`
pub(crate) const MESSAGES: &[Parameter] =
    &[EPOCH, START_EPOCH, END_EPOCH, FROM_SIM_DATE, TO_SIM_DATE, PROCESS, TOPIC, ONLY_WARNINGS, LIMIT, AFTER];

/// `/simulations/{id}/messages/invalid`
pub(crate) const INVALID: &[Parameter] = &[TOPIC, LIMIT, AFTER];

/// `/simulations/{id}/timeseries`
pub(crate) const TIME_SERIES: &[Parameter] = &[
    parameter(
        ATTRIBUTES,
        Kind::List,
        "Which parts of the messages: dotted paths with commas between them, such as RealPower or Current.L1.",
    ),
    parameter("format", Kind::Format, "json (columns) or csv (rows)."),
    EPOCH,
    START_EPOCH,
    END_EPOCH,
    FROM_SIM_DATE,
    TO_SIM_DATE,
    PROCESS,
    TOPIC,
    parameter("onlyWarnings", Kind::Boolean, "Accepted without effect."),
    parameter(
        "by",
        Kind::Text,
        "A field that tells the messages of one process apart, such as Node for the phases of a grid.",
    ),
    parameter(
        "limit",
        Kind::Limit,
        "Page by page, so many epochs at a time; the Link header tells where the next page is.",
    ),
    parameter("after", Kind::Integer, "The page behind this epoch."),
];
