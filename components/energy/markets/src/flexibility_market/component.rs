//! The market on the bus: [`FlexibilityMarket`].

use super::book::{Book, Offering, nothing};
use super::rejection::Rejection;
use super::{FlexibilityMarketSettings, is_a_word};
use gridloop_clock::MonoTime;
use gridloop_component::{Component, Fault, OpenEpoch, Output, Refusal, Step};
use gridloop_messages::{
    Body, FlexibilityNeed, Message, Offer, OfferTerms, SelectedOffer, Warning, WarningKind, topic,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Warnings that one message carries at most; the others are only logged.
const MOST_WARNINGS: usize = 20;
/// After so long without a word, whom the market waits for is told in the log.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// The local flexibility market (wire contract 6.11). Its name is the id of the market.
///
/// In each epoch it says the accepted offers that are not over. While it is open it asks the providers for what the
/// procurers need, passes their offers on once each has answered, and takes the selection. It is ready when every
/// procurer is and no need is unanswered; when it is closed, at once.
#[derive(Debug)]
pub struct FlexibilityMarket {
    name: String,
    settings: FlexibilityMarketSettings,
    book: Book,
    phase: Phase,
    /// Procurers that are ready.
    ready: BTreeSet<String>,
    /// When it last heard something, and whether it has told since then whom it waits for.
    heard_at: MonoTime,
    told: bool,
    outputs: Vec<Output>,
    warnings: Vec<Warning>,
    totals: Totals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open { opened_at: MonoTime },
    Closed,
    Completed,
}

#[derive(Debug, Default)]
struct Totals {
    needs: u64,
    offers: u64,
    accepted: u64,
    requested_kw: f64,
    accepted_kw: f64,
    cost_eur: f64,
    left_aside: u64,
    while_closed: u64,
}

impl FlexibilityMarket {
    /// The market `name`.
    #[must_use]
    pub fn new(name: &str, settings: FlexibilityMarketSettings) -> Self {
        Self {
            name: name.to_owned(),
            book: Book::new(&settings.providers, &settings.procurers),
            settings,
            phase: Phase::Completed,
            ready: BTreeSet::new(),
            heard_at: MonoTime::from_nanos(0),
            told: false,
            outputs: Vec::new(),
            warnings: Vec::new(),
            totals: Totals::default(),
        }
    }

    fn note(&mut self, rejection: &Rejection) {
        self.totals.left_aside += 1;
        tracing::warn!(market = %self.name, "{rejection}");
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(Warning::new(WarningKind::Input, &rejection.to_string()));
        }
    }

    /// Says something, with the warnings that have come up.
    fn say(&mut self, topic: String, body: Body) {
        let warnings = std::mem::take(&mut self.warnings);
        self.outputs.push(Output { warnings, ..Output::new(topic, body) });
    }

    fn say_results(&mut self) {
        for result in self.book.results() {
            self.say(topic::lfm_market_result(&self.name), Body::LfmMarketResult(Box::new(result)));
        }
    }

    fn say_offering(&mut self, offering: Offering) {
        let Offering { procurer, congestion, offers } = offering;
        let count = u64::try_from(offers.len()).unwrap_or(u64::MAX);
        let offers = if offers.is_empty() { vec![nothing(Some(congestion))] } else { offers };
        for terms in offers {
            let offer = Offer { terms, offer_count: count };
            self.say(topic::lfm_offering(&procurer), Body::LfmOffering(Box::new(offer)));
        }
    }

    fn need(&mut self, procurer: &str, need: &FlexibilityNeed, asked_at: MonoTime) {
        match self.book.need(procurer, need, asked_at) {
            Ok(()) => {
                self.totals.needs += 1;
                self.totals.requested_kw += need.real_power_request_kw;
                self.say(topic::request(&self.name), Body::Request(Box::new(need.clone())));
            }
            Err(rejection) => self.refuse(&rejection, procurer, need),
        }
    }

    /// Who is refused is told so, or it would wait for ever.
    fn refuse(&mut self, rejection: &Rejection, procurer: &str, need: &FlexibilityNeed) {
        self.note(rejection);
        if !matches!(rejection, Rejection::RepeatedNeed { .. }) && is_a_word(procurer) {
            let (procurer, congestion) = (procurer.to_owned(), need.congestion_id.clone());
            self.say_offering(Offering { procurer, congestion, offers: Vec::new() });
        }
    }

    /// Said while the market is closed, or after it was ready. A closed market is ready at once, and has no answer after that.
    fn while_closed(&mut self, source: &str, message: &Message) {
        self.totals.while_closed += 1;
        match &message.body {
            Body::FlexibilityNeed(need) if self.phase == Phase::Closed => {
                let (procurer, congestion) = (source.to_owned(), need.congestion_id.clone());
                self.refuse(&Rejection::WhileClosed { procurer, congestion }, source, need);
            }
            _ => {
                let kind = message.type_name();
                tracing::warn!(market = %self.name, "{kind} of {source} is left aside: the market is closed, or was ready before");
            }
        }
    }

    /// Whom it waits for, in words.
    pub(super) fn waits_for(&self) -> Vec<String> {
        let busy = self.settings.procurers.iter().filter(|procurer| !self.ready.contains(*procurer));
        let busy = busy.map(|procurer| format!("a Status of {procurer} on {}", topic::pgo_ready(procurer)));
        self.book.silent().into_iter().chain(busy).collect()
    }

    /// When it tells whom it waits for; nothing if it has.
    fn tell(&mut self, now: MonoTime) -> Option<MonoTime> {
        let tell_at = self.heard_at + TOLD_AFTER;
        if !self.told && now >= tell_at {
            self.told = true;
            tracing::warn!(market = %self.name, "still waits: no {}", self.waits_for().join(", nor "));
        }
        (!self.told).then_some(tell_at)
    }

    fn selected(&mut self, procurer: &str, selected: &SelectedOffer) {
        let selection = self.book.select(procurer, &selected.offer_ids);
        for terms in &selection.accepted {
            self.totals.accepted += 1;
            self.totals.accepted_kw += power_kw(terms);
            self.totals.cost_eur += terms.price_eur.unwrap_or_default();
        }
        for rejection in &selection.rejections {
            self.note(rejection);
        }
        // Also when nothing was accepted: it is the answer to the selection.
        self.say_results();
    }
}

/// The power of an offer: the mean of its one series of custom, or of the first there is.
fn power_kw(terms: &OfferTerms) -> f64 {
    let Some(series) = &terms.real_power else { return 0.0 };
    let name = if series.series.contains_key("Regulation") { Some("Regulation") } else { None };
    let name = name.or_else(|| series.series.keys().next().map(String::as_str)).unwrap_or_default();
    let numbers = series.numbers(name).unwrap_or_default();
    let count = u32::try_from(numbers.len()).unwrap_or(u32::MAX).max(1);
    numbers.iter().sum::<f64>() / f64::from(count)
}

impl Component for FlexibilityMarket {
    fn inputs(&self) -> Vec<String> {
        let own =
            [topic::flexibility_need, topic::offer, topic::selected_offer].map(|topic| topic(&self.name));
        let ready = self.settings.procurers.iter().map(|procurer| topic::pgo_ready(procurer));
        own.into_iter().chain(ready).collect()
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        self.book.open(epoch.start_time);
        self.ready.clear();
        self.outputs.clear();
        (self.heard_at, self.told) = (epoch.opened_at, false);
        self.say_results();
        let open = self.settings.hours.is_open(epoch.start_time);
        self.phase = if open { Phase::Open { opened_at: epoch.opened_at } } else { Phase::Closed };
        Ok(())
    }

    fn take(&mut self, _: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault> {
        let source = message.header.source_process_id.as_str();
        let Phase::Open { opened_at } = self.phase else {
            if !matches!(message.body, Body::Status(_)) {
                self.while_closed(source, message);
            }
            return Ok(());
        };
        (self.heard_at, self.told) = (arrived_at.max(opened_at), false);
        match &message.body {
            Body::FlexibilityNeed(need) => self.need(source, need, arrived_at.max(opened_at)),
            Body::Offer(offer) => {
                if offer.offer_count > 0 {
                    self.totals.offers += 1;
                }
                if let Err(rejection) = self.book.offer(source, offer) {
                    self.note(&rejection);
                }
            }
            Body::SelectedOffer(selected) => self.selected(source, selected),
            Body::Status(_) if self.settings.procurers.iter().any(|procurer| procurer == source) => {
                self.ready.insert(source.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn refused(&mut self, refusal: &Refusal) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(Warning::new(WarningKind::Input, &refusal.to_string()));
        }
    }

    fn step(&mut self, _: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        if let Some(within) = self.settings.offers_within {
            for rejection in self.book.give_up(now, within) {
                self.note(&rejection);
            }
        }
        for offering in self.book.complete() {
            self.say_offering(offering);
        }
        if !self.outputs.is_empty() {
            return Ok(Step::Publish(std::mem::take(&mut self.outputs)));
        }
        let everybody = self.ready.len() >= self.settings.procurers.len();
        let closed = !matches!(self.phase, Phase::Open { .. });
        if closed || (everybody && self.book.is_answered()) {
            self.phase = Phase::Completed;
            return Ok(Step::Done(Vec::new()));
        }
        let due = self.settings.offers_within.and_then(|within| self.book.next_deadline(within));
        let next = due.into_iter().chain(self.tell(now)).min();
        Ok(next.map_or(Step::Waiting, Step::WakeAt))
    }

    fn findings(&self) -> Option<serde_json::Value> {
        let Totals { needs, offers, accepted, requested_kw, accepted_kw, cost_eur, left_aside, while_closed } =
            &self.totals;
        Some(json!({
            "kind": "local-flexibility-market",
            "needs": needs,
            "requested_kw": requested_kw,
            "offers": offers,
            "accepted_offers": accepted,
            "accepted_kw": accepted_kw,
            "cost_eur": cost_eur,
            "left_aside": left_aside,
            "while_closed": while_closed,
        }))
    }
}
