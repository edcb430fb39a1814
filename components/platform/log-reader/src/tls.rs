//! Encryption: [`Tls`] keeps a certificate and its key, and takes them anew when the files change.

use crate::settings::TlsFiles;
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_messages::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long before its end a certificate is spoken of.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is missing, unreadable or no PEM.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// They do not belong together, or are of a kind that is not supported.
    #[error("{certificate} and {key} cannot be used together: {source}")]
    Pair {
        /// The file of the certificate.
        certificate: String,
        /// The file of the key.
        key: String,
        /// What rustls says.
        source: rustls::Error,
    },
    /// No client would accept it.
    #[error("{path}: the certificate expired at {at}; put a new one in its place")]
    Expired {
        /// The file.
        path: String,
        /// When.
        at: Timestamp,
    },
}

/// The certificate in use.
pub(crate) struct Tls {
    files: TlsFiles,
    clock: SharedClock,
    used: Mutex<Used>,
}

struct Used {
    looked: MonoTime,
    text: (Vec<u8>, Vec<u8>),
    acceptor: TlsAcceptor,
}

impl Tls {
    pub(crate) fn load(files: TlsFiles, clock: SharedClock) -> Result<Self, TlsError> {
        let text = read(&files)?;
        let acceptor = accept_with(&files, &text, Timestamp::from(clock.utc()))?;
        let used = Mutex::new(Used { looked: clock.now(), text, acceptor });
        Ok(Self { files, clock, used })
    }

    /// What the next connection is accepted with. New files that cannot be used change nothing.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clock.now().since(used.looked) >= LOOK_EVERY {
            used.looked = self.clock.now();
            match self.renewed(&used.text) {
                Ok(None) => {}
                Ok(Some((text, acceptor))) => {
                    tracing::info!("the certificate in {} is new", self.files.certificate.display());
                    (used.text, used.acceptor) = (text, acceptor);
                }
                Err(error) => tracing::error!("the previous certificate stays in use: {error}"),
            }
        }
        used.acceptor.clone()
    }

    fn renewed(&self, before: &Text) -> Result<Option<(Text, TlsAcceptor)>, TlsError> {
        let text = read(&self.files)?;
        if text == *before {
            return Ok(None);
        }
        let acceptor = accept_with(&self.files, &text, Timestamp::from(self.clock.utc()))?;
        Ok(Some((text, acceptor)))
    }
}

/// Certificate and key as the files have them.
type Text = (Vec<u8>, Vec<u8>);

fn read(files: &TlsFiles) -> Result<Text, TlsError> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path)
            .map_err(|error| TlsError::File { path: path.display().to_string(), reason: error.to_string() })
    };
    Ok((read(&files.certificate)?, read(&files.key)?))
}

fn accept_with(files: &TlsFiles, (certificate, key): &Text, now: Timestamp) -> Result<TlsAcceptor, TlsError> {
    let (certificate_path, key_path) =
        (files.certificate.display().to_string(), files.key.display().to_string());
    let wrong = |path: &str, reason: String| TlsError::File { path: path.to_owned(), reason };
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(&certificate_path, error.to_string()))?;
    let Some(leaf) = chain.first() else {
        return Err(wrong(&certificate_path, "there is no certificate in it".into()));
    };
    if let Some(end) = validity::end(leaf) {
        if end <= now {
            return Err(TlsError::Expired { path: certificate_path, at: end });
        }
        if end <= now.plus(SOON) {
            tracing::warn!("{certificate_path}: the certificate expires at {end}");
        }
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&key_path, error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|source| TlsError::Pair { certificate: certificate_path, key: key_path, source })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The one thing that has to be known of a certificate here, out of its DER (RFC 5280, 4.1).
mod validity {
    use gridloop_messages::Timestamp;

    /// When a certificate ends to be valid; `None` when it cannot be told.
    pub(super) fn end(der: &[u8]) -> Option<Timestamp> {
        let (_, certificate, _) = element(der)?;
        let (_, mut fields, _) = element(certificate)?;
        if let (0xa0, _, behind_version) = element(fields)? {
            fields = behind_version;
        }
        for _serial_algorithm_issuer in 0..3 {
            (_, _, fields) = element(fields)?;
        }
        let (_, validity, _) = element(fields)?;
        let (_, _, behind_start) = element(validity)?;
        let (tag, time, _) = element(behind_start)?;
        let digits = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
        let century = match (tag, digits.get(..2)?) {
            (0x17, year) if year < "50" => "20",
            (0x17, _) => "19",
            _ => "",
        };
        let all = format!("{century}{digits}");
        let part = |from: usize, to: usize| all.get(from..to);
        let (date, time) =
            ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
        Timestamp::parse(&format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, time.0, time.1, time.2)).ok()
    }

    /// Tag and content of the first element, and what stands behind it.
    fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
        let (&tag, rest) = der.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let count = usize::from(first & 0x7f);
            let (bytes, behind) = rest.split_at_checked(count)?;
            if count > 4 {
                return None;
            }
            length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = behind;
        }
        let (content, behind) = rest.split_at_checked(length)?;
        Some((tag, content, behind))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_end_of_a_certificate_is_read_out_of_it() {
            for year in [2049, 2051] {
                let mut parameters = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
                parameters.not_after = rcgen::date_time_ymd(year, 3, 4);
                let key = rcgen::KeyPair::generate().unwrap();
                let certificate = parameters.self_signed(&key).unwrap();
                assert_eq!(
                    end(certificate.der()).unwrap().to_string(),
                    format!("{year}-03-04T00:00:00.000Z")
                );
            }
        }

        #[test]
        fn bytes_that_are_no_certificate_have_no_end() {
            for bytes in [&[][..], &[0x30], &[0x30, 0x84, 1, 2, 3, 4], &[0x30, 0x02, 0x30, 0x00], &[0xff; 40]]
            {
                assert_eq!(end(bytes), None);
            }
        }
    }
}
