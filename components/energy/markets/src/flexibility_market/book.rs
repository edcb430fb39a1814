//! The market's [`Book`]: the needs of the epoch, the offers for each, and the accepted offers of the run.

use super::rejection::Rejection;
use gridloop_clock::MonoTime;
use gridloop_messages::{FlexibilityNeed, LfmMarketResult, Offer, OfferTerms, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Needs, offers and what came of them.
#[derive(Debug)]
pub(super) struct Book {
    providers: BTreeSet<String>,
    procurers: BTreeSet<String>,
    /// When the epoch begins; nothing before the first.
    start_time: Option<Timestamp>,
    /// By CongestionId; of this epoch.
    demands: BTreeMap<String, Demand>,
    /// By OfferId, the congestion that it is for; of this epoch.
    offers: BTreeMap<String, String>,
    /// In the order of their acceptance; of the run.
    accepted: Vec<Accepted>,
}

#[derive(Debug)]
struct Demand {
    procurer: String,
    need: FlexibilityNeed,
    asked_at: MonoTime,
    /// By provider.
    answers: BTreeMap<String, Answer>,
    /// The offers were passed on.
    passed_on: bool,
}

/// What a provider has said to one request.
#[derive(Debug, Default)]
struct Answer {
    expected: u64,
    received: u64,
    /// Time was up before all were in.
    cut: bool,
    offers: Vec<OfferTerms>,
}

impl Answer {
    fn is_complete(&self) -> bool {
        self.cut || self.received >= self.expected
    }
}

#[derive(Debug, Clone)]
struct Accepted {
    congestion: String,
    offer: String,
    over_at: Timestamp,
    terms: OfferTerms,
}

/// The offers for one need, complete.
#[derive(Debug, PartialEq)]
pub(super) struct Offering {
    pub(super) procurer: String,
    pub(super) congestion: String,
    pub(super) offers: Vec<OfferTerms>,
}

/// Offers that were selected, and names that were not.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) accepted: Vec<OfferTerms>,
    pub(super) rejections: Vec<Rejection>,
}

impl Book {
    pub(super) fn new(providers: &[String], procurers: &[String]) -> Self {
        Self {
            providers: providers.iter().cloned().collect(),
            procurers: procurers.iter().cloned().collect(),
            start_time: None,
            demands: BTreeMap::new(),
            offers: BTreeMap::new(),
            accepted: Vec::new(),
        }
    }

    /// An epoch begins: needs and offers are forgotten, and accepted offers that are over by then.
    pub(super) fn open(&mut self, start_time: Timestamp) {
        self.start_time = Some(start_time);
        self.demands.clear();
        self.offers.clear();
        self.accepted.retain(|accepted| accepted.over_at > start_time);
    }

    /// The accepted offers that are not over, or one result that says that there is none.
    pub(super) fn results(&self) -> Vec<LfmMarketResult> {
        if self.accepted.is_empty() {
            return vec![LfmMarketResult { terms: nothing(None), result_count: 0 }];
        }
        let count = |congestion: &str| {
            let alike = self.accepted.iter().filter(|accepted| accepted.congestion == congestion).count();
            u64::try_from(alike).unwrap_or(u64::MAX)
        };
        let result = |accepted: &Accepted| LfmMarketResult {
            terms: accepted.terms.clone(),
            result_count: count(&accepted.congestion),
        };
        self.accepted.iter().map(result).collect()
    }

    /// Takes a need, which is then to be asked for.
    pub(super) fn need(
        &mut self,
        procurer: &str,
        need: &FlexibilityNeed,
        asked_at: MonoTime,
    ) -> Result<(), Rejection> {
        let (procurer, congestion) = (procurer.to_owned(), need.congestion_id.clone());
        if !self.procurers.contains(&procurer) {
            return Err(Rejection::UnknownProcurer { procurer, congestion });
        }
        let (least_kw, request_kw) = (need.real_power_min_kw, need.real_power_request_kw);
        if least_kw > request_kw {
            return Err(Rejection::LeastBeyondRequest { procurer, congestion, least_kw, request_kw });
        }
        let over_at = need.activation_time.plus(length(need.duration_min));
        if self.start_time.is_some_and(|start_time| over_at <= start_time) {
            return Err(Rejection::Past { procurer, congestion, over_at });
        }
        let of_old = self.accepted.iter().any(|accepted| accepted.congestion == congestion);
        match self.demands.get(&congestion) {
            Some(demand) if demand.procurer == procurer => {
                Err(Rejection::RepeatedNeed { procurer, congestion })
            }
            Some(demand) => {
                let owner = demand.procurer.clone();
                Err(Rejection::CongestionTaken { procurer, congestion, owner })
            }
            None if of_old => {
                let owner = "an epoch before".to_owned();
                Err(Rejection::CongestionTaken { procurer, congestion, owner })
            }
            None => {
                let need = need.clone();
                let answers = BTreeMap::new();
                self.demands
                    .insert(congestion, Demand { procurer, need, asked_at, answers, passed_on: false });
                Ok(())
            }
        }
    }

    /// Takes an offer, or the word that there is none.
    pub(super) fn offer(&mut self, provider: &str, offer: &Offer) -> Result<(), Rejection> {
        let provider = provider.to_owned();
        if !self.providers.contains(&provider) {
            return Err(Rejection::UnknownProvider { provider });
        }
        let Some(congestion) = offer.terms.congestion_id.clone() else {
            return Err(Rejection::NoCongestion { provider });
        };
        let Some(demand) = self.demands.get_mut(&congestion) else {
            return Err(Rejection::UnknownCongestion { provider, congestion });
        };
        if let (Some(id), true) = (&offer.terms.offer_id, offer.offer_count > 0)
            && self.offers.contains_key(id)
        {
            let own = demand.answers.get(&provider);
            let own = own.is_some_and(|it| it.offers.iter().any(|old| old.offer_id.as_ref() == Some(id)));
            if own {
                return Err(Rejection::RepeatedOffer { provider, offer: id.clone() });
            }
        }
        let fresh = Answer { expected: offer.offer_count, ..Answer::default() };
        let known = demand.answers.contains_key(&provider);
        let answer = demand.answers.entry(provider.clone()).or_insert(fresh);
        if demand.passed_on || (known && answer.is_complete()) {
            return Err(Rejection::AfterTheLast { provider, congestion });
        }
        answer.received = answer.received.saturating_add(1);
        if offer.offer_count == 0 {
            return Ok(());
        }
        let (first, now) = (answer.expected, offer.offer_count);
        let Some(id) = offer.terms.offer_id.clone() else {
            return Err(Rejection::Incomplete { provider, congestion, missing: "OfferId" });
        };
        if let Some(missing) = missing(&offer.terms) {
            return Err(Rejection::Incomplete { provider, congestion, missing });
        }
        if self.offers.contains_key(&id) {
            return Err(Rejection::OfferTaken { provider, offer: id });
        }
        self.offers.insert(id, congestion.clone());
        answer.offers.push(offer.terms.clone());
        if first != now {
            return Err(Rejection::OtherCount { provider, congestion, first, now });
        }
        Ok(())
    }

    /// Those needs whose offers are complete now and were not before.
    pub(super) fn complete(&mut self) -> Vec<Offering> {
        let mut complete = Vec::new();
        for (congestion, demand) in &mut self.demands {
            let answered = |provider: &String| demand.answers.get(provider).is_some_and(Answer::is_complete);
            if demand.passed_on || !self.providers.iter().all(answered) {
                continue;
            }
            demand.passed_on = true;
            let offers = demand.answers.values().flat_map(|answer| answer.offers.iter().cloned()).collect();
            let (procurer, congestion) = (demand.procurer.clone(), congestion.clone());
            complete.push(Offering { procurer, congestion, offers });
        }
        complete
    }

    /// Gives up waiting for those who have not answered a request `within` this time.
    pub(super) fn give_up(&mut self, now: MonoTime, within: Duration) -> Vec<Rejection> {
        let mut late = Vec::new();
        for (congestion, demand) in &mut self.demands {
            if demand.passed_on || now < demand.asked_at + within {
                continue;
            }
            let mut providers = Vec::new();
            for provider in &self.providers {
                let answer = demand.answers.get(provider);
                if answer.is_some_and(Answer::is_complete) {
                    continue;
                }
                demand.answers.entry(provider.clone()).or_default().cut = true;
                providers.push(provider.clone());
            }
            if !providers.is_empty() {
                late.push(Rejection::TooLate { providers, congestion: congestion.clone() });
            }
        }
        late
    }

    /// When the next request has been open `within` this time, if there is an open one.
    pub(super) fn next_deadline(&self, within: Duration) -> Option<MonoTime> {
        self.demands.values().filter(|it| !it.passed_on).map(|it| it.asked_at + within).min()
    }

    /// Who has not answered which request, in words.
    pub(super) fn silent(&self) -> Vec<String> {
        let open = self.demands.iter().filter(|(_, demand)| !demand.passed_on);
        open.flat_map(|(congestion, demand)| {
            let silent = |provider: &&String| !demand.answers.get(*provider).is_some_and(Answer::is_complete);
            let silent = self.providers.iter().filter(silent);
            silent.map(move |provider| format!("offers of {provider} for {congestion}"))
        })
        .collect()
    }

    /// Whether nobody is waited for.
    pub(super) fn is_answered(&self) -> bool {
        self.demands.values().all(|demand| demand.passed_on)
    }

    /// Accepts the offers of these names.
    pub(super) fn select(&mut self, procurer: &str, ids: &[String]) -> Selection {
        let mut selection = Selection::default();
        for offer in ids {
            match self.accept(procurer, offer) {
                Ok(terms) => selection.accepted.push(terms),
                Err(rejection) => selection.rejections.push(rejection),
            }
        }
        selection
    }

    fn accept(&mut self, procurer: &str, offer: &str) -> Result<OfferTerms, Rejection> {
        let (procurer, offer) = (procurer.to_owned(), offer.to_owned());
        if self.accepted.iter().any(|accepted| accepted.offer == offer) {
            return Err(Rejection::SelectedTwice { procurer, offer });
        }
        let demand = self.offers.get(&offer).and_then(|congestion| self.demands.get(congestion));
        let Some(demand) = demand.filter(|demand| demand.passed_on) else {
            return Err(Rejection::UnknownOffer { procurer, offer });
        };
        if demand.procurer != procurer {
            let owner = demand.procurer.clone();
            return Err(Rejection::OfferToAnother { procurer, offer, owner });
        }
        let offers = demand.answers.values().flat_map(|answer| &answer.offers);
        let Some(terms) = offers.into_iter().find(|terms| terms.offer_id.as_ref() == Some(&offer)) else {
            return Err(Rejection::UnknownOffer { procurer, offer });
        };
        let start = terms.activation_time.unwrap_or(demand.need.activation_time);
        let minutes = terms.duration_min.unwrap_or(demand.need.duration_min);
        let accepted = Accepted {
            congestion: demand.need.congestion_id.clone(),
            offer,
            over_at: start.plus(length(minutes)),
            terms: terms.clone(),
        };
        self.accepted.push(accepted);
        Ok(terms.clone())
    }
}

/// Minutes of a message; what is no length of time is the longest one.
fn length(minutes: f64) -> Duration {
    Duration::try_from_secs_f64(minutes * 60.0).unwrap_or(Duration::MAX)
}

/// What an offer lacks so that it could be accepted.
fn missing(terms: &OfferTerms) -> Option<&'static str> {
    match terms {
        OfferTerms { real_power: None, .. } => Some("RealPower"),
        OfferTerms { price_eur: None, .. } => Some("Price"),
        _ => None,
    }
}

/// The terms of no offer.
pub(super) fn nothing(congestion: Option<String>) -> OfferTerms {
    OfferTerms {
        activation_time: None,
        duration_min: None,
        direction: None,
        real_power: None,
        price_eur: None,
        congestion_id: congestion,
        offer_id: None,
        customer_ids: None,
    }
}
