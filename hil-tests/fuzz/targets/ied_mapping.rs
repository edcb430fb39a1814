//! Mappings of IEDs. What is sound can be shown, and what is shown means the same.
#![no_main]

use gridloop_iec61850::Mapping;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mapping = match Mapping::parse("fuzzed.toml", text) {
        Ok(mapping) => mapping,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let shown = mapping.to_string();
    assert_eq!(Mapping::parse("shown.toml", &shown).as_ref(), Ok(&mapping), "{shown}");
});
