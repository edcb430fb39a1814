//! Economic dispatch of an energy community (wire contract 6.5).
//!
//! A [`Problem`] says what a community has and what energy costs in each step of a horizon; [`solve`] makes the cheapest
//! [`Plan`] of it. [`EconomicDispatch`] is the SimCES component around them: it turns forecasts, prices and states of
//! storages into a problem in every epoch, and publishes the plan.

mod bids;
mod commitments;
mod component;
mod flexibility;
mod linear;
mod plan;
mod problem;
mod profile;
mod settings;
mod simces;
mod solve;
mod totals;

pub use component::EconomicDispatch;
pub use plan::{MarketPlan, Plan, Shortfall, StoragePlan};
pub use problem::{
    MarketSteps, Problem, Regulation, Segment, Settlement, Storage, StorageModel, Tariff, Terminal,
};
pub use settings::{
    CommitmentSettings, DispatchSettings, FlexibilitySettings, MarketSettings, OnInfeasible, OnLate, OnShort,
    SalePrice, StorageSettings, steps_of, time_of_day,
};
pub use simces::{SimcesDispatch, SimcesError};
pub use solve::{Search, SolveError, Solver, SolverSettings, solve, solve_relaxed};
