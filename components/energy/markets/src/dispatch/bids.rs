//! Which sizes are offered for how much: [`bids`].

use gridloop_messages::FlexibilityNeed;

/// Steps of BidResolution beyond the least size (as SimCES).
const MOST_STEPS: u32 = 15;
/// What sizes may differ by and still be the same, in kW.
const SAME_KW: f64 = 1e-6;

/// One size at one price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bid {
    pub(super) size_kw: f64,
    pub(super) price_eur: f64,
}

/// A size that can be delivered, and what that costs beyond the plan.
#[derive(Debug, Clone, Copy)]
struct Feasible {
    size_kw: f64,
    extra_eur: f64,
}

/// The offers that answer `need`: the largest collection of different sizes that can be delivered and of which any
/// selection can be, for all of it may be taken. A selection is delivered as one size, the sum of its own; the costs of
/// that are shared by size. The price of an offer is its dearest share times `factor`, and `least_eur` at least.
pub(super) fn bids(
    need: &FlexibilityNeed,
    mut extra_eur: impl FnMut(f64) -> Option<f64>,
    factor: f64,
    least_eur: f64,
) -> Vec<Bid> {
    let feasible: Vec<Feasible> = sizes(need)
        .into_iter()
        .filter_map(|size_kw| extra_eur(size_kw).map(|extra_eur| Feasible { size_kw, extra_eur }))
        .collect();
    let chosen = largest(&feasible);
    let price = |bid: &Feasible| {
        let dearest = selections(&chosen)
            .into_iter()
            .filter(|selection| selection.iter().any(|it| (it.size_kw - bid.size_kw).abs() <= SAME_KW))
            .filter_map(|selection| {
                let sum: f64 = selection.iter().map(|it| it.size_kw).sum();
                Some(at(&feasible, sum)?.extra_eur * bid.size_kw / sum)
            });
        (factor * dearest.fold(0.0, f64::max)).max(least_eur)
    };
    chosen.iter().map(|bid| Bid { size_kw: bid.size_kw, price_eur: price(bid) }).collect()
}

/// From the least that helps to what is asked for, in steps of BidResolution; without one, these two.
fn sizes(need: &FlexibilityNeed) -> Vec<f64> {
    let (least, most) = (need.real_power_min_kw, need.real_power_request_kw);
    let mut sizes: Vec<f64> = match need.bid_resolution_kw.filter(|step| *step > SAME_KW) {
        Some(step) => (0..=MOST_STEPS).map(|n| least + f64::from(n) * step).collect(),
        None => vec![least, most],
    };
    sizes.retain(|size| *size > SAME_KW && *size <= most + SAME_KW);
    sizes.dedup_by(|one, other| (*one - *other).abs() <= SAME_KW);
    sizes
}

fn at(feasible: &[Feasible], size_kw: f64) -> Option<&Feasible> {
    feasible.iter().find(|it| (it.size_kw - size_kw).abs() <= SAME_KW)
}

/// The largest collection all of whose selections are feasible sizes; of several the one with the greatest sum.
fn largest(feasible: &[Feasible]) -> Vec<Feasible> {
    let mut best = Vec::new();
    extend(feasible, 0, &mut Vec::new(), &[0.0], &mut best);
    best
}

/// Tries every feasible size from `from` on beside `chosen`, whose selections come to `sums`.
fn extend(
    feasible: &[Feasible],
    from: usize,
    chosen: &mut Vec<Feasible>,
    sums: &[f64],
    best: &mut Vec<Feasible>,
) {
    let total = |bids: &[Feasible]| bids.iter().map(|it| it.size_kw).sum::<f64>();
    if (chosen.len(), total(chosen)) > (best.len(), total(best)) {
        best.clone_from(chosen);
    }
    for (index, next) in feasible.iter().enumerate().skip(from) {
        let more: Vec<f64> = sums.iter().map(|sum| sum + next.size_kw).collect();
        if more.iter().all(|sum| at(feasible, *sum).is_some()) {
            chosen.push(*next);
            let all: Vec<f64> = sums.iter().chain(&more).copied().collect();
            extend(feasible, index + 1, chosen, &all, best);
            chosen.pop();
        }
    }
}

/// Every selection of one or more. There are few: each adds up to a feasible size.
fn selections(chosen: &[Feasible]) -> Vec<Vec<Feasible>> {
    let mut found: Vec<Vec<Feasible>> = Vec::new();
    for bid in chosen {
        let with: Vec<Vec<Feasible>> =
            found.iter().map(|selection| selection.iter().chain([bid]).copied().collect()).collect();
        found.extend(with);
        found.push(vec![*bid]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_messages::{Direction, Timestamp};

    fn need(least: f64, request: f64, resolution: Option<f64>) -> FlexibilityNeed {
        FlexibilityNeed {
            activation_time: Timestamp::parse("2023-02-02T04:00:00Z").unwrap(),
            duration_min: 60.0,
            direction: Direction::Up,
            real_power_min_kw: least,
            real_power_request_kw: request,
            customer_ids: vec!["c7".into()],
            congestion_id: "jam".into(),
            bid_resolution_kw: resolution,
        }
    }

    fn sizes_offered(need: &FlexibilityNeed, most: f64) -> Vec<f64> {
        let bids = bids(need, |size| (size <= most).then_some(0.0), 1.25, 1.0);
        bids.iter().map(|bid| bid.size_kw).collect()
    }

    #[test]
    fn every_selection_of_what_is_offered_can_be_delivered() {
        assert_eq!(sizes_offered(&need(3.0, 9.0, Some(3.0)), 100.0), [3.0, 6.0], "3, 6 and 9");
        assert_eq!(sizes_offered(&need(3.0, 9.0, Some(3.0)), 8.0), [6.0], "3 and 6 would be 9");
        assert_eq!(sizes_offered(&need(1.0, 7.0, Some(1.0)), 100.0), [1.0, 2.0, 4.0]);
        assert!(sizes_offered(&need(3.0, 9.0, Some(3.0)), 2.0).is_empty());
    }

    #[test]
    fn a_request_without_a_resolution_is_for_its_least_and_its_whole_size() {
        assert_eq!(sizes(&need(3.0, 9.0, None)), [3.0, 9.0]);
        assert_eq!(sizes(&need(3.0, 3.0, None)), [3.0]);
        assert_eq!(sizes(&need(3.0, 9.0, Some(0.0))), [3.0, 9.0]);
        assert_eq!(sizes(&need(0.0, 9.0, None)), [9.0], "nothing is no offer");
        assert_eq!(sizes(&need(5.0, 3.0, None)), [3.0], "never more than is asked for");
    }

    #[test]
    fn sizes_go_fifteen_resolutions_beyond_the_least_and_never_beyond_what_is_asked_for() {
        assert_eq!(sizes(&need(3.0, 10.0, Some(3.0))), [3.0, 6.0, 9.0]);
        assert_eq!(sizes(&need(1.0, 100.0, Some(1.0))).len(), 16);
    }

    #[test]
    fn a_price_is_the_dearest_share_of_any_selection_times_the_factor_and_has_a_least() {
        let cost = |size: f64| Some(size * size);
        let found = bids(&need(3.0, 9.0, Some(3.0)), cost, 1.25, 1.0);
        // Alone 3 kW cost 9 EUR; within 9 kW, which cost 81 EUR, a third of that.
        assert_eq!(found[0], Bid { size_kw: 3.0, price_eur: 1.25 * 27.0 });
        assert_eq!(found[1], Bid { size_kw: 6.0, price_eur: 1.25 * 54.0 });
        let free = bids(&need(3.0, 3.0, None), |_| Some(0.0), 1.25, 1.0);
        assert_eq!(free, [Bid { size_kw: 3.0, price_eur: 1.0 }]);
    }
}
