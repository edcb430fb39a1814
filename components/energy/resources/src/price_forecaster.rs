//! What energy will probably cost, from a CSV file (wire contract 6.4): [`PriceForecaster`].

use crate::SeriesError;
use crate::curve::millis;
use crate::resource_forecaster::{Forecast, MOST_POINTS, span_ms};
use crate::setpoint_series::is_nameable;
use crate::sheet::{Column, Row, Sheet, flaw};
use crate::stamps::{Stamps, Zone};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_messages::{Body, Message, PriceForecastState, TimeSeries};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The beginning of the topics of prices, unless it is configured otherwise.
pub const PRICE_FORECAST_TOPIC: &str = "PriceForecastState";

/// Which resource a price is for, when it is for none in particular.
pub const NO_RESOURCE: &str = "NoResource";

/// What a [`PriceForecaster`] tells.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceForecasterSettings {
    /// The CSV file.
    pub file: PathBuf,
    /// What stands between its cells; usually `,`.
    pub delimiter: char,
    /// The zone of times without an offset.
    pub time_zone: Option<Zone>,
    /// How far a forecast goes.
    pub horizon: Duration,
    /// From point to point; none: the shortest step of the prices.
    pub step: Option<Duration>,
    /// The market of a file with `TimeIndex` and `Price`; a wide file says it itself.
    pub market: Option<Market>,
    /// The beginning of its topic; usually [`PRICE_FORECAST_TOPIC`].
    pub topic: String,
}

/// The market that prices belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Market {
    /// Its name; a dispatch looks its prices up by it.
    pub market_id: String,
    /// `{EUR}/(kW.h)` or `{EUR}/(MW.h)`.
    pub unit: &'static str,
    /// Which resource the prices are for; usually [`NO_RESOURCE`].
    pub resource_id: String,
    /// How they are made, such as `TOU`.
    pub pricing_type: Option<String>,
}

/// Publishes in each epoch what energy will cost from its start on, in numbers.
///
/// A file has either the columns `TimeIndex` and `Price`, and the forecast is made as that of a
/// [`ResourceForecaster`](crate::ResourceForecaster); or the columns of SimCES, `MarketId`, `UnitOfMeasure`,
/// `ResourceId`, `PricingType`, `Time1`, `Price1`, `Time2`, `Price2` and so on. Then a row is what was known at its
/// first time: an epoch has the last row that begins at its start or before, and of that as many points as the horizon
/// has hours, as SimCES has. SimCES takes the next row in each epoch whatever its times are.
#[derive(Debug)]
pub struct PriceForecaster {
    horizon_ms: i64,
    points_max: usize,
    /// Ascending by their first time.
    rows: Vec<Priced>,
    topic: String,
    file: Arc<str>,
}

#[derive(Debug)]
struct Priced {
    begins_ms: i64,
    market: Arc<Market>,
    forecast: Forecast,
}

impl PriceForecaster {
    /// The forecaster, with its file read and checked.
    ///
    /// # Errors
    /// When the file cannot be read or has any flaw.
    pub fn new(settings: &PriceForecasterSettings) -> Result<Self, SeriesError> {
        let PriceForecasterSettings { file: path, delimiter, time_zone, horizon, step, market, topic } =
            settings;
        let horizon_ms = span_ms(*horizon);
        let step_ms = step.map(span_ms);
        let file: Arc<str> = path.display().to_string().into();
        let (rows, points_max) = match market {
            Some(market) => {
                let column = ("Price", market.unit);
                let forecast = Forecast::open(path, *delimiter, time_zone.clone(), column, step_ms)?;
                forecast.check_points(horizon_ms)?;
                let market = Arc::new(market.clone());
                (vec![Priced { begins_ms: i64::MIN, market, forecast }], MOST_POINTS)
            }
            None => {
                let sheet = Sheet::open(path, *delimiter)?;
                let hours = usize::try_from(horizon_ms / 3_600_000).unwrap_or(MOST_POINTS);
                (wide(sheet, time_zone.as_ref(), step_ms)?, hours)
            }
        };
        Ok(Self { horizon_ms, points_max, rows, topic: topic.clone(), file })
    }

    /// The row that the epoch begins in.
    fn row(&self, epoch: &OpenEpoch) -> Result<&Priced, Fault> {
        let start = millis(epoch.start_time);
        let behind = self.rows.partition_point(|row| row.begins_ms <= start);
        behind.checked_sub(1).and_then(|index| self.rows.get(index)).ok_or_else(|| {
            let expected =
                format!("a row with a Time1 of {} or before, for epoch {}", epoch.start_time, epoch.number);
            flaw(&self.file, (2, 1), expected, "later ones only").to_string().into()
        })
    }
}

/// The rows of a file in the format of SimCES.
fn wide(mut sheet: Sheet, zone: Option<&Zone>, step_ms: Option<i64>) -> Result<Vec<Priced>, SeriesError> {
    let file = sheet.file();
    let columns = Columns::of(&mut sheet);
    sheet.check_header()?;
    let mut firsts = Stamps::new(zone.cloned());
    let mut rows: Vec<Priced> = Vec::new();
    let mut short = Vec::new();
    sheet.read_rows(|row| {
        let begins_ms = columns.pairs.first().and_then(|(time, _)| firsts.read(row, *time));
        let market = columns.market(row);
        let (at, prices) = columns.prices(row, zone);
        let Some((begins_ms, market)) = begins_ms.zip(market) else { return };
        let line = row.line();
        match Forecast::of(Arc::clone(&file), at, prices, step_ms, line) {
            Ok(forecast) => rows.push(Priced { begins_ms, market: Arc::new(market), forecast }),
            Err(_) => short.push(line),
        }
    })?;
    match short.first() {
        None => Ok(rows),
        Some(line) => {
            let expected = "two pairs of time and price at least";
            Err(SeriesError::Content(flaw(&file, (*line, 1), expected, "fewer").into()))
        }
    }
}

struct Columns {
    market_id: Option<Column>,
    unit: Option<Column>,
    resource_id: Option<Column>,
    pricing_type: Option<Column>,
    pairs: Vec<(Option<Column>, Option<Column>)>,
}

impl Columns {
    fn of(sheet: &mut Sheet) -> Self {
        let market_id = sheet.required("MarketId");
        let unit = sheet.required("UnitOfMeasure");
        let resource_id = sheet.required("ResourceId");
        let pricing_type = sheet.optional("PricingType");
        let names = sheet.names();
        let has = |name: &str| names.iter().any(|it| it == name);
        let mut pairs = vec![(sheet.required("Time1"), sheet.required("Price1"))];
        for number in 2.. {
            let (time, price) = (format!("Time{number}"), format!("Price{number}"));
            if !has(&time) && !has(&price) {
                break;
            }
            pairs.push((sheet.required(&time), sheet.required(&price)));
        }
        Self { market_id, unit, resource_id, pricing_type, pairs }
    }

    fn market(&self, row: &mut Row<'_>) -> Option<Market> {
        let units = PriceForecastState::UNITS;
        let unit = units.into_iter().find(|unit| row.text(self.unit) == *unit);
        if unit.is_none() {
            row.reject(self.unit, &units.join(" or "));
        }
        let mut name = |column| {
            let name = row.text(column).to_owned();
            let nameable = is_nameable(&name);
            if !nameable {
                row.reject(column, "a name without blanks and `.`, `,`, `#`, `*`");
            }
            nameable.then_some(name)
        };
        let (market_id, resource_id) = (name(self.market_id), name(self.resource_id));
        let pricing_type = Some(row.text(self.pricing_type)).filter(|text| !text.is_empty());
        let pricing_type = pricing_type.map(ToOwned::to_owned);
        Some(Market { market_id: market_id?, unit: unit?, resource_id: resource_id?, pricing_type })
    }

    /// The pairs of a row, which ends where the cells of a pair are empty.
    fn prices(&self, row: &mut Row<'_>, zone: Option<&Zone>) -> (Vec<i64>, Vec<f64>) {
        let mut stamps = Stamps::new(zone.cloned());
        let (mut at, mut prices) = (Vec::new(), Vec::new());
        for (number, (time, price)) in self.pairs.iter().enumerate() {
            if number > 0 && row.text(*time).is_empty() && row.text(*price).is_empty() {
                break;
            }
            // A first time that is none has been told with the order of the rows.
            if number == 0 && !stamps.accepts(row.text(*time)) {
                break;
            }
            let (time, price) = (stamps.read(row, *time), row.number(*price, "a price"));
            if let Some((time, price)) = time.zip(price) {
                at.push(time);
                prices.push(price);
            }
        }
        (at, prices)
    }
}

impl Component for PriceForecaster {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, _: MonoTime) -> Result<Step, Fault> {
        let Priced { market, forecast, .. } = self.row(epoch)?;
        let (time_index, prices) = forecast.window(epoch, self.horizon_ms, self.points_max)?;
        let topic = format!("{}.{}.{}", self.topic, market.market_id, market.resource_id);
        let state = PriceForecastState {
            market_id: market.market_id.clone(),
            prices: TimeSeries::single(time_index, "Price", market.unit, prices),
            resource_id: Some(market.resource_id.clone()),
            pricing_type: market.pricing_type.clone(),
        };
        Ok(Step::Done(vec![Output::new(topic, Body::PriceForecastState(Box::new(state)))]))
    }
}
