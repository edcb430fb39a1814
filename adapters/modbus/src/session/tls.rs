//! TLS to a device: rustls with ring, both sides with certificates, host names always verified, and words for
//! everything that can be wrong.
//!
//! The files are read for every connection, so that certificates may be renewed under a running gateway. Time comes
//! from the session's clock, so that tests decide what is expired.

use crate::address::Host;
use gridloop_clock::{Clock, SharedClock, Utc};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use tracing::warn;

/// A device's certificate that expires within this time is warned of.
const EXPIRY_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);

/// The certificates of one side of Modbus/TCP Security, in which either side shows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the authorities that may have signed the other side's certificate.
    pub ca_file: PathBuf,
    /// PEM: our certificate, with those that lead to its authority.
    pub certificate_file: PathBuf,
    /// PEM: its private key.
    pub key_file: PathBuf,
}

/// What the files hold.
pub(crate) struct Loaded {
    pub(crate) roots: RootCertStore,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TlsFileError {
    /// Which of the [`TlsFiles`] it is: `ca_file`, `certificate_file` or `key_file`.
    pub key: &'static str,
    /// Its name.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl TlsFiles {
    /// Whether the files can be used, without a device. For checks of a configuration.
    ///
    /// # Errors
    /// When one is missing or unreadable, no PEM, or the key of another certificate.
    pub fn check(&self) -> Result<(), TlsFileError> {
        self.load(&ring::default_provider()).map(drop)
    }

    pub(crate) fn load(&self, provider: &CryptoProvider) -> Result<Loaded, TlsFileError> {
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates("ca_file", &self.ca_file)? {
            let unusable =
                |error| flaw("ca_file", &self.ca_file, format!("no certificate authority: {error}"));
            roots.add(certificate).map_err(unusable)?;
        }
        let chain = read_certificates("certificate_file", &self.certificate_file)?;
        let key = read_key("key_file", &self.key_file)?;
        // That they belong together is better said here than by a failing handshake.
        CertifiedKey::from_der(chain.clone(), key.clone_key(), provider).map_err(|error| {
            let reason = match error {
                Error::InconsistentKeys(_) => {
                    "it is not the key of the certificate in certificate_file".to_owned()
                }
                other => format!("the key cannot be used: {other}"),
            };
            flaw("key_file", &self.key_file, reason)
        })?;
        Ok(Loaded { roots, chain, key })
    }
}

fn flaw(key: &'static str, path: &Path, reason: String) -> TlsFileError {
    TlsFileError { key, path: path.display().to_string(), reason }
}

fn read_certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let wrong = |reason: String| flaw(key, path, reason);
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(wrong("it holds no certificate; expected PEM: -----BEGIN CERTIFICATE-----".to_owned())),
        Err(error) => Err(wrong(format!("it is no sound PEM: {error}"))),
    }
}

fn read_key(key: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let wrong = |reason: String| flaw(key, path, reason);
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        wrong(match error {
            PemError::NoItemsFound if text.windows(9).any(|part| part == b"ENCRYPTED") => {
                "the key is encrypted; decrypt it and protect the file by its permissions instead".to_owned()
            }
            PemError::NoItemsFound => {
                "it holds no private key; expected PEM: -----BEGIN PRIVATE KEY-----".to_owned()
            }
            error => format!("it is no sound PEM: {error}"),
        })
    })
}

/// Makes an encrypted connection of a plain one, or says what is wrong.
pub(super) async fn wrap(
    stream: TcpStream,
    host: &Host,
    files: &TlsFiles,
    clock: &SharedClock,
) -> Result<TlsStream<TcpStream>, String> {
    let (made_for, address, for_clock) = (files.clone(), host.to_string(), SharedClock::clone(clock));
    let making = move || configuration(&made_for, address, for_clock);
    let configuration =
        tokio::task::spawn_blocking(making).await.map_err(|_| "gridloop is ending".to_owned())??;
    let name = ServerName::try_from(host.host.clone())
        .map_err(|_| format!("`{}` is neither a host name nor an address", host.host))?;
    let connecting = TlsConnector::from(Arc::new(configuration)).connect(name, stream);
    connecting.await.map_err(|error| {
        match error.get_ref().and_then(|source| source.downcast_ref::<Error>()) {
            Some(tls) => explain(tls, &host.host, files, &**clock),
            None => format!(
                "the connection ended during the handshake ({error}): does the device speak TLS here?"
            ),
        }
    })
}

fn configuration(files: &TlsFiles, address: String, clock: SharedClock) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let Loaded { roots, chain, key } = files.load(&provider).map_err(|error| error.to_string())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| format!("{}: {error}", files.ca_file.display()))?;
    ClientConfig::builder_with_details(provider, Arc::new(Now(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { verifier, address }))
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("{}: {error}", files.certificate_file.display()))
}

/// The session's clock, as TLS wants it.
pub(crate) struct Now(pub(crate) SharedClock);

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Now")
    }
}

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix(&*self.0))
    }
}

fn unix(clock: &dyn Clock) -> UnixTime {
    let seconds = u64::try_from(clock.utc().timestamp()).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// The usual verification, with a warning ahead of the day on which it will begin to fail.
#[derive(Debug)]
struct Verifier {
    verifier: Arc<WebPkiServerVerifier>,
    address: String,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now)?;
        let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + EXPIRY_WARNING);
        let then = self.verifier.verify_server_cert(end_entity, intermediates, name, ocsp, later);
        if let Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) = then {
            let days = not_after.as_secs().saturating_sub(now.as_secs()) / (24 * 3600);
            let (device, expires) = (&self.address, date(not_after));
            warn!(%device, %expires, days, "the device's certificate expires soon; renew it");
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// What a broken connection has to do with TLS, if anything: a device that does not want our certificate may say so
/// after the handshake.
pub(super) fn explain_broken(error: &std::io::Error) -> Option<String> {
    match error.get_ref().and_then(|source| source.downcast_ref::<Error>())? {
        Error::AlertReceived(alert) => Some(explain_alert(*alert)),
        other => Some(other.to_string()),
    }
}

/// What is wrong, and what to do.
fn explain(error: &Error, host: &str, files: &TlsFiles, clock: &dyn Clock) -> String {
    match error {
        Error::InvalidCertificate(flaw) => explain_certificate(flaw, host, files, clock),
        Error::AlertReceived(alert) => explain_alert(*alert),
        Error::InvalidMessage(_) => {
            "what answers there does not speak TLS; is the port right (802 by custom), or is tcp:// meant?"
                .to_owned()
        }
        Error::PeerIncompatible(_) => {
            format!("the device's TLS is too old or too odd ({error}); gridloop speaks 1.2 and 1.3")
        }
        other => other.to_string(),
    }
}

fn explain_certificate(flaw: &CertificateError, host: &str, files: &TlsFiles, clock: &dyn Clock) -> String {
    let now = date(unix(clock));
    match flaw {
        CertificateError::Expired => {
            format!("the device's certificate has expired; renew it (it is {now} here)")
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the device's certificate expired on {}; renew it (it is {now} here)", date(*not_after))
        }
        CertificateError::NotValidYet => {
            format!("the device's certificate is not valid yet; is the clock right? (it is {now} here)")
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let from = date(*not_before);
            format!(
                "the device's certificate is not valid before {from}; is the clock right? (it is {now} here)"
            )
        }
        CertificateError::NotValidForName => {
            format!(
                "the device's certificate is not for `{host}`; use a name that it is for, or have it renewed"
            )
        }
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "the device's certificate is for {}, not for `{host}`; use one of these names, or have it renewed",
            names(presented)
        ),
        CertificateError::UnknownIssuer => format!(
            "the device's certificate is not signed by an authority in {}; ca_file must hold the certificate of the \
             one that signed it",
            files.ca_file.display()
        ),
        other => format!("the device's certificate cannot be trusted: {other:?}"),
    }
}

/// The names of a certificate, which the library writes as `DnsName("inverter.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let names: Vec<String> = presented.iter().map(bare).collect();
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

fn explain_alert(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateExpired => {
            "the device says that our certificate has expired or is not valid yet; renew the one in certificate_file"
                .to_owned()
        }
        Alert::UnknownCA
        | Alert::CertificateRequired
        | Alert::HandshakeFailure
        | Alert::BadCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateRevoked
        | Alert::UnsupportedCertificate
        | Alert::DecryptError
        | Alert::AccessDenied => format!(
            "the device does not accept our certificate ({alert:?}); is the authority that signed the one in \
             certificate_file among those that the device trusts?"
        ),
        Alert::ProtocolVersion => "the device's TLS is too old; gridloop speaks 1.2 and 1.3".to_owned(),
        _ => format!("the device ended the TLS session ({alert:?})"),
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match Utc::from_timestamp(seconds, 0) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        None => "a day too far away".to_owned(),
    }
}
