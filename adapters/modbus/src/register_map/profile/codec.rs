//! Registers of a [`PointSpec`] to a [`Reading`] and back.

use super::{ByteOrder, PointSpec, Reading, RegisterType, WordOrder};
use crate::registers::{Scale, Unencodable, signed16, signed32};
use gridloop_device::Quality;

/// Whole numbers beyond this have neighbours that a 64-bit float cannot tell from them.
const EXACT: i64 = 1 << 53;

impl PointSpec {
    /// The address after its last register.
    #[must_use]
    pub fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.kind.registers())
    }

    /// The lowest and highest value that may be written: `limits`, else `valid`.
    #[must_use]
    pub fn writable_range(&self) -> Option<(f64, f64)> {
        self.limits.or(self.valid)
    }

    /// What its registers say. Registers of another number than its type has say nothing.
    #[must_use]
    pub fn decode(&self, registers: &[u16]) -> Reading {
        let Some(bits) = self.pattern(registers) else { return Reading::Absent };
        if self.sentinel == Some(bits) {
            return Reading::Absent;
        }
        let value = self.scaling().value(self.number(bits));
        if !value.is_finite() {
            return Reading::Absent;
        }
        let inside = self.valid.is_none_or(|(low, high)| (low..=high).contains(&value));
        Reading::Value(value, if inside { Quality::Good } else { Quality::OutOfRange })
    }

    /// The registers that hold the number nearest to `value`.
    ///
    /// # Errors
    /// When there is none: not finite, out of the type's range, or the sentinel. It never wraps and never clamps.
    /// Whole numbers of 64 bits are encoded as far as a 64-bit float tells them apart, 2^53 either way. A part of a
    /// register cannot be written.
    pub fn encode(&self, value: f64) -> Result<Vec<u16>, Unencodable> {
        if self.bits.is_some() {
            return Err(Unencodable::NotANumber);
        }
        let scale = self.scaling();
        let whole = |low: i64, high: i64| Ok(scale.whole(value, low, high)?.cast_unsigned());
        let bits = match self.kind {
            RegisterType::U16 => whole(0, u16::MAX.into())?,
            RegisterType::I16 => whole(i16::MIN.into(), i16::MAX.into())?,
            RegisterType::U32 => whole(0, u32::MAX.into())?,
            RegisterType::I32 => whole(i32::MIN.into(), i32::MAX.into())?,
            RegisterType::U64 => whole(0, EXACT)?,
            RegisterType::I64 => whole(-EXACT, EXACT)?,
            RegisterType::F32 => single(scale, value)?.to_bits().into(),
            RegisterType::F64 => double(scale, value)?.to_bits(),
        } & self.mask();
        if self.sentinel == Some(bits) {
            return Err(Unencodable::Sentinel(value));
        }
        let [a, b, c, d] = [48, 32, 16, 0].map(|shift| low_word(bits >> shift));
        let mut registers = match self.kind.registers() {
            1 => vec![d],
            2 => vec![c, d],
            _ => vec![a, b, c, d],
        };
        self.reorder(&mut registers);
        Ok(registers)
    }

    /// The bits that its type has.
    pub(super) fn mask(&self) -> u64 {
        u64::MAX >> (64 - 16 * u32::from(self.kind.registers()))
    }

    /// The bit pattern of its registers, high word first.
    fn pattern(&self, registers: &[u16]) -> Option<u64> {
        if registers.len() != usize::from(self.kind.registers()) {
            return None;
        }
        let mut ordered = registers.to_vec();
        self.reorder(&mut ordered);
        Some(ordered.into_iter().fold(0, |bits, word| bits << 16 | u64::from(word)))
    }

    /// Puts words and bytes from the device's order into high first, and back.
    fn reorder(&self, registers: &mut [u16]) {
        if self.byte_order == ByteOrder::LowFirst {
            registers.iter_mut().for_each(|register| *register = register.swap_bytes());
        }
        if self.word_order == WordOrder::LowFirst {
            registers.reverse();
        }
    }

    /// The number that a pattern stands for, before scaling.
    fn number(&self, bits: u64) -> f64 {
        if let Some((low, high)) = self.bits {
            return (bits >> low & (u64::MAX >> (63 - u32::from(high - low)))) as f64;
        }
        let [.., high, low] = [16, 0].map(|shift| low_word(bits >> shift));
        let long = u32::from(high) << 16 | u32::from(low);
        match self.kind {
            RegisterType::U16 | RegisterType::U32 | RegisterType::U64 => bits as f64,
            RegisterType::I16 => signed16(low).into(),
            RegisterType::I32 => signed32(long).into(),
            RegisterType::I64 => bits.cast_signed() as f64,
            RegisterType::F32 => f32::from_bits(long).into(),
            RegisterType::F64 => f64::from_bits(bits),
        }
    }

    fn scaling(&self) -> Scale {
        Scale::new(self.scale, self.offset)
    }
}

fn low_word(bits: u64) -> u16 {
    let [.., high, low] = bits.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// The 32-bit float nearest to `value` on this scale.
fn single(scale: Scale, value: f64) -> Result<f32, Unencodable> {
    if !value.is_finite() {
        return Err(Unencodable::NotFinite(value));
    }
    #[expect(clippy::cast_possible_truncation, reason = "an overflow becomes infinite and is refused below")]
    let single = scale.raw(value) as f32;
    if single.is_finite() {
        return Ok(single);
    }
    let (a, b) = (scale.value(f32::MIN.into()), scale.value(f32::MAX.into()));
    Err(Unencodable::OutOfRange { value, low: a.min(b), high: a.max(b) })
}

/// The raw number of `value` on this scale.
fn double(scale: Scale, value: f64) -> Result<f64, Unencodable> {
    if !value.is_finite() {
        return Err(Unencodable::NotFinite(value));
    }
    let raw = scale.raw(value);
    if raw.is_finite() {
        return Ok(raw);
    }
    let (a, b) = (scale.value(f64::MIN), scale.value(f64::MAX));
    Err(Unencodable::OutOfRange { value, low: a.min(b), high: a.max(b) })
}
