//! A [`Mapping`] as a file that [`Mapping::parse`] reads: a suggestion to begin with.

use super::{Mapping, PointMapping, SetpointMapping, TapMapping};
use std::fmt;

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "name = {}", quoted(&self.name))?;
        writeln!(f, "defaults = {}", self.defaults)?;
        for point in &self.points {
            show_point(point, f)?;
        }
        let setpoints = [
            ("power_setpoint", &self.power_setpoint),
            ("reactive_setpoint", &self.reactive_setpoint),
            ("voltage_setpoint", &self.voltage_setpoint),
        ];
        for (name, setpoint) in setpoints {
            if let Some(setpoint) = setpoint {
                show_setpoint(name, setpoint, f)?;
            }
        }
        if self.tap == TapMapping::default() { Ok(()) } else { show_tap(&self.tap, f) }
    }
}

fn show_point(point: &PointMapping, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n[[point]]\nname = \"{}\"\nobject = \"{}\"", point.name, point.object)?;
    if let Some(attribute) = &point.attribute {
        writeln!(f, "attribute = \"{attribute}\"")?;
    }
    if let Some(fc) = point.fc {
        writeln!(f, "fc = \"{}\"", fc.letters())?;
    }
    writeln!(f, "unit = \"{}\"", point.unit.ucum())?;
    show_number("scale", point.scale, f)
}

fn show_setpoint(name: &str, setpoint: &SetpointMapping, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n[{name}]\nobject = \"{}\"", setpoint.object)?;
    show_number("scale", setpoint.scale, f)?;
    show_number("min", setpoint.min, f)?;
    show_number("max", setpoint.max, f)
}

fn show_tap(tap: &TapMapping, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n[tap]")?;
    let objects = [("command", &tap.command), ("setpoint", &tap.setpoint), ("position", &tap.position)];
    for (name, object) in objects {
        if let Some(object) = object {
            writeln!(f, "{name} = \"{object}\"")?;
        }
    }
    for (name, position) in [("lowest", tap.lowest), ("highest", tap.highest)] {
        if let Some(position) = position {
            writeln!(f, "{name} = {position}")?;
        }
    }
    show_number("confirm_within_s", tap.confirm_within.map(|within| within.as_secs_f64()), f)
}

/// A number as a float of TOML.
fn show_number(name: &str, number: Option<f64>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match number {
        Some(number) => writeln!(f, "{name} = {number:?}"),
        None => Ok(()),
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}
