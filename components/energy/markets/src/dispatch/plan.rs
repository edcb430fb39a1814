//! What a [`Plan`] says: power of every storage and market in every step, and what was not to be had ([`Shortfall`]).

use super::problem::Terminal;
use gridloop_messages::Direction;
use std::fmt;

/// The cheapest way through a horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Length of a step.
    pub step_h: f64,
    /// In the order of the problem.
    pub storages: Vec<StoragePlan>,
    /// In the order of the problem.
    pub markets: Vec<MarketPlan>,
    /// What the energy costs on all markets; negative when more is earned.
    pub market_eur: f64,
    /// That, wear, and the price of missing terminal targets: what was minimised.
    pub cost_eur: f64,
    /// What a relaxed problem could not have; empty for a problem that was solved as it stands.
    pub shortfalls: Vec<Shortfall>,
    /// How many binary variables it took.
    pub binaries: usize,
    /// The solver's time was over before it knew that there is no cheaper one.
    pub cut_short: bool,
}

/// What a storage is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct StoragePlan {
    /// Its name.
    pub name: String,
    /// In each step, positive when it discharges.
    pub power_kw: Vec<f64>,
    /// At the beginning, and at the end of each step; by the model of SimCES without the end of the last.
    pub energy_kwh: Vec<f64>,
}

/// What is to be traded on a market.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketPlan {
    /// Its name.
    pub name: String,
    /// In each step, positive when it is bought.
    pub power_kw: Vec<f64>,
    /// In each step; negative when it is earned.
    pub cost_eur: Vec<f64>,
}

/// Something that no plan can have.
#[derive(Debug, Clone, PartialEq)]
pub enum Shortfall {
    /// Energy that comes from nowhere: there is no market, or not enough of one.
    Unserved {
        /// Over the horizon.
        energy_kwh: f64,
    },
    /// Energy that nobody takes.
    Surplus {
        /// Over the horizon.
        energy_kwh: f64,
    },
    /// A terminal condition that a storage cannot reach.
    Terminal {
        /// The storage.
        name: String,
        /// Where it ends.
        energy_kwh: f64,
        /// Its rated energy.
        capacity_kwh: f64,
        /// Where it should.
        terminal: Terminal,
    },
    /// Regulation that was promised.
    Regulation {
        /// Which way.
        direction: Direction,
        /// How much.
        asked_kw: f64,
        /// How much is missing in the worst step.
        missing_kw: f64,
    },
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unserved { energy_kwh } => {
                write!(f, "{energy_kwh:.3} kWh are needed that no market may deliver")
            }
            Self::Surplus { energy_kwh } => {
                write!(f, "{energy_kwh:.3} kWh are left over that no market takes")
            }
            Self::Terminal { name, energy_kwh, capacity_kwh, terminal } => {
                let percent = |energy_kwh: f64| 100.0 * energy_kwh / capacity_kwh;
                let (end, least, most) =
                    (percent(*energy_kwh), percent(terminal.least_kwh), percent(terminal.most_kwh));
                write!(f, "{name} ends at {end:.2} % where {least:.2} % to {most:.2} % are asked for")
            }
            Self::Regulation { direction, asked_kw, missing_kw } => {
                let (way, asked, missing) = (direction.as_str(), asked_kw, missing_kw);
                write!(f, "{missing:.3} of {asked:.3} kW of {way} are missing")
            }
        }
    }
}

impl Plan {
    /// Power of all storages together in a step.
    #[must_use]
    pub fn storages_kw(&self, step: usize) -> f64 {
        self.storages.iter().filter_map(|storage| storage.power_kw.get(step)).sum()
    }

    /// Every storage and market with its power.
    pub fn units(&self) -> impl Iterator<Item = (&str, &[f64])> {
        let storages = self.storages.iter().map(|it| (it.name.as_str(), it.power_kw.as_slice()));
        storages.chain(self.markets.iter().map(|it| (it.name.as_str(), it.power_kw.as_slice())))
    }

    /// The shortfalls in words.
    #[must_use]
    pub fn shortfalls_in_words(&self) -> String {
        if self.shortfalls.is_empty() {
            return "by less than the solver can tell".to_owned();
        }
        let words: Vec<String> = self.shortfalls.iter().map(ToString::to_string).collect();
        words.join("; ")
    }
}
