//! TLS to a broker: rustls with ring, host names always verified, and words for what is commonly wrong.

use crate::broker::{BrokerSettings, Identity, TlsFiles, read_text};
use gridloop_clock::SharedClock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};

/// Makes an encrypted connection of a plain one.
///
/// # Errors
/// What is wrong, and what to do about it.
pub(crate) async fn wrap(
    stream: TcpStream,
    broker: &BrokerSettings,
    clock: &SharedClock,
) -> Result<TlsStream<TcpStream>, String> {
    let host = broker.address.host.as_str();
    let configuration = configuration(&broker.tls, clock)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("`{host}` is neither a host name nor an address"))?;
    TlsConnector::from(Arc::new(configuration)).connect(name, stream).await.map_err(|error| {
        explain_io(&error, host, &broker.tls).unwrap_or_else(|| {
            format!(
                "the connection ended during the handshake ({error}): does the broker speak TLS on this port?"
            )
        })
    })
}

/// What an error of an encrypted connection has to do with TLS; `None` when nothing.
pub(crate) fn explain_io(error: &std::io::Error, host: &str, files: &TlsFiles) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(explain(error, host, files))
}

fn configuration(files: &TlsFiles, clock: &SharedClock) -> Result<ClientConfig, String> {
    let roots = roots(files.ca_file.as_deref())?;
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Now(Arc::clone(clock))))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some(identity) = &files.identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = read_identity(identity)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            format!(
                "{}: it is not the key of the certificate in certificate_file",
                identity.key_file.display()
            )
        }
        other => format!("{}: the key cannot be used: {other}", identity.key_file.display()),
    })
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this system has no certificate authorities; set ca_file".to_owned());
        }
        return Ok(roots);
    };
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| format!("{}: no certificate authority: {error}", path.display()))?;
    }
    Ok(roots)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read_text(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!(
            "{}: it holds no certificate; expected PEM: -----BEGIN CERTIFICATE-----",
            path.display()
        )),
        Err(error) => Err(format!("{}: it is no sound PEM: {error}", path.display())),
    }
}

fn read_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = read_certificates(&identity.certificate_file)?;
    let text = read_text(&identity.key_file)?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        format!(
            "{}: it holds no private key that can be used; expected PEM, not encrypted: -----BEGIN PRIVATE KEY-----",
            identity.key_file.display()
        )
    })?;
    Ok((chain, key))
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
        let seconds = u64::try_from(self.0.utc().timestamp()).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn explain(error: &Error, host: &str, files: &TlsFiles) -> String {
    match error {
        Error::InvalidCertificate(flaw) => explain_certificate(flaw, host, files),
        Error::AlertReceived(alert) => explain_alert(*alert, files),
        Error::InvalidMessage(_) => {
            "what answers there does not speak TLS; is the port right (8883 by custom), or is mqtt:// meant?"
                .to_owned()
        }
        other => other.to_string(),
    }
}

fn explain_certificate(flaw: &CertificateError, host: &str, files: &TlsFiles) -> String {
    match flaw {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the broker's certificate has expired; renew it".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet; is the clock right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the broker's certificate is not for `{host}`; use a name that it is for, or have it renewed"
        ),
        CertificateError::UnknownIssuer => match &files.ca_file {
            Some(path) => {
                format!("the broker's certificate is not signed by an authority in {}", path.display())
            }
            None => "the broker's certificate is not signed by an authority that this system trusts; set \
                     ca_file to the certificate of the one that signed it"
                .to_owned(),
        },
        other => format!("the broker's certificate cannot be trusted: {other:?}"),
    }
}

fn explain_alert(alert: AlertDescription, files: &TlsFiles) -> String {
    if alert == AlertDescription::ProtocolVersion {
        return "the broker's TLS is too old; gridloop speaks 1.2 and 1.3".to_owned();
    }
    match &files.identity {
        None => {
            format!("the broker asks for a client certificate ({alert:?}); set certificate_file and key_file")
        }
        Some(identity) => format!(
            "the broker does not accept the certificate in {} ({alert:?}); has it expired, and does the broker know \
             the authority that signed it?",
            identity.certificate_file.display()
        ),
    }
}
