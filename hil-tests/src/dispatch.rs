//! Problems of economic dispatch: random ones, and any as data for `hil-tests/peers/dispatch.py`.

use fastrand::Rng;
use gridloop_markets::dispatch::{
    MarketSteps, Problem, Regulation, Segment, Storage, StorageModel, Tariff, Terminal,
};
use gridloop_messages::Direction;
use serde_json::{Value, json};

/// What the peer needs to know of a problem.
#[must_use]
pub fn case(problem: &Problem) -> Value {
    let storages = problem.storages.iter().map(|it| {
        json!({
            "capacity_kwh": it.capacity_kwh,
            "charge_max_kw": it.charge_max_kw,
            "discharge_max_kw": it.discharge_max_kw,
            "charge_efficiency": it.charge_efficiency,
            "discharge_efficiency": it.discharge_efficiency,
            "self_discharge": it.self_discharge,
            "wear_eur_per_kwh": it.wear_eur_per_kwh,
            "initial_kwh": it.initial_kwh,
            "least_kwh": it.terminal.least_kwh,
            "most_kwh": it.terminal.most_kwh,
            "penalty": it.terminal.penalty,
        })
    });
    let segments = |segments: &[Segment]| -> Vec<Value> {
        let limit = |max_kw: f64| max_kw.is_finite().then_some(max_kw);
        segments.iter().map(|it| json!([limit(it.max_kw), it.eur_per_kwh])).collect()
    };
    let markets = problem.markets.iter().map(|market| {
        let steps = market.steps.iter().map(|it| {
            json!({
                "agreed_kw": it.agreed_kw,
                "agreed_eur_per_kwh": it.agreed_eur_per_kwh,
                "take": segments(&it.take),
                "give": segments(&it.give),
            })
        });
        steps.collect::<Vec<Value>>()
    });
    let regulations = problem.regulations.iter().map(|it| {
        json!({
            "up": it.direction == Direction::Up,
            "first": it.steps.start,
            "storages": it.storages,
            "reference_kw": it.reference_kw,
            "size_kw": it.size_kw,
        })
    });
    json!({
        "step_h": problem.step_h,
        "parts": problem.parts,
        "fixed_kw": problem.fixed_kw,
        "simces": problem.storage_model == StorageModel::Simces,
        "storages": storages.collect::<Vec<_>>(),
        "markets": markets.collect::<Vec<_>>(),
        "regulations": regulations.collect::<Vec<_>>(),
        "first_kw": problem.first_kw,
    })
}

/// A community with a load, a photovoltaic system and `storages` over `steps` hours, whose energy always costs
/// something and is sold for less.
#[must_use]
pub fn community(storages: usize, steps: usize, rng: &mut Rng) -> Problem {
    let size = storages.max(1) as f64;
    let hour = |t: usize| (t % 24) as f64;
    let sun = |t: usize| (std::f64::consts::PI * (hour(t) - 6.0) / 12.0).sin().max(0.0);
    let fixed_kw: Vec<f64> = (0..steps).map(|t| size * (3.0 * sun(t) - 1.0 - 0.6 * rng.f64())).collect();
    let tariff = |t: usize, rng: &mut Rng| {
        let price = 0.15 + 0.08 * ((hour(t) - 3.0) / 24.0 * std::f64::consts::TAU).sin() + 0.05 * rng.f64();
        Tariff {
            purchase_eur_per_kwh: price,
            sale_eur_per_kwh: 0.6 * price,
            purchase_max_kw: f64::INFINITY,
            sale_max_kw: f64::INFINITY,
        }
    };
    let steps = (0..steps).map(|t| tariff(t, rng).open()).collect();
    Problem {
        step_h: 1.0,
        parts: vec![1.0; fixed_kw.len()],
        fixed_kw,
        storage_model: StorageModel::Rated,
        storages: (0..storages).map(|n| storage(n, rng)).collect(),
        markets: vec![MarketSteps { name: "spot".to_owned(), steps }],
        regulations: Vec::new(),
        first_kw: None,
    }
}

/// Any problem: negative prices, sales above purchases, limits, commitments, regulation, every terminal condition;
/// some have no solution.
#[must_use]
pub fn anything(rng: &mut Rng) -> Problem {
    let steps = rng.usize(1..=10);
    let step_h = rng.choice([0.25, 0.5, 1.0]).unwrap_or(1.0);
    let simces = rng.u8(0..4) == 0;
    let storages: Vec<Storage> = (0..rng.usize(0..=3)).map(|n| storage(n, rng)).collect();
    let lowest = if rng.bool() { 0.01 } else { -0.2 };
    let markets = (0..rng.usize(0..=2)).map(|n| {
        let limit = |rng: &mut Rng| if rng.u8(0..5) == 0 { 6.0 * rng.f64() } else { f64::INFINITY };
        let (purchase_max_kw, sale_max_kw) = (limit(rng), limit(rng));
        let factor = rng.choice([0.0, 0.7, 1.0, 1.4]).unwrap_or(1.0);
        let step = |_| {
            let price = lowest + 0.4 * rng.f64();
            let tariff = Tariff {
                purchase_eur_per_kwh: price,
                sale_eur_per_kwh: factor * price,
                purchase_max_kw,
                sale_max_kw,
            };
            match rng.u8(0..6) {
                0 => tariff.committed(6.0 * rng.f64() - 2.0, 2.0, 0.5),
                _ => tariff.open(),
            }
        };
        MarketSteps { name: format!("market{n}"), steps: (0..steps).map(step).collect() }
    });
    let markets = markets.collect();
    let mut regulations = Vec::new();
    if !storages.is_empty() && rng.u8(0..3) == 0 {
        let first = rng.usize(0..steps);
        let last = rng.usize(first..steps);
        regulations.push(Regulation {
            direction: if rng.bool() { Direction::Up } else { Direction::Down },
            steps: first..last + 1,
            storages: (0..storages.len()).filter(|n| *n == 0 || rng.bool()).collect(),
            reference_kw: (first..=last).map(|_| 2.0 * rng.f64() - 1.0).collect(),
            size_kw: (first..=last).map(|_| 2.0 * rng.f64()).collect(),
        });
    }
    Problem {
        step_h,
        parts: (0..steps).map(|_| rng.choice([0.25, 0.75, 1.0, 1.0, 1.5]).unwrap_or(1.0)).collect(),
        fixed_kw: (0..steps).map(|_| 8.0 * rng.f64() - 5.0).collect(),
        storage_model: if simces { StorageModel::Simces } else { StorageModel::Rated },
        first_kw: (rng.u8(0..5) == 0).then(|| storages.iter().map(|_| rng.f64() - 0.5).collect()),
        storages,
        markets,
        regulations,
    }
}

fn storage(n: usize, rng: &mut Rng) -> Storage {
    let capacity_kwh = 4.0 + 12.0 * rng.f64();
    let share = |rng: &mut Rng| rng.bool().then(|| 0.6 * rng.f64());
    let (bound, target) = (share(rng), share(rng));
    let weight = (target.is_some() && rng.bool()).then(|| 0.4 * rng.f64());
    Storage {
        name: format!("storage{n}"),
        capacity_kwh,
        charge_max_kw: 1.0 + 4.0 * rng.f64(),
        discharge_max_kw: 1.0 + 4.0 * rng.f64(),
        charge_efficiency: 0.8 + 0.2 * rng.f64(),
        discharge_efficiency: if rng.u8(0..5) == 0 { 1.0 } else { 0.8 + 0.2 * rng.f64() },
        self_discharge: if rng.bool() { 0.0 } else { 0.01 * rng.f64() },
        wear_eur_per_kwh: if rng.bool() { 0.0 } else { 0.02 * rng.f64() },
        initial_kwh: capacity_kwh * (0.1 + 0.8 * rng.f64()),
        terminal: Terminal::of(capacity_kwh, bound, target, weight),
    }
}
