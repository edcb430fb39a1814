//! What operational grid optimisation plans with, as its configuration says.

use crate::network::{add_taps, read_bus, read_taps};
use crate::{Limits, ResourceKind};
use gridloop_grid::NetworkSource;
use gridloop_power_flow::TapRange;
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
    /// Its name on the bus.
    pub name: String,
    /// The bus of the network that it is connected to, if the network does not say it.
    pub bus: Option<String>,
    /// What it is.
    pub kind: ResourceKind,
    /// By what right it is used.
    pub contract: Contract,
    /// The most real power that it gives or draws, in W.
    pub rated_power_w: f64,
    /// The most apparent power of its inverter, in VA.
    pub rated_apparent_power_va: f64,
    /// The most reactive power that it is asked for, in var; 0: none.
    pub max_reactive_power_var: f64,
    /// Price of each kWh that it gives or draws otherwise than by itself, in EUR.
    pub cost_eur_per_kwh: f64,
    /// Price of each kvarh, in EUR.
    pub cost_eur_per_kvarh: f64,
    /// How many kWh may be used in a simulated day.
    pub max_energy_kwh_per_day: Option<f64>,
    /// What a storage holds, in kWh.
    pub capacity_kwh: f64,
    /// Part of the energy that is left after charging, and after discharging.
    pub efficiency: (f64, f64),
    /// States of charge between which a storage may be used, in %.
    pub state_of_charge_percent: (f64, f64),
}

/// A tap changer that a plan may move.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTap {
    /// Its name on the bus.
    pub name: String,
    /// The branch of the network that it belongs to.
    pub branch: String,
    /// Where its taps can stand, if the network does not say it.
    pub range: Option<TapRange>,
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
        let network = NetworkSource::read(section);
        let mut settings = Self {
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
            resources: section
                .named_sections("resource", "Resources that it plans with, by name.")
                .iter()
                .map(|table| PlannedResource::read(table, &network))
                .collect(),
            tap_changers: section
                .named_sections("tap_changer", "Tap changers that it plans with, by name.")
                .iter()
                .map(PlannedTap::read)
                .collect(),
            network,
        };
        let taps = settings.tap_changers.iter().map(|tap| (tap.branch.as_str(), tap.range));
        add_taps(section, &mut settings.network, taps);
        if settings.resources.is_empty() && settings.tap_changers.is_empty() {
            section.error(
                None,
                "a table `resource.NAME` or `tap_changer.NAME`, something to plan with",
                None,
            );
        }
        settings
    }
}

impl PlannedResource {
    fn read(section: &Section<'_>, network: &NetworkSource) -> Self {
        let kinds = [
            ("generator", ResourceKind::Generator),
            ("storage", ResourceKind::Storage),
            ("load", ResourceKind::Load),
        ];
        let kind = section.text("type", "What it is.").choice(&kinds).required_option();
        let kind = kind.unwrap_or(ResourceKind::Generator);
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
        let positive = |key, about| section.number(key, about).within(0.001..=1e6);
        let number = |key, about| section.number(key, about).within(0.0..=1e6);
        let percent = |key, about, usual| section.number(key, about).within(0.0..=100.0).or(usual);
        let rated_kw =
            positive("rated_power_kw", "Most real power that it gives or draws, in kW.").required();
        let kva =
            positive("rated_apparent_power_kva", "Most apparent power of its inverter, in kVA.").or(rated_kw);
        let capacity = positive("capacity_kwh", "What a storage holds, in kWh.");
        let efficiency = |key, about| section.number(key, about).within(1.0..=100.0).or(95.0) / 100.0;
        Self {
            name: section.name().to_owned(),
            bus: read_bus(section, network),
            kind,
            contract,
            rated_power_w: rated_kw * 1000.0,
            rated_apparent_power_va: kva * 1000.0,
            max_reactive_power_var: number(
                "max_reactive_power_kvar",
                "Most reactive power, in kvar; 0: none.",
            )
            .or(0.0)
            .min(kva)
                * 1000.0,
            cost_eur_per_kwh: number("cost_eur_per_kwh", "Price of a kWh given or drawn otherwise, in EUR.")
                .or(usual_cost),
            cost_eur_per_kvarh: number("cost_eur_per_kvarh", "Price of a kvarh, in EUR.").or(0.001),
            max_energy_kwh_per_day: number(
                "max_energy_kwh_per_day",
                "How much may be used in a day, in kWh.",
            )
            .optional(),
            capacity_kwh: if kind == ResourceKind::Storage { capacity.required() } else { capacity.or(1.0) },
            efficiency: (
                efficiency("charge_efficiency_percent", "What is left of energy after charging, in %."),
                efficiency("discharge_efficiency_percent", "What is left of energy after discharging, in %."),
            ),
            state_of_charge_percent: (
                percent("min_state_of_charge_percent", "A storage is not discharged below this, in %.", 10.0),
                percent("max_state_of_charge_percent", "A storage is not charged above this, in %.", 90.0),
            ),
        }
    }
}

impl PlannedTap {
    fn read(section: &Section<'_>) -> Self {
        Self {
            name: section.name().to_owned(),
            branch: section
                .text("branch", "Branch of the network that it belongs to; usually of its name.")
                .or(section.name().to_owned()),
            range: read_taps(section),
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
