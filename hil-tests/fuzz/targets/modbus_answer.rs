//! What a Modbus TCP server answers to one request for registers. Whatever is taken for an answer is one, in every byte.
//! The first byte of the input says whether the transaction is put right, so that answers get past it.
#![no_main]

use gridloop_fuzz::{Answer, ask};
use gridloop_modbus::Table;
use libfuzzer_sys::fuzz_target;

const COUNT: u16 = 4;

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let answer = Answer { bytes: bytes.to_vec(), right_transaction: first & 1 == 0 };
    let table = if first & 2 == 0 { Table::Holding } else { Table::Input };
    let function = if first & 2 == 0 { 3 } else { 4 };
    let (sent, taken) = ask(answer, table, COUNT);
    if let Ok(registers) = taken {
        assert_eq!(registers.len(), usize::from(COUNT));
        assert_eq!(sent.len(), 9 + 2 * usize::from(COUNT), "no more and no less was sent");
        assert_eq!(sent[2..9], [0, 0, 0, 11, 1, function, 8], "the header is that of this answer");
        let expected: Vec<u16> =
            sent[9..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        assert_eq!(registers, expected);
    }
});
