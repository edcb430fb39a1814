//! The market alone, with everybody else scripted.

use super::*;
use gridloop_clock::MonoTime;
use gridloop_component::{Component, OpenEpoch, Output, Step};
use gridloop_messages::{
    Body, Direction, EpochFields, FlexibilityNeed, Header, LfmMarketResult, Message, Offer, OfferTerms,
    SelectedOffer, SimulationId, Status, TimeSeries, Timestamp,
};

const NOW: MonoTime = MonoTime::from_nanos(0);

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn hour(hour: u32) -> Timestamp {
    time(&format!("2023-02-01T{hour:02}:00:00Z"))
}

fn market(settings: impl FnOnce(&mut FlexibilityMarketSettings)) -> FlexibilityMarket {
    let mut told = FlexibilityMarketSettings {
        hours: OpeningHours { opening_h: 8.0, closing_h: 16.0 },
        providers: vec!["ed1".into(), "ed2".into()],
        procurers: vec!["pgo".into()],
        offers_within: None,
    };
    settings(&mut told);
    FlexibilityMarket::new("lfm1", told)
}

fn epoch(number: u64, start_time: Timestamp) -> OpenEpoch {
    let end_time = start_time.plus(Duration::from_secs(3600));
    OpenEpoch { number, start_time, end_time, nominal_start: NOW, deadline: None, opened_at: NOW }
}

fn message(source: &str, body: Body) -> Message {
    let fields = EpochFields {
        epoch_number: 1,
        triggering_message_ids: vec!["Clock-2".into()],
        ..EpochFields::default()
    };
    let header = Header {
        simulation_id: SimulationId::new(hour(0)),
        timestamp: hour(0),
        source_process_id: source.into(),
        message_id: format!("{source}-1"),
        epoch: Some(fields),
    };
    Message { header, body }
}

fn need(congestion: &str) -> Body {
    Body::FlexibilityNeed(Box::new(FlexibilityNeed {
        activation_time: hour(20),
        duration_min: 60.0,
        direction: Direction::Up,
        real_power_min_kw: 3.0,
        real_power_request_kw: 9.0,
        customer_ids: vec!["c7".into()],
        congestion_id: congestion.into(),
        bid_resolution_kw: Some(3.0),
    }))
}

fn terms(congestion: &str, id: &str, kw: f64, price_eur: f64) -> OfferTerms {
    OfferTerms {
        activation_time: Some(hour(20)),
        duration_min: Some(60.0),
        direction: Some(Direction::Up),
        real_power: Some(TimeSeries::single(vec![hour(20)], "Regulation", "kW", vec![kw])),
        price_eur: Some(price_eur),
        congestion_id: Some(congestion.into()),
        offer_id: Some(id.into()),
        customer_ids: Some(vec!["c7".into()]),
    }
}

fn offer(congestion: &str, id: &str, count: u64) -> Body {
    Body::Offer(Box::new(Offer { terms: terms(congestion, id, 6.0, 7.5), offer_count: count }))
}

fn none(congestion: &str) -> Body {
    Body::Offer(Box::new(Offer { terms: terms(congestion, "zero", 0.0, 0.0), offer_count: 0 }))
}

fn select(ids: &[&str]) -> Body {
    Body::SelectedOffer(SelectedOffer { offer_ids: ids.iter().map(ToString::to_string).collect() })
}

/// Everything that the market says until it waits, and whether it is done.
fn said(market: &mut FlexibilityMarket, at: &OpenEpoch, now: MonoTime) -> (Vec<Output>, bool) {
    let mut all = Vec::new();
    for _ in 0..100 {
        match market.step(at, now).unwrap() {
            Step::Publish(outputs) => all.extend(outputs),
            Step::Done(outputs) => {
                all.extend(outputs);
                return (all, true);
            }
            Step::Waiting | Step::WakeAt(_) => return (all, false),
            Step::Round(_) => panic!("a round"),
        }
    }
    panic!("it does not end");
}

fn topics(outputs: &[Output]) -> Vec<&str> {
    outputs.iter().map(|output| output.topic.as_str()).collect()
}

fn results(outputs: &[Output]) -> Vec<&LfmMarketResult> {
    let result = |output: &'_ Output| matches!(output.body, Body::LfmMarketResult(_));
    outputs
        .iter()
        .filter(|output| result(output))
        .map(|output| match &output.body {
            Body::LfmMarketResult(result) => &**result,
            _ => unreachable!(),
        })
        .collect()
}

fn offerings(outputs: &[Output]) -> Vec<(&str, u64, Option<&str>)> {
    outputs
        .iter()
        .filter_map(|output| match &output.body {
            Body::LfmOffering(offer) => {
                Some((output.topic.as_str(), offer.offer_count, offer.terms.offer_id.as_deref()))
            }
            _ => None,
        })
        .collect()
}

/// The market in an epoch that begins at this hour, after its first words.
fn opened(market: &mut FlexibilityMarket, at: &OpenEpoch) -> Vec<Output> {
    market.open(at).unwrap();
    said(market, at, NOW).0
}

fn tell(market: &mut FlexibilityMarket, at: &OpenEpoch, source: &str, body: Body) -> (Vec<Output>, bool) {
    market.take("", &message(source, body), NOW).unwrap();
    said(market, at, NOW)
}

#[test]
fn without_accepted_offers_one_empty_result_is_said_in_every_epoch_open_or_closed() {
    let mut market = market(|_| {});
    for start in 0..24 {
        let at = epoch(u64::from(start) + 1, hour(start));
        let outputs = opened(&mut market, &at);
        assert_eq!(topics(&outputs), ["LFMMarketResult.lfm1"], "hour {start}");
        assert_eq!(results(&outputs)[0].result_count, 0);
        assert_eq!(results(&outputs)[0].terms.offer_id, None);
    }
}

#[test]
fn the_closing_hour_is_still_open_and_a_closed_market_is_ready_at_once() {
    let mut market = market(|_| {});
    for (start, open) in [(7, false), (8, true), (16, true), (17, false)] {
        let at = epoch(1, hour(start));
        market.open(&at).unwrap();
        assert_eq!(said(&mut market, &at, NOW).1, !open, "hour {start}");
    }
    let late = OpeningHours { opening_h: 8.0, closing_h: 16.0 };
    assert!(late.is_open(time("2023-02-01T16:45:00Z")), "the minute does not count");
}

#[test]
fn a_need_is_asked_for_offered_selected_and_in_force_until_it_is_over() {
    let mut market = market(|_| {});
    let at = epoch(1, hour(10));
    opened(&mut market, &at);
    let (asked, _) = tell(&mut market, &at, "pgo", need("k"));
    assert_eq!(topics(&asked), ["Request.lfm1"]);
    assert_eq!(tell(&mut market, &at, "ed1", offer("k", "a", 2)).0, []);
    assert_eq!(tell(&mut market, &at, "ed2", none("k")).0, []);
    let (passed_on, _) = tell(&mut market, &at, "ed1", offer("k", "b", 2));
    let to = "LFMOffering.pgo";
    assert_eq!(offerings(&passed_on), [(to, 2, Some("a")), (to, 2, Some("b"))]);
    let (answered, done) = tell(&mut market, &at, "pgo", select(&["a", "b"]));
    assert_eq!(results(&answered).iter().map(|it| it.result_count).collect::<Vec<_>>(), [2, 2]);
    assert!(!done, "the procurer is not ready");
    assert!(tell(&mut market, &at, "pgo", Body::Status(Status::READY)).1);
    for (start, in_force) in [(11, 2), (19, 2), (20, 2), (21, 1)] {
        let at = epoch(2, hour(start));
        let outputs = opened(&mut market, &at);
        let in_force_now = results(&outputs).iter().filter(|it| it.result_count > 0).count();
        assert_eq!(in_force_now, if start < 21 { in_force } else { 0 }, "hour {start}");
    }
}

#[test]
fn an_accepted_offer_of_half_an_epoch_is_in_force_in_that_epoch() {
    let mut market = market(|_| {});
    let at = epoch(1, hour(10));
    opened(&mut market, &at);
    tell(&mut market, &at, "pgo", need("k"));
    let mut short = terms("k", "a", 6.0, 1.0);
    short.duration_min = Some(30.0);
    tell(&mut market, &at, "ed1", Body::Offer(Box::new(Offer { terms: short, offer_count: 1 })));
    tell(&mut market, &at, "ed2", none("k"));
    tell(&mut market, &at, "pgo", select(&["a"]));
    let outputs = opened(&mut market, &epoch(2, hour(20)));
    assert_eq!(results(&outputs)[0].result_count, 1);
    let outputs = opened(&mut market, &epoch(3, hour(21)));
    assert_eq!(results(&outputs)[0].result_count, 0);
}

#[test]
fn a_need_without_any_offer_is_answered_with_nulls_and_count_0() {
    let mut market = market(|_| {});
    let at = epoch(1, hour(10));
    opened(&mut market, &at);
    tell(&mut market, &at, "pgo", need("k"));
    tell(&mut market, &at, "ed1", none("k"));
    let (passed_on, _) = tell(&mut market, &at, "ed2", none("k"));
    assert_eq!(offerings(&passed_on), [("LFMOffering.pgo", 0, None)]);
    assert!(tell(&mut market, &at, "pgo", Body::Status(Status::READY)).1);
}

#[test]
fn a_market_without_providers_answers_at_once() {
    let mut market = market(|told| told.providers.clear());
    let at = epoch(1, hour(10));
    opened(&mut market, &at);
    let (outputs, _) = tell(&mut market, &at, "pgo", need("k"));
    assert_eq!(topics(&outputs), ["Request.lfm1", "LFMOffering.pgo"]);
}

#[test]
fn whoever_may_not_need_is_told_that_there_is_nothing_and_why() {
    let mut market = market(|told| told.procurers.push("pgo2".into()));
    let at = epoch(1, hour(10));
    opened(&mut market, &at);
    tell(&mut market, &at, "pgo", need("k"));
    for (who, to) in [("pgo2", "LFMOffering.pgo2"), ("mallory", "LFMOffering.mallory")] {
        let (outputs, _) = tell(&mut market, &at, who, need("k"));
        assert_eq!(offerings(&outputs), [(to, 0, None)]);
        assert_eq!(outputs[0].warnings.len(), 1, "{who}");
    }
    assert_eq!(tell(&mut market, &at, "a.b", need("k")).0, [], "no name for a topic");
    assert_eq!(tell(&mut market, &at, "pgo", need("k")).0, [], "its first need stands");
}

#[test]
fn what_cannot_be_counts_for_nothing_and_does_not_hang_the_market() {
    let mut market = market(|_| {});
    let at = epoch(1, hour(10));
    opened(&mut market, &at);
    tell(&mut market, &at, "pgo", need("k"));
    let mut priceless = terms("k", "p", 3.0, 0.0);
    priceless.price_eur = None;
    let strays = [
        ("mallory", offer("k", "m", 1)),
        ("ed1", offer("other", "o", 1)),
        ("pgo", select(&["a"])),
        ("ed1", offer("k", "a", 3)),
        ("ed1", offer("k", "a", 3)),
        ("ed2", offer("k", "a", 2)),
        ("ed1", Body::Offer(Box::new(Offer { terms: priceless, offer_count: 3 }))),
        ("ed2", offer("k", "c", 2)),
    ];
    for (who, body) in strays {
        assert_eq!(offerings(&tell(&mut market, &at, who, body).0), []);
    }
    let (outputs, _) = tell(&mut market, &at, "ed1", offer("k", "b", 3));
    let to = "LFMOffering.pgo";
    assert_eq!(offerings(&outputs), [(to, 3, Some("a")), (to, 3, Some("b")), (to, 3, Some("c"))]);
    assert!(!outputs[0].warnings.is_empty());
    tell(&mut market, &at, "ed1", offer("k", "late", 3));
    let (outputs, _) = tell(&mut market, &at, "pgo", select(&["late", "b", "b"]));
    assert_eq!(results(&outputs).len(), 1);
    assert!(tell(&mut market, &at, "pgo", Body::Status(Status::READY)).1);
    let findings = market.findings().unwrap();
    assert_eq!(findings["accepted_offers"], 1);
    assert_eq!(findings["cost_eur"], 7.5);
}

#[test]
fn who_does_not_answer_in_time_has_nothing_to_offer_and_is_named() {
    let mut market = market(|told| told.offers_within = Some(Duration::from_secs(2)));
    let at = epoch(1, hour(10));
    opened(&mut market, &at);
    tell(&mut market, &at, "pgo", need("k"));
    tell(&mut market, &at, "ed1", offer("k", "a", 1));
    let due = NOW + Duration::from_secs(2);
    assert_eq!(market.step(&at, NOW).unwrap(), Step::WakeAt(due));
    let (outputs, _) = said(&mut market, &at, due);
    assert_eq!(offerings(&outputs), [("LFMOffering.pgo", 1, Some("a"))]);
    assert!(outputs[0].warnings[0].as_str().contains("ed2 did not answer the request for k"));
}

#[test]
fn the_order_and_repetition_of_messages_change_nothing_in_what_is_accepted() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut market = market(|told| told.procurers.push("pgo2".into()));
        let at = epoch(1, hour(10));
        opened(&mut market, &at);
        let mut waiting = vec![("pgo", need("k1")), ("pgo2", need("k2")), ("pgo", need("k3"))];
        let (mut passed_on, mut accepted, mut ready) = (0, 0, Vec::new());
        let mut done = false;
        while !waiting.is_empty() {
            let (who, body) = waiting.swap_remove(random.usize(..waiting.len()));
            if random.u8(..4) == 0 {
                waiting.push((who, body.clone()));
            }
            let (outputs, now_done) = tell(&mut market, &at, who, body);
            done |= now_done;
            for output in outputs {
                match output.body {
                    Body::Request(need) => {
                        let k = need.congestion_id.as_str();
                        waiting.extend([
                            ("ed1", offer(k, &format!("{k}-a"), 2)),
                            ("ed1", offer(k, &format!("{k}-b"), 2)),
                            ("ed2", none(k)),
                        ]);
                    }
                    Body::LfmOffering(offer) => {
                        passed_on += 1;
                        let id = offer.terms.offer_id.unwrap();
                        let who = if output.topic.ends_with("pgo2") { "pgo2" } else { "pgo" };
                        waiting.push((who, select(&[&id])));
                    }
                    Body::LfmMarketResult(result) => {
                        assert_eq!(output.topic, "LFMMarketResult.lfm1");
                        accepted = accepted.max(usize::from(result.result_count > 0));
                    }
                    other => panic!("{other:?}"),
                }
            }
            if waiting.is_empty() && ready.len() < 2 {
                let who = ["pgo", "pgo2"][ready.len()];
                ready.push(who);
                waiting.push((who, Body::Status(Status::READY)));
            }
        }
        assert!(done && accepted == 1, "seed {seed}");
        assert_eq!(passed_on, 6, "seed {seed}");
        let outputs = opened(&mut market, &epoch(2, hour(11)));
        let mut ids: Vec<_> = results(&outputs).iter().filter_map(|it| it.terms.offer_id.clone()).collect();
        ids.sort();
        assert_eq!(ids, ["k1-a", "k1-b", "k2-a", "k2-b", "k3-a", "k3-b"], "seed {seed}");
        assert!(results(&outputs).iter().all(|it| it.result_count == 2));
    }
}

#[test]
fn who_needs_something_of_a_closed_market_is_told_that_there_is_nothing() {
    let mut market = market(|_| {});
    let at = epoch(1, hour(7));
    market.open(&at).unwrap();
    market.take("", &message("pgo", need("k")), NOW).unwrap();
    let (outputs, done) = said(&mut market, &at, NOW);
    assert_eq!((offerings(&outputs), done), (vec![("LFMOffering.pgo", 0, None)], true));
    assert!(!topics(&outputs).contains(&"Request.lfm1"), "{outputs:?}");
    let warning = outputs[1].warnings[0].as_str();
    assert!(warning.ends_with("pgo says its need k while the market is closed; it is not asked for"));
    market.take("", &message("pgo", need("late")), NOW).unwrap();
    assert_eq!(said(&mut market, &at, NOW), (Vec::new(), true), "it was ready");
    assert_eq!(market.findings().unwrap()["while_closed"], 2);
}

#[test]
fn a_need_for_more_than_it_asks_for_or_of_the_past_is_refused() {
    let at = epoch(1, hour(10));
    let refused = |change: fn(&mut FlexibilityNeed)| {
        let mut market = market(|_| {});
        opened(&mut market, &at);
        let Body::FlexibilityNeed(mut need) = need("k") else { panic!() };
        change(&mut need);
        let (outputs, _) = tell(&mut market, &at, "pgo", Body::FlexibilityNeed(need));
        if topics(&outputs) == ["Request.lfm1"] {
            return None;
        }
        assert_eq!(offerings(&outputs), [("LFMOffering.pgo", 0, None)]);
        Some(outputs[0].warnings[0].as_str().to_owned())
    };
    let much = refused(|need| need.real_power_min_kw = 9.5).unwrap();
    assert!(much.contains("pgo needs at least 9.5 kW for k, but no more than 9 kW"), "{much}");
    assert_eq!(refused(|need| need.real_power_min_kw = 9.0), None);
    let past = refused(|need| need.activation_time = hour(9)).unwrap();
    assert!(past.contains("until 2023-02-01T10:00:00.000Z, which is past"), "{past}");
    let half_past = |need: &mut FlexibilityNeed| need.activation_time = time("2023-02-01T09:30:00Z");
    assert_eq!(refused(half_past), None, "half of it is to come");
}

#[test]
fn who_is_silent_is_named_after_ten_seconds_of_silence() {
    let mut market = market(|_| {});
    let at = epoch(1, hour(10));
    opened(&mut market, &at);
    let later = |seconds| NOW + Duration::from_secs(seconds);
    assert_eq!(market.step(&at, NOW), Ok(Step::WakeAt(later(10))));
    assert_eq!(market.waits_for(), ["a Status of pgo on PgoReady.pgo"]);
    market.take("", &message("pgo", need("k")), later(4)).unwrap();
    said(&mut market, &at, later(4));
    market.take("", &message("ed1", none("k")), later(5)).unwrap();
    assert_eq!(market.waits_for(), ["offers of ed2 for k", "a Status of pgo on PgoReady.pgo"]);
    assert_eq!(market.step(&at, later(5)), Ok(Step::WakeAt(later(15))), "after the last word");
    assert_eq!(market.step(&at, later(15)), Ok(Step::Waiting), "it is told once");
    market.take("", &message("ed2", none("k")), later(60)).unwrap();
    said(&mut market, &at, later(60));
    assert_eq!(market.step(&at, later(60)), Ok(Step::WakeAt(later(70))));
}
