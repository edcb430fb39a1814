//! What a gateway is told that serves one device of a configuration.

use super::Reader;
use super::manager::{read_epoch_length, read_speed};
use gridloop_realtime_manager::Speed;
use std::path::PathBuf;

/// `GATEWAY_CONFIGURATION`, and the pace of the run where it is another than that file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayVariables {
    /// The TOML file that has the device.
    pub configuration: PathBuf,
    /// What the environment changes in it, `KEY.PATH=VALUE`.
    pub overrides: Vec<String>,
}

impl GatewayVariables {
    /// Reads them. The device is the one that is named like the component.
    pub fn read(reader: &Reader<'_>) -> Self {
        let configuration =
            reader.required_text("GATEWAY_CONFIGURATION", "the TOML file that has the device");
        let speed = read_speed(reader).map(|speed| match speed {
            Speed::Max => "manager.speed=max".to_owned(),
            Speed::Times(times) => format!("manager.speed={times}"),
        });
        let length = read_epoch_length(reader)
            .map(|length| format!("simulation.epoch_length_s={}", length.as_secs_f64()));
        let overrides = speed.into_iter().chain(length).collect();
        Self { configuration: configuration.into(), overrides }
    }
}
