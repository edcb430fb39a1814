//! The component: [`EconomicDispatch`] gathers what a plan needs, publishes it, and waits for the storages that follow it.

use super::commitments::Commitments;
use super::flexibility::{Flexibility, Reference};
use super::plan::{Plan, Shortfall};
use super::problem::{MarketSteps, Problem, Settlement, Storage, Tariff};
use super::profile::{Profile, ms};
use super::settings::{DispatchSettings, MarketSettings, OnInfeasible, OnLate, OnShort, SalePrice};
use super::solve::{SolveError, solve, solve_relaxed};
use super::totals::Totals;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Refusal, Step, at_length};
use gridloop_messages::{
    Body, Dispatch, Message, PriceForecastState, TimeSeries, Timestamp, Warning, WarningKind,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Where forecasts, prices and states of storages come (wire contract 1.8).
const INPUTS: [&str; 4] = [
    "ResourceForecastState.Load.#",
    "ResourceForecastState.Generator.#",
    "PriceForecastState.#",
    "ResourceState.Storage.#",
];

/// Plans an energy community in every epoch (wire contract 6.5).
///
/// It waits for one ResourceForecastState.Power of each resource and one PriceForecastState of each market, publishes
/// a Dispatch for the steps from the beginning of the epoch on, and is ready when every storage has told its state in
/// this epoch. That state of charge is where the storage stands when the next epoch begins.
#[derive(Debug)]
pub struct EconomicDispatch {
    name: String,
    settings: DispatchSettings,
    /// What forecasts and prices of this epoch say, or what is wrong with them.
    forecasts: BTreeMap<String, Result<Profile, String>>,
    prices: BTreeMap<String, Result<Profile, String>>,
    /// The last input that could not be read, for whoever looks for one that is missing.
    refused: Option<String>,
    /// State of charge in % at the beginning of this epoch.
    stored_percent: BTreeMap<String, f64>,
    /// What storages said in this epoch; one without a state of charge keeps the one before.
    reported: BTreeMap<String, Option<f64>>,
    /// When the plan of this epoch was published.
    published_at: Option<MonoTime>,
    /// The last plan and the beginning of its first step.
    last: Option<(Timestamp, Plan)>,
    commitments: Commitments,
    flexibility: Option<Flexibility>,
    /// The plan of this epoch with what it was made from, for offers.
    reference: Option<Reference>,
    totals: Totals,
}

impl EconomicDispatch {
    /// The component `name`.
    #[must_use]
    pub fn new(name: &str, settings: DispatchSettings) -> Self {
        let stored_percent =
            settings.storages.iter().map(|it| (it.name.clone(), it.initial_percent)).collect();
        let flexibility = settings.flexibility.clone().map(|settings| Flexibility::new(name, settings));
        Self {
            name: name.to_owned(),
            settings,
            forecasts: BTreeMap::new(),
            prices: BTreeMap::new(),
            refused: None,
            stored_percent,
            reported: BTreeMap::new(),
            published_at: None,
            last: None,
            commitments: Commitments::default(),
            flexibility,
            reference: None,
            totals: Totals::default(),
        }
    }

    fn step_ms(&self) -> i64 {
        i64::try_from(self.settings.step.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    /// Markets whose prices are needed.
    fn priced(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for market in &self.settings.markets {
            names.insert(market.name.as_str());
            if let SalePrice::Market(sale) = &market.sale {
                names.insert(sale);
            }
        }
        names
    }

    fn take_forecast(&mut self, resource: &str, forecast: &TimeSeries) {
        if self.settings.resources.iter().any(|name| name == resource) {
            let profile = Profile::of(forecast, "RealPower", 1.0, self.step_ms());
            self.forecasts.insert(resource.to_owned(), profile);
        }
    }

    fn take_prices(&mut self, forecast: &PriceForecastState) {
        if !self.priced().contains(forecast.market_id.as_str()) {
            return;
        }
        let unit = forecast.prices.series.get("Price").map(|series| series.unit.as_str());
        let factor = match unit {
            Some("{EUR}/(kW.h)") => Ok(1.0),
            Some("{EUR}/(MW.h)") => Ok(0.001),
            Some(other) => {
                Err(format!("its unit is {other:?}; expected {}", PriceForecastState::UNITS.join(" or ")))
            }
            None => Err("there is no series `Price` in it".to_owned()),
        };
        let usual_ms = self.step_ms();
        let profile = factor.and_then(|factor| Profile::of(&forecast.prices, "Price", factor, usual_ms));
        self.prices.insert(forecast.market_id.clone(), profile);
    }

    /// The storage that a state on `topic` from `source` is about.
    fn storage_of(&self, topic: &str, source: &str) -> Option<String> {
        let last = topic.rsplit('.').next().unwrap_or_default();
        let known = |name: &str| self.settings.storages.iter().any(|storage| storage.name == name);
        [last, source].into_iter().find(|name| known(name)).map(str::to_owned)
    }

    /// What has not come yet, in words.
    fn missing(&self) -> Vec<String> {
        let forecasts = self.settings.resources.iter().filter(|name| !self.forecasts.contains_key(*name));
        let prices = self.priced().into_iter().filter(|name| !self.prices.contains_key(*name));
        let forecasts = forecasts.map(|name| format!("a forecast of {name}"));
        let market = self.flexibility.iter().flat_map(Flexibility::missing);
        forecasts.chain(prices.map(|name| format!("prices of {name}"))).chain(market).collect()
    }

    /// What the epoch is not completed without, in words.
    fn missing_in_the_end(&self) -> Vec<String> {
        let storages = self.settings.storages.iter().map(|storage| &storage.name);
        let market = self.flexibility.iter().filter_map(Flexibility::missing_status);
        storages
            .filter(|name| !self.reported.contains_key(*name))
            .map(|name| format!("the state of {name}"))
            .chain(market)
            .collect()
    }

    /// The profiles, if nothing is wrong with any.
    fn profiles(&self) -> Result<Vec<(String, &Profile)>, Fault> {
        let forecasts = self.forecasts.iter().map(|(name, it)| (format!("the forecast of {name}"), it));
        let prices = self.prices.iter().map(|(name, it)| (format!("the prices of {name}"), it));
        let checked = forecasts.chain(prices).map(|(what, profile)| match profile {
            Ok(profile) => Ok((what, profile)),
            Err(reason) => Err(Fault::new(format!("{what} cannot be used: {reason}"))),
        });
        checked.collect()
    }

    /// How many steps all inputs cover, and a warning if these are fewer than the horizon has.
    fn steps(&mut self, epoch: &OpenEpoch) -> Result<(usize, Option<Warning>), Fault> {
        let (start_ms, step_ms, wanted) = (ms(epoch.start_time), self.step_ms(), self.settings.steps);
        let profiles = self.profiles()?;
        let covered = profiles
            .iter()
            .map(|(what, profile)| (profile.steps(start_ms, step_ms, wanted).len(), what, profile));
        let Some((steps, what, profile)) = covered.min_by_key(|(steps, ..)| *steps) else {
            return Ok((wanted, None));
        };
        if steps >= wanted {
            return Ok((wanted, None));
        }
        let (from, to) = profile.span_ms();
        let spelled = |at_ms: i64| chrono::DateTime::from_timestamp_millis(at_ms).map(Timestamp::from);
        let spelled = |at_ms| spelled(at_ms).map_or_else(|| "?".to_owned(), |time| time.to_string());
        let end_ms = start_ms + step_ms.saturating_mul(i64::try_from(wanted).unwrap_or(i64::MAX));
        let text = format!(
            "{what} goes from {} to {}, the horizon from {} to {}",
            spelled(from),
            spelled(to),
            epoch.start_time,
            spelled(end_ms)
        );
        if steps == 0 || self.settings.on_short == OnShort::Error {
            return Err(Fault::new(text));
        }
        self.totals.shortened += 1;
        let text = format!("{text}; the plan has {steps} steps");
        Ok((steps, Some(Warning::new(WarningKind::Input, &text))))
    }

    /// What is to be planned, with what was promised to the flexibility market.
    fn problem(&self, epoch: &OpenEpoch, steps: usize) -> Problem {
        let mut problem = self.plain_problem(epoch, steps);
        if let Some(flexibility) = &self.flexibility {
            problem.regulations = flexibility.promised(&problem, ms(epoch.start_time), self.step_ms());
        }
        problem
    }

    fn plain_problem(&self, epoch: &OpenEpoch, steps: usize) -> Problem {
        let (start_ms, step_ms) = (ms(epoch.start_time), self.step_ms());
        let values = |profile: Option<&Result<Profile, String>>| match profile {
            Some(Ok(profile)) => profile.steps(start_ms, step_ms, steps),
            _ => Vec::new(),
        };
        let mut fixed_kw = vec![0.0; steps];
        for name in &self.settings.resources {
            for (sum, value) in fixed_kw.iter_mut().zip(values(self.forecasts.get(name))) {
                *sum += value;
            }
        }
        let markets = self.settings.markets.iter().map(|market| {
            let purchase = values(self.prices.get(&market.name));
            let sale = match &market.sale {
                SalePrice::Fixed(price) => vec![*price; steps],
                SalePrice::Factor(factor) => purchase.iter().map(|price| factor * price).collect(),
                SalePrice::Market(name) => values(self.prices.get(name)),
            };
            let mut from = start_ms;
            let step = |(purchase, sale)| {
                let settlement = self.settlement(market, purchase, sale, (from, from + step_ms));
                from += step_ms;
                settlement
            };
            MarketSteps {
                name: market.name.clone(),
                steps: purchase.into_iter().zip(sale).map(step).collect(),
            }
        });
        let markets = markets.collect();
        let storages = self.settings.storages.iter().map(|it| {
            let percent = self.stored_percent.get(&it.name).copied().unwrap_or(it.initial_percent);
            Storage {
                name: it.name.clone(),
                capacity_kwh: it.capacity_kwh,
                charge_max_kw: it.charge_max_kw,
                discharge_max_kw: it.discharge_max_kw,
                charge_efficiency: it.charge_efficiency,
                discharge_efficiency: it.discharge_efficiency,
                self_discharge: it.self_discharge,
                wear_eur_per_kwh: it.wear_eur_per_kwh,
                initial_kwh: (percent / 100.0).clamp(0.0, 1.0) * it.capacity_kwh,
                terminal: it.terminal,
            }
        });
        Problem {
            step_h: self.settings.step.as_secs_f64() / 3600.0,
            fixed_kw,
            storage_model: self.settings.storage_model,
            storages: storages.collect(),
            markets,
            regulations: Vec::new(),
            first_kw: None,
        }
    }

    fn settlement(
        &self,
        market: &MarketSettings,
        purchase_eur_per_kwh: f64,
        sale_eur_per_kwh: f64,
        (from, to): (i64, i64),
    ) -> Settlement {
        let MarketSettings { purchase_max_kw, sale_max_kw, .. } = *market;
        let tariff = Tariff { purchase_eur_per_kwh, sale_eur_per_kwh, purchase_max_kw, sale_max_kw };
        let committed = self.settings.commitment.zip(self.commitments.kw(&market.name, from, to));
        match committed {
            Some((settings, kw)) => tariff.committed(kw, settings.more, settings.less),
            None => tariff.open(),
        }
    }

    /// The plan of this epoch, and what is to be known of it.
    fn plan(&mut self, epoch: &OpenEpoch) -> Result<(Plan, Vec<Warning>), Fault> {
        let (steps, shortened) = self.steps(epoch)?;
        let mut warnings: Vec<Warning> = shortened.into_iter().collect();
        self.commitments.forget(ms(epoch.start_time));
        let problem = self.problem(epoch, steps);
        let fault = |error: &SolveError| Fault::new(format!("no plan for epoch {}: {error}", epoch.number));
        let solver = self.settings.solver;
        let plan = match at_length(|| solve(&problem, solver)) {
            Ok(plan) => plan,
            Err(error @ SolveError::Infeasible) => {
                let relaxed = at_length(|| solve_relaxed(&problem, solver));
                let plan = relaxed.map_err(|_| fault(&error))?;
                let text = format!("{error}: {}", plan.shortfalls_in_words());
                // What was promised to a market is paid for there when it is missing; that is no reason to stop.
                let promises = |it: &Shortfall| matches!(it, Shortfall::Regulation { .. });
                let only_promises = plan.shortfalls.iter().all(promises);
                if self.settings.on_infeasible == OnInfeasible::Error && !only_promises {
                    return Err(Fault::new(format!("no plan for epoch {}: {text}", epoch.number)));
                }
                self.totals.relaxed += 1;
                warnings.push(Warning::new(WarningKind::Other, &text));
                plan
            }
            Err(error) => return Err(fault(&error)),
        };
        self.commit(epoch, &plan);
        if self.flexibility.is_some() {
            let (start, step) = (epoch.start_time, self.settings.step);
            self.reference = Some(Reference { start, step, problem, plan: plan.clone() });
        }
        self.totals.planned += 1;
        self.totals.with_binaries += u64::from(plan.binaries > 0);
        if plan.cut_short {
            self.totals.cut_short += 1;
            warnings.push(cut_short(solver.limit));
        }
        Ok((plan, warnings))
    }

    fn commit(&mut self, epoch: &OpenEpoch, plan: &Plan) {
        let Some(settings) = self.settings.commitment else { return };
        let (start_ms, end_ms) = (ms(epoch.start_time), ms(epoch.end_time));
        let time_ms = i64::try_from(settings.time.as_millis()).unwrap_or_default();
        let step_ms = self.step_ms();
        if let Some(span) = self.commitments.due(start_ms, end_ms, time_ms) {
            self.commitments.promise(plan, start_ms, step_ms, span);
        }
    }

    /// A plan from the step on that the epoch begins in.
    fn output(
        &self,
        epoch: &OpenEpoch,
        start: Timestamp,
        plan: &Plan,
        warnings: Vec<Warning>,
    ) -> Option<Output> {
        let late = ms(epoch.start_time).checked_sub(ms(start)).filter(|late| *late >= 0)?;
        let skipped = usize::try_from(late / self.step_ms()).ok()?;
        let steps = plan.units().map(|(_, power)| power.len()).max().unwrap_or(self.settings.steps);
        let time =
            |n: usize| start.plus(self.settings.step.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX)));
        let times: Vec<Timestamp> = (skipped..steps).map(time).collect();
        if times.is_empty() {
            return None;
        }
        let series = |(name, power): (&str, &[f64])| {
            let power = power.iter().skip(skipped).copied().collect();
            (name.to_owned(), TimeSeries::single(times.clone(), "RealPower", "kW", power))
        };
        let dispatch = Dispatch { dispatch: plan.units().map(series).collect() };
        let output = Output::new(self.settings.topic.clone(), Body::Dispatch(dispatch));
        Some(Output { warnings, ..output })
    }

    /// Inputs have not come in time.
    fn late(&mut self, epoch: &OpenEpoch, missing: &[String]) -> Result<Output, Fault> {
        let waited = self.settings.input_timeout.as_secs_f64();
        let mut text =
            format!("epoch {}: within {waited} s there was not {}", epoch.number, missing.join(", nor "));
        if let Some(refused) = &self.refused {
            text = format!("{text}; refused was: {refused}");
        }
        if self.settings.on_late == OnLate::Error {
            return Err(Fault::new(text));
        }
        let Some((start, plan)) = self.last.clone() else {
            return Err(Fault::new(format!("{text}, and there is no plan before it")));
        };
        let warning =
            Warning::new(WarningKind::InputUnreliable, &format!("{text}; this is the plan of {start}"));
        let Some(output) = self.output(epoch, start, &plan, vec![warning]) else {
            return Err(Fault::new(format!("{text}, and nothing is left of the plan of {start}")));
        };
        tracing::warn!(component = %self.name, "{text}");
        self.totals.repeated += 1;
        self.totals.count(epoch, (start, self.settings.step), &plan);
        Ok(output)
    }

    fn gather(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let missing = self.missing();
        let output = if missing.is_empty() {
            let (plan, warnings) = self.plan(epoch)?;
            let start = epoch.start_time;
            let output = self.output(epoch, start, &plan, warnings);
            self.totals.count(epoch, (start, self.settings.step), &plan);
            self.last = Some((start, plan));
            output.ok_or_else(|| Fault::new(format!("epoch {} has no time to plan for", epoch.number)))?
        } else {
            let until = epoch.opened_at + self.settings.input_timeout;
            if now < until {
                return Ok(Step::WakeAt(until));
            }
            self.late(epoch, &missing)?
        };
        self.published_at = Some(now);
        Ok(Step::Publish(vec![output]))
    }

    /// Answers to the next request of the flexibility market, if there is one.
    fn offers(&mut self) -> Option<Vec<Output>> {
        let flexibility = self.flexibility.as_mut()?;
        let need = flexibility.next_request()?;
        let (reference, solver) = (self.reference.as_ref(), self.settings.solver);
        Some(at_length(|| flexibility.answer(&need, reference, solver)))
    }

    fn finish(&mut self, epoch: &OpenEpoch, now: MonoTime, published: MonoTime) -> Result<Step, Fault> {
        if let Some(offers) = self.offers() {
            return Ok(Step::Publish(offers));
        }
        let missing = self.missing_in_the_end();
        if missing.is_empty() {
            return Ok(Step::Done(Vec::new()));
        }
        let until = published + self.settings.input_timeout;
        let until = epoch.deadline.map_or(until, |deadline| until.max(deadline));
        if now < until {
            return Ok(Step::WakeAt(until));
        }
        let text = format!("epoch {}: in time there was not {}", epoch.number, missing.join(", nor "));
        if self.settings.on_late == OnLate::Error {
            return Err(Fault::new(text));
        }
        tracing::warn!(component = %self.name, "{text}");
        self.totals.storages_late += 1;
        Ok(Step::Done(Vec::new()))
    }
}

/// Said with a plan of which nobody knows whether it is the cheapest.
fn cut_short(limit: Duration) -> Warning {
    let text = format!("the best plan found within {} s, perhaps not the cheapest", limit.as_secs_f64());
    Warning::new(WarningKind::Other, &text)
}

impl Component for EconomicDispatch {
    fn inputs(&self) -> Vec<String> {
        let market = self.flexibility.iter().flat_map(Flexibility::inputs);
        INPUTS.map(str::to_owned).into_iter().chain(market).collect()
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        for (name, percent) in std::mem::take(&mut self.reported) {
            if let Some(percent) = percent {
                self.stored_percent.insert(name, percent);
            }
        }
        self.forecasts.clear();
        self.prices.clear();
        self.refused = None;
        self.published_at = None;
        self.reference = None;
        if let Some(flexibility) = &mut self.flexibility {
            flexibility.open(ms(epoch.start_time));
        }
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        match &message.body {
            Body::ResourceForecast(it) => self.take_forecast(&it.resource_id, &it.forecast),
            Body::PriceForecastState(it) => self.take_prices(it),
            Body::ResourceState(it) => {
                if let Some(name) = self.storage_of(topic, &message.header.source_process_id) {
                    self.reported.insert(name, it.state_of_charge_percent);
                }
            }
            _ => {}
        }
        if let Some(flexibility) = &mut self.flexibility {
            flexibility.take(message);
        }
        Ok(())
    }

    fn refused(&mut self, refusal: &Refusal) {
        self.refused = Some(refusal.to_string());
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        match self.published_at {
            None => self.gather(epoch, now),
            Some(published) => self.finish(epoch, now, published),
        }
    }

    fn findings(&self) -> Option<serde_json::Value> {
        let mut findings = self.totals.findings();
        if let Some(flexibility) = &self.flexibility {
            findings["requests_answered"] = flexibility.requests_answered.into();
            findings["offers_made"] = flexibility.offers_made.into();
            findings["offers_taken"] = flexibility.offers_taken.into();
        }
        Some(findings)
    }
}
