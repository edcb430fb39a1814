//! TLS to a broker: rustls with ring, host names always verified, and words for everything that can be wrong.
//!
//! The files are read for every connection. Time comes from the session's clock, so that tests decide what is expired.

use crate::connect::{Identity, Tls};
use crate::{AmqpUrl, BusError};
use gridloop_clock::{Clock, SharedClock};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
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

/// An encrypted connection.
pub(super) type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// A broker's certificate that expires within this time is warned of.
const EXPIRY_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);

/// Makes an encrypted connection of a plain one; also whether the broker asked for a certificate of ours. `warns`: of
/// a certificate that will soon expire.
pub(super) async fn wrap(
    stream: TcpStream,
    url: &AmqpUrl,
    files: &Tls,
    warns: bool,
    clock: &SharedClock,
) -> Result<(TlsStream, bool), BusError> {
    let (made_for, address, for_clock) = (files.clone(), url.address(), Arc::clone(clock));
    let asked = Arc::new(AtomicBool::new(false));
    let noting = Arc::clone(&asked);
    let making = move || configuration(&made_for, address, warns, noting, for_clock);
    let configuration = tokio::task::spawn_blocking(making).await.map_err(|_| BusError::Closed)??;
    let refused = |why: String| BusError::Tls { address: url.address(), why };
    let host = ServerName::try_from(url.host.clone())
        .map_err(|_| refused(format!("`{}` is neither a host name nor an address", url.host)))?;
    let connecting = TlsConnector::from(Arc::new(configuration)).connect(host, stream);
    let stream = connecting.await.map_err(|error| {
        let asked = asked.load(Ordering::Relaxed);
        let why = explain_after_handshake(&error, asked, &url.host, files, &**clock);
        refused(why.unwrap_or_else(|| {
            format!(
                "the connection ended during the handshake ({error}): does the broker speak TLS on this port?"
            )
        }))
    })?;
    Ok((stream, asked.load(Ordering::Relaxed)))
}

/// What a failure has to do with TLS; `None` when nothing is known. A broker that does not want our certificate may
/// say so after the handshake, and may hang up faster than its words arrive: then it helps to know that it `asked`.
pub(super) fn explain_after_handshake(
    error: &io::Error,
    asked: bool,
    host: &str,
    files: &Tls,
    clock: &dyn Clock,
) -> Option<String> {
    match error.get_ref().and_then(|source| source.downcast_ref::<Error>()) {
        Some(tls) => Some(explain(tls, host, files, clock)),
        None if asked => Some(unwelcome(files, &error.to_string())),
        None => None,
    }
}

fn configuration(
    files: &Tls,
    address: String,
    warns: bool,
    asked: Arc<AtomicBool>,
    clock: SharedClock,
) -> Result<ClientConfig, BusError> {
    let provider = Arc::new(ring::default_provider());
    let unusable =
        |error: &dyn std::fmt::Display| BusError::Tls { address: address.clone(), why: error.to_string() };
    let roots = Arc::new(roots(files.ca_file.as_deref()).map_err(|error| error.at(&address))?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| unusable(&error))?;
    let verifier = Arc::new(Verifier { verifier, warns, address: address.clone() });
    let own = files.identity.as_ref().map(|identity| read_identity(identity, &provider)).transpose()?;
    let own = Arc::new(Own { certificate: own.map(Arc::new), asked });
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Now(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_client_cert_resolver(own))
}

/// Why there are no certificate authorities.
enum NoRoots {
    File(BusError),
    System(String),
}

impl NoRoots {
    fn at(self, address: &str) -> BusError {
        match self {
            Self::File(error) => error,
            Self::System(why) => BusError::Tls { address: address.to_owned(), why },
        }
    }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, NoRoots> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = "this system has no certificate authorities; install the package ca-certificates or set ca_file";
            return Err(NoRoots::System(why.to_owned()));
        }
        return Ok(roots);
    };
    for certificate in read_certificates(path).map_err(NoRoots::File)? {
        let unusable =
            |error| NoRoots::File(BusError::file(path, format!("no certificate authority: {error}")));
        roots.add(certificate).map_err(unusable)?;
    }
    Ok(roots)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BusError> {
    let text = crate::connect::read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => {
            Err(BusError::file(path, "it holds no certificate; expected PEM: -----BEGIN CERTIFICATE-----"))
        }
        Err(error) => Err(BusError::file(path, format!("it is no sound PEM: {error}"))),
    }
}

fn read_identity(identity: &Identity, provider: &CryptoProvider) -> Result<CertifiedKey, BusError> {
    let chain = read_certificates(&identity.certificate_file)?;
    let text = crate::connect::read(&identity.key_file)?;
    let unusable = |why: String| BusError::file(&identity.key_file, why);
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
        unusable(match error {
            PemError::NoItemsFound if text.contains("ENCRYPTED") => {
                "the key is encrypted; decrypt it and protect the file by its permissions instead".to_owned()
            }
            PemError::NoItemsFound => {
                "it holds no private key; expected PEM: -----BEGIN PRIVATE KEY-----".to_owned()
            }
            error => format!("it is no sound PEM: {error}"),
        })
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        unusable(match error {
            Error::InconsistentKeys(_) => {
                "it is not the key of the certificate in certificate_file".to_owned()
            }
            other => format!("the key cannot be used: {other}"),
        })
    })
}

/// Whether the files can be used, without a broker. For checks of a configuration.
pub(crate) fn check(files: &Tls) -> Vec<BusError> {
    let authorities = files.ca_file.as_deref().and_then(|path| match roots(Some(path)) {
        Err(NoRoots::File(error)) => Some(error),
        _ => None,
    });
    let provider = ring::default_provider();
    let own = files.identity.as_ref().and_then(|identity| read_identity(identity, &provider).err());
    authorities.into_iter().chain(own).collect()
}

/// Our certificate, if we have one, and whether the broker asked for it.
#[derive(Debug)]
struct Own {
    certificate: Option<Arc<CertifiedKey>>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        self.certificate.is_some()
    }
}

/// The session's clock, as TLS wants it.
struct Now(SharedClock);

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
    warns: bool,
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
        if !self.warns {
            return Ok(verified);
        }
        let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + EXPIRY_WARNING);
        let then = self.verifier.verify_server_cert(end_entity, intermediates, name, ocsp, later);
        if let Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) = then {
            let days = not_after.as_secs().saturating_sub(now.as_secs()) / (24 * 3600);
            warn!(broker = %self.address, expires = %date(not_after), days, "the broker's certificate expires soon; renew it");
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

/// What is wrong, and what to do.
fn explain(error: &Error, host: &str, files: &Tls, clock: &dyn Clock) -> String {
    match error {
        Error::InvalidCertificate(flaw) => explain_certificate(flaw, host, files, clock),
        Error::AlertReceived(alert) => explain_alert(*alert, files),
        Error::InvalidMessage(_) => {
            "what answers there does not speak TLS; is the port right (5671 by custom), or is amqp:// meant?"
                .to_owned()
        }
        Error::PeerIncompatible(_) => {
            format!("the broker's TLS is too old or too odd ({error}); gridloop speaks 1.2 and 1.3")
        }
        other => other.to_string(),
    }
}

fn explain_certificate(flaw: &CertificateError, host: &str, files: &Tls, clock: &dyn Clock) -> String {
    let now = date(unix(clock));
    match flaw {
        CertificateError::Expired => {
            format!("the broker's certificate has expired; renew it (it is {now} here)")
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the broker's certificate expired on {}; renew it (it is {now} here)", date(*not_after))
        }
        CertificateError::NotValidYet => {
            format!("the broker's certificate is not valid yet; is the clock right? (it is {now} here)")
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let from = date(*not_before);
            format!(
                "the broker's certificate is not valid before {from}; is the clock right? (it is {now} here)"
            )
        }
        CertificateError::NotValidForName => {
            format!(
                "the broker's certificate is not for `{host}`; use a name that it is for, or have it renewed"
            )
        }
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "the broker's certificate is for {}, not for `{host}`; use one of these names, or have it renewed with this one",
            names(presented)
        ),
        CertificateError::UnknownIssuer => match &files.ca_file {
            Some(path) => format!(
                "the broker's certificate is not signed by an authority in {}; ca_file must hold the certificate of the one that signed it",
                path.display()
            ),
            None => "the broker's certificate is not signed by an authority that this system trusts; \
                     set ca_file to the certificate of the one that signed it"
                .to_owned(),
        },
        other => format!("the broker's certificate cannot be trusted: {other:?}"),
    }
}

/// The names of a certificate, which the library writes as `DnsName("broker.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let names: Vec<String> = presented.iter().map(bare).collect();
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

fn explain_alert(alert: AlertDescription, files: &Tls) -> String {
    match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::HandshakeFailure
        | AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => unwelcome(files, &format!("{alert:?}")),
        AlertDescription::ProtocolVersion => {
            "the broker's TLS is too old; gridloop speaks 1.2 and 1.3".to_owned()
        }
        _ => format!("the broker ended the handshake ({alert:?}); its log says more"),
    }
}

/// The broker does not like what we showed it, or that we showed nothing.
fn unwelcome(files: &Tls, said: &str) -> String {
    match &files.identity {
        None => {
            format!("the broker asks for a client certificate ({said}); set certificate_file and key_file")
        }
        Some(identity) => format!(
            "the broker does not accept our certificate {} ({said}); has it expired, or is its authority missing among the broker's cacertfile?",
            identity.certificate_file.display()
        ),
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match chrono::DateTime::from_timestamp(seconds, 0) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        None => "a day too far away".to_owned(),
    }
}
