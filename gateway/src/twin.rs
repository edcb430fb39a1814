//! The `[device.NAME.twin]` tables: the plant behind a simulated device and behind the fallback.

use crate::safety::interlock::ENTER_SERVICE_DELAY_S;
use gridloop_plant::{
    Battery, BatterySettings, Curve, GridEmulator, GridEmulatorSettings, GridSupport, Plant, PvInverter,
    PvInverterSettings, Series, SettingsError, TapChanger, TapChangerSettings, TapMode, VoltageFunction,
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
    /// `plant = "grid-emulator"`
    GridEmulator(GridEmulatorSettings),
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
            Self::GridEmulator(settings) => Plant::from(GridEmulator::new(settings.clone())?),
        })
    }

    /// The word in the configuration.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PvInverter(_) => "pv-inverter",
            Self::Battery(_) => "battery",
            Self::TapChanger(_) => "tap-changer",
            Self::GridEmulator(_) => "grid-emulator",
        }
    }

    /// The line-to-neutral voltage that counts as nominal, in V; of a tap changer what it regulates to.
    #[must_use]
    pub const fn nominal_voltage_v(&self) -> f64 {
        match self {
            Self::PvInverter(settings) => settings.nominal_voltage_v,
            Self::Battery(settings) => settings.nominal_voltage_v,
            Self::TapChanger(settings) => settings.voltage_setpoint_v,
            Self::GridEmulator(settings) => settings.nominal_voltage_v,
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
            ("grid-emulator", &|section: &Section<'_>| {
                TwinSettings::GridEmulator(read_grid_emulator(section))
            }),
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
        support: read_support(section),
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
        support: read_support(section),
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
        mode: section
            .text("mode", "Who moves it: automatic (its own regulator), or external (setpoints).")
            .choice(&[("automatic", TapMode::Automatic), ("external", TapMode::External)])
            .or(usual.mode),
        voltage_setpoint_v: section
            .number("voltage_setpoint_v", "What its automatic mode regulates to, in V.")
            .or(usual.voltage_setpoint_v),
    }
}

fn read_grid_emulator(section: &Section<'_>) -> GridEmulatorSettings {
    let about = "The line-to-neutral voltage that it begins with, in V.";
    let nominal = section.number("nominal_voltage_v", about).within(1.0..=1e6).or(230.0);
    let usual = GridEmulatorSettings::typical(nominal);
    let about = "Highest voltage that it can be told, in V. Default: 1.3 times the nominal one.";
    let highest = section.number("max_voltage_v", about).optional();
    let about = "How fast its output follows, in V/s. Default: the nominal voltage in a second.";
    let slew = section.number("slew_v_per_s", about).positive().optional();
    GridEmulatorSettings {
        nominal_voltage_v: nominal,
        min_voltage_v: section
            .number("min_voltage_v", "Lowest voltage that it can be told, in V.")
            .or(usual.min_voltage_v),
        max_voltage_v: highest.unwrap_or(usual.max_voltage_v),
        slew_v_per_s: slew.unwrap_or(usual.slew_v_per_s),
    }
}

/// What an inverter does by itself about the voltage.
fn read_support(section: &Section<'_>) -> GridSupport {
    let named = |word: &'static str, known: fn() -> Curve| {
        move |text: &str| if text == word { Ok(known()) } else { Curve::parse(text) }
    };
    let about = "Reactive power by voltage: ieee-1547-b, or voltage:share points of your own. Absent: none.";
    let volt_var = section
        .text("volt_var", about)
        .such_as("0.92:0.44, 0.98:0, 1.02:0, 1.08:-0.44")
        .parsed(named("ieee-1547-b", Curve::ieee_1547_volt_var_b))
        .optional();
    let about = "What volt_var takes to do 90 % of the way, in s.";
    let var_response = section.number("volt_var_response_s", about).or(VoltageFunction::VOLT_VAR_RESPONSE_S);
    let about =
        "Most real power by voltage: ieee-1547, or voltage:share points of your own. Absent: all of it.";
    let volt_watt = section
        .text("volt_watt", about)
        .such_as("1.06:1, 1.10:0.2")
        .parsed(named("ieee-1547", Curve::ieee_1547_volt_watt))
        .optional();
    let about = "What volt_watt takes to do 90 % of the way, in s.";
    let watt_response =
        section.number("volt_watt_response_s", about).or(VoltageFunction::VOLT_WATT_RESPONSE_S);
    let about = "Whether it disconnects at voltages as in table 11 of IEEE 1547-2018.";
    let trip = section.boolean("trip", about).or(false);
    let about = "How long the voltage has to be good before it connects again, in s.";
    let return_after = section.number("return_after_s", about).or(ENTER_SERVICE_DELAY_S);
    GridSupport {
        volt_var: volt_var.map(|curve| VoltageFunction { curve, response_s: var_response }),
        volt_watt: volt_watt.map(|curve| VoltageFunction { curve, response_s: watt_response }),
        trip_and_return_after_s: trip.then_some(return_after),
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
