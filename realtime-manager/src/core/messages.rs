//! The manager's own messages. The [`Author`] numbers them and keeps the simulated time of the next epoch.

use crate::settings::Settings;
use gridloop_clock::Utc;
use gridloop_messages::{
    Body, Epoch, EpochFields, EpochOverrun, EpochPacing, Header, LateComponent, Message, SimState,
    SimulationId, SimulationState, Timestamp,
};
use std::time::Duration;

/// Each process that has a run numbers its messages from another multiple of this, so that none repeats a MessageId.
pub const NUMBERED_APART: u64 = 1_000_000_000;

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
    /// The author of a run of which so many epochs are over, in its process of this number from 0.
    pub(super) fn new(settings: &Settings, completed: u64, process: u64) -> Self {
        let past = times(settings.epoch_length, completed);
        Self {
            name: settings.name.clone(),
            simulation_id: settings.simulation_id.clone(),
            simulation_name: settings.simulation_name.clone(),
            description: settings.description.clone(),
            written: process.saturating_mul(NUMBERED_APART),
            next_start: settings.initial_start_time.plus(past),
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

    /// Who was missing at the end of an epoch.
    pub(super) fn overrun(
        &mut self,
        number: u64,
        overrun: EpochOverrun,
        trigger: String,
        utc: Utc,
    ) -> Message {
        let triggering_message_ids = vec![trigger];
        let fields = EpochFields { epoch_number: number, triggering_message_ids, ..EpochFields::default() };
        Message { header: self.header(utc, Some(fields)), body: Body::EpochOverrun(overrun) }
    }

    /// Simulated time of the next epoch.
    pub(super) fn window(&self, pacing: Option<EpochPacing>) -> Epoch {
        Epoch { start_time: self.next_start, end_time: self.next_start.plus(self.epoch_length), pacing }
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

/// A component that is late, by so much if it has answered.
pub(super) fn late(component: &str, by: Option<Duration>) -> LateComponent {
    LateComponent { component: component.to_owned(), late_by_s: by.map(|by| by.as_secs_f64()) }
}

/// `span` so many times.
fn times(span: Duration, count: u64) -> Duration {
    const NANOS_PER_S: u128 = 1_000_000_000;
    let nanos = span.as_nanos().saturating_mul(u128::from(count));
    let rest = u32::try_from(nanos % NANOS_PER_S).unwrap_or(0);
    Duration::new(u64::try_from(nanos / NANOS_PER_S).unwrap_or(u64::MAX), rest)
}
