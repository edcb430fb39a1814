//! What real-time congestion management controls, as its configuration says.

use crate::Limits;
use crate::network::{add_taps, read_bus, read_taps};
use gridloop_grid::NetworkSource;
use gridloop_power_flow::TapRange;
use gridloop_service::Section;
use std::time::Duration;

/// `kind = "real-time-congestion-management"`.
#[derive(Debug, Clone, PartialEq)]
pub struct RealTimeSettings {
    /// Whose NetworkState messages it obeys.
    pub grid: String,
    /// Where it learns the network from.
    pub network: NetworkSource,
    /// The limits.
    pub limits: Limits,
    /// The operational grid optimisation whose plan it follows where nothing stands against it.
    pub base: Option<String>,
    /// How many epochs without a complete state of the network it holds its setpoints.
    pub hold_epochs: u32,
    /// How long it waits for the state of the network in an epoch.
    pub state_timeout: Duration,
    /// Whether setpoints are sent once more at the beginning of each epoch.
    pub renew_at_start: bool,
    /// What it controls.
    pub resources: Vec<ControlledResource>,
    /// The tap changers that it controls.
    pub tap_changers: Vec<ControlledTap>,
}

/// What a controlled resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// Feeds in; its setpoint is a ceiling.
    Generator,
    /// Does what its setpoint says, both ways.
    Storage,
    /// Draws; its setpoint, a negative number, is the most that it may draw.
    Load,
}

/// A resource under control.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlledResource {
    /// Its name on the bus.
    pub name: String,
    /// The bus of the network that it is connected to, if the network does not say it.
    pub bus: Option<String>,
    /// What it is.
    pub kind: ResourceKind,
    /// The most real power that it gives or draws, in W.
    pub rated_power_w: f64,
    /// The most apparent power of its inverter, in VA.
    pub rated_apparent_power_va: f64,
    /// The most reactive power that it is asked for, in var; 0: none.
    pub max_reactive_power_var: f64,
    /// Whether its real power may be changed.
    pub curtail: bool,
    /// How much of its rating is released in an epoch, above 0 and up to 1.
    pub release_share: f64,
    /// States of charge between which a storage may be used, in %.
    pub state_of_charge_percent: (f64, f64),
}

/// A tap changer under control.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlledTap {
    /// Its name on the bus.
    pub name: String,
    /// The branch of the network that it belongs to.
    pub branch: String,
    /// Where its taps can stand, if the network does not say it.
    pub range: Option<TapRange>,
    /// How many epochs a violation must last before it moves.
    pub delay_epochs: u32,
    /// How many epochs lie between two operations at least.
    pub interval_epochs: u32,
    /// How many operations a simulated day may have.
    pub operations_per_day: u32,
    /// How many epochs it may take to reach a position.
    pub travel_epochs: u32,
}

impl RealTimeSettings {
    /// Reads the component's table.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let network = NetworkSource::read(section);
        let mut settings = Self {
            grid: section.text("grid", "Name of the grid whose NetworkState messages it obeys.").required(),
            limits: Limits::read(section),
            base: section
                .text(
                    "base",
                    "Operational grid optimisation whose plan it follows where nothing stands against it.",
                )
                .optional(),
            hold_epochs: section
                .integer(
                    "hold_epochs",
                    "Epochs without a complete network state in which it holds its setpoints.",
                )
                .within(0..=1_000_000)
                .fits()
                .or(3),
            state_timeout: section
                .duration_s("state_timeout_s", "How long it waits for the network state in an epoch, in s.")
                .at_most(3_600.0)
                .or(Duration::from_secs(10)),
            renew_at_start: section
                .boolean(
                    "renew_at_start",
                    "Whether setpoints are sent again as an epoch begins, for who waits for them.",
                )
                .or(false),
            resources: section
                .named_sections("resource", "Generators, storages and loads that it controls, by name.")
                .iter()
                .map(|table| ControlledResource::read(table, &network))
                .collect(),
            tap_changers: section
                .named_sections("tap_changer", "Tap changers that it controls, by name.")
                .iter()
                .map(ControlledTap::read)
                .collect(),
            network,
        };
        let taps = settings.tap_changers.iter().map(|tap| (tap.branch.as_str(), tap.range));
        add_taps(section, &mut settings.network, taps);
        if settings.resources.is_empty() && settings.tap_changers.is_empty() {
            section.error(None, "a table `resource.NAME` or `tap_changer.NAME`, something to control", None);
        }
        settings
    }
}

impl ControlledResource {
    fn read(section: &Section<'_>, network: &NetworkSource) -> Self {
        let kinds = [
            ("generator", ResourceKind::Generator),
            ("storage", ResourceKind::Storage),
            ("load", ResourceKind::Load),
        ];
        let kind = section.text("type", "What it is.").choice(&kinds).required_option();
        let kind = kind.unwrap_or(ResourceKind::Generator);
        let kw = |key, about| section.number(key, about).within(0.001..=1e6);
        let rated_kw = kw("rated_power_kw", "Most real power that it gives or draws, in kW.").required();
        let kva = kw("rated_apparent_power_kva", "Most apparent power of its inverter, in kVA.").or(rated_kw);
        let kvar = section
            .number("max_reactive_power_kvar", "Most reactive power that it is asked for, in kvar; 0: none.")
            .within(0.0..=1e6)
            .or(0.0);
        if kvar > kva {
            section.error(
                Some("max_reactive_power_kvar"),
                format!("at most {kva}, the apparent power"),
                None,
            );
        }
        let percent = |key, about, usual| section.number(key, about).within(0.0..=100.0).or(usual);
        Self {
            name: section.name().to_owned(),
            bus: read_bus(section, network),
            kind,
            rated_power_w: rated_kw * 1000.0,
            rated_apparent_power_va: kva * 1000.0,
            max_reactive_power_var: kvar * 1000.0,
            curtail: section.boolean("curtail", "Whether its real power may be changed.").or(true),
            release_share: section
                .number("release_percent_per_epoch", "How much of its rating is released in an epoch, in %.")
                .within(0.1..=100.0)
                .or(10.0)
                / 100.0,
            state_of_charge_percent: (
                percent("min_state_of_charge_percent", "A storage is not discharged below this, in %.", 10.0),
                percent("max_state_of_charge_percent", "A storage is not charged above this, in %.", 90.0),
            ),
        }
    }
}

impl ControlledTap {
    fn read(section: &Section<'_>) -> Self {
        let epochs = |key, about, usual| section.integer(key, about).within(0..=1_000_000).fits().or(usual);
        Self {
            name: section.name().to_owned(),
            branch: section
                .text("branch", "Branch of the network that it belongs to; usually of its name.")
                .or(section.name().to_owned()),
            range: read_taps(section),
            delay_epochs: epochs("delay_epochs", "Epochs that a violation must last before it moves.", 2),
            interval_epochs: epochs("interval_epochs", "Epochs between two operations at least.", 2),
            operations_per_day: epochs("operations_per_day", "Operations that a simulated day may have.", 20),
            travel_epochs: epochs("travel_epochs", "Epochs that it may take to reach a position.", 5),
        }
    }
}
