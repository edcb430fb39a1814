//! The `[device.NAME.twin]` tables: the plant behind a simulated device and behind the fallback.

use gridloop_plant::{
    Battery, BatterySettings, Plant, PvInverter, PvInverterSettings, Series, SettingsError, TapChanger,
    TapChangerSettings,
};
use gridloop_service::Section;

/// The plant behind a simulated device.
#[derive(Debug, Clone, PartialEq)]
pub enum TwinSettings {
    /// `plant = "pv-inverter"`
    PvInverter(PvInverterSettings),
    /// `plant = "battery"`
    Battery(BatterySettings),
    /// `plant = "tap-changer"`
    TapChanger(TapChangerSettings),
}

impl TwinSettings {
    /// The plant at the beginning of its life.
    ///
    /// # Errors
    /// When the settings make no plant.
    pub fn plant(&self) -> Result<Plant, SettingsError> {
        Ok(match self {
            Self::PvInverter(settings) => Plant::from(PvInverter::new(settings.clone())?),
            Self::Battery(settings) => Plant::from(Battery::new(settings.clone())?),
            Self::TapChanger(settings) => Plant::from(TapChanger::new(settings.clone())?),
        })
    }

    /// The word in the configuration.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PvInverter(_) => "pv-inverter",
            Self::Battery(_) => "battery",
            Self::TapChanger(_) => "tap-changer",
        }
    }
}

/// Reads a `[device.NAME.twin]` table; `None` when it is wrong, which has been reported then.
#[must_use]
pub fn read_twin(section: &Section<'_>) -> Option<TwinSettings> {
    let twin = section.variants(
        "plant",
        "What kind of plant it is.",
        &[
            ("pv-inverter", &|section: &Section<'_>| TwinSettings::PvInverter(read_pv_inverter(section))),
            ("battery", &|section: &Section<'_>| TwinSettings::Battery(read_battery(section))),
            ("tap-changer", &|section: &Section<'_>| TwinSettings::TapChanger(read_tap_changer(section))),
        ],
    )?;
    match twin.plant() {
        Ok(_) => Some(twin),
        Err(error) => {
            section.error(Some(error.field), error.to_string(), None);
            None
        }
    }
}

fn read_pv_inverter(section: &Section<'_>) -> PvInverterSettings {
    let rated = section.number("rated_power_w", "Rated power in W.").positive().required();
    let irradiance =
        read_series(section, "irradiance_file", "irradiance_w_per_m2", "Irradiance in W/m2", 800.0);
    let typical = PvInverterSettings::typical(rated, irradiance);
    PvInverterSettings {
        rated_power_w: rated,
        efficiency: section.number("efficiency", "AC power over panel power, 0 to 1.").or(typical.efficiency),
        ramp_w_per_s: section
            .number("ramp_w_per_s", "How fast the power follows a command, in W/s. Default: half the rating.")
            .optional()
            .unwrap_or(typical.ramp_w_per_s),
        nominal_voltage_v: section
            .number("nominal_voltage_v", "Line-to-neutral voltage in V.")
            .or(typical.nominal_voltage_v),
        panel_power_w: section
            .number("panel_power_w", "Panel power at 1000 W/m2, in W. Default: 1.1 times the rating.")
            .optional()
            .unwrap_or(typical.panel_power_w),
        irradiance_w_per_m2: typical.irradiance_w_per_m2,
    }
}

fn read_battery(section: &Section<'_>) -> BatterySettings {
    let rated =
        section.number("rated_power_w", "Rated power in W, charging and discharging.").positive().required();
    let capacity = section.number("capacity_wh", "Usable energy in Wh.").positive().required();
    let usual = BatterySettings::typical(rated, capacity);
    let with_default =
        |key: &str, about: &str, default: f64| section.number(key, about).optional().unwrap_or(default);
    BatterySettings {
        rated_charge_power_w: with_default(
            "rated_charge_power_w",
            "Rated power while charging, in W. Default: rated_power_w.",
            rated,
        ),
        rated_discharge_power_w: with_default(
            "rated_discharge_power_w",
            "Rated power while discharging, in W. Default: rated_power_w.",
            rated,
        ),
        max_reactive_power_var: with_default(
            "max_reactive_power_var",
            "Most reactive power either way, in var. Default: rated_power_w.",
            rated,
        ),
        capacity_wh: capacity,
        state_of_charge_percent: section
            .number("state_of_charge_percent", "State of charge to begin with, in %.")
            .or(usual.state_of_charge_percent),
        min_state_of_charge_percent: section
            .number("min_state_of_charge_percent", "It stops discharging there, in %.")
            .or(usual.min_state_of_charge_percent),
        max_state_of_charge_percent: section
            .number("max_state_of_charge_percent", "It stops charging there, in %.")
            .or(usual.max_state_of_charge_percent),
        charge_efficiency: section
            .number("charge_efficiency", "Energy stored over energy taken, 0 to 1.")
            .or(usual.charge_efficiency),
        discharge_efficiency: section
            .number("discharge_efficiency", "Energy given over energy taken from the store, 0 to 1.")
            .or(usual.discharge_efficiency),
        ramp_w_per_s: with_default(
            "ramp_w_per_s",
            "How fast the power follows a command, in W/s. Default: half of rated_power_w.",
            usual.ramp_w_per_s,
        ),
        nominal_voltage_v: section
            .number("nominal_voltage_v", "Line-to-neutral voltage in V.")
            .or(usual.nominal_voltage_v),
    }
}

fn read_tap_changer(section: &Section<'_>) -> TapChangerSettings {
    let usual = TapChangerSettings::default();
    let position = |key: &str, about: &str, default: i32| {
        section.integer(key, about).within(-1000..=1000).fits::<i32>().or(default)
    };
    TapChangerSettings {
        lowest: position("lowest", "The lower end stop.", usual.lowest),
        highest: position("highest", "The upper end stop.", usual.highest),
        position: position("position", "The position to begin with.", usual.position),
        travel_time_s: section.number("travel_time_s", "Time for one step, in s.").or(usual.travel_time_s),
        motor_pause_s: section
            .number("motor_pause_s", "Rest of the motor after a movement, in s.")
            .or(usual.motor_pause_s),
        step_percent: section
            .number("step_percent", "Voltage change of one step, in %.")
            .or(usual.step_percent),
        primary_voltage_v: read_series(
            section,
            "primary_voltage_file",
            "primary_voltage_v",
            "Voltage in V at the middle position, line to neutral",
            230.0,
        ),
        mode: usual.mode,
        voltage_setpoint_v: section
            .number("voltage_setpoint_v", "What its automatic mode regulates to, in V.")
            .or(usual.voltage_setpoint_v),
    }
}

/// A series from a file with the columns Seconds and Value, or a constant.
fn read_series(section: &Section<'_>, file: &str, constant: &str, about: &str, default: f64) -> Series {
    let path =
        section.file(file, &format!("{about} over time: CSV with the columns Seconds,Value.")).optional();
    let value = section.number(constant, &format!("{about}, constant.")).at_least(0.0).or(default);
    let Some(path) = path else { return Series::constant(value) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            section.error(Some(file), format!("a readable file: {}: {error}", path.display()), None);
            return Series::constant(value);
        }
    };
    Series::from_csv_text(&path.display().to_string(), &text).unwrap_or_else(|error| {
        section.error(Some(file), error.to_string(), None);
        Series::constant(value)
    })
}
