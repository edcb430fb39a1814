//! Decoding a broadcast once for all components of a process.
//!
//! The memory bus hands the same bytes to every subscriber. With fifty components in one process an Epoch message
//! would be parsed fifty times; each worker thread instead remembers the last few bodies it has decoded.

use bytes::Bytes;
use gridloop_messages::{DecodeError, Decoded, Message, Timestamp, decode};
use std::cell::RefCell;
use std::sync::Arc;

/// Enough for what a few dozen components of one process say to one another in an epoch.
const REMEMBERED: usize = 64;
/// Larger bodies are not kept, so that an idle thread holds a few megabytes at most.
const LARGEST_REMEMBERED: usize = 32 * 1024;

thread_local! {
    static MEMO: RefCell<Memo> = const { RefCell::new(Memo::new()) };
}

/// The message in `body`; none if it is of a type that components cannot take.
pub(crate) fn message_in(body: &Bytes, now: Timestamp) -> Result<Option<Arc<Message>>, DecodeError> {
    MEMO.with_borrow_mut(|memo| {
        if let Some(message) = memo.recall(body) {
            return Ok(message);
        }
        let message = match decode(body, now)? {
            Decoded::Message(message) => Some(Arc::new(message)),
            Decoded::General(_) => None,
        };
        if body.len() <= LARGEST_REMEMBERED {
            memo.remember(body.clone(), message.clone());
        }
        Ok(message)
    })
}

struct Memo {
    entries: [Option<(Bytes, Option<Arc<Message>>)>; REMEMBERED],
    next: usize,
}

impl Memo {
    const fn new() -> Self {
        Self { entries: [const { None }; REMEMBERED], next: 0 }
    }

    /// An entry keeps its bytes alive, so the same place and length in memory is the same content.
    fn recall(&self, body: &Bytes) -> Option<Option<Arc<Message>>> {
        let same = |known: &Bytes| known.as_ptr() == body.as_ptr() && known.len() == body.len();
        self.entries.iter().flatten().find(|(known, _)| same(known)).map(|(_, message)| message.clone())
    }

    fn remember(&mut self, body: Bytes, message: Option<Arc<Message>>) {
        if let Some(entry) = self.entries.get_mut(self.next) {
            *entry = Some((body, message));
        }
        self.next = (self.next + 1) % REMEMBERED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T15:19:25.203Z").unwrap()
    }

    fn sim_state(id: usize) -> Bytes {
        let text = format!(
            r#"{{"Type":"SimState","SimulationId":"2026-11-22T15:19:25.203Z","SourceProcessId":"Clock",
            "MessageId":"Clock-{id}","SimulationState":"running"}}"#
        );
        text.into()
    }

    fn message(body: &Bytes) -> Arc<Message> {
        message_in(body, now()).unwrap().unwrap()
    }

    #[test]
    fn clones_of_one_body_are_decoded_once() {
        let body = sim_state(1);
        assert!(Arc::ptr_eq(&message(&body), &message(&body.clone())));
    }

    #[test]
    fn another_body_is_never_taken_for_a_remembered_one() {
        for id in 0..3 * REMEMBERED {
            assert_eq!(message(&sim_state(id)).header.message_id, format!("Clock-{id}"));
        }
        let body = sim_state(1);
        assert!(message_in(&body.slice(..body.len() - 1), now()).is_err(), "the same place, but shorter");
    }
}
