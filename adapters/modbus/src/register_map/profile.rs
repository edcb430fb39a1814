//! Register maps as data: a [`Profile`] is read from TOML and names each [`PointSpec`]'s table, address, type, order
//! of words and bytes and scale exactly as the device's manual prints them, and what it takes to command the device
//! ([`PowerCommand`], [`TapPulse`], [`VoltageSetpoint`]). All errors of a file are told at once, each with its place
//! and what was expected there.

mod checks;
mod codec;
mod parse;

use gridloop_device::{PointName, Quality, Unit};
use gridloop_service::Diagnostics;
use std::time::Duration;

/// What the registers of one kind of device mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The name of the kind of device, for people.
    pub name: String,
    /// How many registers without a point one read may cover to save a request. 0 for devices that refuse a read of
    /// registers they do not have.
    pub max_gap: u16,
    /// The most registers that one read may ask for, 1 to 125.
    pub max_read: u16,
    /// How registers are written.
    pub write_function: WriteFunction,
    /// Texts by which the device says what it is.
    pub identity: Vec<IdentityText>,
    /// Its points, in the order of the file.
    pub points: Vec<PointSpec>,
    /// How a tap changer is moved, if it is one.
    pub tap_pulse: Option<TapPulse>,
    /// How a voltage set point is given, if it takes one.
    pub voltage_setpoint: Option<VoltageSetpoint>,
    /// How power is commanded, if it can be.
    pub power: Option<PowerCommand>,
}

/// One point: a number in one to four registers. Its value is `raw * scale + offset`, in `unit`.
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
    /// Which word of a longer number comes first.
    pub word_order: WordOrder,
    /// Which byte of a register comes first.
    pub byte_order: ByteOrder,
    /// The lowest and the highest bit that belong to the point, counted from 0, where it is a part of its registers.
    pub bits: Option<(u8, u8)>,
    /// What one raw step is worth.
    pub scale: f64,
    /// What raw zero is worth.
    pub offset: f64,
    /// The unit of the value.
    pub unit: Unit,
    /// The bit pattern that means "no value". NaN and infinite floats always do.
    pub sentinel: Option<u64>,
    /// The lowest and highest value that can be true.
    pub valid: Option<(f64, f64)>,
    /// What may be done with it. Only holding registers can be written.
    pub access: Access,
    /// The lowest and highest value that may be written; [`PointSpec::writable_range`] falls back to `valid`.
    pub limits: Option<(f64, f64)>,
}

/// The two tables of 16-bit registers that Modbus has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Holding registers: function 3 reads, functions 6 and 16 write.
    Holding,
    /// Input registers: function 4 reads.
    Input,
}

/// What may be done with a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// It is read only.
    #[default]
    Read,
    /// It is read and may be written.
    ReadWrite,
    /// It may be written, and reading it says nothing.
    Write,
}

impl Access {
    /// Whether it may be read.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether it may be written.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::ReadWrite | Self::Write)
    }
}

/// How holding registers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteFunction {
    /// Function 6: one register a request.
    Single,
    /// Function 16: any number of registers.
    #[default]
    Multiple,
}

/// How a number is laid out in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterType {
    /// Unsigned 16 bit.
    U16,
    /// Two's complement 16 bit.
    I16,
    /// Unsigned 32 bit.
    U32,
    /// Two's complement 32 bit.
    I32,
    /// Unsigned 64 bit.
    U64,
    /// Two's complement 64 bit.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl RegisterType {
    /// How many registers it has.
    #[must_use]
    pub const fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
        }
    }
}

/// The order of the words of a number of several registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WordOrder {
    /// The high word is at the lower address, as Modbus itself would have it.
    #[default]
    HighFirst,
    /// The low word is at the lower address.
    LowFirst,
}

/// The order of the two bytes of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// The high byte comes first, as Modbus demands.
    #[default]
    HighFirst,
    /// The low byte comes first.
    LowFirst,
}

/// A text in registers, two characters each, padded with NUL or blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityText {
    /// Which table it is in.
    pub table: Table,
    /// The address of its first register.
    pub address: u16,
    /// How many registers it has.
    pub registers: u16,
    /// Which character of a register comes first.
    pub byte_order: ByteOrder,
}

/// How a device is told its power. A command writes, in this order: `before`, the fallback value and the time of the
/// watchdog, real power, reactive power, `after`.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerCommand {
    /// The point that takes the real power, in W or in % of `rated`.
    pub real_power: PointName,
    /// The point that takes the reactive power, in var or in % of `rated`.
    pub reactive_power: Option<PointName>,
    /// What 100 % are, in W and var.
    pub rated: Option<Bound>,
    /// The lowest real power in W, positive towards the grid: below zero for a device that takes power.
    pub min_w: Bound,
    /// The highest real power in W.
    pub max_w: Bound,
    /// The largest reactive power either way, in var. Without it none can be set.
    pub max_var: Option<Bound>,
    /// What is written before the power, such as the mode in which the device takes commands.
    pub before: Vec<RegisterWrite>,
    /// What is written after the power, such as a register that puts it in force.
    pub after: Vec<RegisterWrite>,
    /// What gives control back to the device.
    pub release: Vec<RegisterWrite>,
    /// What the device itself does when commands cease, if it can.
    pub watchdog: Option<Watchdog>,
}

/// A limit: a number of the profile, or what a point of the device says.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// This number.
    Fixed(f64),
    /// What this point holds.
    Point(PointName),
}

/// A value for a point, in the point's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterWrite {
    /// The point.
    pub point: PointName,
    /// What to write.
    pub value: f64,
}

/// The timer of a device that ends a command which is not renewed. Writing the command again starts it again.
#[derive(Debug, Clone, PartialEq)]
pub struct Watchdog {
    /// The point that takes the time, in s.
    pub time: PointName,
    /// The time.
    pub after: Duration,
    /// The number for `time` at which the device waits for ever, if it has one.
    pub never: Option<f64>,
    /// Where the device goes then, if it can be told; without it, it drops the command.
    pub fallback: Option<RegisterWrite>,
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

impl Profile {
    /// Reads a profile. `file` is only named in errors.
    ///
    /// # Errors
    /// Everything in the file that is not as it must be, in the order of the file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        parse::profile(file, text)
    }

    /// The point of this name.
    #[must_use]
    pub fn point(&self, name: &str) -> Option<&PointSpec> {
        self.points.iter().find(|point| &*point.name == name)
    }
}
