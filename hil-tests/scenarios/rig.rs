//! The configuration that the scenarios vary: loads and a controller from files, an inverter and a tap changer.

use gridloop_platform_manager::Configuration;
use std::fmt::Write as _;
use std::path::Path;
use tempfile::TempDir;

/// One-second epochs; two loads, an operator, the inverters `pv1` and `pv2` and the tap changer `oltc1`, all simulated
/// without a wire. The sun rises by 5 W/m2 a second, so that no two seconds give the same power.
const FEEDER: &str = r#"
[simulation]
name = "a feeder"
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 10

[manager]
start_delay_s = 0

[component.load1]
kind = "static-time-series"
resource_type = "Load"
file = "load.csv"

[component.load2]
kind = "static-time-series"
resource_type = "Load"
file = "load.csv"

[component.operator]
kind = "setpoint-series"
file = "setpoints.csv"

[device.pv1]
driver = "simulated"
mode = "armed"
category = "Generator"
request_timeout_s = 0.2
limits = { max_real_power_w = 5000, max_reactive_power_var = 2000 }

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 8000
irradiance_file = "sun.csv"

[device.pv2]
driver = "simulated"
category = "Generator"
request_timeout_s = 0.2

[device.pv2.twin]
plant = "pv-inverter"
rated_power_w = 6000
irradiance_file = "sun.csv"

[device.oltc1]
driver = "simulated"
safe_state = "hold"
request_timeout_s = 0.2

[device.oltc1.twin]
plant = "tap-changer"
lowest = 1
highest = 9
position = 5
travel_time_s = 1.5
motor_pause_s = 1
"#;

/// A folder with the files of a feeder. It is gone when this is dropped.
pub(crate) struct Feeder(TempDir);

impl Feeder {
    /// A feeder whose operator follows these rows: `Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage`.
    pub(crate) fn with(setpoints: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let header = "Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage";
        let rows: Vec<&str> = [header].into_iter().chain(setpoints.iter().copied()).collect();
        let mut load = "RealPower,ReactivePower,CustomerId\n".to_owned();
        for second in 0..40 {
            let _ = writeln!(load, "-{}.5,0.25,customer", second % 7);
        }
        let sun = "Seconds,Value\n0,400\n100,900\n";
        for (name, text) in
            [("setpoints.csv", rows.join("\n") + "\n"), ("load.csv", load), ("sun.csv", sun.into())]
        {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        Self(folder)
    }

    /// The configuration with these `KEY.PATH=VALUE` overrides.
    pub(crate) fn configuration(&self, overrides: &[&str]) -> Configuration {
        parse(self.0.path(), FEEDER, overrides)
    }
}

fn parse(folder: &Path, text: &str, overrides: &[&str]) -> Configuration {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let name = folder.join("feeder.toml");
    Configuration::parse(&name.display().to_string(), text, &overrides)
        .unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"))
}

/// Where results appear.
pub(crate) const PV1: &str = "ResourceState.Generator.pv1";
/// The points of `pv1`.
pub(crate) const PV1_POINTS: &str = "DeviceState.pv1";
/// Where `pv1` takes its setpoints.
pub(crate) const PV1_POWER: &str = "ControlState.PowerSetpoint.pv1";
