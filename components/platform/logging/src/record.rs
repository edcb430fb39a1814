//! One line of the log: [`Record`], and what it is filed under.

use crate::document::says_something;
use bytes::Bytes;
use gridloop_clock::Utc;
use gridloop_messages::{Body, Decoded, SimulationId, SimulationState, Timestamp, decode};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// A message as it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its routing key.
    pub topic: Arc<str>,
    /// The body as published.
    pub body: Bytes,
    /// When the log heard it, wall-clock UTC.
    pub heard_at: Utc,
}

/// Which message it is, whenever and however often it is delivered: the first half of a SHA-256.
///
/// Of a message with sender and MessageId it is made of these, its run and its topic (a component may send one status
/// on two topics); of any other, valid or not, of its topic and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity([u8; 16]);

impl Identity {
    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Lengths keep the parts apart.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        Self(half)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// 32 hexadecimal digits: the `_id` in MongoDB.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What the log files a valid message under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) identity: Identity,
    pub(crate) type_name: String,
    pub(crate) simulation_id: SimulationId,
    pub(crate) timestamp: Timestamp,
    pub(crate) source_process_id: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) epoch_number: Option<i64>,
    pub(crate) has_warnings: bool,
    /// Set for SimState.
    pub(crate) state: Option<State>,
}

/// What a SimState says about its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) stopped: bool,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
}

impl Record {
    /// The identity of a message that is known by its bytes alone.
    pub(crate) fn identity_by_content(&self) -> Identity {
        Identity::of(&[b"content", self.topic.as_bytes(), &self.body])
    }

    /// The identity of one part of a message that has to be stored in several; of the first, that of the message.
    #[cfg(feature = "mongodb")]
    pub(crate) fn identity_of_part(&self, number: usize) -> Identity {
        if number == 0 {
            return self.identity_by_content();
        }
        Identity::of(&[b"part", &number.to_be_bytes(), self.topic.as_bytes(), &self.body])
    }

    /// The index of a valid message of `run` (of any run if that is `None`), or what is wrong with it.
    pub(crate) fn index(&self, run: Option<&SimulationId>) -> Result<Index, String> {
        let decoded =
            decode(&self.body, Timestamp::from(self.heard_at)).map_err(|error| error.to_string())?;
        if let Some(run) = run
            && decoded.simulation_id() != run
        {
            return Err(format!("it belongs to the run {}, not to {run}", decoded.simulation_id()));
        }
        Ok(self.filed(decoded))
    }

    /// Whether it ends its run: a valid SimState `stopped`.
    pub(crate) fn stops(&self, run: Option<&SimulationId>) -> bool {
        const WORD: &[u8] = b"stopped";
        // Most messages need no second reading.
        self.body.windows(WORD.len()).any(|window| window == WORD)
            && self.index(run).is_ok_and(|index| index.state.is_some_and(|state| state.stopped))
    }

    fn filed(&self, decoded: Decoded) -> Index {
        let type_name = decoded.type_name().to_owned();
        let simulation_id = decoded.simulation_id().clone();
        let (timestamp, source_process_id, message_id, epoch, has_warnings, state) = match decoded {
            Decoded::Message(message) => {
                let epoch = message.epoch_number();
                let header = message.header;
                let warned = header.epoch.is_some_and(|epoch| !epoch.warnings.is_empty());
                let (source, id) = (Some(header.source_process_id), Some(header.message_id));
                (header.timestamp, source, id, epoch, warned, State::of(message.body))
            }
            Decoded::General(general) => {
                let warned = general.fields.get("Warnings").is_some_and(says_something);
                let (source, id) = (general.source_process_id, general.message_id);
                (general.timestamp, source, id, general.epoch_number, warned, None)
            }
        };
        let identity = match (&source_process_id, &message_id) {
            (Some(source), Some(id)) => {
                let parts = [simulation_id.as_str(), &self.topic, source, id].map(str::as_bytes);
                Identity::of(&[b"named", parts[0], parts[1], parts[2], parts[3]])
            }
            _ => self.identity_by_content(),
        };
        Index {
            identity,
            type_name,
            simulation_id,
            timestamp,
            source_process_id,
            message_id,
            epoch_number: epoch.and_then(|epoch| i64::try_from(epoch).ok()),
            has_warnings,
            state,
        }
    }
}

impl State {
    fn of(body: Body) -> Option<Self> {
        let Body::SimState(state) = body else { return None };
        let stopped = state.simulation_state == SimulationState::Stopped;
        Some(Self { stopped, name: state.name, description: state.description })
    }
}
