//! The selection among offers, held against the trial of all selections.

use crate::predictive::selection::{Priced, cheapest};
use proptest::prelude::*;

fn offers(pairs: &[(f64, f64)]) -> Vec<Priced> {
    pairs.iter().map(|&(power_kw, price_eur)| Priced { power_kw, price_eur }).collect()
}

fn total(offers: &[Priced], chosen: &[usize]) -> (f64, f64) {
    let chosen = chosen.iter().map(|at| offers[*at]);
    chosen.fold((0.0, 0.0), |(kw, eur), it| (kw + it.power_kw, eur + it.price_eur))
}

#[test]
fn one_offer_that_is_enough_is_not_joined_by_others() {
    assert_eq!(cheapest(&offers(&[(3.0, 3.0), (6.0, 7.0), (9.0, 9.0)]), 6.0, 3.0), [1]);
}

/// By price per kW the first would be taken, and then another beside it.
#[test]
fn the_cheapest_set_is_not_always_the_one_of_the_cheapest_kilowatts() {
    assert_eq!(cheapest(&offers(&[(5.0, 5.0), (6.0, 6.6), (4.0, 8.0)]), 6.0, 3.0), [1]);
    assert_eq!(cheapest(&offers(&[(3.0, 1.0), (3.0, 1.5), (6.0, 4.0)]), 6.0, 3.0), [0, 1]);
}

#[test]
fn where_all_together_are_not_enough_all_are_taken() {
    assert_eq!(cheapest(&offers(&[(3.0, 30.0), (3.0, 1.0)]), 100.0, 3.0), [0, 1]);
}

#[test]
fn what_is_less_than_the_least_that_helps_is_not_taken() {
    assert_eq!(cheapest(&offers(&[(1.0, 1.0), (1.5, 1.0)]), 9.0, 3.0), [0; 0]);
    assert_eq!(cheapest(&[], 9.0, 3.0), [0; 0]);
}

#[test]
fn of_two_selections_at_one_price_the_one_with_less_power_that_nobody_asked_for_is_taken() {
    assert_eq!(cheapest(&offers(&[(9.0, 2.0), (6.0, 2.0), (7.0, 2.0)]), 5.0, 3.0), [1]);
    assert_eq!(cheapest(&offers(&[(4.0, 1.0), (8.0, 2.0), (4.0, 1.0)]), 8.0, 3.0), [1], "and fewer of them");
}

#[test]
fn many_offers_for_much_power_are_selected_from_within_bounds() {
    let mut random = fastrand::Rng::with_seed(7);
    let offers: Vec<Priced> = (0..256)
        .map(|_| Priced { power_kw: 3.0 + 50.0 * random.f64(), price_eur: 1.0 + 20.0 * random.f64() })
        .collect();
    let chosen = cheapest(&offers, 1_000.0, 3.0);
    let (kw, eur) = total(&offers, &chosen);
    assert!(kw > 999.0, "{kw}");
    // No dearer than by price per kW, beyond what powers are rounded by.
    let mut by_rate: Vec<usize> = (0..offers.len()).collect();
    by_rate.sort_by(|a, b| {
        let rate = |at: &usize| offers[*at].price_eur / offers[*at].power_kw;
        rate(a).total_cmp(&rate(b))
    });
    let mut greedy = (0.0, 0.0);
    for at in by_rate {
        if greedy.0 < 1_003.0 {
            greedy = (greedy.0 + offers[at].power_kw, greedy.1 + offers[at].price_eur);
        }
    }
    assert!(eur <= greedy.1, "{eur} and {}", greedy.1);
}

proptest! {
    #[test]
    fn no_selection_that_is_enough_costs_less(
        watts in prop::collection::vec((1_u32..6_000, 0_u32..500), 0..10),
        request_w in 1_u32..10_000,
        least_w in 0_u32..4_000,
    ) {
        let offers: Vec<Priced> = watts
            .iter()
            .map(|(w, cents)| Priced {
                power_kw: f64::from(*w) / 1_000.0,
                price_eur: f64::from(*cents) / 100.0,
            })
            .collect();
        let (request_kw, least_kw) = (f64::from(request_w) / 1_000.0, f64::from(least_w) / 1_000.0);
        let chosen = cheapest(&offers, request_kw, least_kw);
        let all_w: u32 = watts.iter().map(|(w, _)| w).sum();
        if all_w < least_w {
            prop_assert_eq!(chosen, [0; 0]);
            return Ok(());
        }
        let target_w = request_w.min(all_w);
        let cheapest_cents = (0_u32..1 << watts.len())
            .filter_map(|set| {
                let picked = watts.iter().enumerate().filter(|(at, _)| set & (1 << at) != 0);
                let (w, cents) = picked.fold((0, 0), |(w, cents), (_, it)| (w + it.0, cents + it.1));
                (w >= target_w).then_some(cents)
            })
            .min()
            .unwrap();
        let (kw, eur) = total(&offers, &chosen);
        prop_assert!(kw >= f64::from(target_w) / 1_000.0 - 1e-9, "{} of {}", kw, target_w);
        prop_assert!((eur - f64::from(cheapest_cents) / 100.0).abs() < 1e-9, "{} of {}", eur, cheapest_cents);
    }
}
