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

impl Bind {
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
