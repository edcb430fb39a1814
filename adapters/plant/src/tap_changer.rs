//! An on-load tap changer: [`TapChanger`] moves between end stops, a step at a time, and takes its time.
//!
//! A command is relative, as on real drives: so many steps up or down. Each step takes the travel time, and the
//! position changes when it is complete; after the last one the motor rests. In the mode [`TapMode::Automatic`] its
//! own regulator looks at the voltage at every full second and orders single steps.

use crate::error::{CommandError, SettingsError, check, within};
use crate::{LastKnown, OnGrid, Series, Step};
use std::time::Duration;

/// The most steps that one command may ask for, either way.
pub const MAX_STEPS: i32 = 3;

/// How often the regulator of the automatic mode looks.
const REGULATOR_PERIOD: Duration = Duration::from_secs(1);

/// How far the voltage may be off before the regulator acts, in steps. Above half a step, or it would hunt.
const DEADBAND_STEPS: f64 = 0.75;

/// What kind of tap changer it is and what feeds it.
#[derive(Debug, Clone, PartialEq)]
pub struct TapChangerSettings {
    /// The lower end stop.
    pub lowest: i32,
    /// The upper end stop.
    pub highest: i32,
    /// The position to begin with.
    pub position: i32,
    /// How long one step takes, in s.
    pub travel_time_s: f64,
    /// How long the motor rests after a movement, in s.
    pub motor_pause_s: f64,
    /// The change of the regulated voltage for each step up, in per cent of the primary voltage.
    pub step_percent: f64,
    /// The line-to-neutral voltage on the fixed side, referred to the regulated side, in V over the seconds since the
    /// plant began. It is what the regulated side has at the middle position.
    pub primary_voltage_v: Series,
    /// Who moves it to begin with.
    pub mode: TapMode,
    /// What the automatic mode regulates to, in V.
    pub voltage_setpoint_v: f64,
}

impl Default for TapChangerSettings {
    /// Nine positions of 2.5 % around 230 V, standing in the middle, in external control.
    fn default() -> Self {
        Self {
            lowest: 1,
            highest: 9,
            position: 5,
            travel_time_s: 1.0,
            motor_pause_s: 1.0,
            step_percent: 2.5,
            primary_voltage_v: Series::constant(230.0),
            mode: TapMode::External,
            voltage_setpoint_v: 230.0,
        }
    }
}

impl TapChangerSettings {
    fn check(&self) -> Result<(), SettingsError> {
        check("lowest", self.lowest.into(), -1000.0, 1000.0)?;
        check("highest", self.highest.into(), f64::from(self.lowest) + 1.0, 1000.0)?;
        check("position", self.position.into(), self.lowest.into(), self.highest.into())?;
        check("travel_time_s", self.travel_time_s, 0.001, 3600.0)?;
        check("motor_pause_s", self.motor_pause_s, 0.0, 3600.0)?;
        check("step_percent", self.step_percent, 0.001, 20.0)?;
        for value in self.primary_voltage_v.values() {
            check("primary_voltage_v", value, 0.0, 1e6)?;
        }
        check("voltage_setpoint_v", self.voltage_setpoint_v, 1.0, 1e6)?;
        if self.ratio(self.lowest) <= 0.0 {
            let reason = format!("{} makes no voltage at the lowest position", self.step_percent);
            return Err(SettingsError { field: "step_percent", reason });
        }
        Ok(())
    }

    /// Regulated over primary voltage at a position.
    fn ratio(&self, position: i32) -> f64 {
        let middle = f64::from(self.lowest + self.highest) / 2.0;
        1.0 + (f64::from(position) - middle.floor()) * self.step_percent / 100.0
    }
}

/// Who moves a tap changer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapMode {
    /// Its own voltage regulator.
    Automatic,
    /// Somebody at the cabinet. Nothing moves it from outside.
    Manual,
    /// Tap commands from outside.
    External,
}

/// What a tap changer shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TapOutputs {
    /// The position that it last completed a step to.
    pub position: i32,
    /// Whether a step is under way.
    pub moving: bool,
    /// How long the motor will still rest, in s.
    pub motor_pause_s: f64,
    /// Line-to-neutral voltage of the regulated side in V.
    pub voltage_v: f64,
    /// What the automatic mode regulates to, in V.
    pub voltage_setpoint_v: f64,
    /// Steps completed since the plant began.
    pub operations: u32,
    /// Who moves it.
    pub mode: TapMode,
}

/// What the drive is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drive {
    Idle,
    /// `steps` still to go, with their direction as the sign; the one under way ends at `until`.
    Moving {
        steps: i32,
        until: Duration,
    },
    Pausing {
        until: Duration,
    },
}

/// An on-load tap changer between a stiff grid and a regulated busbar, until somebody says what the voltage there is:
/// from then on it is that, and changes with every step taken since.
#[derive(Debug, Clone)]
pub struct TapChanger {
    settings: TapChangerSettings,
    travel_time: Duration,
    motor_pause: Duration,
    elapsed: Duration,
    position: i32,
    mode: TapMode,
    voltage_setpoint_v: f64,
    operations: u32,
    drive: Drive,
    /// The voltage at the middle position, as whoever knows the grid said last.
    told_primary_v: Option<f64>,
}

impl TapChanger {
    /// A tap changer at rest.
    ///
    /// # Errors
    /// The first setting that no tap changer can have.
    pub fn new(settings: TapChangerSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            travel_time: Duration::from_secs_f64(settings.travel_time_s),
            motor_pause: Duration::from_secs_f64(settings.motor_pause_s),
            elapsed: Duration::ZERO,
            position: settings.position,
            mode: settings.mode,
            voltage_setpoint_v: settings.voltage_setpoint_v,
            operations: 0,
            drive: Drive::Idle,
            told_primary_v: None,
            settings,
        })
    }

    /// What kind of tap changer it is.
    #[must_use]
    pub fn settings(&self) -> &TapChangerSettings {
        &self.settings
    }

    /// Goes on from the position of another, at rest.
    pub(crate) fn adopt(&mut self, last: &LastKnown) {
        if let Some(position) = last.tap_position {
            self.position = position.clamp(self.settings.lowest, self.settings.highest);
            self.drive = Drive::Idle;
        }
    }

    /// Orders so many steps up (positive) or down. At most [`MAX_STEPS`] of them, and at least one.
    ///
    /// # Errors
    /// When it is not in external control, still moves or rests, or when the end stop is nearer than that. Nothing
    /// moves then.
    pub fn command_steps(&mut self, steps: i32) -> Result<(), CommandError> {
        if self.mode != TapMode::External {
            return Err(CommandError::NotRemote);
        }
        match self.drive {
            Drive::Moving { .. } => return Err(CommandError::Moving),
            Drive::Pausing { until } => {
                let remaining_s = until.saturating_sub(self.elapsed).as_secs_f64();
                return Err(CommandError::Pausing { remaining_s });
            }
            Drive::Idle => {}
        }
        let lowest = (-MAX_STEPS).max(self.settings.lowest - self.position);
        let highest = MAX_STEPS.min(self.settings.highest - self.position);
        if steps == 0 || !(lowest..=highest).contains(&steps) {
            return Err(CommandError::OutOfRange {
                value: steps.into(),
                lowest: lowest.into(),
                highest: highest.into(),
                unit: "steps",
            });
        }
        self.start(steps);
        Ok(())
    }

    /// Sets who moves it. A movement that is under way is finished.
    pub fn set_mode(&mut self, mode: TapMode) {
        self.mode = mode;
    }

    /// The voltages that it can be told to regulate to: what its end positions make of the primary voltage now.
    #[must_use]
    pub fn voltage_range_v(&self) -> (f64, f64) {
        let primary_v = self.primary_v();
        (
            primary_v * self.settings.ratio(self.settings.lowest),
            primary_v * self.settings.ratio(self.settings.highest),
        )
    }

    /// Sets what the automatic mode regulates to, in V.
    ///
    /// # Errors
    /// A voltage outside [`TapChanger::voltage_range_v`]. The one in force stays.
    pub fn set_voltage_setpoint_v(&mut self, voltage_v: f64) -> Result<(), CommandError> {
        let (lowest, highest) = self.voltage_range_v();
        within(voltage_v, lowest, highest, "V")?;
        self.voltage_setpoint_v = voltage_v;
        Ok(())
    }

    /// What it shows at this instant.
    #[must_use]
    pub fn outputs(&self) -> TapOutputs {
        let motor_pause_s = match self.drive {
            Drive::Pausing { until } => until.saturating_sub(self.elapsed).as_secs_f64(),
            Drive::Idle | Drive::Moving { .. } => 0.0,
        };
        TapOutputs {
            position: self.position,
            moving: matches!(self.drive, Drive::Moving { .. }),
            motor_pause_s,
            voltage_v: self.voltage_v(),
            voltage_setpoint_v: self.voltage_setpoint_v,
            operations: self.operations,
            mode: self.mode,
        }
    }

    fn primary_v(&self) -> f64 {
        let of_its_own = || self.settings.primary_voltage_v.at(self.elapsed.as_secs_f64());
        self.told_primary_v.unwrap_or_else(of_its_own)
    }

    fn voltage_v(&self) -> f64 {
        self.primary_v() * self.settings.ratio(self.position)
    }

    fn start(&mut self, steps: i32) {
        self.drive = Drive::Moving { steps, until: self.elapsed.saturating_add(self.travel_time) };
    }

    fn complete_step(&mut self, steps: i32) {
        self.position += steps.signum();
        self.operations = self.operations.saturating_add(1);
        match steps - steps.signum() {
            0 => self.drive = Drive::Pausing { until: self.elapsed.saturating_add(self.motor_pause) },
            more => self.start(more),
        }
    }

    /// The step that the regulator wants: 1, -1 or 0.
    fn wanted_step(&self) -> i32 {
        let off_v = self.voltage_setpoint_v - self.voltage_v();
        let deadband_v = DEADBAND_STEPS * self.voltage_setpoint_v * self.settings.step_percent / 100.0;
        if off_v > deadband_v && self.position < self.settings.highest {
            1
        } else if off_v < -deadband_v && self.position > self.settings.lowest {
            -1
        } else {
            0
        }
    }

    /// When something will next happen of itself.
    fn next_event(&self) -> Option<Duration> {
        match self.drive {
            Drive::Moving { until, .. } | Drive::Pausing { until } => Some(until),
            Drive::Idle if self.mode == TapMode::Automatic => {
                let constant = self.told_primary_v.is_some()
                    || self.settings.primary_voltage_v.is_constant_from(self.elapsed.as_secs_f64());
                let settled = constant && self.wanted_step() == 0;
                let second = Duration::from_secs(self.elapsed.as_secs());
                (!settled).then(|| second.saturating_add(REGULATOR_PERIOD))
            }
            Drive::Idle => None,
        }
    }

    fn happen(&mut self) {
        match self.drive {
            Drive::Moving { steps, .. } => self.complete_step(steps),
            Drive::Pausing { .. } => self.drive = Drive::Idle,
            Drive::Idle => match self.wanted_step() {
                0 => {}
                step => self.start(step),
            },
        }
    }
}

impl Step for TapChanger {
    fn step(&mut self, dt: Duration) {
        let end = self.elapsed.saturating_add(dt);
        while let Some(event) = self.next_event().filter(|event| *event <= end && *event < Duration::MAX) {
            self.elapsed = event;
            self.happen();
        }
        self.elapsed = end;
    }
}

impl OnGrid for TapChanger {
    /// The voltage of the regulated side, as it is at a position; without one, at the present position.
    fn set_grid_voltage_v(&mut self, voltage_v: f64, at_position: Option<i32>) {
        let position = at_position.unwrap_or(self.position);
        let position = position.clamp(self.settings.lowest, self.settings.highest);
        if voltage_v.is_finite() && voltage_v >= 0.0 {
            self.told_primary_v = Some(voltage_v / self.settings.ratio(position));
        }
    }
}

#[cfg(test)]
mod tests;
