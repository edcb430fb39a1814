//! What real-time congestion management controls, as its configuration says.

use crate::unit::read_units;
use crate::{Limits, TapChanger, Unit};
use gridloop_grid::NetworkSource;
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

/// A resource under control.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlledResource {
    /// What it can do.
    pub unit: Unit,
    /// Whether its real power may be changed.
    pub curtail: bool,
    /// How much of its rating is released in an epoch, above 0 and up to 1.
    pub release_share: f64,
}

/// A tap changer under control.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlledTap {
    /// What it is.
    pub changer: TapChanger,
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
        let mut settings = Self {
            grid: section.text("grid", "Name of the grid whose NetworkState messages it obeys.").required(),
            network: NetworkSource::read(section),
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
            resources: Vec::new(),
            tap_changers: Vec::new(),
        };
        (settings.resources, settings.tap_changers) = read_units(
            section,
            &mut settings.network,
            ControlledResource::read,
            ControlledTap::read,
            |tap| &tap.changer,
        );
        settings
    }
}

impl ControlledResource {
    fn read(section: &Section<'_>, network: &NetworkSource) -> Self {
        Self {
            unit: Unit::read(section, network),
            curtail: section.boolean("curtail", "Whether its real power may be changed.").or(true),
            release_share: section
                .number("release_percent_per_epoch", "How much of its rating is released in an epoch, in %.")
                .within(0.1..=100.0)
                .or(10.0)
                / 100.0,
        }
    }
}

impl ControlledTap {
    fn read(section: &Section<'_>) -> Self {
        let epochs = |key, about, usual| section.integer(key, about).within(0..=1_000_000).fits().or(usual);
        Self {
            changer: TapChanger::read(section),
            delay_epochs: epochs("delay_epochs", "Epochs that a violation must last before it moves.", 2),
            interval_epochs: epochs("interval_epochs", "Epochs between two operations at least.", 2),
            operations_per_day: epochs("operations_per_day", "Operations that a simulated day may have.", 20),
            travel_epochs: epochs("travel_epochs", "Epochs that it may take to reach a position.", 5),
        }
    }
}
