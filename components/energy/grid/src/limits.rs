//! What voltages and currents are judged by: [`Limits`], red and amber (wire contract 6.9).

use gridloop_messages::LimitStatus;
use gridloop_service::Section;

/// The limits of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Red: the lowest voltage that is accepted, in per unit.
    pub min_voltage_pu: f64,
    /// Red: the highest one.
    pub max_voltage_pu: f64,
    /// How far inside the lower red limit amber begins, in per unit.
    pub lower_amber_band_pu: f64,
    /// How far inside the upper red limit amber begins, in per unit.
    pub upper_amber_band_pu: f64,
    /// Red: the part of its rated current that a branch may carry.
    pub overloading_baseline: f64,
    /// Amber: as above.
    pub amber_loading_baseline: f64,
}

impl Limits {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let number =
            |key: &str, about: &str, from: f64, to: f64| section.number(key, about).within(from..=to);
        let limits = Self {
            min_voltage_pu: number("min_voltage_pu", "Red: the lowest voltage that is accepted.", 0.0, 2.0)
                .or(0.9),
            max_voltage_pu: number("max_voltage_pu", "Red: the highest voltage that is accepted.", 0.0, 2.0)
                .or(1.1),
            lower_amber_band_pu: number(
                "lower_amber_band_pu",
                "How far inside the lower red limit amber begins.",
                0.0,
                1.0,
            )
            .or(0.02),
            upper_amber_band_pu: number(
                "upper_amber_band_pu",
                "How far inside the upper red limit amber begins.",
                0.0,
                1.0,
            )
            .or(0.02),
            overloading_baseline: number(
                "overloading_baseline",
                "Red: the part of its rated current that a branch may carry.",
                0.01,
                100.0,
            )
            .or(1.0),
            amber_loading_baseline: number(
                "amber_loading_baseline",
                "Amber: the part of its rated current from which on a branch is close to its limit.",
                0.01,
                100.0,
            )
            .or(0.9),
        };
        for (flaw, key) in limits.flaws().into_iter().zip(["max_voltage_pu", "amber_loading_baseline"]) {
            if let Some(expected) = flaw {
                section.error(Some(key), expected, None);
            }
        }
        limits
    }

    /// What the highest voltage and the amber loading would have to be instead, where limits that are sound alone are
    /// not so together.
    #[must_use]
    pub fn flaws(&self) -> [Option<String>; 2] {
        let lower = self.min_voltage_pu + self.lower_amber_band_pu;
        let upper = self.max_voltage_pu - self.upper_amber_band_pu;
        let room = format!("limits with room between amber: it would reach from {lower} to {upper} pu");
        let most = format!("{} at most", self.overloading_baseline);
        [
            (lower >= upper).then_some(room),
            (self.amber_loading_baseline > self.overloading_baseline).then_some(most),
        ]
    }

    /// How a voltage stands, and how far it is beyond the red limit: above 0 over, below 0 under it.
    pub(crate) fn judge_voltage(&self, voltage_pu: f64) -> (LimitStatus, f64) {
        if voltage_pu > self.max_voltage_pu {
            (LimitStatus::Unacceptable, voltage_pu - self.max_voltage_pu)
        } else if voltage_pu < self.min_voltage_pu {
            (LimitStatus::Unacceptable, voltage_pu - self.min_voltage_pu)
        } else if voltage_pu > self.max_voltage_pu - self.upper_amber_band_pu
            || voltage_pu < self.min_voltage_pu + self.lower_amber_band_pu
        {
            (LimitStatus::CloseToLimits, 0.0)
        } else {
            (LimitStatus::Acceptable, 0.0)
        }
    }

    /// How a current, as a part of the rated one, stands, and how far it is beyond the red limit.
    pub(crate) fn judge_loading(&self, loading: f64) -> (LimitStatus, f64) {
        if loading > self.overloading_baseline {
            (LimitStatus::Unacceptable, loading - self.overloading_baseline)
        } else if loading > self.amber_loading_baseline {
            (LimitStatus::CloseToLimits, 0.0)
        } else {
            (LimitStatus::Acceptable, 0.0)
        }
    }
}
