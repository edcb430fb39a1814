//! Offers and results of the market, one by one.

use super::at;
use crate::predictive::core::Need;
use crate::predictive::negotiation::Negotiation;
use gridloop_messages::{Direction, LfmMarketResult, Offer, OfferTerms, TimeSeries};

fn need(needed_kw: f64) -> Need {
    Need {
        at: at(18),
        duration_min: 60.0,
        direction: Direction::Up,
        place: "bus 7 phase 1 at 0.8800 pu".into(),
        bus: "7".into(),
        buses: vec!["7".into()],
        customers: vec!["c7".into()],
        needed_kw,
        request_kw: needed_kw,
    }
}

fn asked(needs: &[f64]) -> Negotiation {
    let mut negotiation = Negotiation::default();
    let needs = needs.iter().map(|kw| need(*kw)).collect();
    let ids: Vec<String> =
        negotiation.ask("pgo-4", needs, 3.0, 3.0).into_iter().map(|need| need.congestion_id).collect();
    assert_eq!(ids[0], "pgo-4-1");
    negotiation
}

fn terms(congestion: &str, offer: &str, kw: f64, eur: f64) -> OfferTerms {
    OfferTerms {
        activation_time: Some(at(18)),
        duration_min: Some(60.0),
        direction: Some(Direction::Up),
        real_power: Some(TimeSeries::single(vec![at(18)], "Regulation", "kW", vec![kw])),
        price_eur: Some(eur),
        congestion_id: Some(congestion.into()),
        offer_id: Some(offer.into()),
        customer_ids: Some(vec!["c7".into()]),
    }
}

fn nothing(congestion: Option<&str>) -> OfferTerms {
    OfferTerms {
        activation_time: None,
        duration_min: None,
        direction: None,
        real_power: None,
        price_eur: None,
        congestion_id: congestion.map(str::to_owned),
        offer_id: None,
        customer_ids: None,
    }
}

fn offering(negotiation: &mut Negotiation, terms: OfferTerms, offer_count: u64) {
    negotiation.take_offering(&Offer { terms, offer_count });
}

fn result(negotiation: &mut Negotiation, terms: OfferTerms, result_count: u64) {
    negotiation.take_result(&LfmMarketResult { terms, result_count });
}

#[test]
fn offers_are_in_when_there_are_as_many_as_announced_for_each_congestion() {
    let mut negotiation = asked(&[6.0, 3.0]);
    offering(&mut negotiation, terms("pgo-4-1", "a", 3.0, 1.0), 2);
    offering(&mut negotiation, terms("pgo-4-1", "a", 3.0, 1.0), 2);
    assert_eq!(negotiation.missing_offers(), ["2 offers for pgo-4-1 but 1", "offering for pgo-4-2"]);
    offering(&mut negotiation, nothing(Some("pgo-4-2")), 0);
    offering(&mut negotiation, terms("pgo-4-1", "b", 3.0, 1.0), 2);
    assert_eq!(negotiation.missing_offers(), [""; 0]);
    assert_eq!(negotiation.select(3.0), ["a", "b"]);
    assert_eq!(negotiation.warnings.len(), 1, "{:?}", negotiation.warnings);
}

#[test]
fn without_offers_nothing_is_selected_and_all_is_uncovered() {
    let mut negotiation = asked(&[6.0]);
    offering(&mut negotiation, nothing(Some("pgo-4-1")), 0);
    assert_eq!(negotiation.select(3.0), [""; 0]);
    assert_eq!(negotiation.outcome().uncovered_kw, 6.0);
    assert!(negotiation.uncovered()[0].contains("6.000 of 6.000 kW are not to be had"));
}

#[test]
fn an_offer_that_does_not_do_what_is_needed_counts_and_is_not_taken() {
    let good = terms("pgo-4-1", "good", 6.0, 9.0);
    let cheap = |offer: &str| terms("pgo-4-1", offer, 6.0, 1.0);
    let mut series = cheap("weak").real_power.unwrap();
    series.time_index.push(at(19));
    series.series.insert("Regulation".into(), gridloop_messages::ValueArray::numbers("kW", vec![6.0, 0.0]));
    let bad = [
        OfferTerms { direction: Some(Direction::Down), ..cheap("other way") },
        OfferTerms { price_eur: None, ..cheap("no price") },
        OfferTerms { real_power: None, ..cheap("no power") },
        OfferTerms { activation_time: Some(at(19)), ..cheap("late") },
        OfferTerms { duration_min: Some(30.0), ..cheap("short") },
        OfferTerms { offer_id: None, ..cheap("no name") },
        OfferTerms { real_power: Some(series), ..cheap("weak") },
        OfferTerms { price_eur: Some(-1.0), ..cheap("below 0") },
    ];
    let count = u64::try_from(bad.len()).unwrap() + 1;
    let mut negotiation = asked(&[6.0]);
    for terms in bad {
        offering(&mut negotiation, terms, count);
    }
    assert_eq!(negotiation.missing_offers().len(), 1);
    offering(&mut negotiation, good, count);
    assert_eq!(negotiation.missing_offers(), [""; 0]);
    assert_eq!(negotiation.select(3.0), ["good"]);
    assert_eq!(negotiation.warnings.len(), 8, "{:?}", negotiation.warnings);
}

#[test]
fn offers_for_what_nobody_asked_for_are_left_aside() {
    let mut negotiation = asked(&[6.0]);
    offering(&mut negotiation, terms("stranger", "x", 6.0, 1.0), 1);
    offering(&mut negotiation, nothing(None), 0);
    assert_eq!(negotiation.missing_offers(), ["offering for pgo-4-1"]);
    assert_eq!(negotiation.warnings.len(), 2);
}

#[test]
fn a_selection_stands_when_a_result_has_come_for_each_of_its_offers() {
    let mut negotiation = asked(&[6.0]);
    result(&mut negotiation, nothing(None), 0);
    offering(&mut negotiation, terms("pgo-4-1", "a", 3.0, 1.0), 2);
    offering(&mut negotiation, terms("pgo-4-1", "b", 3.0, 2.0), 2);
    assert_eq!(negotiation.select(3.0), ["a", "b"]);
    result(&mut negotiation, terms("older", "x", 3.0, 2.0), 1);
    result(&mut negotiation, terms("pgo-4-1", "b", 3.0, 2.0), 2);
    assert_eq!(negotiation.missing_results(), ["result for a"]);
    result(&mut negotiation, terms("pgo-4-1", "a", 3.0, 1.0), 2);
    assert_eq!(negotiation.missing_results(), [""; 0]);
    let outcome = negotiation.outcome();
    assert_eq!((outcome.offers, outcome.accepted), (2, 2));
    assert_eq!((outcome.selected_kw, outcome.cost_eur, outcome.uncovered_kw), (6.0, 3.0, 0.0));
    assert_eq!(negotiation.uncovered(), [""; 0]);
}

#[test]
fn an_offer_that_the_market_does_not_accept_is_not_waited_for_and_not_paid() {
    let mut negotiation = asked(&[6.0]);
    offering(&mut negotiation, terms("pgo-4-1", "a", 3.0, 1.0), 2);
    offering(&mut negotiation, terms("pgo-4-1", "b", 3.0, 2.0), 2);
    negotiation.select(3.0);
    result(&mut negotiation, terms("pgo-4-1", "b", 3.0, 2.0), 1);
    assert_eq!(negotiation.missing_results(), [""; 0]);
    assert_eq!((negotiation.outcome().cost_eur, negotiation.outcome().uncovered_kw), (2.0, 3.0));
    assert!(negotiation.uncovered().contains(&"the market has not accepted a".to_owned()));
}

#[test]
fn the_result_that_tells_of_nothing_answers_a_selection_only_if_the_epoch_s_own_has_come() {
    for own_has_come in [true, false] {
        let mut negotiation = asked(&[3.0]);
        if own_has_come {
            result(&mut negotiation, nothing(None), 0);
        }
        offering(&mut negotiation, terms("pgo-4-1", "a", 3.0, 1.0), 1);
        negotiation.select(3.0);
        result(&mut negotiation, nothing(None), 0);
        assert_eq!(negotiation.missing_results().is_empty(), own_has_come);
    }
}
