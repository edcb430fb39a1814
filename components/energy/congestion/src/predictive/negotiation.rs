//! What becomes of the needs of an epoch at the market: a [`Negotiation`] collects offers until all are in, selects, and
//! waits for the result.

use super::core::{Need, Purchase};
use super::selection::{Priced, cheapest};
use gridloop_messages::{FlexibilityNeed, LfmMarketResult, Offer, OfferTerms};
use std::collections::{BTreeMap, BTreeSet};

/// Offers for one congestion of which no more are looked at.
const MOST_OFFERS: usize = 256;

/// All needs of an epoch.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    /// By CongestionId.
    deals: BTreeMap<String, Deal>,
    /// Whether the market has told results in this epoch, before anything was selected.
    told_results: bool,
    has_selected: bool,
    pub(super) warnings: Vec<String>,
}

/// One need, and what is offered for it.
#[derive(Debug)]
struct Deal {
    need: Need,
    /// How many offers there are, once one has told it.
    count: Option<u64>,
    received: u64,
    /// By OfferId. `None`: it is of no use.
    offers: BTreeMap<String, Option<Priced>>,
    selected: BTreeSet<String>,
    confirmed: BTreeSet<String>,
    refused: BTreeSet<String>,
}

/// What came of an epoch's needs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Outcome {
    pub(super) offers: u64,
    pub(super) accepted: u64,
    pub(super) selected_kw: f64,
    pub(super) cost_eur: f64,
    pub(super) uncovered_kw: f64,
}

impl Negotiation {
    /// Asks for these needs under the names `prefix-1`, `prefix-2`, and so on.
    pub(super) fn ask(
        &mut self,
        prefix: &str,
        needs: Vec<Need>,
        real_power_min_kw: f64,
        bid_resolution_kw: f64,
    ) -> Vec<FlexibilityNeed> {
        let numbered = needs.into_iter().enumerate();
        let asked = numbered.map(|(number, need)| {
            let congestion_id = format!("{prefix}-{}", number + 1);
            let asked = FlexibilityNeed {
                activation_time: need.at,
                duration_min: need.duration_min,
                direction: need.direction,
                real_power_min_kw,
                real_power_request_kw: need.request_kw,
                customer_ids: need.customers.clone(),
                congestion_id: congestion_id.clone(),
                bid_resolution_kw: Some(bid_resolution_kw),
            };
            self.deals.insert(congestion_id, Deal::of(need));
            asked
        });
        asked.collect()
    }

    /// Takes an LFMOffering of the market.
    pub(super) fn take_offering(&mut self, offer: &Offer) {
        let Some(congestion) = &offer.terms.congestion_id else {
            self.warnings.push("an offering without a CongestionId is left aside".to_owned());
            return;
        };
        let Some(deal) = self.deals.get_mut(congestion) else {
            self.warnings
                .push(format!("an offering for {congestion:?}, which nobody asked for, is left aside"));
            return;
        };
        if let Err(reason) = deal.take(offer) {
            self.warnings.push(format!("an offer for {congestion} is left aside: {reason}"));
        }
    }

    /// The congestions whose offers are not all in, in words.
    pub(super) fn missing_offers(&self) -> Vec<String> {
        let missing = self.deals.iter().filter(|(_, deal)| !deal.is_complete());
        let told = missing.map(|(congestion, deal)| match deal.count {
            None => format!("offering for {congestion}"),
            Some(count) => format!("{count} offers for {congestion} but {}", deal.received),
        });
        told.collect()
    }

    /// The offers that are taken, of all that are there.
    pub(super) fn select(&mut self, real_power_min_kw: f64) -> Vec<String> {
        self.has_selected = true;
        for deal in self.deals.values_mut() {
            let usable = deal.offers.iter().filter_map(|(id, offer)| Some((id, (*offer)?)));
            let (names, offers): (Vec<&String>, Vec<Priced>) = usable.unzip();
            let chosen = cheapest(&offers, deal.need.needed_kw, real_power_min_kw);
            deal.selected = chosen.iter().filter_map(|at| names.get(*at)).map(|id| (*id).clone()).collect();
        }
        self.deals.values().flat_map(|deal| deal.selected.iter().cloned()).collect()
    }

    /// Takes an LFMMarketResult of the market. It tells all offers of a congestion that were accepted; one that tells of
    /// none answers a selection of which nothing was.
    pub(super) fn take_result(&mut self, result: &LfmMarketResult) {
        let of_none = result.result_count == 0;
        if !self.has_selected {
            self.told_results = true;
        } else if of_none && self.told_results {
            for deal in self.deals.values_mut() {
                deal.refuse_others();
            }
        }
        let OfferTerms { congestion_id: Some(congestion), offer_id: Some(offer), .. } = &result.terms else {
            return;
        };
        let Some(deal) = self.deals.get_mut(congestion).filter(|_| self.has_selected && !of_none) else {
            return;
        };
        if deal.selected.contains(offer) {
            deal.refused.remove(offer);
            deal.confirmed.insert(offer.clone());
        }
        if u64::try_from(deal.confirmed.len()).is_ok_and(|confirmed| confirmed >= result.result_count) {
            deal.refuse_others();
        }
    }

    /// The selected offers of which the market has said nothing.
    pub(super) fn missing_results(&self) -> Vec<String> {
        let open = self.deals.values().flat_map(|deal| {
            deal.selected.iter().filter(|id| !deal.confirmed.contains(*id) && !deal.refused.contains(*id))
        });
        open.map(|id| format!("result for {id}")).collect()
    }

    /// What came of it.
    pub(super) fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::default();
        for deal in self.deals.values() {
            let (mut kw, mut eur) = (0.0, 0.0);
            for offer in deal.bought() {
                kw += offer.power_kw;
                eur += offer.price_eur;
                outcome.accepted += 1;
            }
            outcome.offers += deal.received;
            outcome.selected_kw += kw;
            outcome.cost_eur += eur;
            outcome.uncovered_kw += (deal.need.needed_kw - kw).max(0.0);
        }
        outcome
    }

    /// What was bought for each need.
    pub(super) fn purchases(&self) -> Vec<Purchase> {
        let bought = self.deals.values().filter(|deal| !deal.confirmed.is_empty());
        let purchase = |deal: &Deal| Purchase {
            from: deal.need.at,
            duration_min: deal.need.duration_min,
            direction: deal.need.direction,
            bus: deal.need.bus.clone(),
            power_kw: deal.bought().map(|offer| offer.power_kw).sum(),
        };
        bought.map(purchase).collect()
    }

    /// What was not bought of what is needed, in words.
    pub(super) fn uncovered(&self) -> Vec<String> {
        let left = self.deals.values().filter_map(|deal| {
            let left_kw = deal.need.needed_kw - deal.bought().map(|offer| offer.power_kw).sum::<f64>();
            let Need { at, place, needed_kw, .. } = &deal.need;
            (left_kw > 0.001)
                .then(|| format!("{place} at {at}: {left_kw:.3} of {needed_kw:.3} kW are not to be had"))
        });
        let refused = self.deals.values().flat_map(|deal| &deal.refused);
        left.chain(refused.map(|id| format!("the market has not accepted {id}"))).collect()
    }
}

impl Deal {
    fn of(need: Need) -> Self {
        Self {
            need,
            count: None,
            received: 0,
            offers: BTreeMap::new(),
            selected: BTreeSet::new(),
            confirmed: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// The offers that the market has accepted.
    fn bought(&self) -> impl Iterator<Item = Priced> {
        self.confirmed.iter().filter_map(|id| self.offers.get(id).copied().flatten())
    }

    fn is_complete(&self) -> bool {
        self.count.is_some_and(|count| self.received >= count)
    }

    /// Takes an offer, or the word that there is none. One that is of no use counts as well.
    fn take(&mut self, offer: &Offer) -> Result<(), String> {
        let count = *self.count.get_or_insert(offer.offer_count);
        if offer.offer_count == 0 {
            return Ok(());
        }
        let repeated = offer.terms.offer_id.as_ref().filter(|id| self.offers.contains_key(*id));
        if let Some(id) = repeated {
            return Err(format!("{id} was offered before"));
        }
        if self.received >= count {
            return Err(format!("{count} were announced, and they are there"));
        }
        self.received += 1;
        if self.offers.len() >= MOST_OFFERS {
            return Err(format!("{MOST_OFFERS} are there, and no more are looked at"));
        }
        let id = offer.terms.offer_id.clone().ok_or("it has no OfferId")?;
        let usable = self.usable(&offer.terms);
        self.offers.insert(id.clone(), usable.as_ref().ok().copied());
        usable.map(drop).map_err(|reason| format!("{id} {reason}"))
    }

    /// Power and price of an offer that does what is needed.
    fn usable(&self, terms: &OfferTerms) -> Result<Priced, &'static str> {
        let price_eur = terms.price_eur.ok_or("has no Price")?;
        let series = terms.real_power.as_ref().ok_or("has no RealPower")?;
        if terms.direction.is_some_and(|direction| direction != self.need.direction) {
            return Err("goes the other way");
        }
        let late = terms.activation_time.is_some_and(|at| at > self.need.at);
        let end_min = |at: gridloop_messages::Timestamp, duration_min: f64| {
            (at.as_datetime() - self.need.at.as_datetime()).as_seconds_f64() / 60.0 + duration_min
        };
        let short = terms
            .activation_time
            .zip(terms.duration_min)
            .is_some_and(|(at, duration_min)| end_min(at, duration_min) < self.need.duration_min - 1e-6);
        if late || short {
            return Err("does not last for all of the time");
        }
        let power_kw = least_kw(series).ok_or("has no numbers in RealPower")?;
        let sound = power_kw.is_finite() && power_kw > 0.0 && price_eur.is_finite() && price_eur >= 0.0;
        if sound { Ok(Priced { power_kw, price_eur }) } else { Err("has no power or no price above 0") }
    }

    fn refuse_others(&mut self) {
        self.refused = self.selected.difference(&self.confirmed).cloned().collect();
    }
}

/// What an offer gives at all times: the least value of `Regulation`, or of the first series there is.
fn least_kw(series: &gridloop_messages::TimeSeries) -> Option<f64> {
    let first = || series.series.keys().next().and_then(|name| series.numbers(name));
    let numbers = series.numbers("Regulation").or_else(first)?;
    numbers.iter().copied().reduce(f64::min)
}
