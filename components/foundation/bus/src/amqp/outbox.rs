//! What has been sent and not yet answered, without a socket or a clock.
//!
//! An [`Outbox`] numbers every publication with a [`Ticket`], knows when an answer is overdue, what to send again in
//! which order after a loss, and how long to repeat what the broker returned because nobody was bound to it.

use bytes::Bytes;
use gridloop_clock::MonoTime;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A broker that owes answers and gives none for so long means that the session is dead. A busy one may take longer for
/// a single answer, as long as others come.
pub(super) const CONFIRM_DEADLINE: Duration = Duration::from_secs(5);
/// How long a returned control message is repeated: peers bind their queues later than we after a broker restart.
const RETURN_PATIENCE: Duration = Duration::from_secs(10);
/// Wait before a returned message is repeated for the first time. It doubles up to [`RETURN_WAIT_MAX`].
const RETURN_WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait between two repetitions of a returned message.
const RETURN_WAIT_MAX: Duration = Duration::from_secs(2);
/// Most returned messages that are repeated at a time.
const RETURNS_MAX: usize = 1024;
/// Most publications without an answer.
const UNCONFIRMED_MAX: usize = 2048;
/// Most bytes in them, unless a single body is larger.
const UNCONFIRMED_BYTES_MAX: usize = 8 << 20;

/// The number of a publication. It stays the same when the publication is repeated after a loss.
pub(super) type Ticket = u64;

/// A message on its way to the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// AMQP `message_id`, 32 hexadecimal digits; unrelated to the JSON MessageId (contract 1.3).
    pub(super) id: Box<str>,
    /// Routing key.
    pub(super) topic: Box<str>,
    /// Body as published.
    pub(super) body: Bytes,
}

/// What becomes of a returned message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    /// Nobody has to listen to it.
    Ignored,
    /// It will be sent again.
    Later,
    /// It has been sent again for long enough.
    GivenUp,
    /// Too many others will be sent again.
    TooMany,
}

/// Publications without an answer, in order, and returned messages that will be repeated.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    next: Ticket,
    unconfirmed: BTreeMap<Ticket, Unconfirmed>,
    bytes: usize,
    last_answer: MonoTime,
    returns: BTreeMap<Box<str>, Return>,
}

#[derive(Debug)]
struct Unconfirmed {
    message: Arc<Message>,
    deadline: MonoTime,
}

#[derive(Debug)]
struct Return {
    first: MonoTime,
    wait: Duration,
    again: Option<(MonoTime, Arc<Message>)>,
}

impl Outbox {
    /// Whether another publication may be sent before more answers come in.
    pub(super) fn has_room(&self) -> bool {
        self.unconfirmed.len() < UNCONFIRMED_MAX && self.bytes < UNCONFIRMED_BYTES_MAX
    }

    /// Notes that `message` is sent at `now`.
    pub(super) fn sent(&mut self, message: Arc<Message>, now: MonoTime) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.bytes += message.body.len();
        self.unconfirmed.insert(ticket, Unconfirmed { message, deadline: now + CONFIRM_DEADLINE });
        ticket
    }

    /// Notes the broker's answer at `now`; `false` when it had been noted before.
    pub(super) fn confirmed(&mut self, ticket: Ticket, now: MonoTime) -> bool {
        self.last_answer = now;
        let Some(entry) = self.unconfirmed.remove(&ticket) else { return false };
        self.bytes = self.bytes.saturating_sub(entry.message.body.len());
        true
    }

    /// Notes that the broker returned `message` at `now`, because no queue was bound to its topic. A return comes
    /// beside the confirmation of its publication, before or after it.
    pub(super) fn returned(&mut self, message: Message, now: MonoTime) -> Returned {
        if !is_control(&message.topic) {
            return Returned::Ignored;
        }
        if self.returns.len() >= RETURNS_MAX && !self.returns.contains_key(&message.id) {
            return Returned::TooMany;
        }
        let known = self.returns.entry(message.id.clone());
        let entry = known.or_insert(Return { first: now, wait: RETURN_WAIT_MIN, again: None });
        if now + entry.wait > entry.first + RETURN_PATIENCE {
            self.returns.remove(&message.id);
            return Returned::GivenUp;
        }
        entry.again = Some((now + entry.wait, Arc::new(message)));
        entry.wait = (entry.wait * 2).min(RETURN_WAIT_MAX);
        Returned::Later
    }

    /// The returned messages to be sent again at `now`; they count as sent.
    pub(super) fn due(&mut self, now: MonoTime) -> Vec<(Ticket, Arc<Message>)> {
        self.returns.retain(|_, entry| entry.again.is_some() || now < entry.first + RETURN_PATIENCE * 2);
        let mut due = Vec::new();
        for entry in self.returns.values_mut() {
            if entry.again.as_ref().is_some_and(|(at, _)| *at <= now) {
                due.extend(entry.again.take());
            }
        }
        due.sort_by_key(|(at, _)| *at);
        due.into_iter().map(|(_, message)| (self.sent(Arc::clone(&message), now), message)).collect()
    }

    /// Whether an answer is overdue at `now`.
    pub(super) fn is_overdue(&self, now: MonoTime) -> bool {
        let oldest = self.unconfirmed.first_key_value();
        oldest.is_some_and(|(_, entry)| entry.deadline < now) && self.last_answer + CONFIRM_DEADLINE < now
    }

    /// Gives every publication a fresh deadline: the broker has said that it takes nothing for now.
    pub(super) fn postpone(&mut self, now: MonoTime) {
        for entry in self.unconfirmed.values_mut() {
            entry.deadline = now + CONFIRM_DEADLINE;
        }
    }

    /// What to send again, in order, on a new session at `now`.
    pub(super) fn resend(&mut self, now: MonoTime) -> Vec<(Ticket, Arc<Message>)> {
        self.postpone(now);
        self.unconfirmed.iter().map(|(ticket, entry)| (*ticket, Arc::clone(&entry.message))).collect()
    }

    /// The ticket that the next publication will get: see [`Outbox::is_answered`].
    pub(super) fn mark(&self) -> Ticket {
        self.next
    }

    /// Whether everything sent before `mark` was taken has been answered.
    pub(super) fn is_answered(&self, mark: Ticket) -> bool {
        self.unconfirmed.first_key_value().is_none_or(|(ticket, _)| *ticket >= mark)
    }

    /// Number of publications without an answer.
    pub(super) fn len(&self) -> usize {
        self.unconfirmed.len()
    }
}

/// Whether a run cannot go on when nobody receives messages on `topic`. What resources and devices report may well
/// interest nobody.
fn is_control(topic: &str) -> bool {
    matches!(topic, "SimState" | "Epoch")
        || topic.starts_with("Status.")
        || topic.starts_with("ControlState.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(id: u64, topic: &str) -> Message {
        Message { id: id.to_string().into(), topic: topic.into(), body: Bytes::from_static(b"{}") }
    }

    fn after(millis: u64) -> MonoTime {
        MonoTime::default() + Duration::from_millis(millis)
    }

    #[test]
    fn an_answer_is_overdue_after_its_deadline_and_not_before() {
        let mut outbox = Outbox::default();
        assert!(!outbox.is_overdue(after(60_000)));
        let first = outbox.sent(Arc::new(message(1, "Epoch")), after(0));
        outbox.sent(Arc::new(message(2, "Epoch")), after(1000));
        assert!(!outbox.is_overdue(after(5000)));
        assert!(outbox.is_overdue(after(5001)));
        outbox.confirmed(first, after(900));
        assert!(!outbox.is_overdue(after(6000)));
        assert!(outbox.is_overdue(after(6001)));
        outbox.resend(after(6001));
        assert!(!outbox.is_overdue(after(11_001)));
    }

    #[test]
    fn nothing_is_overdue_while_answers_come() {
        let mut outbox = Outbox::default();
        let (_oldest, second) = (
            outbox.sent(Arc::new(message(1, "a")), after(0)),
            outbox.sent(Arc::new(message(2, "a")), after(0)),
        );
        outbox.confirmed(second, after(4000));
        assert!(!outbox.is_overdue(after(9000)));
        assert!(outbox.is_overdue(after(9001)));
    }

    #[test]
    fn a_mark_is_answered_when_everything_before_it_is() {
        let mut outbox = Outbox::default();
        let first = outbox.sent(Arc::new(message(1, "Epoch")), after(0));
        let second = outbox.sent(Arc::new(message(2, "Epoch")), after(0));
        let mark = outbox.mark();
        let later = outbox.sent(Arc::new(message(3, "Epoch")), after(0));
        assert!(outbox.confirmed(second, after(0)));
        assert!(!outbox.is_answered(mark));
        assert!(outbox.confirmed(first, after(0)) && !outbox.confirmed(first, after(0)));
        assert!(outbox.is_answered(mark));
        assert!(!outbox.is_answered(later + 1));
    }

    #[test]
    fn room_ends_at_a_count_or_at_a_size_but_one_large_body_passes() {
        let mut outbox = Outbox::default();
        let large = Message { body: Bytes::from(vec![0; UNCONFIRMED_BYTES_MAX * 2]), ..message(1, "a") };
        assert!(outbox.has_room());
        let ticket = outbox.sent(Arc::new(large), after(0));
        assert!(!outbox.has_room());
        outbox.confirmed(ticket, after(0));
        for id in 0..u64::try_from(UNCONFIRMED_MAX).unwrap() {
            assert!(outbox.has_room());
            outbox.sent(Arc::new(message(id, "a")), after(0));
        }
        assert!(!outbox.has_room());
    }

    #[test]
    fn a_returned_control_message_is_repeated_with_growing_waits_and_then_given_up() {
        for topic in ["SimState", "Epoch", "Status.Ready", "ControlState.PowerSetpoint.pv1"] {
            let mut outbox = Outbox::default();
            let mut sent = Vec::new();
            let mut now = 0;
            while outbox.returned(message(7, topic), after(now)) == Returned::Later {
                while outbox.due(after(now)).is_empty() {
                    now += 50;
                }
                sent.push(now);
            }
            assert_eq!(sent, [250, 750, 1750, 3750, 5750, 7750, 9750], "{topic}");
            assert!(outbox.due(after(60_000)).is_empty());
        }
    }

    #[test]
    fn a_message_that_nobody_has_to_hear_is_not_repeated() {
        let mut outbox = Outbox::default();
        for topic in ["ResourceState.Load.house1", "DeviceState.pv1", "Status", "Epochs"] {
            assert_eq!(outbox.returned(message(1, topic), after(0)), Returned::Ignored, "{topic}");
        }
        assert!(outbox.due(after(60_000)).is_empty());
    }

    #[test]
    fn returned_messages_are_kept_in_a_bounded_number() {
        let mut outbox = Outbox::default();
        for id in 0..u64::try_from(RETURNS_MAX).unwrap() {
            assert_eq!(outbox.returned(message(id, "Epoch"), after(0)), Returned::Later);
        }
        assert_eq!(outbox.returned(message(1_000_000, "Epoch"), after(0)), Returned::TooMany);
        assert_eq!(outbox.due(after(250)).len(), RETURNS_MAX);
        assert_eq!(outbox.returned(message(7, "Epoch"), after(300)), Returned::Later);
        assert_eq!(outbox.due(after(60_000)).len(), 1);
    }

    #[test]
    fn a_message_that_was_heard_at_last_is_forgotten() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.returned(message(1, "Epoch"), after(0)), Returned::Later);
        assert_eq!(outbox.due(after(250)).len(), 1);
        assert!(outbox.due(after(30_000)).is_empty());
        assert!(outbox.returns.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Send,
        Confirm(prop::sample::Index),
        Lose,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Send),
            2 => any::<prop::sample::Index>().prop_map(Step::Confirm),
            1 => Just(Step::Lose),
        ]
    }

    proptest! {
        #[test]
        fn what_is_not_confirmed_is_sent_again_once_and_in_order(steps in prop::collection::vec(step(), 0..80)) {
            let mut outbox = Outbox::default();
            let mut open: Vec<(Ticket, u64)> = Vec::new();
            for (now, step) in (0..).zip(steps) {
                match step {
                    Step::Send => open.push((outbox.sent(Arc::new(message(now, "Epoch")), after(now)), now)),
                    Step::Confirm(_) if open.is_empty() => {}
                    Step::Confirm(which) => {
                        let (ticket, _) = open.remove(which.index(open.len()));
                        prop_assert!(outbox.confirmed(ticket, after(now)));
                    }
                    Step::Lose => {
                        let again: Vec<_> = outbox.resend(after(now));
                        let again: Vec<_> = again.iter().map(|(ticket, m)| (*ticket, m.id.parse().unwrap())).collect();
                        prop_assert_eq!(&again, &open);
                    }
                }
                prop_assert_eq!(outbox.len(), open.len());
                prop_assert_eq!(outbox.bytes, open.len() * 2);
            }
        }
    }
}
