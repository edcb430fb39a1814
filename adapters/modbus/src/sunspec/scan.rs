//! Everything a SunSpec device says, for the hand tool: [`scan`] and its [`ScanReport`].

use super::block::{Block, Place};
use super::discovery;
use super::models::{Kind, Point, model};
use super::value::text;
use crate::link::Link;
use crate::session::LinkSettings;
use gridloop_clock::SharedClock;
use gridloop_device::DeviceError;
use serde::Serialize;
use std::fmt;

/// The models of a device and the values of their points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScanReport {
    /// The register at which the map begins.
    pub base: u16,
    /// The models in the order of their addresses.
    pub models: Vec<ScannedModel>,
}

impl ScanReport {
    /// Whether it has storage: one of the models 124, 713 and 802.
    #[must_use]
    pub fn has_storage(&self) -> bool {
        self.models.iter().any(|model| matches!(model.id, 124 | 713 | 802))
    }
}

/// One model of a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedModel {
    /// Its number.
    pub id: u16,
    /// What it describes; `None` for models that this crate does not know.
    pub title: Option<&'static str>,
    /// The address of its ID register.
    pub address: u16,
    /// Its length as the device states it.
    pub length: u16,
    /// The points that the device implements. Those of a part that repeats carry its name and number:
    /// `module[0].DCW`.
    pub points: Vec<ScannedPoint>,
}

/// One point of a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedPoint {
    /// Its name, as SunSpec spells it.
    pub name: String,
    /// Its value.
    pub value: ScannedValue,
    /// Its unit, as SunSpec spells it.
    pub unit: &'static str,
    /// Whether it may be written.
    pub writable: bool,
}

/// A value for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ScannedValue {
    /// A number, scaled.
    Number(f64),
    /// A text.
    Text(String),
    /// Registers that contradict the model, in words.
    Nonsense(String),
}

/// Connects to a device and reads every model it has. `Ok(None)` when it is no SunSpec device.
///
/// # Errors
/// As the link. A value that contradicts its model is reported as such and is no error.
pub async fn scan(settings: LinkSettings, clock: SharedClock) -> Result<Option<ScanReport>, DeviceError> {
    let mut link = Link::new(settings, clock);
    link.open().await?;
    let Some(chain) = discovery::discover(&link).await? else { return Ok(None) };
    let mut models = Vec::new();
    for place in chain.places {
        models.push(scanned(&link, place).await?);
    }
    Ok(Some(ScanReport { base: chain.base, models }))
}

async fn scanned(link: &Link, place: Place) -> Result<ScannedModel, DeviceError> {
    let Place { id, address, length } = place;
    let Some(model) = model(id) else {
        return Ok(ScannedModel { id, title: None, address, length, points: Vec::new() });
    };
    let block = Block::read(link, place, model).await?;
    let mut points: Vec<_> = model.points.iter().filter_map(|point| scanned_point(&block, point)).collect();
    for repetition in 0..block.repetitions() {
        let group =
            model.group.iter().flat_map(|group| group.points.iter().map(move |point| (group.name, point)));
        points.extend(group.filter_map(|(name, point)| repeated_point(&block, name, repetition, point)));
    }
    Ok(ScannedModel { id, title: Some(model.title), address, length, points })
}

fn scanned_point(block: &Block, point: &'static Point) -> Option<ScannedPoint> {
    let value = match point.kind {
        Kind::ScaleFactor | Kind::Pad => return None,
        Kind::Text(_) => ScannedValue::Text(block.text(point.name)?),
        _ => match block.number(point) {
            Ok(number) => ScannedValue::Number(number?),
            Err(error) => ScannedValue::Nonsense(error.to_string()),
        },
    };
    Some(ScannedPoint { name: point.name.to_owned(), value, unit: point.unit, writable: point.writable })
}

fn repeated_point(
    block: &Block,
    group: &str,
    repetition: u16,
    point: &'static Point,
) -> Option<ScannedPoint> {
    let value = match point.kind {
        Kind::Text(_) => ScannedValue::Text(text(block.repeated_registers(repetition, point)?)?),
        _ => match block.repeated(repetition, point.name) {
            Ok(number) => ScannedValue::Number(number?),
            Err(error) => ScannedValue::Nonsense(error.to_string()),
        },
    };
    let name = format!("{group}[{repetition}].{}", point.name);
    Some(ScannedPoint { name, value, unit: point.unit, writable: point.writable })
}

impl fmt::Display for ScanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "SunSpec map at register {}", self.base)?;
        for model in &self.models {
            let title = model.title.unwrap_or("not known here");
            writeln!(f, "\nmodel {} at {}, length {}: {title}", model.id, model.address, model.length)?;
            for ScannedPoint { name, value, unit, writable } in &model.points {
                let access = if *writable { "writable" } else { "" };
                let line = format!("  {name:<20} {value} {unit}");
                writeln!(f, "{}", format!("{line:<60} {access}").trim_end())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ScannedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) | Self::Nonsense(text) => f.write_str(text),
        }
    }
}
