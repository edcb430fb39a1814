//! How the tables of the components here are read.

use crate::NetworkDescription;
use crate::awaited::Awaited;
use crate::connection::Connected;
use crate::grid::GridSettings;
use crate::information::{Information, InformationError};
use crate::limits::Limits;
use crate::monitoring::StateMonitoringSettings;
use crate::network_file;
use crate::predictor::PredictorSettings;
use crate::source::NetworkSource;
use crate::taps;
use gridloop_component::Fault;
use gridloop_service::{Field, Section};
use std::path::Path;
use std::time::Duration;

/// The largest file of source voltages that is read.
const SOURCE_VOLTAGES_MAX_BYTES: u64 = 16 << 20;

/// What a source may hold, as a part of the nominal voltage.
const SOURCE_VOLTAGE_PU: std::ops::RangeInclusive<f64> = 0.0..=2.0;

impl GridSettings {
    /// Reads the table of a component.
    pub fn read(section: &Section<'_>) -> Self {
        let mut source = NetworkSource::read(section);
        let taps = taps::read(section, true);
        for branch in source.add_taps(taps.ranges) {
            section.error(
                Some("taps"),
                format!("`range` for branches of the network only, not for {branch}"),
                None,
            );
        }
        let file = section
            .file(
                "source_voltage_file",
                "CSV with the column SourceVoltage: what the source holds in each epoch, in pu.",
            )
            .must_exist()
            .optional();
        let source_voltage_pu = file.map(|file| {
            read_source_voltages(&file).unwrap_or_else(|expected| {
                section.error(Some("source_voltage_file"), expected, None);
                Vec::new()
            })
        });
        Self {
            grid_id: grid_id(
                section,
                "GridId, the middle of its topics. Default: the name of the component.",
            )
            .optional()
            .unwrap_or_else(|| section.name().to_owned()),
            source,
            resources: Connected::read_all(section),
            awaited: Awaited::read_with_storages(section),
            taps: taps.changers,
            source_voltage_pu: source_voltage_pu.unwrap_or_default(),
            input_timeout: read_input_timeout(section),
        }
    }
}

impl PredictorSettings {
    /// Reads the table of a component.
    pub fn read(section: &Section<'_>) -> Self {
        let mut source = NetworkSource::read(section);
        let taps = taps::read(section, false);
        for branch in source.add_taps(taps.ranges) {
            section.error(
                Some("taps"),
                format!("`range` for branches of the network only, not for {branch}"),
                None,
            );
        }
        let names = |key, about| section.texts(key, about).or(Vec::new()).into_iter().collect();
        Self {
            grid_id: grid_id(section, "GridId of the network, the middle of its topics.").required(),
            source,
            resources: Connected::read_all(section),
            awaited: Awaited::read(section),
            points_max: section
                .integer("points_max", "The most points in time that it looks ahead. Default: all that the forecasts have in common.")
                .within(1..=10_000)
                .fits()
                .optional(),
            persistent: names("persistent", "Resources that nobody forecasts: they go on as they are."),
            planned: names(
                "planned",
                "Resources whose forecast is their plan of ResourceForecastState.Dispatch.",
            ),
            taps: taps.changers,
            input_timeout: read_input_timeout(section),
        }
    }
}

impl StateMonitoringSettings {
    /// Reads the table of a component.
    pub fn read(section: &Section<'_>) -> Self {
        Self {
            grid_id: grid_id(section, "GridId of what it watches.").required(),
            source: NetworkSource::read(section),
            limits: Limits::read(section),
            input_timeout: read_input_timeout(section),
            grace: section
                .duration_s(
                    "grace_s",
                    "How long it waits for the rest of a state once the grid is ready, in s.",
                )
                .at_most(3600.0)
                .or(Duration::from_secs(1)),
        }
    }
}

/// What a `nis` or `cis` publishes; `None` if it cannot be read, which has been noted.
pub(crate) fn read_information(
    section: &Section<'_>,
    of_file: fn(&Path) -> Result<Information, InformationError>,
    of_description: fn(&NetworkDescription) -> Information,
) -> Option<Information> {
    let file = section.file("file", "A JSON file of the SimCES platform.").must_exist().optional();
    let network = section.file("network", "Instead of `file`: a network in TOML.").must_exist().optional();
    match (file, network) {
        (Some(file), None) => of_file(&file)
            .map_err(|error| {
                section.error(Some("file"), format!("a sound file: {}", Fault::caused_by(&error)), None);
            })
            .ok(),
        (None, Some(network)) => {
            network_file::load(&network).map(|it| of_description(&it)).map_err(|it| section.absorb(it)).ok()
        }
        (Some(_), Some(_)) => {
            section.error(Some("network"), "this or `file`, not both", None);
            None
        }
        (None, None) => {
            section.error(Some("file"), "either `file` or `network`", None);
            None
        }
    }
}

fn grid_id<'a>(section: &Section<'a>, about: &str) -> Field<'a, String> {
    section.text("grid", about).matching(|text| is_topic_word(text))
}

/// A name that can stand between two dots of a topic.
pub(crate) fn is_topic_word(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains(['.', '*', '#']) || text.contains(char::is_whitespace) {
        return Err("a name in topics has no `.`, `*`, `#` or space".to_owned());
    }
    Ok(())
}

fn read_input_timeout(section: &Section<'_>) -> Duration {
    let about = "How long it waits in an epoch for what is missing, in s. Then the run ends with an error that names it.";
    section.duration_s("input_timeout_s", about).within(0.001..=86_400.0).or(Duration::from_secs(60))
}

/// One column `SourceVoltage`; others are passed over. The error is what was expected, with the place.
fn read_source_voltages(path: &Path) -> Result<Vec<f64>, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("a file that can be read: {error}"))?.len();
    if size > SOURCE_VOLTAGES_MAX_BYTES {
        return Err(format!("at most {SOURCE_VOLTAGES_MAX_BYTES} bytes, and {shown} has {size}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("a file that can be read: {error}"))?;
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let header = lines.next().map(|(_, line)| line).unwrap_or_default();
    let column = header.split(',').position(|name| name.trim() == "SourceVoltage");
    let Some(column) = column else {
        return Err(format!("{shown}:1:1: a column SourceVoltage in the header row, found {header:?}"));
    };
    let mut voltages = Vec::new();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let cell = line.split(',').nth(column).unwrap_or_default();
        match cell.trim().parse::<f64>() {
            Ok(voltage) if SOURCE_VOLTAGE_PU.contains(&voltage) => voltages.push(voltage),
            _ => {
                let before: usize = line.split(',').take(column).map(|cell| cell.chars().count() + 1).sum();
                let (lowest, highest) = SOURCE_VOLTAGE_PU.into_inner();
                let place = format!("{shown}:{}:{}", at + 1, before + 1);
                return Err(format!("{place}: a number from {lowest} to {highest}, found {cell:?}"));
            }
        }
    }
    if voltages.is_empty() {
        return Err(format!("{shown}:2:1: at least one row below the header"));
    }
    Ok(voltages)
}
