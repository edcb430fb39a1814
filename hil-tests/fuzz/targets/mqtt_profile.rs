//! Profiles of MQTT equipment: sound, or wrong in words.
#![no_main]

use gridloop_mqtt::Profile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Profile::parse("fuzzed.toml", text) {
        assert!(!error.to_string().is_empty());
    }
});
