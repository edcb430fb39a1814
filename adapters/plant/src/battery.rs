//! A battery with its inverter: [`Battery`] follows a power command along a ramp until it is empty or full.
//!
//! The inverter's power moves at the ramp rate towards the command, or towards zero where there is none. While the state
//! of charge is at the end that this power leads to, the terminals show zero. Power is made of straight lines and keeps
//! its sign between two bends, so that energy is integrated exactly, however time is sliced. What it does about the
//! voltage at its terminals is in `support.rs`; volt-watt limits what it gives, not what it takes.

use crate::commanded::{Commanded, Revert, approach};
use crate::error::{CommandError, SettingsError, check, within};
use crate::support::{Terminals, area_under_least};
use crate::{GRID_FREQUENCY_HZ, GridSupport, LARGEST_W, LastKnown, OnGrid, Step};
use std::time::Duration;

/// Nearer to an end of the state of charge than this part of the capacity is at that end: what rounding makes of it.
const AT_THE_END: f64 = 1e-9;

/// What kind of battery it is.
#[derive(Debug, Clone, PartialEq)]
pub struct BatterySettings {
    /// Most real power taken from the grid, in W.
    pub rated_charge_power_w: f64,
    /// Most real power given to the grid, in W.
    pub rated_discharge_power_w: f64,
    /// Most reactive power either way, in var. It is given beside the real power, whatever that is.
    pub max_reactive_power_var: f64,
    /// Usable energy in Wh.
    pub capacity_wh: f64,
    /// State of charge to begin with, in per cent of the usable energy.
    pub state_of_charge_percent: f64,
    /// State of charge at which it stops discharging, in per cent.
    pub min_state_of_charge_percent: f64,
    /// State of charge at which it stops charging, in per cent.
    pub max_state_of_charge_percent: f64,
    /// Energy stored as a part of the energy taken from the grid, above 0 and up to 1.
    pub charge_efficiency: f64,
    /// Energy given to the grid as a part of the energy taken from the store, above 0 and up to 1.
    pub discharge_efficiency: f64,
    /// How fast the power follows a command, in W/s and var/s.
    pub ramp_w_per_s: f64,
    /// Line-to-neutral voltage of the grid in V.
    pub nominal_voltage_v: f64,
    /// What it does by itself about the voltage. The rated power of discharging counts as its rated apparent power.
    pub support: GridSupport,
}

impl BatterySettings {
    /// A half-full battery of this rating both ways and this capacity: 85 % efficient there and back (the figure of
    /// NREL's Annual Technology Baseline for lithium-ion storage), from zero to the rating in two seconds, at 230 V.
    #[must_use]
    pub fn typical(rated_power_w: f64, capacity_wh: f64) -> Self {
        Self {
            rated_charge_power_w: rated_power_w,
            rated_discharge_power_w: rated_power_w,
            max_reactive_power_var: rated_power_w,
            capacity_wh,
            state_of_charge_percent: 50.0,
            min_state_of_charge_percent: 0.0,
            max_state_of_charge_percent: 100.0,
            charge_efficiency: 0.92,
            discharge_efficiency: 0.92,
            ramp_w_per_s: rated_power_w / 2.0,
            nominal_voltage_v: 230.0,
            support: GridSupport::default(),
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        check("rated_charge_power_w", self.rated_charge_power_w, 1.0, LARGEST_W)?;
        check("rated_discharge_power_w", self.rated_discharge_power_w, 1.0, LARGEST_W)?;
        check("max_reactive_power_var", self.max_reactive_power_var, 0.0, LARGEST_W)?;
        check("capacity_wh", self.capacity_wh, 1.0, 1e12)?;
        check("min_state_of_charge_percent", self.min_state_of_charge_percent, 0.0, 99.0)?;
        let lowest = self.min_state_of_charge_percent;
        check("max_state_of_charge_percent", self.max_state_of_charge_percent, lowest + 1.0, 100.0)?;
        let highest = self.max_state_of_charge_percent;
        check("state_of_charge_percent", self.state_of_charge_percent, lowest, highest)?;
        check("charge_efficiency", self.charge_efficiency, 0.01, 1.0)?;
        check("discharge_efficiency", self.discharge_efficiency, 0.01, 1.0)?;
        check("ramp_w_per_s", self.ramp_w_per_s, 0.001, LARGEST_W)?;
        check("nominal_voltage_v", self.nominal_voltage_v, 1.0, 1e6)?;
        self.support.check()
    }
}

/// What the battery is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatteryState {
    /// Neither taking nor giving, for nobody asks it to.
    Idle,
    /// Disconnected from the grid because of its voltage.
    Tripped,
    /// Taking power from the grid.
    Charging,
    /// Giving power to the grid.
    Discharging,
    /// It is to charge, and is full.
    Full,
    /// It is to discharge, and is empty.
    Empty,
}

/// What a meter at the terminals, and the battery's own display, show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatteryOutputs {
    /// Real power in W, positive towards the grid: above zero while discharging.
    pub real_power_w: f64,
    /// Reactive power in var, positive towards the grid.
    pub reactive_power_var: f64,
    /// Line-to-neutral voltage in V.
    pub voltage_v: f64,
    /// Current of each of the three phases in A.
    pub current_a: f64,
    /// Frequency in Hz.
    pub frequency_hz: f64,
    /// State of charge in per cent of the usable energy.
    pub state_of_charge_percent: f64,
    /// Energy in the store, in Wh.
    pub stored_wh: f64,
    /// Energy given to the grid since the plant began, in Wh.
    pub discharged_wh: f64,
    /// Energy taken from the grid since the plant began, in Wh.
    pub charged_wh: f64,
    /// What it is doing.
    pub state: BatteryState,
}

/// A three-phase battery on a grid whose voltage is the nominal one until somebody says another.
#[derive(Debug, Clone)]
pub struct Battery {
    settings: BatterySettings,
    elapsed: Duration,
    power: Commanded,
    reactive: Commanded,
    ramped_w: f64,
    ramped_var: f64,
    stored_wh: f64,
    discharged_wh: f64,
    charged_wh: f64,
    terminals: Terminals,
}

impl Battery {
    /// A battery that has been standing idle.
    ///
    /// # Errors
    /// The first setting that no battery can have.
    pub fn new(settings: BatterySettings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            elapsed: Duration::ZERO,
            power: Commanded::default(),
            reactive: Commanded::default(),
            ramped_w: 0.0,
            ramped_var: 0.0,
            stored_wh: settings.capacity_wh * settings.state_of_charge_percent / 100.0,
            discharged_wh: 0.0,
            charged_wh: 0.0,
            terminals: Terminals::new(
                &settings.support,
                settings.nominal_voltage_v,
                settings.rated_discharge_power_w,
                settings.max_reactive_power_var,
            ),
            settings,
        })
    }

    /// What kind of battery it is.
    #[must_use]
    pub fn settings(&self) -> &BatterySettings {
        &self.settings
    }

    /// Commands the real power in W, positive towards the grid, or takes the command away: then it idles. With
    /// `revert` the command gives way by itself.
    ///
    /// # Errors
    /// A command, or a value to revert to, beyond the ratings. The command in force stays.
    pub fn command_power(&mut self, watts: Option<f64>, revert: Option<Revert>) -> Result<(), CommandError> {
        let (lowest, highest) = (-self.settings.rated_charge_power_w, self.settings.rated_discharge_power_w);
        for value in watts.into_iter().chain(revert.and_then(|revert| revert.to)) {
            within(value, lowest, highest, "W")?;
        }
        self.power = Commanded::new(watts, revert, self.elapsed);
        Ok(())
    }

    /// Commands the reactive power in var, or takes the command away. Where volt-var is on, a command of 0 leaves it in
    /// force, and any other takes its place.
    ///
    /// # Errors
    /// A command, or a value to revert to, beyond the rating either way. The command in force stays.
    pub fn command_reactive(&mut self, var: Option<f64>, revert: Option<Revert>) -> Result<(), CommandError> {
        let rating = self.settings.max_reactive_power_var;
        for value in var.into_iter().chain(revert.and_then(|revert| revert.to)) {
            within(value, -rating, rating, "var")?;
        }
        self.reactive = Commanded::new(var, revert, self.elapsed);
        Ok(())
    }

    /// Goes on from the powers and the charge of another: it ramps from there to what is commanded.
    pub(crate) fn adopt(&mut self, last: &LastKnown) {
        let BatterySettings { rated_charge_power_w, rated_discharge_power_w, capacity_wh, .. } =
            self.settings;
        let finite = |value: &f64| value.is_finite();
        if let Some(real_power_w) = last.real_power_w.filter(finite) {
            self.ramped_w = real_power_w.clamp(-rated_charge_power_w, rated_discharge_power_w);
        }
        if let Some(var) = last.reactive_power_var.filter(finite) {
            let rating = self.settings.max_reactive_power_var;
            self.ramped_var = var.clamp(-rating, rating);
        }
        if let Some(percent) = last.state_of_charge_percent.filter(finite) {
            let BatterySettings { min_state_of_charge_percent, max_state_of_charge_percent, .. } =
                self.settings;
            let percent = percent.clamp(min_state_of_charge_percent, max_state_of_charge_percent);
            self.stored_wh = capacity_wh * percent / 100.0;
        }
    }

    /// The real power as commanded, in W.
    #[must_use]
    pub fn power_command(&self) -> Commanded {
        self.power
    }

    /// The reactive power as commanded, in var.
    #[must_use]
    pub fn reactive_command(&self) -> Commanded {
        self.reactive
    }

    /// How long it has lived.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// What it shows at this instant.
    #[must_use]
    pub fn outputs(&self) -> BatteryOutputs {
        let (real, state) = self.terminals();
        BatteryOutputs {
            real_power_w: real,
            reactive_power_var: self.ramped_var,
            voltage_v: self.terminals.voltage_v(),
            current_a: self.terminals.current_a(real, self.ramped_var),
            frequency_hz: GRID_FREQUENCY_HZ,
            state_of_charge_percent: 100.0 * self.stored_wh / self.settings.capacity_wh,
            stored_wh: self.stored_wh,
            discharged_wh: self.discharged_wh,
            charged_wh: self.charged_wh,
            state,
        }
    }

    fn terminals(&self) -> (f64, BatteryState) {
        let (lowest_wh, highest_wh) = self.ends_wh();
        if self.terminals.tripped() {
            return (0.0, BatteryState::Tripped);
        }
        if self.ramped_w > 0.0 && self.stored_wh <= lowest_wh {
            (0.0, BatteryState::Empty)
        } else if self.ramped_w < 0.0 && self.stored_wh >= highest_wh {
            (0.0, BatteryState::Full)
        } else if self.ramped_w > 0.0 {
            (self.ramped_w.min(self.terminals.volt_watt_w(0.0)), BatteryState::Discharging)
        } else if self.ramped_w < 0.0 {
            (self.ramped_w, BatteryState::Charging)
        } else {
            (0.0, BatteryState::Idle)
        }
    }

    /// The least and the most energy that the store may hold.
    fn ends_wh(&self) -> (f64, f64) {
        let of = |percent: f64| self.settings.capacity_wh * percent / 100.0;
        (of(self.settings.min_state_of_charge_percent), of(self.settings.max_state_of_charge_percent))
    }

    /// Lives until `end`, with no command changing before it.
    fn live_until(&mut self, end: Duration) {
        let seconds = end.saturating_sub(self.elapsed).as_secs_f64();
        let ramp = self.settings.ramp_w_per_s;
        let target_w = if self.terminals.tripped() { 0.0 } else { self.power.value().unwrap_or(0.0) };
        let start_w = self.ramped_w;
        let at = |t: f64| approach(start_w, target_w, ramp * t);

        let arrival_s = (target_w - start_w).abs() / ramp;
        let crossing_s = if start_w * target_w < 0.0 { start_w.abs() / ramp } else { 0.0 };
        let mut bends_s = [crossing_s, arrival_s, self.terminals.volt_watt_arrival_s(), seconds];
        bends_s.sort_by(f64::total_cmp);
        let mut from_s = 0.0;
        for until_s in bends_s.map(|bend_s| bend_s.min(seconds)) {
            let power_w = (at(from_s), at(until_s));
            let most_w = (self.terminals.volt_watt_w(from_s), self.terminals.volt_watt_w(until_s));
            self.exchange(area_under_least(until_s - from_s, [power_w, most_w]) / 3600.0);
            from_s = until_s;
        }
        self.ramped_w = at(seconds);
        if !self.terminals.tripped() {
            self.ramped_var =
                self.terminals.reactive_var(self.ramped_var, self.reactive.value(), ramp, seconds);
        }
        self.terminals.pass(seconds);
        self.elapsed = end;
    }

    /// Gives this energy to the grid (or takes it, below zero), as far as the store can.
    fn exchange(&mut self, asked_wh: f64) {
        let (lowest_wh, highest_wh) = self.ends_wh();
        let before_wh = self.stored_wh;
        let tolerance_wh = self.settings.capacity_wh * AT_THE_END;
        if asked_wh > 0.0 {
            let after_wh = before_wh - asked_wh / self.settings.discharge_efficiency;
            self.stored_wh = if after_wh < lowest_wh + tolerance_wh { lowest_wh } else { after_wh };
            self.discharged_wh += (before_wh - self.stored_wh) * self.settings.discharge_efficiency;
        } else if asked_wh < 0.0 {
            let after_wh = before_wh - asked_wh * self.settings.charge_efficiency;
            self.stored_wh = if after_wh > highest_wh - tolerance_wh { highest_wh } else { after_wh };
            self.charged_wh += (self.stored_wh - before_wh) / self.settings.charge_efficiency;
        }
    }
}

impl Step for Battery {
    fn step(&mut self, dt: Duration) {
        let end = self.elapsed.saturating_add(dt);
        let next_due = |battery: &Self| {
            let commands = battery.power.due().into_iter().chain(battery.reactive.due());
            commands.chain(battery.terminals.due()).min()
        };
        while let Some(due) = next_due(self).filter(|due| *due <= end) {
            self.live_until(due);
            self.power.expire(due);
            self.reactive.expire(due);
            if self.terminals.act(due) {
                self.ramped_w = 0.0;
                self.ramped_var = 0.0;
            }
        }
        self.live_until(end);
    }
}

impl OnGrid for Battery {
    fn set_grid_voltage_v(&mut self, voltage_v: f64, _at_position: Option<i32>) {
        self.terminals.set_voltage_v(voltage_v, self.elapsed);
    }
}

#[cfg(test)]
mod tests;
