//! Plans of problems that are set by hand, and of random ones.

#[cfg(feature = "highs")]
use gridloop_markets::dispatch::Solver;
use gridloop_markets::dispatch::{
    MarketSteps, Plan, Problem, Regulation, Shortfall, SolveError, SolverSettings, Storage, StorageModel,
    Tariff, Terminal, solve, solve_relaxed,
};
use gridloop_messages::Direction;
use proptest::prelude::*;

fn settings() -> SolverSettings {
    SolverSettings::default()
}

/// The storage of the golden case.
fn battery() -> Storage {
    Storage {
        name: "battery".into(),
        capacity_kwh: 10.0,
        charge_max_kw: 4.0,
        discharge_max_kw: 4.0,
        charge_efficiency: 0.9,
        discharge_efficiency: 0.9,
        self_discharge: 0.0,
        wear_eur_per_kwh: 0.0,
        initial_kwh: 5.0,
        terminal: Terminal::of(10.0, Some(0.4), None, None),
    }
}

fn market(prices: &[f64], sale: impl Fn(f64) -> f64, purchase_max_kw: f64, sale_max_kw: f64) -> MarketSteps {
    let step = |price: &f64| {
        let tariff = Tariff {
            purchase_eur_per_kwh: *price,
            sale_eur_per_kwh: sale(*price),
            purchase_max_kw,
            sale_max_kw,
        };
        tariff.open()
    };
    MarketSteps { name: "spot".into(), steps: prices.iter().map(step).collect() }
}

fn free(prices: &[f64]) -> MarketSteps {
    market(prices, |_| 0.0, f64::INFINITY, f64::INFINITY)
}

fn problem(fixed_kw: &[f64], storages: Vec<Storage>, markets: Vec<MarketSteps>) -> Problem {
    Problem {
        step_h: 1.0,
        parts: vec![1.0; fixed_kw.len()],
        fixed_kw: fixed_kw.to_vec(),
        storage_model: StorageModel::Rated,
        storages,
        markets,
        regulations: Vec::new(),
        first_kw: None,
    }
}

fn golden() -> Problem {
    let problem = problem(&[-2.0; 4], vec![battery()], vec![free(&[0.10, 0.30, 0.05, 0.20])]);
    Problem { storage_model: StorageModel::Simces, ..problem }
}

fn close(found: &[f64], expected: &[f64]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn the_golden_case_of_the_wire_contract_is_reproduced_by_the_model_of_simces() {
    let plan = solve(&golden(), settings()).unwrap();
    let [battery, spot] = [&plan.storages[0].power_kw, &plan.markets[0].power_kw];
    assert!(close(battery, &[2.0, 2.0, -3.827_160, 2.0]), "{battery:?}");
    assert!(close(spot, &[0.0, 0.0, 5.827_160, 0.0]), "{spot:?}");
    let energy = &plan.storages[0].energy_kwh;
    assert!(close(energy, &[5.0, 2.777_778, 0.555_556, 4.0]), "{energy:?}");
    assert!((plan.cost_eur - 0.291_358).abs() < 1e-6, "{}", plan.cost_eur);
    assert_eq!((plan.binaries, plan.shortfalls.len()), (0, 0));
}

/// Where HiGHS is built in (`cargo test -p gridloop-markets --features highs`, which needs cmake and libclang).
#[cfg(feature = "highs")]
#[test]
fn highs_finds_plans_of_the_same_cost() {
    let with = |solver| SolverSettings { solver, ..settings() };
    for storage_model in [StorageModel::Simces, StorageModel::Rated] {
        let problem = Problem { storage_model, ..golden() };
        let cost_eur = |solver| solve(&problem, with(solver)).unwrap().cost_eur;
        let apart = cost_eur(Solver::Highs) - cost_eur(Solver::Microlp);
        assert!(apart.abs() < 1e-6, "{storage_model:?}: {apart} EUR");
    }
}

#[test]
fn by_our_own_model_the_terminal_condition_holds_for_the_end_of_the_horizon() {
    let plan = solve(&Problem { storage_model: StorageModel::Rated, ..golden() }, settings()).unwrap();
    let energy = &plan.storages[0].energy_kwh;
    assert_eq!(energy.len(), 5);
    assert!((energy[4] - 4.0).abs() < 1e-6, "{energy:?}");
    assert!(plan.cost_eur > 0.291_358 + 1e-3, "the last discharge is not free: {}", plan.cost_eur);
}

#[test]
fn energy_is_bought_when_it_is_cheap_and_sold_when_that_pays_more_than_it_loses() {
    let spot = market(&[0.10, 0.10, 0.40, 0.40], |price| 0.8 * price, f64::INFINITY, f64::INFINITY);
    let empty = Storage { initial_kwh: 0.0, terminal: Terminal::none(10.0), ..battery() };
    let plan = solve(&problem(&[0.0; 4], vec![empty], vec![spot]), settings()).unwrap();
    assert!(
        close(&plan.markets[0].power_kw, &[4.0, 4.0, -2.48, -4.0])
            || close(&plan.markets[0].power_kw, &[4.0, 4.0, -4.0, -2.48]),
        "{plan:?}"
    );
    assert!((plan.cost_eur - (0.8 - 6.48 * 0.32)).abs() < 1e-9);
}

#[test]
fn energy_is_not_given_away_for_nothing() {
    let worn = Storage { wear_eur_per_kwh: 1e-5, terminal: Terminal::none(10.0), ..battery() };
    let plan = solve(&problem(&[0.0; 4], vec![worn], vec![free(&[0.2; 4])]), settings()).unwrap();
    assert_eq!(plan.storages[0].power_kw, [0.0; 4]);
}

#[test]
fn a_surplus_is_sold_for_nothing_where_nothing_is_said_of_sale_prices() {
    let plan = solve(&problem(&[3.0], Vec::new(), vec![free(&[0.1])]), settings()).unwrap();
    assert_eq!((plan.markets[0].power_kw[0], plan.cost_eur), (-3.0, 0.0));
}

#[test]
fn a_surplus_that_no_market_takes_is_infeasible_and_told_with_its_size() {
    let closed = market(&[0.1, 0.1], |_| 0.0, f64::INFINITY, 1.0);
    let problem = problem(&[3.0, 0.0], Vec::new(), vec![closed]);
    assert_eq!(solve(&problem, settings()), Err(SolveError::Infeasible));
    let plan = solve_relaxed(&problem, settings()).unwrap();
    assert_eq!(plan.shortfalls_in_words(), "2.000 kWh are left over that no market takes");
}

#[test]
fn a_terminal_condition_out_of_reach_is_told_with_what_can_be_reached() {
    let low = Storage { initial_kwh: 0.0, charge_max_kw: 1.0, ..battery() };
    let problem = problem(&[-1.0; 2], vec![low], vec![free(&[0.1; 2])]);
    assert_eq!(solve(&problem, settings()), Err(SolveError::Infeasible));
    let plan = solve_relaxed(&problem, settings()).unwrap();
    assert!(close(&plan.storages[0].power_kw, &[-1.0, -1.0]), "it comes as near as it can");
    let words = "battery ends at 18.00 % where 40.00 % to 100.00 % are asked for";
    assert_eq!(plan.shortfalls_in_words(), words);
}

#[test]
fn at_negative_prices_energy_is_not_burnt_by_charging_and_discharging_at_once() {
    let spot = market(&[-0.5, -0.5], |_| -1.0, f64::INFINITY, f64::INFINITY);
    let full = Storage { initial_kwh: 9.0, terminal: Terminal::none(10.0), ..battery() };
    let plan = solve(&problem(&[-1.0; 2], vec![full], vec![spot]), settings()).unwrap();
    assert!(plan.binaries > 0, "burning energy would pay here");
    check(
        &problem(
            &[-1.0; 2],
            vec![Storage { initial_kwh: 9.0, terminal: Terminal::none(10.0), ..battery() }],
            vec![],
        ),
        &plan,
        false,
    );
}

#[test]
fn a_sale_price_above_the_purchase_price_is_no_way_to_get_rich() {
    let spot = market(&[0.1, 0.1], |_| 0.3, f64::INFINITY, f64::INFINITY);
    let plan = solve(&problem(&[-1.0, 2.0], Vec::new(), vec![spot]), settings()).unwrap();
    assert_eq!(plan.markets[0].power_kw, [1.0, -2.0]);
    assert!((plan.cost_eur - (0.1 - 0.6)).abs() < 1e-9);
}

#[test]
fn a_terminal_weight_is_the_price_of_each_kwh_away_from_the_target_on_either_side() {
    let ends_at = |weight, initial_kwh| {
        let terminal = Terminal::of(10.0, None, Some(0.5), Some(weight));
        let storage = Storage { initial_kwh, terminal, ..battery() };
        let plan = solve(&problem(&[0.0], vec![storage], vec![free(&[0.20])]), settings()).unwrap();
        plan.storages[0].energy_kwh[1]
    };
    // A stored kWh costs 0.20 / 0.9 EUR.
    assert!((ends_at(0.23, 3.0) - 5.0).abs() < 1e-6, "worth its price");
    assert!((ends_at(0.22, 3.0) - 3.0).abs() < 1e-6, "not worth it");
    assert!((ends_at(0.01, 7.0) - 5.0).abs() < 1e-6, "too much is as bad as too little");
}

#[test]
fn a_target_is_met_within_its_bound_and_exactly_without_one() {
    let terminal = |bound| Terminal::of(10.0, bound, Some(0.5), None);
    assert_eq!((terminal(Some(0.1)).least_kwh, terminal(Some(0.1)).most_kwh), (4.0, 6.0));
    assert_eq!((terminal(None).least_kwh, terminal(None).most_kwh), (5.0, 5.0));
    assert_eq!((terminal(Some(0.8)).least_kwh, terminal(Some(0.8)).most_kwh), (0.0, 10.0));
}

#[test]
fn self_discharge_is_a_share_of_the_rated_energy_per_hour_or_of_the_stored_energy_per_step() {
    let leaky = Storage { self_discharge: 0.01, terminal: Terminal::none(10.0), ..battery() };
    let problem = problem(&[0.0; 3], vec![leaky], vec![market(&[0.2; 3], |_| 0.0, f64::INFINITY, 0.0)]);
    let ours = solve(&problem, settings()).unwrap();
    assert!(close(&ours.storages[0].energy_kwh, &[5.0, 4.9, 4.8, 4.7]), "{ours:?}");
    let simces = solve(&Problem { storage_model: StorageModel::Simces, ..problem }, settings()).unwrap();
    assert!(close(&simces.storages[0].energy_kwh, &[5.0, 4.95, 4.9005]), "{simces:?}");
}

#[test]
fn more_or_less_than_committed_costs_by_its_factors() {
    let tariff = Tariff {
        purchase_eur_per_kwh: 0.2,
        sale_eur_per_kwh: 0.0,
        purchase_max_kw: f64::INFINITY,
        sale_max_kw: f64::INFINITY,
    };
    let cost = |fixed_kw: f64| {
        let steps = vec![tariff.committed(3.0, 2.0, 0.5)];
        let spot = MarketSteps { name: "spot".into(), steps };
        let plan = solve(&problem(&[fixed_kw], Vec::new(), vec![spot]), settings()).unwrap();
        assert_eq!(plan.markets[0].power_kw[0], -fixed_kw);
        plan.cost_eur
    };
    assert!((cost(-3.0) - 0.6).abs() < 1e-9);
    assert!((cost(-4.0) - (0.6 + 0.2 + 0.4)).abs() < 1e-9, "three prices for what is more");
    assert!((cost(-2.0) - (0.6 - 0.1)).abs() < 1e-9, "half a price for what is less");
}

#[test]
fn a_regulation_moves_the_storages_and_what_is_missing_of_one_is_told() {
    let regulated = |size_kw, direction| {
        let problem = problem(&[-2.0; 3], vec![battery()], vec![free(&[0.2; 3])]);
        let regulation = Regulation {
            direction,
            steps: 1..2,
            storages: vec![0],
            reference_kw: vec![0.5],
            size_kw: vec![size_kw],
        };
        Problem { regulations: vec![regulation], ..problem }
    };
    let up = solve(&regulated(3.0, Direction::Up), settings()).unwrap();
    assert!(up.storages_kw(1) >= 3.5 - 1e-6, "{up:?}");
    let down = solve(&regulated(3.0, Direction::Down), settings()).unwrap();
    assert!(down.storages_kw(1) <= -2.5 + 1e-6, "{down:?}");
    assert_eq!(solve(&regulated(5.0, Direction::Up), settings()), Err(SolveError::Infeasible));
    let relaxed = solve_relaxed(&regulated(5.0, Direction::Up), settings()).unwrap();
    assert!(
        matches!(&relaxed.shortfalls[..], [Shortfall::Regulation { missing_kw, .. }] if (missing_kw - 1.5).abs() < 1e-6)
    );
}

#[test]
fn a_problem_that_is_wrong_is_told_in_words() {
    let flaw = |problem: Problem| solve(&problem, settings()).unwrap_err().to_string();
    assert!(flaw(problem(&[], vec![battery()], vec![])).contains("a horizon of 0 steps"));
    assert!(flaw(problem(&[f64::NAN], vec![], vec![])).contains("not finite"));
    assert!(
        flaw(problem(&[1.0], vec![Storage { initial_kwh: 11.0, ..battery() }], vec![])).contains("11 kWh")
    );
    assert!(flaw(problem(&[1.0], vec![], vec![free(&[0.1, 0.2])])).contains("market spot"));
    assert!(flaw(problem(&[1.0], vec![], vec![free(&[f64::INFINITY])])).contains("market spot"));
}

/// Balance, limits and the rule of stored energy, from the plan alone.
fn check(problem: &Problem, plan: &Plan, balanced: bool) {
    for t in 0..problem.steps() {
        let power: f64 = plan.units().map(|(_, power)| power[t]).sum();
        assert!(
            !balanced || (power + problem.fixed_kw[t]).abs() < 1e-6,
            "step {t} is not balanced: {plan:?}"
        );
    }
    for (storage, plan) in problem.storages.iter().zip(&plan.storages) {
        let mut energy = storage.initial_kwh;
        for (t, power) in plan.power_kw.iter().enumerate() {
            assert!((-storage.charge_max_kw - 1e-6..=storage.discharge_max_kw + 1e-6).contains(power));
            let factor =
                if *power < 0.0 { storage.charge_efficiency } else { 1.0 / storage.discharge_efficiency };
            energy -= factor * power * problem.step_h
                + storage.self_discharge * storage.capacity_kwh * problem.step_h;
            assert!((energy - plan.energy_kwh[t + 1]).abs() < 1e-5, "step {t} of {plan:?}");
            assert!((-1e-6..=storage.capacity_kwh + 1e-6).contains(&energy));
        }
        let Terminal { least_kwh, most_kwh, .. } = storage.terminal;
        assert!((least_kwh - 1e-6..=most_kwh + 1e-6).contains(&energy));
    }
}

prop_compose! {
    fn any_storage()(
        capacity_kwh in 1.0..20.0_f64, charge in 0.5..8.0_f64, discharge in 0.5..8.0_f64,
        charge_efficiency in 0.6..=1.0_f64, discharge_efficiency in 0.6..=1.0_f64,
        self_discharge in prop_oneof![Just(0.0), 0.0..0.002_f64], initial in 0.1..=1.0_f64, bound in 0.0..0.5_f64,
    ) -> Storage {
        Storage {
            name: "s".into(), capacity_kwh, charge_max_kw: charge, discharge_max_kw: discharge,
            charge_efficiency, discharge_efficiency, self_discharge, wear_eur_per_kwh: 0.0, initial_kwh: initial * capacity_kwh,
            terminal: Terminal::of(capacity_kwh, Some(bound * initial), None, None),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_is_balanced_and_within_all_limits_and_no_dearer_than_doing_nothing(
        storages in prop::collection::vec(any_storage(), 0..3),
        steps in prop::collection::vec((-6.0..4.0_f64, -0.1..0.4_f64), 1..8),
        factor in 0.0..1.0_f64,
    ) {
        let (fixed, prices): (Vec<f64>, Vec<f64>) = steps.into_iter().unzip();
        let spot = market(&prices, |price| (factor * price).min(price), f64::INFINITY, f64::INFINITY);
        let idle: f64 = fixed.iter().zip(&prices).map(|(kw, price)| {
            if *kw < 0.0 { -kw * price } else { -kw * (factor * price).min(*price) }
        }).sum();
        let leaky = storages.iter().any(|it| it.self_discharge > 0.0);
        let problem = problem(&fixed, storages, vec![spot]);
        let plan = solve(&problem, settings()).unwrap();
        check(&problem, &plan, true);
        prop_assert!(leaky || plan.cost_eur <= idle + 1e-6, "{} instead of {idle}", plan.cost_eur);
    }
}

#[test]
fn a_step_that_is_cut_changes_nothing_of_what_a_plan_costs() {
    for storage_model in [StorageModel::Rated, StorageModel::Simces] {
        let mut whole = Problem { storage_model, ..golden() };
        whole.storages[0].self_discharge = 0.01;
        let cost_eur = solve(&whole, settings()).unwrap().cost_eur;
        for (step, share) in [(0, 0.25), (1, 0.5), (2, 0.9)] {
            let mut cut = whole.clone();
            cut.cut(step, share);
            assert_eq!(cut.steps(), 5);
            let plan = solve(&cut, settings()).unwrap();
            let away = plan.cost_eur - cost_eur;
            // A share of what is stored is lost sooner or later within a step.
            let within = if storage_model == StorageModel::Rated { 1e-9 } else { 1e-3 };
            assert!(away.abs() < within, "{storage_model:?} {step}: {away}");
        }
    }
}

#[test]
fn a_regulation_keeps_its_time_where_steps_are_cut() {
    let regulation = |steps: std::ops::Range<usize>| Regulation {
        direction: Direction::Up,
        storages: vec![0],
        reference_kw: steps.clone().map(|t| t as f64).collect(),
        size_kw: steps.clone().map(|t| 10.0 * t as f64).collect(),
        steps,
    };
    let mut problem = Problem { regulations: vec![regulation(1..3)], ..golden() };
    let steps = |problem: &Problem| problem.regulations[0].steps.clone();
    problem.cut(3, 0.5);
    assert_eq!(steps(&problem), 1..3);
    problem.cut(0, 0.5);
    assert_eq!(steps(&problem), 2..4);
    problem.cut(3, 0.5);
    assert_eq!((steps(&problem), problem.flaw()), (2..5, None));
    assert_eq!(problem.regulations[0].reference_kw, [1.0, 2.0, 2.0]);
    assert_eq!(problem.regulations[0].size_kw, [10.0, 20.0, 20.0]);
}
