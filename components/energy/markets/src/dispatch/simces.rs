//! An economic dispatch as a SimCES run describes it: [`SimcesDispatch`] has what its environment says, and finds the
//! rest in the Start message, as the Python platform's does (wire contract 6.5).

use super::problem::{StorageModel, Terminal};
use super::settings::{
    CommitmentSettings, DispatchSettings, FlexibilitySettings, MarketSettings, OnInfeasible, OnLate, OnShort,
    SalePrice, StorageSettings, USUAL_BOUND_PERCENT, USUAL_WEAR_EUR_PER_KWH,
};
use super::solve::SolverSettings;
use gridloop_component::Fault;
use gridloop_messages::{Start, Timestamp};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;

/// The largest Start file that is read: 64 MiB.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What the environment of a process says of its dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct SimcesDispatch {
    /// The file with the Start message (`SIMULATION_START_MESSAGE_FILENAME`).
    pub start_file: PathBuf,
    /// Steps of the horizon.
    pub steps: usize,
    /// Length of a step.
    pub step: Duration,
    /// Where plans are published.
    pub topic: String,
    /// Time of the day (UTC) at which markets are promised the next day.
    pub commitment_time: Option<Duration>,
    /// The flexibility market that it takes part in.
    pub market: Option<String>,
    /// Offers to other congestions of the same epoch are left out of account.
    pub skip_open_offers: bool,
    /// How plans are found.
    pub solver: SolverSettings,
    /// By the model of SimCES or by ours.
    pub storage_model: StorageModel,
    /// What to do when no plan meets all conditions.
    pub on_infeasible: OnInfeasible,
}

/// Why a Start message describes no dispatch.
#[derive(Debug, thiserror::Error)]
pub enum SimcesError {
    /// The operating system does not give the file.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no Start message.
    #[error("{}: expected at most {MAX_FILE_BYTES} bytes, found more", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is no Start message.
    #[error("{}: no Start message", path.display())]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: gridloop_messages::DecodeError,
    },
    /// Something in it is not as it must be.
    #[error("{place} of the Start message: expected {expected}, found {found}")]
    Content {
        /// Where.
        place: String,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

impl SimcesDispatch {
    /// The dispatch `name`, with what the Start file says of it.
    ///
    /// # Errors
    /// When the file cannot be read or describes no such dispatch.
    pub fn settings(&self, name: &str) -> Result<DispatchSettings, SimcesError> {
        let path = &self.start_file;
        let unreadable = |source| SimcesError::Unreadable { path: path.clone(), source };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_FILE_BYTES {
            return Err(SimcesError::TooLarge { path: path.clone() });
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        // The time of the announcement does not matter here.
        let start = Start::decode(&bytes, Timestamp::from(chrono::DateTime::UNIX_EPOCH))
            .map_err(|source| SimcesError::Undecodable { path: path.clone(), source })?;
        self.of_start(name, &start.announcement.parameters.components)
    }

    /// The dispatch `name` by the parameters of all processes, ProcessParameters of the Start message.
    ///
    /// # Errors
    /// When they describe no such dispatch.
    pub fn of_start(
        &self,
        name: &str,
        components: &Map<String, Value>,
    ) -> Result<DispatchSettings, SimcesError> {
        let own = Block::of(components, "EconomicDispatch", name)?;
        let weights = own.value("Weights").filter(|value| !value.is_null());
        let (mut resources, mut markets, mut storages) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, unit) in own.resources()? {
            match kind {
                "StaticTimeSeriesResource" => resources.push(unit.to_owned()),
                "PriceForecaster" => markets.push(MarketSettings {
                    name: unit.to_owned(),
                    sale: SalePrice::Fixed(0.0),
                    purchase_max_kw: f64::INFINITY,
                    sale_max_kw: f64::INFINITY,
                }),
                "StorageResource" => {
                    let block = Block::of(components, kind, unit)?;
                    storages.push(storage(unit, &block, &terminal_of(&own, weights, unit)?)?);
                }
                other => {
                    let expected = "StaticTimeSeriesResource, PriceForecaster or StorageResource";
                    return Err(own.wrong("Resources", expected, other));
                }
            }
        }
        let names = resources.iter().chain(storages.iter().map(|it: &StorageSettings| &it.name));
        let flexibility = self.market.as_ref().map(|market| FlexibilitySettings {
            market: market.clone(),
            resources: names.cloned().collect(),
            skip_open_offers: self.skip_open_offers,
            price_factor: 1.25,
            price_least_eur: 1.0,
        });
        Ok(DispatchSettings {
            steps: self.steps,
            step: self.step,
            resources,
            markets,
            storages,
            storage_model: self.storage_model,
            solver: self.solver,
            on_infeasible: self.on_infeasible,
            on_short: OnShort::Error,
            on_late: OnLate::Error,
            input_timeout: Duration::from_secs(120),
            topic: self.topic.clone(),
            commitment: self.commitment_time.map(|time| CommitmentSettings { time, more: 2.0, less: 0.5 }),
            flexibility,
        })
    }
}

impl From<SimcesError> for Fault {
    fn from(error: SimcesError) -> Self {
        Self::caused_by(&error)
    }
}

/// The parameters of one process.
struct Block<'a> {
    place: String,
    entries: &'a Map<String, Value>,
}

impl<'a> Block<'a> {
    fn of(components: &'a Map<String, Value>, kind: &str, name: &str) -> Result<Self, SimcesError> {
        let place = format!("ProcessParameters.{kind}.{name}");
        match components.get(kind).and_then(|processes| processes.get(name)) {
            Some(Value::Object(entries)) => Ok(Self { place, entries }),
            other => Err(SimcesError::Content {
                place,
                expected: "the attributes of a process",
                found: shown(other),
            }),
        }
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.entries.get(key)
    }

    fn wrong(&self, key: &str, expected: &'static str, found: &str) -> SimcesError {
        SimcesError::Content { place: format!("{}.{key}", self.place), expected, found: found.to_owned() }
    }

    /// A number, also one that a string spells, within a range.
    fn number(
        &self,
        key: &str,
        range: (f64, f64),
        expected: &'static str,
    ) -> Result<Option<f64>, SimcesError> {
        let Some(value) = self.value(key).filter(|value| !value.is_null()) else { return Ok(None) };
        let number = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        let good = number.filter(|number| (range.0..=range.1).contains(number));
        good.map(Some).ok_or_else(|| self.wrong(key, expected, &shown(Some(value))))
    }

    fn percent(&self, key: &str) -> Result<Option<f64>, SimcesError> {
        self.number(key, (0.0, 100.0), "a number from 0 to 100")
    }

    /// Type and name of every unit.
    fn resources(&self) -> Result<Vec<(&'a str, &'a str)>, SimcesError> {
        let expected = "an array of [type, name]";
        let value = self.value("Resources");
        let wrong = || self.wrong("Resources", expected, &shown(value));
        let items = value.and_then(Value::as_array).ok_or_else(wrong)?;
        let pair = |item: &'a Value| match item.as_array().map(Vec::as_slice) {
            Some([kind, name]) => Some((kind.as_str()?, name.as_str()?)),
            _ => None,
        };
        items.iter().map(|item| pair(item).ok_or_else(wrong)).collect()
    }
}

/// Bound and target as shares, weight in EUR/kWh.
struct TerminalShares {
    bound: Option<f64>,
    target: Option<f64>,
    weight: Option<f64>,
}

/// By the entry of the storage, or else by `default`. A storage that has an entry takes nothing from there.
fn terminal_of(
    own: &Block<'_>,
    weights: Option<&Value>,
    storage: &str,
) -> Result<TerminalShares, SimcesError> {
    let usual = TerminalShares { bound: Some(USUAL_BOUND_PERCENT / 100.0), target: None, weight: None };
    let Some(weights) = weights else { return Ok(usual) };
    let expected = "an object of storages";
    let entries = weights.as_object().ok_or_else(|| own.wrong("Weights", expected, &shown(Some(weights))))?;
    let Some((name, entry)) = entries.get_key_value(storage).or_else(|| entries.get_key_value("default"))
    else {
        return Ok(usual);
    };
    let place = format!("{}.Weights.{name}", own.place);
    let Some(entries) = entry.as_object() else {
        let expected = "TerminalSOCBound, TerminalSOCTarget and TerminalWeight";
        return Err(SimcesError::Content { place, expected, found: shown(Some(entry)) });
    };
    let block = Block { place, entries };
    let share = |percent: f64| percent / 100.0;
    Ok(TerminalShares {
        bound: block.percent("TerminalSOCBound")?.map(share),
        target: block.percent("TerminalSOCTarget")?.map(share),
        weight: block.number("TerminalWeight", (0.0, 1e6), "a price in EUR/kWh of 0 or more")?,
    })
}

fn storage(name: &str, block: &Block<'_>, terminal: &TerminalShares) -> Result<StorageSettings, SimcesError> {
    let rated = |key: &str| {
        let expected = "a number above 0";
        let number = block.number(key, (f64::MIN_POSITIVE, 1e9), expected)?;
        number.ok_or_else(|| block.wrong(key, expected, "nothing"))
    };
    let (capacity_kwh, kw_rated) = (rated("KwhRated")?, rated("KwRated")?);
    let share = |key: &str, usual: f64| Ok::<f64, SimcesError>(block.percent(key)?.unwrap_or(usual) / 100.0);
    let efficiency = |key: &str| {
        let found = block.number(key, (f64::MIN_POSITIVE, 100.0), "a number above 0, to 100")?;
        Ok::<f64, SimcesError>(found.unwrap_or(90.0) / 100.0)
    };
    let TerminalShares { bound, target, weight } = *terminal;
    Ok(StorageSettings {
        name: name.to_owned(),
        capacity_kwh,
        charge_max_kw: share("ChargeRate", 100.0)? * kw_rated,
        discharge_max_kw: share("DischargeRate", 100.0)? * kw_rated,
        charge_efficiency: efficiency("ChargeEfficiency")?,
        discharge_efficiency: efficiency("DischargeEfficiency")?,
        self_discharge: share("SelfDischarge", 0.0)?,
        wear_eur_per_kwh: USUAL_WEAR_EUR_PER_KWH,
        initial_percent: 100.0 * share("InitialStateOfCharge", 0.0)?,
        terminal: Terminal::of(capacity_kwh, bound, target, weight),
    })
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string().chars().take(60).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn simces() -> SimcesDispatch {
        SimcesDispatch {
            start_file: "start.json".into(),
            steps: 36,
            step: Duration::from_secs(3600),
            topic: "ResourceForecastState.Dispatch".into(),
            commitment_time: None,
            market: None,
            skip_open_offers: false,
            solver: SolverSettings::default(),
            storage_model: StorageModel::Rated,
            on_infeasible: OnInfeasible::Error,
        }
    }

    fn components(weights: Value) -> Map<String, Value> {
        let all = json!({
            "EconomicDispatch": {"ed": {
                "Resources": [
                    ["StaticTimeSeriesResource", "home1"], ["PriceForecaster", "spot"],
                    ["StorageResource", "battery"],
                ],
                "Weights": weights,
            }},
            "StorageResource": {"battery": {
                "KwhRated": 10, "KwRated": "4", "InitialStateOfCharge": 50.0, "ChargeRate": 50, "CustomerId": "c7",
            }},
        });
        all.as_object().cloned().unwrap()
    }

    fn error(components: &Map<String, Value>) -> String {
        simces().of_start("ed", components).unwrap_err().to_string()
    }

    #[test]
    fn units_and_storages_come_from_the_start_message() {
        let settings = simces().of_start("ed", &components(Value::Null)).unwrap();
        assert_eq!(
            (&settings.resources[..], settings.markets[0].name.as_str()),
            (&["home1".to_owned()][..], "spot")
        );
        let battery = &settings.storages[0];
        assert_eq!(
            (battery.charge_max_kw, battery.discharge_max_kw, battery.charge_efficiency),
            (2.0, 4.0, 0.9)
        );
        assert_eq!((battery.initial_percent, battery.terminal.least_kwh), (50.0, 4.0), "the usual bound");
    }

    #[test]
    fn a_storage_with_weights_of_its_own_takes_nothing_from_the_default() {
        let least = |weights| simces().of_start("ed", &components(weights)).unwrap().storages[0].terminal;
        assert_eq!(least(json!({"default": {"TerminalSOCBound": 20}})).least_kwh, 2.0);
        let own = json!({"default": {"TerminalSOCBound": 20}, "battery": {"TerminalSOCTarget": 60, "TerminalWeight": 0.3}});
        let own = least(own);
        assert_eq!((own.least_kwh, own.most_kwh, own.penalty), (0.0, 10.0, Some((0.3, 6.0))));
    }

    #[test]
    fn what_is_wrong_in_the_start_message_is_told_with_its_place() {
        let mut without = components(Value::Null);
        without.remove("StorageResource");
        let expected = "ProcessParameters.StorageResource.battery of the Start message: expected the attributes of a \
                        process, found nothing";
        assert_eq!(error(&without), expected);
        let told = error(&components(json!({"battery": {"TerminalSOCBound": 140}})));
        assert!(
            told.starts_with("ProcessParameters.EconomicDispatch.ed.Weights.battery.TerminalSOCBound"),
            "{told}"
        );
        assert!(error(&Map::new()).contains("ProcessParameters.EconomicDispatch.ed of the Start message"));
        let mut odd = components(Value::Null);
        odd["EconomicDispatch"]["ed"]["Resources"] = json!([["Windmill", "w"]]);
        assert!(error(&odd).contains("found Windmill"));
        odd["EconomicDispatch"]["ed"]["Resources"] = json!("home1");
        assert!(error(&odd).contains("an array of [type, name]"));
    }

    #[test]
    fn a_start_file_that_is_not_there_is_told() {
        let told = simces().settings("ed").map_err(Fault::from).unwrap_err();
        assert!(told.description().starts_with("start.json: cannot be read: "), "{told}");
    }
}
