//! Predictive grid optimisation on the bus: [`PredictiveOptimization`].

use super::core::{Judged, PredictiveCore, Violation};
use super::forecast::ForecastInbox;
use super::negotiation::{Negotiation, Outcome};
use super::settings::PredictiveSettings;
use crate::commands::{give_up_at, listed, warned};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Step};
use gridloop_grid::{Known, NetworkSource, Solvable};
use gridloop_messages::{Body, CustomerInfo, Message, SelectedOffer, Status, StatusValue, topic};
use serde_json::{Value, json};
use std::time::Duration;

/// After this time, what is waited for is told in the log.
const TOLD_AFTER: Duration = Duration::from_secs(10);
/// Warnings that one message carries at most; the others are only logged.
const MOST_WARNINGS: usize = 20;

/// Asks a flexibility market for what a forecast of the network needs (wire contract 6.12).
///
/// In an epoch in which the market is open it waits for the network (once), for all voltages and rated currents of the
/// forecast and for the ready Status of the predictor. Then it publishes a FlexibilityNeed for each congestion, waits for
/// all LFMOfferings, selects, and waits for the LFMMarketResult. Its Status goes to `PgoReady.<name>` as well, for the
/// market waits for that.
pub struct PredictiveOptimization {
    name: String,
    settings: PredictiveSettings,
    known: Option<Known>,
    /// What CIS told, for a model that does not know its customers.
    customers: Option<CustomerInfo>,
    core: Option<PredictiveCore>,
    forecast: ForecastInbox,
    predictor_ready: bool,
    negotiation: Negotiation,
    phase: Phase,
    /// What is waited for was told in this phase.
    told: bool,
    warnings: Vec<String>,
    totals: Totals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The market is closed, or all is done.
    Finished,
    /// The forecast is waited for.
    Forecast { since: MonoTime },
    /// The market was asked.
    Offers { since: MonoTime },
    /// The market was told the selection.
    Results { since: MonoTime },
}

#[derive(Debug, Default)]
struct Totals {
    epochs_open: u64,
    epochs_without_forecast: u64,
    epochs_without_market: u64,
    violations: u64,
    worst: Option<Violation>,
    needs: u64,
    requested_kw: f64,
    needed_kw: f64,
    outcome: Outcome,
}

impl PredictiveOptimization {
    /// The component called `name`.
    #[must_use]
    pub fn new(name: &str, settings: PredictiveSettings) -> Self {
        Self {
            name: name.to_owned(),
            settings,
            known: None,
            customers: None,
            core: None,
            forecast: ForecastInbox::default(),
            predictor_ready: false,
            negotiation: Negotiation::default(),
            phase: Phase::Finished,
            told: false,
            warnings: Vec::new(),
            totals: Totals::default(),
        }
    }

    fn needs_customers(&self) -> bool {
        matches!(self.settings.network, NetworkSource::OpenDss(_))
    }

    /// Makes the core, once, when the network is known.
    fn learn(&mut self) {
        let is_known = self.known.as_ref().is_some_and(|known| known.get().is_some());
        if self.core.is_some() || !is_known || (self.needs_customers() && self.customers.is_none()) {
            return;
        }
        let Some(Solvable { engine, resources, .. }) = self.known.take().and_then(Known::into_network) else {
            return;
        };
        let mut customers: Vec<(String, String)> =
            resources.into_values().map(|place| (place.customer_id, place.bus)).collect();
        if let Some(info) = &self.customers {
            customers.extend(info.customer_id.iter().cloned().zip(info.bus_name.iter().cloned()));
        }
        let PredictiveSettings { limits, trade, .. } = self.settings;
        self.core = Some(PredictiveCore::new(limits, trade, engine, customers));
    }

    /// What the judgement of the forecast waits for.
    fn missing_forecast(&self) -> Vec<String> {
        let mut missing: Vec<String> =
            self.known.iter().flat_map(Known::missing).map(str::to_owned).collect();
        if self.core.is_none() && self.needs_customers() && self.customers.is_none() {
            missing.push(topic::CUSTOMER_INFO.to_owned());
        }
        if !self.predictor_ready {
            missing.push(format!("ready Status of {}", self.settings.predictor));
        }
        if let Some(core) = &self.core {
            missing.extend(self.forecast.missing(core.places()));
        }
        missing
    }

    /// What the forecast of the epochs after this one needs.
    fn judge(&mut self, epoch: &OpenEpoch) -> Judged {
        let Some(core) = &mut self.core else { return Judged::default() };
        let until = epoch.start_time.plus(self.settings.horizon);
        let span = epoch.end_time.as_datetime() - epoch.start_time.as_datetime();
        let (expected, unknown) = self.forecast.expected(
            core.topology(),
            core.places(),
            [epoch.end_time, until],
            span.to_std().unwrap_or_default(),
        );
        core.forget_before(epoch.start_time);
        let judged = core.judge(&expected, |topology, at| self.forecast.operation(topology, at));
        if !unknown.is_empty() {
            let places: Vec<String> = unknown.into_iter().collect();
            self.warnings.push(format!("the forecast of {} has gaps, which are not judged", listed(&places)));
        }
        self.warnings.extend(self.forecast.doubt.take());
        self.warnings.extend(judged.warnings.iter().cloned());
        self.totals.violations += judged.violations;
        if let Some(violation) = &judged.worst
            && self.totals.worst.as_ref().is_none_or(|worst| violation.is_worse_than(worst))
        {
            self.totals.worst = Some(violation.clone());
        }
        judged
    }

    /// Asks the market for what is needed; nothing if nothing is.
    fn ask(&mut self, epoch: &OpenEpoch) -> Vec<Output> {
        let needs = self.judge(epoch).needs;
        self.totals.needs += u64::try_from(needs.len()).unwrap_or(u64::MAX);
        self.totals.needed_kw += needs.iter().map(|need| need.needed_kw).sum::<f64>();
        self.totals.requested_kw += needs.iter().map(|need| need.request_kw).sum::<f64>();
        for need in &needs {
            let (at, kw, buses) = (need.at, need.request_kw, listed(&need.buses));
            let (place, direction) = (&need.place, need.direction.as_str());
            tracing::info!(component = %self.name, "{place} at {at}: {direction} by {kw} kW at buses {buses}");
        }
        let prefix = format!("{}-{}", self.name, epoch.number);
        let trade = self.settings.trade;
        let asked = self.negotiation.ask(&prefix, needs, trade.real_power_min_kw, trade.bid_resolution_kw);
        let topic = topic::flexibility_need(&self.settings.market);
        let output = |need| Output::new(topic.clone(), Body::FlexibilityNeed(Box::new(need)));
        asked.into_iter().map(output).collect()
    }

    /// Waits from `since` on for what is missing, and tells that after a while.
    fn wait(&mut self, missing: &[String], since: MonoTime, until: Option<MonoTime>, now: MonoTime) -> Step {
        let tell_at = since + TOLD_AFTER;
        if !self.told && now >= tell_at {
            self.told = true;
            tracing::warn!(component = %self.name, "still waits: no {}", listed(missing));
        }
        let told_at = (!self.told).then_some(tell_at);
        match until.into_iter().chain(told_at).min() {
            Some(at) => Step::WakeAt(at),
            None => Step::Waiting,
        }
    }

    fn enter(&mut self, phase: Phase) {
        (self.phase, self.told) = (phase, false);
    }

    /// Goes on without what is missing.
    fn give_up(&mut self, missing: &[String], waited: Option<Duration>, consequence: &str) {
        let waited = waited.unwrap_or_default().as_secs_f64();
        self.warnings.push(format!("no {} came within {waited} s; {consequence}", listed(missing)));
    }

    /// Ready, and what there is to tell.
    fn finish(&mut self) -> Step {
        self.enter(Phase::Finished);
        let outcome = self.negotiation.outcome();
        let totals = &mut self.totals.outcome;
        totals.offers += outcome.offers;
        totals.accepted += outcome.accepted;
        totals.selected_kw += outcome.selected_kw;
        totals.cost_eur += outcome.cost_eur;
        totals.uncovered_kw += outcome.uncovered_kw;
        if let (Some(core), false) = (&mut self.core, self.settings.purchases_in_forecast) {
            self.negotiation.purchases().into_iter().for_each(|purchase| core.buy(purchase));
        }
        self.warnings.append(&mut self.negotiation.warnings);
        self.warnings.extend(self.negotiation.uncovered());
        for warning in &self.warnings {
            tracing::warn!(component = %self.name, "{warning}");
        }
        self.warnings.truncate(MOST_WARNINGS);
        let status = Status { value: StatusValue::Ready, description: None, slack_s: None };
        let ready = Output::new(topic::pgo_ready(&self.name), Body::Status(status));
        Step::Done(vec![Output { warnings: warned(&std::mem::take(&mut self.warnings)), ..ready }])
    }

    fn select(&mut self, now: MonoTime) -> Step {
        let offer_ids = self.negotiation.select(self.settings.trade.real_power_min_kw);
        if offer_ids.is_empty() {
            return self.finish();
        }
        self.enter(Phase::Results { since: now });
        let body = Body::SelectedOffer(SelectedOffer { offer_ids });
        Step::Publish(vec![Output::new(topic::selected_offer(&self.settings.market), body)])
    }
}

impl Component for PredictiveOptimization {
    fn start(&mut self) -> Result<(), Fault> {
        self.known = Some(Known::begin(&self.settings.network)?);
        self.learn();
        Ok(())
    }

    fn inputs(&self) -> Vec<String> {
        let mut topics = self.settings.network.topics();
        if self.needs_customers() {
            topics.push(topic::CUSTOMER_INFO.to_owned());
        }
        topics.extend([
            format!("NetworkForecastState.{}.#", self.settings.grid),
            topic::STATUS_READY.to_owned(),
            topic::lfm_offering(&self.name),
            topic::lfm_market_result(&self.settings.market),
        ]);
        topics
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        self.forecast.clear();
        self.predictor_ready = false;
        self.negotiation = Negotiation::default();
        self.warnings.clear();
        let is_open = self.settings.hours.is_open(epoch.start_time);
        self.totals.epochs_open += u64::from(is_open);
        let since = epoch.opened_at;
        self.enter(if is_open { Phase::Forecast { since } } else { Phase::Finished });
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, _: MonoTime) -> Result<(), Fault> {
        if let Some(known) = &mut self.known {
            known.take(&message.body)?;
        }
        let source = message.header.source_process_id.as_str();
        let (of_predictor, of_market) = (source == self.settings.predictor, source == self.settings.market);
        match &message.body {
            Body::CustomerInfo(info) if self.needs_customers() => self.customers = Some(info.clone()),
            Body::VoltageForecast(_) | Body::CurrentForecast(_) if of_predictor => {
                self.forecast.take(topic, message);
            }
            Body::Status(status) if of_predictor => {
                self.predictor_ready |= status.value == StatusValue::Ready;
            }
            Body::LfmOffering(offer) if of_market => self.negotiation.take_offering(offer),
            Body::LfmMarketResult(result) if of_market => self.negotiation.take_result(result),
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        self.learn();
        let market_timeout = self.settings.market_timeout;
        Ok(match self.phase {
            Phase::Finished => self.finish(),
            Phase::Forecast { since } => {
                let missing = self.missing_forecast();
                let until = self.settings.input_timeout.map(|timeout| give_up_at(epoch, timeout));
                if missing.is_empty() {
                    let needs = self.ask(epoch);
                    if needs.is_empty() {
                        return Ok(self.finish());
                    }
                    self.enter(Phase::Offers { since: now });
                    return Ok(Step::Publish(needs));
                }
                if until.is_none_or(|until| now < until) {
                    return Ok(self.wait(&missing, since, until, now));
                }
                self.totals.epochs_without_forecast += 1;
                self.give_up(&missing, self.settings.input_timeout, "nothing is asked for");
                self.finish()
            }
            Phase::Offers { since } => {
                let missing = self.negotiation.missing_offers();
                let until = market_timeout.map(|timeout| since + timeout);
                if missing.is_empty() {
                    return Ok(self.select(now));
                }
                if until.is_none_or(|until| now < until) {
                    return Ok(self.wait(&missing, since, until, now));
                }
                self.totals.epochs_without_market += 1;
                self.give_up(&missing, market_timeout, "what is there is selected from");
                self.select(now)
            }
            Phase::Results { since } => {
                let missing = self.negotiation.missing_results();
                let until = market_timeout.map(|timeout| since + timeout);
                if !missing.is_empty() && until.is_none_or(|until| now < until) {
                    return Ok(self.wait(&missing, since, until, now));
                }
                if !missing.is_empty() {
                    self.totals.epochs_without_market += 1;
                    self.give_up(&missing, market_timeout, "it counts as not bought");
                }
                self.finish()
            }
        })
    }

    fn findings(&self) -> Option<Value> {
        let Totals { outcome, .. } = &self.totals;
        let worst = self.totals.worst.as_ref().map(
            |worst| json!({"beyond_limit": worst.beyond, "place": worst.place, "at": worst.at.to_string()}),
        );
        Some(json!({
            "kind": super::KIND,
            "epochs_open": self.totals.epochs_open,
            "epochs_without_forecast": self.totals.epochs_without_forecast,
            "epochs_without_market": self.totals.epochs_without_market,
            "violations": self.totals.violations,
            "worst_violation": worst,
            "needs": self.totals.needs,
            "needed_kw": self.totals.needed_kw,
            "requested_kw": self.totals.requested_kw,
            "offers": outcome.offers,
            "accepted_offers": outcome.accepted,
            "selected_kw": outcome.selected_kw,
            "cost_eur": outcome.cost_eur,
            "uncovered_kw": outcome.uncovered_kw,
        }))
    }
}

impl std::fmt::Debug for PredictiveOptimization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictiveOptimization").field("name", &self.name).finish_non_exhaustive()
    }
}
