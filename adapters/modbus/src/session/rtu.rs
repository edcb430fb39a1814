//! RTU frames seen from the client, as pure functions over bytes: [`frame`] makes one, [`judge`] says of what has come
//! whether it is the answer to a request.
//!
//! RTU has neither a length nor a transaction number. Here the request says how long its answer must be, so that an
//! answer is either exactly that long, or an exception, or no answer: nobody searches for a frame in a heap of bytes.

use super::ask::Ask;
use super::error::LinkError;

/// The longest frame ("Modbus over Serial Line" V1.02, 2.5.1).
pub(crate) const MAX_FRAME: usize = 256;

/// The check of a frame: CRC-16 with the polynomial A001, low byte first ("Modbus over Serial Line" V1.02, 2.5.1.2).
pub(crate) fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc.to_le_bytes()
}

/// Whether the last two bytes are the check of those before them.
pub(crate) fn is_sound(frame: &[u8]) -> bool {
    frame.split_last_chunk::<2>().is_some_and(|(body, check)| checksum(body) == *check)
}

/// A whole frame around a PDU.
pub(crate) fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend(pdu);
    frame.extend(checksum(&frame));
    frame
}

/// What has come so far, measured by the request.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It may become the answer.
    More,
    /// It is one.
    Answer(Vec<u16>),
    /// It is none, and will not become one.
    Wrong(LinkError),
}

/// How long the answer to a request is when the device carries it out.
pub(super) fn answer_length(ask: &Ask) -> usize {
    match ask {
        Ask::Read { count, .. } => 1 + 2 + 2 * usize::from(*count) + 2,
        Ask::Write { .. } | Ask::WriteOne { .. } => 8,
    }
}

/// Judges what has come since `ask` was sent to `unit`.
pub(super) fn judge(unit: u8, ask: &Ask, come: &[u8]) -> Verdict {
    let wrong = |why: String| Verdict::Wrong(LinkError::Malformed(why));
    match come {
        [] => return Verdict::More,
        [other, ..] if *other != unit => return wrong(format!("unit {other} answers instead of {unit}")),
        [_] => return Verdict::More,
        _ => {}
    }
    let (function, asked) = (come[1], ask.function());
    let length = if function == asked {
        answer_length(ask)
    } else if function == asked | 0x80 {
        5
    } else {
        return wrong(format!("an answer with function {function:02X} instead of {asked:02X}"));
    };
    if let (Ask::Read { count, .. }, Some(bytes)) = (ask, come.get(2))
        && function == asked
        && usize::from(*bytes) != 2 * usize::from(*count)
    {
        return wrong(format!("{bytes} bytes of registers instead of {}", 2 * u32::from(*count)));
    }
    if come.len() < length {
        return Verdict::More;
    }
    if come.len() > length {
        return wrong("bytes behind the end of the answer".to_owned());
    }
    if !is_sound(come) {
        return Verdict::Wrong(LinkError::BadChecksum);
    }
    let pdu = &come[1..length - 2];
    if function != asked {
        return Verdict::Wrong(LinkError::Exception(pdu[1]));
    }
    ask.check_pdu(pdu).map_or_else(Verdict::Wrong, Verdict::Answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register_map::Table;
    use proptest::prelude::*;

    const TWO: Ask = Ask::Read { table: Table::Holding, address: 0x2B, count: 2 };

    #[test]
    fn frames_are_checked_as_the_specification_does() {
        // The example of the specification, 6.2.2: CRC 1241 of the bytes 02 07.
        assert_eq!(checksum(&[0x02, 0x07]), [0x41, 0x12]);
        assert!(is_sound(&frame(1, &TWO.pdu())));
        assert!(!is_sound(&[]) && !is_sound(&[1]));
    }

    #[test]
    fn one_answer_is_taken_however_it_is_cut() {
        let whole = frame(1, &[3, 4, 0xAB, 0xCD, 0, 9]);
        for cut in 0..whole.len() {
            assert_eq!(judge(1, &TWO, &whole[..cut]), Verdict::More);
        }
        assert_eq!(judge(1, &TWO, &whole), Verdict::Answer(vec![0xABCD, 9]));
        assert_eq!(judge(1, &TWO, &frame(1, &[0x83, 6])), Verdict::Wrong(LinkError::Exception(6)));
    }

    #[test]
    fn what_answers_something_else_is_told_by_its_first_bytes() {
        let malformed = |come: &[u8]| match judge(1, &TWO, come) {
            Verdict::Wrong(LinkError::Malformed(why)) => why,
            other => panic!("{come:?}: {other:?}"),
        };
        assert!(malformed(&[2]).contains("unit 2"));
        assert!(malformed(&[1, 4]).contains("function 04"));
        assert!(malformed(&[1, 0x84]).contains("function 84"));
        assert!(malformed(&[1, 3, 2]).contains("2 bytes"));
        let long = [frame(1, &[3, 4, 0, 1, 0, 2]), vec![0]].concat();
        assert!(malformed(&long).contains("behind"));
    }

    #[test]
    fn a_single_bit_that_flips_is_noticed() {
        let whole = frame(1, &[3, 4, 0xAB, 0xCD, 0, 9]);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(judge(1, &TWO, &flipped), Verdict::Wrong(_)), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_harm(come in proptest::collection::vec(any::<u8>(), 0..300)) {
            for ask in [TWO, Ask::WriteOne { address: 1, value: 2 }, Ask::Write { address: 1, registers: vec![2] }] {
                judge(1, &ask, &come);
            }
        }
    }
}
