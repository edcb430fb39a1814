//! How the hand tool reaches a device: [`AccessArgs`] become the same `[device.NAME]` that a configuration would have, so
//! that it knows every driver and every key of each.

use crate::check::refuse;
use clap::Args;
use gridloop_clock::SharedClock;
use gridloop_device::Device;
use gridloop_gateway::{Address, DeviceSettings, read_devices};
use gridloop_service::{Diagnostics, Document};
use std::process::ExitCode;

/// Where a device is and how to talk to it.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// Where the device is: tcp://HOST:PORT, tls://HOST:PORT, rtu:///dev/PORT, rtu+tcp://HOST:PORT (Modbus),
    /// mms://HOST:PORT (IEC 61850), mqtt://HOST:PORT, mqtts://HOST:PORT (its broker).
    pub(crate) address: String,
    /// The driver. Default: sunspec for Modbus (register-map with a --profile), else the one of the address.
    #[arg(long)]
    driver: Option<String>,
    /// Modbus unit id.
    #[arg(long, value_name = "N")]
    unit: Option<u8>,
    /// What registers, objects or topics mean, such as configs/devices/tap-changer-ecotap.toml.
    #[arg(long, value_name = "FILE")]
    profile: Option<String>,
    /// Any other key of the driver, such as device_id=battery1, logical_device=INV or ca_file=ca.pem. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Longest wait for one answer, in s.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    timeout: f64,
}

impl AccessArgs {
    /// The device as a configuration would have it, or how the command ends for what is wrong with it.
    pub(crate) fn settings(&self) -> Result<DeviceSettings, ExitCode> {
        let mut keys = vec![
            ("address", quoted(&self.address)),
            ("driver", quoted(self.driver.as_deref().unwrap_or_else(|| self.usual_driver()))),
            ("request_timeout_s", format!("{:?}", self.timeout)),
        ];
        keys.extend(self.unit.map(|unit| ("unit", unit.to_string())));
        let profile = if self.address.starts_with("mms:") { "mapping" } else { "profile" };
        keys.extend(self.profile.as_ref().map(|file| (profile, quoted(file))));
        device(&keys, &self.set).map_err(|diagnostics| refuse(&diagnostics, false))
    }

    /// The driver, where none is named.
    fn usual_driver(&self) -> &'static str {
        match self.address.split(':').next() {
            Some("mms") => "iec61850",
            Some("mqtt" | "mqtts") => "mqtt",
            _ if self.profile.is_some() => "register-map",
            _ => "sunspec",
        }
    }
}

/// The one device that these keys make; `set` come after them.
pub(super) fn device(keys: &[(&str, String)], set: &[String]) -> Result<DeviceSettings, Diagnostics> {
    let mut document = Document::parse("command line", "")?;
    for (key, value) in keys {
        document.set(&format!("device.device.{key}={value}"))?;
    }
    for assignment in set {
        document.set(&format!("device.device.{assignment}"))?;
    }
    let devices = read_devices(&document.root());
    document.finish()?;
    // Without an error there is the one that was set.
    devices.into_iter().next().ok_or_else(|| document.finish().err().unwrap_or_else(Diagnostics::default))
}

/// As TOML has it.
pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Makes the device; nothing is connected yet.
pub(super) async fn open(settings: &DeviceSettings, clock: &SharedClock) -> anyhow::Result<Box<dyn Device>> {
    let address = match &settings.address {
        Address::At(address) => address,
        Address::Simulated => {
            anyhow::bail!("a simulated device cannot be reached from here; see `device simulate`")
        }
    };
    let address = Address::At(address.clone());
    let opened = settings.opener.open(&address, None, settings.request_timeout, clock).await?;
    Ok(opened.device)
}
