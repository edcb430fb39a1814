//! A controllable voltage source, as a laboratory has one to play a grid: [`GridEmulator`] slews its output to the
//! voltage that it was told, and keeps it until it is told another.

use crate::commanded::approach;
use crate::error::{CommandError, SettingsError, check, within};
use crate::{GRID_FREQUENCY_HZ, LastKnown, OnGrid, Step};
use std::time::Duration;

/// What kind of source it is.
#[derive(Debug, Clone, PartialEq)]
pub struct GridEmulatorSettings {
    /// The line-to-neutral voltage that it begins with, in V.
    pub nominal_voltage_v: f64,
    /// The lowest voltage that it can be told, in V.
    pub min_voltage_v: f64,
    /// The highest voltage that it can be told, in V.
    pub max_voltage_v: f64,
    /// How fast its output follows, in V/s.
    pub slew_v_per_s: f64,
}

impl GridEmulatorSettings {
    /// A source of this nominal voltage that goes from nothing to 1.3 times that, and from nothing to it in a second.
    #[must_use]
    pub fn typical(nominal_voltage_v: f64) -> Self {
        Self {
            nominal_voltage_v,
            min_voltage_v: 0.0,
            max_voltage_v: nominal_voltage_v * 1.3,
            slew_v_per_s: nominal_voltage_v,
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        check("max_voltage_v", self.max_voltage_v, 1.0, 1e6)?;
        check("min_voltage_v", self.min_voltage_v, 0.0, self.max_voltage_v)?;
        check("nominal_voltage_v", self.nominal_voltage_v, self.min_voltage_v.max(1.0), self.max_voltage_v)?;
        check("slew_v_per_s", self.slew_v_per_s, 0.001, 1e9)
    }
}

/// What it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridEmulatorOutputs {
    /// Line-to-neutral voltage at its terminals in V.
    pub voltage_v: f64,
    /// The voltage that it was told, in V.
    pub voltage_setpoint_v: f64,
    /// Frequency in Hz.
    pub frequency_hz: f64,
}

/// A controllable voltage source without a load.
#[derive(Debug, Clone)]
pub struct GridEmulator {
    settings: GridEmulatorSettings,
    setpoint_v: f64,
    voltage_v: f64,
}

impl GridEmulator {
    /// A source that stands at its nominal voltage.
    ///
    /// # Errors
    /// The first setting that no source can have.
    pub fn new(settings: GridEmulatorSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let nominal_v = settings.nominal_voltage_v;
        Ok(Self { setpoint_v: nominal_v, voltage_v: nominal_v, settings })
    }

    /// What kind of source it is.
    #[must_use]
    pub fn settings(&self) -> &GridEmulatorSettings {
        &self.settings
    }

    /// Tells it a voltage, in V.
    ///
    /// # Errors
    /// A voltage that it cannot be told. The one in force stays.
    pub fn set_voltage_setpoint_v(&mut self, voltage_v: f64) -> Result<(), CommandError> {
        within(voltage_v, self.settings.min_voltage_v, self.settings.max_voltage_v, "V")?;
        self.setpoint_v = voltage_v;
        Ok(())
    }

    /// Goes on from the voltage of another.
    pub(crate) fn adopt(&mut self, last: &LastKnown) {
        if let Some(voltage_v) = last.voltage_v.filter(|voltage_v| voltage_v.is_finite()) {
            self.voltage_v = voltage_v.clamp(self.settings.min_voltage_v, self.settings.max_voltage_v);
        }
    }

    /// What it shows at this instant.
    #[must_use]
    pub fn outputs(&self) -> GridEmulatorOutputs {
        GridEmulatorOutputs {
            voltage_v: self.voltage_v,
            voltage_setpoint_v: self.setpoint_v,
            frequency_hz: GRID_FREQUENCY_HZ,
        }
    }
}

impl Step for GridEmulator {
    fn step(&mut self, dt: Duration) {
        let reach = self.settings.slew_v_per_s * dt.as_secs_f64();
        self.voltage_v = approach(self.voltage_v, self.setpoint_v, reach);
    }
}

impl OnGrid for GridEmulator {
    /// Nothing: it makes a voltage, and is told which by command.
    fn set_grid_voltage_v(&mut self, _voltage_v: f64, _at_position: Option<i32>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_slews_to_the_setpoint_and_stays_there() {
        let mut source = GridEmulator::new(GridEmulatorSettings::typical(230.0)).unwrap();
        source.set_voltage_setpoint_v(253.0).unwrap();
        source.step(Duration::from_millis(50));
        assert!((source.outputs().voltage_v - 241.5).abs() < 1e-9);
        source.step(Duration::from_secs(60));
        assert_eq!(source.outputs().voltage_v, 253.0);
    }

    #[test]
    fn a_voltage_that_it_cannot_have_is_refused_and_the_old_one_stays() {
        let mut source = GridEmulator::new(GridEmulatorSettings::typical(230.0)).unwrap();
        for bad in [-1.0, 400.0, f64::NAN] {
            assert!(source.set_voltage_setpoint_v(bad).is_err(), "{bad}");
        }
        assert_eq!(source.outputs().voltage_setpoint_v, 230.0);
    }
}
