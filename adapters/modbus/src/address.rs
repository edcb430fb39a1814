//! Where a device is: [`Address`], `tcp://host:port`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The port that Modbus TCP has been given.
pub const DEFAULT_PORT: u16 = 502;

/// The address of a Modbus TCP server. Its text form is `tcp://host:port`; the port may be left out and is 502 then.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not begin with `tcp://`.
    #[error("`{0}` is no Modbus address, expected `tcp://host` or `tcp://host:port`")]
    Scheme(String),
    /// The host is empty or has characters that no host name has.
    #[error("`{0}` names no host, expected `tcp://host` or `tcp://host:port`")]
    Host(String),
    /// The port is no number from 0 to 65535.
    #[error("`{0}` has no valid port, expected a number from 1 to 65535 after the last `:`")]
    Port(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("tcp://").ok_or_else(|| AddressError::Scheme(text.to_owned()))?;
        let (host, port) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, after)) => {
                (host, Some(after.strip_prefix(':').ok_or_else(|| AddressError::Port(text.to_owned()))?))
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(fits) {
            return Err(AddressError::Host(text.to_owned()));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port.parse().map_err(|_| AddressError::Port(text.to_owned()))?,
        };
        if port == 0 {
            return Err(AddressError::Port(text.to_owned()));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "tcp://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "tcp://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        for text in ["tcp://127.0.0.1:1502", "tcp://inverter-1.lab:502", "tcp://[::1]:5020"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_port_may_be_left_out() {
        assert_eq!("tcp://10.0.0.7".parse::<Address>().unwrap().port, DEFAULT_PORT);
        assert_eq!("tcp://[fe80::1]".parse::<Address>().unwrap().host, "fe80::1");
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        for text in
            ["", "127.0.0.1:502", "rtu:///dev/ttyUSB0", "tcp://", "tcp://:502", "tcp://a b", "tcp://h:"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        for text in ["tcp://h:0", "tcp://h:65536", "tcp://h:-1", "tcp://h:1:2", "tcp://[::1]502"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::Port(_))), "{text}");
        }
    }
}
