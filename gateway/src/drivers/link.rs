//! What the drivers over Modbus have in common: the keys that say how a device is reached, [`LinkKeys`].

use super::{OpenError, ServeWish, Served};
use gridloop_modbus::simulated::{Bind, BindError, Security, SimulatedServer};
use gridloop_modbus::{Address, LinkSettings, TlsFiles};
use gridloop_plant::GridTerminals;
use gridloop_service::Section;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What an address may be, for people.
const ADDRESS: &str = "`tcp://host:port`, `tls://host:port`, `rtu:///dev/PORT?baud=19200&parity=even&stop=1`, \
                       `rtu+tcp://host:port`, or `simulated` for a device that gridloop serves itself.";

/// How a Modbus device is reached, but for its address.
#[derive(Debug, Clone)]
pub(super) struct LinkKeys {
    pub(super) unit: u8,
    quiet: Option<Duration>,
    tls: Option<TlsFiles>,
    own_connection: bool,
}

impl LinkKeys {
    /// Reads the keys. Notes an address that is neither `simulated` nor one of Modbus, and keys that do not go with it.
    pub(super) fn read(section: &Section<'_>) -> Self {
        let address = section
            .text("address", ADDRESS)
            .matching(|text| match text.as_str() {
                "simulated" => Ok(()),
                text => text.parse::<Address>().map(drop).map_err(|error| error.to_string()),
            })
            .such_as("tcp://192.0.2.10:502")
            .or("simulated".into());
        let address = address.parse::<Address>().ok();
        let unit = section.integer("unit", "Modbus unit id.").within(0..=255).fits::<u8>().or(1);
        let is_rtu = matches!(address, Some(Address::Rtu { .. } | Address::RtuOverTcp(_)));
        if is_rtu && !(1..=247).contains(&unit) {
            section.error(Some("unit"), "a number from 1 to 247: a device on a line has no other", None);
        }
        let quiet = section
            .duration_s(
                "quiet_s",
                "RTU only: how long the line must have been quiet after a fault, in s; not shorter than the \
                 device's longest time to answer.",
            )
            .within(0.01..=60.0)
            .optional();
        if quiet.is_some() && !is_rtu {
            section.error(Some("quiet_s"), "an address of RTU beside it", None);
        }
        let own_connection = section
            .boolean(
                "own_connection",
                "A connection for this device alone, although others have the same address.",
            )
            .or(false);
        if own_connection && matches!(address, Some(Address::Rtu { .. })) {
            let help = "a serial port can be opened once, so its devices always share it";
            section.error(Some("own_connection"), "`false`", Some(help.to_owned()));
        }
        let tls = read_tls(section, matches!(address, Some(Address::Tls(_))));
        Self { unit, quiet, tls, own_connection }
    }

    /// The settings of a link to this address, as the configuration has it.
    pub(super) fn link(&self, address: &str, timeout: Duration) -> Result<LinkSettings, OpenError> {
        Ok(LinkSettings {
            address: address.parse()?,
            unit: self.unit,
            timeout,
            quiet: self.quiet,
            tls: self.tls.clone(),
            own_connection: self.own_connection,
        })
    }

    /// What tells the device from all others, however its address is spelled.
    pub(super) fn endpoint(&self, address: &str) -> String {
        let address = match address.parse::<Address>() {
            // A port has many names, and the line settings are no part of any.
            Ok(Address::Rtu { path, .. }) => {
                std::fs::canonicalize(&path).unwrap_or(path).to_string_lossy().into_owned()
            }
            Ok(address) => address.to_string(),
            Err(_) => address.to_owned(),
        };
        format!("{address}#{}", self.unit)
    }
}

/// Where a simulated device is to be served.
pub(super) fn bind(wish: &ServeWish) -> Result<Bind, OpenError> {
    let Some(at) = &wish.at else { return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()) };
    if let Ok(address) = at.parse::<SocketAddr>() {
        return Ok(address.into());
    }
    let security = wish.tls.as_ref().map(|files| {
        Security::new(TlsFiles {
            ca_file: files.ca_file.clone(),
            certificate_file: files.certificate_file.clone(),
            key_file: files.key_file.clone(),
        })
    });
    Bind::at(&at.parse()?, security).map_err(|error: BindError| OpenError::Bind(error.to_string()))
}

/// A simulated device over Modbus, as it is found.
pub(super) fn served(server: SimulatedServer, unit: u8, terminals: GridTerminals) -> Served {
    let address = server.address().to_string();
    Served { told: format!("{address}, unit {unit}"), address, server: Box::new(server), terminals }
}

/// The certificates, of which a `tls://` address needs all and any other none.
fn read_tls(section: &Section<'_>, encrypted: bool) -> Option<TlsFiles> {
    let file = |key: &str, about: &str| {
        let file = section.file(key, about).optional();
        if file.is_some() && !encrypted {
            let help = "without TLS the file is of no use, and nothing is encrypted";
            section.error(Some(key), "`address = \"tls://...\"` beside it", Some(help.to_owned()));
        }
        file
    };
    let ca_file = file("ca_file", "PEM: authorities that may have signed the device's certificate.");
    let certificate_file = file("certificate_file", "PEM: our certificate, which names our role.");
    let key_file = file("key_file", "PEM: the private key of certificate_file.");
    match (ca_file, certificate_file, key_file) {
        (Some(ca_file), Some(certificate_file), Some(key_file)) if encrypted => {
            let files = TlsFiles { ca_file, certificate_file, key_file };
            if let Err(error) = files.check() {
                section.error(Some(error.key), format!("a usable file: {error}"), None);
            }
            Some(files)
        }
        _ if encrypted => {
            let expected = "`ca_file`, `certificate_file` and `key_file` beside a `tls://` address";
            let help = "in Modbus/TCP Security either side shows a certificate";
            section.error(Some("address"), expected, Some(help.to_owned()));
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_service::Document;

    /// What is wrong with these keys, as it is told.
    fn errors(keys: &str) -> String {
        let document = Document::parse("test.toml", keys).expect("TOML");
        LinkKeys::read(&document.root());
        document.finish().err().map(|diagnostics| diagnostics.to_string()).unwrap_or_default()
    }

    #[test]
    fn every_kind_of_address_is_taken_with_the_keys_that_go_with_it() {
        for keys in [
            "",
            "address = \"simulated\"\nunit = 0",
            "address = \"tcp://192.0.2.10\"\nunit = 255\nown_connection = true",
            "address = \"rtu:///dev/ttyUSB0?baud=9600\"\nunit = 247\nquiet_s = 0.2",
            "address = \"rtu+tcp://192.0.2.10:4001\"\nquiet_s = 0.2\nown_connection = true",
        ] {
            assert_eq!(errors(keys), "", "{keys}");
        }
    }

    #[test]
    fn keys_that_do_not_go_with_the_address_are_told() {
        for (keys, words) in [
            ("address = \"mms://192.0.2.10\"", "rtu+tcp://host:port"),
            ("address = \"rtu:///dev/ttyUSB0?baud=fast\"", "baud=fast"),
            ("address = \"rtu:///dev/ttyUSB0\"\nunit = 0", "1 to 247"),
            ("address = \"rtu:///dev/ttyUSB0\"\nown_connection = true", "opened once"),
            ("address = \"tcp://192.0.2.10\"\nquiet_s = 1", "RTU"),
            ("address = \"tcp://192.0.2.10\"\nca_file = \"ca.pem\"", "nothing is encrypted"),
            ("address = \"tls://192.0.2.10\"\nca_file = \"ca.pem\"", "`key_file`"),
            (
                "address = \"tls://pv\"\nca_file = \"/nowhere\"\ncertificate_file = \"c\"\nkey_file = \"k\"",
                "/nowhere",
            ),
        ] {
            let told = errors(keys);
            assert!(told.contains(words), "{keys}: {told}");
        }
    }
}
