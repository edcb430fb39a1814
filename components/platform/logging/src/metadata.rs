//! What is known of a run as a whole: [`Metadata`], the metadata document of wire contract 5.1.

use crate::record::Index;
use gridloop_messages::{SimulationId, Timestamp};
use std::collections::BTreeSet;

/// A run as a whole. It only ever grows: the earliest start, the latest end, the highest epoch, every sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// `SimulationId`
    pub simulation_id: SimulationId,
    /// `StartTime`: the earliest Timestamp of its messages.
    pub start_time: Option<Timestamp>,
    /// The latest Timestamp of its messages.
    pub latest: Option<Timestamp>,
    /// Whether SimState `stopped` was heard. `EndTime` is there only then.
    pub stopped: bool,
    /// `Name` of the last SimState.
    pub name: Option<String>,
    /// `Description` of the last SimState.
    pub description: Option<String>,
    /// `Epochs`: the highest EpochNumber.
    pub epochs: i64,
    /// `Processes`: the names of everybody who sent a message, sorted.
    pub processes: BTreeSet<String>,
}

impl Metadata {
    /// A run of which nothing is known yet.
    #[must_use]
    pub fn new(simulation_id: SimulationId) -> Self {
        Self {
            simulation_id,
            start_time: None,
            latest: None,
            stopped: false,
            name: None,
            description: None,
            epochs: 0,
            processes: BTreeSet::new(),
        }
    }

    /// `EndTime`: the latest Timestamp of a run that was stopped.
    #[must_use]
    pub fn end_time(&self) -> Option<Timestamp> {
        self.latest.filter(|_| self.stopped)
    }

    /// Takes one more message into account.
    pub(crate) fn note(&mut self, message: &Index) {
        let time = message.timestamp;
        self.start_time = Some(self.start_time.map_or(time, |earliest| earliest.min(time)));
        self.latest = Some(self.latest.map_or(time, |latest| latest.max(time)));
        self.epochs = self.epochs.max(message.epoch_number.unwrap_or(0));
        if let Some(source) = &message.source_process_id
            && !self.processes.contains(source)
        {
            self.processes.insert(source.clone());
        }
        if let Some(state) = &message.state {
            self.stopped |= state.stopped;
            self.name = state.name.clone().or(self.name.take());
            self.description = state.description.clone().or(self.description.take());
        }
    }

    /// Whether the document is written upon this message (wire contract 5.1).
    #[cfg(feature = "mongodb")]
    pub(crate) fn is_told_by(message: &Index) -> bool {
        message.state.is_some() || message.type_name == "Epoch"
    }
}
