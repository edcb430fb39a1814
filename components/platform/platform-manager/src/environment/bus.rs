//! Where the broker is, who we are to it, and on which exchange the run meets.

use super::Reader;
use gridloop_bus::{Access, AmqpUrl, Authentication, BusUrl, Connect, Exchange, Identity, Password, Tls};
use std::path::PathBuf;

/// The `RABBITMQ_` variables: those of the Python platform, and gridloop's own for certificates and for a password in
/// a file. `RABBITMQ_SSL_VERSION` has no effect there and none here.
#[derive(Debug, Clone)]
pub struct BusVariables {
    url: AmqpUrl,
    exchange: Exchange,
    access: Access,
}

impl BusVariables {
    /// Reads them. The exchange must be named, for the broker's nameless one takes no bindings.
    pub fn read(reader: &Reader<'_>) -> Self {
        let tls = reader.flag("RABBITMQ_SSL").unwrap_or(false);
        let host = reader.text("RABBITMQ_HOST").unwrap_or_else(|| "localhost".into());
        let port = reader.whole("RABBITMQ_PORT", 1..=u16::MAX).unwrap_or(5672);
        let flag = |name| reader.flag(name).unwrap_or(false);
        let exchange = Exchange {
            name: reader.required_text("RABBITMQ_EXCHANGE", "the name of the run's exchange"),
            durable: flag("RABBITMQ_EXCHANGE_DURABLE"),
            auto_delete: flag("RABBITMQ_EXCHANGE_AUTODELETE"),
        };
        let mut access = Access { tls: read_tls(reader, tls), ..Access::default() };
        let url = match read_login(reader) {
            // A certificate without a login is who we are.
            Login::None if access.tls.identity.is_some() => {
                access.authentication = Authentication::External;
                AmqpUrl::new(tls, host, port)
            }
            Login::None => AmqpUrl::new(tls, host, port),
            Login::Given { user, password } => {
                access.password = password;
                access.user = Some(user);
                AmqpUrl::new(tls, host, port)
            }
        };
        Self { url, exchange, access }
    }

    /// A session for `name`, a word for people.
    #[must_use]
    pub fn connect(&self, name: &str) -> Connect {
        let (url, exchange) = (BusUrl::Amqp(self.url.clone()), self.exchange.clone());
        Connect { url, exchange, name: name.to_owned(), access: self.access.clone() }
    }
}

enum Login {
    None,
    Given { user: String, password: Password },
}

/// What is empty is `guest`, as in the Python platform.
fn read_login(reader: &Reader<'_>) -> Login {
    const PASSWORD: &str = "RABBITMQ_PASSWORD";
    const PASSWORD_FILE: &str = "RABBITMQ_PASSWORD_FILE";
    let user = reader.verbatim("RABBITMQ_LOGIN").filter(|user| !user.is_empty());
    let password = reader.verbatim(PASSWORD).filter(|password| !password.is_empty());
    let file = reader.text(PASSWORD_FILE).map(PathBuf::from);
    if password.is_some() && file.is_some() {
        reader.reject_secret(PASSWORD, format!("nothing, for {PASSWORD_FILE} is given too"));
    }
    let guest = || "guest".to_owned();
    let password = match (password, file) {
        (None, None) if user.is_none() => return Login::None,
        (_, Some(file)) => Password::File(file),
        (password, None) => Password::Given(password.unwrap_or_else(guest)),
    };
    Login::Given { user: user.unwrap_or_else(guest), password }
}

/// Files that are given without TLS would give a false sense of security.
fn read_tls(reader: &Reader<'_>, tls: bool) -> Tls {
    const CERTIFICATE: &str = "RABBITMQ_CERTIFICATE_FILE";
    const KEY: &str = "RABBITMQ_KEY_FILE";
    let file = |name: &'static str| {
        let file = reader.text(name).map(PathBuf::from);
        if file.is_some() && !tls {
            reader.reject(name, "RABBITMQ_SSL=true beside it, or nothing");
        }
        file
    };
    let ca_file = file("RABBITMQ_CA_FILE");
    let identity = match (file(CERTIFICATE), file(KEY)) {
        (Some(certificate_file), Some(key_file)) => Some(Identity { certificate_file, key_file }),
        (Some(_), None) => {
            reader.reject(KEY, format!("the private key of {CERTIFICATE}"));
            None
        }
        (None, Some(_)) => {
            reader.reject(CERTIFICATE, format!("the certificate of {KEY}"));
            None
        }
        (None, None) => None,
    };
    Tls { ca_file, identity }
}
