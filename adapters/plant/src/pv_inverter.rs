//! A PV inverter: [`PvInverter`] turns irradiance into power under a ceiling that ramps.
//!
//! Power is always the lesser of what the sun gives and the ceiling. The sun's share follows the irradiance at once;
//! the ceiling moves at the ramp rate towards the commanded limit, or towards the rating where there is none. Both are
//! made of straight lines, so that energy is integrated exactly, however time is sliced. What it does about the voltage
//! at its terminals is in `support.rs`.

use crate::commanded::{Commanded, Revert, approach};
use crate::error::{CommandError, SettingsError, check, within};
use crate::support::{Terminals, area_under_least};
use crate::{GRID_FREQUENCY_HZ, GridSupport, LARGEST_W, LastKnown, OnGrid, Series, Step};
use std::time::Duration;

/// What kind of inverter it is and what shines on its panels.
#[derive(Debug, Clone, PartialEq)]
pub struct PvInverterSettings {
    /// Rated real and apparent power, in W and VA.
    pub rated_power_w: f64,
    /// Power on the grid side as a part of the power of the panels, above 0 and up to 1.
    pub efficiency: f64,
    /// How fast the ceiling of real power, and reactive power, follow a command, in W/s and var/s.
    pub ramp_w_per_s: f64,
    /// Line-to-neutral voltage of the grid in V.
    pub nominal_voltage_v: f64,
    /// What the panels give at 1000 W/m2, in W.
    pub panel_power_w: f64,
    /// Irradiance in W/m2 over the seconds since the plant began.
    pub irradiance_w_per_m2: Series,
    /// What it does by itself about the voltage.
    pub support: GridSupport,
}

impl PvInverterSettings {
    /// An inverter of this rating as they are commonly built: panels 10 % above the rating, 97 % efficient, from zero
    /// to the rating in two seconds, at 230 V.
    #[must_use]
    pub fn typical(rated_power_w: f64, irradiance_w_per_m2: Series) -> Self {
        Self {
            rated_power_w,
            efficiency: 0.97,
            ramp_w_per_s: rated_power_w / 2.0,
            nominal_voltage_v: 230.0,
            panel_power_w: rated_power_w * 1.1,
            irradiance_w_per_m2,
            support: GridSupport::default(),
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        check("rated_power_w", self.rated_power_w, 1.0, LARGEST_W)?;
        check("efficiency", self.efficiency, 0.01, 1.0)?;
        check("ramp_w_per_s", self.ramp_w_per_s, 0.001, LARGEST_W)?;
        check("nominal_voltage_v", self.nominal_voltage_v, 1.0, 1e6)?;
        check("panel_power_w", self.panel_power_w, 0.0, LARGEST_W)?;
        for value in self.irradiance_w_per_m2.values() {
            check("irradiance_w_per_m2", value, 0.0, 10_000.0)?;
        }
        self.support.check()
    }
}

/// What the inverter is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PvState {
    /// Disconnected from the grid by command.
    Off,
    /// Disconnected from the grid because of its voltage.
    Tripped,
    /// Connected, but there is no sun.
    Sleeping,
    /// Giving all that the panels and the rating allow.
    Tracking,
    /// Giving less than that because of a command or of the voltage.
    Throttled,
}

/// What a meter at the terminals, and the inverter's own display, show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PvOutputs {
    /// Real power in W, positive towards the grid, never negative.
    pub real_power_w: f64,
    /// Reactive power in var, positive towards the grid.
    pub reactive_power_var: f64,
    /// Real power that the sun and the rating allow, in W.
    pub available_power_w: f64,
    /// Power taken from the panels, in W.
    pub dc_power_w: f64,
    /// Line-to-neutral voltage in V.
    pub voltage_v: f64,
    /// Current of each of the three phases in A.
    pub current_a: f64,
    /// Frequency in Hz.
    pub frequency_hz: f64,
    /// Energy delivered since the plant began, in Wh.
    pub energy_wh: f64,
    /// What it is doing.
    pub state: PvState,
}

/// A three-phase PV inverter on a grid whose voltage is the nominal one until somebody says another.
#[derive(Debug, Clone)]
pub struct PvInverter {
    settings: PvInverterSettings,
    elapsed: Duration,
    connected: bool,
    power_limit: Commanded,
    reactive: Commanded,
    ceiling_w: f64,
    ramped_var: f64,
    energy_wh: f64,
    terminals: Terminals,
}

impl PvInverter {
    /// An inverter that has been running without commands.
    ///
    /// # Errors
    /// The first setting that no inverter can have.
    pub fn new(settings: PvInverterSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let PvInverterSettings { rated_power_w, nominal_voltage_v, .. } = settings;
        Ok(Self {
            elapsed: Duration::ZERO,
            connected: true,
            power_limit: Commanded::default(),
            reactive: Commanded::default(),
            ceiling_w: settings.rated_power_w,
            ramped_var: 0.0,
            energy_wh: 0.0,
            terminals: Terminals::new(&settings.support, nominal_voltage_v, rated_power_w, rated_power_w),
            settings,
        })
    }

    /// What kind of inverter it is.
    #[must_use]
    pub fn settings(&self) -> &PvInverterSettings {
        &self.settings
    }

    /// Sets the ceiling of real power in W, or takes it away. With `revert` the ceiling gives way by itself.
    ///
    /// # Errors
    /// A limit, or a value to revert to, that is not from zero to the rating. The command in force stays.
    pub fn limit_power(&mut self, limit_w: Option<f64>, revert: Option<Revert>) -> Result<(), CommandError> {
        for value in limit_w.into_iter().chain(revert.and_then(|revert| revert.to)) {
            within(value, 0.0, self.settings.rated_power_w, "W")?;
        }
        self.power_limit = Commanded::new(limit_w, revert, self.elapsed);
        Ok(())
    }

    /// Sets the reactive power in var, or takes the command away. Real power goes first: what the rating leaves
    /// beside it is what is given. Where volt-var is on, a command of 0 leaves it in force, and any other takes its place.
    ///
    /// # Errors
    /// A command, or a value to revert to, beyond the rating either way. The command in force stays.
    pub fn command_reactive(&mut self, var: Option<f64>, revert: Option<Revert>) -> Result<(), CommandError> {
        let rating = self.settings.rated_power_w;
        for value in var.into_iter().chain(revert.and_then(|revert| revert.to)) {
            within(value, -rating, rating, "var")?;
        }
        self.reactive = Commanded::new(var, revert, self.elapsed);
        Ok(())
    }

    /// Connects to the grid or disconnects from it. Disconnecting acts at once; after connecting the ceiling ramps up
    /// from zero.
    pub fn set_connected(&mut self, connected: bool) {
        self.connected = connected;
        if !connected {
            self.cease();
        }
    }

    fn cease(&mut self) {
        self.ceiling_w = 0.0;
        self.ramped_var = 0.0;
    }

    fn on_grid(&self) -> bool {
        self.connected && !self.terminals.tripped()
    }

    /// Goes on from the powers of another: its ceiling ramps from there to what is commanded. It still gives no more than
    /// its own sun allows.
    pub(crate) fn adopt(&mut self, last: &LastKnown) {
        let rating = self.settings.rated_power_w;
        if let Some(real_power_w) = last.real_power_w.filter(|power| power.is_finite()) {
            self.ceiling_w = real_power_w.clamp(0.0, rating);
        }
        if let Some(var) = last.reactive_power_var.filter(|power| power.is_finite()) {
            self.ramped_var = var.clamp(-rating, rating);
        }
    }

    /// Whether it is connected to the grid.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected
    }

    /// The ceiling of real power as commanded, in W.
    #[must_use]
    pub fn power_limit(&self) -> Commanded {
        self.power_limit
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
    pub fn outputs(&self) -> PvOutputs {
        let rating = self.settings.rated_power_w;
        let available = self.sun_w(self.elapsed.as_secs_f64()).min(rating);
        let real = available.min(self.ceiling_w).min(self.terminals.volt_watt_w(0.0));
        let room = (rating * rating - real * real).max(0.0).sqrt();
        let reactive = self.ramped_var.clamp(-room, room);
        PvOutputs {
            real_power_w: real,
            reactive_power_var: reactive,
            available_power_w: available,
            dc_power_w: real / self.settings.efficiency,
            voltage_v: self.terminals.voltage_v(),
            current_a: self.terminals.current_a(real, reactive),
            frequency_hz: GRID_FREQUENCY_HZ,
            energy_wh: self.energy_wh,
            state: self.state(real, available),
        }
    }

    fn state(&self, real: f64, available: f64) -> PvState {
        if !self.connected {
            PvState::Off
        } else if self.terminals.tripped() {
            PvState::Tripped
        } else if available <= 0.0 {
            PvState::Sleeping
        } else if real < available {
            PvState::Throttled
        } else {
            PvState::Tracking
        }
    }

    fn sun_w(&self, seconds: f64) -> f64 {
        let panels_w = self.settings.panel_power_w * self.settings.irradiance_w_per_m2.at(seconds) / 1000.0;
        panels_w * self.settings.efficiency
    }

    fn ceiling_target_w(&self) -> f64 {
        if !self.on_grid() {
            return 0.0;
        }
        let limit_w = self.power_limit.value().unwrap_or(self.settings.rated_power_w);
        limit_w.min(self.terminals.room_w(self.reactive.value()))
    }

    /// Lives until `end`, with no command changing before it.
    fn live_until(&mut self, end: Duration) {
        let (from_s, to_s) = (self.elapsed.as_secs_f64(), end.as_secs_f64());
        let (ramp, seconds) = (self.settings.ramp_w_per_s, end.saturating_sub(self.elapsed).as_secs_f64());
        self.energy_wh += self.energy_ws(from_s, to_s) / 3600.0;
        self.ceiling_w = approach(self.ceiling_w, self.ceiling_target_w(), ramp * seconds);
        if self.on_grid() {
            self.ramped_var =
                self.terminals.reactive_var(self.ramped_var, self.reactive.value(), ramp, seconds);
        }
        self.terminals.pass(seconds);
        self.elapsed = end;
    }

    /// The energy from one instant to another, in Ws: between two bends the sun and both ceilings are straight.
    fn energy_ws(&self, from_s: f64, to_s: f64) -> f64 {
        let ramp = self.settings.ramp_w_per_s;
        let target = self.ceiling_target_w();
        let arrival_s = from_s + (target - self.ceiling_w).abs() / ramp;
        let ceiling = |t: f64| approach(self.ceiling_w, target, ramp * (t - from_s));
        let volt_watt = |t: f64| self.terminals.volt_watt_w(t - from_s);

        let sun = &self.settings.irradiance_w_per_m2;
        let arrivals = [arrival_s, from_s + self.terminals.volt_watt_arrival_s()];
        let arrivals = arrivals.into_iter().filter(|t| from_s < *t && *t < to_s);
        let mut ends: Vec<f64> = sun.bends(from_s, to_s).chain(arrivals).chain([to_s]).collect();
        ends.sort_by(f64::total_cmp);

        let at = |t: f64| (t, [self.sun_w(t), ceiling(t), volt_watt(t)]);
        let mut start = at(from_s);
        let mut energy_ws = 0.0;
        for t in ends {
            let end = at(t);
            let [sun, ceiling, volt_watt] = [0, 1, 2].map(|line| (start.1[line], end.1[line]));
            energy_ws += area_under_least(end.0 - start.0, [sun, ceiling, volt_watt]);
            start = end;
        }
        energy_ws
    }
}

impl Step for PvInverter {
    fn step(&mut self, dt: Duration) {
        let end = self.elapsed.saturating_add(dt);
        let next_due = |inverter: &Self| {
            let commands = inverter.power_limit.due().into_iter().chain(inverter.reactive.due());
            commands.chain(inverter.terminals.due()).min()
        };
        while let Some(due) = next_due(self).filter(|due| *due <= end) {
            self.live_until(due);
            self.power_limit.expire(due);
            self.reactive.expire(due);
            if self.terminals.act(due) {
                self.cease();
            }
        }
        self.live_until(end);
    }
}

impl OnGrid for PvInverter {
    fn set_grid_voltage_v(&mut self, voltage_v: f64, _at_position: Option<i32>) {
        self.terminals.set_voltage_v(voltage_v, self.elapsed);
    }
}

#[cfg(test)]
mod tests;
