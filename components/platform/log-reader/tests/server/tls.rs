//! Encryption, sound and otherwise.

use crate::client::{connect, talk};
use crate::rig::{Folder, RUN, Rig, small};
use gridloop_log_reader::{ServerError, TlsError, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::Write as _;
use std::sync::Arc;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(parameters, key), certificate }
    }

    /// Certificate and key for a host, valid between the years.
    fn issue(&self, host: &str, years: (i32, i32)) -> (String, String) {
        let mut parameters = CertificateParams::new(vec![host.into()]).unwrap();
        parameters.not_before = date_time_ymd(years.0, 1, 1);
        parameters.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        (parameters.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A client that trusts this authority only.
    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

fn files(folder: &std::path::Path) -> TlsFiles {
    TlsFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") }
}

fn write(files: &TlsFiles, (certificate, key): &(String, String)) {
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
}

/// The status, or why there was no TLS.
fn status(rig: &Rig, client: &Arc<ClientConfig>) -> Result<u16, String> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(client.clone(), name).unwrap();
    let mut socket = connect(rig.address);
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| error.to_string())?;
    }
    let mut stream = StreamOwned::new(connection, socket);
    Ok(talk(&mut stream, "GET", &format!("/simulations/{RUN}/messages"), &[]).status)
}

fn encrypted(pair: &(String, String)) -> Rig {
    let folder = Folder::new();
    folder.store(RUN, small());
    let files = files(folder.folder.path());
    write(&files, pair);
    let mut settings = folder.settings();
    settings.tls = Some(files);
    folder.serve(settings)
}

#[test]
fn a_client_that_trusts_the_authority_is_served_and_others_refuse() {
    let authority = Authority::new();
    let rig = encrypted(&authority.issue("localhost", (2020, 2999)));
    assert_eq!(status(&rig, &authority.client()), Ok(200));
    assert!(status(&rig, &Authority::new().client()).unwrap_err().contains("invalid peer certificate"));
    let rig = encrypted(&authority.issue("elsewhere", (2020, 2999)));
    assert!(status(&rig, &authority.client()).unwrap_err().contains("not valid for name"));
    let rig = encrypted(&authority.issue("localhost", (2990, 2999)));
    assert!(status(&rig, &authority.client()).unwrap_err().contains("not valid yet"));
}

#[test]
fn plain_text_is_not_answered() {
    let authority = Authority::new();
    let rig = encrypted(&authority.issue("localhost", (2020, 2999)));
    let mut plain = connect(rig.address);
    plain.write_all(b"GET /simulations HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // It ends with an alert or with a reset.
    let _ = std::io::Read::read_to_end(&mut plain, &mut answer);
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(status(&rig, &authority.client()), Ok(200));
}

#[test]
fn a_new_certificate_is_taken_while_the_server_runs_and_a_broken_one_is_not() {
    let (old, new) = (Authority::new(), Authority::new());
    let rig = encrypted(&old.issue("localhost", (2020, 2999)));
    let files = files(rig.folder.path());
    assert_eq!(status(&rig, &old.client()), Ok(200));
    std::fs::write(&files.certificate, "no certificate").unwrap();
    for _ in 0..3 {
        assert_eq!(status(&rig, &old.client()), Ok(200));
        std::thread::park_timeout(std::time::Duration::from_millis(500));
    }
    write(&files, &new.issue("localhost", (2020, 2999)));
    let taken = (0..100).any(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(100));
        status(&rig, &new.client()) == Ok(200)
    });
    assert!(taken, "the new certificate is not taken");
    assert!(status(&rig, &old.client()).is_err());
}

#[test]
fn files_that_cannot_serve_are_refused_with_their_names() {
    let authority = Authority::new();
    let folder = Folder::new();
    let files = files(folder.folder.path());
    let sound = authority.issue("localhost", (2020, 2999));
    let refused = |pair: &(String, String)| {
        write(&files, pair);
        let mut settings = folder.settings();
        settings.tls = Some(files.clone());
        match folder.refused(settings) {
            ServerError::Tls(error) => error,
            other => panic!("{other}"),
        }
    };
    let expired = refused(&authority.issue("localhost", (2020, 2021)));
    assert!(
        matches!(&expired, TlsError::Expired { at, .. } if at.to_string() == "2021-01-01T00:00:00.000Z"),
        "{expired}"
    );
    let strangers = refused(&(sound.0.clone(), authority.issue("localhost", (2020, 2999)).1));
    assert!(matches!(strangers, TlsError::Pair { .. }), "{strangers}");
    for pair in [
        (String::new(), sound.1.clone()),
        (sound.0.clone(), "no key".into()),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into(), sound.1.clone()),
    ] {
        let error = refused(&pair);
        assert!(matches!(error, TlsError::File { .. }), "{error}");
        assert!(error.to_string().contains(".pem"), "{error}");
    }
}
