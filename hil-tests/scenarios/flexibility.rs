//! The example of the flexibility market in whole runs: predictor, grid operator, market and community with its battery.

use crate::energy::found;
use gridloop_hil_tests::world::{Run, World, simulated};
use gridloop_messages::{Body, Direction, FlexibilityNeed, Message, OfferTerms};
use gridloop_platform_manager::Configuration;
use gridloop_realtime_manager::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The limit below which the example's voltages are not to go, in pu.
const LIMIT_PU: f64 = 0.9;
/// The hours in which its market is open; epoch 1 is hour 0.
const OPEN: std::ops::RangeInclusive<u64> = 8..=11;

/// The example with these overrides, on a bus that keeps the order of messages, or one that shuffles them by a seed.
fn run_on(seed: Option<u64>, overrides: &[&str]) -> Run {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples/flexibility-market.toml");
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let configuration = Configuration::load(&path, &overrides).unwrap_or_else(|errors| panic!("{errors}"));
    let run = simulated(|clock| async move {
        let world = seed.map_or_else(|| World::in_order(&clock), |seed| World::new(&clock, seed));
        world.run(configuration).await
    });
    let run = run.expect("a run");
    assert_eq!(run.report.manager.outcome, Outcome::Completed, "{}", run.report.manager.reason);
    run
}

fn run(overrides: &[&str]) -> Run {
    run_on(None, overrides)
}

/// The same day, with an operator of the network who sees no harm in any voltage.
fn without_needs() -> Run {
    run(&["component.pgo.min_voltage_pu=0.5"])
}

fn messages(run: &Run) -> impl Iterator<Item = (u64, &Message)> {
    let decoded = run.messages.iter().filter_map(|heard| heard.message.as_ref());
    decoded.filter_map(|message| Some((message.epoch_number()?, message)))
}

/// The needs, with the epoch in which they were told.
fn needs(run: &Run) -> Vec<(u64, FlexibilityNeed)> {
    let needs = messages(run).filter_map(|(epoch, message)| match &message.body {
        Body::FlexibilityNeed(need) => Some((epoch, (**need).clone())),
        _ => None,
    });
    needs.collect()
}

/// The offers that the market says it has accepted, by OfferId.
fn accepted(run: &Run) -> BTreeMap<String, OfferTerms> {
    let results = messages(run).filter_map(|(_, message)| match &message.body {
        Body::LfmMarketResult(result) => Some((result.terms.offer_id.clone()?, result.terms.clone())),
        _ => None,
    });
    results.collect()
}

fn size_kw(terms: &OfferTerms) -> f64 {
    let power = terms.real_power.as_ref().expect("an accepted offer has power");
    power.numbers("Regulation").expect("kW")[0]
}

/// What the battery gives, by epoch, in kW.
fn battery_kw(run: &Run) -> BTreeMap<u64, f64> {
    let states = messages(run).filter_map(|(epoch, message)| match &message.body {
        Body::ResourceState(state) if message.header.source_process_id == "battery" => {
            Some((epoch, state.real_power_kw))
        }
        _ => None,
    });
    states.collect()
}

/// The lowest voltage of an epoch, in pu, by epoch.
fn lowest_pu(run: &Run) -> BTreeMap<u64, f64> {
    let mut lowest = BTreeMap::new();
    for (epoch, message) in messages(run) {
        if let Body::NetworkState(gridloop_messages::NetworkState::Voltage(voltage)) = &message.body {
            let of_epoch = lowest.entry(epoch).or_insert(f64::MAX);
            *of_epoch = voltage.magnitude_kv.min(*of_epoch * 0.4) / 0.4;
        }
    }
    lowest
}

/// The epoch in which an hour of the day is simulated.
fn epoch_of(need: &FlexibilityNeed) -> u64 {
    let first = gridloop_messages::Timestamp::parse("2026-06-22T00:00:00Z").expect("a time");
    let hours = (need.activation_time.as_datetime() - first.as_datetime()).num_hours();
    u64::try_from(hours).expect("an hour of the run") + 1
}

#[test]
fn a_congestion_that_is_forecast_is_bought_away_before_it_comes() {
    let (idle, traded) = (without_needs(), run(&[]));
    assert_eq!(needs(&idle), []);
    assert_eq!(found(&idle, "lfm", "/accepted_offers"), 0.0);

    // What is asked for is power upwards, from the customer at the far end, when the voltage would be too low.
    let congested: BTreeSet<u64> =
        lowest_pu(&idle).into_iter().filter(|(_, pu)| *pu < LIMIT_PU).map(|(epoch, _)| epoch).collect();
    assert!(!congested.is_empty(), "nothing to buy away");
    let needs = needs(&traded);
    assert_eq!(needs.iter().map(|(_, need)| epoch_of(need)).collect::<BTreeSet<_>>(), congested);
    for (epoch, need) in &needs {
        assert!(OPEN.contains(&(epoch - 1)), "asked in hour {}", epoch - 1);
        assert_eq!((need.direction, need.customer_ids.clone()), (Direction::Up, vec!["farm".to_owned()]));
    }

    // What is taken is delivered: the battery departs by it from what it does without the market.
    let accepted = accepted(&traded);
    assert!(!accepted.is_empty(), "nothing was bought: {needs:?}");
    let (before, after) = (battery_kw(&idle), battery_kw(&traded));
    for epoch in &congested {
        let of_epoch: BTreeSet<&str> = needs
            .iter()
            .filter(|(_, need)| epoch_of(need) == *epoch)
            .map(|(_, need)| need.congestion_id.as_str())
            .collect();
        let of_epoch = accepted
            .values()
            .filter(|terms| terms.congestion_id.as_deref().is_some_and(|it| of_epoch.contains(it)));
        let bought_kw: f64 = of_epoch.map(size_kw).sum();
        assert!(bought_kw > 0.0, "nothing was bought for epoch {epoch}");
        let departs_kw = after[epoch] - before[epoch];
        assert!(departs_kw > bought_kw - 1e-3, "epoch {epoch}: {departs_kw} kW of {bought_kw}");
    }

    // And it helps.
    let (low_before, low_after) = (lowest_pu(&idle), lowest_pu(&traded));
    for epoch in &congested {
        let (before, after) = (low_before[epoch], low_after[epoch]);
        assert!(after > before && after >= LIMIT_PU, "epoch {epoch}: {before} and then {after} pu");
    }
    assert_eq!(found(&traded, "monitoring", "/red/seconds"), 0.0);
    assert!(found(&idle, "monitoring", "/red/seconds") >= 3_600.0);
}

#[test]
fn every_word_of_an_exchange_is_said_once_and_in_its_order() {
    let run = run(&[]);
    let (first, need) = needs(&run).into_iter().next().expect("a need");
    let of_need = |message: &Message| -> Option<&'static str> {
        let about = |congestion: &Option<String>| congestion.as_ref() == Some(&need.congestion_id);
        match &message.body {
            Body::FlexibilityNeed(it) => (it.congestion_id == need.congestion_id).then_some("need"),
            Body::Request(it) => (it.congestion_id == need.congestion_id).then_some("request"),
            Body::Offer(it) => about(&it.terms.congestion_id).then_some("offer"),
            Body::LfmOffering(it) => about(&it.terms.congestion_id).then_some("offering"),
            Body::SelectedOffer(_) => Some("selection"),
            Body::LfmMarketResult(it) => about(&it.terms.congestion_id).then_some("result"),
            Body::Status(_) if message.header.source_process_id == "pgo" => Some("pgo is ready"),
            Body::Status(_) if message.header.source_process_id == "lfm" => Some("lfm is ready"),
            Body::Status(_) if message.header.source_process_id == "community" => Some("community is ready"),
            _ => None,
        }
    };
    let mut words: Vec<&str> =
        messages(&run).filter(|(epoch, _)| *epoch == first).filter_map(|(_, it)| of_need(it)).collect();
    words.dedup();
    let expected = [
        "need",
        "request",
        "offer",
        "offering",
        "selection",
        "result",
        "pgo is ready",
        "lfm is ready",
        "community is ready",
    ];
    assert_eq!(words, expected);
}

#[test]
fn what_buyer_and_market_report_is_the_same() {
    let run = run(&[]);
    for (of_buyer, of_market) in [
        ("/needs", "/needs"),
        ("/requested_kw", "/requested_kw"),
        ("/offers", "/offers"),
        ("/accepted_offers", "/accepted_offers"),
        ("/selected_kw", "/accepted_kw"),
        ("/cost_eur", "/cost_eur"),
    ] {
        assert_eq!(found(&run, "pgo", of_buyer), found(&run, "lfm", of_market), "{of_buyer}");
    }
    assert_eq!(found(&run, "lfm", "/left_aside"), 0.0);
    assert_eq!(found(&run, "pgo", "/uncovered_kw"), 0.0);
    let beyond = found(&run, "pgo", "/worst_violation/beyond_limit");
    assert!((-0.05..0.0).contains(&beyond), "{beyond}");
}

#[test]
fn the_order_in_which_messages_arrive_changes_nothing_in_what_is_bought() {
    let bought = |run: &Run| {
        let numbers = ["/needs", "/requested_kw", "/offers", "/accepted_offers", "/selected_kw", "/cost_eur"];
        numbers.map(|number| found(run, "pgo", number))
    };
    let in_order = bought(&run(&["simulation.epochs=10"]));
    assert!(in_order.iter().all(|number| *number > 0.0), "{in_order:?}");
    for seed in 1..=4 {
        assert_eq!(bought(&run_on(Some(seed), &["simulation.epochs=10"])), in_order, "seed {seed}");
    }
}
