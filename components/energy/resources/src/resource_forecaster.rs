//! What loads and generators will probably do, from CSV files (wire contract 6.3): [`ResourceForecaster`].

use crate::SeriesError;
use crate::curve::{Interpolation, Times, millis};
use crate::power_series::outside_fault;
use crate::sheet::{Sheet, flaw};
use crate::stamps::{Stamps, Zone};
use crate::static_time_series::ResourceType;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Message, ResourceForecast, TimeSeries, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The beginning of the topics of forecasts, unless it is configured otherwise.
pub const RESOURCE_FORECAST_TOPIC: &str = "ResourceForecastState";

/// How many points a forecast may have.
pub(crate) const MOST_POINTS: usize = 10_000;

/// What a [`ResourceForecaster`] tells.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceForecasterSettings {
    /// The resources, each with its file.
    pub resources: Vec<ForecastResource>,
    /// What stands between the cells of the files; usually `,`.
    pub delimiter: char,
    /// The zone of times without an offset.
    pub time_zone: Option<Zone>,
    /// How far a forecast goes.
    pub horizon: Duration,
    /// From point to point; none: the shortest step of each file.
    pub step: Option<Duration>,
    /// The beginning of its topics; usually [`RESOURCE_FORECAST_TOPIC`].
    pub topic: String,
}

/// A resource that is forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForecastResource {
    /// Its name.
    pub name: String,
    /// What it is; the middle of its topic.
    pub resource_type: ResourceType,
    /// CSV: TimeIndex, RealPower in kW.
    pub file: PathBuf,
}

/// Publishes in each epoch what the resources will do from its start on.
///
/// The points of a forecast begin at the start of the epoch and are one step apart; there are all that lie before the
/// horizon and one more (37 for 36 hours). Each has the mean of the series over its step. For hourly rows and hourly
/// epochs these are the rows themselves, as a SimCES forecaster publishes them; for other epochs SimCES moves its
/// window a row per epoch, and this one moves it with the time. At the end of the file the forecast becomes shorter;
/// one that would have a single point ends the run with an explanation.
#[derive(Debug)]
pub struct ResourceForecaster {
    horizon_ms: i64,
    resources: Vec<(String, String, Forecast)>,
}

impl ResourceForecaster {
    /// The forecaster, with all of its files read and checked.
    ///
    /// # Errors
    /// When a file cannot be read or has any flaw.
    pub fn new(settings: &ResourceForecasterSettings) -> Result<Self, SeriesError> {
        let step_ms = settings.step.map(span_ms);
        let resource = |resource: &ForecastResource| {
            let zone = settings.time_zone.clone();
            let columns = ("RealPower", "kW");
            let forecast = Forecast::open(&resource.file, settings.delimiter, zone, columns, step_ms)?;
            forecast.check_points(span_ms(settings.horizon))?;
            let topic = format!("{}.{}.{}", settings.topic, resource.resource_type.as_str(), resource.name);
            Ok((resource.name.clone(), topic, forecast))
        };
        let resources = settings.resources.iter().map(resource).collect::<Result<_, SeriesError>>()?;
        Ok(Self { horizon_ms: span_ms(settings.horizon), resources })
    }
}

/// In whole ms, which is what the bus can say.
pub(crate) fn span_ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A series of numbers by time, of which forecasts are windows.
#[derive(Debug)]
pub(crate) struct Forecast {
    file: Arc<str>,
    times: Times,
    values: Vec<f64>,
    step_ms: i64,
    end_line: u64,
}

impl Forecast {
    /// The series in the columns `TimeIndex` and `name` of a file.
    pub(crate) fn open(
        path: &Path,
        delimiter: char,
        zone: Option<Zone>,
        (name, unit): (&str, &str),
        step_ms: Option<i64>,
    ) -> Result<Self, SeriesError> {
        let mut sheet = Sheet::open(path, delimiter)?;
        let file = sheet.file();
        let (time_index, column) = (sheet.required("TimeIndex"), sheet.required(name));
        sheet.check_header()?;
        let mut stamps = Stamps::new(zone);
        let (mut at, mut values, mut end_line) = (Vec::new(), Vec::new(), 2);
        sheet.read_rows(|row| {
            end_line = row.line() + 1;
            at.extend(stamps.read(row, time_index));
            values.extend(row.number(column, unit));
        })?;
        Self::of(file, at, values, step_ms, end_line)
    }

    /// The series of these points. A forecast needs two at least, and they tell its step.
    pub(crate) fn of(
        file: Arc<str>,
        at: Vec<i64>,
        values: Vec<f64>,
        step_ms: Option<i64>,
        end_line: u64,
    ) -> Result<Self, SeriesError> {
        let times = Times::new(at, Interpolation::Hold);
        match times.shortest_step() {
            Some(shortest) => {
                let step_ms = step_ms.unwrap_or(shortest).max(1);
                Ok(Self { file, times, values, step_ms, end_line })
            }
            None => {
                let found = format!("{} before the end of the file", times.len());
                let place = (end_line, 1);
                Err(SeriesError::Content(
                    flaw(&file, place, "two rows at least for a forecast", found).into(),
                ))
            }
        }
    }

    /// Refuses a step with which a forecast to `horizon_ms` would have more points than any may have.
    pub(crate) fn check_points(&self, horizon_ms: i64) -> Result<(), SeriesError> {
        let points = horizon_ms / self.step_ms;
        if usize::try_from(points).is_ok_and(|points| points < MOST_POINTS) {
            return Ok(());
        }
        let expected = format!("a step of the forecast with at most {MOST_POINTS} points to its horizon");
        let found = format!("{points} of {} ms; `timestep_s` can make it longer", self.step_ms);
        Err(SeriesError::Content(flaw(&self.file, (2, 1), expected, found).into()))
    }

    /// The points from `start` to `horizon_ms` later and one more, or `points_max` of them.
    pub(crate) fn window(
        &self,
        epoch: &OpenEpoch,
        horizon_ms: i64,
        points_max: usize,
    ) -> Result<(Vec<Timestamp>, Vec<f64>), Fault> {
        let points_max = points_max.min(MOST_POINTS);
        let from = millis(epoch.start_time);
        let window = self.times.window(&self.values, from, horizon_ms, self.step_ms, points_max);
        let fault = |outside| {
            let expected = format!("a forecast for epoch {} from {} on", epoch.number, epoch.start_time);
            outside_fault(&self.file, self.end_line, &expected, outside, self.times.len())
        };
        let points = window.map_err(fault)?;
        if points.len() < 2 {
            let expected =
                format!("two steps at least from {} on, for epoch {}", epoch.start_time, epoch.number);
            let found = "the end of the series after one";
            return Err(flaw(&self.file, (self.end_line, 1), expected, found).to_string().into());
        }
        Ok(points.into_iter().unzip())
    }
}

impl Component for ResourceForecaster {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        let mut outputs = Vec::new();
        for (name, topic, forecast) in &self.resources {
            let (time_index, values) = forecast.window(epoch, self.horizon_ms, MOST_POINTS)?;
            let forecast = TimeSeries::single(time_index, "RealPower", "kW", values);
            let body = ResourceForecast { resource_id: name.clone(), forecast };
            outputs.push(Output::new(topic.clone(), Body::ResourceForecast(body)));
        }
        Ok(Step::Done(outputs))
    }
}
