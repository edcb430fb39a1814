//! Modbus/TCP Security: gridloop's driver at pymodbus, pymodbus at the simulated device, and every certificate that is
//! no good.

use crate::rig::{FREE_PORT, clock, tap_changer_at};
use gridloop_clock::SharedClock;
use gridloop_device::DeviceError;
use gridloop_hil_tests::certificates::{Authority, Request};
use gridloop_hil_tests::peers::Peer;
use gridloop_modbus::simulated::{Bind, Security, SimulatedServer};
use gridloop_modbus::{
    Address, Host, LinkSettings, Table, TlsFiles, read_registers, write_register, write_registers,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const SOUND: Request<'static> = Request::BROKER;

/// A folder with certificates.
struct Files {
    folder: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> anyhow::Result<Self> {
        let files = Self { folder: TempDir::new()?, authority: Authority::new("Lab")? };
        std::fs::write(files.ca_file(), files.authority.certificate())?;
        Ok(files)
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Writes a certificate under a name, over what is there.
    fn issue(&self, name: &str, request: Request<'_>, role: Option<&str>) -> anyhow::Result<TlsFiles> {
        let issued = match role {
            Some(role) => self.authority.issue_for_role(request, role)?,
            None => self.authority.issue(request)?,
        };
        let (certificate_file, key_file) = issued.write(self.folder.path(), name)?;
        Ok(TlsFiles { ca_file: self.ca_file(), certificate_file, key_file })
    }

    /// The same, signed by somebody else.
    fn issue_elsewhere(&self, name: &str) -> anyhow::Result<TlsFiles> {
        let issued = Authority::new("Elsewhere")?.issue_for_role(SOUND, "operator")?;
        let (certificate_file, key_file) = issued.write(self.folder.path(), name)?;
        Ok(TlsFiles { ca_file: self.ca_file(), certificate_file, key_file })
    }
}

fn to(server: SocketAddr, files: &TlsFiles) -> LinkSettings {
    let address = Address::Tls(Host::from(server));
    let timeout = Duration::from_secs(10);
    LinkSettings { tls: Some(files.clone()), ..LinkSettings::new(address, 1, timeout) }
}

fn with_files(mut settings: Value, files: &TlsFiles) -> String {
    settings["ca_file"] = json!(files.ca_file);
    settings["certificate_file"] = json!(files.certificate_file);
    settings["key_file"] = json!(files.key_file);
    settings.to_string()
}

async fn serve(files: &TlsFiles, clock: &SharedClock) -> anyhow::Result<SimulatedServer> {
    let bind = Bind::Tls { address: FREE_PORT, security: Security::new(files.clone()) };
    Ok(tap_changer_at(bind, clock).await?.0)
}

async fn read(server: SocketAddr, files: &TlsFiles, clock: &SharedClock) -> Result<Vec<u16>, DeviceError> {
    read_registers(to(server, files), SharedClock::clone(clock), Table::Holding, 1, 1).await
}

#[tokio::test]
async fn a_foreign_server_with_tls_is_read_and_written() -> anyhow::Result<()> {
    let (files, clock) = (Files::new()?, clock()?);
    let theirs = files.issue("server", SOUND, None)?;
    let settings = with_files(json!({ "kind": "tls", "units": [1] }), &theirs);
    let (mut pymodbus, server) = Peer::serve("modbus_server.py", &[&settings]).await?;
    let ours = files.issue("gridloop", SOUND, Some("operator"))?;
    assert_eq!(read(server, &ours, &clock).await?, [101]);
    let at = || SharedClock::clone(&clock);
    assert_eq!(write_registers(to(server, &ours), at(), 7, &[1, 2]).await?, [1, 2]);
    assert_eq!(write_register(to(server, &ours), at(), 9, 3).await?, [3]);
    let held = pymodbus.ask("held", json!({ "unit": 1, "address": 7, "count": 3 })).await?;
    assert_eq!(held["values"], json!([1, 2, 3]));
    Ok(())
}

#[tokio::test]
async fn a_foreign_client_may_do_what_its_role_allows() -> anyhow::Result<()> {
    let (files, clock) = (Files::new()?, clock()?);
    let server = serve(&files.issue("server", SOUND, None)?, &clock).await?;
    let set_point = json!({ "table": "holding", "address": 6, "count": 1 });
    let write = json!({ "address": 6, "values": [231] });
    let illegal_function = json!({ "exception": 1 });
    let cases = [
        (Some("operator"), json!({ "values": [230] }), json!({}), 0),
        (Some("read-only"), json!({ "values": [231] }), illegal_function.clone(), 1),
        (Some("gardener"), illegal_function.clone(), illegal_function.clone(), 3),
        (None, illegal_function.clone(), illegal_function, 5),
    ];
    for (role, read, written, refused) in cases {
        let theirs = files.issue("client", SOUND, role)?;
        let settings = json!({ "kind": "tls", "port": server.local_addr().port() });
        let (mut pymodbus, _) = Peer::start("modbus_client.py", &[&with_files(settings, &theirs)]).await?;
        assert_eq!(pymodbus.ask("read", set_point.clone()).await?, read, "{role:?}");
        assert_eq!(pymodbus.ask("write", write.clone()).await?, written, "{role:?}");
        assert_eq!(server.not_authorised(), refused, "{role:?}");
    }
    Ok(())
}

#[tokio::test]
async fn our_own_role_is_told_when_it_does_not_suffice() -> anyhow::Result<()> {
    let (files, clock) = (Files::new()?, clock()?);
    let server = serve(&files.issue("server", SOUND, None)?, &clock).await?;
    let ours = files.issue("gridloop", SOUND, Some("read-only"))?;
    assert_eq!(read(server.local_addr(), &ours, &clock).await?, [5]);
    let settings = to(server.local_addr(), &ours);
    let refused = write_register(settings, SharedClock::clone(&clock), 6, 231).await.unwrap_err();
    assert!(matches!(refused, DeviceError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("exception 01"), "{refused}");
    assert_eq!(server.not_authorised(), 1);
    Ok(())
}

/// What the driver says of a device that shows such a certificate.
async fn said_of(theirs: &TlsFiles, ours: &TlsFiles) -> anyhow::Result<String> {
    let clock = clock()?;
    let server = serve(theirs, &clock).await?;
    match read(server.local_addr(), ours, &clock).await {
        Err(error @ DeviceError::Disconnected { .. }) => Ok(error.to_string()),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test]
async fn a_device_with_a_certificate_that_is_no_good_is_refused_in_clear_words() -> anyhow::Result<()> {
    let files = Files::new()?;
    let ours = files.issue("gridloop", SOUND, Some("operator"))?;
    let expired = files.issue("expired", Request { days: (-30, -1), ..SOUND }, None)?;
    let early = files.issue("early", Request { days: (1, 30), ..SOUND }, None)?;
    let stranger = files.issue("stranger", Request { hosts: &["pv.example"], ..SOUND }, None)?;
    let elsewhere = files.issue_elsewhere("elsewhere")?;
    for (theirs, words) in [
        (expired, vec!["the device's certificate expired on", "renew it"]),
        (early, vec!["the device's certificate is not valid before", "is the clock right?"]),
        (stranger, vec!["is for pv.example, not for `127.0.0.1`"]),
        (elsewhere, vec!["not signed by an authority in", "ca.pem"]),
    ] {
        let said = said_of(&theirs, &ours).await?;
        assert!(words.iter().all(|words| said.contains(words)), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_ours_that_is_no_good_is_refused_in_clear_words() -> anyhow::Result<()> {
    let files = Files::new()?;
    let theirs = files.issue("server", SOUND, None)?;
    let expired = files.issue("expired", Request { days: (-30, -1), ..SOUND }, Some("operator"))?;
    let early = files.issue("early", Request { days: (1, 30), ..SOUND }, Some("operator"))?;
    let elsewhere = files.issue_elsewhere("elsewhere")?;
    for ours in [expired, early, elsewhere] {
        let said = said_of(&theirs, &ours).await?;
        assert!(said.contains("our certificate"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() -> anyhow::Result<()> {
    let files = Files::new()?;
    let (sound, other) = (files.issue("one", SOUND, None)?, files.issue("other", SOUND, None)?);
    assert_eq!(sound.check(), Ok(()));
    let no_pem = files.folder.path().join("nonsense.pem");
    std::fs::write(&no_pem, "nonsense")?;
    let missing = Path::new("/nowhere/ca.pem").to_owned();
    for (bent, key, words) in [
        (TlsFiles { ca_file: missing, ..sound.clone() }, "ca_file", "No such file"),
        (
            TlsFiles { certificate_file: no_pem.clone(), ..sound.clone() },
            "certificate_file",
            "no certificate",
        ),
        (TlsFiles { key_file: no_pem, ..sound.clone() }, "key_file", "no private key"),
        (TlsFiles { key_file: other.key_file, ..sound }, "key_file", "not the key of the certificate"),
    ] {
        let error = bent.check().unwrap_err();
        assert!(error.key == key && error.to_string().contains(words), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn renewed_certificates_count_from_the_next_connection_on() -> anyhow::Result<()> {
    let (files, clock) = (Files::new()?, clock()?);
    let expired = Request { days: (-30, -1), ..SOUND };
    let theirs = files.issue("server", expired, None)?;
    let ours = files.issue("gridloop", expired, Some("operator"))?;
    let server = serve(&theirs, &clock).await?;
    read(server.local_addr(), &ours, &clock).await.unwrap_err();
    files.issue("server", SOUND, None)?;
    read(server.local_addr(), &ours, &clock).await.unwrap_err();
    files.issue("gridloop", SOUND, Some("operator"))?;
    assert_eq!(read(server.local_addr(), &ours, &clock).await?, [5]);
    Ok(())
}

#[tokio::test]
async fn a_port_without_tls_is_told_from_one_with_a_bad_certificate() -> anyhow::Result<()> {
    let (files, clock) = (Files::new()?, clock()?);
    let ours = files.issue("gridloop", SOUND, Some("operator"))?;
    let (plain, _plant) = tap_changer_at(FREE_PORT, &clock).await?;
    let error = read(plain.local_addr(), &ours, &clock).await.unwrap_err();
    assert!(matches!(error, DeviceError::Disconnected { .. }), "{error}");
    assert!(error.to_string().contains("speak TLS"), "{error}");
    Ok(())
}
