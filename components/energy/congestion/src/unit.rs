//! What every level of control knows of what it moves: a [`Unit`] gives, draws or stores power, a [`TapChanger`] has
//! positions.

use crate::network::{add_taps, read_bus, read_taps};
use gridloop_grid::NetworkSource;
use gridloop_power_flow::TapRange;
use gridloop_service::Section;

/// What a resource under control is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// Feeds in; its setpoint is a ceiling.
    Generator,
    /// Does what its setpoint says, both ways.
    Storage,
    /// Draws; its setpoint, a negative number, is the most that it may draw.
    Load,
}

/// A resource that can be controlled.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
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
    /// What a storage holds, in kWh, if that is known.
    pub capacity_kwh: Option<f64>,
    /// Part of the energy that is left after charging, and after discharging.
    pub efficiency: (f64, f64),
    /// States of charge between which a storage may be used, in %.
    pub state_of_charge_percent: (f64, f64),
}

impl Unit {
    /// Reads the keys from a resource's table.
    pub(crate) fn read(section: &Section<'_>, network: &NetworkSource) -> Self {
        let kinds = [
            ("generator", ResourceKind::Generator),
            ("storage", ResourceKind::Storage),
            ("load", ResourceKind::Load),
        ];
        let kind = section.text("type", "What it is.").choice(&kinds).required_option();
        let positive = |key, about| section.number(key, about).within(0.001..=1e6);
        let percent = |key, about, usual| section.number(key, about).within(0.0..=100.0).or(usual);
        let efficiency = |key, about| section.number(key, about).within(1.0..=100.0).or(95.0) / 100.0;
        let rated_kw =
            positive("rated_power_kw", "Most real power that it gives or draws, in kW.").required();
        let kva =
            positive("rated_apparent_power_kva", "Most apparent power of its inverter, in kVA.").or(rated_kw);
        let kvar = section
            .number("max_reactive_power_kvar", "Most reactive power that it is asked for, in kvar; 0: none.")
            .within(0.0..=1e6)
            .or(0.0);
        if kvar > kva {
            let expected = format!("at most {kva}, the apparent power");
            section.error(Some("max_reactive_power_kvar"), expected, None);
        }
        let lowest =
            percent("min_state_of_charge_percent", "A storage is not discharged below this, in %.", 10.0);
        let highest =
            percent("max_state_of_charge_percent", "A storage is not charged above this, in %.", 90.0);
        if lowest > highest {
            let expected = format!("at least {lowest}, the lowest state of charge");
            section.error(Some("max_state_of_charge_percent"), expected, None);
        }
        Self {
            name: section.name().to_owned(),
            bus: read_bus(section, network),
            kind: kind.unwrap_or(ResourceKind::Generator),
            rated_power_w: rated_kw * 1000.0,
            rated_apparent_power_va: kva * 1000.0,
            max_reactive_power_var: kvar * 1000.0,
            capacity_kwh: positive("capacity_kwh", "What a storage holds, in kWh.").optional(),
            efficiency: (
                efficiency("charge_efficiency_percent", "What is left of energy after charging, in %."),
                efficiency("discharge_efficiency_percent", "What is left of energy after discharging, in %."),
            ),
            state_of_charge_percent: (lowest, highest),
        }
    }

    /// Its real power where nothing limits it, in W: all that it can; a storage rests.
    #[must_use]
    pub fn free_power_w(&self) -> f64 {
        match self.kind {
            ResourceKind::Generator => self.rated_power_w,
            ResourceKind::Storage => 0.0,
            ResourceKind::Load => -self.rated_power_w,
        }
    }

    /// The nearest real power in W that its rating allows.
    #[must_use]
    pub fn within_rating_w(&self, real_power_w: f64) -> f64 {
        let (low, high) = match self.kind {
            ResourceKind::Generator => (0.0, self.rated_power_w),
            ResourceKind::Storage => (-self.rated_power_w, self.rated_power_w),
            ResourceKind::Load => (-self.rated_power_w, 0.0),
        };
        real_power_w.clamp(low, high)
    }

    /// The most reactive power that its rating leaves beside this real power, in var.
    #[must_use]
    pub fn most_reactive_var(&self, real_power_w: f64) -> f64 {
        self.beside(real_power_w).min(self.max_reactive_power_var)
    }

    /// What its apparent power leaves beside one of its two powers, in W or var.
    #[must_use]
    pub fn beside(&self, power: f64) -> f64 {
        (self.rated_apparent_power_va.powi(2) - power.powi(2)).max(0.0).sqrt()
    }
}

/// A tap changer that can be controlled.
#[derive(Debug, Clone, PartialEq)]
pub struct TapChanger {
    /// Its name on the bus.
    pub name: String,
    /// The branch of the network that it belongs to.
    pub branch: String,
    /// Where its taps can stand, if the network does not say it.
    pub range: Option<TapRange>,
}

impl TapChanger {
    /// Reads the keys from a tap changer's table.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        Self {
            name: section.name().to_owned(),
            branch: section
                .text("branch", "Branch of the network that it belongs to; usually of its name.")
                .or(section.name().to_owned()),
            range: read_taps(section),
        }
    }
}

/// Reads what a controller moves, `resource.NAME` by `of_resource` and `tap_changer.NAME` by `of_tap`; it must be
/// something. The network gets the taps that it does not tell of itself.
pub(crate) fn read_units<R, T>(
    section: &Section<'_>,
    network: &mut NetworkSource,
    of_resource: fn(&Section<'_>, &NetworkSource) -> R,
    of_tap: fn(&Section<'_>) -> T,
    tap: fn(&T) -> &TapChanger,
) -> (Vec<R>, Vec<T>) {
    let resources =
        section.named_sections("resource", "Generators, storages and loads that it moves, by name.");
    let taps = section.named_sections("tap_changer", "Tap changers that it moves, by name.");
    let resources: Vec<R> = resources.iter().map(|table| of_resource(table, network)).collect();
    let taps: Vec<T> = taps.iter().map(of_tap).collect();
    add_taps(section, network, taps.iter().map(tap).map(|tap| (tap.branch.as_str(), tap.range)));
    if resources.is_empty() && taps.is_empty() {
        section.error(None, "a table `resource.NAME` or `tap_changer.NAME`, something to move", None);
    }
    (resources, taps)
}
