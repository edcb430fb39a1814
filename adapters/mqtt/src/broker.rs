//! How to reach a broker: [`BrokerSettings`] with a [`Login`] and [`TlsFiles`].
//!
//! Passwords and keys live in files or in the environment, never in a configuration. They are read for every
//! connection, so that they may be renewed while a run is on, and they are never shown.

use crate::Address;
use std::path::{Path, PathBuf};

/// A broker and how to be let in.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerSettings {
    /// Where it is.
    pub address: Address,
    /// Who we are; `None` where the broker does not ask.
    pub login: Option<Login>,
    /// What an `mqtts://` address needs.
    pub tls: TlsFiles,
}

impl BrokerSettings {
    /// A broker that lets everybody in.
    #[must_use]
    pub fn at(address: Address) -> Self {
        Self { address, login: None, tls: TlsFiles::default() }
    }
}

/// A user of a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// Where the password is.
    pub password: PasswordSource,
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq)]
pub enum PasswordSource {
    /// There is none.
    Nowhere,
    /// The first line of this file.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
}

/// The files of an encrypted connection, all PEM.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TlsFiles {
    /// Authorities that may have signed the broker's certificate. Default: those that this system trusts.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key, for a broker that asks for them.
    pub identity: Option<Identity>,
}

/// A certificate of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The certificate and those that lead to its authority.
    pub certificate_file: PathBuf,
    /// Its private key, not encrypted.
    pub key_file: PathBuf,
}

impl PasswordSource {
    /// The password; empty where there is none.
    ///
    /// # Errors
    /// What is wrong with the file or the variable, in words that do not hold the password.
    pub(crate) fn read(&self) -> Result<String, String> {
        match self {
            Self::Nowhere => Ok(String::new()),
            Self::Environment(name) => std::env::var(name).map_err(|_| {
                format!("the environment variable {name}, which is to hold the password, is not set")
            }),
            Self::File(path) => {
                let text = read_text(path)?;
                match text.lines().next() {
                    Some(password) if !password.is_empty() => Ok(password.to_owned()),
                    _ => Err(format!("{}: its first line, which is the password, is empty", path.display())),
                }
            }
        }
    }
}

/// Reads a small text file.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    const MOST: u64 = 1024 * 1024;
    let size = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    if size > MOST {
        return Err(format!("{}: larger than {MOST} bytes", path.display()));
    }
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "open sesame\nsecond line\n").unwrap();
        assert_eq!(PasswordSource::File(path.clone()).read().as_deref(), Ok("open sesame"));
        std::fs::write(&path, "\nsecret").unwrap();
        let told = PasswordSource::File(path).read().unwrap_err();
        assert!(told.contains("empty") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn a_password_that_is_not_there_is_told_so() {
        let told = PasswordSource::Environment("GRIDLOOP_NO_SUCH_VARIABLE".into()).read().unwrap_err();
        assert!(told.contains("GRIDLOOP_NO_SUCH_VARIABLE"), "{told}");
        assert!(PasswordSource::File("/nowhere/password".into()).read().is_err());
    }
}
