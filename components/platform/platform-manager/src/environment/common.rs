//! What every process is told: which run, which name, which topics, where to log.

use super::{BusVariables, Reader};
use gridloop_messages::{SimulationId, Timestamp, topic};
use std::path::PathBuf;

/// The variables that all processes of a run have.
#[derive(Debug)]
pub struct Common {
    /// The broker and the run's exchange.
    pub bus: BusVariables,
    /// `SIMULATION_ID`
    pub simulation_id: SimulationId,
    /// `SIMULATION_COMPONENT_NAME`: SourceProcessId and beginning of every MessageId.
    pub name: String,
    /// Where and how much to log.
    pub log: LogVariables,
}

/// What is logged beside the terminal's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogVariables {
    /// `SIMULATION_LOG_LEVEL` as a word of gridloop's log, if it is given.
    pub level: Option<&'static str>,
    /// `SIMULATION_LOG_FILE`, if it is given.
    pub file: Option<PathBuf>,
}

impl Common {
    /// Reads them.
    pub fn read(reader: &Reader<'_>) -> Self {
        check_topics(reader);
        Self {
            bus: BusVariables::read(reader),
            simulation_id: read_simulation_id(reader),
            name: read_name(reader, "SIMULATION_COMPONENT_NAME", "component"),
            log: LogVariables::read(reader),
        }
    }
}

/// Python's components compare the variable letter by letter with what they receive, so that with any other spelling
/// of the same time they would ignore the whole run (wire contract, rule 1).
fn read_simulation_id(reader: &Reader<'_>) -> SimulationId {
    const NAME: &str = "SIMULATION_ID";
    let id = reader
        .required(NAME, "a UTC time like 2026-06-21T12:00:00.000Z", |text| SimulationId::parse(text).ok());
    let Some(id) = id else { return SimulationId::new(Timestamp::from(chrono::DateTime::UNIX_EPOCH)) };
    if reader.verbatim(NAME).is_some_and(|text| text != id.as_str()) {
        reader.reject(NAME, format!("the spelling {id}, which SimCES components compare letter by letter"));
    }
    id
}

/// A name that SimCES can carry in topics, lists and ids (wire contract 7.2).
pub(crate) fn read_name(reader: &Reader<'_>, variable: &'static str, default: &str) -> String {
    let name = reader.verbatim(variable).unwrap_or_else(|| default.to_owned());
    if !is_sound(&name) {
        reader.reject(variable, "a name without blanks and `.`, `,`, `#`, `*`");
    }
    name
}

pub(crate) fn is_sound(name: &str) -> bool {
    let trap = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | ',' | '#' | '*');
    !name.is_empty() && !name.contains(trap)
}

/// One word of a topic.
pub(crate) fn read_topic_word(reader: &Reader<'_>, variable: &'static str, default: &str) -> String {
    let word = reader.text(variable).unwrap_or_else(|| default.to_owned());
    if !is_sound(&word) {
        reader.reject(variable, "a name without blanks and `.`, `,`, `#`, `*`");
    }
    word
}

/// A topic to publish on: no blanks, no wildcards, no empty words.
pub(crate) fn read_topic(reader: &Reader<'_>, variable: &'static str, default: &str) -> String {
    let topic = reader.text(variable).unwrap_or_else(|| default.to_owned());
    if !topic.split('.').all(|word| !word.is_empty() && is_sound(word)) {
        reader.reject(variable, "a topic of words with `.` between them, without blanks and wildcards");
    }
    topic
}

/// The Python platform lets a run have other names for these; gridloop does not, and a process that listened elsewhere
/// than all others would wait for ever without a word.
fn check_topics(reader: &Reader<'_>) {
    let topics = [
        ("SIMULATION_STATE_MESSAGE_TOPIC", topic::SIM_STATE),
        ("SIMULATION_EPOCH_MESSAGE_TOPIC", topic::EPOCH),
        ("SIMULATION_STATUS_MESSAGE_TOPIC", topic::STATUS_READY),
        ("SIMULATION_ERROR_MESSAGE_TOPIC", topic::STATUS_ERROR),
    ];
    for (variable, topic) in topics {
        if reader.text(variable).is_some_and(|text| text != topic) {
            reader.reject(variable, format!("{topic} or nothing: gridloop knows no other topic for it"));
        }
    }
}

impl LogVariables {
    /// Reads them. Python's levels are numbers; what lies between two counts as the higher.
    pub fn read(reader: &Reader<'_>) -> Self {
        let level = reader.whole("SIMULATION_LOG_LEVEL", 0..=50_u8).map(|number| match number {
            0..=10 => "debug",
            11..=20 => "info",
            21..=30 => "warn",
            _ => "error",
        });
        Self { level, file: reader.text("SIMULATION_LOG_FILE").map(PathBuf::from) }
    }
}
