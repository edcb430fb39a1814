//! F26 over MQTT: TLS with client certificates, users and passwords, and everything that may be wrong with them.

use crate::run;
use anyhow::{Context, ensure};
use gridloop_clock::{SharedClock, WallClock};
use gridloop_device::Device;
use gridloop_hil_tests::certificates::{Authority, Issued, Request};
use gridloop_hil_tests::mosquitto::{Mosquitto, Options};
use gridloop_mqtt::simulated::{SimulatedDevice, SimulatedSettings, serve_battery};
use gridloop_mqtt::{
    Address, BrokerSettings, Identity, Login, MqttDevice, MqttSettings, PasswordSource, TlsFiles,
};
use gridloop_plant::{Battery, BatterySettings, LivePlant};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Rig {
    clock: SharedClock,
    broker: Mosquitto,
    authority: Authority,
    folder: TempDir,
}

impl Rig {
    fn start(own: Request<'_>) -> anyhow::Result<Self> {
        let authority = Authority::new("laboratory")?;
        let own = authority.issue(own)?;
        let tls = Some((authority.certificate(), &own));
        let broker = Mosquitto::start(Options { tls, ..Options::default() })?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), authority.certificate())?;
        Ok(Self { clock: Arc::new(WallClock::start()?), broker, authority, folder })
    }

    fn client(&self) -> anyhow::Result<Issued> {
        self.authority.issue(Request { common_name: "gridloop", hosts: &[], days: (-1, 365) })
    }

    fn broker(&self, client: Option<&Issued>) -> anyhow::Result<BrokerSettings> {
        let identity = client.map(|issued| issued.write(self.folder.path(), "client")).transpose()?;
        let identity = identity.map(|(certificate_file, key_file)| Identity { certificate_file, key_file });
        Ok(BrokerSettings {
            address: Address { secure: true, host: "localhost".into(), port: self.broker.port() },
            login: None,
            tls: TlsFiles { ca_file: Some(self.file("ca.pem")), identity },
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn refusal(&self, broker: BrokerSettings) -> anyhow::Result<String> {
        let error = driver(broker, &self.clock).connect().await.err().context("it was let in")?;
        Ok(error.to_string())
    }
}

fn driver(broker: BrokerSettings, clock: &SharedClock) -> MqttDevice {
    let (prefix, device_id) = ("lab".to_owned(), "bat1".to_owned());
    let timeout = Duration::from_secs(5);
    MqttDevice::new(MqttSettings { broker, prefix, device_id, timeout }, Arc::clone(clock))
}

fn serve(broker: BrokerSettings, clock: &SharedClock) -> anyhow::Result<SimulatedDevice> {
    let battery = Battery::new(BatterySettings::typical(5000.0, 10_000.0))?;
    let plant = LivePlant::new(battery, Arc::clone(clock));
    Ok(serve_battery(SimulatedSettings::new(broker, "lab", "bat1"), plant, Arc::clone(clock)))
}

#[test]
fn a_device_is_driven_over_tls_with_certificates_on_both_sides() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(Request::BROKER)?;
        let broker = rig.broker(Some(&rig.client()?))?;
        let _simulated = serve(broker.clone(), &rig.clock)?;
        let mut driver = driver(broker, &rig.clock);
        driver.connect().await?;
        ensure!(!driver.read().await?.points.is_empty());
        Ok(())
    })
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_in_words() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(Request::BROKER)?;
        let told = rig.refusal(rig.broker(None)?).await?;
        ensure!(told.contains("client certificate") || told.contains("closed the connection"), "{told}");

        let client = rig.client()?;
        let mut stranger = rig.broker(Some(&client))?;
        std::fs::write(rig.file("other.pem"), Authority::new("elsewhere")?.certificate())?;
        stranger.tls.ca_file = Some(rig.file("other.pem"));
        let told = rig.refusal(stranger).await?;
        ensure!(told.contains("not signed by an authority in"), "{told}");

        let mut plain = rig.broker(Some(&client))?;
        plain.tls.ca_file = Some(rig.file("nowhere.pem"));
        let told = rig.refusal(plain).await?;
        ensure!(told.contains("nowhere.pem"), "{told}");
        Ok(())
    })
}

#[test]
fn a_broker_of_another_name_or_with_an_expired_certificate_is_not_trusted() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(Request { hosts: &["broker.example"], ..Request::BROKER })?;
        let told = rig.refusal(rig.broker(Some(&rig.client()?))?).await?;
        ensure!(told.contains("not for `localhost`"), "{told}");
        let rig = Rig::start(Request { days: (-30, -1), ..Request::BROKER })?;
        let told = rig.refusal(rig.broker(Some(&rig.client()?))?).await?;
        ensure!(told.contains("expired"), "{told}");
        Ok(())
    })
}

#[test]
fn a_broker_without_tls_is_told_from_one_with_it() -> anyhow::Result<()> {
    run(async {
        let rig = Rig::start(Request::BROKER)?;
        let plain = Mosquitto::start(Options::default())?;
        let mut broker = rig.broker(None)?;
        broker.address.port = plain.port();
        let told = rig.refusal(broker).await?;
        ensure!(told.contains("TLS"), "{told}");
        Ok(())
    })
}

#[test]
fn only_the_right_user_with_the_right_password_is_let_in() -> anyhow::Result<()> {
    run(async {
        let clock: SharedClock = Arc::new(WallClock::start()?);
        let server =
            Mosquitto::start(Options { user: Some(("gridloop", "open sesame")), ..Options::default() })?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("password");
        let login = |password| Some(Login { user: "gridloop".into(), password });
        let broker = |login| BrokerSettings { login, ..BrokerSettings::at(server.address().into()) };

        std::fs::write(&path, "open sesame\n")?;
        let right = broker(login(PasswordSource::File(path.clone())));
        let _simulated = serve(right.clone(), &clock)?;
        driver(right.clone(), &clock).connect().await?;

        std::fs::write(&path, "open barley\n")?;
        for wrong in [right, broker(None), broker(login(PasswordSource::Nowhere))] {
            let told = driver(wrong, &clock).connect().await.err().context("it was let in")?.to_string();
            ensure!(told.contains("password") && !told.contains("barley"), "{told}");
        }
        Ok(())
    })
}
