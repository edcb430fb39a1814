//! The tables of an economic dispatch and of a flexibility market.

use super::toml::Table;
use gridloop_markets::dispatch::{
    CommitmentSettings, DispatchSettings, FlexibilitySettings, OnInfeasible, OnLate, OnShort, SalePrice,
    Solver, StorageModel, StorageSettings,
};
use gridloop_markets::{FlexibilityMarketSettings, Kind};
use serde_json::{Map, Value};
use std::time::Duration;

/// The table of `name`, with what the Start message would tell a dispatch.
///
/// # Errors
/// Parameters that describe no dispatch.
pub(super) fn table(
    name: &str,
    kind: &Kind,
    parameters: &Map<String, Value>,
) -> Result<Option<Table>, String> {
    Ok(match kind {
        Kind::FlexibilityMarket(settings) => Some(flexibility_market(settings)),
        Kind::SimcesDispatch(simces) => {
            let settings = simces.of_start(name, parameters).map_err(|error| error.to_string())?;
            Some(dispatch(&settings))
        }
        Kind::EconomicDispatch(_) => None,
    })
}

fn flexibility_market(settings: &FlexibilityMarketSettings) -> Table {
    Table::of("local-flexibility-market")
        .number("opening_hour", settings.hours.opening_h)
        .number("closing_hour", settings.hours.closing_h)
        .texts("providers", &settings.providers)
        .texts("procurers", &settings.procurers)
}

fn dispatch(settings: &DispatchSettings) -> Table {
    let step_s = settings.step.as_secs_f64();
    let horizon_s = (0..settings.steps).map(|_| settings.step).sum::<Duration>().as_secs_f64();
    let table = Table::of("economic-dispatch")
        .number("horizon_h", horizon_s / 3600.0)
        .number("timestep_s", step_s)
        .texts("resources", &settings.resources)
        .text(
            "storage_model",
            match settings.storage_model {
                StorageModel::Rated => "gridloop",
                StorageModel::Simces => "simces",
            },
        )
        .text(
            "solver",
            match settings.solver.solver {
                Solver::Microlp => "microlp",
                Solver::Highs => "highs",
            },
        )
        .number("solve_limit_s", settings.solver.limit.as_secs_f64())
        .text(
            "on_infeasible",
            match settings.on_infeasible {
                OnInfeasible::Error => "error",
                OnInfeasible::Relax => "relax",
            },
        )
        .text(
            "on_short_input",
            match settings.on_short {
                OnShort::Error => "error",
                OnShort::Shorten => "shorten",
            },
        )
        .text(
            "on_late_input",
            match settings.on_late {
                OnLate::Error => "error",
                OnLate::LastPlan => "last-plan",
            },
        )
        .number("input_timeout_s", settings.input_timeout.as_secs_f64())
        .text("topic", &settings.topic)
        .with(settings.commitment, commitment)
        .with(settings.flexibility.as_ref(), flexibility);
    let table = settings.markets.iter().fold(table, |table, market| {
        let sale = match &market.sale {
            SalePrice::Fixed(price) => Table::new().number("sale_price_eur_per_kwh", *price),
            SalePrice::Factor(factor) => Table::new().number("sale_price_factor", *factor),
            SalePrice::Market(name) => Table::new().text("sale_price_market", name),
        };
        let limit = |limit_kw: f64| limit_kw.is_finite().then_some(limit_kw);
        let below = sale
            .with(limit(market.purchase_max_kw), |table, kw| table.number("purchase_max_kw", kw))
            .with(limit(market.sale_max_kw), |table, kw| table.number("sale_max_kw", kw));
        table.below("market", &market.name, below)
    });
    settings.storages.iter().fold(table, |table, one| table.below("storage", &one.name, storage(one)))
}

fn commitment(table: Table, commitment: CommitmentSettings) -> Table {
    let minutes = commitment.time.as_secs() / 60;
    table
        .text("commitment_time", &format!("{:02}:{:02}", minutes / 60, minutes % 60))
        .number("commitment_more_factor", commitment.more)
        .number("commitment_less_factor", commitment.less)
}

fn flexibility(table: Table, flexibility: &FlexibilitySettings) -> Table {
    table
        .text("participating_market", &flexibility.market)
        .key("skip_open_offers", flexibility.skip_open_offers)
        .number("offer_price_factor", flexibility.price_factor)
        .number("offer_price_least_eur", flexibility.price_least_eur)
}

fn storage(settings: &StorageSettings) -> Table {
    let percent = |share: f64| share * 100.0;
    // Of which both rates are parts; one that neither charges nor discharges has any.
    let most_kw = settings.charge_max_kw.max(settings.discharge_max_kw);
    let rated_kw = if most_kw > 0.0 { most_kw } else { 1.0 };
    let (bound, target, weight) = settings.terminal.said(settings.capacity_kwh);
    Table::new()
        .number("kwh_rated", settings.capacity_kwh)
        .number("kw_rated", rated_kw)
        .number("charge_rate_percent", percent(settings.charge_max_kw / rated_kw))
        .number("discharge_rate_percent", percent(settings.discharge_max_kw / rated_kw))
        .number("charge_efficiency_percent", percent(settings.charge_efficiency))
        .number("discharge_efficiency_percent", percent(settings.discharge_efficiency))
        .number("self_discharge_percent", percent(settings.self_discharge))
        .number("wear_eur_per_kwh", settings.wear_eur_per_kwh)
        .number("initial_state_of_charge_percent", settings.initial_percent)
        .with(bound, |table, bound| table.number("terminal_soc_bound_percent", percent(bound)))
        .with(target, |table, target| table.number("terminal_soc_target_percent", percent(target)))
        .with(weight, |table, weight| table.number("terminal_weight_eur_per_kwh", weight))
}
