//! What is asked of a device, and what makes an answer the answer to it: [`Ask`].

use super::error::LinkError;
use crate::register_map::Table;
use std::borrow::Cow;
use tokio_modbus::{Request, Response};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Functions 03 and 04. The count is 1 to 125.
    Read { table: Table, address: u16, count: u16 },
    /// Function 16. There are 1 to 123 registers.
    Write { address: u16, registers: Vec<u16> },
    /// Function 06.
    WriteOne { address: u16, value: u16 },
}

impl Ask {
    /// Whether it changes something.
    pub(super) fn writes(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }

    /// The function code.
    pub(super) fn function(&self) -> u8 {
        match self {
            Self::Read { table: Table::Holding, .. } => 0x03,
            Self::Read { table: Table::Input, .. } => 0x04,
            Self::WriteOne { .. } => 0x06,
            Self::Write { .. } => 0x10,
        }
    }

    /// The PDU of the request.
    pub(super) fn pdu(&self) -> Vec<u8> {
        let mut pdu = vec![self.function()];
        match self {
            Self::Read { address, count: second, .. } | Self::WriteOne { address, value: second } => {
                pdu.extend(address.to_be_bytes());
                pdu.extend(second.to_be_bytes());
            }
            Self::Write { address, registers } => {
                let count = u16::try_from(registers.len()).unwrap_or(u16::MAX);
                pdu.extend(address.to_be_bytes());
                pdu.extend(count.to_be_bytes());
                pdu.push(u8::try_from(registers.len() * 2).unwrap_or(u8::MAX));
                pdu.extend(registers.iter().flat_map(|register| register.to_be_bytes()));
            }
        }
        pdu
    }

    /// The same for the Modbus TCP client.
    pub(super) fn request(&self) -> Request<'static> {
        match self {
            Self::Read { table: Table::Holding, address, count } => {
                Request::ReadHoldingRegisters(*address, *count)
            }
            Self::Read { table: Table::Input, address, count } => {
                Request::ReadInputRegisters(*address, *count)
            }
            Self::WriteOne { address, value } => Request::WriteSingleRegister(*address, *value),
            Self::Write { address, registers } => {
                Request::WriteMultipleRegisters(*address, Cow::Owned(registers.clone()))
            }
        }
    }

    /// The registers of an answer, which must be one to this request. Written registers answer with nothing.
    pub(super) fn check(&self, response: Response) -> Result<Vec<u16>, LinkError> {
        match (self, response) {
            (Self::Read { table: Table::Holding, count, .. }, Response::ReadHoldingRegisters(words))
            | (Self::Read { table: Table::Input, count, .. }, Response::ReadInputRegisters(words)) => {
                if words.len() == usize::from(*count) {
                    return Ok(words);
                }
                Err(LinkError::Malformed(format!("{} registers instead of {count}", words.len())))
            }
            (Self::Write { address, registers }, Response::WriteMultipleRegisters(at, written)) => {
                self.check_written(*address, registers.len(), at, written)
            }
            (Self::WriteOne { address, value }, Response::WriteSingleRegister(at, held)) => {
                if (at, held) == (*address, *value) {
                    return Ok(Vec::new());
                }
                Err(LinkError::Malformed(format!("confirms {held} at {at} instead of {value} at {address}")))
            }
            (_, other) => Err(LinkError::Malformed(format!("an answer with {}", other.function_code()))),
        }
    }

    /// The registers of an answer's PDU, whose function and length have been checked.
    pub(super) fn check_pdu(&self, pdu: &[u8]) -> Result<Vec<u16>, LinkError> {
        let word = |at: usize| match pdu.get(at..at + 2) {
            Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
            _ => Err(LinkError::Malformed("an answer that is too short".to_owned())),
        };
        self.check(match self {
            Self::Read { table, count, .. } => {
                let words: Result<Vec<u16>, _> = (0..usize::from(*count)).map(|n| word(2 + 2 * n)).collect();
                match table {
                    Table::Holding => Response::ReadHoldingRegisters(words?),
                    Table::Input => Response::ReadInputRegisters(words?),
                }
            }
            Self::Write { .. } => Response::WriteMultipleRegisters(word(1)?, word(3)?),
            Self::WriteOne { .. } => Response::WriteSingleRegister(word(1)?, word(3)?),
        })
    }

    fn check_written(
        &self,
        address: u16,
        count: usize,
        at: u16,
        written: u16,
    ) -> Result<Vec<u16>, LinkError> {
        if at == address && usize::from(written) == count {
            return Ok(Vec::new());
        }
        Err(LinkError::Malformed(format!(
            "confirms {written} registers at {at} instead of {count} at {address}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_bytes_of_the_modbus_specification() {
        let read = Ask::Read { table: Table::Holding, address: 0x6B, count: 3 };
        assert_eq!(read.pdu(), [3, 0, 0x6B, 0, 3]);
        let write = Ask::Write { address: 1, registers: vec![0x0A, 0x0102] };
        assert_eq!(write.pdu(), [0x10, 0, 1, 0, 2, 4, 0, 0x0A, 1, 2]);
        assert_eq!(Ask::WriteOne { address: 1, value: 3 }.pdu(), [6, 0, 1, 0, 3]);
    }

    #[test]
    fn a_confirmation_of_something_else_is_none() {
        let one = Ask::WriteOne { address: 1, value: 3 };
        assert_eq!(one.check_pdu(&[6, 0, 1, 0, 3]), Ok(Vec::new()));
        let many = Ask::Write { address: 1, registers: vec![7, 8] };
        assert_eq!(many.check_pdu(&[16, 0, 1, 0, 2]), Ok(Vec::new()));
        for (ask, pdu) in [
            (&one, [6, 0, 1, 0, 4]),
            (&one, [6, 0, 2, 0, 3]),
            (&many, [16, 0, 2, 0, 2]),
            (&many, [16, 0, 1, 0, 1]),
        ] {
            assert!(matches!(ask.check_pdu(&pdu), Err(LinkError::Malformed(_))), "{pdu:?}");
        }
    }
}
