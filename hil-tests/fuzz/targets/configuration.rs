//! Configurations, read as far as their devices: sound or not, every error has a place and words. An input that names
//! files is passed over: they are the operator's, and some never end.
#![no_main]

use gridloop_gateway::read_devices;
use gridloop_service::Document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let document = match Document::parse("fuzzed.toml", text) {
        Ok(document) => document,
        Err(errors) => return assert!(!errors.is_empty() && !errors.to_string().is_empty()),
    };
    if text.contains('/') {
        return;
    }
    let devices = read_devices(&document.root());
    match document.finish() {
        Ok(()) => assert!(devices.iter().all(|device| !device.name.is_empty())),
        Err(errors) => assert!(!errors.is_empty() && !errors.to_string().is_empty()),
    }
});
