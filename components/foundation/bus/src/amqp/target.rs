//! Where a session belongs and as whom, and what a failure there means in words: [`Target`].

use super::tls;
use crate::connect::{Access, Authentication, Exchange};
use crate::{AmqpUrl, BusError, Connect};
use gridloop_clock::Clock;
use lapin::ErrorKind;
use lapin::types::ShortString;

/// Where a session belongs and as whom.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) url: AmqpUrl,
    pub(super) exchange: Exchange,
    /// The name of the exchange, as AMQP wants it.
    pub(super) exchange_name: ShortString,
    /// Shown to people in the broker's list of connections.
    pub(super) name: String,
    pub(super) access: Access,
}

impl Target {
    /// Refuses what could only mislead: names that do not fit, and settings of TLS that would not be used.
    pub(super) fn new(url: &AmqpUrl, connect: &Connect) -> Result<Self, BusError> {
        let Connect { exchange, name, access, .. } = connect.clone();
        let refused = |why: &str| Err(BusError::Tls { address: url.address(), why: why.to_owned() });
        if !url.tls && !access.tls.is_plain() {
            return refused("certificates are configured, but amqp:// is not encrypted; write amqps://");
        }
        if access.authentication == Authentication::External && access.tls.identity.is_none() {
            return refused(
                "external authentication is by a certificate of ours; set certificate_file and key_file",
            );
        }
        Ok(Self { url: url.clone(), exchange_name: short(&exchange.name)?, exchange, name, access })
    }

    /// User name and password.
    pub(super) fn login(&self) -> Result<(String, String), BusError> {
        let password = self.access.password.read()?;
        Ok((self.user().to_owned(), password.unwrap_or_else(|| self.url.password().to_owned())))
    }

    fn user(&self) -> &str {
        self.access.user.as_deref().unwrap_or(&self.url.user)
    }

    /// Nothing was heard in time.
    pub(super) fn no_answer(&self) -> BusError {
        BusError::NoAnswer { address: self.url.address() }
    }

    /// What a failed handshake means. `asked`: over TLS, the broker asked for a certificate of ours.
    pub(super) fn handshake_error(&self, error: &lapin::Error, asked: bool, clock: &dyn Clock) -> BusError {
        match error.kind() {
            ErrorKind::IOError(io) if self.url.tls => {
                let why = tls::explain_after_handshake(io, asked, &self.url.host, &self.access.tls, clock);
                why.map_or_else(
                    || self.failure(error),
                    |why| BusError::Tls { address: self.url.address(), why },
                )
            }
            ErrorKind::IOError(_) | ErrorKind::ParsingError(_) => {
                BusError::NoAmqp { address: self.url.address(), source: Box::new(error.clone()) }
            }
            _ => self.failure(error),
        }
    }

    /// What the failure of a connection means.
    fn failure(&self, error: &lapin::Error) -> BusError {
        let address = self.url.address();
        match code(error) {
            Some(403) => BusError::Login { address, user: self.shown_login() },
            Some(530) => {
                BusError::VirtualHost { address, vhost: self.url.vhost.clone(), user: self.shown_login() }
            }
            _ => BusError::Broker { address, source: Box::new(error.clone()) },
        }
    }

    /// Who we are to the broker, as far as it is ours to say.
    fn shown_login(&self) -> String {
        match (self.access.authentication, &self.access.tls.identity) {
            (Authentication::External, Some(identity)) => {
                format!("the certificate {}", identity.certificate_file.display())
            }
            _ => self.user().to_owned(),
        }
    }

    /// What the failure of a channel means.
    pub(super) fn channel_error(&self, error: &lapin::Error) -> BusError {
        match (error.kind(), code(error)) {
            (ErrorKind::ProtocolError(said), Some(406)) => {
                BusError::Exchange { exchange: self.exchange.clone(), said: said.get_message().to_string() }
            }
            (ErrorKind::ProtocolError(said), Some(403)) => {
                BusError::Permission { said: said.get_message().to_string() }
            }
            _ => self.failure(error),
        }
    }
}

/// AMQP's reply code, when the broker gave one.
pub(super) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(said) => Some(said.get_id()),
        _ => None,
    }
}

/// A name that fits AMQP's short strings.
pub(super) fn short(name: &str) -> Result<ShortString, BusError> {
    ShortString::try_new(name).map_err(|_| BusError::NameTooLong { bytes: name.len() })
}
