//! Inputs by epoch: the [`Inbox`] knows which have been seen and keeps those that came early.
//!
//! It remembers the run's latest epoch, the one before it (so that a redelivery of an input that was taken in time is
//! not mistaken for one that came too late) and every later epoch that inputs have come for. Everything in it is
//! bounded; what goes beyond a bound is refused, not dropped in silence.

use crate::Refusal;
use gridloop_clock::MonoTime;
use gridloop_messages::{Header, Message};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Early inputs kept for one epoch.
pub(crate) const MAX_EARLY_PER_EPOCH: usize = 1_024;
/// Early inputs kept in all.
pub(crate) const MAX_EARLY: usize = 4_096;
/// Bytes of all early inputs together, as they came.
pub(crate) const MAX_EARLY_BYTES: usize = 16 * 1024 * 1024;
/// Inputs that one epoch may have, unless the component knows of [more](crate::Component::inputs_max).
pub const INPUTS_PER_EPOCH: usize = 16_384;

/// What becomes of an input.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is the first of its kind for the latest epoch.
    Take,
    /// It is kept until its epoch opens.
    Held,
    /// It has been here before.
    Duplicate,
    /// It is refused.
    Refused(Refusal),
}

/// An input that waits for its epoch.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) topic: Arc<str>,
    pub(crate) message: Arc<Message>,
    bytes: usize,
    pub(crate) arrived_at: MonoTime,
}

/// What the opening of an epoch brings up.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// The inputs that were kept for it, in order of arrival.
    pub(crate) inputs: Vec<Early>,
    /// Those kept for epochs that were passed over.
    pub(crate) refused: Vec<Refusal>,
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    latest: u64,
    epochs: BTreeMap<u64, Slot>,
    early: usize,
    early_bytes: usize,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Slot {
    /// Hash of the body by hash of (SourceProcessId, MessageId), so that an input takes 16 bytes however long its
    /// names are. Two inputs of a full epoch hash alike once in a hundred thousand million epochs; the second would
    /// be refused.
    seen: HashMap<u64, u64>,
    early: Vec<Early>,
}

impl Inbox {
    /// The run's latest epoch; 0 before the first.
    pub(crate) const fn latest(&self) -> u64 {
        self.latest
    }

    /// Whether the latest epoch has had as many inputs as it may have, unless the component knows of more.
    pub(crate) fn is_full(&self) -> bool {
        self.epochs.get(&self.latest).is_some_and(|slot| slot.seen.len() >= INPUTS_PER_EPOCH)
    }

    /// Judges a message for `epoch`, and keeps it if it came early. The latest epoch may have `inputs_max`.
    pub(crate) fn offer(
        &mut self,
        inputs_max: usize,
        epoch: u64,
        topic: &Arc<str>,
        message: &Arc<Message>,
        body: &[u8],
        now: MonoTime,
    ) -> Verdict {
        let header = &message.header;
        let id = self.hasher.hash_one((&header.source_process_id, &header.message_id));
        let content = self.hasher.hash_one(body);
        let slot = self.epochs.get(&epoch);
        match slot.and_then(|slot| slot.seen.get(&id)) {
            Some(known) if *known == content => return Verdict::Duplicate,
            Some(_) => return Verdict::Refused(id_taken(topic, header)),
            None => {}
        }
        let inputs = slot.map_or(0, |slot| slot.seen.len());
        if epoch < self.latest {
            return Verdict::Refused(old_epoch(topic, header, epoch, self.latest));
        }
        if epoch == self.latest {
            if inputs >= inputs_max {
                let (topic, message_id) = names(topic, header);
                return Verdict::Refused(Refusal::TooMany { topic, message_id, epoch });
            }
            self.epochs.entry(epoch).or_default().seen.insert(id, content);
            return Verdict::Take;
        }
        let bytes = body.len();
        let full = inputs >= MAX_EARLY_PER_EPOCH || self.early >= MAX_EARLY;
        if full || self.early_bytes + bytes > MAX_EARLY_BYTES {
            let (topic, message_id) = names(topic, header);
            return Verdict::Refused(Refusal::TooEarly { topic, message_id, epoch });
        }
        self.early += 1;
        self.early_bytes += bytes;
        let slot = self.epochs.entry(epoch).or_default();
        slot.seen.insert(id, content);
        slot.early.push(Early {
            topic: Arc::clone(topic),
            message: Arc::clone(message),
            bytes,
            arrived_at: now,
        });
        Verdict::Held
    }

    /// Makes `epoch`, which is later than the latest, the latest.
    pub(crate) fn open(&mut self, epoch: u64) -> Opening {
        self.latest = epoch;
        if self.epochs.is_empty() {
            return Opening::default();
        }
        let mut opening = Opening::default();
        for (number, slot) in self.epochs.range_mut(..=epoch) {
            self.early -= slot.early.len();
            self.early_bytes -= slot.early.iter().map(|early| early.bytes).sum::<usize>();
            let inputs = std::mem::take(&mut slot.early);
            if *number == epoch {
                opening.inputs = inputs;
            } else {
                let refusals =
                    inputs.iter().map(|it| old_epoch(&it.topic, &it.message.header, *number, epoch));
                opening.refused.extend(refusals);
            }
        }
        self.epochs = self.epochs.split_off(&(epoch - 1));
        opening
    }

    /// Gives up everything that is kept.
    pub(crate) fn clear(&mut self) {
        self.epochs.clear();
        self.early = 0;
        self.early_bytes = 0;
    }
}

fn names(topic: &str, header: &Header) -> (String, String) {
    (topic.to_owned(), header.message_id.clone())
}

fn id_taken(topic: &str, header: &Header) -> Refusal {
    let (topic, message_id) = names(topic, header);
    Refusal::IdTaken { topic, message_id }
}

fn old_epoch(topic: &str, header: &Header, epoch: u64, latest_epoch: u64) -> Refusal {
    let (topic, message_id) = names(topic, header);
    Refusal::OldEpoch { topic, message_id, epoch, latest_epoch }
}
