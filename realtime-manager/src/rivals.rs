//! Other managers of the same run. A [`Lease`](gridloop_bus::Lease) keeps a second gridloop manager out, but managers of
//! the Python platform take none: [`Rivals`] hears what is said on the manager's own topics and tells whether somebody
//! else said it.

use bytes::Bytes;
use gridloop_messages::{Body, Decoded, Message, SimulationId, Timestamp, decode};
use std::collections::VecDeque;

/// Own messages that are remembered, to be recognised when the bus gives them back.
const REMEMBERED: usize = 64;

/// Recognises messages that only a manager sends and that this one has not sent.
pub(crate) struct Rivals {
    name: String,
    simulation_id: SimulationId,
    /// The newest own messages as they went to the bus.
    said: VecDeque<Bytes>,
    /// How many own messages there have been, in other processes too as far as they are numbered.
    written: u64,
}

/// A message of another manager of this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// Its name; it may be the same as this manager's.
    pub name: String,
    /// What it sent: `SimState` or `Epoch`.
    pub sent: &'static str,
}

impl Rivals {
    /// The manager's own messages are numbered from `numbered_from`.
    pub(crate) fn new(name: &str, simulation_id: &SimulationId, numbered_from: u64) -> Self {
        let (name, simulation_id) = (name.to_owned(), simulation_id.clone());
        Self { name, simulation_id, said: VecDeque::with_capacity(REMEMBERED), written: numbered_from }
    }

    /// This manager is about to publish `body`.
    pub(crate) fn say(&mut self, body: Bytes) {
        if self.said.back() == Some(&body) {
            return;
        }
        if self.said.len() == REMEMBERED {
            self.said.pop_front();
        }
        self.said.push_back(body);
        self.written += 1;
    }

    /// Who sent `body`, if that is another manager of this run.
    pub(crate) fn judge(&self, body: &Bytes, now: Timestamp) -> Option<Rival> {
        if self.said.contains(body) {
            return None;
        }
        // What cannot be understood, and what belongs to another run, is nobody's word on this one.
        let Ok(Decoded::Message(message)) = decode(body, now) else { return None };
        let by_a_manager = matches!(message.body, Body::SimState(_) | Body::Epoch(_));
        if !by_a_manager || message.header.simulation_id != self.simulation_id || self.is_old(&message) {
            return None;
        }
        Some(Rival { sent: message.type_name(), name: message.header.source_process_id })
    }

    /// Whether it may be an own message from before those remembered, which a slow bus has given back late.
    fn is_old(&self, message: &Message) -> bool {
        let own = message.header.source_process_id == self.name;
        let forgotten = self.written.saturating_sub(self.said.len() as u64);
        let number =
            message.header.message_id.rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
        own && number.is_some_and(|number| number <= forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::timestamp;

    const RUN: &str = "2024-03-01T08:00:00.000Z";

    fn rivals() -> Rivals {
        Rivals::new("Clock", &SimulationId::new(timestamp(RUN)), 0)
    }

    fn sim_state(name: &str, number: usize, run: &str, sent_at: &str) -> Bytes {
        let text = format!(
            r#"{{"Type":"SimState","SimulationId":"{run}","Timestamp":"2024-03-01T08:00:{sent_at}Z",
            "SourceProcessId":"{name}","MessageId":"{name}-{number}","SimulationState":"running"}}"#
        );
        text.into()
    }

    fn judged(rivals: &Rivals, body: &Bytes) -> Option<Rival> {
        rivals.judge(body, timestamp(RUN))
    }

    #[test]
    fn own_messages_that_the_bus_gives_back_are_nobody_else_s() {
        let mut rivals = rivals();
        for number in 1..=3 * REMEMBERED {
            rivals.say(sim_state("Clock", number, RUN, "10.000"));
        }
        for number in 1..=3 * REMEMBERED {
            assert_eq!(judged(&rivals, &sim_state("Clock", number, RUN, "10.000")), None, "{number}");
        }
    }

    #[test]
    fn the_same_message_said_again_is_remembered_once() {
        let mut rivals = rivals();
        for _ in 0..1000 {
            rivals.say(sim_state("Clock", 1, RUN, "10.000"));
        }
        assert_eq!((rivals.said.len(), rivals.written), (1, 1));
    }

    #[test]
    fn another_manager_is_known_by_its_name_or_by_words_that_this_one_has_not_said() {
        let mut rivals = rivals();
        let other = sim_state("manager", 1, RUN, "10.000");
        assert_eq!(judged(&rivals, &other), Some(Rival { name: "manager".into(), sent: "SimState" }));
        rivals.say(sim_state("Clock", 1, RUN, "10.000"));
        let namesake = sim_state("Clock", 1, RUN, "10.001");
        assert_eq!(judged(&rivals, &namesake), Some(Rival { name: "Clock".into(), sent: "SimState" }));
    }

    #[test]
    fn other_runs_components_and_garbage_are_no_rivals() {
        let rivals = rivals();
        assert_eq!(judged(&rivals, &sim_state("manager", 1, "2024-03-01T08:00:00.001Z", "10.000")), None);
        for body in [&b"\xff"[..], b"{}", br#"{"Type":"SimState"}"#] {
            assert_eq!(judged(&rivals, &Bytes::from_static(body)), None);
        }
        let status = format!(
            r#"{{"Type":"Status","SimulationId":"{RUN}","SourceProcessId":"A","MessageId":"A-1","EpochNumber":0,
            "TriggeringMessageIds":["x"],"Value":"ready"}}"#
        );
        assert_eq!(judged(&rivals, &status.into()), None);
    }
}
