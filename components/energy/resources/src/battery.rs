//! What a storage does with the power that is asked of it: [`Battery`], the rules of wire contract 6.2 and nothing else.

/// What a storage is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatteryRating {
    /// How much energy it holds, in kWh; above 0.
    pub rated_energy_kwh: f64,
    /// Rated power in kW; above 0.
    pub rated_power_kw: f64,
    /// Greatest power that it takes, in % of rated power.
    pub charge_rate_percent: f64,
    /// Greatest power that it gives, in % of rated power.
    pub discharge_rate_percent: f64,
    /// How much of what it takes is stored, in %; above 0.
    pub charge_efficiency_percent: f64,
    /// How much of what leaves the store is given, in %; above 0.
    pub discharge_efficiency_percent: f64,
    /// How much it loses by itself in an hour, in % of rated energy.
    pub self_discharge_percent_per_h: f64,
    /// How full it is at the beginning, 0 to 100.
    pub initial_state_of_charge_percent: f64,
}

/// A storage's energy over time. Power is positive when it gives.
#[derive(Debug, Clone)]
pub struct Battery {
    rating: BatteryRating,
    energy_kwh: f64,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivered {
    /// The power in fact, in kW.
    pub power_kw: f64,
    /// Energy taken from the grid, in kWh.
    pub charged_kwh: f64,
    /// Energy given to the grid, in kWh.
    pub discharged_kwh: f64,
    /// Energy that is neither in the store nor in the grid, in kWh.
    pub lost_kwh: f64,
}

impl Battery {
    /// A storage as full as it is at the beginning.
    #[must_use]
    pub fn new(rating: BatteryRating) -> Self {
        let energy_kwh = rating.rated_energy_kwh * rating.initial_state_of_charge_percent / 100.0;
        Self { rating, energy_kwh }
    }

    /// How much energy is stored, in kWh.
    #[must_use]
    pub const fn energy_kwh(&self) -> f64 {
        self.energy_kwh
    }

    /// How full it is, 0 to 100.
    #[must_use]
    pub fn state_of_charge_percent(&self) -> f64 {
        (100.0 * self.energy_kwh / self.rating.rated_energy_kwh).clamp(0.0, 100.0)
    }

    /// Goes on by `hours` with `requested_kw`, as far as it can. The numbers are those of the rules in the contract.
    pub fn step(&mut self, requested_kw: f64, hours: f64) -> Delivered {
        let BatteryRating { rated_energy_kwh: full_kwh, rated_power_kw, .. } = self.rating;
        // 1.
        let charge_kw = self.rating.charge_rate_percent / 100.0 * rated_power_kw;
        let discharge_kw = self.rating.discharge_rate_percent / 100.0 * rated_power_kw;
        let mut power_kw = requested_kw.clamp(-charge_kw, discharge_kw);
        // 2.
        let factor = if power_kw >= 0.0 {
            -100.0 / self.rating.discharge_efficiency_percent
        } else {
            -self.rating.charge_efficiency_percent / 100.0
        };
        let idle_kwh = self.rating.self_discharge_percent_per_h / 100.0 * full_kwh * hours;
        let before_kwh = self.energy_kwh;
        let after_kwh = before_kwh + factor * power_kw * hours - idle_kwh;
        // 3.
        let limited_change_kwh = if after_kwh < 0.0 {
            self.energy_kwh = 0.0;
            Some((-(before_kwh - idle_kwh)).min(0.0))
        } else if after_kwh > full_kwh {
            self.energy_kwh = full_kwh;
            Some(full_kwh - before_kwh + idle_kwh)
        } else {
            self.energy_kwh = after_kwh;
            None
        };
        // 4. The energy moved by more than nothing, so the time is not nothing either.
        if let Some(change_kwh) = limited_change_kwh
            && power_kw != 0.0
        {
            // A zero without a sign: the bus spells it.
            power_kw = change_kwh / hours / factor + 0.0;
        }
        let charged_kwh = (-power_kw * hours).max(0.0);
        let discharged_kwh = (power_kw * hours).max(0.0);
        let lost_kwh = charged_kwh - discharged_kwh - (self.energy_kwh - before_kwh);
        Delivered { power_kw, charged_kwh, discharged_kwh, lost_kwh }
    }
}
