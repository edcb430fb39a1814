//! What a test can do to a simulated device: [`Knobs`] choose the [`Fault`] of the coming replies.

use super::codec::{Request, exception_pdu};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is wrong with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is neither carried out nor answered.
    Silence,
    /// The request is carried out, but not answered.
    LostReply,
    /// The request is not carried out; the reply is this exception code.
    Exception(u8),
    /// The reply comes from another unit.
    WrongUnit,
    /// The reply belongs to another transaction.
    WrongTransaction,
    /// The reply is one to another function.
    WrongFunction,
    /// The reply is well-formed, but has one register less than was asked for.
    Short,
    /// The frame says that it is longer than it is.
    BadLength,
    /// The connection is closed in the middle of the reply.
    Truncated,
    /// Bytes that are no Modbus at all.
    Garbage,
    /// 64 KiB of them.
    Flood,
    /// The connection is closed instead of a reply.
    Close,
}

/// The knobs of one simulated device. Clones turn the same knobs.
#[derive(Debug, Clone, Default)]
pub struct Knobs {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    replies_left: Option<u32>,
    delay: Duration,
    requests: u64,
}

impl Knobs {
    /// Every reply from now on has this fault.
    pub fn set(&self, fault: Fault) {
        let mut state = self.lock();
        (state.fault, state.replies_left) = (Some(fault), None);
    }

    /// This many replies have this fault, then it heals.
    pub fn set_for(&self, fault: Fault, replies: u32) {
        let mut state = self.lock();
        (state.fault, state.replies_left) = (Some(fault), Some(replies));
    }

    /// Every reply from now on comes so much later. The request itself is carried out at once.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Replies are right and prompt again.
    pub fn heal(&self) {
        let mut state = self.lock();
        (state.fault, state.replies_left, state.delay) = (None, None, Duration::ZERO);
    }

    /// Requests that reached the device so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// Counts a request and deals out its fault and delay.
    pub(super) fn next(&self) -> (Option<Fault>, Duration) {
        let mut state = self.lock();
        state.requests += 1;
        match state.replies_left {
            Some(0) => (state.fault, state.replies_left) = (None, None),
            Some(left) => state.replies_left = Some(left - 1),
            None => {}
        }
        (state.fault, state.delay)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes over the wire in place of the right reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    pub(super) then_close: bool,
}

/// Whether the device carries a request out that will be answered with this fault.
pub(super) fn carries_out(fault: Option<Fault>) -> bool {
    !matches!(fault, Some(Fault::Silence | Fault::Exception(_) | Fault::Close))
}

/// The reply to `request` whose right PDU would be `pdu`.
pub(super) fn reply(request: &Request, pdu: &[u8], fault: Option<Fault>) -> Reply {
    let Request { transaction, unit, .. } = *request;
    let frame = |transaction, unit, pdu: &[u8]| request.frame(transaction, unit, pdu);
    let function = pdu.first().copied().unwrap_or(0);
    let right = frame(transaction, unit, pdu);
    let bytes = match fault {
        None => right,
        Some(Fault::Silence | Fault::LostReply | Fault::Close) => Vec::new(),
        Some(Fault::Exception(code)) => frame(transaction, unit, &exception_pdu(function, code)),
        Some(Fault::WrongUnit) => frame(transaction, unit.wrapping_add(1), pdu),
        Some(Fault::WrongTransaction) => frame(transaction.wrapping_sub(1), unit, pdu),
        Some(Fault::WrongFunction) => frame(transaction, unit, &[&[function ^ 0x01], &pdu[1..]].concat()),
        Some(Fault::Short) => frame(transaction, unit, &shortened(pdu)),
        Some(Fault::BadLength) => {
            let mut bytes = right;
            if let Some(length) = bytes.get_mut(5) {
                *length = length.wrapping_add(2);
            }
            bytes
        }
        Some(Fault::Truncated) => right[..right.len() / 2].to_vec(),
        Some(Fault::Garbage) => b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        Some(Fault::Flood) => vec![0xA5; 64 * 1024],
    };
    Reply { bytes, then_close: matches!(fault, Some(Fault::Truncated | Fault::Close)) }
}

/// A reply with a register less; a byte count, where there is one, agrees with it.
fn shortened(pdu: &[u8]) -> Vec<u8> {
    let mut pdu = pdu[..pdu.len().saturating_sub(2).max(1)].to_vec();
    if let [3 | 4, length, rest @ ..] = pdu.as_mut_slice() {
        *length = u8::try_from(rest.len()).unwrap_or(u8::MAX);
    }
    pdu
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Framing, frame};
    use super::*;

    fn request() -> Request {
        Request { framing: Framing::Tcp, transaction: 0x0102, unit: 1, pdu: vec![3, 0, 0, 0, 2] }
    }

    #[test]
    fn every_fault_makes_another_reply_than_the_right_one() {
        let pdu = [3, 4, 0, 1, 0, 2];
        let right = reply(&request(), &pdu, None);
        let faults = [
            Fault::Silence,
            Fault::LostReply,
            Fault::Exception(4),
            Fault::WrongUnit,
            Fault::WrongTransaction,
            Fault::WrongFunction,
            Fault::Short,
            Fault::BadLength,
            Fault::Truncated,
            Fault::Garbage,
            Fault::Flood,
            Fault::Close,
        ];
        for fault in faults {
            assert_ne!(reply(&request(), &pdu, Some(fault)), right, "{fault:?}");
        }
    }

    #[test]
    fn a_short_reply_is_well_formed() {
        let short = reply(&request(), &[3, 4, 0, 1, 0, 2], Some(Fault::Short));
        assert_eq!(short.bytes, frame(0x0102, 1, &[3, 2, 0, 1]));
    }

    #[test]
    fn a_fault_for_some_replies_heals_after_them() {
        let knobs = Knobs::default();
        knobs.set_for(Fault::Close, 2);
        let faults: Vec<_> = (0..3).map(|_| knobs.next().0).collect();
        assert_eq!(faults, [Some(Fault::Close), Some(Fault::Close), None]);
        assert_eq!(knobs.requests(), 3);
    }
}
