//! From TOML to a [`Profile`]: every key read for itself, then what must hold between the parts.

use super::checks::{Written, check_points, check_power, check_voltage, check_written};
use super::{
    Access, Bound, ByteOrder, IdentityText, PointSpec, PowerCommand, Profile, RegisterType, RegisterWrite,
    Table, TapPulse, VoltageSetpoint, Watchdog, WordOrder, WriteFunction,
};
use crate::session::MOST_READ;
use gridloop_device::{PointName, Unit};
use gridloop_service::{Diagnostics, Document, Field, NumberOrWord, Section, nearest};
use std::time::Duration;

pub(super) const UNITS: [Unit; 11] = [
    Unit::Watt,
    Unit::Var,
    Unit::VoltAmpere,
    Unit::WattHour,
    Unit::Volt,
    Unit::Ampere,
    Unit::Hertz,
    Unit::Celsius,
    Unit::Percent,
    Unit::Second,
    Unit::One,
];

const TABLES: [(&str, Table); 2] = [("holding", Table::Holding), ("input", Table::Input)];

const TYPES: [(&str, RegisterType); 8] = [
    ("u16", RegisterType::U16),
    ("i16", RegisterType::I16),
    ("u32", RegisterType::U32),
    ("i32", RegisterType::I32),
    ("u64", RegisterType::U64),
    ("i64", RegisterType::I64),
    ("f32", RegisterType::F32),
    ("f64", RegisterType::F64),
];

pub(super) fn profile(file: &str, text: &str) -> Result<Profile, Diagnostics> {
    let document = Document::parse(file, text)?;
    let profile = read(&document.root());
    document.finish()?;
    Ok(profile)
}

/// The points of a file: those that could be read, with their tables, and the names of all.
pub(super) struct Points<'a> {
    pub(super) read: Vec<(Section<'a>, PointSpec)>,
    names: Vec<String>,
}

impl Points<'_> {
    /// The point of this name, if there is one that could be read.
    pub(super) fn get(&self, name: &str) -> Option<&PointSpec> {
        self.read.iter().map(|(_, point)| point).find(|point| &*point.name == name)
    }

    /// The name of a point that the file has.
    fn named<'a>(&self, section: &Section<'a>, key: &str, about: &str) -> Field<'a, PointName> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        section.text(key, about).parsed(|name| {
            if names.contains(&name) {
                return Ok(name.into());
            }
            let near = nearest(name, names.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
            Err(format!("there is no point named `{name}`{}", near.unwrap_or_default()))
        })
    }
}

fn read(root: &Section<'_>) -> Profile {
    let name = root.text("name", "The name of the kind of device, for people.").required();
    let max_gap = root.integer("max_gap", "Registers without a point that one read may cover.");
    let max_gap = max_gap.within(0..=i64::from(MOST_READ) - 2).fits().or(0);
    let max_read = root.integer("max_read", "The most registers that one read may ask for.");
    let max_read = max_read.within(4..=i64::from(MOST_READ)).fits().or(MOST_READ);
    let functions = [("single", WriteFunction::Single), ("multiple", WriteFunction::Multiple)];
    let write_function = root
        .text("write_function", "How registers are written: function 6 (single) or 16 (multiple).")
        .choice(&functions)
        .or(WriteFunction::Multiple);
    let identity = root.listed_sections("identity", "Texts by which the device says what it is.");
    let identity = identity.iter().filter_map(|section| read_identity(section, max_read)).collect();

    let mut points = Points { read: Vec::new(), names: Vec::new() };
    for section in root.listed_sections("point", "A number in the device's registers.") {
        let (name, point) = read_point(&section);
        points.names.extend(name);
        points.read.extend(point.map(|point| (section, point)));
    }
    check_points(&points, write_function);

    let commands = root.section("commands", "How the device is commanded.");
    let tap_pulse = read_tap_pulse(&commands, &points);
    let voltage_setpoint = read_voltage(&commands, &points);
    let power = read_power(&commands, &points);
    let points = points.read.into_iter().map(|(_, point)| point).collect();
    Profile { name, max_gap, max_read, write_function, identity, points, tap_pulse, voltage_setpoint, power }
}

fn read_table(section: &Section<'_>) -> Option<Table> {
    section.text("table", "holding (function 3) or input (function 4).").choice(&TABLES).required_option()
}

fn read_address(section: &Section<'_>) -> Option<u16> {
    let address =
        section.integer("address", "The first register, as it goes over the wire (counted from 0).");
    address.within(0..=65_535).fits::<u16>().required_option()
}

fn read_byte_order(section: &Section<'_>) -> ByteOrder {
    let orders = [("high-first", ByteOrder::HighFirst), ("low-first", ByteOrder::LowFirst)];
    section
        .text("byte_order", "Which byte of a register comes first.")
        .choice(&orders)
        .or(ByteOrder::HighFirst)
}

fn read_identity(section: &Section<'_>, max_read: u16) -> Option<IdentityText> {
    let table = read_table(section);
    let address = read_address(section);
    let registers = section.integer("registers", "How many registers the text has.");
    let registers = registers.within(1..=i64::from(max_read)).fits::<u16>().required_option();
    let byte_order = read_byte_order(section);
    let (table, address, registers) = (table?, address?, registers?);
    if u32::from(address) + u32::from(registers) > 65_536 {
        section.error(Some("address"), "a text that ends at register 65535 or before", None);
    }
    Some(IdentityText { table, address, registers, byte_order })
}

/// Reads a point; its name, even when the rest of it cannot be read.
fn read_point(section: &Section<'_>) -> (Option<String>, Option<PointSpec>) {
    let name = section
        .text("name", "Its name in snapshots.")
        .matching(|name| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let sound = !name.is_empty() && name.chars().all(plain);
            sound
                .then_some(())
                .ok_or_else(|| format!("{name:?} is no name of lower-case letters, digits and `_`"))
        })
        .required_option();
    let table = read_table(section);
    let address = read_address(section);
    let kind = section.text("type", "How the number is laid out.").choice(&TYPES).required_option();
    let words = [("high-first", WordOrder::HighFirst), ("low-first", WordOrder::LowFirst)];
    let word_order = section
        .text("word_order", "Which word of a longer number comes first.")
        .choice(&words)
        .or(WordOrder::HighFirst);
    let byte_order = read_byte_order(section);
    let scale = section
        .number("scale", "What one raw step is worth; below zero turns the sign.")
        .matching(|scale| scale.is_normal().then_some(()).ok_or_else(|| format!("{scale} cannot be undone")))
        .or(1.0);
    let offset = section.number("offset", "What raw zero is worth.").or(0.0);
    let units = UNITS.map(|unit| (unit.ucum(), unit));
    let unit = section.text("unit", "The unit of the value.").choice(&units).required_option();
    let sentinel = section.integer("sentinel", "The bit pattern that means \"no value\".").optional();
    let valid = read_range(section, "valid", "The lowest and highest value that can be true.");
    let limits = read_range(section, "limits", "The lowest and highest value that may be written.");
    let bits = read_range(section, "bits", "The lowest and highest bit of a part of the registers.");
    let access = read_access(section);
    let point = name.clone().zip(table).zip(address).zip(kind).zip(unit);
    let point = point.map(|((((name, table), address), kind), unit)| PointSpec {
        name: name.into(),
        table,
        address,
        kind,
        word_order,
        byte_order,
        bits: bits.and_then(|bits| part(section, bits, kind)),
        scale,
        offset,
        unit,
        sentinel: sentinel.and_then(|pattern| bit_pattern(section, pattern, kind)),
        valid,
        access,
        limits,
    });
    (name, point)
}

fn read_access(section: &Section<'_>) -> Access {
    let words = [("read", Access::Read), ("read-write", Access::ReadWrite), ("write", Access::Write)];
    let access = section.text("access", "What may be done with it.").choice(&words).optional();
    let writable = section.boolean("writable", "The older word for access: true is read-write.").optional();
    if access.is_some() && writable.is_some() {
        section.error(Some("writable"), "either `access` or `writable`", None);
    }
    let older = if writable == Some(true) { Access::ReadWrite } else { Access::Read };
    access.unwrap_or(older)
}

fn read_range(section: &Section<'_>, key: &str, about: &str) -> Option<(f64, f64)> {
    let range = section.numbers(key, about).matching(|ends| match ends.as_slice() {
        [low, high] if low <= high => Ok(()),
        _ => Err("this is not [lowest, highest]".to_owned()),
    });
    range.optional().and_then(|ends| Some((*ends.first()?, *ends.last()?)))
}

/// The bits of a part, which must lie within an unsigned number.
fn part(section: &Section<'_>, (low, high): (f64, f64), kind: RegisterType) -> Option<(u8, u8)> {
    let width = f64::from(kind.registers()) * 16.0;
    let unsigned = matches!(kind, RegisterType::U16 | RegisterType::U32 | RegisterType::U64);
    let whole = low.fract() == 0.0 && high.fract() == 0.0;
    if !unsigned || !whole || low < 0.0 || high >= width {
        let expected = format!("whole numbers from 0 to {}, of an unsigned type", width - 1.0);
        section.error(Some("bits"), expected, None);
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, 0 to 63")]
    Some((low as u8, high as u8))
}

/// The sentinel as the type's bit pattern. TOML has no unsigned 64-bit numbers, so one below zero is taken as two's
/// complement.
fn bit_pattern(section: &Section<'_>, given: i64, kind: RegisterType) -> Option<u64> {
    let bits = u32::from(kind.registers()) * 16;
    if matches!(kind, RegisterType::F32 | RegisterType::F64) {
        section.error(Some("sentinel"), "none: a float that is NaN always means \"no value\"", None);
        return None;
    }
    let highest = if bits == 64 { i64::MAX } else { (1 << bits) - 1 };
    if !(i64::MIN >> (64 - bits)..=highest).contains(&given) {
        let expected = format!("a bit pattern of {bits} bits, such as {:#X}", 1_u64 << (bits - 1));
        section.error(Some("sentinel"), expected, None);
        return None;
    }
    Some(given.cast_unsigned() & (u64::MAX >> (64 - bits)))
}

fn read_tap_pulse(commands: &Section<'_>, points: &Points<'_>) -> Option<TapPulse> {
    let section = commands.section("tap_pulse", "A tap changer that takes relative steps.");
    if !section.is_present() {
        return None;
    }
    let address = read_address(&section);
    let max_step = section.integer("max_step", "The most steps that one pulse may ask for.");
    let max_step = max_step.within(1..=100).fits::<u16>().required_option();
    let position = points.named(&section, "position", "The point of the tap position.").required_option();
    let lowest = points.named(&section, "lowest", "The point of the lowest position.").required_option();
    let highest = points.named(&section, "highest", "The point of the highest position.").required_option();
    let mode = section.section("remote", "The mode in which it takes commands.");
    let remote = if mode.is_present() {
        let point = points.named(&mode, "point", "The point of the control mode.").required_option();
        let value = mode.integer("value", "Its value then.").fits::<i32>().required_option();
        point.zip(value)
    } else {
        None
    };
    let about = "The point that is above zero while the motor rests.";
    let motor_pause = points.named(&section, "motor_pause", about).optional();
    let confirm_within = section
        .duration_s("confirm_within_s", "How long a pulse may take until the position shows it.")
        .within(0.001..=3600.0)
        .required_option();
    Some(TapPulse {
        address: address?,
        max_step: max_step?,
        position: position?,
        lowest: lowest?,
        highest: highest?,
        remote,
        motor_pause,
        confirm_within: confirm_within?,
    })
}

fn read_voltage(commands: &Section<'_>, points: &Points<'_>) -> Option<VoltageSetpoint> {
    let section = commands.section("voltage_setpoint", "A regulator that takes a voltage.");
    if !section.is_present() {
        return None;
    }
    let name = points.named(&section, "point", "The point to write, in V.").required_option()?;
    let point = points.get(&name)?;
    let (min_v, max_v) = check_voltage(&section, point)?;
    Some(VoltageSetpoint { point: name, min_v, max_v })
}

fn read_power(commands: &Section<'_>, points: &Points<'_>) -> Option<PowerCommand> {
    let section = commands.section("power", "A device that takes real and reactive power.");
    if !section.is_present() {
        return None;
    }
    let about = "The point that takes the real power, in W or %.";
    let real_power = points.named(&section, "real_power", about).required_option();
    let about = "The point that takes the reactive power, in V.A{r} or %.";
    let reactive_power = points.named(&section, "reactive_power", about).optional();
    let bound = |key: &str, about: &str| {
        let names: Vec<&str> = points.names.iter().map(String::as_str).collect();
        let field = section.number_or_word(key, &names, about);
        (key.to_owned(), field)
    };
    let fixed_or_point = |value: NumberOrWord| match value {
        NumberOrWord::Number(number) => Bound::Fixed(number),
        NumberOrWord::Word(name) => Bound::Point(name.into()),
    };
    let (_, rated) = bound("rated_power", "What 100 % are, in W: a number or a point.");
    let rated = rated.optional().map(fixed_or_point);
    let (_, min_w) =
        bound("min_power", "The lowest real power in W, below zero for charging: a number or a point.");
    let min_w = min_w.required_option().map(fixed_or_point);
    let (_, max_w) = bound("max_power", "The highest real power in W: a number or a point.");
    let max_w = max_w.required_option().map(fixed_or_point);
    let (_, max_var) = bound("max_reactive_power", "The largest reactive power either way in var.");
    let max_var = max_var.optional().map(fixed_or_point);
    let before = read_writes(&section, "before", "What is written before the power.", points);
    let after = read_writes(&section, "after", "What is written after the power.", points);
    let release = read_writes(&section, "release", "What gives control back to the device.", points);
    if release.is_empty() && section.listed_sections("release", "").is_empty() {
        let expected =
            "release = [{ point = \"...\", value = ... }]: how control is given back to the device";
        section.error(Some("release"), expected, None);
    }
    let tells = |write: &RegisterWrite| points.get(&write.point).is_none_or(|point| point.access.reads());
    if !release.is_empty() && !release.iter().any(tells) {
        let expected = "at least one point with access = \"read-write\", by which a release can be confirmed";
        section.error(Some("release"), expected, None);
    }
    let watchdog = read_watchdog(&section, points);
    let command = PowerCommand {
        real_power: real_power?,
        reactive_power,
        rated,
        min_w: min_w?,
        max_w: max_w?,
        max_var,
        before,
        after,
        release,
        watchdog,
    };
    check_power(&section, &command, points);
    Some(command)
}

fn read_watchdog(power: &Section<'_>, points: &Points<'_>) -> Option<Watchdog> {
    let section =
        power.section("watchdog", "The device's own timer, which ends a command that is not renewed.");
    if !section.is_present() {
        return None;
    }
    let time = points.named(&section, "time", "The point that takes the time, in s.").required_option();
    let after = section
        .duration_s("after_s", "The time; gridloop renews a command after a third of it.")
        .within(1.0..=86_400.0)
        .required_option();
    let there = section.section("fallback", "Where the device goes then.");
    let fallback = if there.is_present() { read_write(&there, points) } else { None };
    let is_read = |write: &RegisterWrite| points.get(&write.point).is_none_or(|point| point.access.reads());
    if fallback.as_ref().is_some_and(|write| !is_read(write)) {
        there.error(
            Some("point"),
            "a point with access = \"read-write\": what is written is read back",
            None,
        );
    }
    let about = "The number for `time` at which the device waits for ever, for a safe state of a power.";
    let never = section.number("never", about).optional();
    let (time, after) = (time?, after?);
    let wanted = RegisterWrite { point: time.clone(), value: Duration::as_secs_f64(&after) };
    check_written(&section, ("time", "after_s"), &wanted, points, Written::Seconds);
    if let Some(value) = never {
        let wanted = RegisterWrite { point: time.clone(), value };
        check_written(&section, ("time", "never"), &wanted, points, Written::Seconds);
    }
    Some(Watchdog { time, after, never, fallback })
}

fn read_writes(section: &Section<'_>, key: &str, about: &str, points: &Points<'_>) -> Vec<RegisterWrite> {
    let listed = section.listed_sections(key, about);
    listed.iter().filter_map(|write| read_write(write, points)).collect()
}

fn read_write(section: &Section<'_>, points: &Points<'_>) -> Option<RegisterWrite> {
    let point = points.named(section, "point", "The point to write.").required_option();
    let value = section.number("value", "What to write, in the point's unit.").required_option();
    let write = RegisterWrite { point: point?, value: value? };
    check_written(section, ("point", "value"), &write, points, Written::Any);
    Some(write)
}
