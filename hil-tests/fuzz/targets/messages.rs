//! Bodies from the bus: a message that is accepted and can be sent is accepted again, and is the same.
#![no_main]

use gridloop_messages::{Decoded, Timestamp, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let now = Timestamp::parse("2026-06-21T12:00:00.000Z").expect("a time");
    let Ok(Decoded::Message(message)) = decode(body, now) else { return };
    if let Ok(sent) = message.encode() {
        let again = decode(&sent, now).expect("what is sent is accepted");
        assert_eq!(again, Decoded::Message(message));
    }
});
