//! What predictive grid optimisation goes by, as its configuration says.

use crate::limits::read_red;
use crate::places::Band;
use gridloop_grid::NetworkSource;
use gridloop_markets::OpeningHours;
use gridloop_service::Section;
use std::time::Duration;

/// `kind = "predictive-grid-optimization"`.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictiveSettings {
    /// Whose NetworkForecastState messages it judges.
    pub grid: String,
    /// The component that publishes them, whose ready Status is waited for.
    pub predictor: String,
    /// Where it learns the network from.
    pub network: NetworkSource,
    /// The limits.
    pub limits: PredictiveLimits,
    /// How far ahead it looks, from the beginning of the epoch on.
    pub horizon: Duration,
    /// Whether the forecast shows what was bought before. Else what was bought is added to it here.
    pub purchases_in_forecast: bool,
    /// How it asks.
    pub trade: Trade,
    /// The local flexibility market.
    pub market: String,
    /// When that is open.
    pub hours: OpeningHours,
    /// How long it waits for the forecast in an epoch; then nothing is asked for. `None`: for ever, as SimCES does.
    pub input_timeout: Option<Duration>,
    /// How long it waits for the answers of the market; then it goes on without them. `None`: for ever.
    pub market_timeout: Option<Duration>,
}

/// The limits of a forecast: red ones that make a need, and amber ones up to which is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictiveLimits {
    /// Lowest permitted voltage (red limit), in parts of the nominal one.
    pub min_voltage_pu: f64,
    /// Highest permitted voltage (red limit), in parts of the nominal one.
    pub max_voltage_pu: f64,
    /// How far inside the lower red limit a voltage that was beyond it is to come.
    pub lower_amber_band_pu: f64,
    /// How far inside the upper red limit a voltage that was beyond it is to come.
    pub upper_amber_band_pu: f64,
    /// Highest permitted current of a branch, in parts of its rated current.
    pub max_loading: f64,
    /// To what a current beyond that is to come.
    pub amber_loading: f64,
}

/// How much is asked for, and of whom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trade {
    /// By how much less power at another bus may help than at the place of the violation, from 0 to 1.
    pub relative_sensitivity: f64,
    /// By which part more is asked for than the violation needs.
    pub flexibility_need_margin: f64,
    /// The least that is asked for, in kW.
    pub real_power_min_kw: f64,
    /// The steps in which power may be offered, in kW.
    pub bid_resolution_kw: f64,
}

impl PredictiveLimits {
    /// The red limits.
    #[must_use]
    pub fn red(&self) -> Band {
        Band { lowest_pu: self.min_voltage_pu, highest_pu: self.max_voltage_pu, loading: self.max_loading }
    }

    /// The amber limits.
    #[must_use]
    pub fn amber(&self) -> Band {
        Band {
            lowest_pu: self.min_voltage_pu + self.lower_amber_band_pu,
            highest_pu: self.max_voltage_pu - self.upper_amber_band_pu,
            loading: self.amber_loading,
        }
    }

    /// What is wrong with them, as what is expected of the highest voltage, and of the amber loading.
    #[must_use]
    pub fn flaws(&self) -> [Option<String>; 2] {
        let Band { lowest_pu: low, highest_pu: high, .. } = self.amber();
        let room = || format!("limits with room between amber: it would reach from {low} to {high} pu");
        let loading = || format!("{} at most", self.max_loading);
        [(low >= high).then(room), (self.amber_loading > self.max_loading).then(loading)]
    }

    fn read(section: &Section<'_>) -> Self {
        let band = |key, about| section.number(key, about).within(0.0..=0.2).or(0.0);
        let red = read_red(section);
        let limits = Self {
            min_voltage_pu: red.lowest_pu,
            max_voltage_pu: red.highest_pu,
            lower_amber_band_pu: band(
                "lower_amber_band_pu",
                "How far inside the lower limit a voltage that was forecast below it is to come.",
            ),
            upper_amber_band_pu: band(
                "upper_amber_band_pu",
                "How far inside the upper limit a voltage that was forecast above it is to come.",
            ),
            max_loading: red.loading,
            amber_loading: section
                .number(
                    "amber_loading",
                    "To what a current that was forecast above `max_loading` is to come.",
                )
                .within(0.05..=5.0)
                .or(red.loading),
        };
        for (key, flaw) in ["max_voltage_pu", "amber_loading"].into_iter().zip(limits.flaws()) {
            if let Some(expected) = flaw {
                section.error(Some(key), expected, None);
            }
        }
        limits
    }
}

impl Trade {
    fn read(section: &Section<'_>) -> Self {
        let power_kw = |key, about| section.number(key, about).within(0.001..=1e6).or(3.0);
        Self {
            relative_sensitivity: section
                .number(
                    "relative_sensitivity_percent",
                    "By how much less power at another bus may help than at the place of the violation, in %: \
                     customers of buses that help more are asked.",
                )
                .within(0.0..=100.0)
                .or(50.0)
                / 100.0,
            flexibility_need_margin: section
                .number(
                    "flexibility_need_margin",
                    "By which part more (or, below 0, less) power is asked for than the violation needs.",
                )
                .within(-1.0..=1.0)
                .or(0.0),
            real_power_min_kw: power_kw("real_power_min_kw", "The least power that is asked for, in kW."),
            bid_resolution_kw: power_kw(
                "bid_resolution_kw",
                "In which steps beyond the least power may be offered, in kW.",
            ),
        }
    }
}

impl PredictiveSettings {
    /// Reads the component's table.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let name = |key, about| section.text(key, about).matching(|name| is_a_word(name)).required();
        let timeout = |key, about| section.duration_s(key, about).at_most(86_400.0).optional();
        let horizon_h = section
            .number("horizon_h", "How far ahead it looks, from the beginning of the epoch on, in h.")
            .within(0.01..=1_000.0)
            .or(36.0);
        Self {
            grid: name("grid", "Name of the grid whose NetworkForecastState messages it judges."),
            predictor: name("predictor", "The component that publishes them."),
            network: NetworkSource::read(section),
            limits: PredictiveLimits::read(section),
            horizon: Duration::try_from_secs_f64(horizon_h * 3_600.0).unwrap_or_default(),
            purchases_in_forecast: section
                .boolean(
                    "purchases_in_forecast",
                    "Whether the forecast shows what was bought before: the predictor knows the plans of those who \
                     sell. Else what was bought is added to it here, or it would be bought again in the next epoch.",
                )
                .or(true),
            trade: Trade::read(section),
            market: name("market", "Name of the local flexibility market that it asks."),
            hours: OpeningHours::read(section),
            input_timeout: timeout(
                "input_timeout_s",
                "How long it waits for the forecast in an epoch, in s of wall-clock time. Then it asks for nothing. \
                 Without it the forecast is waited for.",
            ),
            market_timeout: timeout(
                "market_timeout_s",
                "How long it waits for offers, and then for the result, in s of wall-clock time. Then it goes on \
                 without them. Without it the market is waited for.",
            ),
        }
    }
}

/// Whether a name can be a segment of a topic.
fn is_a_word(name: &str) -> Result<(), String> {
    let trap = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | ',' | '#' | '*');
    if name.is_empty() || name.contains(trap) {
        return Err(format!("{name:?} cannot be a part of a topic"));
    }
    Ok(())
}
