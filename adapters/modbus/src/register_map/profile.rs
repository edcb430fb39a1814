//! Register maps as data: a [`Profile`] is read from TOML and names each [`PointSpec`]'s table, address, type, word
//! order and scale exactly as the device's manual prints them. Errors say where in the file they are and what was
//! expected there.

mod parse;

use crate::registers::{Scale, Unencodable, joined, signed16, signed32, word, words};
use gridloop_device::{PointName, Quality, Unit};
use serde::Deserialize;
use std::time::Duration;

/// What the registers of one kind of device mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The name of the kind of device, for people.
    pub name: String,
    /// Its points, in the order of the file.
    pub points: Vec<PointSpec>,
    /// How a tap changer is moved, if it is one.
    pub tap_pulse: Option<TapPulse>,
    /// How a voltage set point is given, if it takes one.
    pub voltage_setpoint: Option<VoltageSetpoint>,
}

/// One point: a number in one or two registers. Its value is `raw * scale + offset`, in `unit`.
#[derive(Debug, Clone, PartialEq)]
pub struct PointSpec {
    /// Its name in snapshots.
    pub name: PointName,
    /// Which table it is in.
    pub table: Table,
    /// The address of its first register, as it goes over the wire (counted from 0).
    pub address: u16,
    /// Its type.
    pub kind: RegisterType,
    /// Which word of a 32-bit number comes first.
    pub word_order: WordOrder,
    /// What one raw step is worth.
    pub scale: f64,
    /// What raw zero is worth.
    pub offset: f64,
    /// The unit of the value.
    pub unit: Unit,
    /// The bit pattern that means "no value". NaN and infinite floats always do.
    pub sentinel: Option<u32>,
    /// The lowest and highest value that can be true.
    pub valid: Option<(f64, f64)>,
    /// Whether it may be written. Only holding registers can be.
    pub writable: bool,
}

/// The two tables of 16-bit registers that Modbus has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Holding registers: function 3 reads, functions 6 and 16 write.
    Holding,
    /// Input registers: function 4 reads.
    Input,
}

/// How a number is laid out in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegisterType {
    /// Unsigned 16 bit.
    U16,
    /// Two's complement 16 bit.
    I16,
    /// Unsigned 32 bit.
    U32,
    /// Two's complement 32 bit.
    I32,
    /// IEEE 754 binary32.
    F32,
}

impl RegisterType {
    /// How many registers it has.
    #[must_use]
    pub const fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
        }
    }
}

/// The order of the two words of a 32-bit number. Bytes within a word are always high first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordOrder {
    /// The high word is at the lower address, as Modbus itself would have it.
    #[default]
    HighFirst,
    /// The low word is at the lower address.
    LowFirst,
}

/// A tap changer that moves by a relative command: a number of steps written to a register, each write one pulse.
#[derive(Debug, Clone, PartialEq)]
pub struct TapPulse {
    /// The holding register that takes the signed number of steps.
    pub address: u16,
    /// The most steps that one pulse may ask for.
    pub max_step: u16,
    /// The point that holds the tap position.
    pub position: PointName,
    /// The point that holds the lowest position.
    pub lowest: PointName,
    /// The point that holds the highest position.
    pub highest: PointName,
    /// The point that holds the control mode, and the value at which the device takes commands.
    pub remote: Option<(PointName, i32)>,
    /// The point that is above zero as long as the motor has to rest.
    pub motor_pause: Option<PointName>,
    /// How long a pulse may take until the position shows it.
    pub confirm_within: Duration,
}

/// A regulator that takes a voltage.
#[derive(Debug, Clone, PartialEq)]
pub struct VoltageSetpoint {
    /// The point to write.
    pub point: PointName,
    /// The lowest voltage it takes, in V.
    pub min_v: f64,
    /// The highest voltage it takes, in V.
    pub max_v: f64,
}

/// What the registers of a point say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// The device has no value here at present.
    Absent,
    /// A value in the point's unit; [`Quality::OutOfRange`] outside the valid range, else [`Quality::Good`].
    Value(f64, Quality),
}

/// Where a profile is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ProfileError {
    /// The file, as it was named to [`Profile::parse`].
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1 in characters.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Profile {
    /// Reads a profile. `file` is only named in errors.
    ///
    /// # Errors
    /// The first thing in the file that is not as it must be.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        parse::profile(file, text)
    }

    /// The point of this name.
    #[must_use]
    pub fn point(&self, name: &str) -> Option<&PointSpec> {
        self.points.iter().find(|point| &*point.name == name)
    }
}

impl PointSpec {
    /// The address after its last register.
    #[must_use]
    pub fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.kind.registers())
    }

    /// What its registers say. Registers of another number than its type has say nothing.
    #[must_use]
    pub fn decode(&self, registers: &[u16]) -> Reading {
        let Some(bits) = self.bits(registers) else { return Reading::Absent };
        if self.sentinel == Some(bits) {
            return Reading::Absent;
        }
        let raw = match self.kind {
            RegisterType::U16 | RegisterType::U32 => f64::from(bits),
            RegisterType::I16 => f64::from(signed16(words(i64::from(bits))[1])),
            RegisterType::I32 => f64::from(signed32(bits)),
            RegisterType::F32 => f64::from(f32::from_bits(bits)),
        };
        let value = self.scaling().value(raw);
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
    pub fn encode(&self, value: f64) -> Result<Vec<u16>, Unencodable> {
        let scale = self.scaling();
        let [high, low] = match self.kind {
            RegisterType::U16 => [0, word(scale.whole(value, 0, u16::MAX.into())?)],
            RegisterType::I16 => [0, word(scale.whole(value, i16::MIN.into(), i16::MAX.into())?)],
            RegisterType::U32 => words(scale.whole(value, 0, u32::MAX.into())?),
            RegisterType::I32 => words(scale.whole(value, i32::MIN.into(), i32::MAX.into())?),
            RegisterType::F32 => words(single(scale, value)?.to_bits().into()),
        };
        if self.sentinel == Some(joined(high, low)) {
            return Err(Unencodable::Sentinel(value));
        }
        Ok(match (self.kind.registers(), self.word_order) {
            (1, _) => vec![low],
            (_, WordOrder::HighFirst) => vec![high, low],
            (_, WordOrder::LowFirst) => vec![low, high],
        })
    }

    fn bits(&self, registers: &[u16]) -> Option<u32> {
        match (self.kind.registers(), registers, self.word_order) {
            (1, &[only], _) => Some(only.into()),
            (2, &[high, low], WordOrder::HighFirst) | (2, &[low, high], WordOrder::LowFirst) => {
                Some(joined(high, low))
            }
            _ => None,
        }
    }

    fn scaling(&self) -> Scale {
        Scale::new(self.scale, self.offset)
    }
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
