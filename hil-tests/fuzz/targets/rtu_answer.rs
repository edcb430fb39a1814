//! What a device on an RTU line answers to one request for registers, byte for byte. Whatever is taken for an answer is
//! one, with the right unit, function, length and checksum.
#![no_main]

use gridloop_fuzz::ask_rtu;
use gridloop_modbus::Table;
use libfuzzer_sys::fuzz_target;

const COUNT: u16 = 4;

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    // The checksum is put right for some, so that answers get past it.
    let (sent, taken) = ask_rtu(bytes, first & 1 == 0, Table::Holding, COUNT);
    let Ok(registers) = taken else { return };
    assert_eq!(registers.len(), usize::from(COUNT));
    let data = 2 * usize::from(COUNT);
    assert!(sent.len() >= 5 + data, "a whole answer was sent");
    assert_eq!(sent[..3], [1, 3, 8], "the unit, the function and the length are those of this answer");
    let expected: Vec<u16> =
        sent[3..3 + data].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    assert_eq!(registers, expected);
});
