//! Where the bus is: [`BusUrl`], read from a configuration or a command line.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// AMQP's port without TLS.
const AMQP_PORT: u16 = 5672;
/// AMQP's port with TLS.
const AMQPS_PORT: u16 = 5671;

/// Where the bus is.
#[derive(Clone, PartialEq, Eq)]
pub enum BusUrl {
    /// `memory:`, inside this process.
    Memory,
    /// `amqp://user:password@host:port/vhost`, or `amqps://` with TLS: a RabbitMQ broker.
    Amqp(AmqpUrl),
}

/// A broker, and who we are to it. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpUrl {
    /// Whether the connection is encrypted and the broker has to prove who it is (`amqps`).
    pub tls: bool,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Virtual host; SimCES always uses `/`.
    pub vhost: String,
    password: String,
}

/// Why a text is no bus URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BusUrlError {
    /// Neither of the two known schemes.
    #[error("expected `memory:`, `amqp://user:password@host:port/vhost` or, with TLS, `amqps://...`")]
    Scheme,
    /// No host between `//` and the port or path.
    #[error("the host is missing: expected `amqp://user:password@host:port/vhost`")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("the port is no number from 1 to 65535; a `/` in a password is written %2f, an `@` %40")]
    Port(String),
    /// A `%` that is not followed by two hexadecimal digits, or bytes that are not UTF-8.
    #[error("a percent escape in the {0} is broken: `%` must be followed by two hexadecimal digits of UTF-8")]
    Escape(&'static str),
    /// More than a virtual host after the port.
    #[error(
        "unexpected text after the virtual host: a `/` in its name is written `%2f`, and options after `?` are not known"
    )]
    Trailing,
}

impl AmqpUrl {
    /// A broker with the virtual host and the login of a fresh one: `/` and `guest`.
    #[must_use]
    pub fn new(tls: bool, host: impl Into<String>, port: u16) -> Self {
        let (user, password) = ("guest".to_owned(), "guest".to_owned());
        Self { tls, host: host.into(), port, user, password, vhost: "/".into() }
    }

    /// The same broker with another login.
    #[must_use]
    pub fn login(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into(), ..self }
    }

    /// The same broker with another virtual host.
    #[must_use]
    pub fn vhost(self, vhost: impl Into<String>) -> Self {
        Self { vhost: vhost.into(), ..self }
    }

    /// The password. For the login, and for processes that are to log in themselves; never to be shown.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Host and port as people write them.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for BusUrl {
    type Err = BusUrlError;

    fn from_str(text: &str) -> Result<Self, BusUrlError> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        match text.split_once("://") {
            Some(("amqp", rest)) => parse_amqp(false, rest).map(Self::Amqp),
            Some(("amqps", rest)) => parse_amqp(true, rest).map(Self::Amqp),
            _ => Err(BusUrlError::Scheme),
        }
    }
}

fn parse_amqp(tls: bool, rest: &str) -> Result<AmqpUrl, BusUrlError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    if place.contains('?') || path.contains(['/', '?', '#']) {
        return Err(BusUrlError::Trailing);
    }
    let (host, port) = split_port(place)?;
    Ok(AmqpUrl {
        tls,
        host: nonempty(unescape(host, "host")?).ok_or(BusUrlError::Host)?,
        port: port.unwrap_or(if tls { AMQPS_PORT } else { AMQP_PORT }),
        user: nonempty(unescape(user, "user name")?).unwrap_or_else(|| "guest".into()),
        password: nonempty(unescape(password, "password")?).unwrap_or_else(|| "guest".into()),
        vhost: nonempty(unescape(path, "virtual host")?).unwrap_or_else(|| "/".into()),
    })
}

fn split_port(place: &str) -> Result<(&str, Option<u16>), BusUrlError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, after)) => (host, Some(after.strip_prefix(':').ok_or(BusUrlError::Host)?)),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    match port.map(str::parse) {
        None => Ok((host, None)),
        Some(Ok(number @ 1..)) => Ok((host, Some(number))),
        Some(_) => Err(BusUrlError::Port(port.unwrap_or_default().to_owned())),
    }
}

fn nonempty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn unescape(text: &str, part: &'static str) -> Result<String, BusUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(hex_digit).ok_or(BusUrlError::Escape(part));
        let (high, low) = (digit()?, digit()?);
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| BusUrlError::Escape(part))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02x}"));
        }
    }
    escaped
}

impl fmt::Display for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Amqp(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        write!(f, "{scheme}://{}:***@{}/{}", escape(&self.user), self.address(), escape(&self.vhost))
    }
}

impl fmt::Debug for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amqp(text: &str) -> AmqpUrl {
        match text.parse() {
            Ok(BusUrl::Amqp(url)) => url,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_full_url_is_taken_apart_and_its_escapes_undone() {
        let url = amqp("amqp://lab%40tuni:p%3Ass%2f@broker.local:5673/%2flab");
        assert_eq!((url.host.as_str(), url.port), ("broker.local", 5673));
        assert_eq!((url.user.as_str(), url.password(), url.vhost.as_str()), ("lab@tuni", "p:ss/", "/lab"));
    }

    #[test]
    fn what_is_left_out_is_what_a_fresh_broker_has() {
        for text in ["amqp://localhost", "amqp://localhost/", "amqp://guest:guest@localhost:5672/%2F"] {
            let url = amqp(text);
            assert_eq!((url.user.as_str(), url.password(), url.vhost.as_str()), ("guest", "guest", "/"));
            assert_eq!((url.host.as_str(), url.port), ("localhost", 5672));
        }
        assert_eq!(amqp("amqp://[::1]:5673/lab").address(), "[::1]:5673");
        assert_eq!("memory:".parse(), Ok(BusUrl::Memory));
    }

    #[test]
    fn tls_has_a_scheme_and_a_port_of_its_own() {
        let url = amqp("amqps://lab:secret@broker.local/lab");
        assert!(url.tls && !amqp("amqp://broker.local").tls);
        assert_eq!(url.address(), "broker.local:5671");
        assert_eq!(url.to_string(), "amqps://lab:***@broker.local:5671/lab");
        assert_eq!(amqp("amqps://broker.local:5673").port, 5673);
        assert!(
            AmqpUrl::new(true, "broker.local", 5671).login("lab", "x").vhost("lab")
                == amqp("amqps://lab:x@broker.local/lab")
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text: &str| text.parse::<BusUrl>().unwrap_err();
        assert_eq!(wrong("http://localhost"), BusUrlError::Scheme);
        assert_eq!(wrong("memory"), BusUrlError::Scheme);
        assert_eq!(wrong(""), BusUrlError::Scheme);
        assert_eq!(wrong("amqp://"), BusUrlError::Host);
        assert_eq!(wrong("amqp://u:p@:5672"), BusUrlError::Host);
        assert_eq!(wrong("amqp://h:0"), BusUrlError::Port("0".into()));
        assert_eq!(wrong("amqp://h:70000"), BusUrlError::Port("70000".into()));
        assert_eq!(wrong("amqp://h/%2"), BusUrlError::Escape("virtual host"));
        assert_eq!(wrong("amqp://%ff@h"), BusUrlError::Escape("user name"));
        assert_eq!(wrong("amqp://h//"), BusUrlError::Trailing);
        assert_eq!(wrong("amqp://h/%2f?heartbeat=1"), BusUrlError::Trailing);
    }

    #[test]
    fn the_password_is_never_shown() {
        let url: BusUrl = "amqp://lab:secret@h:5673/lab".parse().unwrap();
        assert_eq!(url.to_string(), "amqp://lab:***@h:5673/lab");
        assert!(!format!("{url:?} {:?}", amqp("amqp://lab:secret@h")).contains("secret"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<BusUrl>();
            let _ = format!("amqps://{text}").parse::<BusUrl>();
        }
    }
}
