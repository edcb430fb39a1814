//! What the Log Reader is told: [`Settings`].

use crate::access::AccessLog;
use gridloop_logging::StoreUrl;
use gridloop_service::Section;
use std::path::PathBuf;
use std::time::Duration;

/// Which store is served where, to whom, and within which limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the runs are.
    pub store: StoreUrl,
    /// `host:port`; port 0 takes a free one.
    pub listen: String,
    /// Who may ask; everybody may without it.
    pub tokens: Option<PathBuf>,
    /// Certificate and key; without them, nothing is encrypted.
    pub tls: Option<TlsFiles>,
    /// Whether other machines may be served without tokens or without TLS.
    pub insecure: bool,
    /// Where accesses are recorded.
    pub access_log: AccessLog,
    /// How much is done for clients.
    pub limits: Limits,
}

/// A certificate and its key, in PEM. They may be replaced while they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those of the authorities between it and a root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What keeps slow or greedy clients from hurting others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Answers that are read from the store at once; more wait a while and are then told to come back.
    pub readings: usize,
    /// How long a client may take for the handshake and for the head of a request.
    pub request_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub stall_timeout: Duration,
    /// Points in time and values of one time series in JSON, which is written column by column out of memory.
    pub series_values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            readings: 16,
            request_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            series_values: 5_000_000,
        }
    }
}

/// Where the Log Reader listens unless it is told otherwise: this machine only.
const LISTEN: &str = "127.0.0.1:8080";

impl Default for Settings {
    fn default() -> Self {
        Self {
            store: StoreUrl::Sqlite("runs".into()),
            listen: LISTEN.into(),
            tokens: None,
            tls: None,
            insecure: false,
            access_log: AccessLog::Stdout,
            limits: Limits::default(),
        }
    }
}

/// Reads the section `[log_reader]`; where the runs are is told by another.
#[must_use]
pub fn read_settings(section: &Section<'_>, store: StoreUrl) -> Settings {
    let certificate =
        section.file("certificate", "The certificate in PEM, with those between it and a root.");
    let (certificate, key) =
        (certificate.must_exist().optional(), section.file("key", "Its key in PEM.").must_exist().optional());
    let tls = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            section.error(Some("certificate"), "`key` beside it", None);
            None
        }
        (None, Some(_)) => {
            section.error(Some("key"), "`certificate` beside it", None);
            None
        }
    };
    Settings {
        store,
        listen: section.text("listen", "host:port to listen on.").or(LISTEN.into()),
        tokens: section.file("tokens", "Who may ask: a file that `gridloop token` writes.").optional(),
        tls,
        insecure: section
            .boolean("insecure", "Serve other machines without tokens or without TLS.")
            .or(false),
        access_log: section
            .file(
                "access_log",
                "Where accesses are recorded, one JSON object a line. Default: standard output.",
            )
            .optional()
            .map_or(AccessLog::Stdout, AccessLog::File),
        limits: Limits::default(),
    }
}
