//! An economic dispatch as a configuration describes it: [`DispatchSettings`].

use super::problem::{StorageModel, Terminal};
use super::solve::{Solver, SolverSettings};
use gridloop_messages::topic;
use gridloop_service::Section;
use std::collections::BTreeSet;
use std::time::Duration;

/// Steps of the longest horizon: a week in steps of a quarter of an hour, and some.
const MOST_STEPS: usize = 1_000;
/// Share of the rated energy that must be stored at the end where nothing is said (as SimCES), in %.
pub(super) const USUAL_BOUND_PERCENT: f64 = 40.0;
/// So little that it decides only between plans that cost the same otherwise.
pub(super) const USUAL_WEAR_EUR_PER_KWH: f64 = 1e-5;

/// What a community has, and how it is planned.
#[derive(Debug, Clone, PartialEq)]
pub struct DispatchSettings {
    /// Steps of the horizon.
    pub steps: usize,
    /// Length of a step.
    pub step: Duration,
    /// Units that cannot be controlled; each needs a forecast.
    pub resources: Vec<String>,
    /// Where energy is bought and sold; each needs prices.
    pub markets: Vec<MarketSettings>,
    /// What is planned.
    pub storages: Vec<StorageSettings>,
    /// Conventions of the storages.
    pub storage_model: StorageModel,
    /// How plans are found.
    pub solver: SolverSettings,
    /// What to do when no plan meets all conditions.
    pub on_infeasible: OnInfeasible,
    /// What to do with inputs that end before the horizon.
    pub on_short: OnShort,
    /// What to do when an input does not come.
    pub on_late: OnLate,
    /// How long inputs, and then the states of storages, are waited for.
    pub input_timeout: Duration,
    /// Where plans are published.
    pub topic: String,
    /// When and how markets are promised what they are planned to deliver.
    pub commitment: Option<CommitmentSettings>,
    /// The flexibility market that it takes part in.
    pub flexibility: Option<FlexibilitySettings>,
}

/// Taking part in a flexibility market.
#[derive(Debug, Clone, PartialEq)]
pub struct FlexibilitySettings {
    /// The market.
    pub market: String,
    /// Names of all loads, generators and storages of the community. Their customers are those of the community.
    pub resources: BTreeSet<String>,
    /// Offers to other congestions of the same epoch are left out of account.
    pub skip_open_offers: bool,
    /// An offer is so many times as dear as what it costs.
    pub price_factor: f64,
    /// No offer is cheaper, in EUR.
    pub price_least_eur: f64,
}

/// Promises to markets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CommitmentSettings {
    /// Time of the day (UTC) from which the next day is promised.
    pub time: Duration,
    /// What more than promised costs on top of its price, in purchase prices.
    pub more: f64,
    /// What is lost of the price of less than promised, in purchase prices.
    pub less: f64,
}

/// A market. Its purchase prices are those of the PriceForecastState with its name as MarketId.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketSettings {
    /// Its name.
    pub name: String,
    /// What a sold kWh brings.
    pub sale: SalePrice,
    /// The most that is bought; may be infinite.
    pub purchase_max_kw: f64,
    /// The most that is sold; may be infinite.
    pub sale_max_kw: f64,
}

/// How a market pays.
#[derive(Debug, Clone, PartialEq)]
pub enum SalePrice {
    /// Always this, in EUR/kWh.
    Fixed(f64),
    /// So many purchase prices.
    Factor(f64),
    /// The prices of the PriceForecastState of this MarketId.
    Market(String),
}

/// A storage, with the parameters of its component (wire contract 6.2).
#[derive(Debug, Clone, PartialEq)]
pub struct StorageSettings {
    /// Its name.
    pub name: String,
    /// Rated energy.
    pub capacity_kwh: f64,
    /// The most it charges with.
    pub charge_max_kw: f64,
    /// The most it discharges with.
    pub discharge_max_kw: f64,
    /// Stored energy per charged energy.
    pub charge_efficiency: f64,
    /// Discharged energy per energy taken from the store.
    pub discharge_efficiency: f64,
    /// Share, as [`StorageModel`] says.
    pub self_discharge: f64,
    /// What a discharged kWh costs in wear.
    pub wear_eur_per_kwh: f64,
    /// State of charge until it tells its own, in %.
    pub initial_percent: f64,
    /// Where it must end.
    pub terminal: Terminal,
}

/// What to do when no plan meets all conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInfeasible {
    /// Status `error` that names the conditions.
    Error,
    /// The plan that departs from them by as little as can be, with a warning that says where.
    Relax,
}

/// What to do with inputs that end before the horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnShort {
    /// Status `error` that names the input and its end.
    Error,
    /// A plan for as many steps as all inputs cover, with a warning.
    Shorten,
}

/// What to do when an input does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLate {
    /// Status `error` that names the input.
    Error,
    /// What remains of the last plan, with a warning; an error if nothing does.
    LastPlan,
}

impl DispatchSettings {
    /// Reads the table `section` of kind `economic-dispatch`.
    #[must_use]
    pub fn read(section: &Section<'_>) -> Self {
        let horizon_h =
            section.number("horizon_h", "How far it plans, in h.").positive().at_most(10_000.0).or(36.0);
        let step = section
            .duration_s("timestep_s", "Length of a step of the plan, in s.")
            .at_least(1.0)
            .at_most(86_400.0)
            .or(Duration::from_secs(3600));
        let storage_model = section
            .text("storage_model", "`gridloop`: self-discharge is a share of the rated energy per hour, terminal conditions hold for the end of the horizon. `simces`: a share of the stored energy per step, and the beginning of the last step.")
            .choice(&[("gridloop", StorageModel::Rated), ("simces", StorageModel::Simces)])
            .or(StorageModel::Rated);
        let markets = section.named_sections("market", "Where energy is bought and sold, by MarketId.");
        let storages = section.named_sections("storage", "Storages that are planned, by name.");
        let settings = Self {
            steps: steps(section, horizon_h, step),
            step,
            resources: section.texts("resources", "Loads and generators that cannot be controlled; each needs forecasts.").or(Vec::new()),
            markets: markets.iter().map(MarketSettings::read).collect(),
            storages: storages.iter().map(StorageSettings::read).collect(),
            storage_model,
            solver: read_solver(section),
            on_infeasible: section
                .text("on_infeasible", "When no plan meets all conditions: `error`, or `relax` for one that misses them by as little as can be, with a warning.")
                .choice(&[("error", OnInfeasible::Error), ("relax", OnInfeasible::Relax)])
                .or(OnInfeasible::Error),
            on_short: section
                .text("on_short_input", "When forecasts or prices end before the horizon: `error`, or `shorten` for a plan as long as they are.")
                .choice(&[("error", OnShort::Error), ("shorten", OnShort::Shorten)])
                .or(OnShort::Error),
            on_late: section
                .text("on_late_input", "When an input does not come: `error`, or `last-plan` for what remains of the last plan.")
                .choice(&[("error", OnLate::Error), ("last-plan", OnLate::LastPlan)])
                .or(OnLate::Error),
            input_timeout: section
                .duration_s("input_timeout_s", "How long inputs are waited for, in s.")
                .positive()
                .at_most(86_400.0)
                .or(Duration::from_secs(120)),
            topic: section.text("topic", "Topic of its plans.").or(topic::DISPATCH.to_owned()),
            commitment: read_commitment(section),
            flexibility: None,
        };
        let flexibility = read_flexibility(section, &settings);
        let settings = Self { flexibility, ..settings };
        settings.check(section);
        settings
    }

    /// Reports what is wrong with the tables together.
    fn check(&self, section: &Section<'_>) {
        if self.resources.is_empty() && self.storages.is_empty() {
            section.error(
                Some("resources"),
                "names of loads and generators, or a table [….storage.NAME]",
                None,
            );
        }
        let mut names = BTreeSet::new();
        let all = self.resources.iter().chain(self.storages.iter().map(|it| &it.name));
        for name in all.chain(self.markets.iter().map(|it| &it.name)) {
            if !names.insert(name) {
                let expected = "resources, storages and markets that all have different names";
                section.error(None, expected, Some(format!("{name:?} is there twice")));
            }
        }
    }
}

/// How many steps a horizon has; nothing if it is no whole number of them, or more than 1000.
#[must_use]
pub fn steps_of(horizon: Duration, step: Duration) -> Option<usize> {
    let steps = horizon.as_secs_f64() / step.as_secs_f64();
    (1..=MOST_STEPS).find(|count| (*count as f64 - steps).abs() < 1e-6)
}

/// Whole steps of the horizon.
fn steps(section: &Section<'_>, horizon_h: f64, step: Duration) -> usize {
    let horizon = Duration::try_from_secs_f64(3600.0 * horizon_h).unwrap_or_default();
    steps_of(horizon, step).unwrap_or_else(|| {
        let steps = horizon.as_secs_f64() / step.as_secs_f64();
        let expected = format!("1 to {MOST_STEPS} whole steps of timestep_s");
        section.error(Some("horizon_h"), expected, Some(format!("these are {steps} steps")));
        1
    })
}

fn read_solver(section: &Section<'_>) -> SolverSettings {
    let solver = section
        .text("solver", "`microlp`, or in builds with the feature `highs` also `highs`.")
        .choice(&[("microlp", Solver::Microlp), ("highs", Solver::Highs)])
        .or(Solver::Microlp);
    if !solver.is_built_in() {
        let help = "build with `--features highs`, or leave the key out".to_owned();
        section.error(Some("solver"), "\"microlp\", for this build has no HiGHS", Some(help));
    }
    let limit = section
        .duration_s(
            "solve_limit_s",
            "How long a search for a plan may take, and one for all offers to a request, in s.",
        )
        .positive()
        .at_most(3600.0)
        .or(Duration::from_secs(10));
    SolverSettings { solver, limit }
}

fn read_commitment(section: &Section<'_>) -> Option<CommitmentSettings> {
    let time = section
        .text("commitment_time", "Time of the day (UTC) at which markets are promised the next day.")
        .such_as("12:00")
        .parsed(time_of_day)
        .optional();
    let factor = |key, about| section.number(key, about).within(0.0..=1000.0);
    let more =
        factor("commitment_more_factor", "What more than promised costs on top of its price, in prices.");
    let less =
        factor("commitment_less_factor", "What is lost of the price of less than promised, in prices.");
    let (more, less) = (more.or(2.0), less.or(0.5));
    time.map(|time| CommitmentSettings { time, more, less })
}

fn read_flexibility(section: &Section<'_>, dispatch: &DispatchSettings) -> Option<FlexibilitySettings> {
    let market = section
        .text("participating_market", "Name of the local flexibility market that it makes offers to.")
        .matching(|name| if name.is_empty() { Err("a name without letters".to_owned()) } else { Ok(()) })
        .optional();
    let skip_open_offers = section
        .boolean(
            "skip_open_offers",
            "An offer does not reckon with other offers of the same epoch being taken.",
        )
        .or(false);
    let price_factor = section
        .number("offer_price_factor", "An offer is so many times as dear as what it costs.")
        .within(0.0..=1000.0)
        .or(1.25);
    let price_least_eur =
        section.number("offer_price_least_eur", "No offer is cheaper, in EUR.").within(0.0..=1e9).or(1.0);
    let names = dispatch.resources.iter().chain(dispatch.storages.iter().map(|it| &it.name));
    let resources = names.cloned().collect();
    market.map(|market| FlexibilitySettings {
        market,
        resources,
        skip_open_offers,
        price_factor,
        price_least_eur,
    })
}

/// The time of the day that `HH:MM` spells, counted from midnight.
///
/// # Errors
/// What is wrong with the text.
pub fn time_of_day(text: &str) -> Result<Duration, String> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let two = |digits: &str| {
            let good = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
            if good { digits.parse::<u64>().ok() } else { None }
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (hours < 24 && minutes < 60).then(|| Duration::from_secs(60 * (60 * hours + minutes)))
    });
    parsed.ok_or_else(|| format!("{text:?} is no time of the day"))
}

impl MarketSettings {
    fn read(section: &Section<'_>) -> Self {
        let kw = |key, about| section.number(key, about).at_least(0.0).optional();
        let fixed = section
            .number(
                "sale_price_eur_per_kwh",
                "What a sold kWh brings, whenever it is sold. 0 if nothing is said of sale prices.",
            )
            .optional();
        let factor = section
            .number("sale_price_factor", "What a sold kWh brings, in purchase prices.")
            .within(0.0..=100.0)
            .optional();
        let market = section
            .text("sale_price_market", "MarketId of the forecasts that say what a sold kWh brings.")
            .optional();
        if [fixed.is_some(), factor.is_some(), market.is_some()].into_iter().filter(|given| *given).count()
            > 1
        {
            section.error(
                None,
                "one of sale_price_eur_per_kwh, sale_price_factor and sale_price_market",
                None,
            );
        }
        let sale = match (fixed, factor, market) {
            (_, _, Some(market)) => SalePrice::Market(market),
            (_, Some(factor), None) => SalePrice::Factor(factor),
            (fixed, None, None) => SalePrice::Fixed(fixed.unwrap_or(0.0)),
        };
        Self {
            name: section.name().to_owned(),
            sale,
            purchase_max_kw: kw("purchase_max_kw", "The most that is bought; no limit if it is not there.")
                .unwrap_or(f64::INFINITY),
            sale_max_kw: kw("sale_max_kw", "The most that is sold; no limit if it is not there.")
                .unwrap_or(f64::INFINITY),
        }
    }
}

impl StorageSettings {
    fn read(section: &Section<'_>) -> Self {
        let percent = |key, about| section.number(key, about).within(0.0..=100.0);
        let capacity_kwh =
            section.number("kwh_rated", "Rated energy, in kWh.").positive().at_most(1e9).required();
        let kw_rated = section.number("kw_rated", "Rated power, in kW.").positive().at_most(1e9).required();
        let rate = |key, about| percent(key, about).or(100.0) / 100.0 * kw_rated;
        let efficiency = |key, about| section.number(key, about).positive().at_most(100.0).or(90.0) / 100.0;
        Self {
            name: section.name().to_owned(),
            capacity_kwh,
            charge_max_kw: rate("charge_rate_percent", "The most it charges with, in % of kw_rated."),
            discharge_max_kw: rate("discharge_rate_percent", "The most it discharges with, in % of kw_rated."),
            charge_efficiency: efficiency("charge_efficiency_percent", "Stored of charged energy, in %."),
            discharge_efficiency: efficiency(
                "discharge_efficiency_percent",
                "Discharged energy of what is taken from the store, in %.",
            ),
            self_discharge: percent("self_discharge_percent", "Lost by itself, in % of the rated energy per hour; by storage_model = \"simces\" in % of the stored energy per step.").or(0.0)
                / 100.0,
            wear_eur_per_kwh: section.number("wear_eur_per_kwh", "What a discharged kWh costs in wear; above 0, energy is not moved for nothing.").within(0.0..=1e6).or(USUAL_WEAR_EUR_PER_KWH),
            initial_percent: percent("initial_state_of_charge_percent", "How full it is until it tells.").required(),
            terminal: read_terminal(section, capacity_kwh),
        }
    }
}

fn read_terminal(section: &Section<'_>, capacity_kwh: f64) -> Terminal {
    let percent = |key, about| section.number(key, about).within(0.0..=100.0).optional();
    let bound = percent(
        "terminal_soc_bound_percent",
        "Least state of charge at the end of the horizon, 40 if nothing is said of its end; with a target how far from that it may end.",
    );
    let target = percent("terminal_soc_target_percent", "State of charge at the end of the horizon.");
    let weight = section
        .number("terminal_weight_eur_per_kwh", "Price of each kWh that it ends away from the target.")
        .within(0.0..=1e6)
        .optional();
    if weight.is_some() && target.is_none() {
        section.error(None, "terminal_soc_target_percent with terminal_weight_eur_per_kwh", None);
    }
    let bound = if target.is_none() { Some(bound.unwrap_or(USUAL_BOUND_PERCENT)) } else { bound };
    let share = |percent: f64| percent / 100.0;
    Terminal::of(capacity_kwh, bound.map(share), target.map(share), weight)
}
