//! The dispatch as a provider of a flexibility market: what it waits for, what it offers, and that it keeps it.

use crate::rig::{Rig, planned, time};
use gridloop_component::{Output, Step};
use gridloop_messages::{
    Body, CustomerInfo, Direction, FlexibilityNeed, LfmMarketResult, Offer, OfferTerms, Status, StatusValue,
    topic,
};

const COMMUNITY: &str = r#"
horizon_h = 6
resources = ["load"]
participating_market = "lfm1"

[market.spot]

[storage.battery]
kwh_rated = 10
kw_rated = 4
initial_state_of_charge_percent = 60
"#;

impl Rig {
    fn customers(&mut self) {
        let info = CustomerInfo {
            resource_id: vec!["load".into(), "battery".into(), "far".into()],
            customer_id: vec!["c1".into(), "c7".into(), "c9".into()],
            bus_name: vec!["5".into(), "7".into(), "9".into()],
        };
        self.take(topic::CUSTOMER_INFO, "cis", Body::CustomerInfo(info));
    }

    fn result(&mut self, terms: OfferTerms, result_count: u64) {
        let body = Body::LfmMarketResult(Box::new(LfmMarketResult { terms, result_count }));
        self.take("LFMMarketResult.lfm1", "lfm1", body);
    }

    fn request(&mut self, need: &FlexibilityNeed) {
        self.take("Request.lfm1", "lfm1", Body::Request(Box::new(need.clone())));
    }

    fn market_ready(&mut self, source: &str) {
        let status = Status { value: StatusValue::Ready, description: None, slack_s: None };
        self.take(topic::STATUS_READY, source, Body::Status(status));
    }

    fn inputs(&mut self) {
        self.forecast("load", &[-2.0; 7]);
        self.prices("spot", "{EUR}/(kW.h)", &["0.4", "0.2", "0.2", "0.2", "0.2", "0.2"]);
    }

    fn offers(&mut self) -> Vec<Offer> {
        let Ok(Step::Publish(outputs)) = self.step() else { panic!("no offers") };
        let offer = |output: Output| match output.body {
            Body::Offer(offer) if output.topic == "Offer.lfm1" => *offer,
            other => panic!("{other:?}"),
        };
        outputs.into_iter().map(offer).collect()
    }

    /// A dispatch whose plan for epoch 1 is published.
    fn planned() -> (Self, Vec<f64>) {
        let mut rig = Self::new(COMMUNITY);
        rig.open(1);
        rig.customers();
        rig.result(nothing(), 0);
        rig.inputs();
        let battery = planned(&rig.published(), "battery").1;
        (rig, battery)
    }
}

fn nothing() -> OfferTerms {
    OfferTerms {
        activation_time: None,
        duration_min: None,
        direction: None,
        real_power: None,
        price_eur: None,
        congestion_id: None,
        offer_id: None,
        customer_ids: None,
    }
}

/// From hour 3 on, for an hour: 1 to 3 kW.
fn need(congestion: &str, direction: Direction) -> FlexibilityNeed {
    FlexibilityNeed {
        activation_time: time(3.0),
        duration_min: 60.0,
        direction,
        real_power_min_kw: 1.0,
        real_power_request_kw: 3.0,
        customer_ids: vec!["c7".into(), "stranger".into()],
        congestion_id: congestion.into(),
        bid_resolution_kw: Some(1.0),
    }
}

fn size(offer: &Offer) -> f64 {
    offer.terms.real_power.as_ref().unwrap().numbers("Regulation").unwrap()[0]
}

fn is_nothing(offers: &[Offer], congestion: &str) {
    assert_eq!((offers.len(), offers[0].offer_count), (1, 0), "{offers:?}");
    let terms = &offers[0].terms;
    assert_eq!(terms.offer_id, Some(format!("ed-{congestion}-0")));
    assert_eq!((size(&offers[0]), terms.price_eur, &terms.customer_ids), (0.0, Some(0.0), &None));
}

#[test]
fn customers_and_results_of_the_market_are_waited_for() {
    let mut rig = Rig::new(COMMUNITY);
    rig.open(1);
    rig.inputs();
    assert!(matches!(rig.step(), Ok(Step::WakeAt(until)) if until > rig.now));
    rig.customers();
    rig.result(
        OfferTerms { congestion_id: Some("jam".into()), offer_id: Some("other-jam-1".into()), ..nothing() },
        2,
    );
    assert!(matches!(rig.step(), Ok(Step::WakeAt(_))), "a second result is to come");
    rig.result(
        OfferTerms { congestion_id: Some("jam".into()), offer_id: Some("other-jam-2".into()), ..nothing() },
        2,
    );
    rig.published();
}

#[test]
fn a_request_is_answered_with_offers_of_which_all_may_be_taken() {
    let (mut rig, _) = Rig::planned();
    rig.request(&need("jam", Direction::Up));
    let offers = rig.offers();
    assert_eq!(offers.iter().map(size).collect::<Vec<_>>(), [1.0, 2.0], "together 3 kW");
    let terms = &offers[1].terms;
    assert_eq!((offers[1].offer_count, terms.offer_id.as_deref()), (2, Some("ed-jam-2")));
    assert_eq!((terms.activation_time, terms.duration_min), (Some(time(3.0)), Some(60.0)));
    assert_eq!((terms.direction, terms.customer_ids.clone()), (Some(Direction::Up), Some(vec!["c7".into()])));
    assert!(terms.price_eur.unwrap() >= 1.0);
    assert_eq!(terms.real_power.as_ref().unwrap().time_index, [time(3.0)]);
}

#[test]
fn a_size_that_cannot_be_delivered_is_not_offered() {
    let (mut rig, battery) = Rig::planned();
    let most = 4.0 - battery[3];
    let request = FlexibilityNeed {
        real_power_min_kw: most + 0.5,
        real_power_request_kw: 9.0,
        ..need("jam", Direction::Up)
    };
    rig.request(&request);
    is_nothing(&rig.offers(), "jam");
}

#[test]
fn a_request_without_a_resolution_is_answered_too() {
    let (mut rig, _) = Rig::planned();
    rig.request(&FlexibilityNeed { bid_resolution_kw: None, ..need("jam", Direction::Down) });
    let offers = rig.offers();
    assert_eq!(offers.iter().map(size).collect::<Vec<_>>(), [3.0], "1 and 3 would be 4");
}

#[test]
fn nothing_is_offered_to_who_cannot_be_helped() {
    let (mut rig, _) = Rig::planned();
    let need = need("a", Direction::Up);
    let named = |congestion: &str| FlexibilityNeed { congestion_id: congestion.into(), ..need.clone() };
    let requests = [
        FlexibilityNeed { customer_ids: vec!["c9".into()], ..named("not-ours") },
        FlexibilityNeed { customer_ids: vec!["c1".into()], ..named("without-a-storage") },
        FlexibilityNeed { activation_time: time(6.0), ..named("too-late") },
        FlexibilityNeed { activation_time: time(0.5), ..named("under-way") },
        FlexibilityNeed { duration_min: 0.0, ..named("no-time") },
        FlexibilityNeed { duration_min: f64::MAX, ..named("for-ever") },
    ];
    for request in requests {
        rig.request(&request);
        is_nothing(&rig.offers(), &request.congestion_id);
    }
}

#[test]
fn a_congestion_is_answered_once() {
    let (mut rig, _) = Rig::planned();
    rig.request(&need("jam", Direction::Up));
    assert_eq!(rig.offers().len(), 2);
    rig.request(&need("jam", Direction::Up));
    is_nothing(&rig.offers(), "jam");
}

#[test]
fn requests_that_come_before_the_plan_are_answered_after_it() {
    let mut rig = Rig::new(COMMUNITY);
    rig.open(1);
    rig.request(&need("jam", Direction::Up));
    rig.customers();
    rig.result(nothing(), 0);
    rig.inputs();
    rig.published();
    assert_eq!(rig.offers().len(), 2);
}

#[test]
fn the_epoch_is_completed_when_storages_and_the_market_are_ready() {
    let (mut rig, _) = Rig::planned();
    rig.state("battery", Some(50.0));
    rig.market_ready("somebody");
    assert!(matches!(rig.step(), Ok(Step::WakeAt(_))));
    rig.market_ready("lfm1");
    assert_eq!(rig.step(), Ok(Step::Done(Vec::new())));
}

#[test]
fn what_was_taken_is_kept_in_the_plans_of_later_epochs() {
    for (direction, sign) in [(Direction::Up, 1.0), (Direction::Down, -1.0)] {
        let (mut rig, reference) = Rig::planned();
        rig.request(&need("jam", direction));
        let offers = rig.offers();
        for number in 2..=4 {
            rig.open(number);
            for offer in &offers {
                rig.result(offer.terms.clone(), 2);
            }
            rig.inputs();
            let output = rig.published();
            let battery = planned(&output, "battery").1;
            let at = 4 - usize::try_from(number).unwrap();
            let moved = sign * (battery[at] - reference[3]);
            assert!(moved >= 3.0 - 1e-6, "epoch {number}: {battery:?} instead of {reference:?}");
            assert!(output.warnings.is_empty(), "{:?}", output.warnings);
        }
        assert_eq!((&rig.findings()["offers_made"], &rig.findings()["offers_taken"]), (&2.into(), &2.into()));
        rig.open(5);
        rig.result(offers[0].terms.clone(), 1);
        rig.inputs();
        rig.published();
        assert_eq!(rig.findings()["offers_taken"], 2, "what is over is forgotten, and not counted again");
    }
}

#[test]
fn offers_to_two_congestions_of_an_epoch_reckon_with_each_other() {
    let offered = |text: &str| {
        let mut rig = Rig::new(text);
        rig.open(1);
        rig.customers();
        rig.result(nothing(), 0);
        rig.inputs();
        rig.published();
        rig.request(&need("a", Direction::Up));
        let first: f64 = rig.offers().iter().map(size).sum();
        rig.request(&need("b", Direction::Down));
        let second = rig.offers();
        (first, second.iter().map(size).sum::<f64>())
    };
    assert_eq!(offered(COMMUNITY), (3.0, 0.0), "it cannot go up and down at once");
    assert_eq!(offered(&format!("skip_open_offers = true\n{COMMUNITY}")), (3.0, 3.0));
}

#[test]
fn what_was_promised_and_cannot_be_kept_is_a_warning_and_no_error() {
    let (mut rig, _) = Rig::planned();
    rig.request(&need("jam", Direction::Up));
    let offers = rig.offers();
    rig.state("battery", Some(0.0));
    rig.open(4);
    for offer in &offers {
        rig.result(offer.terms.clone(), 2);
    }
    rig.forecast("load", &[-2.0; 7]);
    rig.prices("spot", "{EUR}/(kW.h)", &["0.4", "0.2", "0.2", "0.2", "0.2", "0.2"]);
    let output = rig.published();
    assert!(output.warnings[0].as_str().contains("kW of upregulation are missing"), "{:?}", output.warnings);
}
