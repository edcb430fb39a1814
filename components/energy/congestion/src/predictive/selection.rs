//! Which offers are taken: [`cheapest`].

/// How finely power is counted, as a part of what is asked for, where a watt would be finer.
const GRAINS: f64 = 10_000.0;
/// Two powers that are closer than this are the same, in kW.
const GRAIN_KW: f64 = 0.001;

/// Power at a price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Priced {
    /// What it gives in kW; above 0.
    pub power_kw: f64,
    /// What it costs in EUR, as a whole; 0 or more.
    pub price_eur: f64,
}

/// A selection of those offers that were looked at so far.
#[derive(Clone, Copy)]
struct Selection {
    /// Grains of power, no more than are wanted.
    grains: u64,
    price_eur: f64,
    /// All its power.
    power_kw: f64,
    count: u32,
    /// The offer that was added last, among the links.
    last: Option<usize>,
}

impl Selection {
    /// Whether it is to be preferred where both have power enough: it costs less; else it has less power that nobody
    /// asked for; else fewer offers.
    fn is_before(&self, other: &Self) -> bool {
        let by_price = self.price_eur.total_cmp(&other.price_eur);
        let order =
            by_price.then(self.power_kw.total_cmp(&other.power_kw)).then(self.count.cmp(&other.count));
        order.is_lt()
    }
}

/// The numbers of those offers that together give `request_kw` at least price; where all together do not, all. Power is
/// counted in watts, or in ten-thousandths of the request if that has more than 10 kW. Nothing if they all together give
/// less than `least_kw`, which would not help.
///
/// Selections are built up offer by offer; of those that give as much, the cheapest is kept, and none that gives no more
/// and costs no less than another. So the answer is exact, and the work is bounded by the number of offers times ten
/// thousand.
#[must_use]
pub fn cheapest(offers: &[Priced], request_kw: f64, least_kw: f64) -> Vec<usize> {
    let all_kw: f64 = offers.iter().map(|offer| offer.power_kw).sum();
    if all_kw < least_kw - GRAIN_KW {
        return Vec::new();
    }
    let grain_kw = GRAIN_KW.max(request_kw / GRAINS);
    let sizes: Vec<u64> = offers.iter().map(|offer| grains(offer.power_kw / grain_kw)).collect();
    let target = grains(request_kw / grain_kw).min(sizes.iter().sum());
    // By offer: the offer before it in the same selection.
    let mut links: Vec<(usize, Option<usize>)> = Vec::new();
    // In the order of their grains, and so of their preference the other way round.
    let mut kept = vec![Selection { grains: 0, price_eur: 0.0, power_kw: 0.0, count: 0, last: None }];
    for (number, (offer, size)) in offers.iter().zip(&sizes).enumerate() {
        let with: Vec<Selection> = kept
            .iter()
            .map(|selection| {
                links.push((number, selection.last));
                Selection {
                    grains: (selection.grains + size).min(target),
                    price_eur: selection.price_eur + offer.price_eur,
                    power_kw: selection.power_kw + offer.power_kw,
                    count: selection.count + 1,
                    last: Some(links.len() - 1),
                }
            })
            .collect();
        kept.extend(with);
        kept = undominated(kept);
    }
    let mut chosen = Vec::new();
    let mut at = kept.iter().find(|selection| selection.grains >= target).and_then(|found| found.last);
    while let Some((number, before)) = at.and_then(|at| links.get(at)) {
        chosen.push(*number);
        at = *before;
    }
    chosen.sort_unstable();
    chosen
}

/// Those of which no other one gives as much and is to be preferred, by what they give.
fn undominated(mut selections: Vec<Selection>) -> Vec<Selection> {
    selections.sort_by(|a, b| {
        let order = b.grains.cmp(&a.grains).then(a.price_eur.total_cmp(&b.price_eur));
        order.then(a.power_kw.total_cmp(&b.power_kw)).then(a.count.cmp(&b.count))
    });
    let mut kept: Vec<Selection> = Vec::with_capacity(selections.len());
    for selection in selections {
        if kept.last().is_none_or(|best| selection.is_before(best)) {
            kept.push(selection);
        }
    }
    kept.reverse();
    kept
}

/// The whole number next to `value`; 0 for what is below it or no number.
fn grains(value: f64) -> u64 {
    format!("{:.0}", value.clamp(0.0, 1e15)).parse().unwrap_or(0)
}
