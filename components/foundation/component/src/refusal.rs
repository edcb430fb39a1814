//! Inputs that a component never gets to take, and why.

use gridloop_messages::DecodeError;

/// An input that the kit refused. Its text is fit for a warning.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It belongs to an epoch that is over.
    #[error("{message_id} on {topic} is for epoch {epoch}, the run is in epoch {latest_epoch}")]
    OldEpoch {
        /// Where it came.
        topic: String,
        /// Which message.
        message_id: String,
        /// The epoch it belongs to.
        epoch: u64,
        /// The run's latest epoch.
        latest_epoch: u64,
    },
    /// Too many inputs for epochs to come are being kept already.
    #[error("{message_id} on {topic} is for epoch {epoch}, too many early inputs are being kept")]
    TooEarly {
        /// Where it came.
        topic: String,
        /// Which message.
        message_id: String,
        /// The epoch it belongs to.
        epoch: u64,
    },
    /// Its epoch has had more inputs than any epoch may have.
    #[error("{message_id} on {topic}: epoch {epoch} has had too many inputs")]
    TooMany {
        /// Where it came.
        topic: String,
        /// Which message.
        message_id: String,
        /// The epoch it belongs to.
        epoch: u64,
    },
    /// Another message of the same sender and epoch had the same id and other content.
    #[error("{message_id} on {topic} repeats the id of a message with other content")]
    IdTaken {
        /// Where it came.
        topic: String,
        /// Which message.
        message_id: String,
    },
    /// It cannot be decoded.
    #[error("a message on {topic} cannot be decoded: {reason}")]
    Undecodable {
        /// Where it came.
        topic: String,
        /// What is wrong with it.
        reason: DecodeError,
    },
}
