//! What operational grid optimisation plans with, as its configuration says.

use crate::unit::read_units;
use crate::{Limits, ResourceKind, TapChanger, Unit};
use gridloop_grid::NetworkSource;
use gridloop_service::Section;
use std::time::Duration;

/// The most steps of a plan.
const STEPS_MAX: i64 = 96;

/// `kind = "operational-grid-optimization"`.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationalSettings {
    /// Where it learns the network from.
    pub network: NetworkSource,
    /// The limits.
    pub limits: Limits,
    /// Resources that nobody forecasts: they are taken to go on as they are.
    pub persistent: Vec<String>,
    /// How many epochs a plan has.
    pub steps: usize,
    /// Whether it commands its resources itself; else only the plan is published, for real-time congestion management.
    pub commands: bool,
    /// Whether setpoints are sent once more at the beginning of each epoch.
    pub renew_at_start: bool,
    /// What a voltage outside the target band by one part of the nominal one costs in an hour, in EUR.
    pub violation_cost_eur_per_pu_h: f64,
    /// How long it waits for forecasts and states in an epoch.
    pub input_timeout: Duration,
    /// How long the solver may take for one program.
    pub solve_timeout: Duration,
    /// What it plans with.
    pub resources: Vec<PlannedResource>,
    /// The tap changers that it plans with.
    pub tap_changers: Vec<PlannedTap>,
}

/// By what right a resource is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// It belongs to the operator of the network.
    Owned,
    /// It is paid by contract.
    Contracted,
    /// The law permits its use when nothing else helps.
    Mandated,
}

/// A resource that a plan may use.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedResource {
    /// What it can do.
    pub unit: Unit,
    /// By what right it is used.
    pub contract: Contract,
    /// Price of each kWh that it gives or draws otherwise than by itself, in EUR.
    pub cost_eur_per_kwh: f64,
    /// Price of each kvarh, in EUR.
    pub cost_eur_per_kvarh: f64,
    /// How many kWh may be used in a simulated day.
    pub max_energy_kwh_per_day: Option<f64>,
}

/// A tap changer that a plan may move.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTap {
    /// What it is.
    pub changer: TapChanger,
    /// What one operation costs, in EUR.
    pub cost_eur_per_operation: f64,
    /// By how many positions it may move from one epoch to the next.
    pub operations_per_epoch: u32,
}

impl OperationalSettings {
    /// Reads the component's table.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let seconds = |key, about, usual| {
            section.duration_s(key, about).at_most(3_600.0).or(Duration::from_secs(usual))
        };
        let mut settings = Self {
            network: NetworkSource::read(section),
            limits: Limits::read(section),
            persistent: section
                .texts("persistent", "Resources that nobody forecasts: they are taken to go on as they are.")
                .or(Vec::new()),
            steps: section
                .integer("steps", "How many epochs a plan has.")
                .within(1..=STEPS_MAX)
                .fits::<u32>()
                .or(12)
                .try_into()
                .unwrap_or(1),
            commands: section
                .boolean(
                    "commands",
                    "Whether it sends setpoints itself, or leaves that to real-time management.",
                )
                .or(true),
            renew_at_start: section
                .boolean(
                    "renew_at_start",
                    "Whether setpoints are sent again as an epoch begins, for who waits for them.",
                )
                .or(false),
            violation_cost_eur_per_pu_h: section
                .number(
                    "violation_cost_eur_per_pu_h",
                    "Price of 1 pu outside the target band for an hour, in EUR.",
                )
                .within(1.0..=1e6)
                .or(10_000.0),
            input_timeout: seconds(
                "input_timeout_s",
                "How long it waits for its inputs in an epoch, in s.",
                10,
            ),
            solve_timeout: seconds(
                "solve_timeout_s",
                "How long the solver may take for one program, in s.",
                5,
            ),
            resources: Vec::new(),
            tap_changers: Vec::new(),
        };
        (settings.resources, settings.tap_changers) =
            read_units(section, &mut settings.network, PlannedResource::read, PlannedTap::read, |tap| {
                &tap.changer
            });
        settings
    }
}

impl PlannedResource {
    fn read(section: &Section<'_>, network: &NetworkSource) -> Self {
        let unit = Unit::read(section, network);
        if unit.kind == ResourceKind::Storage && unit.capacity_kwh.is_none() {
            section.error(None, "`capacity_kwh`: a plan has to know what a storage holds", None);
        }
        let contracts = [
            ("owned", Contract::Owned),
            ("contracted", Contract::Contracted),
            ("mandated", Contract::Mandated),
        ];
        let contract =
            section.text("contract", "By what right it is used.").choice(&contracts).required_option();
        let contract = contract.unwrap_or(Contract::Owned);
        let usual_cost = match contract {
            Contract::Owned => 0.02,
            Contract::Contracted => 0.2,
            Contract::Mandated => 1.0,
        };
        let number = |key, about| section.number(key, about).within(0.0..=1e6);
        Self {
            unit,
            contract,
            cost_eur_per_kwh: number("cost_eur_per_kwh", "Price of a kWh given or drawn otherwise, in EUR.")
                .or(usual_cost),
            cost_eur_per_kvarh: number("cost_eur_per_kvarh", "Price of a kvarh, in EUR.").or(0.001),
            max_energy_kwh_per_day: number(
                "max_energy_kwh_per_day",
                "How much may be used in a day, in kWh.",
            )
            .optional(),
        }
    }
}

impl PlannedTap {
    fn read(section: &Section<'_>) -> Self {
        Self {
            changer: TapChanger::read(section),
            cost_eur_per_operation: section
                .number("cost_eur_per_operation", "What one operation costs, in EUR.")
                .within(0.0..=1e6)
                .or(0.5),
            operations_per_epoch: section
                .integer("operations_per_epoch", "Positions that it may move in an epoch.")
                .within(1..=100)
                .fits()
                .or(1),
        }
    }
}
