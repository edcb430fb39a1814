//! What is to be planned: a [`Problem`] has the power that nobody can change, each [`Storage`], and for each market the
//! [`Settlement`] of every step, which says what taking and giving energy costs.
//!
//! All powers are positive towards the grid of the community: a storage that discharges and a market that is bought
//! from are positive, as in the messages.

use gridloop_messages::Direction;
use std::ops::Range;

/// A community over the steps of a horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Length of a step.
    pub step_h: f64,
    /// Power of all units that cannot be controlled, one value for each step.
    pub fixed_kw: Vec<f64>,
    /// How stored energy changes, and where the horizon ends for it.
    pub storage_model: StorageModel,
    /// The storages.
    pub storages: Vec<Storage>,
    /// The markets.
    pub markets: Vec<MarketSteps>,
    /// By how much storages must depart from a reference.
    pub regulations: Vec<Regulation>,
    /// Power of every storage in the first step, where that is decided already.
    pub first_kw: Option<Vec<f64>>,
}

/// Conventions of a storage that differ between gridloop and SimCES (wire contract 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StorageModel {
    /// As the storage component (wire contract 6.2): self-discharge is a share of the rated energy per hour. The
    /// terminal condition holds for the end of the horizon.
    #[default]
    Rated,
    /// As the economic dispatch of SimCES: self-discharge is a share of the stored energy per step. The terminal
    /// condition holds for the beginning of the last step, so that the power of the last step has no effect on any
    /// stored energy.
    Simces,
}

/// A storage.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Its name.
    pub name: String,
    /// Rated energy.
    pub capacity_kwh: f64,
    /// The most it charges with, a positive number.
    pub charge_max_kw: f64,
    /// The most it discharges with, a positive number.
    pub discharge_max_kw: f64,
    /// Stored energy per charged energy, 0 to 1.
    pub charge_efficiency: f64,
    /// Discharged energy per energy taken from the store, above 0, to 1.
    pub discharge_efficiency: f64,
    /// As [`StorageModel`] says: of the rated energy per hour, or of the stored energy per step.
    pub self_discharge: f64,
    /// What a discharged kWh costs in wear. Anything above 0 keeps energy from being moved for nothing.
    pub wear_eur_per_kwh: f64,
    /// Stored at the beginning.
    pub initial_kwh: f64,
    /// What must be, or should be, stored at the end.
    pub terminal: Terminal,
}

/// A condition for the stored energy at the end of the horizon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terminal {
    /// At least this.
    pub least_kwh: f64,
    /// At most this.
    pub most_kwh: f64,
    /// A price in EUR/kWh for each kWh between the stored energy and a target in kWh: (price, target).
    pub penalty: Option<(f64, f64)>,
}

impl Terminal {
    /// No condition but that the energy fits into the storage.
    #[must_use]
    pub const fn none(capacity_kwh: f64) -> Self {
        Self { least_kwh: 0.0, most_kwh: capacity_kwh, penalty: None }
    }

    /// The condition that SimCES calls TerminalSOCBound, TerminalSOCTarget and TerminalWeight, as documented: a bound
    /// alone is the least state of charge; with a target the state of charge ends at most the bound away from it, and
    /// exactly there without bound and weight; a weight is the price of being away from the target. Shares of 0 to 1,
    /// EUR/kWh.
    #[must_use]
    pub fn of(capacity_kwh: f64, bound: Option<f64>, target: Option<f64>, weight: Option<f64>) -> Self {
        let (least, most) = match (target, bound) {
            (None, bound) => (bound.unwrap_or(0.0), 1.0),
            (Some(target), Some(bound)) => ((target - bound).max(0.0), (target + bound).min(1.0)),
            (Some(_), None) if weight.is_some() => (0.0, 1.0),
            (Some(target), None) => (target, target),
        };
        let penalty = weight.zip(target).map(|(weight, target)| (weight, target * capacity_kwh));
        Self { least_kwh: least * capacity_kwh, most_kwh: most * capacity_kwh, penalty }
    }

    /// Bound, target and weight of which [`Terminal::of`] makes this condition.
    #[must_use]
    pub fn said(&self, capacity_kwh: f64) -> (Option<f64>, Option<f64>, Option<f64>) {
        let (least, most) = (self.least_kwh / capacity_kwh, self.most_kwh / capacity_kwh);
        let whole = least <= 0.0 && most >= 1.0;
        match self.penalty {
            Some((weight, target_kwh)) => {
                let target = target_kwh / capacity_kwh;
                let bound = (target - least).max(most - target);
                ((!whole).then_some(bound), Some(target), Some(weight))
            }
            None if most >= 1.0 => (Some(least), None, None),
            None if least >= most => (None, Some(least), None),
            // A bound that reaches beyond an empty storage.
            None if least <= 0.0 => (Some(most), Some(0.0), None),
            None => (Some((most - least) / 2.0), Some((most + least) / 2.0), None),
        }
    }
}

/// A market over the horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketSteps {
    /// Its name.
    pub name: String,
    /// One for each step.
    pub steps: Vec<Settlement>,
}

/// What energy costs in one step of one market: first what is agreed already, then departures from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// Agreed power, positive when bought.
    pub agreed_kw: f64,
    /// Its price.
    pub agreed_eur_per_kwh: f64,
    /// What can be taken beyond it, the cheapest first.
    pub take: Vec<Segment>,
    /// What can be given beyond it, the best paid first.
    pub give: Vec<Segment>,
}

/// An amount at one price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// At most this; may be infinite.
    pub max_kw: f64,
    /// What a kWh costs when it is taken, or brings when it is given.
    pub eur_per_kwh: f64,
}

/// Prices and limits of one step of one market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tariff {
    /// What a bought kWh costs.
    pub purchase_eur_per_kwh: f64,
    /// What a sold kWh brings.
    pub sale_eur_per_kwh: f64,
    /// The most that is bought; may be infinite.
    pub purchase_max_kw: f64,
    /// The most that is sold; may be infinite.
    pub sale_max_kw: f64,
}

impl Tariff {
    /// Nothing is agreed.
    #[must_use]
    pub fn open(self) -> Settlement {
        let take = vec![Segment { max_kw: self.purchase_max_kw, eur_per_kwh: self.purchase_eur_per_kwh }];
        let give = vec![Segment { max_kw: self.sale_max_kw, eur_per_kwh: self.sale_eur_per_kwh }];
        Settlement { agreed_kw: 0.0, agreed_eur_per_kwh: 0.0, take, give }
    }

    /// `agreed_kw` is committed, positive when bought. Each kWh that is taken beyond it costs `more` times the
    /// purchase price on top of its price, each one that is given back brings `less` times that price less. Where a
    /// sale would bring more than a purchase costs, it is paid like a purchase: departing must not pay.
    #[must_use]
    pub fn committed(self, agreed_kw: f64, more: f64, less: f64) -> Settlement {
        let purchase = self.purchase_eur_per_kwh;
        let sale = self.sale_eur_per_kwh.min(purchase);
        let (more, less) = (more * purchase.abs(), less * purchase.abs());
        let segment = |max_kw: f64, eur_per_kwh| Segment { max_kw: max_kw.max(0.0), eur_per_kwh };
        if agreed_kw >= 0.0 {
            let take = vec![segment(self.purchase_max_kw - agreed_kw, purchase + more)];
            let give = vec![segment(agreed_kw, purchase - less), segment(self.sale_max_kw, sale - less)];
            return Settlement { agreed_kw, agreed_eur_per_kwh: purchase, take, give };
        }
        let take = vec![segment(-agreed_kw, sale + more), segment(self.purchase_max_kw, purchase + more)];
        let give = vec![segment(self.sale_max_kw + agreed_kw, sale - less)];
        Settlement { agreed_kw, agreed_eur_per_kwh: self.sale_eur_per_kwh, take, give }
    }
}

/// Storages depart from a reference in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Regulation {
    /// Up: more power towards the grid than the reference.
    pub direction: Direction,
    /// In these steps.
    pub steps: Range<usize>,
    /// These storages together, by their places in the problem.
    pub storages: Vec<usize>,
    /// Power of those storages together, one value for each of those steps.
    pub reference_kw: Vec<f64>,
    /// By at least this.
    pub size_kw: f64,
}

impl Problem {
    /// Steps of the horizon.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.fixed_kw.len()
    }

    /// The first thing that is not as it must be, in words.
    #[must_use]
    pub fn flaw(&self) -> Option<String> {
        let n = self.steps();
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        if n == 0 || !(self.step_h > 0.0 && self.step_h.is_finite()) {
            return Some(format!("a horizon of {n} steps of {} h", self.step_h));
        }
        if !finite(&self.fixed_kw) {
            return Some("a forecast that is not finite".to_owned());
        }
        self.storages
            .iter()
            .find_map(Storage::flaw)
            .or_else(|| self.markets.iter().find_map(|market| market.flaw(n)))
            .or_else(|| {
                let known = |index: &usize| *index < self.storages.len();
                let fits = |it: &Regulation| {
                    it.steps.end <= n
                        && it.reference_kw.len() == it.steps.len()
                        && it.size_kw.is_finite()
                        && finite(&it.reference_kw)
                        && it.storages.iter().all(known)
                };
                let wrong = self.regulations.iter().any(|it| !fits(it));
                wrong.then(|| "a regulation of other storages or beyond the horizon".to_owned())
            })
            .or_else(|| {
                let first = self.first_kw.as_ref()?;
                let fits = first.len() == self.storages.len() && finite(first);
                (!fits).then(|| "a first step of other storages".to_owned())
            })
    }
}

impl Storage {
    fn flaw(&self) -> Option<String> {
        let Self { name, capacity_kwh, charge_max_kw, discharge_max_kw, initial_kwh, terminal, .. } = self;
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let positive = |value: f64| value >= 0.0 && value.is_finite();
        if !(positive(*capacity_kwh) && positive(*charge_max_kw) && positive(*discharge_max_kw)) {
            return Some(format!("storage {name} with ratings that are negative or not finite"));
        }
        let efficient = share(self.charge_efficiency) && share(self.discharge_efficiency);
        if !efficient || self.discharge_efficiency <= 0.0 || !share(self.self_discharge) {
            return Some(format!("storage {name} with efficiencies or self-discharge outside 0 to 1"));
        }
        if !(0.0..=*capacity_kwh).contains(initial_kwh) {
            return Some(format!("storage {name} of {capacity_kwh} kWh with {initial_kwh} kWh in it"));
        }
        if !positive(self.wear_eur_per_kwh) {
            return Some(format!("storage {name} with a wear that is negative or not finite"));
        }
        let (weight, target) = terminal.penalty.unwrap_or((0.0, 0.0));
        if !(positive(weight) && target.is_finite() && terminal.least_kwh <= terminal.most_kwh) {
            return Some(format!("storage {name} with a terminal condition that cannot be met"));
        }
        None
    }
}

impl MarketSteps {
    fn flaw(&self, steps: usize) -> Option<String> {
        let good = |segment: &Segment| segment.max_kw >= 0.0 && segment.eur_per_kwh.is_finite();
        let settled = |step: &Settlement| {
            step.agreed_kw.is_finite()
                && step.agreed_eur_per_kwh.is_finite()
                && step.take.iter().chain(&step.give).all(good)
        };
        let fits = self.steps.len() == steps && self.steps.iter().all(settled);
        (!fits).then(|| format!("market {} without a finite price for each of {steps} steps", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a condition makes the same condition again, whatever it was made of.
    #[test]
    fn what_is_said_of_a_terminal_condition_makes_it_again() {
        let shares = [None, Some(0.0), Some(0.25), Some(0.5), Some(0.75), Some(1.0)];
        for (bound, target) in shares.into_iter().flat_map(|bound| shares.map(|target| (bound, target))) {
            for weight in [None, Some(0.3)] {
                let condition = Terminal::of(20.0, bound, target, weight);
                let (bound, target, weight) = condition.said(20.0);
                assert_eq!(condition, Terminal::of(20.0, bound, target, weight), "{bound:?} {target:?}");
                assert!(weight.is_none() || target.is_some(), "a weight needs a target");
                assert!(bound.into_iter().chain(target).all(|share| (0.0..=1.0).contains(&share)));
            }
        }
    }
}
