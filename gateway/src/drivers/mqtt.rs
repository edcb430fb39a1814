//! `driver = "mqtt"`: devices behind an MQTT broker, in gridloop's own JSON or as a profile describes them.

use super::{Driver, OpenError, Opened, Opener, ScanError, ScanWish, Scanned, ServeWish, Served};
use crate::settings::Address;
use crate::twin::TwinSettings;
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_device::Device;
use gridloop_mqtt::simulated::{Broker, SimulatedSettings, serve_battery, serve_inverter};
use gridloop_mqtt::{
    BrokerSettings, Identity, Login, MappedDevice, MappedSettings, MqttDevice, MqttSettings, PasswordSource,
    Profile, ScanSettings, TlsFiles, scan,
};
use gridloop_plant::{Battery, LivePlant, PvInverter};
use gridloop_service::Section;
use std::time::Duration;

pub(super) struct Mqtt;

/// How often the simulated device of a run speaks: fresh enough for epochs that are ten times as fast as seconds.
const TELEMETRY: Duration = Duration::from_millis(50);

#[async_trait]
impl Driver for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn read(&self, section: &Section<'_>) -> Box<dyn Opener> {
        let address = section
            .text(
                "address",
                "The broker: `mqtt://host:port`, `mqtts://host:port`, or `simulated` for a device and a broker that \
                 gridloop serves itself.",
            )
            .matching(|text| match text.as_str() {
                "simulated" => Ok(()),
                text => text.parse::<gridloop_mqtt::Address>().map(drop).map_err(|error| error.to_string()),
            })
            .such_as("mqtt://192.0.2.10:1883")
            // Somebody may have put a password into it, where it must not be.
            .sensitive()
            .or("simulated".into());
        let encrypted = address.starts_with("mqtts://");
        Box::new(Settings {
            prefix: section
                .text("topic_prefix", "What the device's topics begin with.")
                .matching(|text| topic(text, true))
                .or("gridloop".into()),
            device_id: section
                .text("device_id", "What comes then in its topics. Default: the device's name.")
                .matching(|text| topic(text, false))
                .or(section.name().to_owned()),
            profile: read_profile(section, &address),
            login: read_login(section),
            tls: read_tls(section, encrypted),
        })
    }

    /// Without an address the device has a small broker of its own.
    async fn serve(
        &self,
        wish: &ServeWish,
        twin: &TwinSettings,
        clock: &SharedClock,
    ) -> Result<Served, OpenError> {
        let own = match &wish.at {
            None => Some(Broker::start(0, clock.clone()).await?),
            Some(_) => None,
        };
        let address = match (&own, &wish.at) {
            (Some(own), _) => own.local_addr().into(),
            (None, at) => at.as_deref().unwrap_or_default().parse()?,
        };
        let tls = wish.tls.as_ref().map_or_else(TlsFiles::default, |files| TlsFiles {
            ca_file: Some(files.ca_file.clone()),
            identity: Some(Identity {
                certificate_file: files.certificate_file.clone(),
                key_file: files.key_file.clone(),
            }),
        });
        let broker = BrokerSettings { tls, ..BrokerSettings::at(address) };
        let address = broker.address.to_string();
        let usual = SimulatedSettings::new(broker, &wish.topic_prefix, &wish.device_id);
        let settings = SimulatedSettings {
            telemetry_interval: wish.interval.unwrap_or(usual.telemetry_interval),
            ..usual
        };
        let (device, terminals) = match twin {
            TwinSettings::Battery(plant) => {
                let plant = LivePlant::new(Battery::new(plant.clone())?, clock.clone());
                let terminals = plant.terminals();
                (serve_battery(settings, plant, clock.clone()), terminals)
            }
            TwinSettings::PvInverter(plant) => {
                let plant = LivePlant::new(PvInverter::new(plant.clone())?, clock.clone());
                let terminals = plant.terminals();
                (serve_inverter(settings, plant, clock.clone()), terminals)
            }
            TwinSettings::TapChanger(_) | TwinSettings::GridEmulator(_) => {
                return Err(OpenError::WrongPlant { driver: "mqtt", plant: twin.kind() });
            }
        };
        let told = format!("{address}, topics {}/{}/", wish.topic_prefix, wish.device_id);
        Ok(Served { address, told, server: Box::new((device, own)), terminals })
    }
}

/// The profile of existing equipment. There is none for what gridloop simulates, which speaks its own JSON.
fn read_profile(section: &Section<'_>, address: &str) -> Option<Profile> {
    let about =
        "What the topics of existing equipment mean; see configs/devices/. Default: gridloop's own JSON.";
    let path = section.file("profile", about).must_exist().optional()?;
    if address == "simulated" {
        let help = "gridloop simulates devices that speak its own JSON";
        section.error(Some("profile"), "the address of a broker beside it", Some(help.to_owned()));
        return None;
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
    let profile = text.and_then(|text| {
        Profile::parse(&path.display().to_string(), &text).map_err(|error| error.to_string())
    });
    profile.map_err(|error| section.error(Some("profile"), format!("a sound profile: {error}"), None)).ok()
}

/// Whether this can stand in a topic.
fn topic(text: &str, levels: bool) -> Result<(), String> {
    let empty = text.is_empty() || text.starts_with('/') || text.ends_with('/') || text.contains("//");
    if empty || text.starts_with('$') {
        return Err("neither empty levels nor a `$` in front".to_owned());
    }
    match text.chars().find(|c| matches!(c, '+' | '#') || c.is_control() || (!levels && *c == '/')) {
        Some(bad) => Err(format!("no {bad:?}, which a topic name cannot have here")),
        None => Ok(()),
    }
}

fn read_login(section: &Section<'_>) -> Option<Login> {
    let user = section.text("user", "The user name for the broker.").optional();
    let file = section.file("password_file", "A file whose first line is the password.").optional();
    let variable = section
        .text("password_env", "The environment variable that holds the password.")
        .matching(|name| match name.as_str() {
            "" => Err("a name".to_owned()),
            name if name.contains(['=', '\0']) => Err("a name without `=`".to_owned()),
            _ => Ok(()),
        })
        .optional();
    let password = match (file, variable) {
        (Some(_), Some(_)) => {
            section.error(Some("password_env"), "either `password_file` or `password_env`", None);
            return None;
        }
        (Some(file), None) => PasswordSource::File(file),
        (None, Some(name)) => PasswordSource::Environment(name),
        (None, None) => PasswordSource::Nowhere,
    };
    if user.is_none() && password != PasswordSource::Nowhere {
        let key = if matches!(password, PasswordSource::File(_)) { "password_file" } else { "password_env" };
        section.error(Some(key), "`user` beside it", None);
    }
    Some(Login { user: user?, password })
}

fn read_tls(section: &Section<'_>, encrypted: bool) -> TlsFiles {
    let file = |key: &str, about: &str| {
        let file = section.file(key, about).optional();
        if file.is_some() && !encrypted {
            let help = "without TLS the file is of no use, and nothing is encrypted";
            section.error(Some(key), "`address = \"mqtts://...\"` beside it", Some(help.to_owned()));
        }
        file
    };
    let ca_file = file("ca_file", "PEM: authorities that may have signed the broker's certificate.");
    let certificate = file("certificate_file", "PEM: our certificate, for a broker that asks for one.");
    let key = file("key_file", "PEM: the private key of certificate_file.");
    let missing = |key: &str, expected: &str| {
        section.error(Some(key), expected, None);
        None
    };
    let identity = match (certificate, key) {
        (Some(certificate_file), Some(key_file)) => Some(Identity { certificate_file, key_file }),
        (Some(_), None) => missing("certificate_file", "`key_file`, its private key, beside it"),
        (None, Some(_)) => missing("key_file", "`certificate_file`, the certificate of this key, beside it"),
        (None, None) => None,
    };
    TlsFiles { ca_file, identity }
}

#[derive(Debug)]
struct Settings {
    prefix: String,
    device_id: String,
    profile: Option<Profile>,
    login: Option<Login>,
    tls: TlsFiles,
}

#[async_trait]
impl Opener for Settings {
    fn plants(&self) -> &'static [&'static str] {
        &["battery", "pv-inverter"]
    }

    fn endpoint(&self, address: &str) -> String {
        let parsed = address.parse::<gridloop_mqtt::Address>();
        let address = parsed.map_or_else(|_| address.to_owned(), |address| address.to_string());
        format!("{address}/{}/{}", self.prefix, self.device_id)
    }

    async fn scan(
        &self,
        address: &str,
        wish: &ScanWish,
        _timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Scanned, ScanError> {
        let settings = ScanSettings { broker: self.broker(address)?, prefix: self.prefix.clone() };
        let report = scan(settings, clock.clone(), wish.listen).await?;
        let json = serde_json::to_value(&report).unwrap_or_default();
        let block = Some(report.config_block()).filter(|block| block.contains("[device."));
        Ok(Scanned { text: report.to_string(), json, config_block: block })
    }

    async fn open(
        &self,
        address: &Address,
        twin: Option<&TwinSettings>,
        request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let (broker, simulator, terminals) = match address {
            Address::At(text) => (self.broker(text)?, None, None),
            Address::Simulated => {
                let wish = ServeWish {
                    topic_prefix: self.prefix.clone(),
                    device_id: self.device_id.clone(),
                    interval: Some(TELEMETRY),
                    ..ServeWish::default()
                };
                let served = Mqtt.serve(&wish, twin.ok_or(OpenError::NoTwin)?, clock).await?;
                let broker = BrokerSettings::at(served.address.parse()?);
                (broker, Some(served.server), Some(served.terminals))
            }
        };
        let told = format!("{}/{}/{}", broker.address, self.prefix, self.device_id);
        let (prefix, device_id) = (self.prefix.clone(), self.device_id.clone());
        let (timeout, clock) = (request_timeout, clock.clone());
        let device: Box<dyn Device> = match self.profile.clone() {
            None => Box::new(MqttDevice::new(MqttSettings { broker, prefix, device_id, timeout }, clock)),
            Some(profile) => {
                let settings = MappedSettings { broker, prefix, device_id, timeout, profile };
                Box::new(MappedDevice::new(settings, clock))
            }
        };
        Ok(Opened { device, address: told, simulator, terminals })
    }
}

impl Settings {
    fn broker(&self, address: &str) -> Result<BrokerSettings, OpenError> {
        let address = address.parse()?;
        Ok(BrokerSettings { address, login: self.login.clone(), tls: self.tls.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_topic_can_have_is_refused() {
        for good in ["gridloop", "lab/hall 2", "n-1_x"] {
            assert_eq!(topic(good, true), Ok(()), "{good}");
        }
        for bad in ["", "/lab", "lab/", "a//b", "a/+", "#", "$SYS", "a\u{0}"] {
            assert!(topic(bad, true).is_err(), "{bad:?}");
        }
        assert!(topic("a/b", false).is_err());
    }
}
