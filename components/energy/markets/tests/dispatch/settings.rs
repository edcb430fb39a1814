//! What a configuration may say, and what it is told when it says something else.

use crate::rig::{GOLDEN, kind};
use gridloop_markets::Kind;
use gridloop_markets::dispatch::{OnInfeasible, SalePrice, Solver, StorageModel};

fn errors(text: &str) -> String {
    kind(text).err().unwrap_or_else(|| "no error".into())
}

#[test]
fn little_needs_to_be_said() {
    let Ok(Kind::EconomicDispatch(settings)) = kind("resources = [\"load\"]\n[market.spot]\n") else {
        panic!()
    };
    assert_eq!((settings.steps, settings.step.as_secs()), (36, 3600));
    assert_eq!((settings.storage_model, settings.solver.solver), (StorageModel::Rated, Solver::Microlp));
    assert_eq!(
        (settings.on_infeasible, settings.markets[0].sale.clone()),
        (OnInfeasible::Error, SalePrice::Fixed(0.0))
    );
    assert!(settings.commitment.is_none());
}

#[test]
fn a_storage_is_told_by_the_parameters_of_its_component() {
    let Ok(Kind::EconomicDispatch(settings)) = kind(GOLDEN) else { panic!() };
    let battery = &settings.storages[0];
    assert_eq!(
        (battery.charge_max_kw, battery.discharge_efficiency, battery.terminal.least_kwh),
        (4.0, 0.9, 4.0)
    );
}

#[test]
fn a_horizon_that_is_no_number_of_steps_is_told() {
    let told = errors(&GOLDEN.replace("horizon_h = 4", "horizon_h = 4\ntimestep_s = 5000"));
    assert!(told.contains("1 to 1000 whole steps of timestep_s") && told.contains("2.88 steps"), "{told}");
}

#[test]
fn names_that_are_there_twice_are_told() {
    let told = errors(&GOLDEN.replace("[\"load\"]", "[\"load\", \"battery\"]"));
    assert!(told.contains("\"battery\" is there twice"), "{told}");
}

#[test]
fn two_sale_prices_of_one_market_are_told() {
    let told = errors(
        &GOLDEN
            .replace("[market.spot]", "[market.spot]\nsale_price_factor = 0.5\nsale_price_eur_per_kwh = 0.1"),
    );
    assert!(told.contains("one of sale_price_eur_per_kwh"), "{told}");
}

#[test]
fn a_weight_without_a_target_is_told() {
    let told = errors(&format!("{GOLDEN}terminal_weight_eur_per_kwh = 0.1\n"));
    assert!(told.contains("terminal_soc_target_percent with terminal_weight_eur_per_kwh"), "{told}");
}

#[test]
fn a_solver_that_is_not_built_in_is_told_unless_it_is() {
    let told = errors(&format!("solver = \"highs\"\n{GOLDEN}"));
    if Solver::Highs.is_built_in() {
        assert_eq!(told, "no error");
    } else {
        assert!(told.contains("this build has no HiGHS") && told.contains("--features highs"), "{told}");
    }
}

#[test]
fn a_dispatch_of_nothing_is_told() {
    assert!(errors("[market.spot]\n").contains("names of loads and generators"));
}

#[test]
fn a_time_of_the_day_has_hours_and_minutes() {
    for wrong in ["24:00", "1:00", "12", "12:60"] {
        let told = errors(&format!("commitment_time = \"{wrong}\"\n{GOLDEN}"));
        assert!(told.contains("is no time of the day"), "{told}");
    }
    assert!(kind(&format!("commitment_time = \"12:30\"\n{GOLDEN}")).is_ok());
}
