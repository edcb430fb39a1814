//! Where a broker is: [`Address`], `mqtt://host:port` or `mqtts://host:port`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The port of brokers without encryption, as IANA registered it.
pub const DEFAULT_PORT: u16 = 1883;

/// The port of brokers behind TLS, as IANA registered it.
pub const DEFAULT_TLS_PORT: u16 = 8883;

/// The address of a broker. The port may be left out. Users and passwords are no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Whether the connection is encrypted: `mqtts://`.
    pub secure: bool,
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with neither `mqtt://` nor `mqtts://`.
    #[error("`{0}` is no address of a broker, expected `mqtt://host:port` or `mqtts://host:port`")]
    Scheme(String),
    /// It names a user, which has no place in an address.
    #[error(
        "an address of a broker has no user and no password in it; use the keys `user` and `password_file`"
    )]
    Credentials,
    /// The host is empty or has characters that no host name has.
    #[error("`{0}` names no host, expected `mqtt://host:port` or `mqtts://host:port`")]
    Host(String),
    /// The port is no number from 1 to 65535.
    #[error("`{0}` has no valid port, expected a number from 1 to 65535 after the last `:`")]
    Port(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // Before anything else, so that no error shows a password.
        if text.contains('@') {
            return Err(AddressError::Credentials);
        }
        let (secure, rest) = match (text.strip_prefix("mqtts://"), text.strip_prefix("mqtt://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(AddressError::Scheme(text.to_owned())),
        };
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
            None if secure => DEFAULT_TLS_PORT,
            None => DEFAULT_PORT,
            Some(port) => port.parse().map_err(|_| AddressError::Port(text.to_owned()))?,
        };
        if port == 0 {
            return Err(AddressError::Port(text.to_owned()));
        }
        Ok(Self { secure, host: host.to_owned(), port })
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { secure: false, host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        for text in ["mqtt://127.0.0.1:1883", "mqtts://broker.lab:8883", "mqtt://[::1]:1884"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_port_may_be_left_out() {
        assert_eq!("mqtt://broker".parse::<Address>().unwrap().port, DEFAULT_PORT);
        assert_eq!("mqtts://broker".parse::<Address>().unwrap().port, DEFAULT_TLS_PORT);
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        for text in ["", "127.0.0.1:1883", "tcp://h", "mqtt://", "mqtt://:1", "mqtt://a b", "mqtt://h:"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        for text in ["mqtt://h:0", "mqtt://h:65536", "mqtts://h:-1", "mqtt://[::1]1883"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::Port(_))), "{text}");
        }
        for text in ["mqtt://me:secret@h", "me:secret@h", "mqtt:/me:secret@h", "tcp://me:secret@h:1883"] {
            let told = text.parse::<Address>().unwrap_err();
            assert_eq!(told, AddressError::Credentials);
            assert!(!told.to_string().contains("secret"));
        }
    }
}
