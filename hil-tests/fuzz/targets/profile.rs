//! Register-map profiles, and registers read by them: text, a zero byte, registers. What is decoded is finite, and what
//! a value is encoded to means that value.
#![no_main]

use gridloop_fuzz::{registers, text_and_rest};
use gridloop_modbus::{Profile, Reading};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (text, rest) = text_and_rest(input);
    let Ok(profile) = Profile::parse("profile.toml", &text) else { return };
    let registers = registers(rest);
    for point in &profile.points {
        let count = usize::from(point.kind.registers());
        for window in registers.windows(count) {
            let Reading::Value(value, _) = point.decode(window) else { continue };
            assert!(value.is_finite(), "{point:?} of {window:?}");
            if let Ok(encoded) = point.encode(value) {
                assert_eq!(encoded.len(), count);
                assert!(matches!(point.decode(&encoded), Reading::Value(..)), "{point:?} of {encoded:?}");
            }
        }
    }
});
