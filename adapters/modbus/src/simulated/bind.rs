//! Where a simulated device is served: [`Bind`], and the [`Rights`] that a client's certificate gives on TLS.

use crate::address::{Address, Host, SerialLine};
use crate::session::TlsFiles;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a simulated device is served. Port 0 takes a free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// Modbus TCP.
    Tcp(SocketAddr),
    /// RTU frames through TCP.
    RtuOverTcp(SocketAddr),
    /// RTU on a serial port. The port is opened again when it breaks.
    Rtu {
        /// The port's device file.
        path: PathBuf,
        /// How it is set.
        line: SerialLine,
    },
    /// Modbus/TCP Security.
    Tls {
        /// The address.
        address: SocketAddr,
        /// Who is let in, and what it shows of itself.
        security: Security,
    },
}

/// Who may do what on a server of Modbus/TCP Security.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// The server's certificates; read anew for every connection.
    pub files: TlsFiles,
    /// What the roles may do that client certificates name. A client with another role, or with none, may do nothing.
    pub roles: BTreeMap<String, Rights>,
}

/// What a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Functions 03 and 04.
    Read,
    /// Every function.
    ReadAndWrite,
}

impl Security {
    /// Two roles: `operator` reads and writes, `read-only` reads.
    #[must_use]
    pub fn new(files: TlsFiles) -> Self {
        let roles = [("operator", Rights::ReadAndWrite), ("read-only", Rights::Read)];
        Self { files, roles: roles.map(|(role, rights)| (role.to_owned(), rights)).into() }
    }
}

/// Why nothing can be served at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// A host name may mean several addresses, and other machines'.
    #[error(
        "{0}: to serve there takes an IP address of this machine, such as 127.0.0.1, in place of the name"
    )]
    Name(Address),
    /// TLS without certificates.
    #[error("{0}: TLS takes ca_file, certificate_file and key_file")]
    NoCertificates(Address),
}

impl Bind {
    /// The way to serve at an address, as its text form has it.
    ///
    /// # Errors
    /// When it names a host by its name, or is one of TLS and there is no `security`.
    pub fn at(address: &Address, security: Option<Security>) -> Result<Self, BindError> {
        let socket = |host: &Host| match host.host.parse() {
            Ok(ip) => Ok(SocketAddr::new(ip, host.port)),
            Err(_) => Err(BindError::Name(address.clone())),
        };
        Ok(match address {
            Address::Tcp(host) => Self::Tcp(socket(host)?),
            Address::RtuOverTcp(host) => Self::RtuOverTcp(socket(host)?),
            Address::Rtu { path, line } => Self::Rtu { path: path.clone(), line: *line },
            Address::Tls(host) => Self::Tls {
                address: socket(host)?,
                security: security.ok_or_else(|| BindError::NoCertificates(address.clone()))?,
            },
        })
    }

    /// The address of the same kind where the device is found once it listens at `local`.
    pub(super) fn address(&self, local: SocketAddr) -> Address {
        let host = Host::from(local);
        match self {
            Self::Tcp(_) => Address::Tcp(host),
            Self::RtuOverTcp(_) => Address::RtuOverTcp(host),
            Self::Tls { .. } => Address::Tls(host),
            Self::Rtu { path, line } => Address::Rtu { path: path.clone(), line: *line },
        }
    }
}

impl From<SocketAddr> for Bind {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_served_where_its_address_says() {
        let bind = |text: &str| Bind::at(&text.parse().unwrap(), None);
        let local: SocketAddr = "127.0.0.1:1502".parse().unwrap();
        assert_eq!(bind("tcp://127.0.0.1:1502"), Ok(Bind::Tcp(local)));
        assert_eq!(bind("rtu+tcp://127.0.0.1:1502"), Ok(Bind::RtuOverTcp(local)));
        let line = SerialLine::default();
        assert_eq!(bind("rtu:///dev/ttyS0"), Ok(Bind::Rtu { path: "/dev/ttyS0".into(), line }));
        assert!(matches!(bind("tcp://inverter:1502"), Err(BindError::Name(_))));
        assert!(matches!(bind("tls://127.0.0.1"), Err(BindError::NoCertificates(_))));
    }
}
