//! Which object of an IED is which point or command: [`Mapping`], read from TOML or found by browsing.
//!
//! A [`Mapping`] has points, each an object with a unit and a scale, and the objects of the commands. What a file does
//! not name is looked for under the names that IEC 61850-7-4 and -7-420 (edition 1) give (`found`), unless the file
//! says `defaults = false`. The object names of 7-420 edition 2 are not built in: a file names them.

mod found;
mod parse;
mod show;

pub(crate) use found::{RATINGS, beside, found};

use crate::data::Fc;
use gridloop_device::{PointName, Unit};
use std::fmt;
use std::time::Duration;

/// What the objects of an IED mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The name of the kind of device, for people.
    pub name: String,
    /// Whether objects with well-known names are added to those named here.
    pub defaults: bool,
    /// The points, in the order of the file.
    pub points: Vec<PointMapping>,
    /// The real power that the device is told.
    pub power_setpoint: Option<SetpointMapping>,
    /// The reactive power that the device is told.
    pub reactive_setpoint: Option<SetpointMapping>,
    /// The voltage that a regulator is told.
    pub voltage_setpoint: Option<SetpointMapping>,
    /// How a tap changer is moved.
    pub tap: TapMapping,
}

impl Default for Mapping {
    /// Names nothing; everything is found by browsing.
    fn default() -> Self {
        Self {
            name: "IEC 61850 device".to_owned(),
            defaults: true,
            points: Vec::new(),
            power_setpoint: None,
            reactive_setpoint: None,
            voltage_setpoint: None,
            tap: TapMapping::default(),
        }
    }
}

/// A data object: `LD/LN.DO`, where the name of the IED may be missing before the logical device's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The logical device, or the end of the name of its MMS domain.
    pub device: String,
    /// The logical node.
    pub node: String,
    /// The data object, and the objects inside it with points in between.
    pub path: String,
}

/// One point.
#[derive(Debug, Clone, PartialEq)]
pub struct PointMapping {
    /// Its name in snapshots.
    pub name: PointName,
    /// The object.
    pub object: ObjectName,
    /// Where the value is in the object, such as `mag.f`. `None`: at the usual place for its kind of object.
    pub attribute: Option<String>,
    /// Under which functional constraint. `None`: `MX` where the object has it, else `ST`, else `SP`.
    pub fc: Option<Fc>,
    /// The unit of the value.
    pub unit: Unit,
    /// What a raw value of 1 is worth in `unit`. `None`: what the object's own `units.multiplier` says, else 1.
    pub scale: Option<f64>,
}

/// An object that takes a number: a setting, or a controllable analogue or integer value.
#[derive(Debug, Clone, PartialEq)]
pub struct SetpointMapping {
    /// The object.
    pub object: ObjectName,
    /// What a raw value of 1 is worth. `None`: what the object's own `units.multiplier` says, else 1.
    pub scale: Option<f64>,
    /// The lowest value that may be set. `None`: what the device says.
    pub min: Option<f64>,
    /// The highest value that may be set. `None`: what the device says.
    pub max: Option<f64>,
}

/// How a tap changer is moved, and where it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TapMapping {
    /// The object that takes "raise" and "lower": `TapChg`.
    pub command: Option<ObjectName>,
    /// The object that takes a position, where the IED has one: `TapPos`.
    pub setpoint: Option<ObjectName>,
    /// The object that tells the position.
    pub position: Option<ObjectName>,
    /// The lowest position. `None`: what the device says.
    pub lowest: Option<i32>,
    /// The highest position. `None`: what the device says.
    pub highest: Option<i32>,
    /// How long a command may take until the position shows it. `None`: half a minute.
    pub confirm_within: Option<Duration>,
}

/// Where a mapping is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct MappingError {
    /// The file, as it was named to [`Mapping::parse`].
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1 in characters.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Mapping {
    /// Reads a mapping. `file` is only named in errors.
    ///
    /// # Errors
    /// The first thing in the file that is not as it must be.
    pub fn parse(file: &str, text: &str) -> Result<Self, MappingError> {
        parse::mapping(file, text)
    }

    /// This mapping, with what it does not name taken from another one.
    #[must_use]
    pub(crate) fn or(mut self, other: Self) -> Self {
        for point in other.points {
            if !self.points.iter().any(|own| own.name == point.name) {
                self.points.push(point);
            }
        }
        self.power_setpoint = self.power_setpoint.or(other.power_setpoint);
        self.reactive_setpoint = self.reactive_setpoint.or(other.reactive_setpoint);
        self.voltage_setpoint = self.voltage_setpoint.or(other.voltage_setpoint);
        // Who names one way to move the taps does not want the other.
        if self.tap.command.is_none() && self.tap.setpoint.is_none() {
            self.tap.command = other.tap.command;
            self.tap.setpoint = other.tap.setpoint;
        }
        self.tap.position = self.tap.position.or(other.tap.position);
        self
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.device, self.node, self.path)
    }
}

#[cfg(test)]
mod tests;
