//! How a session is opened: [`Connect`] names the broker, the [`Exchange`] on which everybody of a run meets, and the
//! [`Access`], which is who we are to the broker and how we know that it is the right one.

use crate::{BusError, BusUrl};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A session to be opened.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Where the broker is.
    pub url: BusUrl,
    /// Where messages are published and queues are bound.
    pub exchange: Exchange,
    /// A word for people, shown in the broker's list of connections.
    pub name: String,
    /// Who we are to the broker, and how it is known to be the right one.
    pub access: Access,
}

impl Connect {
    /// A session with the login of the URL and, over `amqps`, the certificate authorities of the system.
    #[must_use]
    pub fn new(url: BusUrl, exchange: Exchange, name: impl Into<String>) -> Self {
        Self { url, exchange, name: name.into(), access: Access::default() }
    }
}

/// A topic exchange with the flags with which everybody declares it (wire contract, section 1.1). RabbitMQ refuses
/// whoever comes with other flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// Whether it outlives a restart of the broker.
    pub durable: bool,
    /// Whether it goes when its last binding goes.
    pub auto_delete: bool,
}

impl Exchange {
    /// The exchange of one run: not durable, deleted when nobody is bound to it any more.
    #[must_use]
    pub fn run(name: impl Into<String>) -> Self {
        Self { name: name.into(), durable: false, auto_delete: true }
    }

    /// An exchange on which runs are announced, `procem-management` in SimCES: durable, and it stays.
    #[must_use]
    pub fn management(name: impl Into<String>) -> Self {
        Self { name: name.into(), durable: true, auto_delete: false }
    }
}

/// Who we are to the broker, and how it is known to be the right one. The files are read again for every connection,
/// so that renewed ones are used from the next one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// How the broker learns who we are.
    pub authentication: Authentication,
    /// Login name, instead of the URL's.
    pub user: Option<String>,
    /// The password to it.
    pub password: Password,
    /// Files for `amqps`.
    pub tls: Tls,
    /// Either side gives the other up after about two of these without a sign of life. Whole seconds.
    pub heartbeat: Duration,
}

impl Access {
    /// The heartbeat unless another is asked for: a silent broker is given up within 10 s.
    pub const HEARTBEAT: Duration = Duration::from_secs(4);
}

impl Access {
    /// What is wrong with the files, as far as that can be told without a broker.
    #[must_use]
    pub fn check(&self) -> Vec<BusError> {
        let mut found = crate::amqp::check_tls(&self.tls);
        found.extend(self.password.read().err());
        found
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            authentication: Authentication::Plain,
            user: None,
            password: Password::InUrl,
            tls: Tls::default(),
            heartbeat: Self::HEARTBEAT,
        }
    }
}

/// How the broker learns who we are (SASL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authentication {
    /// By user name and password.
    #[default]
    Plain,
    /// By our certificate. The broker needs its plugin `rabbitmq_auth_mechanism_ssl`.
    External,
}

/// Where the password is. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// In the URL.
    InUrl,
    /// Here, from the environment or from a caller.
    Given(String),
    /// The first line of a file.
    File(PathBuf),
}

impl Password {
    /// The password, when it does not come with the URL.
    pub(crate) fn read(&self) -> Result<Option<String>, BusError> {
        match self {
            Self::InUrl => Ok(None),
            Self::Given(password) => Ok(Some(password.clone())),
            Self::File(path) => {
                let text = read(path)?;
                let password = text.lines().next().unwrap_or_default();
                if password.is_empty() {
                    return Err(BusError::file(path, "its first line, which is the password, is empty"));
                }
                Ok(Some(password.to_owned()))
            }
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUrl => f.write_str("InUrl"),
            Self::Given(_) => f.write_str("Given(***)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Files for TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// The certificate authorities that may have signed the broker's certificate; those of the system if absent.
    pub ca_file: Option<PathBuf>,
    /// What we show the broker when it asks for a certificate.
    pub identity: Option<Identity>,
}

impl Tls {
    /// Whether nothing is asked for beyond what `amqps` does by itself.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.ca_file.is_none() && self.identity.is_none()
    }
}

/// Our certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those that lead from it to its authority.
    pub certificate_file: PathBuf,
    /// Its private key, not encrypted.
    pub key_file: PathBuf,
}

/// A text file that somebody named in a configuration.
pub(crate) fn read(path: &Path) -> Result<String, BusError> {
    std::fs::read_to_string(path).map_err(|error| BusError::file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "se cret\r\nnot this\n").unwrap();
        assert_eq!(Password::File(path.clone()).read().unwrap().as_deref(), Some("se cret"));
        assert_eq!(Password::InUrl.read().unwrap(), None);
        let given = Password::Given("se cret".into());
        assert_eq!(given.read().unwrap().as_deref(), Some("se cret"));
        assert!(!format!("{given:?}").contains("se cret"));
        std::fs::write(&path, "\nsecond line").unwrap();
        let told = Password::File(path.clone()).read().unwrap_err().to_string();
        assert!(told.contains("empty") && told.contains("password"), "{told}");
        let missing = folder.path().join("missing");
        let told = Password::File(missing.clone()).read().unwrap_err().to_string();
        assert!(told.contains(&missing.display().to_string()), "{told}");
    }
}
