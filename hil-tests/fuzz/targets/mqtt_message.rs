//! Messages of the MQTT profile `gridloop`: the first byte chooses the topic, the rest is the payload.
#![no_main]

use gridloop_mqtt::check_message;
use libfuzzer_sys::fuzz_target;

const LEVELS: [&str; 5] = ["about", "status", "telemetry", "cmd", "ack"];

fuzz_target!(|input: &[u8]| {
    let Some((first, payload)) = input.split_first() else { return };
    let level = LEVELS[usize::from(*first) % LEVELS.len()];
    if let Err(flaw) = check_message(level, payload) {
        assert!(!flaw.is_empty());
    }
});
