//! What a link says of a request: [`LinkError`], and how the device contract words it.

use gridloop_device::DeviceError;
use std::io::ErrorKind;
use std::time::Duration;

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LinkError {
    /// The device answered with this exception code.
    Exception(u8),
    /// No answer in time.
    Timeout(Duration),
    /// The connection could not be opened, or broke.
    Lost(String),
    /// The answer is not one to the request.
    Malformed(String),
    /// The check of an RTU frame is wrong: noise, or a line that is set otherwise at the other end.
    BadChecksum,
}

impl LinkError {
    /// Whether the link is still in step. Exceptions 0A and 0B come from a gateway that cannot reach the device, so
    /// the answer may yet follow.
    pub(crate) fn keeps_link(&self) -> bool {
        matches!(self, Self::Exception(code) if !path_down(*code))
    }

    /// Whether the unit is not there, so that asking it again at once would only cost its siblings time. One whose
    /// answer was spoilt is.
    pub(super) fn is_in_vain(&self) -> bool {
        matches!(self, Self::Timeout(_)) || matches!(self, Self::Exception(code) if path_down(*code))
    }

    /// Whether the device certainly did nothing: it refused the request before acting on it.
    pub(crate) fn nothing_done(&self) -> bool {
        matches!(self, Self::Exception(1 | 2 | 3 | 6))
    }

    /// The error of a request that changes nothing.
    pub(crate) fn reading(self, operation: &str) -> DeviceError {
        self.named(format!("read {operation}"))
    }

    /// The error of a write, which says so where the outcome is unknown.
    pub(crate) fn writing(self, operation: &str) -> DeviceError {
        let known = matches!(self, Self::Exception(_));
        self.named(format!("write {operation}{}", if known { "" } else { " (outcome unknown)" }))
    }

    /// The error of an operation, as the device contract has it.
    pub(crate) fn named(self, operation: String) -> DeviceError {
        match self {
            Self::Exception(code) if path_down(code) => {
                DeviceError::Disconnected { operation, reason: exception(code) }
            }
            Self::Exception(code) => DeviceError::Refused { operation, reason: exception(code) },
            Self::Timeout(waited) => DeviceError::Timeout { operation, waited },
            Self::Lost(reason) => DeviceError::Disconnected { operation, reason },
            Self::Malformed(reason) => DeviceError::Malformed { operation, reason },
            Self::BadChecksum => DeviceError::Malformed {
                operation,
                reason: "the frame's CRC is wrong: noise, or another baud rate or parity at the device"
                    .to_owned(),
            },
        }
    }
}

impl From<tokio_modbus::Error> for LinkError {
    /// What came with a mismatching header is another request's answer, so nothing of it goes into the message.
    fn from(error: tokio_modbus::Error) -> Self {
        use tokio_modbus::{Error, ProtocolError};
        match error {
            Error::Protocol(ProtocolError::HeaderMismatch { message, .. }) => {
                Self::Malformed(format!("header does not match: {message}"))
            }
            Error::Protocol(ProtocolError::FunctionCodeMismatch { request, .. }) => {
                Self::Malformed(format!("answers another function than {request}"))
            }
            Error::Transport(error) if let Some(why) = super::tls::explain_broken(&error) => Self::Lost(why),
            Error::Transport(error)
                if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
            {
                Self::Malformed(error.to_string())
            }
            Error::Transport(error) => Self::Lost(error.to_string()),
        }
    }
}

const fn path_down(code: u8) -> bool {
    matches!(code, 0x0A | 0x0B)
}

/// An exception in words, by the list of the Modbus application protocol.
fn exception(code: u8) -> String {
    let meaning = match code {
        0x01 => return config_fault(code, "illegal function"),
        0x02 => return config_fault(code, "illegal data address"),
        0x03 => return config_fault(code, "illegal data value"),
        0x04 => "device failure",
        0x05 => "accepted, still working",
        0x06 => return format!("exception {code:02X} (busy); the device may be asked again"),
        0x08 => "memory parity error",
        0x0A => "gateway has no path to the device",
        0x0B => "device behind the gateway does not answer",
        _ => "not in the standard",
    };
    format!("exception {code:02X} ({meaning})")
}

/// What no repetition will cure.
fn config_fault(code: u8, meaning: &str) -> String {
    format!("exception {code:02X} ({meaning}); the profile or the device's own settings do not fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_become_what_the_device_contract_calls_them() {
        for code in [1, 2, 3, 4, 6] {
            let error = LinkError::Exception(code);
            assert!(error.keeps_link());
            assert!(matches!(error.reading("W"), DeviceError::Refused { .. }), "{code}");
        }
        for code in [0x0A, 0x0B] {
            let error = LinkError::Exception(code);
            assert!(!error.keeps_link());
            assert!(matches!(error.reading("W"), DeviceError::Disconnected { .. }), "{code}");
        }
    }

    #[test]
    fn a_write_without_an_answer_says_that_its_outcome_is_unknown() {
        let unknown = LinkError::Timeout(Duration::from_millis(200)).writing("WMaxLimPct");
        assert!(unknown.to_string().contains("outcome unknown"), "{unknown}");
        let known = LinkError::Exception(3).writing("WMaxLimPct");
        assert!(!known.to_string().contains("outcome unknown"), "{known}");
    }
}
