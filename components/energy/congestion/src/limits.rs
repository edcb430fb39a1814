//! The [`Limits`] that a network is kept within.

use crate::places::Band;
use gridloop_service::Section;

/// By how much the current of a branch must be below its limit before a measure against it is taken back, in parts of
/// the rated current.
pub(crate) const LOADING_RELEASE: f64 = 0.05;

/// Voltage band, branch loading and the margins inside them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Lowest permitted voltage (red limit), in parts of the nominal one.
    pub min_voltage_pu: f64,
    /// Highest permitted voltage (red limit), in parts of the nominal one.
    pub max_voltage_pu: f64,
    /// How far inside the red limits the target band lies. Control begins where the target band ends.
    pub target_margin_pu: f64,
    /// How far inside the target band the voltage must be before a measure is taken back.
    pub release_margin_pu: f64,
    /// Highest permitted current of a branch, in parts of its rated current.
    pub max_loading: f64,
}

impl Limits {
    /// The limits themselves.
    #[must_use]
    pub fn red(&self) -> Band {
        Band { lowest_pu: self.min_voltage_pu, highest_pu: self.max_voltage_pu, loading: self.max_loading }
    }

    /// Where voltages are wanted. Currents are wanted below their limit.
    #[must_use]
    pub fn target(&self) -> Band {
        self.red().inside(self.target_margin_pu, 0.0)
    }

    /// Where voltages are held by what costs energy: half way between the target band and the limits.
    #[must_use]
    pub fn last_resort(&self) -> Band {
        self.red().inside(self.target_margin_pu / 2.0, 0.0)
    }

    /// Reads the keys from a component's table.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let red = read_red(section);
        let limits = Self {
            min_voltage_pu: red.lowest_pu,
            max_voltage_pu: red.highest_pu,
            target_margin_pu: section
                .number("target_margin_pu", "How far inside these limits control begins.")
                .within(0.0..=0.2)
                .or(0.01),
            release_margin_pu: section
                .number("release_margin_pu", "How far inside the target band a measure is taken back.")
                .within(0.0005..=0.1)
                .or(0.005),
            max_loading: red.loading,
        };
        let inside = limits.target().inside(limits.release_margin_pu, 0.0);
        if inside.highest_pu - inside.lowest_pu < 0.005 {
            section.error(
                Some("target_margin_pu"),
                "margins that leave at least 0.005 pu of the band",
                Some("make `target_margin_pu` or `release_margin_pu` smaller".to_owned()),
            );
        }
        limits
    }
}

/// Reads the limits themselves, which every level of control has.
pub(crate) fn read_red(section: &Section<'_>) -> Band {
    Band {
        lowest_pu: section
            .number("min_voltage_pu", "Lowest permitted voltage, in parts of the nominal one.")
            .within(0.5..=1.0)
            .or(0.9),
        highest_pu: section
            .number("max_voltage_pu", "Highest permitted voltage, in parts of the nominal one.")
            .within(1.0..=1.5)
            .or(1.1),
        loading: section
            .number("max_loading", "Highest permitted current of a branch, in parts of the rated one.")
            .within(0.1..=5.0)
            .or(1.0),
    }
}
