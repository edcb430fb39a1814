//! Where a device is: [`Address`], in the four forms of `tcp://`, `tls://`, `rtu://` and `rtu+tcp://`, and the
//! [`SerialLine`] that the third one carries.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The port that Modbus TCP has been given.
pub const DEFAULT_PORT: u16 = 502;
/// The port that Modbus/TCP Security has been given.
pub const DEFAULT_TLS_PORT: u16 = 802;

/// The address of a Modbus server, or of the line that it hangs on.
///
/// - `tcp://host:port`: Modbus TCP; the port may be left out and is 502 then.
/// - `tls://host:port`: Modbus/TCP Security; the port may be left out and is 802 then.
/// - `rtu:///dev/serial/by-id/NAME?baud=19200&parity=even&stop=1`: RTU on a serial port; see [`SerialLine`] for what
///   may be left out.
/// - `rtu+tcp://host:port`: RTU frames through TCP, as serial device servers pass them on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// Modbus TCP.
    Tcp(Host),
    /// Modbus/TCP Security.
    Tls(Host),
    /// RTU on a serial port of this machine.
    Rtu {
        /// The port's device file.
        path: PathBuf,
        /// How it is set.
        line: SerialLine,
    },
    /// RTU frames through TCP.
    RtuOverTcp(Host),
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// How a serial port is set. A character has always eight data bits.
///
/// The defaults are those of "Modbus over Serial Line" V1.02, 2.5.1: 19200 baud, even parity and one stop bit; two stop
/// bits where there is no parity, so that a character keeps its eleven bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SerialLine {
    /// Bits per second.
    pub baud: u32,
    /// The parity bit.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop_bits: u8,
}

/// The parity bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Parity {
    /// There is none.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

impl Default for SerialLine {
    fn default() -> Self {
        Self { baud: 19_200, parity: Parity::Even, stop_bits: 1 }
    }
}

impl SerialLine {
    /// How long a character takes.
    #[must_use]
    pub fn character(self) -> Duration {
        let parity_bits = u32::from(self.parity != Parity::None);
        let bits = 1 + 8 + parity_bits + u32::from(self.stop_bits);
        Duration::from_secs(1) * bits / self.baud.max(1)
    }

    /// The silence that parts two frames: 3.5 characters, and 1.75 ms above 19200 baud ("Modbus over Serial Line"
    /// V1.02, 2.5.1.1).
    #[must_use]
    pub fn silence(self) -> Duration {
        if self.baud > 19_200 { Duration::from_micros(1750) } else { self.character() * 7 / 2 }
    }
}

impl fmt::Display for Parity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Even => "even",
            Self::Odd => "odd",
        })
    }
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with none of the schemes.
    #[error(
        "`{0}` is no Modbus address, expected `tcp://host:port`, `tls://host:port`, `rtu:///dev/PORT?baud=19200` or \
         `rtu+tcp://host:port`"
    )]
    Scheme(String),
    /// The host is empty or has characters that no host name has.
    #[error("`{0}` names no host, expected a host name or an IP address after `://`")]
    Host(String),
    /// The port is no number from 1 to 65535.
    #[error("`{0}` has no valid port, expected a number from 1 to 65535 after the last `:`")]
    Port(String),
    /// RTU through TCP has no usual port.
    #[error("`{0}` has no port; RTU through TCP has no usual one, the device server's settings name it")]
    NoPort(String),
    /// The serial port is no absolute path.
    #[error(
        "`{0}` names no serial port, expected an absolute path such as `rtu:///dev/serial/by-id/NAME` (three slashes)"
    )]
    Path(String),
    /// A setting of the serial port is not known, or not with this value.
    #[error(
        "`{address}`: `{setting}` sets no serial port, expected baud=1200 to 4000000, parity=none|even|odd, stop=1|2, \
         joined by `&`"
    )]
    Line {
        /// The address.
        address: String,
        /// The part that is wrong.
        setting: String,
    },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| AddressError::Scheme(text.to_owned()))?;
        match scheme {
            "tcp" => host(text, rest, Some(DEFAULT_PORT)).map(Self::Tcp),
            "tls" => host(text, rest, Some(DEFAULT_TLS_PORT)).map(Self::Tls),
            "rtu+tcp" => host(text, rest, None).map(Self::RtuOverTcp),
            "rtu" => serial(text, rest),
            _ => Err(AddressError::Scheme(text.to_owned())),
        }
    }
}

fn host(text: &str, rest: &str, default_port: Option<u16>) -> Result<Host, AddressError> {
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
        None => default_port.ok_or_else(|| AddressError::NoPort(text.to_owned()))?,
        Some(port) => port.parse().map_err(|_| AddressError::Port(text.to_owned()))?,
    };
    if port == 0 {
        return Err(AddressError::Port(text.to_owned()));
    }
    Ok(Host { host: host.to_owned(), port })
}

fn serial(text: &str, rest: &str) -> Result<Address, AddressError> {
    let (path, settings) = rest.split_once('?').map_or((rest, None), |(path, line)| (path, Some(line)));
    if path.len() < 2 || !path.starts_with('/') || path.chars().any(char::is_control) {
        return Err(AddressError::Path(text.to_owned()));
    }
    let mut line = SerialLine::default();
    let mut stop_bits = None;
    for setting in settings.into_iter().flat_map(|settings| settings.split('&')) {
        let wrong = || AddressError::Line { address: text.to_owned(), setting: setting.to_owned() };
        match setting.split_once('=').ok_or_else(wrong)? {
            ("baud", value) => {
                line.baud =
                    value.parse().ok().filter(|baud| (1200..=4_000_000).contains(baud)).ok_or_else(wrong)?;
            }
            ("parity", "none") => line.parity = Parity::None,
            ("parity", "even") => line.parity = Parity::Even,
            ("parity", "odd") => line.parity = Parity::Odd,
            ("stop", "1") => stop_bits = Some(1),
            ("stop", "2") => stop_bits = Some(2),
            _ => return Err(wrong()),
        }
    }
    line.stop_bits = stop_bits.unwrap_or(if line.parity == Parity::None { 2 } else { 1 });
    Ok(Address::Rtu { path: path.into(), line })
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl From<SocketAddr> for Address {
    /// Modbus TCP at this address.
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address.into())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Tls(host) => write!(f, "tls://{host}"),
            Self::RtuOverTcp(host) => write!(f, "rtu+tcp://{host}"),
            Self::Rtu { path, line: SerialLine { baud, parity, stop_bits } } => {
                write!(f, "rtu://{}?baud={baud}&parity={parity}&stop={stop_bits}", path.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, AddressError> {
        text.parse()
    }

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        for text in [
            "tcp://127.0.0.1:1502",
            "tcp://inverter-1.lab:502",
            "tcp://[::1]:5020",
            "tls://inverter-1.lab:802",
            "rtu+tcp://10.0.0.7:4001",
            "rtu:///dev/serial/by-id/usb-FTDI_AB12-if00?baud=9600&parity=none&stop=2",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_usual_ports_may_be_left_out() {
        let host = |host: &str, port| Host { host: host.into(), port };
        assert_eq!(parse("tcp://10.0.0.7"), Ok(Address::Tcp(host("10.0.0.7", DEFAULT_PORT))));
        assert_eq!(parse("tcp://[fe80::1]"), Ok(Address::Tcp(host("fe80::1", DEFAULT_PORT))));
        assert_eq!(parse("tls://pv"), Ok(Address::Tls(host("pv", DEFAULT_TLS_PORT))));
        assert!(matches!(parse("rtu+tcp://10.0.0.7"), Err(AddressError::NoPort(_))));
    }

    #[test]
    fn a_serial_line_is_19200_8e1_and_keeps_eleven_bits_without_parity() {
        let line = |text: &str| match parse(text) {
            Ok(Address::Rtu { line, .. }) => line,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(line("rtu:///dev/ttyS0"), SerialLine { baud: 19_200, parity: Parity::Even, stop_bits: 1 });
        let without = line("rtu:///dev/ttyS0?baud=9600&parity=none");
        assert_eq!(without, SerialLine { baud: 9600, parity: Parity::None, stop_bits: 2 });
        assert_eq!(line("rtu:///dev/ttyS0?stop=1&parity=none").stop_bits, 1);
    }

    #[test]
    fn frames_are_parted_by_three_and_a_half_characters_or_by_1750_us() {
        let silence = |baud| SerialLine { baud, ..SerialLine::default() }.silence();
        assert_eq!(silence(9600).as_micros(), 4010);
        assert_eq!(silence(19_200).as_micros(), 2005);
        assert_eq!(silence(115_200).as_micros(), 1750);
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        for text in
            ["", "127.0.0.1:502", "mms://x", "tcp://", "tcp://:502", "tcp://a b", "tcp://h:", "tls://"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["tcp://h:0", "tcp://h:65536", "tcp://h:-1", "tcp://h:1:2", "tcp://[::1]502"] {
            assert!(matches!(parse(text), Err(AddressError::Port(_))), "{text}");
        }
        for text in ["rtu://", "rtu:///", "rtu://dev/ttyUSB0", "rtu://?baud=9600"] {
            assert!(matches!(parse(text), Err(AddressError::Path(_))), "{text}");
        }
        for setting in ["baud=0", "baud=fast", "parity=mark", "stop=3", "stop", "", "bits=7"] {
            let text = format!("rtu:///dev/ttyS0?parity=odd&{setting}");
            assert!(matches!(parse(&text), Err(AddressError::Line { .. })), "{text}");
        }
    }
}
