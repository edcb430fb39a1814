//! Descriptions of IEDs in SCL. Whatever is in them, a mapping that is suggested can be read.
#![no_main]

use gridloop_iec61850::Mapping;
use gridloop_iec61850::scl::Scl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(scl) = Scl::parse(text) else { return };
    for ied in &scl.ieds {
        let shown = ied.mapping(None).to_string();
        assert!(Mapping::parse("suggested.toml", &shown).is_ok(), "{shown}");
    }
});
