//! The framing of Modbus TCP and of RTU, and the four functions, from the server's side, as pure functions over bytes.

use crate::register_map::Table;
use crate::session::rtu;

/// Bytes before the PDU: transaction, protocol, length, unit.
pub(super) const HEADER: usize = 7;

/// The longest PDU that Modbus allows.
const MAX_PDU: usize = 253;

/// The most registers that one read may ask for.
const MAX_READ: u16 = 125;

/// What stands behind a server: registers.
pub(super) trait Registers: Send + 'static {
    /// The contents of `count` registers (1 to 125) from `address` on.
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception>;

    /// Writes holding registers from `address` on: all of them or none.
    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception>;
}

/// The exceptions that a simulated device answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exception {
    IllegalFunction = 0x01,
    IllegalAddress = 0x02,
    IllegalValue = 0x03,
    DeviceFailure = 0x04,
    Busy = 0x06,
    NobodyBehindGateway = 0x0B,
}

/// How frames look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A header with transaction and length.
    Tcp,
    /// Nothing but the unit, and a check at the end.
    Rtu,
}

/// A request as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) framing: Framing,
    /// 0 on RTU, which has none.
    pub(super) transaction: u16,
    pub(super) unit: u8,
    pub(super) pdu: Vec<u8>,
}

/// The peer does not speak Modbus TCP; there is no way back in step with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotModbus;

/// What has come from a peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Request(Request),
    /// No whole request yet.
    Nothing,
}

/// Takes the first whole request off `buffer`. `silent`: nothing has come for a while, which ends a frame of RTU.
pub(super) fn take_request(framing: Framing, buffer: &mut Vec<u8>, silent: bool) -> Result<Taken, NotModbus> {
    match framing {
        Framing::Tcp => take_tcp(buffer),
        Framing::Rtu => Ok(take_rtu(buffer, silent)),
    }
}

fn take_tcp(buffer: &mut Vec<u8>) -> Result<Taken, NotModbus> {
    let &[t0, t1, p0, p1, l0, l1, unit, ..] = buffer.as_slice() else { return Ok(Taken::Nothing) };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if (p0, p1) != (0, 0) || !(2..=MAX_PDU + 1).contains(&length) {
        return Err(NotModbus);
    }
    let end = HEADER - 1 + length;
    let Some(pdu) = buffer.get(HEADER..end).map(<[u8]>::to_vec) else { return Ok(Taken::Nothing) };
    buffer.drain(..end);
    let transaction = u16::from_be_bytes([t0, t1]);
    Ok(Taken::Request(Request { framing: Framing::Tcp, transaction, unit, pdu }))
}

/// A frame ends where its function says, or else with the silence behind it. Whatever is no frame by then is dropped:
/// noise, or what others on the line said to each other.
fn take_rtu(buffer: &mut Vec<u8>, silent: bool) -> Taken {
    let length = match buffer.as_slice() {
        [_, 1..=6, ..] => Some(8),
        [_, 15 | 16, _, _, _, _, bytes, ..] => Some(9 + usize::from(*bytes)),
        _ => None,
    };
    let whole = |length: &usize| buffer.get(..*length).is_some_and(rtu::is_sound);
    let as_it_is = Some(buffer.len()).filter(|length| silent && *length >= 4);
    let found = length.filter(whole).or(as_it_is.filter(whole));
    let Some(length) = found else {
        if silent || buffer.len() > rtu::MAX_FRAME {
            buffer.clear();
        }
        return Taken::Nothing;
    };
    let frame: Vec<u8> = buffer.drain(..length).collect();
    Taken::Request(Request {
        framing: Framing::Rtu,
        transaction: 0,
        unit: frame[0],
        pdu: frame[1..length - 2].to_vec(),
    })
}

impl Request {
    /// A whole frame around a PDU, framed as the request was.
    pub(super) fn frame(&self, transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
        match self.framing {
            Framing::Tcp => frame(transaction, unit, pdu),
            Framing::Rtu => rtu::frame(unit, pdu),
        }
    }
}

/// A whole frame of Modbus TCP around a PDU.
pub(super) fn frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX);
    let [t0, t1] = transaction.to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    [&[t0, t1, 0, 0, l0, l1, unit], pdu].concat()
}

/// Carries a request out and gives the PDU of the reply.
pub(super) fn respond(pdu: &[u8], registers: &mut dyn Registers) -> Vec<u8> {
    let function = pdu.first().copied().unwrap_or(0);
    carry_out(pdu, registers).unwrap_or_else(|exception| exception_pdu(function, exception as u8))
}

/// The PDU that refuses `function`.
pub(super) fn exception_pdu(function: u8, code: u8) -> Vec<u8> {
    vec![function | 0x80, code]
}

fn carry_out(pdu: &[u8], registers: &mut dyn Registers) -> Result<Vec<u8>, Exception> {
    let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    match *pdu {
        [function @ (3 | 4), a0, a1, c0, c1] => {
            let table = if function == 3 { Table::Holding } else { Table::Input };
            let (address, count) = (word(a0, a1), word(c0, c1));
            check_range(address, count, MAX_READ)?;
            let values = registers.read(table, address, count)?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
            let length = u8::try_from(bytes.len()).map_err(|_| Exception::DeviceFailure)?;
            Ok([&[function, length], bytes.as_slice()].concat())
        }
        [6, a0, a1, v0, v1] => {
            registers.write(word(a0, a1), &[word(v0, v1)])?;
            Ok(pdu.to_vec())
        }
        [16, a0, a1, c0, c1, length, ref bytes @ ..] => {
            let (address, count) = (word(a0, a1), word(c0, c1));
            check_range(address, count, MAX_READ - 2)?;
            let stated = usize::from(length);
            if stated != bytes.len() || stated != usize::from(count) * 2 {
                return Err(Exception::IllegalValue);
            }
            let values: Vec<u16> = bytes.chunks_exact(2).map(|pair| word(pair[0], pair[1])).collect();
            registers.write(address, &values)?;
            Ok(vec![16, a0, a1, c0, c1])
        }
        [3 | 4 | 6 | 16, ..] => Err(Exception::IllegalValue),
        _ => Err(Exception::IllegalFunction),
    }
}

fn check_range(address: u16, count: u16, most: u16) -> Result<(), Exception> {
    if !(1..=most).contains(&count) {
        return Err(Exception::IllegalValue);
    }
    address.checked_add(count - 1).map(|_| ()).ok_or(Exception::IllegalAddress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sixteen registers that hold what was written.
    struct Memory([u16; 16]);

    impl Registers for Memory {
        fn read(&mut self, _: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
            let (from, to) = (usize::from(address), usize::from(address) + usize::from(count));
            self.0.get(from..to).map(<[u16]>::to_vec).ok_or(Exception::IllegalAddress)
        }

        fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
            let from = usize::from(address);
            let place = self.0.get_mut(from..from + values.len()).ok_or(Exception::IllegalAddress)?;
            place.copy_from_slice(values);
            Ok(())
        }
    }

    #[test]
    fn the_examples_of_the_modbus_specification_come_out_byte_by_byte() {
        let mut memory = Memory([0; 16]);
        assert_eq!(respond(&[6, 0, 1, 0, 3], &mut memory), [6, 0, 1, 0, 3]);
        let write = [16, 0, 1, 0, 2, 4, 0, 10, 1, 2];
        assert_eq!(respond(&write, &mut memory), [16, 0, 1, 0, 2]);
        assert_eq!(respond(&[3, 0, 1, 0, 2], &mut memory), [3, 4, 0, 10, 1, 2]);
        assert_eq!(frame(0x1501, 0xFF, &[3, 2, 0, 5]), [0x15, 0x01, 0, 0, 0, 5, 0xFF, 3, 2, 0, 5]);
    }

    #[test]
    fn requests_that_cannot_be_carried_out_get_the_exception_that_says_why() {
        let cases: [(&[u8], u8); 9] = [
            (&[1, 0, 0, 0, 1], 1),
            (&[0x2B, 14, 1, 0], 1),
            (&[3, 0, 0, 0, 0], 3),
            (&[3, 0, 0, 0, 126], 3),
            (&[3, 0, 0, 0], 3),
            (&[3, 0xFF, 0xFF, 0, 2], 2),
            (&[3, 0, 16, 0, 1], 2),
            (&[16, 0, 0, 0, 2, 4, 0, 1], 3),
            (&[16, 0, 0, 0, 2, 3, 0, 1, 0], 3),
        ];
        for (pdu, code) in cases {
            assert_eq!(respond(pdu, &mut Memory([0; 16])), [pdu[0] | 0x80, code], "{pdu:?}");
        }
    }

    fn taken(framing: Framing, buffer: &mut Vec<u8>, silent: bool) -> Option<Request> {
        match take_request(framing, buffer, silent).unwrap() {
            Taken::Request(request) => Some(request),
            Taken::Nothing => None,
        }
    }

    #[test]
    fn requests_are_taken_whole_and_in_order() {
        let mut buffer = [frame(7, 1, &[3, 0, 0, 0, 1]), frame(8, 1, &[4, 0, 0, 0, 1])].concat();
        let tail = buffer.split_off(15);
        assert_eq!(taken(Framing::Tcp, &mut buffer, false).unwrap().transaction, 7);
        assert_eq!(taken(Framing::Tcp, &mut buffer, false), None);
        buffer.extend(tail);
        assert_eq!(taken(Framing::Tcp, &mut buffer, false).unwrap().transaction, 8);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_frame_of_rtu_ends_by_its_function_or_by_silence() {
        for pdu in [&[3, 0, 1, 0, 2][..], &[16, 0, 1, 0, 1, 2, 0, 9]] {
            let mut buffer = [rtu::frame(5, pdu), vec![5]].concat();
            assert_eq!(taken(Framing::Rtu, &mut buffer, false).unwrap().pdu, pdu);
            assert_eq!(buffer, [5]);
        }
        let mut unknown = rtu::frame(5, &[0x2B, 14, 1, 0]);
        assert_eq!(taken(Framing::Rtu, &mut unknown, false), None);
        assert_eq!(taken(Framing::Rtu, &mut unknown, true).unwrap().pdu, [0x2B, 14, 1, 0]);
    }

    #[test]
    fn noise_on_a_line_is_dropped_by_the_silence_behind_it() {
        let mut bent = rtu::frame(5, &[3, 0, 1, 0, 2]);
        bent[3] ^= 1;
        assert_eq!(taken(Framing::Rtu, &mut bent, false), None);
        assert_eq!(taken(Framing::Rtu, &mut bent, true), None);
        assert!(bent.is_empty());
        let mut flood = vec![0xA5; rtu::MAX_FRAME + 1];
        assert_eq!(taken(Framing::Rtu, &mut flood, false), None);
        assert!(flood.is_empty());
    }

    #[test]
    fn what_is_not_modbus_is_told_from_what_is_not_yet_whole() {
        for (bytes, answer) in [
            (vec![0, 1, 0, 0, 0, 6], Ok(Taken::Nothing)),
            (vec![0, 1, 0, 1, 0, 6, 1], Err(NotModbus)),
            (vec![0, 1, 0, 0, 0, 1, 1], Err(NotModbus)),
            (vec![0, 1, 0, 0, 0, 255, 1], Err(NotModbus)),
        ] {
            assert_eq!(take_request(Framing::Tcp, &mut bytes.clone(), false), answer, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut memory = Memory([0; 16]);
            for (framing, silent) in [(Framing::Tcp, false), (Framing::Rtu, false), (Framing::Rtu, true)] {
                let mut buffer = bytes.clone();
                while let Ok(Taken::Request(request)) = take_request(framing, &mut buffer, silent) {
                    let reply = respond(&request.pdu, &mut memory);
                    prop_assert!((2..=MAX_PDU).contains(&reply.len()));
                }
            }
        }

        #[test]
        fn any_pdu_gets_an_answer(pdu in proptest::collection::vec(any::<u8>(), 1..=MAX_PDU)) {
            let reply = respond(&pdu, &mut Memory([0; 16]));
            prop_assert_eq!(reply[0] & 0x7F, pdu[0] & 0x7F);
        }
    }
}
