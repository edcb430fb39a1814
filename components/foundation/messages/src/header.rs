//! What every message carries: the run, the sender, the epoch and what it answers (wire contract 2.2).

use serde_json::{Value, json};

use crate::codec::{Codec, List, Name, Natural, RunId, Time, list, one_of, some, write_json};
use crate::describe::Shape;
use crate::field::{FieldError, Read, Written};
use crate::json::{Json, Object};
use crate::record::{Members, Record, Required, Slot, optional, record, required, unless_empty, words};
use crate::{Body, Timestamp, TimestampError};

/// The names of all fields that a result has besides its own.
pub(crate) const NAMES: &[&str] = &[
    "Type",
    "SimulationId",
    "Timestamp",
    "SourceProcessId",
    "MessageId",
    "EpochNumber",
    "TriggeringMessageIds",
    "LastUpdatedInEpoch",
    "Warnings",
    "IterationStatus",
];

const SIMULATION_ID: Required<RunId> = required("SimulationId", RunId);
const TIMESTAMP: Required<Time> = required("Timestamp", Time);
const SOURCE: Required<Name> = required("SourceProcessId", Name);
const MESSAGE_ID: Required<Name> = required("MessageId", Name);

/// A message of a known type.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who sent it, when and why.
    pub header: Header,
    /// What it says.
    pub body: Body,
}

impl Message {
    /// The `Type` on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        self.body.type_name()
    }

    /// The epoch that the message belongs to; none for SimState.
    #[must_use]
    pub fn epoch_number(&self) -> Option<u64> {
        self.header.epoch.as_ref().map(|epoch| epoch.epoch_number)
    }

    /// The first warning by which the sender says that the values may not be right ([`Warning::casts_doubt`]).
    #[must_use]
    pub fn doubt(&self) -> Option<&Warning> {
        self.header.epoch.as_ref()?.warnings.iter().find(|warning| warning.casts_doubt())
    }
}

/// The fields of AbstractMessage and, for results, of AbstractResult (wire contract 2.2).
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The run this message belongs to.
    pub simulation_id: SimulationId,
    /// When it was made, wall-clock UTC.
    pub timestamp: Timestamp,
    /// Name of the sending process; not empty.
    pub source_process_id: String,
    /// `<SourceProcessId>-<n>`; not empty. Re-sent messages of a new content get a new one.
    pub message_id: String,
    /// Present on everything but SimState.
    pub epoch: Option<EpochFields>,
}

impl Header {
    /// Reads it; `epoch` says whether there are the fields of AbstractResult.
    pub(crate) fn read(object: &Object<'_>, epoch: bool, now: Timestamp) -> Read<Self> {
        let (simulation_id, timestamp) = read_base(object, now)?;
        Ok(Self {
            simulation_id,
            timestamp,
            source_process_id: SOURCE.read(object)?,
            message_id: MESSAGE_ID.read(object)?,
            epoch: if epoch { Some(EpochFields::read(object)?) } else { None },
        })
    }

    pub(crate) fn write(&self, members: &mut Members<'_>) -> Written {
        write_base(&self.simulation_id, self.timestamp, members)?;
        SOURCE.write(&self.source_process_id, members)?;
        MESSAGE_ID.write(&self.message_id, members)?;
        self.epoch.as_ref().map_or(Ok(()), |epoch| epoch.write(members))
    }
}

/// The run and the time, which is `now` where the message does not say it.
pub(crate) fn read_base(object: &Object<'_>, now: Timestamp) -> Read<(SimulationId, Timestamp)> {
    let timestamp = object.optional("Timestamp", |json| Time.read(json));
    Ok((SIMULATION_ID.read(object)?, timestamp?.unwrap_or(now)))
}

pub(crate) fn write_base(run: &SimulationId, timestamp: Timestamp, members: &mut Members<'_>) -> Written {
    SIMULATION_ID.write(run, members)?;
    TIMESTAMP.write(&timestamp, members)
}

/// Adds the fields that every message has.
pub(crate) fn describe_base(shape: &mut Shape) {
    shape.add(&SIMULATION_ID, "The run.");
    shape.add(
        &TIMESTAMP,
        "When the message was made, by the wall clock. Where it is missing, the time of receipt.",
    );
}

/// Adds the fields that every message but Start has.
pub(crate) fn describe_sender(shape: &mut Shape) {
    shape.add(&SOURCE, "Name of the sender.");
    shape.add(&MESSAGE_ID, "Sender and number, joined by a hyphen.");
}

record! {
    /// The fields that AbstractResult adds.
    #[derive(Default)]
    pub struct EpochFields {
        /// The epoch it belongs to; 0 is initialisation.
        epoch_number: u64 = required("EpochNumber", Natural),
        /// The messages that caused this one; at least one, none empty.
        triggering_message_ids: Vec<String> = required("TriggeringMessageIds", TRIGGERS),
        /// The epoch in which the content last changed, where it did not in this one.
        last_updated_in_epoch: Option<u64> = optional("LastUpdatedInEpoch", Natural),
        /// What the sender wants known about the content.
        warnings: Vec<Warning> = unless_empty("Warnings", list(WarningText)),
        /// Set by components that iterate within one epoch.
        iteration_status: Option<IterationStatus> = optional("IterationStatus", one_of::<IterationStatus>()),
    }
}

const TRIGGERS: List<Name> = some(Name, "message id");

words! {
    /// Where an iterating component stands.
    pub enum IterationStatus {
        /// More rounds follow.
        Intermediate = "intermediate",
        /// The last round of this epoch.
        Final = "final",
    }
}

/// A warning: one of the kinds of the wire contract, and any text behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(String);

words! {
    /// The kinds of warning that SimCES knows (wire contract 2.2).
    pub enum WarningKind {
        /// An iteration did not converge.
        Convergence = "warning.convergence",
        /// An input was wrong.
        Input = "warning.input",
        /// An input was out of range and was changed.
        InputRange = "warning.input-range",
        /// An input cannot be relied on.
        InputUnreliable = "warning.input-unreliable",
        /// The sender had a problem of its own.
        Internal = "warning.internal",
        /// Anything else.
        Other = "warning.other",
    }
}

/// A text that begins like one of the kinds.
struct WarningText;

impl Codec for WarningText {
    type Value = Warning;

    fn read(&self, json: &Json<'_>) -> Read<Warning> {
        let parsed = match json {
            Json::Text(text) => Warning::parse(text),
            _ => None,
        };
        parsed.ok_or_else(|| {
            let kinds: Vec<_> = WarningKind::ALL.iter().map(|kind| format!("`{}`", kind.as_str())).collect();
            FieldError::new(format!("a string that begins with {}", kinds.join(" or ")), json)
        })
    }

    fn write(&self, warning: &Warning, out: &mut Vec<u8>) -> Written {
        write_json(warning.as_str(), out)
    }

    fn schema(&self) -> Value {
        let kinds: Vec<_> = WarningKind::ALL.iter().map(|kind| kind.as_str().replace('.', r"\.")).collect();
        json!({"type": "string", "pattern": format!("^({})", kinds.join("|"))})
    }
}

impl Warning {
    /// A warning of this kind with an explanation behind it (SimCES checks the beginning only).
    #[must_use]
    pub fn new(kind: WarningKind, explanation: &str) -> Self {
        if explanation.is_empty() {
            return Self(kind.as_str().to_owned());
        }
        Self(format!("{}: {explanation}", kind.as_str()))
    }

    /// The text as received, if it begins like one of the kinds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        WarningKind::ALL.iter().any(|kind| text.starts_with(kind.as_str())).then(|| Self(text.to_owned()))
    }

    /// The text on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind that the text begins with: of several the longest, and of what begins like none, which nothing makes,
    /// the last. `warning.input.range`, as SimCES storages spell it, is an input that was out of range.
    #[must_use]
    pub fn kind(&self) -> WarningKind {
        if self.0.starts_with("warning.input.range") {
            return WarningKind::InputRange;
        }
        let begins = WarningKind::ALL.iter().filter(|kind| self.0.starts_with(kind.as_str()));
        begins.max_by_key(|kind| kind.as_str().len()).copied().unwrap_or(WarningKind::Other)
    }

    /// Whether it says that the values beside it may not be right: they did not converge, rest on inputs that cannot be
    /// relied on, or come from a sender that has a problem of its own. That something asked for was refused
    /// (`warning.input`) or moved to a limit (`warning.input-range`), and remarks (`warning.other`), make no value less
    /// true.
    #[must_use]
    pub fn casts_doubt(&self) -> bool {
        match self.kind() {
            WarningKind::Convergence | WarningKind::InputUnreliable | WarningKind::Internal => true,
            WarningKind::Input | WarningKind::InputRange | WarningKind::Other => false,
        }
    }
}

/// The id of a run: a timestamp in its canonical spelling `YYYY-MM-DDTHH:MM:SS.mmmZ` (wire contract, rule 1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SimulationId(String);

impl SimulationId {
    /// The id of a run made at `time`.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        Self(time.to_string())
    }

    /// The id that `text` spells, brought into the canonical spelling.
    ///
    /// # Errors
    /// The text is no timestamp.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let time = Timestamp::parse(text)?;
        let canonical = text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
        Ok(if canonical { Self(text.to_owned()) } else { Self::new(time) })
    }

    /// The canonical spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `2026-11-22T15:19:25.203Z` as `20261122-151925-203`: the tail of the run's exchange and the name of its folder
    /// (wire contract 1.1).
    #[must_use]
    pub fn compact(&self) -> String {
        let mut compact = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            match c {
                '-' | ':' | 'Z' => {}
                'T' | '.' => compact.push('-'),
                c => compact.push(c),
            }
        }
        compact
    }
}

impl std::fmt::Display for SimulationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
