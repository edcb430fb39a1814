//! Taking part in a flexibility market (wire contract 6.5, the variant with a market): [`Flexibility`] remembers what
//! was offered and taken, and answers a Request with each [`Offer`] that can be kept.
//!
//! An offer is a departure of storages from the plan that was published, the reference. Those that are taken become
//! [`Regulation`]s of the plans of later epochs.

use super::bids::{Bid, bids};
use super::plan::Plan;
use super::problem::{Problem, Regulation};
use super::profile::ms;
use super::settings::FlexibilitySettings;
use super::solve::{Search, SolveError, SolverSettings};
use gridloop_component::Output;
use gridloop_messages::{
    Body, CustomerInfo, Direction, FlexibilityNeed, LfmMarketResult, Message, Offer, OfferTerms, StatusValue,
    TimeSeries, Timestamp, topic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Congestions, offers and results of which no more are remembered, so that no flood of messages fills the memory.
const MOST_REMEMBERED: usize = 10_000;
/// Requests of an epoch that are answered.
const MOST_REQUESTS: usize = 256;

/// The plan that offers depart from.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) start: Timestamp,
    pub(super) step: Duration,
    pub(super) problem: Problem,
    pub(super) plan: Plan,
}

/// An offer that was made.
#[derive(Debug, Clone)]
struct Made {
    congestion: String,
    direction: Direction,
    /// From when to when, in ms since 1970.
    from_ms: i64,
    to_ms: i64,
    size_kw: f64,
    /// The storages that it moves.
    storages: BTreeSet<String>,
    /// What they were planned to do together: beginning and end of each step, and power.
    reference: Vec<(i64, i64, f64)>,
}

/// What a dispatch knows of its market.
#[derive(Debug)]
pub(super) struct Flexibility {
    name: String,
    pub(super) settings: FlexibilitySettings,
    /// Customers of resources; none before they have been told.
    customers: Option<BTreeMap<String, String>>,
    /// By OfferId.
    made: BTreeMap<String, Made>,
    /// Those among them that were taken.
    taken: BTreeSet<String>,
    pub(super) offers_taken: u64,
    /// Congestions that have been answered, with the end of what was asked for.
    answered: BTreeMap<String, i64>,
    /// What this epoch's results say: offers taken by congestion, and how many there are.
    results: BTreeMap<String, (BTreeSet<String>, u64)>,
    any_result: bool,
    requests: Vec<FlexibilityNeed>,
    market_ready: bool,
    /// Offers of this epoch, which may still be taken.
    open: BTreeSet<String>,
    pub(super) requests_answered: u64,
    pub(super) offers_made: u64,
}

impl Flexibility {
    pub(super) fn new(name: &str, settings: FlexibilitySettings) -> Self {
        Self {
            name: name.to_owned(),
            settings,
            customers: None,
            made: BTreeMap::new(),
            taken: BTreeSet::new(),
            offers_taken: 0,
            answered: BTreeMap::new(),
            results: BTreeMap::new(),
            any_result: false,
            requests: Vec::new(),
            market_ready: false,
            open: BTreeSet::new(),
            requests_answered: 0,
            offers_made: 0,
        }
    }

    pub(super) fn inputs(&self) -> [String; 4] {
        let market = &self.settings.market;
        let (results, requests) = (topic::lfm_market_result(market), topic::request(market));
        [topic::CUSTOMER_INFO.to_owned(), topic::STATUS_READY.to_owned(), results, requests]
    }

    /// An epoch begins.
    pub(super) fn open(&mut self, start_ms: i64) {
        self.results.clear();
        self.any_result = false;
        self.requests.clear();
        self.market_ready = false;
        self.open.clear();
        self.made.retain(|_, made| made.to_ms > start_ms);
        self.taken.retain(|offer| self.made.contains_key(offer));
        self.answered.retain(|_, to_ms| *to_ms > start_ms);
    }

    pub(super) fn take(&mut self, message: &Message) {
        match &message.body {
            Body::CustomerInfo(info) => self.take_customers(info),
            Body::LfmMarketResult(result) => self.take_result(result),
            Body::Request(need) if self.requests.len() < MOST_REQUESTS => {
                self.requests.push((**need).clone())
            }
            Body::Status(status) => {
                let of_market = message.header.source_process_id == self.settings.market;
                self.market_ready |= of_market && status.value == StatusValue::Ready;
            }
            _ => {}
        }
    }

    fn take_customers(&mut self, info: &CustomerInfo) {
        let pairs = info.resource_id.iter().cloned().zip(info.customer_id.iter().cloned());
        self.customers = Some(pairs.collect());
    }

    fn take_result(&mut self, result: &LfmMarketResult) {
        self.any_result = true;
        let (Some(congestion), Some(offer)) = (&result.terms.congestion_id, &result.terms.offer_id) else {
            return;
        };
        if result.result_count == 0 || self.results.len() >= MOST_REMEMBERED {
            return;
        }
        let (offers, count) = self.results.entry(congestion.clone()).or_default();
        offers.insert(offer.clone());
        *count = result.result_count;
        if self.made.contains_key(offer) && self.taken.insert(offer.clone()) {
            self.offers_taken += 1;
        }
    }

    /// What is needed before a plan can be made and has not come, in words.
    pub(super) fn missing(&self) -> Vec<String> {
        let market = &self.settings.market;
        let mut missing = Vec::new();
        if self.customers.is_none() {
            missing.push(topic::CUSTOMER_INFO.to_owned());
        }
        if !self.any_result {
            missing.push(format!("a result of {market}"));
        }
        for (congestion, (offers, count)) in &self.results {
            if u64::try_from(offers.len()).is_ok_and(|found| found < *count) {
                missing.push(format!("{count} results of {market} for {congestion} but {}", offers.len()));
            }
        }
        missing
    }

    /// What is needed before the epoch is completed and has not come.
    pub(super) fn missing_status(&self) -> Option<String> {
        (!self.market_ready).then(|| format!("a ready Status of {}", self.settings.market))
    }

    /// What `offers` demand of `problem`, which begins at `start_ms`. Those for one congestion depart from the same
    /// reference, and so by the sum of their sizes.
    fn regulations(
        &self,
        offers: &BTreeSet<String>,
        problem: &Problem,
        start_ms: i64,
        step_ms: i64,
    ) -> Vec<Regulation> {
        let mut sums: BTreeMap<&str, Made> = BTreeMap::new();
        for made in offers.iter().filter_map(|offer| self.made.get(offer)) {
            match sums.get_mut(made.congestion.as_str()) {
                Some(sum) => sum.size_kw += made.size_kw,
                None => {
                    sums.insert(&made.congestion, made.clone());
                }
            }
        }
        sums.into_values().filter_map(|made| regulation(&made, problem, start_ms, step_ms)).collect()
    }

    /// What was promised to the market.
    pub(super) fn promised(&self, problem: &Problem, start_ms: i64, step_ms: i64) -> Vec<Regulation> {
        self.regulations(&self.taken, problem, start_ms, step_ms)
    }

    /// A request that waits for an answer.
    pub(super) fn next_request(&mut self) -> Option<FlexibilityNeed> {
        if self.requests.is_empty() { None } else { Some(self.requests.remove(0)) }
    }

    /// The answer to a request: offers, or one that says that there are none.
    pub(super) fn answer(
        &mut self,
        need: &FlexibilityNeed,
        reference: Option<&Reference>,
        solver: SolverSettings,
    ) -> Vec<Output> {
        self.requests_answered += 1;
        let again = self.answered.contains_key(&need.congestion_id) || self.answered.len() >= MOST_REMEMBERED;
        let (from_ms, to_ms) = window(need);
        self.answered.insert(need.congestion_id.clone(), to_ms);
        let found = reference.filter(|_| !again).and_then(|reference| self.bids(need, reference, solver));
        let Some((made, bids)) = found else { return vec![self.none(need)] };
        let count = u64::try_from(bids.len()).unwrap_or(u64::MAX);
        let times = made.reference.iter().map(|(begin, ..)| (*begin).max(from_ms));
        let times: Vec<Timestamp> =
            times.filter_map(|at| chrono::DateTime::from_timestamp_millis(at).map(Timestamp::from)).collect();
        let customers = self.customers_of(need);
        let mut outputs = Vec::with_capacity(bids.len());
        for (n, Bid { size_kw, price_eur }) in bids.into_iter().enumerate() {
            let offer_id = format!("{}-{}-{}", self.name, need.congestion_id, n + 1);
            let power = TimeSeries::single(times.clone(), "Regulation", "kW", vec![size_kw; times.len()]);
            let terms = OfferTerms {
                activation_time: Some(need.activation_time),
                duration_min: Some(need.duration_min),
                direction: Some(need.direction),
                real_power: Some(power),
                price_eur: Some(price_eur),
                congestion_id: Some(need.congestion_id.clone()),
                offer_id: Some(offer_id.clone()),
                customer_ids: Some(customers.iter().cloned().collect()),
            };
            outputs.push(self.output(Offer { terms, offer_count: count }));
            self.open.insert(offer_id.clone());
            self.made.insert(offer_id, Made { size_kw, ..made.clone() });
        }
        self.offers_made += count;
        outputs
    }

    /// Customers that are asked for and have a resource.
    fn customers_of(&self, need: &FlexibilityNeed) -> BTreeSet<String> {
        let known = self.customers.iter().flat_map(BTreeMap::iter);
        let ours = known.filter(|(resource, _)| self.settings.resources.contains(*resource));
        let ours: BTreeSet<&String> = ours.map(|(_, customer)| customer).collect();
        need.customer_ids.iter().filter(|customer| ours.contains(customer)).cloned().collect()
    }

    /// Places in `problem` of the storages of those customers.
    fn storages_of(&self, customers: &BTreeSet<String>, problem: &Problem) -> Vec<usize> {
        let Some(known) = &self.customers else { return Vec::new() };
        let theirs = |name: &str| known.get(name).is_some_and(|customer| customers.contains(customer));
        let storages = problem.storages.iter().enumerate();
        storages.filter(|(_, storage)| theirs(&storage.name)).map(|(index, _)| index).collect()
    }

    /// What can be offered; without its size.
    fn bids(
        &self,
        need: &FlexibilityNeed,
        reference: &Reference,
        solver: SolverSettings,
    ) -> Option<(Made, Vec<Bid>)> {
        let Reference { start, step, problem, plan } = reference;
        let (start_ms, step_ms) = (ms(*start), i64::try_from(step.as_millis()).ok()?);
        let (from_ms, to_ms) = window(need);
        let end_ms = start_ms + step_ms * i64::try_from(problem.steps()).ok()?;
        // The first step is under way.
        if from_ms >= to_ms || from_ms < start_ms + step_ms || to_ms > end_ms {
            return None;
        }
        let storages = self.storages_of(&self.customers_of(need), problem);
        if storages.is_empty() {
            return None;
        }
        let planned =
            |t: usize| storages.iter().filter_map(|it| plan.storages.get(*it)?.power_kw.get(t)).sum::<f64>();
        let steps = (0..problem.steps()).scan(start_ms, |begin, t| {
            let step = (*begin, *begin + step_ms, planned(t));
            *begin += step_ms;
            Some(step)
        });
        let active = steps.filter(|(begin, end, _)| *begin < to_ms && *end > from_ms);
        let names = storages.iter().map(|it| problem.storages[*it].name.clone());
        let made = Made {
            congestion: need.congestion_id.clone(),
            direction: need.direction,
            from_ms,
            to_ms,
            size_kw: 0.0,
            storages: names.collect(),
            reference: active.collect(),
        };
        let mut departing = problem.clone();
        departing.first_kw = Some(plan.storages.iter().map(|it| it.power_kw[0]).collect());
        if !self.settings.skip_open_offers {
            departing.regulations.extend(self.regulations(&self.open, problem, start_ms, step_ms));
        }
        let before = departing.regulations.len();
        // One time for all sizes: those that it does not suffice for are not offered.
        let search = Search::begin(solver);
        let extra_cost = |size_kw: f64| {
            let mut departing = departing.clone();
            departing.regulations.extend(regulation(
                &Made { size_kw, ..made.clone() },
                problem,
                start_ms,
                step_ms,
            ));
            if departing.regulations.len() == before {
                return None;
            }
            match search.solve(&departing) {
                Ok(other) => Some((other.cost_eur - plan.cost_eur).max(0.0)),
                Err(SolveError::Infeasible) => None,
                Err(error) => {
                    tracing::warn!(component = %self.name, size_kw, "not offered: {error}");
                    None
                }
            }
        };
        let bids = bids(need, extra_cost, self.settings.price_factor, self.settings.price_least_eur);
        (!bids.is_empty()).then_some((made, bids))
    }

    /// Nothing is offered.
    fn none(&self, need: &FlexibilityNeed) -> Output {
        let power = TimeSeries::single(vec![need.activation_time], "Regulation", "kW", vec![0.0]);
        let terms = OfferTerms {
            activation_time: Some(need.activation_time),
            duration_min: Some(need.duration_min),
            direction: Some(need.direction),
            real_power: Some(power),
            price_eur: Some(0.0),
            congestion_id: Some(need.congestion_id.clone()),
            offer_id: Some(format!("{}-{}-0", self.name, need.congestion_id)),
            customer_ids: None,
        };
        self.output(Offer { terms, offer_count: 0 })
    }

    fn output(&self, offer: Offer) -> Output {
        Output::new(topic::offer(&self.settings.market), Body::Offer(Box::new(offer)))
    }
}

/// From when to when power is asked for, in ms since 1970.
fn window(need: &FlexibilityNeed) -> (i64, i64) {
    let from = need.activation_time;
    let length = Duration::try_from_secs_f64(60.0 * need.duration_min).unwrap_or_default();
    (ms(from), ms(from.plus(length)))
}

/// What an offer demands of the steps of `problem`; nothing if it is over, or of storages that are not there.
fn regulation(made: &Made, problem: &Problem, start_ms: i64, step_ms: i64) -> Option<Regulation> {
    let storages = problem.storages.iter().enumerate();
    let storages: Vec<usize> =
        storages.filter(|(_, storage)| made.storages.contains(&storage.name)).map(|(n, _)| n).collect();
    let bounds = |t: usize| {
        let begin = start_ms.saturating_add(step_ms.saturating_mul(i64::try_from(t).unwrap_or(i64::MAX)));
        (begin, begin.saturating_add(step_ms))
    };
    let active = |t: &usize| {
        let (begin, end) = bounds(*t);
        begin < made.to_ms && end > made.from_ms
    };
    let first = (0..problem.steps()).find(active)?;
    let count = (first..problem.steps()).take_while(active).count();
    let reference = (first..first + count).map(|t| {
        let (begin, end) = bounds(t);
        let parts = made.reference.iter().filter_map(|(from, to, kw)| {
            let overlap = end.min(*to) - begin.max(*from);
            (overlap > 0).then_some((overlap as f64, *kw))
        });
        let (time, energy) = parts.fold((0.0, 0.0), |(time, sum), (part, kw)| (time + part, sum + part * kw));
        if time > 0.0 { energy / time } else { 0.0 }
    });
    (!storages.is_empty()).then(|| Regulation {
        direction: made.direction,
        steps: first..first + count,
        storages,
        reference_kw: reference.collect(),
        size_kw: made.size_kw,
    })
}
