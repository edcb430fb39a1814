//! What must hold between the parts of a profile: no register that means two things, no unit that contradicts a name,
//! no command that cannot be written or read back.

use super::parse::{Points, UNITS};
use super::{Access, Bound, PointSpec, PowerCommand, Reading, RegisterWrite, Table, WriteFunction};
use gridloop_device::{Unit, point};
use gridloop_service::Section;

/// Names that mean the same for every device, and the units they have.
const KNOWN: [(&str, Unit); 12] = [
    (point::REAL_POWER, Unit::Watt),
    (point::REACTIVE_POWER, Unit::Var),
    (point::VOLTAGE, Unit::Volt),
    (point::FREQUENCY, Unit::Hertz),
    (point::TAP_POSITION, Unit::One),
    (point::STATE_OF_CHARGE, Unit::Percent),
    ("apparent_power", Unit::VoltAmpere),
    ("current", Unit::Ampere),
    ("energy", Unit::WattHour),
    ("dc_power", Unit::Watt),
    ("dc_voltage", Unit::Volt),
    ("dc_current", Unit::Ampere),
];

/// What a written point has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Of any unit.
    Any,
    /// A time.
    Seconds,
}

/// Checks each point by itself and against those before it.
pub(super) fn check_points(points: &Points<'_>, function: WriteFunction) {
    for (index, (section, point)) in points.read.iter().enumerate() {
        check_point(section, point, function);
        let earlier = points.read[..index].iter().map(|(_, earlier)| earlier);
        for other in earlier.clone().filter(|other| other.name == point.name) {
            let expected = format!("a name of its own: `{}` is at {} already", point.name, other.address);
            section.error(Some("name"), expected, None);
        }
        if let Some(other) = earlier.clone().find(|other| overlap(other, point)) {
            let expected = format!(
                "registers of its own: `{}` has {} to {} of the same table",
                other.name,
                other.address,
                other.end() - 1
            );
            let help = "parts of one register are points with `bits` that do not overlap".to_owned();
            section.error(Some("address"), expected, Some(help));
        }
    }
}

fn check_point(section: &Section<'_>, point: &PointSpec, function: WriteFunction) {
    if point.end() > 65_536 {
        section.error(Some("address"), "a point that ends at register 65535 or before", None);
    }
    if let Some((_, unit)) = KNOWN.iter().find(|(name, unit)| **name == *point.name && *unit != point.unit) {
        let expected = format!("{:?}, the unit of every `{}`", unit.ucum(), point.name);
        let help = "use `scale` to convert, or another name".to_owned();
        section.error(Some("unit"), expected, Some(help));
    }
    if !point.access.writes() {
        if point.limits.is_some() {
            section.error(Some("limits"), "nothing: the point cannot be written", None);
        }
        return;
    }
    let key = if point.access == Access::ReadWrite && !has_access(section) { "writable" } else { "access" };
    if point.table == Table::Input {
        section.error(Some(key), "a point that is only read: input registers cannot be written", None);
    }
    if point.bits.is_some() {
        section.error(Some(key), "a point that is only read: a part of a register cannot be written", None);
        return;
    }
    if function == WriteFunction::Single && point.kind.registers() > 1 {
        let expected = "a point of one register: write_function = \"single\" writes no more";
        section.error(Some(key), expected, None);
    }
    let (key, range) = if point.limits.is_some() { ("limits", point.limits) } else { ("valid", point.valid) };
    for end in range.into_iter().flat_map(|(low, high)| [low, high]) {
        if let Err(reason) = point.encode(end) {
            section.error(Some(key), format!("values that the registers can hold: {reason}"), None);
            break;
        }
    }
}

/// Whether the point says `access`, not the older `writable`.
fn has_access(section: &Section<'_>) -> bool {
    section.text("access", "").optional().is_some()
}

fn overlap(one: &PointSpec, other: &PointSpec) -> bool {
    let apart = |a: &PointSpec, b: &PointSpec| a.end() <= u32::from(b.address);
    if one.table != other.table || apart(one, other) || apart(other, one) {
        return false;
    }
    match (one.bits, other.bits) {
        (Some((low, high)), Some((other_low, other_high))) => {
            let same = one.address == other.address && one.kind == other.kind;
            !same || (low <= other_high && other_low <= high)
        }
        _ => true,
    }
}

/// The range of a voltage set point; `None` when it is none, which has been reported then.
pub(super) fn check_voltage(section: &Section<'_>, point: &PointSpec) -> Option<(f64, f64)> {
    if point.access != Access::ReadWrite || point.unit != Unit::Volt {
        section.error(Some("point"), "a point in V with access = \"read-write\"", None);
        return None;
    }
    let range = point.writable_range();
    if range.is_none() {
        section.error(
            Some("point"),
            "a point with `limits` or a `valid` range, which limit the commands",
            None,
        );
    }
    range
}

/// Checks a value that is to be written to a point.
pub(super) fn check_written(
    section: &Section<'_>,
    (point_key, value_key): (&str, &str),
    write: &RegisterWrite,
    points: &Points<'_>,
    written: Written,
) {
    let Some(point) = points.get(&write.point) else { return };
    if !point.access.writes() {
        section.error(
            Some(point_key),
            "a point that may be written (access = \"read-write\" or \"write\")",
            None,
        );
        return;
    }
    if written == Written::Seconds && (point.unit != Unit::Second || !point.access.reads()) {
        section.error(Some(point_key), "a point in s with access = \"read-write\"", None);
    }
    if let Some((low, high)) =
        point.writable_range().filter(|(low, high)| !(low..=high).contains(&&write.value))
    {
        section.error(Some(value_key), format!("{low} to {high}, the limits of `{}`", point.name), None);
    } else if let Err(reason) = point.encode(write.value) {
        section.error(Some(value_key), format!("a value that `{}` can hold: {reason}", point.name), None);
    } else if written == Written::Seconds && !holds_exactly(point, write.value) {
        let expected = format!("a time that `{}` can hold exactly, without rounding", point.name);
        section.error(Some(value_key), expected, None);
    }
}

/// Whether a value comes back from the registers as it went in, but for the rounding of the scale itself. A watchdog
/// that is rounded trips at another time, and rounded to zero may never trip.
fn holds_exactly(point: &PointSpec, value: f64) -> bool {
    let Ok(registers) = point.encode(value) else { return false };
    matches!(point.decode(&registers), Reading::Value(held, _) if (held - value).abs() <= value.abs() * 1e-6)
}

/// Checks the points and the limits of a power command.
pub(super) fn check_power(section: &Section<'_>, command: &PowerCommand, points: &Points<'_>) {
    for (key, bound, unit) in [
        ("rated_power", command.rated.as_ref(), Unit::Watt),
        ("min_power", Some(&command.min_w), Unit::Watt),
        ("max_power", Some(&command.max_w), Unit::Watt),
        ("max_reactive_power", command.max_var.as_ref(), Unit::Var),
    ] {
        let point =
            bound.and_then(|bound| if let Bound::Point(name) = bound { points.get(name) } else { None });
        if point.is_some_and(|point| point.unit != unit || !point.access.reads()) {
            section.error(
                Some(key),
                format!("a number, or a point in {} that can be read", unit.ucum()),
                None,
            );
        }
    }
    if let Some(Bound::Fixed(rated)) = command.rated
        && rated <= 0.0
    {
        section.error(Some("rated_power"), "a power above zero", None);
    }
    if let (Bound::Fixed(low), Bound::Fixed(high)) = (&command.min_w, &command.max_w)
        && low > high
    {
        section.error(Some("min_power"), "no more than max_power", None);
    }
    if let Some(Bound::Fixed(most)) = command.max_var
        && most < 0.0
    {
        section.error(Some("max_reactive_power"), "zero or more", None);
    }
    if command.reactive_power.is_some() && command.max_var.is_none() {
        section.error(Some("max_reactive_power"), "a limit of the reactive power", None);
    }
    if command.reactive_power.is_none() && command.max_var.is_some() {
        section.error(Some("max_reactive_power"), "nothing: there is no `reactive_power` to limit", None);
    }
    let ends = [("min_power", &command.min_w), ("max_power", &command.max_w)];
    check_quantity(section, ("real_power", &command.real_power, Unit::Watt), &ends, command, points);
    if let Some((name, most)) = command.reactive_power.as_ref().zip(command.max_var.as_ref()) {
        let ends = [("max_reactive_power", most)];
        check_quantity(section, ("reactive_power", name, Unit::Var), &ends, command, points);
    }
}

/// Checks the point of a set point, and that it can hold the fixed ones of its limits.
fn check_quantity(
    section: &Section<'_>,
    (key, name, unit): (&str, &str, Unit),
    ends: &[(&str, &Bound)],
    command: &PowerCommand,
    points: &Points<'_>,
) {
    let Some(point) = points.get(name) else { return };
    debug_assert!(UNITS.contains(&unit));
    if point.access != Access::ReadWrite {
        section.error(Some(key), "a point with access = \"read-write\": what is written is read back", None);
        return;
    }
    if point.unit != unit && point.unit != Unit::Percent {
        section.error(Some(key), format!("a point in {} or %", unit.ucum()), None);
        return;
    }
    let whole = match (&command.rated, point.unit) {
        (None, Unit::Percent) => {
            section.error(Some("rated_power"), "what 100 % are, in W, because a set point is in %", None);
            return;
        }
        (Some(Bound::Fixed(rated)), Unit::Percent) => *rated,
        (Some(Bound::Point(_)), Unit::Percent) => return,
        _ => 100.0,
    };
    for (end_key, bound) in ends {
        let Bound::Fixed(end) = bound else { continue };
        let value = end / whole * 100.0;
        if let Some((low, high)) =
            point.writable_range().filter(|(low, high)| !(low..=high).contains(&&value))
        {
            let expected = format!("within {low} to {high} {}, the limits of `{name}`", point.unit.ucum());
            section.error(Some(end_key), expected, None);
        } else if let Err(reason) = point.encode(value) {
            section.error(Some(end_key), format!("a power that `{name}` can hold: {reason}"), None);
        }
    }
}
