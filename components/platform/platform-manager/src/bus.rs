//! `[bus]`: where messages go, and who we are to the broker. [`BusSettings`] is the table, read.

use gridloop_bus::{Access, Authentication, BusError, BusUrl, Connect, Exchange, Identity, Password, Tls};
use gridloop_service::Section;
use std::path::PathBuf;
use std::time::Duration;

/// `[bus]`
#[derive(Debug)]
pub struct BusSettings {
    /// The broker.
    pub url: BusUrl,
    /// The beginning of the exchange's name.
    pub exchange_prefix: String,
    /// Who we are to the broker, and how it is known to be the right one.
    pub access: Access,
}

impl BusSettings {
    /// A session on an exchange; `name` tells people whose.
    #[must_use]
    pub fn connect(&self, exchange: Exchange, name: &str) -> Connect {
        Connect { url: self.url.clone(), exchange, name: name.to_owned(), access: self.access.clone() }
    }
}

/// Reads the table. What is wrong is noted in the document, down to files that do not fit together.
pub(crate) fn read_bus(section: &Section<'_>) -> BusSettings {
    let url = section
        .text("url", "memory:, amqp://user:password@host:port/vhost or, with TLS, amqps://...")
        .sensitive()
        .parsed(|text| text.parse::<BusUrl>().map_err(|error| error.to_string()))
        .such_as("memory:")
        .or(BusUrl::Memory);
    let encrypted = matches!(&url, BusUrl::Amqp(url) if url.tls);
    let tls = read_tls(section, encrypted);
    let words = [("plain", Authentication::Plain), ("external", Authentication::External)];
    let authentication = section
        .text(
            "authentication",
            "How the broker learns who we are: plain (password) or external (certificate).",
        )
        .choice(&words)
        .or(Authentication::Plain);
    if authentication == Authentication::External && tls.identity.is_none() {
        let help = "it is the certificate that says who we are";
        let expected = "`certificate_file` and `key_file` beside \"external\"";
        section.error(Some("authentication"), expected, Some(help.to_owned()));
    }
    let user = section.text("user", "Login name, instead of the URL's.").optional();
    let password = read_password(section);
    let access = Access { authentication, user, password, tls, heartbeat: read_heartbeat(section) };
    note_flaws(section, &access);
    let exchange_prefix =
        section.text("exchange_prefix", "The run's exchange is this and the run's id.").or("procem.".into());
    BusSettings { url, exchange_prefix, access }
}

fn read_heartbeat(section: &Section<'_>) -> Duration {
    let about = "Either side gives the other up after about two of these without a sign of life, in s.";
    let seconds = section.integer("heartbeat_s", about).within(1..=3600).fits::<u16>();
    Duration::from_secs(seconds.or(4).into())
}

fn read_password(section: &Section<'_>) -> Password {
    let about = "Password, instead of the URL's; \"${env:NAME}\" takes it from the environment.";
    let password = section.text("password", about).secret().optional();
    let file = section.file("password_file", "A file whose first line is the password.").optional();
    match (password, file) {
        (Some(_), Some(file)) => {
            section.error(Some("password_file"), "either `password` or `password_file`", None);
            Password::File(file)
        }
        (Some(password), None) => Password::Given(password.expose().to_owned()),
        (None, Some(file)) => Password::File(file),
        (None, None) => Password::InUrl,
    }
}

fn read_tls(section: &Section<'_>, encrypted: bool) -> Tls {
    let file = |key: &str, about: &str| {
        let file = section.file(key, about).optional();
        if file.is_some() && !encrypted {
            let help = "without TLS the file is of no use, and nothing is encrypted";
            section.error(Some(key), "`url = \"amqps://...\"` beside it", Some(help.to_owned()));
        }
        file
    };
    let ca_file = file("ca_file", "PEM: authorities that may have signed the broker's certificate.");
    let certificate = file("certificate_file", "PEM: our certificate, for a broker that asks for one.");
    let key = file("key_file", "PEM: the private key of certificate_file.");
    let identity = match (certificate, key) {
        (Some(certificate_file), Some(key_file)) => Some(Identity { certificate_file, key_file }),
        (Some(_), None) => missing(section, "certificate_file", "`key_file`, its private key, beside it"),
        (None, Some(_)) => {
            missing(section, "key_file", "`certificate_file`, the certificate of this key, beside it")
        }
        (None, None) => None,
    };
    Tls { ca_file, identity }
}

fn missing(section: &Section<'_>, key: &str, expected: &str) -> Option<Identity> {
    section.error(Some(key), expected, None);
    None
}

/// Files that cannot be used: not there, no PEM, a key that is not the certificate's, an empty password.
fn note_flaws(section: &Section<'_>, access: &Access) {
    let key_of = |path: &PathBuf| {
        let identity = access.tls.identity.as_ref();
        match &access.password {
            Password::File(file) if file == path => "password_file",
            _ if access.tls.ca_file.as_ref() == Some(path) => "ca_file",
            _ if identity.is_some_and(|identity| identity.certificate_file == *path) => "certificate_file",
            _ => "key_file",
        }
    };
    for flaw in access.check() {
        match &flaw {
            BusError::File { path, .. } => {
                section.error(Some(key_of(path)), format!("a usable file: {flaw}"), None)
            }
            other => section.error(None, other.to_string(), None),
        }
    }
}
