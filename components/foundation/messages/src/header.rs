//! What every message carries: the run, the sender, the epoch and what it answers.

use crate::{Body, Timestamp, TimestampError};

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

/// The fields that AbstractResult adds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpochFields {
    /// The epoch it belongs to; 0 is initialisation.
    pub epoch_number: u64,
    /// The messages that caused this one; at least one, none empty.
    pub triggering_message_ids: Vec<String>,
    /// The epoch in which the content last changed, where it did not in this one.
    pub last_updated_in_epoch: Option<u64>,
    /// What the sender wants known about the content.
    pub warnings: Vec<Warning>,
    /// Set by components that iterate within one epoch.
    pub iteration_status: Option<IterationStatus>,
}

/// Where an iterating component stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IterationStatus {
    /// More rounds follow.
    Intermediate,
    /// The last round of this epoch.
    Final,
}

impl IterationStatus {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Intermediate, Self::Final];

    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intermediate => "intermediate",
            Self::Final => "final",
        }
    }
}

/// A warning: one of the kinds of the wire contract, and any text behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(String);

/// The kinds of warning that SimCES knows (wire contract 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningKind {
    /// An iteration did not converge.
    Convergence,
    /// An input was wrong.
    Input,
    /// An input was out of range and was changed.
    InputRange,
    /// An input cannot be relied on.
    InputUnreliable,
    /// The sender had a problem of its own.
    Internal,
    /// Anything else.
    Other,
}

impl WarningKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Convergence,
        Self::Input,
        Self::InputRange,
        Self::InputUnreliable,
        Self::Internal,
        Self::Other,
    ];

    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Convergence => "warning.convergence",
            Self::Input => "warning.input",
            Self::InputRange => "warning.input-range",
            Self::InputUnreliable => "warning.input-unreliable",
            Self::Internal => "warning.internal",
            Self::Other => "warning.other",
        }
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
