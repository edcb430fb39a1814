//! One line of the log: [`Record`].

use bytes::Bytes;
use gridloop_clock::Utc;
use gridloop_messages::{Decoded, Timestamp, decode};
use std::sync::Arc;

/// A message as it was heard.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its routing key.
    pub topic: Arc<str>,
    /// The body as published.
    pub body: Bytes,
    /// When the log heard it, wall-clock UTC.
    pub heard_at: Utc,
}

/// What the log files a message under.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) type_name: String,
    pub(crate) simulation_id: String,
    pub(crate) source_process_id: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) epoch_number: Option<i64>,
}

impl Record {
    /// The index of a valid message, or what is wrong with it.
    pub(crate) fn index(&self) -> Result<Index, String> {
        let decoded =
            decode(&self.body, Timestamp::from(self.heard_at)).map_err(|error| error.to_string())?;
        let type_name = decoded.type_name().to_owned();
        let simulation_id = decoded.simulation_id().to_string();
        let (source, message_id, epoch) = match decoded {
            Decoded::Message(message) => {
                let epoch = message.epoch_number();
                (Some(message.header.source_process_id), Some(message.header.message_id), epoch)
            }
            Decoded::General(general) => {
                (general.source_process_id, general.message_id, general.epoch_number)
            }
        };
        Ok(Index {
            type_name,
            simulation_id,
            source_process_id: source,
            message_id,
            epoch_number: epoch.and_then(|epoch| i64::try_from(epoch).ok()),
        })
    }
}
