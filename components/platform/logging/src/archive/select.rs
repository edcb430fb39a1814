//! What is asked of an archive: [`Select`] names messages, [`Cursor`] a place among them, [`EpochSpan`] an epoch.

use super::topic::TopicPattern;
use gridloop_messages::Timestamp;
use std::fmt;
use std::str::FromStr;

/// Which messages of a run, and in which order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Select {
    /// Of these epochs; a limit leaves out what belongs to no epoch.
    pub epochs: Epochs,
    /// Of these senders; of all if there is none.
    pub processes: Vec<String>,
    /// On these topics.
    pub topic: Option<TopicPattern>,
    /// Only messages that carry warnings.
    pub only_warnings: bool,
    /// In which order.
    pub order: Order,
    /// Only what comes behind this place (orders by time only).
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A range of epochs, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epochs {
    /// The first one, if there is a limit.
    pub first: Option<i64>,
    /// The last one, if there is a limit.
    pub last: Option<i64>,
}

/// The order of messages. Those that are equal in it keep the order in which they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By Timestamp.
    #[default]
    Time,
    /// By EpochNumber; messages without one are left out.
    Epoch,
}

/// An epoch as its Epoch message tells it. Dates that the message lacks are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochSpan {
    /// Its number.
    pub number: i64,
    /// Simulated time at which it begins.
    pub start: Option<Timestamp>,
    /// Simulated time at which it ends.
    pub end: Option<Timestamp>,
}

/// A place in a run's messages by time: behind the message of this Timestamp and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The message's Timestamp.
    pub timestamp: Timestamp,
    /// What the store knows the message by.
    pub key: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.timestamp, self.key)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('~').and_then(|(timestamp, key)| {
            Some(Self { timestamp: Timestamp::parse(timestamp).ok()?, key: key.to_owned() })
        });
        parsed.ok_or_else(|| "it is not what a Link header of this server said".to_owned())
    }
}
