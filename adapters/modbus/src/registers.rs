//! Numbers to registers and back, without wrapping: what SunSpec points and register maps share.

/// Why a number has no place in a register.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unencodable {
    /// NaN or infinite.
    #[error("{0} is not a finite number")]
    NotFinite(f64),
    /// Outside what the type can hold at its scale.
    #[error("{value} is outside {low} to {high}, the range of the register")]
    OutOfRange {
        /// The number asked for.
        value: f64,
        /// The lowest number that the register can hold.
        low: f64,
        /// The highest number that the register can hold.
        high: f64,
    },
    /// The register pattern that stands for this number means "not implemented".
    #[error("the register pattern of {0} means \"not implemented\"")]
    Sentinel(f64),
    /// The device does not state the scale factor that the number needs.
    #[error("its scale factor {0} is not implemented")]
    NoScaleFactor(&'static str),
    /// A type that holds no number.
    #[error("the register holds no number")]
    NotANumber,
}

/// A linear relation between a raw number and a value: `value = raw * factor + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    factor: Factor,
    offset: f64,
}

/// A factor below one is kept as its reciprocal, because dividing by 10 rounds once and multiplying by 0.1 twice.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Factor {
    Times(f64),
    Over(f64),
}

impl Scale {
    pub(crate) const ONE: Self = Self { factor: Factor::Times(1.0), offset: 0.0 };

    pub(crate) fn new(factor: f64, offset: f64) -> Self {
        let factor = if factor.abs() < 1.0 { Factor::Over(factor.recip()) } else { Factor::Times(factor) };
        Self { factor, offset }
    }

    pub(crate) fn power_of_ten(exponent: i8) -> Self {
        let magnitude = 10_f64.powi(i32::from(exponent).abs());
        let factor = if exponent < 0 { Factor::Over(magnitude) } else { Factor::Times(magnitude) };
        Self { factor, offset: 0.0 }
    }

    pub(crate) fn value(self, raw: f64) -> f64 {
        self.offset
            + match self.factor {
                Factor::Times(by) => raw * by,
                Factor::Over(by) => raw / by,
            }
    }

    pub(crate) fn raw(self, value: f64) -> f64 {
        let value = value - self.offset;
        match self.factor {
            Factor::Times(by) => value / by,
            Factor::Over(by) => value * by,
        }
    }

    /// The whole number nearest to `value` on this scale, if it lies within `low..=high`.
    pub(crate) fn whole(self, value: f64, low: i64, high: i64) -> Result<i64, Unencodable> {
        if !value.is_finite() {
            return Err(Unencodable::NotFinite(value));
        }
        let raw = self.raw(value).round();
        if !(float(low)..=float(high)).contains(&raw) {
            let (a, b) = (self.value(float(low)), self.value(float(high)));
            return Err(Unencodable::OutOfRange { value, low: a.min(b), high: a.max(b) });
        }
        #[expect(clippy::cast_possible_truncation, reason = "a whole number between two 32-bit limits")]
        Ok(raw as i64)
    }
}

/// The bounds of 16- and 32-bit types, for which the conversion is exact.
fn float(whole: i64) -> f64 {
    whole as f64
}

/// The 16-bit pattern of a number that fits either signed or unsigned 16 bits.
pub(crate) fn word(whole: i64) -> u16 {
    let [.., high, low] = whole.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// The 32-bit pattern of a number, high word first.
pub(crate) fn words(whole: i64) -> [u16; 2] {
    let [.., a, b, c, d] = whole.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

/// Two registers as one number, high word first.
pub(crate) fn joined(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

/// The bits of an unsigned number read as two's complement.
pub(crate) fn signed16(bits: u16) -> i16 {
    i16::from_be_bytes(bits.to_be_bytes())
}

/// The bits of an unsigned number read as two's complement.
pub(crate) fn signed32(bits: u32) -> i32 {
    i32::from_be_bytes(bits.to_be_bytes())
}
