//! The manager's own messages. The [`Author`] numbers them and keeps the simulated time of the next epoch.

use crate::settings::Settings;
use gridloop_clock::Utc;
use gridloop_messages::{
    Body, Epoch, EpochFields, Header, Message, SimState, SimulationId, SimulationState, Timestamp,
};
use std::time::Duration;

/// Writes the manager's messages.
pub(super) struct Author {
    name: String,
    simulation_id: SimulationId,
    simulation_name: String,
    description: String,
    written: u64,
    next_start: Timestamp,
    epoch_length: Duration,
}

impl Author {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            name: settings.name.clone(),
            simulation_id: settings.simulation_id.clone(),
            simulation_name: settings.simulation_name.clone(),
            description: settings.description.clone(),
            written: 0,
            next_start: settings.initial_start_time,
            epoch_length: settings.epoch_length,
        }
    }

    /// SimCES always sends name and description, even if they are empty (wire contract 2.3).
    pub(super) fn sim_state(&mut self, simulation_state: SimulationState, utc: Utc) -> Message {
        let name = Some(self.simulation_name.clone());
        let description = Some(self.description.clone());
        let body = Body::SimState(SimState { simulation_state, name, description });
        Message { header: self.header(utc, None), body }
    }

    pub(super) fn epoch(&mut self, number: u64, window: Epoch, triggers: Vec<String>, utc: Utc) -> Message {
        let fields =
            EpochFields { epoch_number: number, triggering_message_ids: triggers, ..EpochFields::default() };
        Message { header: self.header(utc, Some(fields)), body: Body::Epoch(window) }
    }

    /// Simulated time of the next epoch.
    pub(super) fn window(&self) -> Epoch {
        Epoch { start_time: self.next_start, end_time: self.next_start.plus(self.epoch_length) }
    }

    /// The epoch of `message` has begun; the next one follows it.
    pub(super) fn move_window(&mut self, message: &Message) {
        if let Body::Epoch(window) = &message.body {
            self.next_start = window.end_time;
        }
    }

    /// Contract 2.2: one count over all types of message, from 1.
    fn header(&mut self, utc: Utc, epoch: Option<EpochFields>) -> Header {
        self.written += 1;
        Header {
            simulation_id: self.simulation_id.clone(),
            timestamp: utc.into(),
            source_process_id: self.name.clone(),
            message_id: format!("{}-{}", self.name, self.written),
            epoch,
        }
    }
}
