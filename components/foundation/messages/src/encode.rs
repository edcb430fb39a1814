//! Messages to bytes for the bus: [`Message::encode`] checks every rule and writes the one strict form that the oldest
//! SimCES process accepts, or says with an [`EncodeError`] which rule the message breaks.
//!
//! The form: keys in the order of the declarations, quantities as objects with a float, what is optional and absent
//! left out. The rules stand with the declarations of the types.

use crate::field::FieldError;
use crate::record::Members;
use crate::{Body, Message};

/// A rule of the wire contract that a message to be sent breaks. Always a mistake of the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field is not what its type needs.
    #[error("{type_name} is not sent: {field}: expected {expected}, found {found}")]
    Field {
        /// The message's type.
        type_name: &'static str,
        /// The field, as names from the top joined by points, such as `RealPower.Value`.
        field: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Only SimState has no epoch (wire contract 2.2).
    #[error("{type_name} needs an epoch number and triggering message ids")]
    EpochMissing {
        /// The message's type.
        type_name: &'static str,
    },
    /// SimState has no epoch (wire contract 2.3).
    #[error("SimState has no epoch number")]
    EpochOnSimState,
}

impl EncodeError {
    pub(crate) fn field(type_name: &'static str, error: FieldError) -> Self {
        let FieldError { path: field, expected, found } = error;
        Self::Field { type_name, field, expected: expected.into_owned(), found }
    }
}

/// Enough for most messages.
pub(crate) const USUAL_BYTES: usize = 512;

impl Message {
    /// The message as it goes over the bus: UTF-8 JSON.
    ///
    /// # Errors
    /// The message breaks a rule of the wire contract; it must not be sent.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let type_name = self.type_name();
        match (&self.header.epoch, &self.body) {
            (Some(_), Body::SimState(_)) => return Err(EncodeError::EpochOnSimState),
            (None, Body::SimState(_)) | (Some(_), _) => {}
            (None, _) => return Err(EncodeError::EpochMissing { type_name }),
        }
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        Members::object(&mut bytes, |members| {
            members.literal("Type", type_name)?;
            self.header.write(members)?;
            self.body.write(members)
        })
        .map_err(|error| EncodeError::field(type_name, error))?;
        Ok(bytes)
    }
}
