//! Where a device is: [`Address`], `mms://host:port`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The port that MMS over TCP (RFC 1006) has been given.
pub const DEFAULT_PORT: u16 = 102;

/// The address of a IEC 61850 server (MMS over TCP). Its text form is `mms://host:port`; the port may be left out and is 102 then.
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
    /// It does not begin with `mms://`.
    #[error("`{0}` is no IEC 61850 address, expected `mms://host` or `mms://host:port`")]
    Scheme(String),
    /// The host is empty or has characters that no host name has.
    #[error("`{0}` names no host, expected `mms://host` or `mms://host:port`")]
    Host(String),
    /// The port is no number from 0 to 65535.
    #[error("`{0}` has no valid port, expected a number from 1 to 65535 after the last `:`")]
    Port(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("mms://").ok_or_else(|| AddressError::Scheme(text.to_owned()))?;
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
            write!(f, "mms://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "mms://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        for text in ["mms://127.0.0.1:10102", "mms://ied-1.lab:102", "mms://[::1]:1020"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_port_may_be_left_out() {
        assert_eq!("mms://10.0.0.7".parse::<Address>().unwrap().port, DEFAULT_PORT);
        assert_eq!("mms://[fe80::1]".parse::<Address>().unwrap().host, "fe80::1");
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        for text in
            ["", "127.0.0.1:102", "rtu:///dev/ttyUSB0", "mms://", "mms://:102", "mms://a b", "mms://h:"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        for text in ["mms://h:0", "mms://h:65536", "mms://h:-1", "mms://h:1:2", "mms://[::1]102"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::Port(_))), "{text}");
        }
    }
}
